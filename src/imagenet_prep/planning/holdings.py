"""What a source holds, in numbers: what ``check`` shows before a build."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from imagenet_prep.errors import Problem
from imagenet_prep.imagenet.archives import SMALLEST_CLASS, TRAIN, VALIDATION, VALIDATION_PER_CLASS
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.original import Original
from imagenet_prep.planning.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Piece:
    """One archive or folder. ``size`` is in bytes, 0 of a folder; ``official_size`` is None where none is published.
    ``checksum`` says how the published one compares, "" if it was not compared.
    """

    role: str
    path: str
    form: str
    size: int
    official_size: int | None
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class OriginFacts:
    """The images of train or validation. ``smallest`` and ``largest`` are those of the classes that have any;
    ``missing`` are the WNIDs of classes without images, ``short`` those with fewer than any official class has.
    ``boxed`` counts the images that have bounding boxes, and ``boxes`` these; None if no annotations were read.
    """

    images: int
    size: int
    smallest: int
    largest: int
    missing: tuple[str, ...]
    short: tuple[str, ...]
    boxed: int | None = None
    boxes: int | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """All of a source. ``origins`` has train and validation, as far as there are images; ``space`` is what each format
    needs for all of them, in bytes. ``decoded`` counts images that were decoded, ``remarks`` are of those that decode,
    but with a remark of the decoder; ``notes`` are for the user. ``original`` says whether the images seem to be the
    original ones, None where they could not be counted or read.
    """

    pieces: tuple[Piece, ...]
    origins: dict[str, OriginFacts] = field(default_factory=dict)
    space: dict[str, int] = field(default_factory=dict)
    decoded: int = 0
    remarks: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    original: Original | None = None


def origin_facts(catalog: Catalog) -> dict[str, OriginFacts]:
    """Count the images of train and validation; an origin without images is left out."""
    return {origin: _facts(catalog, origin) for origin in (TRAIN, VALIDATION) if len(catalog.rows_of(origin))}


def _facts(catalog: Catalog, origin: str) -> OriginFacts:
    counts = catalog.class_counts(origin)
    least = SMALLEST_CLASS if origin == TRAIN else VALIDATION_PER_CLASS
    classes = official().classes
    boxed, boxes = catalog.box_counts(catalog.rows_of(origin)) if catalog.boxes_read else (None, None)
    return OriginFacts(
        images=int(counts.sum()),
        size=int(catalog.numbers("size")[catalog.rows_of(origin)].astype(np.int64).sum()),
        smallest=int(np.min(counts[counts > 0])),
        largest=int(np.max(counts)),
        missing=tuple(classes[index].wnid for index in np.flatnonzero(counts == 0)),
        short=tuple(classes[index].wnid for index in np.flatnonzero((counts > 0) & (counts < least))),
        boxed=boxed,
        boxes=boxes,
    )

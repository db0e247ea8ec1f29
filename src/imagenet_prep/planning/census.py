"""Is everything there? Compares a catalog with the official counts.

An archive of the official size must hold the official number of images; one of another size is a miniature or a subset,
which has no official counts, and a note says so. The size of a folder proves nothing: with other counts than the
official ones it may be a subset, or incomplete, and a note has the counts. (Counts: the readme of the
development kit.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imagenet_prep.errors import Problem
from imagenet_prep.imagenet.archives import (
    CLASS_COUNT,
    OFFICIAL_BY_ROLE,
    TRAIN,
    TRAIN_IMAGES,
    VALIDATION,
    VALIDATION_IMAGES,
    VALIDATION_PER_CLASS,
)
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.archive import Archive
from imagenet_prep.planning.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Census:
    """``complete``: every image archive has its official size and counts."""

    complete: bool
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def check_counts(catalog: Catalog) -> Census:
    """Compare images, classes and images per class with what was published."""
    problems: list[Problem] = []
    notes: list[str] = []
    for archive in catalog.archives:
        if archive.role not in (TRAIN, VALIDATION) or archive.folder:
            continue
        if archive.size == OFFICIAL_BY_ROLE[archive.role].size:
            problems += _differences(archive.name, archive.role, catalog)
        else:
            notes.append(_unofficial(archive, catalog))
    origins = dict.fromkeys(archive.role for archive in catalog.archives if archive.folder)
    notes += [
        _unofficial_folder(origin, catalog)
        for origin in origins
        if origin in (TRAIN, VALIDATION) and _differences(origin, origin, catalog)
    ]
    return Census(not problems and not notes, tuple(problems), tuple(notes))


def is_complete(catalog: Catalog, origin: str) -> bool:
    """Whether train or validation has as many images as were published, of all classes."""
    return not _differences(origin, origin, catalog)


def _differences(name: str, role: str, catalog: Catalog) -> list[Problem]:
    counts = catalog.class_counts(role)
    expected = TRAIN_IMAGES if role == TRAIN else VALIDATION_IMAGES
    problems = []
    if counts.sum() != expected:
        problems.append(Problem(name, f"has {counts.sum():,} images; the official archive has {expected:,}"))
    wrong = counts == 0 if role == TRAIN else counts != VALIDATION_PER_CLASS
    for class_index in np.flatnonzero(wrong):
        facts = official().classes[class_index]
        problems.append(Problem(name, f"has {counts[class_index]} images of {facts.wnid} ({facts.name})"))
    return problems


def _unofficial_folder(origin: str, catalog: Catalog) -> str:
    counts = catalog.class_counts(origin)
    expected = TRAIN_IMAGES if origin == TRAIN else VALIDATION_IMAGES
    return (
        f"The folders hold {counts.sum():,} {origin} images of {np.count_nonzero(counts):,} classes; the official set "
        f"has {expected:,} of {CLASS_COUNT:,}. They are taken as they are."
    )


def _unofficial(archive: Archive, catalog: Catalog) -> str:
    counts = catalog.class_counts(archive.role)
    return (
        f"{archive.name} is not the official archive ({archive.size:,} bytes instead of "
        f"{OFFICIAL_BY_ROLE[archive.role].size:,}): its {counts.sum():,} images in {np.count_nonzero(counts):,} of "
        f"{CLASS_COUNT:,} classes are taken as they are."
    )

"""What an audit says of data sets that others made: layout, label convention, counts, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from imagenet_prep.errors import Problem

_MOST_RANGES = 8


@dataclass(frozen=True, slots=True)
class ForeignSplit:
    """One split. ``origin`` is the official archive its images come from, "" if they do not say; ``parts`` counts
    shards or class folders; ``size`` is in bytes, of whole shards or of images; ``smallest`` and ``largest`` are those
    of the ``classes`` that have images. ``labels`` says which numbers the classes have.
    """

    name: str
    origin: str
    images: int
    parts: int
    size: int
    classes: int
    smallest: int
    largest: int
    labels: str


@dataclass(frozen=True, slots=True)
class ForeignSet:
    """One data set: what it is, where, and its splits."""

    layout: str
    path: str
    splits: tuple[ForeignSplit, ...]


@dataclass(frozen=True, slots=True)
class ForeignReport:
    """Everything that was seen. Without ``problems`` all is sound and complete; ``remarks`` are worth knowing.

    ``sample`` is the share of the shards and class folders that was read; 1 means all, and only then is it known what
    is missing.
    """

    sets: tuple[ForeignSet, ...]
    sample: float = 1
    decoded: bool = False
    remarks: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def images(self) -> int:
        """Images in all sets."""
        return sum(split.images for each in self.sets for split in each.splits)


def ranges(numbers: Sequence[int]) -> str:
    """Say ascending numbers in short: ``1-3, 7``."""
    edges = [0, *(at + 1 for at, (one, next_) in enumerate(pairwise(numbers)) if next_ != one + 1), len(numbers)]
    runs = [(numbers[start], numbers[end - 1]) for start, end in pairwise(edges)]
    shown = ", ".join(f"{low}-{high}" if high > low else str(low) for low, high in runs[:_MOST_RANGES])
    return f"{shown} … ({len(numbers):,} in all)" if len(runs) > _MOST_RANGES else shown

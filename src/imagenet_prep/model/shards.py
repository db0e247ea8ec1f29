"""Where shards begin and end, and what they are called: arithmetic, so that every format and every reader
agrees.

The complete data set has 1024, 128 and 128 shards, which the field's readers hard-code; a smaller one has the
largest power of two that keeps a shard at 64 MiB or more (the rule of TensorFlow Datasets' ``shard_utils``).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from imagenet_prep.imagenet.archives import TEST, TRAIN, VALIDATION

COMPLETE_SHARDS = {TRAIN: 1024, VALIDATION: 128, TEST: 128}
SMALLEST_SHARD = 64 << 20  # bytes: below it, opening files costs a reader more than reading them
MOST_SHARDS = 1024
_NAME = re.compile(r"(?P<split>[a-z]+)-(?P<index>\d{5})-of-(?P<count>\d{5})")


@dataclass(frozen=True, slots=True, order=True)
class ShardName:
    """Split, number of the shard counted from 0, and number of shards of the split. Prints as
    ``train-00000-of-01024``.
    """

    split: str
    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.split}-{self.numbers}"

    @property
    def numbers(self) -> str:
        """The part that readers call SHARD_X_OF_Y."""
        return f"{self.index:05d}-of-{self.count:05d}"

    @classmethod
    def parse(cls, text: str) -> ShardName:
        """Read back what ``str`` gave; ValueError for anything else."""
        match = _NAME.fullmatch(text)
        if not match:
            raise ValueError(f"{text!r} is not a shard name such as train-00000-of-01024")
        return cls(match["split"], int(match["index"]), int(match["count"]))


class Arrangement(NamedTuple):
    """In which order an output reads a split, that of the ``selection`` or of the ``source``, and in how many shards.
    For an output whose bytes do not depend on the order this is scheduling, decided when it was first planned.
    """

    in_source_order: bool
    counts: Mapping[str, int]


def shard_count(size: int) -> int:
    """Give the largest power of two, up to 1024, that keeps shards of ``size`` bytes in all at 64 MiB or
    more.
    """
    count = 1
    while count < MOST_SHARDS and size // (2 * count) >= SMALLEST_SHARD:
        count *= 2
    return count


def at_least(count: int, least: int, images: int) -> int:
    """Double a number of shards until it is ``least`` or more, or twice as many would leave one without images."""
    while count < least and 2 * count <= images:
        count *= 2
    return count


def bounds(entries: int, shards: int) -> list[range]:
    """Cut ``range(entries)`` into ``shards`` consecutive ranges that end at round(entries · i / shards).

    Their lengths differ by at most one. The expression is TensorFlow Datasets', rounding included.
    """
    ends = [round(entries * i / shards) for i in range(shards + 1)]
    return [range(start, end) for start, end in itertools.pairwise(ends)]

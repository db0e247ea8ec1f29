"""The recipe: everything but the sources that decides which bytes come out.

A prepared data set is a pure function of its sources and a recipe. No NumPy and no Arrow here, so that a command can
check its options, and start its workers, before it loads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import xxhash

from imagenet_prep.core.facts import SPLITS, TEST
from imagenet_prep.core.taxonomy import Taxonomy, official, to_map
from imagenet_prep.errors import UsageError

PLAN_VERSION = 1  # goes up when equal catalogs and recipes give other bytes; the changelog says why


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanOptions:
    """The recipe: everything but the source that decides which bytes come out.

    ``formats``: names from ``FORMATS``, in any order. ``test_per_class``: labelled images per class that
    leave train and become the test split; 0 gives the standard full train set. ``seed`` chooses which.
    ``splits``: what to write; empty means all there are. ``shards``: number of shards for some splits; the
    others get the default. ``taxonomy`` gives the readable names of classes.
    """

    formats: tuple[str, ...] = ("tfrecord",)
    test_per_class: int = 50
    seed: int = 0
    splits: tuple[str, ...] = ()
    shards: Mapping[str, int] = field(default_factory=dict)
    taxonomy: Taxonomy = field(default_factory=official)

    def __post_init__(self) -> None:
        """Raise UsageError for what no catalog could satisfy."""
        if any(isinstance(given, str) for given in (self.formats, self.splits)):  # which is a sequence of letters
            raise UsageError("Formats and splits are given as tuples of names.")
        for split in (*self.splits, *self.shards):
            if split not in SPLITS:
                raise UsageError(f"There is no split {split!r}; the splits are {', '.join(SPLITS)}.")
        if self.test_per_class < 0:
            raise UsageError("The number of test images per class cannot be negative.")
        if TEST in self.splits and not self.test_per_class:
            raise UsageError("The test split is what is held out of train, and nothing is held out.")
        if any(count < 1 or count > 99_999 for count in self.shards.values()):
            raise UsageError("A split has between 1 and 99,999 shards: shard names have five digits.")

    def document(self) -> dict[str, object]:
        """Give the recipe as plain JSON values in a fixed order: equal recipes give equal documents."""
        return {
            "version": PLAN_VERSION,
            "formats": sorted(set(self.formats)),
            "test_per_class": self.test_per_class,
            "seed": self.seed,
            "splits": [split for split in SPLITS if split in self.splits] or "all",
            "shards": {split: self.shards[split] for split in SPLITS if split in self.shards},
            "names": "built-in"
            if self.taxonomy == official()
            else xxhash.xxh3_128_hexdigest(to_map(self.taxonomy).encode()),
        }

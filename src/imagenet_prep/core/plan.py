"""The plan: every shard of a build, its name and its entries in order, as a value with an identity.

A plan is a pure function of a catalog and a recipe. Its identity is a hash of both, and is written into every
receipt: work that carries another identity belongs to another build.
"""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from imagenet_prep.core.catalog import Catalog
from imagenet_prep.core.facts import (
    OFFICIAL_BY_ROLE,
    SPLITS,
    TEST,
    TRAIN,
    TRAIN_IMAGES,
    VALIDATION,
    VALIDATION_IMAGES,
)
from imagenet_prep.core.keys import order_keys
from imagenet_prep.core.recipe import PlanOptions
from imagenet_prep.core.shards import COMPLETE_SHARDS, ShardName, bounds, shard_count
from imagenet_prep.core.splits import Rows, assign, names_of
from imagenet_prep.core.task import Entries, ShardTask
from imagenet_prep.errors import SourceError, UsageError


class Shard(NamedTuple):
    """One shard: its name, the catalog rows of its entries in writing order, and the sum of their sizes in
    bytes.
    """

    name: ShardName
    rows: Rows
    size: int


@dataclass(frozen=True)
class Plan:
    """What a build will write. ``shards`` are in the order train, validation, test, and by number within a
    split.
    """

    catalog: Catalog
    options: PlanOptions
    shards: tuple[Shard, ...]
    identity: str

    @property
    def images(self) -> int:
        """Images in all splits."""
        return sum(len(shard.rows) for shard in self.shards)

    @property
    def size(self) -> int:
        """Bytes of the images of all splits, counted once whatever the number of formats."""
        return sum(shard.size for shard in self.shards)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have images, in the order train, validation, test."""
        return tuple(dict.fromkeys(shard.name.split for shard in self.shards))

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of every shard, sorted and each once."""
        return tuple(sorted(set(self.options.formats)))

    def document(self) -> dict[str, object]:
        """Say as JSON values what the plan is for: what differs between two plans of one folder is shown from
        it.
        """
        sources = [[archive.role, archive.name, archive.size] for archive in self.catalog.archives]
        return {
            **self.options.document(),
            "sources": sources,
            "catalog": self.catalog.identity,
            "plan": self.identity,
        }

    def images_of(self, split: str) -> int:
        """Images in one split."""
        return sum(len(shard.rows) for shard in self.shards if shard.name.split == split)

    def task(self, shard: Shard, out: str, archives: tuple[str, ...]) -> ShardTask:
        """Give the work of one shard as plain data; ``archives`` are the paths of ``catalog.archives``."""
        return ShardTask(
            plan=self.identity,
            shard=shard.name,
            out=out,
            formats=self.formats,
            archives=archives,
            entries=_entries(self.catalog.table.take(pa.array(shard.rows))),
        )


def plan(catalog: Catalog, options: PlanOptions | None = None) -> Plan:
    """Decide every shard of a build. Pure: equal arguments give an equal plan, and nothing is read or
    written.

    Raises SourceError if an archive is missing, and UsageError if a split that was asked for has no images, a
    class is too small for the hold-out, or a split has fewer images than shards.
    """
    options = options or PlanOptions()
    _check_origins(catalog, options)
    members = assign(catalog, test_per_class=_needed_hold_out(options), seed=options.seed)
    shards: list[Shard] = []
    for split in SPLITS:
        if not options.splits or split in options.splits:
            shards += _cut(catalog, split, members[split], options)
    if not shards:
        raise UsageError("There is nothing to write: the source has no images.")
    return Plan(catalog, options, tuple(shards), _identity(catalog, options))


def _check_origins(catalog: Catalog, options: PlanOptions) -> None:
    """A split that is missing because its archive is must never pass unseen; who wants it so can say so."""
    for origin, others in ((TRAIN, (VALIDATION,)), (VALIDATION, (TRAIN, TEST))):
        if not options.splits and not len(catalog.rows_of(origin)):
            choice = " ".join(f"--split {split}" for split in others)
            name = OFFICIAL_BY_ROLE[origin].names[0]
            raise SourceError(f"The source has no {name}.", remedy=f"Add it, or build without it: {choice}")


def hold_out_sentence(of: Plan) -> str:
    """Say in one line what is held out of train, and how to change it."""
    held = of.images_of(TEST)
    if held:
        return (
            f"{of.options.test_per_class} labelled images of each class, {held:,} in all, are held out of train as the "
            "split test (--test-per-class N; 0 keeps the standard train set)."
        )
    return (
        "Nothing is held out of train for a split test (--test-per-class N holds out N labelled images of each class)."
    )


def _needed_hold_out(options: PlanOptions) -> int:
    """A build of the validation split alone must not fail because train is too small."""
    only_validation = bool(options.splits) and set(options.splits) <= {VALIDATION}
    return 0 if only_validation else options.test_per_class


def _cut(catalog: Catalog, split: str, members: Rows, options: PlanOptions) -> list[Shard]:
    if not len(members):
        if split in options.splits:
            raise UsageError(f"There are no images for the split {split}: its archive is not among the sources.")
        return []
    ordered = members[_order(catalog, split, members)]
    sizes = catalog.numbers("size")[ordered].astype(np.int64)
    count = options.shards.get(split) or _default_count(catalog, split, int(sizes.sum()))
    if count > len(members):
        raise UsageError(f"The split {split} has {len(members):,} images, too few for {count:,} shards.")
    return [
        Shard(
            ShardName(split, index, count),
            ordered[part.start : part.stop],
            int(sizes[part.start : part.stop].sum()),
        )
        for index, part in enumerate(bounds(len(members), count))
    ]


def _order(catalog: Catalog, split: str, rows: Rows) -> npt.NDArray[np.int64]:
    keys = b"".join(order_keys(split, names) for names in names_of(catalog, rows))
    high, low = np.frombuffer(keys, ">u8").reshape(-1, 2).T
    return np.lexsort((low, high))


def _default_count(catalog: Catalog, split: str, size: int) -> int:
    origin, complete = (VALIDATION, VALIDATION_IMAGES) if split == VALIDATION else (TRAIN, TRAIN_IMAGES)
    if len(catalog.rows_of(origin)) == complete:
        return COMPLETE_SHARDS[split]
    return shard_count(size)


def _identity(catalog: Catalog, options: PlanOptions) -> str:
    recipe = json.dumps(options.document(), sort_keys=True)
    return xxhash.xxh3_128_hexdigest(f"{recipe}\n{catalog.identity}".encode())


def _entries(rows: pa.Table) -> Entries:
    return Entries(
        names=rows.column("name").to_pylist(),
        class_indexes=array("h", rows.column("class_index").to_numpy().tobytes()),
        archives=array("b", rows.column("archive").to_numpy().tobytes()),
        containers=rows.column("container").to_pylist(),
        offsets=array("q", rows.column("offset").to_numpy().tobytes()),
        sizes=array("i", rows.column("size").to_numpy().tobytes()),
        boxes=[None if not boxes else array("f", boxes) for boxes in rows.column("boxes").to_pylist()],
    )

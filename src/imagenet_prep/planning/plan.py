"""The plan: every shard of a build, its name and its entries in order, as a value with an identity.

A plan is a pure function of a catalog and a recipe. Its identity is a hash of both, and is written into every
receipt: work that carries another identity belongs to another build.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from imagenet_prep.errors import SourceError, UsageError
from imagenet_prep.imagenet.archives import (
    OFFICIAL_BY_ROLE,
    SPLITS,
    TEST,
    TRAIN,
    TRAIN_IMAGES,
    VALIDATION,
    VALIDATION_IMAGES,
)
from imagenet_prep.model.given import given, options_given
from imagenet_prep.model.shards import COMPLETE_SHARDS, ShardName, bounds, shard_count
from imagenet_prep.model.task import Entries, ShardTask
from imagenet_prep.options import COPY, PlanOptions
from imagenet_prep.outputs.class_folders import FOLDERS, ClassFolders, class_folders
from imagenet_prep.planning.catalog import Catalog
from imagenet_prep.planning.keys import order_keys
from imagenet_prep.planning.splits import Rows, assign, excluded, names_of
from imagenet_prep.planning.validation_classes import ValidationClasses, validation_classes


class Shard(NamedTuple):
    """One shard: its name, the catalog rows of its entries in writing order, and the sum of their sizes in
    bytes.
    """

    name: ShardName
    rows: Rows
    size: int


@dataclass(frozen=True)
class Plan:
    """What a build will write. ``shards`` are in the order train, validation, test, and by number within a split.
    ``excluded`` are the catalog rows that the recipe excludes by name, ascending.
    """

    catalog: Catalog
    options: PlanOptions
    shards: tuple[Shard, ...]
    identity: str
    excluded: Rows

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

    @cached_property
    def validation_classes(self) -> ValidationClasses | None:
        """What the classes of the validation images were taken from; None without any."""
        rows = [shard.rows for shard in self.shards if shard.name.split == VALIDATION]
        return validation_classes(self.catalog, np.concatenate(rows)) if rows else None

    @cached_property
    def folders(self) -> ClassFolders:
        """The names of class folders."""
        return class_folders(self.options.taxonomy, self.options.names, self.options.validation_folder)

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

    def classes_of(self, split: str) -> tuple[int, ...]:
        """Give the class indexes of the images of a split, ascending, each once."""
        rows = np.concatenate([shard.rows for shard in self.shards if shard.name.split == split])
        return tuple(np.unique(self.catalog.numbers("class_index")[rows]).tolist())

    def transfer(self, shard: Shard) -> str:
        """Say how the images of a shard get to their place: what lies inside archives is always copied."""
        inside = self.options.transfer != COPY and self.catalog.numbers("offset")[shard.rows].any()
        return COPY if inside else self.options.transfer

    def paths(self, shard: Shard) -> list[str]:
        """Give the path of each image of a shard in the tree of class folders; none if the build has no such tree."""
        if FOLDERS not in self.options.formats:
            return []
        rows = self.catalog.table.select(["class_index", "name"]).take(pa.array(shard.rows))
        images = zip(rows["class_index"].to_pylist(), rows["name"].to_pylist(), strict=True)
        return [self.folders.path(shard.name.split, class_index, name) for class_index, name in images]

    def task(self, shard: Shard, out: str, archives: tuple[str, ...]) -> ShardTask:
        """Give the work of one shard as plain data; ``archives`` are the paths of ``catalog.archives``."""
        return ShardTask(
            plan=self.identity,
            shard=shard.name,
            out=out,
            formats=self.formats,
            archives=archives,
            entries=entries_of(self.catalog.table.take(pa.array(shard.rows)), self.paths(shard)),
            transfer=self.transfer(shard),
        )


def plan(catalog: Catalog, options: PlanOptions | None = None) -> Plan:
    """Decide every shard of a build. Pure: equal arguments give an equal plan, and nothing is read or
    written.

    Raises SourceError if an archive is missing, and UsageError if a split that was asked for has no images, a
    class is too small for the hold-out, or a split has fewer images than shards.
    """
    catalog, options = given("catalog", catalog, Catalog), options_given(options, PlanOptions)
    _check_origins(catalog, options)
    members, left_out = assign(catalog, options), excluded(catalog, options)
    shards: list[Shard] = []
    for split in SPLITS:
        if not options.splits or split in options.splits:
            shards += _cut(catalog, split, members, left_out, options)
    if not shards:
        raise UsageError("There is nothing to write: the source has no images.")
    return Plan(catalog, options, tuple(shards), _identity(catalog, options), left_out)


def _check_origins(catalog: Catalog, options: PlanOptions) -> None:
    """A split that is missing because its archive is must never pass unseen; who wants it so can say so."""
    for origin, others in ((TRAIN, (VALIDATION,)), (VALIDATION, (TRAIN, TEST))):
        if not options.splits and not len(catalog.rows_of(origin)):
            choice = " ".join(f"--split {split}" for split in others)
            name = OFFICIAL_BY_ROLE[origin].names[0]
            remedy = f"Add them ({name}, or a folder of them), or build without them: {choice}"
            raise SourceError(f"The source has no {origin} images.", remedy=remedy)


def _cut(catalog: Catalog, split: str, members: dict[str, Rows], left_out: Rows, options: PlanOptions) -> list[Shard]:
    rows = members[split]
    if not len(rows):
        if split in options.splits:
            raise UsageError(f"There are no images for the split {split}: what it is made of is not among the sources.")
        return []
    ordered = rows[_order(catalog, split, rows)] if options.shuffled else rows
    sizes = catalog.numbers("size")[ordered].astype(np.int64)
    count = options.shards.get(split) or _default_count(catalog, split, members, left_out, int(sizes.sum()))
    if count > len(rows):
        raise UsageError(f"The split {split} has {len(rows):,} images, too few for {count:,} shards.")
    return [
        Shard(
            ShardName(split, index, count),
            ordered[part.start : part.stop],
            int(sizes[part.start : part.stop].sum()),
        )
        for index, part in enumerate(bounds(len(rows), count))
    ]


def _order(catalog: Catalog, split: str, rows: Rows) -> npt.NDArray[np.int64]:
    keys = b"".join(order_keys(split, names) for names in names_of(catalog, rows))
    high, low = np.frombuffer(keys, ">u8").reshape(-1, 2).T
    return np.lexsort((low, high))


def _default_count(catalog: Catalog, split: str, members: dict[str, Rows], left_out: Rows, size: int) -> int:
    """The well-known number where nothing is left out but by name, and a test list has not made the split too small."""
    parts, complete = ((VALIDATION,), VALIDATION_IMAGES) if split == VALIDATION else ((TRAIN, TEST), TRAIN_IMAGES)
    images = sum(len(members[part]) for part in parts) + np.isin(left_out, catalog.rows_of(parts[0])).sum()
    if images == complete and len(members[split]) >= COMPLETE_SHARDS[split]:
        return COMPLETE_SHARDS[split]
    return shard_count(size)


def _identity(catalog: Catalog, options: PlanOptions) -> str:
    recipe = json.dumps(options.document(), sort_keys=True)
    return xxhash.xxh3_128_hexdigest(f"{recipe}\n{catalog.identity}".encode())


def entries_of(rows: pa.Table, paths: Sequence[str] = ()) -> Entries:
    """Give rows of a catalog as plain data."""
    return Entries(
        names=rows.column("name").to_pylist(),
        class_indexes=array("h", rows.column("class_index").to_numpy().tobytes()),
        archives=array("b", rows.column("archive").to_numpy().tobytes()),
        containers=rows.column("container").to_pylist(),
        offsets=array("q", rows.column("offset").to_numpy().tobytes()),
        sizes=array("i", rows.column("size").to_numpy().tobytes()),
        boxes=[None if not boxes else array("f", boxes) for boxes in rows.column("boxes").to_pylist()],
        paths=list(paths),
    )

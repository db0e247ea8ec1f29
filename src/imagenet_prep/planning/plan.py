"""The plan: every shard of every output, its name and its entries in order, as a value with an identity.

A plan is a pure function of a catalog and a recipe. What an output writes depends on the selection and on its own
options, never on other outputs, so a data set can grow. Sharing one read of the source is scheduling: shards that are
made from the same images, in the same order, become one task.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from imagenet_prep.errors import SourceError, UsageError
from imagenet_prep.imagenet.archives import (
    OFFICIAL_BY_ROLE,
    TEST,
    TRAIN,
    TRAIN_IMAGES,
    VALIDATION,
    VALIDATION_IMAGES,
)
from imagenet_prep.model.archive import Archive
from imagenet_prep.model.given import given
from imagenet_prep.model.shards import COMPLETE_SHARDS, Arrangement, ShardName, at_least, bounds, shard_count
from imagenet_prep.model.task import Entries
from imagenet_prep.model.validation_classes import ValidationClasses
from imagenet_prep.options import Recipe, Selection, digest_of_names
from imagenet_prep.outputs.base import Contents, Output, SplitFacts, StoredShard, options_of
from imagenet_prep.planning.catalog import Catalog, hash_array
from imagenet_prep.planning.keys import order_keys
from imagenet_prep.planning.splits import Rows, assign, excluded, names_of
from imagenet_prep.planning.validation_classes import validation_classes

PLAN_VERSION = 2  # goes up when equal selections and options give other bytes; the changelog says why
_HASHED_AT_ONCE = 1 << 16  # rows


class Shard(NamedTuple):
    """One shard: its name, the catalog rows of its entries in writing order, the sum of their sizes in bytes, and where
    in its split it begins.
    """

    name: ShardName
    rows: Rows
    size: int
    start: int


@dataclass(frozen=True)
class OutputPlan:
    """What is written for one output. ``shards`` are in the order train, validation, test, and by number."""

    output: Output
    identity: str
    arrangement: Arrangement
    shards: tuple[Shard, ...]

    @property
    def images(self) -> int:
        """Images in all splits."""
        return sum(len(shard.rows) for shard in self.shards)


@dataclass(frozen=True)
class Plan:
    """What a build will write. ``members`` are the catalog rows of each split that is written, in the order of the
    selection; ``excluded`` those that the recipe excludes by name, ascending. ``identity`` is that of the selection.
    """

    catalog: Catalog
    recipe: Recipe
    identity: str
    members: Mapping[str, Rows]
    outputs: tuple[OutputPlan, ...]
    excluded: Rows

    @property
    def images(self) -> int:
        """Images in all splits."""
        return sum(map(len, self.members.values()))

    @property
    def size(self) -> int:
        """Bytes of the images of all splits, counted once whatever the number of outputs."""
        return sum(map(self.size_of, self.members))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have images, in the order train, validation, test."""
        return tuple(self.members)

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The shards of the first output."""
        return self.outputs[0].shards

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The names of all 1,000 classes."""
        return tuple(of.name for of in self.recipe.selection.taxonomy.classes)

    @cached_property
    def validation_classes(self) -> ValidationClasses | None:
        """What the classes of the validation images were taken from; None without any."""
        rows = self.members.get(VALIDATION)
        return None if rows is None else validation_classes(self.catalog, rows)

    @cached_property
    def contents(self) -> Contents:
        """What the data set will hold, as far as it is known before anything is written."""
        return Contents(
            {split: SplitFacts(len(rows), self.classes_of(rows)) for split, rows in self.members.items()},
            self.class_names,
        )

    def images_of(self, split: str) -> int:
        """Images in one split."""
        return len(self.members.get(split, ()))

    def size_of(self, split: str) -> int:
        """Bytes of the images of one split."""
        return int(self.catalog.numbers("size")[self.members[split]].astype(np.int64).sum())

    def classes_of(self, rows: Rows) -> tuple[int, ...]:
        """Give the class indexes of some entries, ascending, each once."""
        return tuple(np.unique(self.catalog.numbers("class_index")[rows]).tolist())

    def stored(self, shard: Shard, without: Collection[int] = ()) -> StoredShard:
        """Name the samples of a shard, except those at some places in it."""
        rows = np.delete(shard.rows, list(without)) if without else shard.rows
        columns = self.catalog.table.select(["name", "class_index"]).take(pa.array(rows))
        names, classes = (column.to_pylist() for column in columns.columns)
        return StoredShard(shard.name, names, classes, self.class_names)

    def document(self) -> dict[str, object]:
        """Say as JSON values what the plan is for."""
        return {
            **self.recipe.document(),
            "identity": self.identity,
            "shards": {
                of.output.name: [[str(shard.name), len(shard.rows), shard.size] for shard in of.shards]
                for of in self.outputs
            },
        }


def plan(catalog: Catalog, recipe: Recipe | None = None, known: Mapping[str, Arrangement] | None = None) -> Plan:
    """Decide every shard of a build. Pure: equal arguments give an equal plan, and nothing is read or written.
    ``known`` has the arrangements of outputs that were planned before.

    Raises SourceError if an archive is missing, and UsageError if a split that was asked for has no images, a
    class is too small for the hold-out, or a split has fewer images than shards.
    """
    catalog, recipe = given("catalog", catalog, Catalog), recipe or Recipe()
    selection = recipe.selection
    _check_origins(catalog, selection)
    assigned, left_out = assign(catalog, selection), excluded(catalog, selection)
    members = {
        split: rows[_order(catalog, split, rows)]
        for split, rows in assigned.items()
        if (not selection.splits or split in selection.splits) and _has_images(rows, split, selection)
    }
    if not members:
        raise UsageError("There is nothing to write: the source has no images.")
    identity = _identity(catalog, members, selection)
    counts = {split: _default_count(catalog, split, assigned, left_out) for split in members}
    arrangements = dict(known or {})
    outputs = tuple(
        _output_plan(catalog, members, output, identity, arrangement)
        for output, arrangement in _arranged(recipe.outputs, counts, members, arrangements)
    )
    return Plan(catalog, recipe, identity, members, outputs, left_out)


def _check_origins(catalog: Catalog, selection: Selection) -> None:
    """A split whose archive is missing must never be left out without a word; the user can ask for that."""
    of_train = (TRAIN, TEST) if selection.holds_out else (TRAIN,)
    for origin, others in ((TRAIN, (VALIDATION,)), (VALIDATION, of_train)):
        if not selection.splits and not len(catalog.rows_of(origin)):
            choice = " ".join(f"--split {split}" for split in others)
            name = OFFICIAL_BY_ROLE[origin].names[0]
            remedy = f"Add them ({name}, or a folder of them), or build without them: {choice}"
            raise SourceError(f"The source has no {origin} images.", remedy=remedy)


def _has_images(rows: Rows, split: str, selection: Selection) -> bool:
    if not len(rows) and split in selection.splits:
        raise UsageError(f"There are no images for the split {split}: its images are not among the sources.")
    return bool(len(rows))


def _order(catalog: Catalog, split: str, rows: Rows) -> npt.NDArray[np.int64]:
    keys = b"".join(order_keys(split, names) for names in names_of(catalog, rows))
    high, low = np.frombuffer(keys, ">u8").reshape(-1, 2).T
    return np.lexsort((low, high))


def _default_count(catalog: Catalog, split: str, members: Mapping[str, Rows], left_out: Rows) -> int:
    """The usual number, unless the build is a subset or a test list has made the split too small."""
    parts, complete = ((VALIDATION,), VALIDATION_IMAGES) if split == VALIDATION else ((TRAIN, TEST), TRAIN_IMAGES)
    images = sum(len(members[part]) for part in parts) + np.isin(left_out, catalog.rows_of(parts[0])).sum()
    if images == complete and len(members[split]) >= COMPLETE_SHARDS[split]:
        return COMPLETE_SHARDS[split]
    return shard_count(int(catalog.numbers("size")[members[split]].astype(np.int64).sum()))


def _arranged(
    outputs: Sequence[Output],
    default: Mapping[str, int],
    members: Mapping[str, Rows],
    known: Mapping[str, Arrangement],
) -> Iterator[tuple[Output, Arrangement]]:
    """Give every output its arrangement. One whose bytes do not depend on the order goes along with the first one that
    is new and has an order, or else reads the source as it lies, which is quickest.
    """
    counts = {
        output.name: {
            split: output.shards.get(split) or at_least(default[split], output.least_shards, len(rows))
            for split, rows in members.items()
        }
        for output in outputs
    }
    leader = next((output.name for output in outputs if output.ordered and output.name not in known), None)
    for output in outputs:
        if output.name in known:
            yield output, known[output.name]
        elif output.ordered:
            yield output, Arrangement(in_source_order=False, counts=counts[output.name])
        else:
            yield output, Arrangement(in_source_order=leader is None, counts=counts[leader or output.name])


def _output_plan(
    catalog: Catalog, members: Mapping[str, Rows], output: Output, selection: str, arrangement: Arrangement
) -> OutputPlan:
    shards: list[Shard] = []
    for split, rows in members.items():
        shards += _cut(
            catalog, split, np.sort(rows) if arrangement.in_source_order else rows, arrangement.counts[split]
        )
    _refuse_too_large(output, shards)
    return OutputPlan(output, _output_identity(catalog, members, output, selection), arrangement, tuple(shards))


def _refuse_too_large(output: Output, shards: Sequence[Shard]) -> None:
    """Some formats count bytes in 32 bits."""
    most = output.largest_shard
    for shard in shards:
        if most is not None and shard.size + len(shard.rows) * output.overhead > most:
            few = f"{shard.name.count:,} shards" if shard.name.count > 1 else "one shard"
            raise UsageError(
                f"The split {shard.name.split} is too large for {few} of {output.name}: each may have {most:,} bytes.",
                remedy=f"Ask for more: --shards {shard.name.split}=N",
            )


def _cut(catalog: Catalog, split: str, rows: Rows, count: int) -> Iterator[Shard]:
    if count > len(rows):
        raise UsageError(f"The split {split} has {len(rows):,} images, too few for {count:,} shards.")
    sizes = catalog.numbers("size")[rows].astype(np.int64)
    for index, part in enumerate(bounds(len(rows), count)):
        of = slice(part.start, part.stop)
        yield Shard(ShardName(split, index, count), rows[of], int(sizes[of].sum()), part.start)


def _identity(catalog: Catalog, members: Mapping[str, Rows], selection: Selection) -> str:
    """Hash of which images are in which split, in which order, under which labels: nothing of where they lie."""
    digest = xxhash.xxh3_128(f"{PLAN_VERSION}\n{digest_of_names(selection.class_names)}\n".encode())
    for split, rows in members.items():
        digest.update(f"{split} {len(rows)}\n".encode())
        _hash_rows(digest, catalog, rows, "name", "class_index", "size")
    return digest.hexdigest()


def _output_identity(catalog: Catalog, members: Mapping[str, Rows], output: Output, selection: str) -> str:
    options = json.dumps({output.name: options_of(output)}, sort_keys=True)
    digest = xxhash.xxh3_128(f"{selection}\n{options}\n".encode())
    if output.stores_boxes:
        for rows in members.values():
            _hash_rows(digest, catalog, rows, "boxes")
    return digest.hexdigest()


def _hash_rows(digest: Any, catalog: Catalog, rows: Rows, *columns: str) -> None:
    """Hash some rows of a catalog in their order. They are copied in pieces, whose size is part of the identity."""
    table = catalog.table.select(columns)
    for start in range(0, len(rows), _HASHED_AT_ONCE):
        for column in table.take(pa.array(rows[start : start + _HASHED_AT_ONCE])).columns:
            hash_array(digest, column)


class Work(NamedTuple):
    """Shards that are made from one run of entries: catalog rows in writing order, and for each shard its output and
    where in the run it begins.
    """

    rows: Rows
    shards: tuple[tuple[OutputPlan, Shard, int], ...]


def work(of: Plan, is_missing: Callable[[OutputPlan, Shard], bool]) -> Iterator[Work]:
    """Give what is to be done for the shards that are missing, each image once as far as outputs read it in the same
    order, and where their shards end nest.
    """
    for group in _groups(of.outputs):
        for split in of.members:
            missing = [
                (shard.start, each, shard)
                for each in group
                for shard in each.shards
                if shard.name.split == split and is_missing(each, shard)
            ]
            yield from _runs(sorted(missing, key=lambda one: (one[0], -len(one[2].rows))))


def reads(outputs: Sequence[OutputPlan]) -> int:
    """How often images are read for these outputs: more than once where numbers of shards do not nest."""
    return len(_groups(outputs))


def _groups(outputs: Sequence[OutputPlan]) -> list[list[OutputPlan]]:
    groups: list[list[OutputPlan]] = []
    for each in outputs:
        for group in groups:
            if all(_nest(each, other) for other in group):
                group.append(each)
                break
        else:
            groups.append([each])
    return groups


def _nest(one: OutputPlan, other: OutputPlan) -> bool:
    """Whether both read in the same order, and no shard of one lies across the end of one of the other."""
    if one.arrangement.in_source_order != other.arrangement.in_source_order:
        return False
    few, many = sorted(({(s.name.split, s.start) for s in each.shards} for each in (one, other)), key=len)
    return few <= many


def _runs(missing: list[tuple[int, OutputPlan, Shard]]) -> Iterator[Work]:
    """Group shards that share images."""
    run: list[tuple[int, OutputPlan, Shard]] = []
    end = 0
    for one in missing:
        if run and one[0] >= end:
            yield _work(run)
            run = []
        run.append(one)
        end = max(end, one[0] + len(one[2].rows))
    if run:
        yield _work(run)


def _work(run: list[tuple[int, OutputPlan, Shard]]) -> Work:
    """The first shard of a run is the longest there, and contains all others."""
    first, _, longest = run[0]
    return Work(longest.rows, tuple((each, shard, start - first) for start, each, shard in run))


def entries_of(rows: pa.Table, archives: Sequence[Archive]) -> Entries:
    """Give rows of a catalog as plain data; ``archives`` are those of the catalog."""
    boxes = rows.column("boxes")
    return Entries(
        names=rows.column("name").to_pylist(),
        class_indexes=array("h", rows.column("class_index").to_numpy().tobytes()),
        archives=array("b", rows.column("archive").to_numpy().tobytes()),
        containers=rows.column("container").to_pylist(),
        offsets=array("q", rows.column("offset").to_numpy().tobytes()),
        sizes=array("i", rows.column("size").to_numpy().tobytes()),
        boxes=[None] * len(rows) if boxes.null_count == len(rows) else list(map(_sides, boxes.to_pylist())),
        files=frozenset(place for place, archive in enumerate(archives) if not archive.folder),
    )


def _sides(boxes: list[float] | None) -> array[float] | None:
    return array("f", boxes) if boxes else None

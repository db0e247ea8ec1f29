"""The inventory: every file that a data set consists of, outside its private folder, as one sorted column of paths. It
is the one answer to "is this ours?", "is it all there?" and "what goes away?".

It follows from the plan, before anything is written, and from manifest and ``build.json`` where there is no plan: a
copy of a data set may be without its state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.dataset.layout import (
    BUILD,
    CLASSES,
    EXCLUDED,
    INDEX_FOLDER,
    MANIFEST,
    SPLIT_LISTS,
    index_path,
    set_aside_path,
    split_list,
)
from imagenet_prep.planning.plan import OutputPlan, Plan

_AT_ONCE = 1 << 14  # texts, which as Python objects cost about 100 bytes each
DESCRIPTIONS = {
    MANIFEST: "one row for each image: split, label, size, digest, where it lies and where it came from",
    f"{INDEX_FOLDER}/": "where each image lies, for imagenet_prep.open",
    f"{SPLIT_LISTS}/": "names of the images of each split, one a line; what --test-list reads",
    CLASSES: "class index, WNID, name and devkit integer of the 1,000 classes",
    BUILD: "recipe, versions, and the digest of every file",
}


@dataclass(frozen=True)
class Inventory:
    """``paths`` are sorted and unique."""

    paths: pa.ChunkedArray

    def folders(self) -> list[str]:
        """Give every folder that holds files of the data set, sorted."""
        return sorted(pc.unique(_folders_of(self.paths)).to_pylist())

    def by_folder(self) -> Iterator[tuple[str, set[str]]]:
        """Yield every folder that holds files of the data set, sorted, with their names; "" is the data set itself."""
        for folder, paths in groupby(_texts(self.paths), key=lambda path: path.rpartition("/")[0]):
            yield folder, {path[len(folder) :].lstrip("/") for path in paths}


def planned(plan: Plan, set_aside: Iterable[str] = ()) -> Inventory:
    """Give the inventory of a plan; ``set_aside`` are names of images that were set aside."""
    documents = [MANIFEST, CLASSES, BUILD, *map(split_list, plan.splits), *([EXCLUDED] if len(plan.excluded) else [])]
    outputs = [part for each in plan.outputs for part in files_of(plan, each)]
    return inventory([pa.array([*documents, *map(set_aside_path, set_aside)], pa.string()), *outputs])


def files_of(plan: Plan, of: OutputPlan) -> Iterator[pa.Array]:
    """Yield the paths of all files of one output, in parts."""
    yield pa.array(of.output.document_paths, pa.string())
    if of.output.image_range:
        yield pa.array([index_path(of.output.name)], pa.string())
    for shard in of.shards:
        yield pa.array(of.output.files(plan.stored(shard)), pa.string())


def inventory(parts: Iterable[pa.Array]) -> Inventory:
    """Give the inventory of some paths, in any order."""
    column = pa.chunked_array([part for part in parts if len(part)], pa.string())
    table = pa.table({"folder": _folders_of(column), "path": column})  # files of one folder stay together
    order = pc.sort_indices(table, sort_keys=[("folder", "ascending"), ("path", "ascending")])
    return Inventory(column.take(order))


def _folders_of(paths: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(paths, "(^|/)[^/]*$", "")


def _texts(column: pa.ChunkedArray) -> Iterator[str]:
    for start in range(0, len(column), _AT_ONCE):
        yield from column.slice(start, _AT_ONCE).to_pylist()

"""Files in a data set that the build did not make: readers that find files by a pattern would take them for data,
readers of class folders for images, or for classes, which would give all later classes other numbers.

Hidden files are allowed, and what systems and network disks leave: readers find files by the endings of images, or
ignore hidden ones, except torchvision's ``ImageFolder``, where every sample is a file: a hidden file with such an
ending is an image to it, and a hidden folder beside the class folders a class (torchvision ``datasets/folder.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from imagenet_prep.dataset.catalog_file import load_catalog
from imagenet_prep.dataset.inventory import Inventory, files_of, inventory
from imagenet_prep.dataset.layout import BUILD, CATALOG, set_aside_path
from imagenet_prep.dataset.state import load_state
from imagenet_prep.errors import ForbiddenError, Problem
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.sources.found import is_of_system, looks_like_an_image
from imagenet_prep.stores.base import Store
from imagenet_prep.verbs.audit.expected import Expected
from imagenet_prep.verbs.audit.shard import unreadable
from imagenet_prep.verbs.audit.state import added_outputs

_IS_NOT = "does not belong to this data set"


def inventory_of(of: Expected) -> Inventory:
    """Give the inventory of a finished data set, from its documents alone."""
    files = [
        file["path"] for out in of.document["outputs"].values() for shard in out["shards"] for file in shard["files"]
    ]
    documents = [BUILD, *(file["path"] for file in of.document["documents"])]
    left_out = of.manifest.filter(of.manifest["set_aside"].is_valid())["name"].to_pylist()
    parts = [pa.array([*documents, *files, *map(set_aside_path, left_out)], pa.string())]
    parts += _added(of)
    for output in of.outputs:
        if not output.ordered:
            column = f"{output.name}.{output.file_column}"
            parts += of.written(column)[column].chunks
    return inventory(parts)


def _added(of: Expected) -> Iterator[pa.Array]:
    """Yield the paths of outputs that are being added: their files are of the data set, though not all are there."""
    added, state, catalog = added_outputs(of.store, of.document), None, None
    if added:
        state, catalog = load_state(of.store), load_catalog(of.store, CATALOG)
    if state and catalog:
        the_plan = state.planned(catalog)
        for each in the_plan.outputs:
            if each.output.name in added:
                yield from files_of(the_plan, each)


def unexpected(of: Expected) -> Iterator[Problem]:
    """Yield every file that is not of the data set; a folder in which nothing is, is named as a whole."""
    loose = [output.folder for output in of.outputs if not output.ordered]
    known = inventory_of(of)
    below: dict[str, set[str]] = {"": {PRIVATE}}  # folder → names of the folders in it
    for folder in known.folders():
        below.setdefault(folder, set())
        parts = folder.split("/") if folder else []
        for depth, name in enumerate(parts):
            below.setdefault("/".join(parts[:depth]), set()).add(name)
    found = known.by_folder()
    with_files, files = next(found, ("", set()))
    for folder in sorted(below):
        here: set[str] = set()
        if folder == with_files:
            here = files
            with_files, files = next(found, ("", set()))
        yield from _others(of.store, folder, here | below[folder], is_loose=folder.split("/")[0] in loose)


def _others(store: Store, folder: str, own: set[str], *, is_loose: bool) -> Iterator[Problem]:
    try:
        there = store.list(folder)
    except (OSError, ForbiddenError) as error:
        yield unreadable(folder, error)
        return
    for name in sorted({*there.files, *there.folders} - own):
        path = f"{folder}/{name}".lstrip("/")
        if not (name.startswith(".") or is_of_system(name)) or (
            is_loose and _misleads(store, path, is_folder=name in there.folders)
        ):
            yield Problem(path, _IS_NOT)


def _misleads(store: Store, path: str, *, is_folder: bool) -> bool:
    """Whether readers of class folders would take a hidden file or folder for an image or a class."""
    if not is_folder:
        return path.count("/") > 1 and looks_like_an_image(path)
    below = store.list(path)
    return path.count("/") == 2 or bool(below.files or below.folders)  # beside the class folders even an empty one

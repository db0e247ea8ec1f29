"""Index: from archives to a catalog, by headers alone. Nothing is extracted, and no image is read.

Class tars are walked in parallel; their order in the catalog is that of the archive all the same. What the
archives contain is checked against the official counts where an archive has the official size: a shorter one
may be a miniature, and is only checked for being whole.

The walk needs neither NumPy nor Arrow: they are loaded while the workers are at it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_prep.core.archive import Archive
from imagenet_prep.core.facts import DEVKIT, TRAIN, TRAIN_BOXES, VALIDATION, VALIDATION_BOXES
from imagenet_prep.core.progress import Note, Progress, Watch, unwatched
from imagenet_prep.core.taxonomy import validation_truth
from imagenet_prep.engine.base import Engine
from imagenet_prep.engine.local import local_engine
from imagenet_prep.platform import check_platform
from imagenet_prep.sources.devkit import read_ground_truth
from imagenet_prep.sources.layout import FoundArchive, Source, recognise, source_paths
from imagenet_prep.sources.official import ClassTar, Found, IndexTask, class_tars, run_index_task

if TYPE_CHECKING:
    from imagenet_prep.core.catalog import Catalog

_TASKS_PER_WORKER = 8  # enough that all finish together, few enough that handing them out costs nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexOptions:
    """``jobs``: processes; 0 means one for each processor, 1 means this process alone.

    ``cache``: a file the catalog is taken from while names, sizes and times of the archives stay the same; if they do
    not, it is written anew, unless ``refresh`` is false.
    """

    jobs: int = 0
    cache: Path | None = None
    refresh: bool = True


def index(
    source: Source | Iterable[Source],
    options: IndexOptions | None = None,
    *,
    watch: Watch = unwatched,
    engine: Engine | None = None,
) -> Catalog:
    """Catalog the official archives in ``source``, a folder or several files and folders. May be repeated;
    reads headers only.

    ``engine`` runs the work instead of ``options.jobs`` processes, and stays the caller's to close. Raises
    SourceError, with all problems that were found, if an archive is missing, damaged, incomplete or holds
    what does not belong there.
    """
    check_platform()
    options = options or IndexOptions()
    found = recognise(source_paths(source))
    archives = tuple(Archive(each.path.name, each.role, each.size, each.modified) for each in found.values())
    catalog = _kept(options.cache, archives)
    if catalog is None:
        if engine is None:
            with local_engine(options.jobs) as own:
                catalog = _walk(found, archives, own, watch)
        else:
            catalog = _walk(found, archives, engine, watch)
        if options.cache and options.refresh:
            from imagenet_prep.storage.catalogs import save_catalog

            save_catalog(options.cache, catalog)
    for note in catalog.notes:
        watch(Note(note))
    return catalog


def _kept(cache: Path | None, archives: tuple[Archive, ...]) -> Catalog | None:
    if cache is None or not cache.exists():
        return None
    from imagenet_prep.storage.catalogs import load_catalog

    return load_catalog(cache, archives)


def archive_paths(source: Source | Iterable[Source]) -> tuple[str, ...]:
    """Give the paths of the archives of ``source`` in the order of ``Catalog.archives``."""
    return tuple(str(each.path.absolute()) for each in recognise(source_paths(source)).values())


def _walk(found: dict[str, FoundArchive], archives: tuple[Archive, ...], engine: Engine, watch: Watch) -> Catalog:
    notes: list[str] = []
    truth = _truth(found, notes)
    tars, outside = _class_tars(found)
    results = engine.run(run_index_task, _tasks(found, tars, truth, engine.width))
    from imagenet_prep.steps.assemble import assemble  # which loads NumPy and Arrow, while the workers walk

    walked: dict[str, Found] = {}
    images = 0
    watch(Progress("index", 0, 0))
    for part in results:
        for each in part:
            walked[each.container] = each
            images += len(each.lengths)
        watch(Progress("index", images, 0))
    parts = [walked[container] for container in (*(f"{tar.wnid}.tar" for tar in tars), "") if container in walked]
    return assemble(outside, parts, archives, _boxes(found, watch), notes)


def _truth(found: dict[str, FoundArchive], notes: list[str]) -> array[int]:
    """The devkit's truth is the user's word and counts first; that it differs from what everyone else has
    must not pass unseen.
    """
    if DEVKIT not in found or VALIDATION not in found:
        return validation_truth()
    truth = read_ground_truth(found[DEVKIT].path)
    different = sum(ours != theirs for ours, theirs in zip(validation_truth(), truth, strict=False))
    if different:
        notes.append(
            f"The devkit gives {different:,} validation images another class than the published truth; it is followed."
        )
    return truth


def _class_tars(found: dict[str, FoundArchive]) -> tuple[list[ClassTar], list[Found]]:
    if TRAIN not in found:
        return [], []
    tars, outside = class_tars(found[TRAIN].path)
    return tars, [outside]


def _tasks(found: dict[str, FoundArchive], tars: list[ClassTar], truth: array[int], width: int) -> Iterator[IndexTask]:
    if VALIDATION in found:  # first: it is the largest piece
        path = found[VALIDATION].path
        yield IndexTask(str(path), path.name, VALIDATION, truth=truth)
    if tars:
        path = found[TRAIN].path
        each = -(-len(tars) // (width * _TASKS_PER_WORKER))
        for start in range(0, len(tars), each):
            yield IndexTask(str(path), path.name, TRAIN, tuple(tars[start : start + each]))


def _boxes(found: dict[str, FoundArchive], watch: Watch) -> dict[str, array[float]]:
    from imagenet_prep.sources.boxes import read_boxes  # and with it an XML parser, which few builds need

    boxes: dict[str, array[float]] = {}
    for role in (TRAIN_BOXES, VALIDATION_BOXES):
        if role in found:
            for stem, of_image in read_boxes(found[role].path):
                boxes[stem] = array("f", (side for box in of_image for side in box))
                if len(boxes) % 10_000 == 0:
                    watch(Progress("boxes", len(boxes), 0))
    return boxes

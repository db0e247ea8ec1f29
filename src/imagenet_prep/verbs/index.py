"""Index: from archives and folders to a catalog, by headers and names alone. Nothing is extracted, no image is read.

Class tars and class folders are walked in parallel; their order in the catalog is that of the archive, or of names, all
the same. What was found is checked against the official counts where an archive has the official size: a shorter one
may be a miniature, and only has to be complete.

The walk needs neither NumPy nor Arrow: they are loaded while the workers are at it.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.factory import AnyEngine, engine_for
from imagenet_prep.engines.shared_files import path_for, seeing
from imagenet_prep.errors import UsageError, printable
from imagenet_prep.imagenet.archives import (
    DEVKIT,
    UNLABELLED,
    VALIDATION,
    VALIDATION_CLASSES,
    VALIDATION_IMAGES,
)
from imagenet_prep.imagenet.class_map import class_names, refuse_names
from imagenet_prep.imagenet.classes import Taxonomy, official, validation_truth
from imagenet_prep.model.archive import Archive
from imagenet_prep.model.events import Note, Stage, Tally, Watch, unwatched
from imagenet_prep.model.given import Jobs, check_fields, given, options_given
from imagenet_prep.platform import check_platform
from imagenet_prep.sources.base import Input, Pieces, Source, Walk
from imagenet_prep.sources.devkit import read_ground_truth
from imagenet_prep.sources.found import Found
from imagenet_prep.sources.kaggle import read_validation_classes
from imagenet_prep.sources.labels import NO_CLASS
from imagenet_prep.sources.search import SourcePath, recognise, source_paths
from imagenet_prep.stores import store_at
from imagenet_prep.stores.base import Store
from imagenet_prep.stores.errors import output_errors
from imagenet_prep.verbs.annotations import BOX_ROLES, read_annotations

if TYPE_CHECKING:
    from imagenet_prep.planning.catalog import Catalog

_TASKS_PER_WORKER = 8  # enough that all finish together, few enough that handing them out costs nothing
_TRUTHS = {DEVKIT: read_ground_truth, VALIDATION_CLASSES: read_validation_classes}  # the first that is there counts

Part = TypeVar("Part")


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexOptions:
    """``jobs``: processes; 0 means two for each processor, 1 means this process alone. ``boxes``: whether to read
    bounding boxes, of which there may be half a million files.

    ``taxonomy``: a class table whose names class folders may have, beside the built-in names and WNIDs.

    ``trust_labels``: whether what decides labels is followed where it cannot be right: a devkit or Kaggle's list that
    gives more than a tenth of the validation images another class than the published truth, or a class table in which
    more than a tenth of the new names are those of other classes.

    ``cache``: a file the catalog is taken from while names, sizes and times of the archives stay the same; if they do
    not, it is written again. Folders are listed every time, because their times prove nothing.
    """

    jobs: Jobs = 0
    boxes: bool = True
    taxonomy: Taxonomy = field(default_factory=official)
    trust_labels: bool = False
    cache: Path | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a value of another type."""
        check_fields(self)


def index(
    source: SourcePath | Iterable[SourcePath],
    options: IndexOptions | None = None,
    *,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> Catalog:
    """Catalog the images in ``source``, a folder or several files and folders. May be repeated; reads headers only.

    ``engine`` does the work instead of ``options.jobs`` processes, as in a build. Raises
    SourceError, with all problems that were found, if something is missing, damaged, ambiguous, incomplete or holds
    what does not belong there.
    """
    check_platform()
    options, watch = options_given(options, IndexOptions), given("watch", watch, Watch)
    if options.cache:
        _refuse_other_file(options.cache)
    found = found_in(source, options, watch)
    with engine_for(engine, options.jobs) as at_work:
        return catalog_of(found, options, engine=at_work, watch=watch)


def _refuse_other_file(cache: Path) -> None:
    """A file that is not a catalog is the user's, and must not be replaced."""
    from imagenet_prep.dataset.catalog_file import may_be_replaced

    with output_errors(cache, "read"):
        if cache.name and not cache.is_dir() and may_be_replaced(*_place(cache)):
            return
    raise UsageError(
        f"cache is {cache}, which exists and is not a catalog.", remedy="Name a file that does not exist yet."
    )


def found_in(source: SourcePath | Iterable[SourcePath], options: IndexOptions, watch: Watch = unwatched) -> list[Input]:
    """Search ``source`` for what a catalog is made of, in the order of its archives."""
    found = recognise(source_paths(source), options.taxonomy, lambda remark: watch(Note(remark)))
    return [each for each in found.values() if is_indexed(each, options)]


def is_indexed(found: Input, options: IndexOptions) -> bool:
    """Whether a catalog is made of it, too: of the official test images, which have no labels, it never is."""
    return found.role != UNLABELLED and (options.boxes or found.role not in BOX_ROLES)


def catalog_of(
    found: list[Input],
    options: IndexOptions,
    *,
    engine: Engine,
    watch: Watch,
    kept: tuple[Store, str] | None = None,
    told: bool = False,
    plain: Callable[[str], str] = str,
) -> Catalog:
    """Catalog what was found, or take it from where it is ``kept`` (a store, and a path in it), or from the cache. Its
    notes are said, unless they were ``told`` when the data set was started; warnings are said each time. ``plain``
    gives the place to which it has unpacked a packed archive.
    """
    place = _place(options.cache) if options.cache else kept
    catalog = _kept(place, found)
    if catalog is None:
        catalog = _walk(unpacked(found, plain), options, engine, watch)
        if options.cache and place:
            from imagenet_prep.dataset.catalog_file import save_catalog

            save_catalog(*place, catalog)
    judge_labels(catalog, options.taxonomy, watch, trust=options.trust_labels)
    for note in () if told else catalog.notes:
        watch(Note(note))
    return catalog


def unpacked(found: list[Input], plain: Callable[[str], str]) -> list[Input]:
    """Say of each packed archive where it lies unpacked, if ``plain`` gives another place."""
    places = [plain(str(each.path)) if each.packed else str(each.path) for each in found]
    return [
        replace(each, plain=place) if place != str(each.path) else each
        for each, place in zip(found, places, strict=True)
    ]


def judge_labels(catalog: Catalog, taxonomy: Taxonomy, watch: Watch, *, trust: bool) -> None:
    """Warn of whatever decides labels, and is not what was published; refuse it, if that is much and not trusted."""
    from imagenet_prep.planning.validation_classes import refuse_doubtful, validation_classes

    classes, names = validation_classes(catalog), class_names(taxonomy)
    if not trust:
        refuse_doubtful(classes)
        refuse_names(names)
    if classes and classes.different:
        watch(Note(f"{classes.source} {classes.difference}; it is followed.", warning=True))
    if names and names.of_others:
        watch(Note(f"The class map {names.difference}; it is followed.", warning=True))


def _place(cache: Path) -> tuple[Store, str]:
    return store_at(cache.parent), cache.name


def paths_of(found: list[Input]) -> tuple[str, ...]:
    """Give the paths of the archives in the order of ``Catalog.archives``."""
    return tuple(str(each.path.absolute()) for each in found)


def _kept(place: tuple[Store, str] | None, found: list[Input]) -> Catalog | None:
    if place is None or any(each.folder for each in found):
        return None
    store, path = place
    if store.stat(path) is None:
        return None
    from imagenet_prep.dataset.catalog_file import load_catalog

    return load_catalog(store, path, _archives(found))


def _archives(found: list[Input]) -> tuple[Archive, ...]:
    names = [printable(os.path.basename(os.path.abspath(each.path))) for each in found]
    return tuple(
        Archive(name, each.origin, each.size, each.modified, each.folder, str(each.path.absolute()))
        for name, each in zip(names, found, strict=True)
    )


def _walk(found: list[Input], options: IndexOptions, engine: Engine, watch: Watch) -> Catalog:
    truth = _truth(found, trust=options.trust_labels)
    images = [
        (place, each, each.source, each.source.pieces(each))
        for place, each in enumerate(found)
        if each.source and each.role not in BOX_ROLES
    ]
    work = seeing(engine, run_walk, [str(each.path) for each in found])
    tally = Tally(watch, Stage.INDEX)
    results = engine.run(work, _walks(images, truth, engine), progress=tally.running)
    from imagenet_prep.verbs.assemble import assemble  # which loads NumPy and Arrow, while the workers walk

    walked = collect(results, tally)
    parts = [walked[place, piece.container] for place, _, _, pieces in images for piece in pieces.pieces]
    outside = [of for _, _, _, pieces in images for of in pieces.outside]
    paths = [str(each.path) for each in found]
    return assemble(outside, parts, _archives(found), read_annotations(found, watch), paths)


def collect(results: Iterator[list[Found]], tally: Tally) -> dict[tuple[int, str], Found]:
    """Combine what the workers found, by archive and container, and report their progress."""
    walked: dict[tuple[int, str], Found] = {}
    tally.running()
    for part in results:
        for each in part:
            walked[each.archive, each.container] = each
        tally.finished(sum(len(each.lengths) for each in part))
    return walked


def run_walk(work: Walk) -> list[Found]:
    """Walk some pieces, in whatever they lie."""
    return work.source.walk(work)


def _truth(found: list[Input], *, trust: bool) -> array[int]:
    """A list of the user takes precedence. A list that is wrong as a whole is refused before the
    images are walked: in class folders each of them would seem to lie in the wrong one.
    """
    roles = {each.role: each.path for each in found}
    role = next((role for role in _TRUTHS if role in roles), "") if VALIDATION in roles else ""
    if not role:
        return validation_truth()
    truth = _TRUTHS[role](roles[role])
    if not trust and truth != validation_truth():
        _refuse_list(roles[role].name, role, truth)
    return truth


def _refuse_list(name: str, role: str, truth: array[int]) -> None:
    import numpy as np  # to compare lists with: one that agrees needs nothing

    from imagenet_prep.planning.validation_classes import compare_classes, refuse_doubtful

    given = np.frombuffer(truth[:VALIDATION_IMAGES], np.uint16)
    numbers = np.flatnonzero(given != NO_CLASS) + 1
    refuse_doubtful(compare_classes(name, role, numbers, given[numbers - 1].astype(np.int16)))


def _walks(images: Sequence[tuple[int, Input, Source, Pieces]], truth: array[int], engine: Engine) -> Iterator[Walk]:
    """Yield the work. What is in one piece comes first: it takes longest."""
    for place, each, source, pieces in sorted(images, key=lambda one: len(one[3].pieces) > 1):
        needed = truth if each.role == VALIDATION else array("H")  # 100 kB that train images do not need
        for some in cut(pieces.pieces, engine.width):
            yield Walk(source, place, path_for(engine, each.path), each.origin, tuple(some), needed, each.plain)


def cut(parts: Sequence[Part], width: int) -> Iterator[Sequence[Part]]:
    """Cut into pieces, in order, for an engine that runs ``width`` of them at once."""
    each = max(1, -(-len(parts) // (width * _TASKS_PER_WORKER)))
    return (parts[start : start + each] for start in range(0, len(parts), each))

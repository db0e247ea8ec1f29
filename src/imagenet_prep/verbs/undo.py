"""Undo: remove what a build has made, exactly what its inventory lists, and give files that were moved
their names in the source back.

Each moved file has a name at every moment, and the same command goes on after a kill. Nothing is ever replaced, and
nothing that the build did not make is removed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagenet_prep.dataset.layout import BUILD, CATALOG, SET_ASIDE_FOLDER, UNDONE, is_data_set
from imagenet_prep.errors import OtherBuildError, Problem, SourceError, UsageError, counted
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.events import Progress, Stage, Watch, unwatched
from imagenet_prep.model.given import given
from imagenet_prep.stores import Place, store_at
from imagenet_prep.stores.base import Store, files_below

if TYPE_CHECKING:
    from imagenet_prep.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class UndoReport:
    """``moved`` files are where they were; ``removed`` other files of the data set are gone. ``kept`` are paths in the
    output folder that the build did not make.
    """

    moved: int
    removed: int
    kept: tuple[str, ...]


def undo(out: Place, *, watch: Watch = unwatched) -> UndoReport:
    """Remove a data set, finished or not; may be repeated.

    Raises UsageError if ``out`` has none, OtherBuildError if it is not known what belongs to it, or while another run
    is at work in it, SourceError with every file that could not be put back (all others are), and OutputError if
    something cannot be written.
    """
    store, watch = store_at(out), given("watch", watch, Watch)
    if not is_data_set(store) and not any(files_below(store, PRIVATE)):
        raise UsageError(f"{store.place} holds no data set of imagenet-prep: there is nothing to undo.")
    with store.hold(alone=True):
        store.sweep()
        moved = removed = 0
        if not _is_empty(store):
            moved, removed = _undo(store, watch)
        store.publish(UNDONE, b"")
        _remove_private(store)
    listing = store.list("")
    return UndoReport(moved, removed, tuple(sorted((*listing.files, *listing.folders))))


def _is_empty(store: Store) -> bool:
    """Whether nothing but private files is left of a data set, or there never was more."""
    listing = store.list("")
    return store.stat(UNDONE) is not None or not {*listing.files, *listing.folders} - {PRIVATE}


def _undo(store: Store, watch: Watch) -> tuple[int, int]:
    """Give moved files back, and remove all others; give the numbers of both."""
    from imagenet_prep.dataset.inventory import planned
    from imagenet_prep.verbs.build.relocate import times_before

    the_plan, times = _plan(store), times_before(store)
    names = set(the_plan.catalog.table.column("name").to_pylist()) if store.list(SET_ASIDE_FOLDER).files else set()
    inventory = planned(the_plan, names.intersection(store.list(SET_ASIDE_FOLDER).files))
    store.remove(BUILD)  # where it is, the data set is complete; now it is not
    try:
        moved = _put_all_back(store, the_plan)
    finally:
        _restore(times)
    removed, total = 0, len(inventory.paths)
    for folder, own in inventory.by_folder():
        for name in sorted(own & set(store.list(folder).files)):
            store.remove(f"{folder}/{name}".lstrip("/"))
            removed += 1
        watch(Progress(Stage.UNDO, removed, total))
    _remove_folders(store, inventory.folders())
    return moved, removed


def _put_all_back(store: Store, the_plan: Plan) -> int:
    """Give every moved file its name back; give their number. Raises SourceError if some cannot be given."""
    from imagenet_prep.verbs.build.relocate import moved_files

    moved, problems = 0, []
    for path, place in moved_files(the_plan):
        try:
            moved += _put_back(store, path, place)
        except FileExistsError:
            reason = f"is there again, though {path} was moved from it: remove one of the two"
            problems.append(Problem(place, reason))
        except FileNotFoundError:
            reason = f"is neither there nor at {path}: it is lost"
            problems.append(Problem(place, reason))
    if problems:
        raise SourceError(
            f"{counted(len(problems), 'file')} could not be put back; all others are where they were:",
            tuple(problems),
            "Fix each, and run the same command again. In place of a file that is lost for good, make an empty "
            "one (touch FILE): the same command then removes the rest.",
        )
    return moved


def _plan(store: Store) -> Plan:
    """Plan the data set again. Raises OtherBuildError if what that needs is missing or damaged."""
    from imagenet_prep.dataset.catalog_file import load_catalog
    from imagenet_prep.dataset.state import load_state

    try:
        state, summary, remedy = load_state(store), f"{store.place} has lost its state.", ""
    except OtherBuildError as error:
        state, summary, remedy = None, error.summary, f"{error.remedy} "
    catalog = load_catalog(store, CATALOG)
    if state and catalog:
        return state.planned(catalog)
    if state:
        summary = f"{store.place}: {CATALOG} is missing or damaged."
    there = store.list("")
    names = ", ".join((*there.files, *(f"{name}/" for name in there.folders)))
    raise OtherBuildError(
        f"{summary} So it is not known what the build put there; nothing was touched. The folder holds: {names}.",
        remedy=f"{remedy}Or remove by hand what you know the build made.",
    )


def _put_back(store: Store, path: str, place: str) -> bool:
    """Give a file the name it had. If that is there, it is either still the same file, or somebody's."""
    if store.is_same(path, place):
        return False
    if store.stat(path) is None:
        if not os.path.lexists(place):
            raise FileNotFoundError(place)
        return False
    store.give_back(path, place)
    return True


def _restore(times: dict[str, int]) -> None:
    """Restore the times of folders, which change when names are removed and given back."""
    for folder, modified in times.items():
        with contextlib.suppress(OSError):  # another user's folder, in which this user may rename
            os.utime(folder, ns=(os.stat(folder).st_atime_ns, modified))


def _remove_folders(store: Store, folders: Iterable[str]) -> None:
    every = {above for folder in folders for above in _with_parents(folder)}
    for folder in sorted(every, key=len, reverse=True):  # the inner ones first
        store.remove_folder(folder)


def _with_parents(folder: str) -> Iterable[str]:
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


def _remove_private(store: Store) -> None:
    """Remove private files, the note of the undo last: until then, the same command resumes."""
    for path in list(files_below(store, PRIVATE)):
        if path != UNDONE:
            store.remove(path)
    for folder in reversed(list(_folders_below(store, PRIVATE))):
        store.remove_folder(folder)
    store.remove(UNDONE)
    store.remove_folder(PRIVATE)
    store.remove_folder("")


def _folders_below(store: Store, folder: str) -> Iterator[str]:
    for name in store.list(folder).folders:
        yield f"{folder}/{name}"
        yield from _folders_below(store, f"{folder}/{name}")

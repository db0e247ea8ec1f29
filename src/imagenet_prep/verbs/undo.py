"""Undo: take away what a build put into its place, exactly what its inventory lists, and give files that were moved
their names in the source back.

Each moved file has a name at every moment, and the same command goes on after a kill. Nothing is ever replaced, and
nothing that the build did not make is removed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imagenet_prep.dataset.layout import BUILD, CATALOG, SET_ASIDE_FOLDER, STATE, is_data_set
from imagenet_prep.errors import OtherBuildError, Problem, SourceError, UsageError
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.events import Progress, Stage, Watch, unwatched
from imagenet_prep.model.given import given
from imagenet_prep.stores import Place, store_at
from imagenet_prep.stores.base import Store, files_below

if TYPE_CHECKING:
    from imagenet_prep.planning.plan import Plan

_EVENTS = 200  # of progress


@dataclass(frozen=True, slots=True)
class UndoReport:
    """``moved`` files are where they were; ``removed`` other files of the data set are gone. ``kept`` are paths in the
    output folder that the build did not make.
    """

    moved: int
    removed: int
    kept: tuple[str, ...]


def undo(out: Place, *, watch: Watch = unwatched) -> UndoReport:
    """Take a build away, whatever it was, finished or not; may be repeated.

    Raises UsageError if ``out`` holds none, OtherBuildError if it is not known what belongs to it, or while another run
    is at work in it, SourceError with every file that could not be put back (all others are), and OutputError if
    something cannot be written.
    """
    store, watch = store_at(out), given("watch", watch, Watch)
    if not is_data_set(store):
        raise UsageError(f"{store.place} holds no data set of imagenet-prep: there is nothing to undo.")
    with store.hold(alone=True):
        return _undo(store, watch)


def _undo(store: Store, watch: Watch) -> UndoReport:
    from imagenet_prep.dataset.catalog_file import load_catalog
    from imagenet_prep.dataset.inventory import planned
    from imagenet_prep.dataset.state import load_state
    from imagenet_prep.planning.plan import plan
    from imagenet_prep.verbs.build.relocate import times_before

    state, catalog = load_state(store), load_catalog(store, CATALOG)
    if state is None or catalog is None:
        _refuse(store, STATE if state is None else CATALOG)
        raise AssertionError
    the_plan = plan(replace(catalog, archives=state.sources), state.recipe, state.arrangements)
    store.sweep([each.output.folder for each in the_plan.outputs if not each.output.ordered])
    store.remove(BUILD)  # where it is, the data set is complete; now it is not
    times = times_before(store)
    names = set(catalog.table.column("name").to_pylist()) if store.list(SET_ASIDE_FOLDER).files else set()
    inventory = planned(the_plan, names.intersection(store.list(SET_ASIDE_FOLDER).files))
    moved = _put_all_back(store, the_plan)
    removed, total = 0, len(inventory.paths)
    for folder, own in inventory.by_folder():
        for name in sorted(own & set(store.list(folder).files)):
            store.remove(f"{folder}/{name}".lstrip("/"))
            removed += 1
        watch(Progress(Stage.UNDO, removed, total))
    _remove_folders(store, [folder for folder, _ in inventory.by_folder()])
    _restore(times)
    _remove_private(store)
    listing = store.list("")
    return UndoReport(moved, removed, tuple(sorted((*listing.files, *listing.folders))))


def _put_all_back(store: Store, the_plan: Plan) -> int:
    """Give every moved file its name back, and tell how many. Raises SourceError if some cannot be given."""
    from imagenet_prep.verbs.build.relocate import moved_files

    moved, problems = 0, []
    for path, place in moved_files(the_plan):
        try:
            moved += _put_back(store, path, place)
        except FileExistsError:
            problems.append(
                Problem(place, f"is there again, though {path} was moved from it: take one of the two away")
            )
    if problems:
        raise SourceError(
            f"{len(problems):,} files could not be put back; all others are where they were:",
            tuple(problems),
            "Put each right, and run the same command again.",
        )
    return moved


def _put_back(store: Store, path: str, place: str) -> bool:
    """Give a file the name it had. If that is there, it is either still the same file, or somebody's."""
    if store.is_same(path, place) or store.stat(path) is None:
        return False
    store.give_back(path, place)
    return True


def _refuse(store: Store, what: str) -> None:
    there = store.list("")
    names = ", ".join((*there.files, *(f"{name}/" for name in there.folders)))
    raise OtherBuildError(
        f"{store.place}: {what} is missing or damaged, so it is not known what the build has put there. It holds: "
        f"{names}.",
        remedy="Remove by hand what you know to be of the build; nothing was touched.",
    )


def _restore(times: dict[str, int]) -> None:
    """Taking names away and giving them back has changed the times of their folders."""
    for folder, modified in times.items():
        with contextlib.suppress(OSError):  # a folder of somebody else's, in which one may rename all the same
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
    """Remove the state last: until then, the same command goes on."""
    private = [path for path in files_below(store, PRIVATE) if path != STATE]
    for path in private:
        store.remove(path)
    _remove_folders(store, [path.rpartition("/")[0] for path in private if path.count("/") > 1])
    store.remove(STATE)
    store.remove_folder(PRIVATE)
    store.remove_folder("")

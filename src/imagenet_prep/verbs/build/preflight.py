"""What is decided before a byte is written: whether this place is for this build, and whether it can be done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from stat import S_ISLNK
from typing import Any

import numpy as np
import pyarrow as pa

from imagenet_prep.dataset.layout import UNDONE, is_of_the_first_edition
from imagenet_prep.dataset.state import State, state_of
from imagenet_prep.errors import OtherBuildError, OutputError, Problem, SourceError, UsageError, printable
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.task import FAIL, Entries
from imagenet_prep.options import BuildOptions, Recipe
from imagenet_prep.outputs.base import Output, options_of
from imagenet_prep.planning.condemned import condemned
from imagenet_prep.planning.plan import OutputPlan, Plan, Shard, entries_of
from imagenet_prep.planning.splits import Rows
from imagenet_prep.sources.found import is_of_system
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.stores.base import Listing, Store

_NAMED = 5  # of the files that are in the way
_TOLD = 200  # characters of a difference: a choice of classes may have 1,000 of them
_OTHER = "Choose another folder, or finish what is there: imagenet-prep resume {place}"
_OTHER_SOURCE = "Choose another folder, or go on with the source it was made from: imagenet-prep resume {place} SOURCE"


def refuse_foreign(store: Store, state: State | None) -> None:
    """Raise OtherBuildError if anything else than a data set of this program lies there."""
    if is_of_the_first_edition(store):
        raise OtherBuildError(
            f"{store.place} was built by version 0.1, whose notes cannot be read any more.",
            remedy="Build into another folder. That version can still audit and undo it.",
        )
    if store.stat(UNDONE):
        raise OtherBuildError(
            f"{store.place} is being taken away.", remedy=f"Finish that first: imagenet-prep undo {store.place}"
        )
    listing = store.list("") if state is None else Listing([], [])
    there = sorted(name for name in (*listing.files, *listing.folders) if name != PRIVATE and not is_of_system(name))
    if there:
        named = ", ".join(map(printable, there[:_NAMED]))
        more = f" and {len(there) - _NAMED:,} more" if len(there) > _NAMED else ""
        raise OtherBuildError(
            f"{store.place} is not empty, and what is in it is not a data set of imagenet-prep that can be continued: "
            f"{named}{more}.",
            remedy="Choose a folder that is empty or does not exist yet.",
        )


def grown(store: Store, recipe: Recipe, state: State | None) -> Recipe:
    """Give the recipe with all outputs that the data set has already. Raises OtherBuildError where one is to be there
    with other options.
    """
    if state is None:
        return recipe
    problems = [
        Problem(output.name, f"was built with {field} {there!r}, not {options_of(output)[field]!r}")
        for output in recipe.outputs
        if output.name in state.outputs
        for field, there in state.outputs[output.name].options.items()
        if options_of(output)[field] != there
    ]
    if problems:
        _refuse(store, problems)
    names = {output.name for output in recipe.outputs}
    others = tuple(output for output in state.recipe.outputs if output.name not in names)
    return Recipe(selection=recipe.selection, outputs=(*recipe.outputs, *others))


def refuse_other(store: Store, plan: Plan, state: State | None) -> None:
    """Raise OtherBuildError, with what differs, if the place holds a data set of another selection, or one that
    libraries of other versions have decided.
    """
    if state is None:
        return
    if state.identity != plan.identity:
        differences = list(_selection(state, plan))
        _refuse(store, [*differences, *_sources(state, plan)], _OTHER if differences else _OTHER_SOURCE)
    now = state_of(plan, state.check, state.on_bad)
    for name, output in state.outputs.items():
        if name not in now.outputs:  # another run has just added it
            continue
        if output.identity != now.outputs[name].identity:
            _refuse(store, [Problem(name, "was built with other bounding boxes")])
        for library, version in output.libraries.items():
            if now.outputs[name].libraries.get(library) != version:
                here = now.outputs[name].libraries.get(library)
                raise OtherBuildError(
                    f"{store.place} was started with {library} {version}, which decides bytes; here it is {here}.",
                    remedy=f"Install that version: pip install {library}=={version}",
                )


def refuse_moved(store: Store, new: list[OutputPlan]) -> None:
    """Raise SourceError if outputs are to be added when files of the source were moved away."""
    if new:
        raise SourceError(
            f"The files of the source were moved into {store.place}: {new[0].output.name} cannot be made from them.",
            remedy=f"Move them back, and then build all outputs together: imagenet-prep undo {store.place}",
        )


def _refuse(store: Store, problems: list[Problem], remedy: str = _OTHER) -> None:
    raise OtherBuildError(f"{store.place} holds another data set:", tuple(problems), remedy.format(place=store.place))


def _selection(state: State, plan: Plan) -> Iterator[Problem]:
    there, now = state.selection, plan.recipe.selection.document()
    for field, value in now.items():
        if there.get(field) != value:
            yield Problem(field, f"{_short(there.get(field))} there, {_short(value)} now")


def _short(value: Any) -> str:
    text = f"{len(value):,} names" if isinstance(value, list) and len(value) > 20 else repr(value)
    return text if len(text) <= _TOLD else f"{text[:_TOLD]} …"


def _sources(state: State, plan: Plan) -> Iterator[Problem]:
    """Say what became of each source."""
    there = {(each.role, each.name): each.size for each in state.sources}
    now = {(each.role, each.name): each.size for each in plan.catalog.archives}
    for role, name in dict.fromkeys((*there, *now)):
        if (role, name) not in now:
            yield Problem(f"{name} ({role})", "is no longer among the sources")
        elif (role, name) not in there:
            yield Problem(f"{name} ({role})", "was not among the sources")
        elif there[role, name] != now[role, name]:
            size, before = now[role, name], there[role, name]
            yield Problem(f"{name} ({role})", f"has {size:,} bytes of images or archive, not {before:,}")


def effective(options: BuildOptions, state: State | None, *, grows: bool) -> BuildOptions:
    """Give the options that count: what is added to a finished data set is looked at as closely as the rest was."""
    if state is None or not grows:
        return options
    return replace(options, on_bad=FAIL, check=state.check)


_ROW_BYTES = 256  # of each image in catalog, receipt and manifest together: generous


def space_needed(plan: Plan, missing: Iterable[tuple[OutputPlan, Shard]]) -> int:
    """Give the bytes that the missing shards will take: generous, not exact."""
    needed = 0
    own = plan.catalog.own_files()
    for of, shard in missing:
        read = [of.output.reads(own_file=is_own) for is_own in own[shard.rows[:1]].tolist()]
        size = shard.size if all(read) else 0
        needed += size + len(shard.rows) * (of.output.overhead + _ROW_BYTES)
    return needed


def check_links(store: Store, plan: Plan, output: Output) -> None:
    """Raise UsageError if an output wants links, and the source has no files or the store cannot link; SourceError and
    OutputError if files cannot be moved for what they are or where they lie.
    """
    if output.reads(own_file=True):
        return
    if not store.links:
        raise UsageError(f"{store.place} cannot hold links to files.", remedy="Choose --transfer copy.")
    rows = _rows_of_own_files(plan)
    if not len(rows):
        raise UsageError(
            "The source has only archives, and no files to link or move.",
            remedy="Leave --transfer out: images are written straight from the archives.",
        )
    _refuse_condemned(plan, rows)
    if output.moves:
        _check_moves(plan, entries_of(plan.catalog.table.take(rows), plan.catalog.archives))


def _refuse_condemned(plan: Plan, rows: Rows) -> None:
    """No image is read that is linked, but its size is known."""
    problems = condemned(plan.catalog, paths_of(plan), np.sort(rows))
    if problems:
        raise SourceError(
            "There are files too small to be images, and links would take them in unread:",
            problems,
            "Put sound files in their place. Or build without them: --exclude FILE, with their names; or with "
            "--transfer copy and --on-bad set-aside, which keeps their bytes.",
        )


def try_links(store: Store, plan: Plan, output: Output) -> None:
    """Try in the store whether the files can be linked: one of each file system of each source."""
    if output.reads(own_file=True):
        return
    entries, archives = _one_of_each_folder(plan), paths_of(plan)
    tried: set[tuple[int, int]] = set()
    for row in range(len(entries)):
        file = entries.place(row, archives)
        folder = os.path.dirname(file)
        with source_errors(folder):
            file_system = entries.archives[row], os.stat(folder).st_dev  # two mounts of one disk have one number
        if file_system not in tried:
            tried.add(file_system)
            store.try_link(file, symbolic=output.symbolic)


def paths_of(plan: Plan) -> tuple[str, ...]:
    """Give the paths of the archives."""
    return tuple(archive.path for archive in plan.catalog.archives)


def _rows_of_own_files(plan: Plan) -> Rows:
    rows = np.concatenate(list(plan.members.values()))
    own: Rows = rows[plan.catalog.own_files()[rows]]
    return own


def _one_of_each_folder(plan: Plan) -> Entries:
    rows = np.sort(_rows_of_own_files(plan))
    files = plan.catalog.table.select(["archive", "container"]).take(rows).append_column("row", pa.array(rows))
    first = files.group_by(["archive", "container"], use_threads=False).aggregate([("row", "min")])["row_min"]
    return entries_of(plan.catalog.table.take(first), plan.catalog.archives)


def _check_moves(plan: Plan, entries: Entries) -> None:
    archives = paths_of(plan)
    folders: dict[str, None] = {}
    links: list[Problem] = []
    others: list[Problem] = []
    may_link_all = _may_link_all()
    for row in range(len(entries)):
        place = entries.place(row, archives)
        folder, _, name = place.rpartition("/")
        folders[folder] = None
        with source_errors(place):
            status = os.lstat(place)
        if S_ISLNK(status.st_mode):
            links.append(Problem(folder, "is a symbolic link", name))
        elif not may_link_all and status.st_uid != os.geteuid() and not os.access(place, os.R_OK | os.W_OK):
            others.append(Problem(folder, "belongs to somebody else", name))
    if links:
        raise SourceError(
            "Symbolic links cannot be moved, because they may lead nowhere from their new place:",
            tuple(links),
            "Choose --transfer symlink, hardlink or copy.",
        )
    closed = [Problem(folder, "may not be written to") for folder in sorted(folders) if not _is_open(folder)]
    if closed or others:
        raise OutputError(
            "There are files that cannot be moved:",
            (*closed, *others),
            "Change permissions or owners, or choose another --transfer: symlink, or copy.",
        )


def _is_open(folder: str) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def _may_link_all() -> bool:
    """Whether this user may link files that belong to others: Linux has a switch for it (proc_sys_fs(5))."""
    try:
        with open("/proc/sys/fs/protected_hardlinks", encoding="ascii") as switch:
            return switch.read().strip() == "0" or os.geteuid() == 0
    except OSError:
        return True

"""Archives: what a folder holds of the published archives, and whether it is sound. Nothing is written.

By sizes and first bytes alone it takes no time. In full, every archive with a published checksum is read from end to
end, and the damaged part of a wrong one is reported.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.factory import AnyEngine, engine_for
from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.imagenet.archives import DEVKIT, OFFICIAL_BY_ROLE, OTHER, RIGHT, UNPUBLISHED, WRONG, OfficialArchive
from imagenet_prep.model.events import Note, Watch, unwatched
from imagenet_prep.model.given import Jobs, given
from imagenet_prep.platform import check_platform
from imagenet_prep.sources.base import Input
from imagenet_prep.sources.devkit import read_ground_truth
from imagenet_prep.sources.disguise import disguise_at, is_gzip
from imagenet_prep.sources.downloads import interrupted
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.sources.search import SourcePath
from imagenet_prep.verbs.checksums import comparer
from imagenet_prep.verbs.damage import WALKED, damage_in
from imagenet_prep.verbs.fetch.part import bytes_there, part_path
from imagenet_prep.verbs.similar_names import called_alike

_DIFFERS = "does not have the published checksum"


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """One official archive in a folder. ``size`` is in bytes, None where it is not there; ``unfinished`` are the bytes
    of a partial download, None without one. ``disguised``: it is something else under this name, such as a web page, or
    no file. ``unreadable``: the user may not read it. ``checksum`` is "" where nothing was read. Of a damaged archive,
    ``clean`` of ``containers`` class tars (for other archives: of images) read cleanly, and ``problems`` says where the
    others do not.
    """

    role: str
    name: str
    size: int | None = None
    official_size: int | None = None
    md5: str | None = None
    sha1: str | None = None
    unfinished: int | None = None
    disguised: bool = False
    unreadable: bool = False
    checksum: str = ""
    problems: tuple[Problem, ...] = ()
    clean: int = 0
    containers: int = 0

    @property
    def came_whole(self) -> bool:
        """Whether the unfinished file is complete, and only lacks its name."""
        return self.size is None and self.unfinished is not None and self.unfinished == self.official_size


def archives(
    folder: SourcePath,
    *,
    full: bool = False,
    jobs: int = 0,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> tuple[ArchiveState, ...]:
    """Say of each published archive, in their fixed order, whether it is in ``folder``, which need not exist.

    ``full``: compare the published checksums, and look for the bad part of what is damaged, with ``jobs`` processes (0
    means two for each processor), or with ``engine`` in their place. Raises SourceError if the folder cannot be listed.
    """
    check_platform()
    folder, watch = given("folder", folder, Path), given("watch", watch, Watch)
    full, jobs = given("full", full, bool), given("jobs", jobs, Jobs)
    there = _listed(folder)
    states = [_at_a_glance(archive, folder, there, watch) for archive in OFFICIAL_BY_ROLE.values()]
    return tuple(_in_full(folder, states, engine_for(engine, jobs), watch)) if full else tuple(states)


def _listed(folder: Path) -> set[str]:
    with source_errors(folder):
        try:
            return set(os.listdir(folder))
        except FileNotFoundError:
            return set()


def _at_a_glance(archive: OfficialArchive, folder: Path, there: set[str], watch: Watch) -> ArchiveState:
    names = [name for name in archive.names if name in there]
    for other in names[1:]:
        watch(Note(f"{names[0]} and {other} are the same archive under two names: the first is looked at."))
    for sentence in called_alike(archive, folder, there):
        watch(Note(sentence))
    for name in names:
        if reason := interrupted(folder / name):
            watch(Note(f"{name}: {reason}."))
    unfinished = [name for name in archive.names if part_path(folder / name).name in there]
    name = next(iter([*names, *unfinished, *archive.names]))
    state = ArchiveState(
        archive.role,
        name,
        official_size=archive.size,
        md5=archive.md5,
        sha1=archive.sha1,
        unfinished=_unfinished(folder, unfinished),
    )
    return _looked_at(state, archive, folder / name) if names else state


def _looked_at(state: ArchiveState, archive: OfficialArchive, path: Path) -> ArchiveState:
    size = _size(path)
    wrong = disguise_at(path, plain_tar=archive.plain_tar)
    unreadable = size is not None and not os.access(path, os.R_OK)
    disguised = bool(wrong) and not unreadable
    if not wrong and size is not None and archive.size is not None and size != archive.size:
        more = "it is another file, or something was written after its end"
        less = "it is unfinished, or another file"
        wrong = f"has {size:,} bytes, the published file has {archive.size:,}: {more if size > archive.size else less}"
    problems = (Problem(path.name, wrong),) if wrong else ()
    return replace(state, size=size, disguised=disguised, unreadable=unreadable, problems=problems)


def _size(path: Path) -> int | None:
    """Give the size of a file; None if it is not a file, or cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _unfinished(folder: Path, names: list[str]) -> int | None:
    """Give how much there is of the first part; None without one."""
    with source_errors(folder):
        return next((bytes_there(part) for name in names if (part := part_path(folder / name)).is_file()), None)


def _in_full(
    folder: Path, states: list[ArchiveState], engine: AbstractContextManager[Engine], watch: Watch
) -> list[ArchiveState]:
    found = {each.role: archive for each in states if (archive := _found(each, folder))}
    compare = comparer([found[each.role] for each in states if each.role in found and _is_worth_reading(each)], watch)
    judged = [_judged(each, found[each.role], compare, watch) if each.role in found else each for each in states]
    damaged = {each.role for each in judged if each.checksum == WRONG and each.role in WALKED}
    damaged = {role for role in damaged if not disguise_at(found[role].path, plain_tar=True)}
    if not damaged:
        return judged
    with engine as at_work:
        return [_searched(each, found[each.role], at_work, watch) if each.role in damaged else each for each in judged]


def _found(state: ArchiveState, folder: Path) -> Input | None:
    """Give what can be read: the archive, or a complete part that did not get its name; of a file that is
    too long, as much as the published one has.
    """
    final = folder / state.name
    if state.size is not None:
        return Input(state.role, final, min(state.size, state.official_size or state.size))
    if state.came_whole:
        return Input(state.role, part_path(final), state.official_size or 0)
    return None


def _is_worth_reading(state: ArchiveState) -> bool:
    """Whether the checksum may be the published one: of a file that is too long, that of its beginning."""
    too_short = (state.size or 0) < (state.official_size or 0) and not state.came_whole
    return not (state.disguised or state.unreadable or too_short)


def _judged(state: ArchiveState, found: Input, compare: Callable[[Input], str], watch: Watch) -> ArchiveState:
    if state.unreadable:
        return state
    if not _is_worth_reading(state):
        return replace(state, checksum=WRONG if state.md5 or state.sha1 else UNPUBLISHED)
    try:
        verdict = compare(found)
    except SourceError as error:  # a failing disk is damage like any other
        return replace(state, checksum=WRONG, problems=(Problem(found.path.name, error.summary),))
    if state.role == DEVKIT and verdict in (WRONG, OTHER):
        return _other_devkit(state, found.path, watch)
    if verdict == RIGHT and state.problems:
        return _too_long(state, found)
    differs = (Problem(found.path.name, _DIFFERS),) if verdict == WRONG else ()
    return replace(state, checksum=verdict, problems=state.problems or differs)


def _too_long(state: ArchiveState, found: Input) -> ArchiveState:
    reason = f"its first {found.size:,} bytes are the published file: something was written after its end"
    return replace(state, checksum=OTHER, problems=(Problem(found.path.name, reason),))


def _other_devkit(state: ArchiveState, path: Path, watch: Watch) -> ArchiveState:
    """A devkit that can be read to its end is sound: it was unpacked on the way, or it is another edition."""
    try:
        read_ground_truth(path)
    except SourceError as error:
        return replace(state, checksum=WRONG, problems=(Problem(state.name, _DIFFERS), *error.problems))
    how = ": it was unpacked on the way, as some browsers do" if not is_gzip(path) else ""
    watch(Note(f"{state.name} is sound, but not the published file{how}."))
    return replace(state, checksum=OTHER)


def _searched(state: ArchiveState, found: Input, engine: Engine, watch: Watch) -> ArchiveState:
    damage = damage_in(found, engine, watch)
    problems = damage.problems
    if not problems and found.size == state.official_size:
        problems = (Problem(found.path.name, "every image in it decodes: it is not known where it is damaged"),)
    return replace(state, problems=state.problems + problems, clean=damage.clean, containers=damage.parts)

"""What lies in a folder tree: images, class tars and annotations, known by the names of the files in them.

The names of the folders above do not count (train, ILSVRC2012_img_train, CLS-LOC, …), so any common layout is found.
A folder whose subfolders are named after classes and hold ImageNet's files is a set of class folders; one that holds
such files itself is a flat set. Nothing is opened, and a class folder is listed only up to its first known name.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from imagenet_prep.errors import Forbidden, MissingSourceError, Problem, SourceError, printable
from imagenet_prep.imagenet.archives import TRAIN, VALIDATION
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.platform import is_text, neighbour
from imagenet_prep.sources.base import ImageSet, Part, Seen, is_claimed
from imagenet_prep.sources.downloads import interrupted, tool_of
from imagenet_prep.sources.found import is_litter, is_of_system
from imagenet_prep.sources.labels import CLASS_TAR, role_of
from imagenet_prep.sources.reader import source_errors

_DEEPEST = 5  # folders below the one that was given: Kaggle's train lies four deep
MOST_FOLDERS = 20_000  # a home directory given by mistake must not take an hour
_LOOP = "is a symbolic link to a folder that it lies in: a loop"

ClassesCalled = Callable[[str], tuple[int, ...]]  # from a folder's name to the class indexes it may mean


class _Listing(NamedTuple):
    folders: list[str]
    tars: list[str]
    archives: list[str]  # files with the name of an archive
    links: list[str]  # other links that lead to no folder
    unfinished: list[str]  # what download tools leave
    roles: dict[str, str]  # of the files with the name of an image or annotation, and the first of these names
    strangers: list[str]  # the first of the other files, which may be images


def survey(sources: tuple[Path, ...], classes_called: ClassesCalled) -> Seen:
    """Search folders and files; files that were given are among ``files``.

    Raises SourceError if a source does not exist or cannot be read, or has so many folders that it can hardly be meant.
    """
    found = Seen()
    seen: set[tuple[int, int]] = set()
    for source in sources:
        if _is_given_folder(source):
            _search(source, found, seen, classes_called)
        else:
            found.files.append(source)
    return found


def _is_given_folder(source: Path) -> bool:
    with source_errors(source):
        try:
            return stat.S_ISDIR(os.stat(source).st_mode)
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # a ValueError for a path with NUL in it
            remedy = neighbour(source) or "Give the folder that holds the ILSVRC2012 archives or images."
            raise MissingSourceError(f"{printable(str(source))} does not exist.", remedy=remedy) from error


def _search(source: Path, found: Seen, seen: set[tuple[int, int]], classes_called: ClassesCalled) -> None:
    waiting = [(source, 0)]
    for folder, depth in waiting:  # grows while it is walked: near folders come first
        if len(waiting) > MOST_FOLDERS:
            remedy = "Name the folder that holds the ILSVRC2012 archives or images."
            raise SourceError(f"{source} has more than {MOST_FOLDERS:,} folders to search.", remedy=remedy)
        try:
            status = folder.stat()
            if _leads_back(folder):
                found.problems.append(Problem(printable(str(folder)), _LOOP))
                continue
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            listing = _list(folder)
            if depth and PRIVATE in listing.folders:
                found.builds.append(folder)
                continue
            found.unfinished += (folder / name for name in listing.unfinished)
            left = _take_sets(folder, listing, found, classes_called)
        except OSError as error:
            found.problems.append(_unreadable(Path(error.filename or folder), error))
            continue
        found.files += (folder / name for name in listing.archives)
        if depth < _DEEPEST:
            waiting += ((folder / name, depth + 1) for name in left)


def _leads_back(folder: Path) -> bool:
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _unreadable(folder: Path, error: OSError) -> Problem:
    kind = Forbidden if isinstance(error, PermissionError) else Problem
    return kind(printable(str(folder)), f"cannot be read: {error.strerror or error}")


def _list(folder: Path) -> _Listing:
    listing = _Listing([], [], [], [], [], {}, [])
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_folder(entry):
                (listing.unfinished if tool_of(entry.name) else listing.folders).append(entry.name)
            elif role := role_of(entry.name):  # may be a million: their names are not kept
                listing.roles[role] = min(entry.name, listing.roles.get(role, entry.name))
            elif CLASS_TAR.fullmatch(entry.name):
                listing.tars.append(entry.name)
            elif is_claimed(entry.name):
                listing.archives.append(entry.name)
            elif tool_of(entry.name):
                listing.unfinished.append(entry.name)
            elif entry.is_symlink():
                listing.links.append(entry.name)
            elif not listing.strangers and not is_litter(entry.name):
                listing.strangers.append(entry.name)
    for names in listing[:5]:
        names.sort()
    return listing


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one; a link that leads to itself is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _take_sets(folder: Path, listing: _Listing, found: Seen, classes_called: ClassesCalled) -> list[str]:
    """Add the sets that ``folder`` is; give the subfolders to search."""
    subfolders = [name for name in listing.folders if not name.startswith(".") and not is_of_system(name)]
    named = {name: classes for name in subfolders if (classes := classes_called(name))}
    roles = _class_folder_roles(folder, named, found)
    for role in sorted({*roles.values(), *listing.roles}):
        parts = [Part(name, named[name]) for name in sorted(roles) if roles[name] == role]
        if role in listing.roles:
            parts.insert(0, Part("", None))
        found.sets.append(ImageSet(role, folder, tuple(parts), example=listing.roles.get(role, "")))
    if listing.tars:
        tars = tuple(Part(name, classes_called(name.removesuffix(".tar"))) for name in listing.tars)
        found.sets.append(ImageSet(TRAIN, folder, tars, tars=True))
        halves = ((name, why) for name in listing.tars if (why := interrupted(folder / name)))
        found.problems += (Problem(printable(str(folder)), why, name) for name, why in halves)
    if not roles:
        found.unnamed += (folder / name for name in named if _list(folder / name).strangers)
        return subfolders
    unknown = [name for name in subfolders if name not in named]
    strange = [name for name in unknown if _holds_a_class(folder / name)]
    wrong = dict.fromkeys(strange, "is not named after one of the 1,000 classes")
    wrong |= dict.fromkeys((name for name in roles if not is_text(name)), "has a name that is not UTF-8 text")
    lost = (name for name in listing.links if classes_called(name))
    wrong |= dict.fromkeys(lost, "is a symbolic link that does not lead to a folder")
    found.problems += (Problem(printable(str(folder)), wrong[name], printable(name)) for name in sorted(wrong))
    return [name for name in unknown if name not in strange]


def _holds_a_class(folder: Path) -> bool:
    """Whether a folder beside class folders holds train images, or what may be images under other names."""
    listing = _list(folder)
    if listing.roles:
        return TRAIN in listing.roles
    return bool(listing.strangers) and PRIVATE not in listing.folders


def _class_folder_roles(folder: Path, names: Iterable[str], found: Seen) -> dict[str, str]:
    """Give the role of every class folder in ``folder``; none if there is nothing of ImageNet in any of them."""
    roles = {name: role for name in names if (role := _role_within(folder / name, found.problems))}
    if not roles:
        return {}
    usual = Counter(sorted(roles.values())).most_common(1)[0][0]
    # A stray file must not make its folder a set, and one without a good name must be reported.
    odd = [name for name in roles if roles[name] != usual and usual in _list(folder / name).roles]
    return roles | dict.fromkeys([*odd, *(name for name in names if name not in roles)], usual)


def _role_within(folder: Path, problems: list[Problem]) -> str | None:
    """Give the role of the first labelled image in a folder; without any, that of what else is there."""
    others = set()
    try:
        if _leads_back(folder):
            problems.append(Problem(printable(str(folder)), _LOOP))
            return None
        with os.scandir(folder) as entries:
            for entry in entries:
                role = role_of(entry.name)
                if role and not is_folder(entry):
                    if role in (TRAIN, VALIDATION):
                        return role
                    others.add(role)
    except OSError as error:
        problems.append(_unreadable(folder, error))
    return min(others, default=None)

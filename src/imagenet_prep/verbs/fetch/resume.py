"""What is there of a file before a byte is asked for: all of it, a part of ours, somebody else's, or nothing."""

from __future__ import annotations

import os
import shlex
import stat
from dataclasses import replace
from pathlib import Path

from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.imagenet.archives import OFFICIAL_BY_ROLE, UNPUBLISHED, OfficialArchive
from imagenet_prep.sources.checksum import published_checksum
from imagenet_prep.sources.disguise import disguise_at, is_tar_at
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.verbs.fetch.report import Fetched
from imagenet_prep.verbs.fetch.unfinished import (
    TORRENT,
    URL,
    Bookmark,
    bytes_there,
    forget_bookmark,
    load_bookmark,
    unfinished_path,
)


def published_as(name: str) -> OfficialArchive | None:
    """Find what is published under a name; None for a name of no official archive."""
    return next((archive for archive in OFFICIAL_BY_ROLE.values() if name in archive.names), None)


def checksum_of(name: str) -> tuple[str, str]:
    """Give the algorithm and the published checksum of a file; two empty texts where there is none."""
    archive = published_as(name)
    return published_checksum(archive, name) if archive else ("", "")


def missing_of(final: Path) -> int:
    """Give how many bytes are to come of a file; 0 if it is there, or no size is published. Raises SourceError."""
    archive = published_as(final.name)
    if archive is None or archive.size is None or os.path.lexists(final):
        return 0
    with source_errors(final):
        return max(0, archive.size - (bytes_there(final) or 0))


def there_already(final: Path) -> Fetched:
    """Give a file that has its final name, unread. Raises SourceError if it cannot be what it is called."""
    forget_bookmark(final)
    archive = published_as(final.name)
    with source_errors(final):
        if not final.is_file():
            raise in_the_way(final, "is not a file", "Move it away.")
        size = final.stat().st_size
    if archive and (wrong := disguise_at(final, plain_tar=archive.plain_tar)):
        raise in_the_way(final, wrong, "Move it away.")
    if archive and archive.size not in (None, size):
        reason = f"has {size:,} bytes, and the published file {archive.size:,}"
        raise in_the_way(final, reason, _how_to_go_on(final, archive))
    return Fetched(final.name, size, 0, "" if checksum_of(final.name)[1] else UNPUBLISHED)


def _how_to_go_on(final: Path, archive: OfficialArchive) -> str:
    part = unfinished_path(final)
    shorter = archive.size is not None and final.stat().st_size < archive.size
    if not (shorter and is_tar_at(final)) or os.path.lexists(part):
        return "Move it away."
    command = shlex.join(["mv", "-n", str(final), str(part)])
    pieces = "; or fetch only what is missing with --torrent" if archive.info_hash else ""
    return f"Move it away{pieces}; or, if it is the beginning of the file, go on from there after: {command}"


def begun(final: Path, *, fresh: bool) -> Bookmark:
    """Say from where to go on with ``final``, which is not there; with ``fresh``, from the start. Raises SourceError if
    its part is not ours to go on with.
    """
    algorithm, _ = checksum_of(final.name)
    part, bookmark = unfinished_path(final), load_bookmark(final)
    if not os.path.lexists(part):
        return Bookmark(by=URL, algorithm=algorithm)
    with source_errors(part):
        status = part.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise in_the_way(part, "is not a file", "Move it away.")
    if status.st_size == 0:  # a kill before the first byte
        return Bookmark(by=URL, algorithm=algorithm)
    if fresh and (bookmark is None or bookmark.adopted):
        raise in_the_way(part, "was not begun by this program, which does not take it away", "Move it away.")
    if fresh:
        return Bookmark(by=URL, algorithm=algorithm)
    if bookmark is None:
        return _adopted(final, algorithm, status.st_size)
    if bookmark.by == TORRENT:
        why = "was begun from a torrent, whose pieces come in any order"
        remedy = "Go on with --torrent." if bookmark.adopted else "Go on with --torrent, or begin anew with --fresh."
        raise in_the_way(part, why, remedy)
    return bookmark if bookmark.algorithm == algorithm else replace(bookmark, algorithm=algorithm, hashed=0, state="")


def _adopted(final: Path, algorithm: str, size: int) -> Bookmark:
    """Go on with a part that another program, or the user, has put there: the checksum will show what it was."""
    part, archive = unfinished_path(final), published_as(final.name)
    if not algorithm or archive is None:
        raise in_the_way(part, "is not of this program, and no checksum would show what it is", "Move it away.")
    if wrong := disguise_at(part, plain_tar=archive.plain_tar):
        raise in_the_way(part, wrong, "Move it away.")
    if archive.plain_tar and not is_tar_at(part):
        raise in_the_way(part, "is not the beginning of a tar", "Move it away.")
    if archive.size is not None and size > archive.size:
        why = f"has {size:,} bytes, more than the published file, {archive.size:,}"
        raise in_the_way(part, why, "Move it away.")
    return Bookmark(by=URL, size=archive.size, received=size, algorithm=algorithm, adopted=True)


def in_the_way(path: Path, why: str, remedy: str) -> SourceError:
    """Make the error for something that is there, is not ours, and stays."""
    return SourceError("A file is in the way:", (Problem(printable(path.name), why),), remedy)

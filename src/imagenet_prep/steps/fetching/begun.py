"""What is there of a file before a byte is asked for: all of it, a part of ours, somebody else's, or nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from imagenet_prep.core.facts import OFFICIAL_BY_ROLE, TRAIN, VALIDATION, OfficialArchive
from imagenet_prep.core.fetched import Fetched
from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.sources.base import source_errors
from imagenet_prep.sources.disguise import disguise_at
from imagenet_prep.storage.temporary import output_errors
from imagenet_prep.storage.unfinished import TORRENT, URL, Bookmark, load_bookmark, remove_unfinished, unfinished_path


def published_as(name: str) -> OfficialArchive | None:
    """Find what is published under a name; None for a name of no official archive."""
    return next((archive for archive in OFFICIAL_BY_ROLE.values() if name in archive.names), None)


def is_plain_tar(archive: OfficialArchive) -> bool:
    """Whether an archive is published as a tar that nothing compresses."""
    return archive.role in (TRAIN, VALIDATION)


def checksum_of(name: str) -> tuple[str, str]:
    """Give the algorithm and the published checksum of a file; two empty texts where there is none.

    The other names of an archive are those it has when a browser has unpacked it, which changes its bytes.
    """
    archive = published_as(name)
    if archive is None or Path(name).suffix != Path(archive.names[0]).suffix:
        return "", ""
    if archive.md5:
        return "md5", archive.md5
    return ("sha1", archive.sha1) if archive.sha1 else ("", "")


def there_already(final: Path) -> Fetched:
    """Give a file that has its final name, unread. Raises SourceError if it cannot be what it is called."""
    archive = published_as(final.name)
    with source_errors(final):
        size = final.stat().st_size
    wrong = disguise_at(final, plain_tar=is_plain_tar(archive)) if archive else ""
    if not wrong and archive and archive.size not in (None, size):
        wrong = f"has {size:,} bytes, and the published file {archive.size:,}"
    if wrong:
        name = printable(final.name)
        raise SourceError(
            "A file is there already:",
            (Problem(name, wrong),),
            f"Move it away; or, if it is the beginning of the file, go on from there: mv {name} {name}.part",
        )
    return Fetched(final.name, size, 0, "")


def begun(final: Path, *, fresh: bool) -> Bookmark:
    """Say from where to go on with ``final``, which is not there. Raises SourceError if its part is not ours to go on
    with; with ``fresh`` a part of ours is taken away.
    """
    algorithm, _ = checksum_of(final.name)
    part, bookmark = unfinished_path(final), load_bookmark(final)
    if bookmark and fresh:
        remove_unfinished(final)
    if not part.exists() or (bookmark is None and part.stat().st_size == 0):  # a kill before the first byte
        return Bookmark(by=URL, algorithm=algorithm)
    if bookmark is None:
        return _adopted(final, algorithm, fresh=fresh)
    if bookmark.by == TORRENT:
        raise _refused(part, "was begun from a torrent, whose pieces come in any order", "Go on with --torrent, or ")
    return bookmark if bookmark.algorithm == algorithm else replace(bookmark, algorithm=algorithm, hashed=0, state="")


def _adopted(final: Path, algorithm: str, *, fresh: bool) -> Bookmark:
    """Go on with a part that another program, or the user, has put there: the checksum will show what it was."""
    part, archive = unfinished_path(final), published_as(final.name)
    with output_errors(part, "read"):
        size = part.stat().st_size
    if fresh or not algorithm:
        raise _refused(part, "is not of this program")
    if archive and archive.size is not None and size > archive.size:
        raise _refused(part, f"has {size:,} bytes, more than the published file, {archive.size:,}")
    return Bookmark(by=URL, size=archive.size if archive else None, received=size, algorithm=algorithm)


def _refused(part: Path, why: str, remedy: str = "") -> SourceError:
    last = "begin anew with --fresh." if remedy else "Move it away."
    return SourceError("An unfinished file is in the way:", (Problem(printable(part.name), why),), remedy + last)

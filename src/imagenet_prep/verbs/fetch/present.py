"""What has the name of a file before a byte is asked for: all of it, a part of ours, something else, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.imagenet.archives import OFFICIAL_BY_ROLE, UNPUBLISHED, OfficialArchive
from imagenet_prep.sources.checksum import published_checksum
from imagenet_prep.sources.disguise import disguise_at, is_tar_at
from imagenet_prep.verbs.fetch.part import TORRENT, Origin, load_origin, part_path
from imagenet_prep.verbs.fetch.report import Fetched


def published_as(name: str) -> OfficialArchive | None:
    """Find what is published under a name; None for a name of no official archive."""
    return next((archive for archive in OFFICIAL_BY_ROLE.values() if name in archive.names), None)


def checksum_of(name: str) -> tuple[str, str]:
    """Give the algorithm and the published checksum of a file; two empty texts where there is none."""
    archive = published_as(name)
    return published_checksum(archive, name) if archive else ("", "")


def in_the_way(path: Path, why: str, remedy: str = "Move it away.") -> SourceError:
    """Make the error for something that is there, is not ours, and stays."""
    return SourceError("A file is in the way:", (Problem(printable(path.name), why),), remedy)


def there_already(final: Path) -> Fetched:
    """Give a file that has its final name, unread. Raises SourceError if it cannot be what its name says."""
    archive = published_as(final.name)
    if not final.is_file():
        raise in_the_way(final, "is not a file")
    if archive and (wrong := disguise_at(final, plain_tar=archive.plain_tar)):
        raise in_the_way(final, wrong)
    size = final.stat().st_size
    if archive and archive.size not in (None, size):
        remedy = (
            "Move it away; if it is the beginning of the file, call it NAME.part; --torrent fetches what is missing."
        )
        raise in_the_way(final, f"has {size:,} bytes, and the published file has {archive.size:,}", remedy)
    return Fetched(final.name, size, 0, "" if checksum_of(final.name)[1] else UNPUBLISHED)


def take_up(final: Path, *, fresh: bool) -> tuple[int, Origin | None]:
    """Say from which byte to go on with ``final``, which is not there, and what is known of its part: None of one that
    the user or another program has put there. Raises SourceError if the part cannot be gone on with.
    """
    part, origin = part_path(final), load_origin(final)
    if not os.path.lexists(part):
        return 0, None
    if origin and origin.by == TORRENT:
        remedy = "Go on with --torrent, or move it away."
        raise in_the_way(part, "is of a torrent, whose pieces come in any order", remedy)
    if part.is_symlink() or not part.is_file():
        raise in_the_way(part, "is not a file")
    size = part.stat().st_size
    if not origin and (why := "is not of this program" if fresh else _stranger(part, final, size)):
        raise in_the_way(part, why)
    return (0, None) if fresh else (size, origin)


def _stranger(part: Path, final: Path, size: int) -> str | None:
    """Say why a part of another program cannot be gone on with, if the published checksum would not show what it is."""
    archive = published_as(final.name)
    if archive is None or not checksum_of(final.name)[1]:
        return "is not of this program, and no checksum is published that would show what it is"
    if archive.size and size > archive.size:
        return f"has {size:,} bytes, more than the published file, which has {archive.size:,}"
    if archive.plain_tar and not is_tar_at(part):
        return disguise_at(part, plain_tar=True) or "is not the beginning of a tar"
    return disguise_at(part, plain_tar=archive.plain_tar)

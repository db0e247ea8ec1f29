"""The published checksums of archives, compared with what is on the disk: MD5 where one is published, else SHA-1."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from imagenet_prep.imagenet.archives import OFFICIAL_BY_ROLE, OTHER, RIGHT, UNPUBLISHED, WRONG, archive_called
from imagenet_prep.sources.reader import source_errors

_CHUNK_BYTES = 4 << 20


def published_checksum(name: str) -> tuple[str, str]:
    """Give the algorithm and the published checksum of a file called ``name``; two empty texts where there is none.

    Of the names of an archive, some are those it has when a browser has unpacked it, which changes its bytes.
    """
    archive = archive_called(name)
    if archive is None or Path(name).suffix != Path(archive.names[0]).suffix:
        return "", ""
    if archive.md5:
        return "md5", archive.md5
    return ("sha1", archive.sha1) if archive.sha1 else ("", "")


def is_comparable(role: str, path: Path, size: int) -> bool:
    """Whether a file can be the published one, which takes its size and, for a compressed one, its compression. A part
    is compared as what it will be. Under another name than its own it can be, too, if the size is published.
    """
    archive = OFFICIAL_BY_ROLE.get(role)
    name = archive.names[0] if archive and archive.size else path.name.removesuffix(".part")
    return archive is not None and archive.size in (None, size) and published_checksum(name)[1] != ""


def verdict_unread(role: str) -> str:
    """Give the verdict on a file that is not comparable, UNPUBLISHED or OTHER."""
    archive = OFFICIAL_BY_ROLE.get(role)
    return OTHER if archive and (archive.md5 or archive.sha1) else UNPUBLISHED


def compare_checksum(role: str, path: Path, read: Callable[[int], None]) -> str:
    """Read a comparable file and give RIGHT or WRONG; ``read`` is told how many bytes more were read. What is
    after the published size does not count. Raises SourceError if it cannot be read.
    """
    archive = OFFICIAL_BY_ROLE[role]
    algorithm, published = published_checksum(archive.names[0])
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with source_errors(path), path.open("rb", buffering=0) as file:
        left = archive.size or sys.maxsize
        while chunk := file.read(min(_CHUNK_BYTES, left)):
            digest.update(chunk)
            read(len(chunk))
            left -= len(chunk)
    return RIGHT if digest.hexdigest() == published else WRONG

"""Small archives that are published compressed, and that some browsers unpack while they download: read in full,
either way.

Walked like every other tar, because the standard library's reader believes what headers claim: it allocates any size,
goes backwards, and takes a damaged header for the end. Read to their last byte, because the checksum of a gzip file
is there.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from imagenet_prep.codecs.tar import Member, Missing, TarRange, walk
from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.sources.disguise import START_BYTES, packed_by
from imagenet_prep.sources.image_zip import packed_zip, unpacked_zip, unpacked_zip_size
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.sources.unpacking import PACKED, UnpackingError, unpacked, unpacked_size

_CHUNK_BYTES = 1 << 20
ENDLESS = 1 << 62  # bytes: how long a compressed archive is, is known when its end is met


_REMEDY = "Download it again, or compare its checksum with the published one."


@contextmanager
def unpacking_errors(path: Path) -> Iterator[None]:
    """Turn an UnpackingError about a source into a SourceError."""
    try:
        yield
    except UnpackingError as error:
        problem = Problem(printable(path.name), str(error), offset=error.offset)
        raise SourceError("An archive cannot be unpacked:", (problem,), _REMEDY) from error


def packed_at(path: Path | str) -> str:
    """Say by what the file at ``path`` is packed, so that it is read in order; "" for a folder, and for nothing."""
    if not os.path.isfile(path):
        return ""
    with source_errors(path), open(path, "rb") as archive:
        packed = packed_by(archive.read(START_BYTES))
    if packed == "zip":
        return packed_zip(Path(path))
    return packed if packed in PACKED else ""


def plain_size(path: Path | str) -> int:
    """Give how many bytes the plain form of an archive takes, about; 0 if it is not packed. Raises SourceError."""
    packed = packed_at(path)
    if packed not in PACKED:
        return unpacked_zip_size(Path(path)) if packed else 0
    with source_errors(path), open(path, "rb") as archive:
        return unpacked_size(archive, os.fstat(archive.fileno()).st_size, packed)


def plain_form(path: Path) -> Iterator[bytes]:
    """Yield the plain form of a packed archive, in pieces. Raises SourceError."""
    packed = packed_at(path)
    if packed not in PACKED:
        yield from unpacked_zip(path)
        return
    with source_errors(path), path.open("rb") as archive, unpacking_errors(path):
        yield from unpacked(archive, os.fstat(archive.fileno()).st_size, packed)


@contextmanager
def packed_archive(path: Path, remedy: str) -> Iterator[TarRange]:
    """Open a tar archive, compressed or not. Whatever is wrong with it, up to its last byte, becomes a SourceError."""
    with source_errors(path), path.open("rb") as file:
        tar = TarRange(file.fileno(), path.name, "", 0, os.fstat(file.fileno()).st_size, remedy)
        if file.peek(2)[:2] != b"\x1f\x8b":
            yield tar
            return
        try:
            with gzip.open(file) as stream:
                yield tar._replace(end=ENDLESS, stream=cast("BinaryIO", stream))
                while stream.read(_CHUNK_BYTES):
                    pass
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise SourceError(f"{path} cannot be read: {error}.", remedy=remedy) from error


def each_file(tar: TarRange) -> Iterator[Member]:
    """Yield the regular files in order. Read what is wanted of one before asking for the next."""
    for member in walk(tar):
        if isinstance(member, Missing):
            raise tar.damaged(member.offset, member.reason)
        if member.is_file:
            yield member

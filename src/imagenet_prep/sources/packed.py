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
from imagenet_prep.errors import SourceError
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.sources.unpacking import ENDLESS

_CHUNK_BYTES = 1 << 20


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

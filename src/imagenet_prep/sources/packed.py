"""Small archives that are published compressed, and that some browsers unpack while they download: read as a whole,
either way.

Read to their very end, because the checksum of a gzip file stands there, and the standard library's tar reader stops
before it.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagenet_prep.errors import SourceError
from imagenet_prep.sources.base import source_errors

_CHUNK_BYTES = 1 << 20


@contextmanager
def packed_archive(path: Path, remedy: str) -> Iterator[tarfile.TarFile]:
    """Open a tar archive, compressed or not. Whatever is wrong with it, up to its last byte, becomes a SourceError."""
    with source_errors(path):
        try:
            with tarfile.open(path, "r:*") as archive:
                yield archive
                while archive.fileobj.read(_CHUNK_BYTES):
                    pass
        except (tarfile.TarError, zlib.error, EOFError) as error:
            raise SourceError(f"{path} cannot be read: {error}.", remedy=remedy) from error


def each_member(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members in order. Each is forgotten behind the next: 544,546 annotations would take half a gigabyte."""
    while (member := archive.next()) is not None:
        yield member
        archive.members.clear()  # type: ignore[attr-defined]  # an attribute that the stubs leave out

"""What is packed can be read in order alone, and has a plain form, in which images lie at offsets: of a compressed tar
it is the tar, of a zip that compresses its images, and of Parquet, one after another.

A packed archive is known by its first bytes. Who unpacks it, and where to, is not decided here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.sources.image_zip import is_packed_zip, unpacked_zip, unpacked_zip_size
from imagenet_prep.sources.parquet import MAGIC, PACKED_PARQUET, parquet_modified, parquet_size, unpacked_parquet
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.sources.unpacking import PACKED, UnpackingError, packing_of, unpacked, unpacked_size

_REMEDY = "Download it again, or compare its checksum with the published one."


class _Form(NamedTuple):
    """One way to be packed: whether an archive is, the bytes of its plain form, about, the form itself in pieces,
    and when it was changed last, in nanoseconds. All raise SourceError.
    """

    is_packed: Callable[[Path], bool]
    size: Callable[[Path], int]
    pieces: Callable[[Path], Iterator[bytes]]
    modified: Callable[[Path], int]


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
    packed = _packed_by(Path(path))
    return packed if packed in _FORMS and _FORMS[packed].is_packed(Path(path)) else ""


def plain_size(path: Path | str) -> int:
    """Give how many bytes the plain form of an archive takes, about; 0 if it is not packed. Raises SourceError."""
    packed = packed_at(path)
    return _FORMS[packed].size(Path(path)) if packed else 0


def plain_form(path: Path) -> Iterator[bytes]:
    """Yield the plain form of a packed archive, in pieces. Raises SourceError."""
    return _FORMS[_packed_by(path)].pieces(path)


def modified_at(path: Path) -> int:
    """Give when a packed archive was changed last, in nanoseconds; of a set, any of it. Raises SourceError."""
    return _FORMS[_packed_by(path)].modified(path)


def _packed_by(path: Path) -> str:
    with source_errors(path), path.open("rb") as archive:
        return PACKED_PARQUET if archive.read(len(MAGIC)) == MAGIC else packing_of(archive)


def _stream_size(path: Path) -> int:
    with source_errors(path), path.open("rb") as archive:
        return unpacked_size(archive, os.fstat(archive.fileno()).st_size, _packed_by(path))


def _modified(path: Path) -> int:
    with source_errors(path):
        return path.stat().st_mtime_ns


def _stream(path: Path) -> Iterator[bytes]:
    with source_errors(path), path.open("rb") as archive, unpacking_errors(path):
        yield from unpacked(archive, os.fstat(archive.fileno()).st_size, _packed_by(path))


_FORMS = {
    "zip": _Form(is_packed_zip, unpacked_zip_size, unpacked_zip, _modified),
    **dict.fromkeys(PACKED, _Form(os.path.isfile, _stream_size, _stream, _modified)),
    PACKED_PARQUET: _Form(os.path.isfile, parquet_size, unpacked_parquet, parquet_modified),
}

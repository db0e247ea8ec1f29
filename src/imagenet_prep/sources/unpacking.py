"""What compresses a whole file, read once and in order: gzip, bzip2, xz and zstd; and the zip around one tar, which may
be compressed once more, as Kaggle had it.

Every byte is checked that has a check: a file that ends early, a wrong checksum, and whatever follows the end are
errors. So is a file that grows beyond what images can: they hardly compress, and a file that grows a hundred times is
made to fill a disk.
"""

from __future__ import annotations

import bz2
import io
import lzma
import re
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

from imagenet_prep.sources.disguise import START_BYTES, packed_by

ENDLESS = 1 << 62  # bytes: how long what is packed is, is known when its end is met
_CHUNK_BYTES = 1 << 20
_MOST_TIMES, _MOST_BYTES = 20, 64 << 20  # how far a file may grow: so many times, and so many bytes beyond
_Unpack = Callable[[BinaryIO, int], Iterator[bytes]]
_GZIP = zlib.MAX_WBITS | 16
_TAR = re.compile(r"[^/]+\.(?:tar(?:\.(?:gz|bz2|xz|zst))?|tgz)", re.IGNORECASE)  # at the top of a zip
_BESIDE_TAR = re.compile(rb"PK\x03\x04.{26}[\w.() -]+?\.(?:csv|txt|tar|tgz)", re.DOTALL)  # how such a zip begins
# What the standard library raises for a bad zip or stream; a member that is encrypted is a RuntimeError.
_DAMAGE = (zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, struct.error, OverflowError)
_TRAILER_BYTES, _WRAP = 4, 1 << 32  # a gzip file ends with its size as it was, modulo 4 GiB


class UnpackingError(ValueError):
    """Says what is wrong with a compressed file; ``offset`` is where in it that was seen, more or less."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.offset = offset


class _Stream(ABC):
    """One stream of several that may follow each other in a file."""

    def __init__(self, of: Any) -> None:
        self.of = of  # of the standard library

    @abstractmethod
    def unpack(self, data: bytes, most: int) -> Iterator[bytes]:
        """Yield what data unpacks to, in pieces of at most so many bytes."""


class _Gzip(_Stream):
    def unpack(self, data: bytes, most: int) -> Iterator[bytes]:
        """Give back what was not used yet."""
        while data and not self.of.eof:
            yield self.of.decompress(data, most)
            data = self.of.unconsumed_tail


class _Limited(_Stream):
    """bz2 and lzma keep for themselves what they have not used yet."""

    def unpack(self, data: bytes, most: int) -> Iterator[bytes]:
        """Ask until they want more."""
        yield self.of.decompress(data, most)
        while not self.of.eof and not self.of.needs_input:
            yield self.of.decompress(b"", most)


def _in_streams(new: Callable[[], _Stream]) -> _Unpack:
    def unpack(file: BinaryIO, most: int) -> Iterator[bytes]:
        data = file.read(_CHUNK_BYTES)
        while data:
            stream = new()
            yield from stream.unpack(data, most)
            while not stream.of.eof:
                if not (data := file.read(_CHUNK_BYTES)):
                    raise EOFError
                yield from stream.unpack(data, most)
            data = stream.of.unused_data.lstrip(b"\0")  # zeros pad a file that was on a tape
            while not data and (more := file.read(_CHUNK_BYTES)):
                data = more.lstrip(b"\0")

    return unpack


class _Lent:
    """A file for Arrow to read, which would close it."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read

    def close(self) -> None:
        """Leave it open."""


def _zstd(file: BinaryIO, most: int) -> Iterator[bytes]:
    import pyarrow as pa  # of all kept libraries with zstd the one that is there

    with pa.CompressedInputStream(pa.PythonFile(_Lent(file), "r"), "zstd") as stream:
        while data := stream.read(most):
            yield data


def _tar_in_zip(file: BinaryIO, most: int) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(file) as archive, archive.open(_tars_in(archive)[0]) as member:
            packed = packed_by(member.read(START_BYTES))
            member.seek(0)
            tar = cast("BinaryIO", member)
            yield from _BY[packed](tar, most) if packed in _BY else iter(lambda: tar.read(most), b"")
    except (ValueError, IndexError) as error:  # a field that cannot be, or a tar that has gone
        raise zipfile.BadZipFile(str(error)) from error


def _tars_in(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [each for each in archive.infolist() if _TAR.fullmatch(each.filename)]


TAR_IN_ZIP = "zip and tar"
_BY: dict[str, _Unpack] = {
    "gzip": _in_streams(lambda: _Gzip(zlib.decompressobj(_GZIP))),
    "bzip2": _in_streams(lambda: _Limited(bz2.BZ2Decompressor())),
    "xz": _in_streams(lambda: _Limited(lzma.LZMADecompressor(lzma.FORMAT_XZ))),
    "zstd": _zstd,
    TAR_IN_ZIP: _tar_in_zip,
}
PACKED = frozenset(_BY)


def packing_of(file: BinaryIO) -> str:
    """Say by what a file is packed, by how it begins; "" for nothing that is known. A zip is looked into if its first
    member may be one of the few around a tar.
    """
    file.seek(0)
    start = file.read(START_BYTES)
    packed = packed_by(start)
    if packed != "zip" or not _BESIDE_TAR.match(start):
        return packed
    try:
        with zipfile.ZipFile(file) as archive:
            return TAR_IN_ZIP if len(_tars_in(archive)) == 1 else packed
    except (zipfile.BadZipFile, ValueError, *_DAMAGE):  # whoever reads it says so
        return packed


def unpacked(file: BinaryIO, size: int, packed: str, piece_bytes: int = _CHUNK_BYTES) -> Iterator[bytes]:
    """Yield what is in a file of ``size`` bytes that is ``packed``, in pieces of at most so many bytes, some of which
    may be empty. Raises UnpackingError.
    """
    limit, done = _MOST_TIMES * size + _MOST_BYTES, 0
    try:
        for piece in _BY[packed](file, piece_bytes):
            done += len(piece)
            if done > limit:
                raise UnpackingError(f"grows to more than {limit:,} bytes, which images never do", file.tell())
            yield piece
    except EOFError as error:
        raise UnpackingError(f"ends early: its {packed} data is not complete", file.tell()) from error
    except (zipfile.BadZipFile, *_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk
            raise
        raise UnpackingError(f"is damaged: {error}", file.tell()) from error


def unpacked_size(file: BinaryIO, size: int, packed: str) -> int:
    """Give how many bytes a file of ``size`` bytes takes unpacked. Of a gzip file that is known, if the last four bytes
    are those of all of it, and images lie in it, which hardly compress; of others it is guessed, and generous.
    """
    if packed != "gzip" or size < _TRAILER_BYTES:
        return size * 5 // 4
    file.seek(size - _TRAILER_BYTES)
    last = int.from_bytes(file.read(_TRAILER_BYTES), "little")
    least = size * 63 // 64  # what cannot be compressed grows by less
    return last + max(0, -(-(least - last) // _WRAP)) * _WRAP


class Forwards(io.RawIOBase):
    """A compressed file as `TarRange` reads one: at growing offsets; who goes back starts again."""

    def __init__(self, file: BinaryIO, size: int, packed: str) -> None:
        super().__init__()
        self._file, self._size, self._packed = file, size, packed
        self._restart()

    def _restart(self) -> None:
        self._file.seek(0)
        self._pieces = unpacked(self._file, self._size, self._packed)
        self._kept, self._start, self._at = b"", 0, 0  # a piece, and where it begins; where to read

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset from the start."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation
        if offset < self._start:
            self._restart()
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes, fewer at the end; all the rest without a number is not for memory."""
        while self._start + len(self._kept) < self._at + size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            keep = self._kept[max(0, self._at - self._start) :]
            self._start += len(self._kept) - len(keep)
            self._kept = keep + piece
        begin = self._at - self._start
        return self._kept[begin : begin + size]

    def finish(self) -> None:
        """Read to the end, where the checksum is."""
        for piece in self._pieces:
            self._start, self._kept = self._start + len(self._kept), piece

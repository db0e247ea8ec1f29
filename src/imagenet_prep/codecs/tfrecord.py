"""TFRecord framing: length, CRC of the length, data, CRC of the data; nothing else, so the file is as long as
its records.

    uint64 length · uint32 masked crc32c(length) · data · uint32 masked crc32c(data)        (all little-endian)

(TensorFlow, ``core/lib/io/record_writer.h``.) The image inside a record is the reader's own memory: it is
checksummed and written from where it lies. Records are gathered and written with one system call for about
a megabyte.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import xxhash
from fastcrc.crc32 import iscsi as crc32c

from imagenet_prep.codecs.example import Value, parse
from imagenet_prep.errors import AuditError, Problem
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.task import FileFact
from imagenet_prep.outputs.base import Buffer, Target, Written

FRAMING_BYTES = 16  # of each record: 12 before the data, 4 behind it
_BUFFERS_AT_ONCE = 1020  # a multiple of the three buffers of a record below IOV_MAX, which is 1024 on Linux and macOS
WRITE_BEHIND_BYTES = 16 << 20  # handed to the page cache before the disk is asked to begin: a sixth less time on a disk
_READ_BYTES = 1 << 20  # asked of the system at once
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")


def masked(crc: int) -> int:
    """Mask a CRC the way TFRecord stores it, so that a CRC of data that holds CRCs stays a good one."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


class RecordWriter:
    """One TFRecord file being written: the ``ShardWriter`` of every schema. ``encode`` gives what stands
    before and behind an image.
    """

    def __init__(self, target: Target, path: str, encode: Callable[[Sample], tuple[bytes, bytes]]) -> None:
        self._path = path
        self._encode = encode
        self._descriptor = target.create(path)
        self._pending: list[Buffer] = []
        self._lengths = array("q")
        self._digest = xxhash.xxh3_128()
        self._size = self._begun = 0

    def add(self, sample: Sample) -> None:
        """Take one sample, without copying its image."""
        head, tail = self._encode(sample)
        image = sample.image
        size = len(head) + len(image) + len(tail)
        length = _LENGTH.pack(size)
        crc = crc32c(tail, crc32c(image, crc32c(head)))
        buffers = (length + _CRC.pack(masked(crc32c(length))) + head, image, tail + _CRC.pack(masked(crc)))
        for buffer in buffers:  # now, while the image is in the processor's cache
            self._digest.update(buffer)
        self._pending += buffers
        self._lengths.append(size + FRAMING_BYTES)

    def flush(self) -> None:
        """Write what was taken; the images of it are no longer needed afterwards."""
        for start in range(0, len(self._pending), _BUFFERS_AT_ONCE):
            self._size += write_all(self._descriptor, self._pending[start : start + _BUFFERS_AT_ONCE])
        self._pending.clear()
        if self._size - self._begun >= WRITE_BEHIND_BYTES:
            self._begin_writing()

    def _begin_writing(self) -> None:
        """Have the disk begin with what is written so far, so that the last sync finds little left to wait for."""
        if hasattr(os, "posix_fadvise"):  # not on macOS; for pages that are still dirty this advice means: write them
            with suppress(OSError):  # it is advice, which some file systems do not take
                os.posix_fadvise(self._descriptor, self._begun, self._size - self._begun, os.POSIX_FADV_DONTNEED)
        self._begun = self._size

    def finish(self) -> Written:
        """Flush; tell the file's size and digest, and the length of every record."""
        self.flush()
        return Written((FileFact(self._path, self._size, self._digest.hexdigest()),), self._lengths)


def write_all(descriptor: int, buffers: list[Buffer]) -> int:
    """Write all of the buffers and give their length in bytes: a signal ends a system call early, without an error."""
    size = left = sum(map(len, buffers))
    while left:
        written = os.writev(descriptor, buffers)
        left -= written
        if left:
            buffers = _without(buffers, written)
    return size


def _without(buffers: list[Buffer], written: int) -> list[Buffer]:
    for index, buffer in enumerate(buffers):
        if written < len(buffer):
            return [memoryview(buffer)[written:], *buffers[index + 1 :]]
        written -= len(buffer)
    return []


def read_records(path: Path, name: str, seen: list[FileFact] | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield offset and data of every record, both CRCs verified. ``name`` is how a message calls the file; ``seen``
    takes its size and digest once it was read to its end.

    Raises AuditError with the offset of the first damaged or unfinished record.
    """
    digest = xxhash.xxh3_128()
    with path.open("rb", buffering=_READ_BYTES) as file:
        offset, size = 0, os.fstat(file.fileno()).st_size
        while head := file.read(12):
            if len(head) < 12 or masked(crc32c(head[:8])) != _CRC.unpack(head[8:])[0]:
                raise _damaged(name, offset, "the length of a record is damaged")
            (length,) = _LENGTH.unpack(head[:8])
            if offset + length + FRAMING_BYTES > size:  # before memory is taken for it
                raise _damaged(name, offset, f"a record of {length:,} bytes reaches beyond the end of the file")
            data, crc = file.read(length), file.read(4)
            if len(crc) < 4 or masked(crc32c(data)) != _CRC.unpack(crc)[0]:  # or the file became shorter just now
                raise _damaged(name, offset, "the data of a record does not match its checksum")
            for part in (head, data, crc):  # now, while it is in the processor's cache
                digest.update(part)
            yield offset, data
            offset += length + FRAMING_BYTES
    if seen is not None:
        seen.append(FileFact(name, offset, digest.hexdigest()))


def _damaged(name: str, offset: int, reason: str) -> AuditError:
    return AuditError("A shard is damaged:", (Problem(name, reason, offset=offset),))


def digest_of(data: bytes) -> str:
    """Give the digest of a small file that is at hand as a whole."""
    return str(xxhash.xxh3_128_hexdigest(data))


def read_examples(
    path: Path, name: str, decode: Callable[[Mapping[str, Value]], Sample], seen: list[FileFact] | None = None
) -> Iterator[Sample]:
    """Read the samples of a shard whose records are Examples, as ``read_records`` reads records. AuditError where one
    does not follow the schema: there ``decode`` raises ValueError.
    """
    for offset, data in read_records(path, name, seen):
        try:
            sample = decode(parse(data))
        except ValueError as error:
            raise _damaged(name, offset, f"a record does not follow the schema: {error}") from error
        yield sample

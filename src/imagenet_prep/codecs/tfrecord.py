"""TFRecord framing: length, CRC of the length, data, CRC of the data; nothing else, so the file is as long as
its records.

    uint64 length · uint32 masked crc32c(length) · data · uint32 masked crc32c(data)        (all little-endian)

(TensorFlow, ``core/lib/io/record_writer.h``.) The image inside a record is the reader's own memory: it is
checksummed and written from where it lies.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Protocol

import xxhash
from fastcrc.crc32 import iscsi as crc32c

from imagenet_prep.codecs.example import Value, parse
from imagenet_prep.errors import AuditError, Problem
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Buffer, Sample

FRAMING_BYTES = 16  # of each record: 12 before the data, 4 after it
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")


def masked(crc: int) -> int:
    """Mask a CRC the way TFRecord stores it, so that a CRC of data that holds CRCs stays a good one."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


class Out(Protocol):
    """Where a file goes: a sink of a store."""

    def write(self, *buffers: Buffer) -> None:
        """Take bytes that stay as they are until ``flush``."""

    def flush(self) -> None:
        """Hand over what was taken."""

    def fact(self) -> FileFact:
        """Flush; give path, size and digest."""


class RecordWriter:
    """One TFRecord file being written. ``encode`` gives what precedes and what follows an image in its record."""

    def __init__(self, out: Out, encode: Callable[[Sample], tuple[bytes, bytes]]) -> None:
        self._out = out
        self._encode = encode
        self.lengths = array("q")  # of each record in bytes, framing included
        self.image_starts, self.image_lengths = array("q"), array("i")  # in the record, in bytes

    def add(self, sample: Sample) -> None:
        """Take one sample, without copying its image."""
        head, tail = self._encode(sample)
        image = sample.image
        size = len(head) + len(image) + len(tail)
        length = _LENGTH.pack(size)
        crc = crc32c(tail, crc32c(image, crc32c(head)))
        before = length + _CRC.pack(masked(crc32c(length))) + head
        self._out.write(before, image, tail + _CRC.pack(masked(crc)))
        self.lengths.append(size + FRAMING_BYTES)
        self.image_starts.append(len(before))
        self.image_lengths.append(len(image))

    def leave_out(self, sample: Sample) -> None:
        """Nothing of it was ever written: a shard is written as a whole."""

    def flush(self) -> None:
        """Write what was taken. Its images are not needed afterwards."""
        self._out.flush()

    def close(self) -> FileFact:
        """Flush; give the file's size and digest."""
        return self._out.fact()


def read_records(
    file: BinaryIO, name: str, size: int, seen: list[FileFact] | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield offset and data of every record of an open file of ``size`` bytes, both CRCs verified. ``name`` is how a
    message calls the file; ``seen`` takes its size and digest once it was read to its end.

    Raises AuditError with the offset of the first damaged or unfinished record.
    """
    digest = xxhash.xxh3_128()
    offset = 0
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
    """Give the digest of a small file that is in memory."""
    return str(xxhash.xxh3_128_hexdigest(data))


def read_examples(
    file: BinaryIO,
    name: str,
    size: int,
    decode: Callable[[Mapping[str, Value]], Sample],
    seen: list[FileFact] | None = None,
) -> Iterator[Sample]:
    """Read the samples of a shard whose records are Examples, as ``read_records`` reads records. AuditError where one
    does not follow the schema: there ``decode`` raises ValueError.
    """
    for offset, data in read_records(file, name, size, seen):
        try:
            sample = decode(parse(data))
        except ValueError as error:
            raise _damaged(name, offset, f"a record does not follow the schema: {error}") from error
        yield sample

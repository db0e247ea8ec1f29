"""A record of a TFRecord file without the bytes of its image: where these lie, and all else that it says.

What is read is a few kilobytes of each record, whatever the size of its image, so that an index of the whole set reads
no picture. The checksum of a record's length is verified; that of its data is not, because it is of all of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from fastcrc.crc32 import iscsi as crc32c

from imagenet_prep.codecs.example import Value, delimited, parse
from imagenet_prep.codecs.tfrecord import FRAMING_BYTES, masked

_HEAD = struct.Struct("<QI")  # length of the data, and its masked checksum
_WINDOW = 4096  # bytes read at once
_LARGE = 1024  # bytes: a longer entry is an image, or nothing that is asked for
_BYTES_FIELD, _VALUE_FIELD = 0x0A, 0x12

Read = Callable[[int, int], bytes]  # bytes at an offset; fewer at the end of the file


class Outline(NamedTuple):
    """``features`` are those that are no image; ``images`` has the place of each image: offset in the file, bytes."""

    offset: int
    features: Mapping[str, Value]
    images: Mapping[str, tuple[int, int]]


class OutlineError(ValueError):
    """Says what is wrong with the record at ``offset``."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.offset = offset


def outlines(read: Read, size: int, image_keys: Collection[str]) -> Iterator[Outline]:
    """Yield the outline of each record in a file of ``size`` bytes. Raises OutlineError."""
    offset = 0
    while offset < size:
        head = read(_HEAD.size, offset)
        if len(head) < _HEAD.size or masked(crc32c(head[:8])) != _HEAD.unpack(head)[1]:
            raise OutlineError("the length of a record is damaged", offset)
        length = _HEAD.unpack(head)[0]
        if offset + length + FRAMING_BYTES > size:
            raise OutlineError(f"a record of {length:,} bytes reaches beyond the end of the file", offset)
        try:
            yield _outline(_Window(read, offset + _HEAD.size, length), offset, image_keys)
        except (ValueError, IndexError, struct.error) as error:
            raise OutlineError(f"a record does not have the form that it should: {error}", offset) from error
        offset += length + FRAMING_BYTES


class _Window:
    """A record, of which a part is in memory."""

    def __init__(self, read: Read, start: int, length: int) -> None:
        self._read = read
        self.position, self.end = start, start + length
        self._start, self._data = start, b""

    def take(self, size: int) -> bytes:
        """Give the next bytes. Raises IndexError beyond the end."""
        found = self.peek(size)
        if len(found) < size:
            raise IndexError("it ends too early")
        self.position += size
        return found

    def peek(self, size: int) -> bytes:
        """Give them without going on; fewer at the end."""
        size = min(size, self.end - self.position)
        at = self.position - self._start
        if at + size > len(self._data):
            self._start, at = self.position, 0
            self._data = self._read(min(max(size, _WINDOW), self.end - self.position), self.position)
        return self._data[at : at + size]

    def varint(self) -> int:
        """Take an unsigned number."""
        value = 0
        for place in range(10):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return value
        raise ValueError("a number is too long")

    def field(self, tag: int) -> int:
        """Take the head of a field of bytes, and give their number. Raises ValueError for any other field."""
        if self.take(1)[0] != tag:
            raise ValueError("it is not a tf.train.Example")
        length = self.varint()
        if self.position + length > self.end:
            raise ValueError("a field reaches beyond it")
        return length


def _outline(record: _Window, offset: int, image_keys: Collection[str]) -> Outline:
    rest, images = b"", {}
    if record.position < record.end and record.field(_BYTES_FIELD) != record.end - record.position:
        raise ValueError("it is not a tf.train.Example")
    while record.position < record.end:
        length = record.field(_BYTES_FIELD)
        after = record.position + length
        start = record.peek(min(length, 64))
        key = start[2 : 2 + start[1]].decode() if start[:1] == b"\x0a" and len(start) > 1 else ""
        if key in image_keys:
            images[key] = _image(record, after)
        elif length <= _LARGE:
            rest += delimited(b"\x0a", record.take(length))
        record.position = after
    return Outline(offset, parse(delimited(b"\x0a", rest)), images)


def _image(record: _Window, after: int) -> tuple[int, int]:
    """Give the place of the one value of an entry."""
    record.take(record.field(_BYTES_FIELD))
    for tag in (_VALUE_FIELD, _BYTES_FIELD, _BYTES_FIELD):  # a Feature, its list of bytes, the first of these
        length = record.field(tag)
        if record.position + length != after:
            raise ValueError("it does not have one image")
    return record.position, length

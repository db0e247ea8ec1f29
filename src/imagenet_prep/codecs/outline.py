"""A record of a TFRecord file without the bytes of its image: where these lie, and all else that it says.

What is read is a few kilobytes of each record, whatever the size of its image, so that an index of the whole set reads
no picture. The checksum of a record's length is verified; that of its data is not, because it is of all of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from fastcrc.crc32 import iscsi as crc32c

from imagenet_prep.codecs.example import Value, delimited, parse, varint_at
from imagenet_prep.codecs.tfrecord import FRAMING_BYTES, masked

_HEAD = struct.Struct("<QI")  # length of the data, and its masked checksum
_WINDOW = 4096  # bytes read at once
_HEADS = 256  # bytes of an entry in which its key is, and where its image begins
_ENTRY, _KEY, _BYTES = 0x0A, 0x0A, 0x0A
_VALUE = 0x12

Read = Callable[[int, int], bytes]  # so many bytes at an offset; fewer at the end of the file


class Outline(NamedTuple):
    """``features`` are those that were asked for; ``images`` has the place of each image: offset in the file, bytes."""

    offset: int
    features: Mapping[str, Value]
    images: Mapping[str, tuple[int, int]]


class OutlineError(ValueError):
    """Says what is wrong with the record at ``offset``."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.offset = offset


def outlines(read: Read, size: int, image_keys: Collection[str], keys: Collection[str]) -> Iterator[Outline]:
    """Yield the outline of each record in a file of ``size`` bytes, with the features ``keys``. Raises OutlineError."""
    images, wanted = frozenset(map(str.encode, image_keys)), frozenset(map(str.encode, keys))
    offset = 0
    while offset < size:
        data = read(_HEAD.size + _WINDOW, offset)
        head = data[: _HEAD.size]
        if len(head) < _HEAD.size or masked(crc32c(head[:8])) != _HEAD.unpack(head)[1]:
            raise OutlineError("the length of a record is damaged", offset)
        length = _HEAD.unpack(head)[0]
        if offset + length + FRAMING_BYTES > size:
            raise OutlineError(f"a record of {length:,} bytes reaches beyond the end of the file", offset)
        try:
            window = _Window(read, offset + _HEAD.size, length, data[_HEAD.size : _HEAD.size + length])
            yield _outline(window, offset, images, wanted)
        except (ValueError, IndexError, struct.error) as error:
            raise OutlineError(f"a record does not have the form that it should: {error}", offset) from error
        offset += length + FRAMING_BYTES


class _Window:
    """A record, of which the part ``data`` from ``start`` on is in memory."""

    def __init__(self, read: Read, start: int, length: int, data: bytes) -> None:
        self._read = read
        self.start, self.end, self.data = start, start + length, data

    def at(self, position: int, size: int) -> int:
        """Have so many bytes at a position in ``data``, as far as the record has them, and give their place there."""
        if position + min(size, self.end - position) > self.start + len(self.data):
            self.data = self._read(min(max(size, _WINDOW), self.end - position), position)
            self.start = position
        return position - self.start


def _outline(record: _Window, offset: int, image_keys: Collection[bytes], keys: Collection[bytes]) -> Outline:
    rest, images = [], {}
    position = record.start
    if position < record.end:  # the one field of an Example, which is all of it
        position, end = _field(record, position, _ENTRY)
        if end != record.end:
            raise ValueError("it is not a tf.train.Example")
    while position < record.end:
        begin, after = _field(record, position, _ENTRY)
        at = record.at(begin, min(_HEADS, after - begin))
        data = record.data
        key = data[at + 2 : at + 2 + data[at + 1]] if after - begin > 1 and data[at] == _KEY else b""
        if key in image_keys:
            images[key.decode()] = _image(record, begin, after)
        elif key in keys:
            at = record.at(begin, after - begin)
            rest.append(delimited(b"\x0a", record.data[at : at + after - begin]))
        position = after
    return Outline(offset, parse(delimited(b"\x0a", b"".join(rest))), images)


def _field(record: _Window, position: int, tag: int) -> tuple[int, int]:
    """Give where the content of a field of bytes begins and ends. Raises ValueError for any other field."""
    at = record.at(position, _HEADS)
    data = record.data
    if data[at] != tag:
        raise ValueError("it is not a tf.train.Example")
    length, begin = varint_at(data, at + 1)
    start = record.start + begin
    if start + length > record.end:
        raise ValueError("a field reaches beyond it")
    return start, start + length


def _image(record: _Window, begin: int, after: int) -> tuple[int, int]:
    """Give the place of the one value of an entry."""
    _, begin = _field(record, begin, _KEY)
    for tag in (_VALUE, _BYTES, _BYTES):  # a Feature, its list of bytes, the first of these
        begin, end = _field(record, begin, tag)
        if end != after:
            raise ValueError("it does not have one image")
    return begin, after - begin

"""Parquet in one form: PLAIN, not compressed, without nulls, a CRC for every page.

A column may have any number of pages in a row group. An image is a page of its own, so it goes into the file from where
it lies, and nobody holds a row group in memory to write it. The same values always give the same bytes, so whoever
reads them back encodes them again and compares; that finds damage where Parquet has no CRC, in headers and footer.

No column is null anywhere, yet each could be: Hugging Face takes a schema for its own only if every column may be null.
So each page says first that its values are there. Numbers of fields and types are those of the format's
``parquet.thrift``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby, pairwise
from typing import NamedTuple

from imagenet_prep.codecs.example import varint
from imagenet_prep.codecs.thrift import Value, int32, int64, many, open_structure, structure, text, unzigzag, zigzag
from imagenet_prep.model.sample import Buffer

MAGIC = b"PAR1"
LONGEST_HEADER = 40  # bytes of a page's header, or more
INT32, INT64, BYTES = 1, 2, 6  # physical types
_LENGTH = struct.Struct("<I")
_NUMBERS = {INT32: "i", INT64: "q"}
_OPTIONAL = int32(1)
_UTF8 = {6: int32(0), 10: structure({1: structure({})})}  # in the words of old readers, and in those of new ones
_PLAIN, _UNCOMPRESSED = int32(0), int32(0)
_DATA = b"\x15\0\x15\6\x15\6\0\0"  # PLAIN, and RLE for levels; two structs end
_NUMBER = rb"[\x80-\xff]{0,4}[\0-\x7f]"
_HEADER = re.compile(rb"\x15\0\x15(%b)\x15\1\x15%b\x1c\x15%b%b" % (_NUMBER, _NUMBER, _NUMBER, re.escape(_DATA)))


class Column(NamedTuple):
    """Where a column stands in the schema, its physical type, and whether its bytes are text."""

    path: tuple[str, ...]
    type: int
    text: bool = False


def length_of(data: Buffer) -> bytes:
    """Give what precedes a byte string in its page."""
    return _LENGTH.pack(len(data))


def present(column: Column, rows: int) -> bytes:
    """Give what precedes the values of a page: a run of definition levels, each that of a value that is there."""
    run = varint(2 * rows) + bytes((len(column.path),))
    return length_of(run) + run


def plain_texts(texts: Sequence[str]) -> bytes:
    """Encode the texts of a page."""
    encoded = [each.encode() for each in texts]
    return b"".join(length_of(each) + each for each in encoded)


def plain_numbers(of: int, numbers: Sequence[int]) -> bytes:
    """Encode the numbers of a page, of a physical type."""
    return struct.pack(f"<{len(numbers)}{_NUMBERS[of]}", *numbers)


def texts_in(values: bytes) -> list[str]:
    """Decode the texts of a page. Raises ValueError where one is not text; what is cut off is left out."""
    texts, start = [], 0
    try:
        while (begin := start + _LENGTH.size) <= len(values):
            start = begin + int.from_bytes(values[start:begin], "little")
            texts.append(values[begin:start].decode())
    except UnicodeDecodeError as error:
        raise ValueError("a text is not UTF-8") from error
    return texts


def numbers_in(of: int, values: bytes) -> list[int]:
    """Decode the numbers of a page; what is cut off is left out."""
    form = struct.Struct(f"<{_NUMBERS[of]}")
    return [number for (number,) in form.iter_unpack(values[: len(values) // form.size * form.size])]


def page_header(size: int, rows: int, crc: int) -> bytes:
    """Give the header of a page of ``size`` bytes: what kind it is, the size with and without compression, the CRC, and
    how its data is encoded.
    """
    length, signed = varint(2 * size), crc - (crc >> 31 << 32)
    return b"\x15\0\x15%b\x15%b\x15%b\x1c\x15%b%b" % (length, length, zigzag(signed), varint(2 * rows), _DATA)


def page_in(start: bytes) -> tuple[int, int]:
    """Give the length of a page's header, which ``start`` begins with, and that of its data. Raises ValueError."""
    header = _HEADER.match(start)
    if not header or (size := unzigzag(header[1])) < 0:
        raise ValueError("there is no page where one should be")
    return header.end(), size


class RowGroup(NamedTuple):
    """How many rows, where each column begins in the file, and where the last one ends."""

    rows: int
    bounds: Sequence[int]


@cache
def _before_rows(columns: tuple[Column, ...]) -> bytes:
    """Give the footer up to the number of rows, which follows as a ``zigzag``: the same in every file."""
    tops = [(name, list(inner)) for name, inner in groupby(columns, lambda column: column.path[0])]
    elements = [structure({4: text("schema"), 5: int32(len(tops))})]
    for name, inner in tops:
        if len(inner) > 1:
            elements.append(structure({3: _OPTIONAL, 4: text(name), 5: int32(len(inner))}))
        for column in inner:
            form = _UTF8 if column.text else {}
            elements.append(structure({1: int32(column.type), 3: _OPTIONAL, 4: text(column.path[-1]), **form}))
    return open_structure({1: int32(1), 2: many(elements)}) + b"\x16"


def rows_in(end: bytes, columns: tuple[Column, ...]) -> int:
    """Give the number of rows by the footer that ``end`` begins with. Raises ValueError if that is none of a file with
    these columns.
    """
    before = _before_rows(columns)
    if not end.startswith(before):
        raise ValueError("the footer has other columns")
    return unzigzag(end[len(before) :])


def footer(
    columns: tuple[Column, ...], groups: Sequence[RowGroup], metadata: Mapping[str, str], created_by: str
) -> bytes:
    """Give the end of a file, MAGIC included."""
    pairs = [structure({1: text(key), 2: text(value)}) for key, value in metadata.items()]
    after = {
        4: many([_group(columns, group) for group in groups]),
        5: many(pairs),
        6: text(created_by),
    }
    rows = zigzag(sum(group.rows for group in groups))
    data = _before_rows(columns) + rows + open_structure(after, 3) + b"\0"
    return data + _LENGTH.pack(len(data)) + MAGIC


def _group(columns: tuple[Column, ...], group: RowGroup) -> Value:
    chunks = [
        structure({2: int64(0), 3: _chunk(column, group.rows, start, end - start)})
        for column, (start, end) in zip(columns, pairwise(group.bounds), strict=True)
    ]
    size = int64(group.bounds[-1] - group.bounds[0])
    return structure({1: many(chunks), 2: size, 3: int64(group.rows)})


def _chunk(column: Column, rows: int, start: int, size: int) -> Value:
    values = {4: _UNCOMPRESSED, 5: int64(rows), 6: int64(size), 7: int64(size), 9: int64(start)}
    return structure({**_of_column(column), **values})


@cache
def _of_column(column: Column) -> Mapping[int, Value]:
    path = many([text(name) for name in column.path], of=8)
    return {1: int32(column.type), 2: many([_PLAIN], of=5), 3: path}

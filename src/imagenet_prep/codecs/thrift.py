"""Thrift's compact protocol as it is written, as much of it as Parquet needs: numbers, texts, lists and structs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from imagenet_prep.codecs.example import varint

_LONGEST = 10  # bytes of a number


class Value(NamedTuple):
    """An encoded value, and the number of its type."""

    type: int
    data: bytes


def zigzag(number: int) -> bytes:
    """Encode a signed number of at most 64 bits: small ones of either sign are short."""
    return varint(number << 1 ^ number >> 63)


def unzigzag(data: bytes) -> int:
    """Decode the number that ``data`` begins with; of what is cut off, the bits are 0."""
    number = 0
    for place, byte in enumerate(data[:_LONGEST]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            break
    return number >> 1 ^ -(number & 1)


def int32(number: int) -> Value:
    """Encode a number of 32 bits; the protocol makes no difference but the type."""
    return Value(5, zigzag(number))


def int64(number: int) -> Value:
    """Encode a number of 64 bits."""
    return Value(6, zigzag(number))


def text(of: str) -> Value:
    """Encode a text."""
    data = of.encode()
    return Value(8, varint(len(data)) + data)


def many(items: Sequence[Value], *, of: int = 12) -> Value:
    """Encode a list of values that are all of the type ``of``: structs, if nothing is said."""
    size = bytes((len(items) << 4 | of,)) if len(items) < 15 else bytes((0xF0 | of,)) + varint(len(items))
    return Value(9, size + b"".join(item.data for item in items))


def structure(fields: Mapping[int, Value]) -> Value:
    """Encode a struct, whose fields are given by their numbers, ascending, no two further apart than 15."""
    return Value(12, open_structure(fields) + b"\0")


def open_structure(fields: Mapping[int, Value], after: int = 0) -> bytes:
    """Encode fields of a struct that follow the one numbered ``after``, without its end."""
    encoded = b""
    for number, value in fields.items():
        encoded += bytes(((number - after) << 4 | value.type,)) + value.data
        after = number
    return encoded

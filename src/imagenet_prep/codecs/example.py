"""``tf.train.Example`` in protobuf wire format, encoded around an image and decoded without copying it.

    Example { Features { map<string, Feature> } },   Feature = bytes_list 1 | float_list 2 | int64_list 3

(TensorFlow, ``core/example/feature.proto``.) Protobuf leaves the order of a map free, so equal data may give
different bytes; ours are sorted by key, as protobuf's deterministic mode sorts them, and a test compares the
two.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from imagenet_prep.model.sample import Buffer

_BYTES, _FLOAT, _INT64 = 0x0A, 0x12, 0x1A  # tags of the three kinds of list in Feature
_FIELD_1 = b"\x0a"  # field 1, length-delimited: what nearly everything here is
_FIELD_2 = b"\x12"

_LENGTH_1, _LENGTH_2, _VARINT_1, _FIXED_1 = 0x0A, 0x12, 0x08, 0x0D  # tags: field 1, of three wire types, and field 2
_KINDS = (_BYTES, _FLOAT, _INT64)
_SHORT = 256  # bytes; longer than a name, shorter than an image
_LONGEST_VARINT = 10  # bytes
_LARGEST = (1 << 64) - 1

Value = tuple[Buffer, ...] | tuple[float, ...] | tuple[int, ...]


def varint(number: int) -> bytes:
    """Encode an unsigned number below 2^64, seven bits a byte, lowest first."""
    if number < 0x80:
        return bytes((number,))
    if 0x4000 <= number < 0x200000:  # the length of nearly every image: 16 kB to 2 MB
        return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14))
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def delimited(tag: bytes, data: bytes) -> bytes:
    """Encode a length-delimited field."""
    return tag + varint(len(data)) + data


def bytes_entry(key: str, *values: bytes) -> bytes:
    """Encode one map entry that holds byte strings."""
    return _entry(key, _BYTES, b"".join(delimited(_FIELD_1, value) for value in values))


def int64_entry(key: str, *values: int) -> bytes:
    """Encode one map entry that holds numbers, none of them negative."""
    packed = b"".join(map(varint, values))
    return _entry(key, _INT64, delimited(_FIELD_1, packed) if values else b"")


def float_entry(key: str, values: Sequence[float]) -> bytes:
    """Encode one map entry that holds 32-bit floats; without values it is an empty list, which readers distinguish
    from a missing key.
    """
    packed = struct.pack(f"<{len(values)}f", *values)
    return _entry(key, _FLOAT, delimited(_FIELD_1, packed) if values else b"")


def _entry(key: str, kind: int, values: bytes) -> bytes:
    feature = bytes((kind,)) + varint(len(values)) + values
    return delimited(_FIELD_1, delimited(_FIELD_1, key.encode()) + delimited(_FIELD_2, feature))


def head_of(before: bytes, key: bytes, image: int, after: int) -> bytes:
    """Give all bytes of an Example in front of its image.

    ``before`` are the encoded entries that sort before the image's ``key``, ``image`` is the image's length
    in bytes, and ``after`` the length of the encoded entries that follow it.
    """
    values = _FIELD_1 + varint(image)
    feature = bytes((_BYTES,)) + varint(len(values) + image) + values
    entry = delimited(_FIELD_1, key) + _FIELD_2 + varint(len(feature) + image) + feature
    entry = _FIELD_1 + varint(len(entry) + image) + entry
    return _FIELD_1 + varint(len(before) + len(entry) + image + after) + before + entry


def parse(data: bytes) -> dict[str, Value]:
    """Decode an Example, whoever wrote it; raises ValueError for anything that is not one.

    Long byte strings, such as an image, are views of ``data``. As in protobuf, the last one of equal keys counts,
    lists may be packed or not, and unknown fields are ignored.
    """
    features: dict[str, Value] = {}
    try:
        for tag, start, end in _fields(data, 0, len(data)):
            if tag == _LENGTH_1:
                for inner, begin, stop in _fields(data, start, end):
                    if inner == _LENGTH_1:
                        short = stop - begin <= _SHORT
                        key, value = _short_entry(data[begin:stop]) if short else _entry_in(data, begin, stop)
                        features[key] = value
    except (IndexError, struct.error) as error:
        raise ValueError(f"not a tf.train.Example: {error!r}") from error
    return features


@lru_cache(maxsize=8192)
def _short_entry(entry: bytes) -> tuple[str, Value]:
    """Most entries of most records say the same: the format, the class, 500 pixels. Those of a class come again after
    a thousand images, each with a name of its own, so a few times as many are kept.
    """
    return _entry_in(entry, 0, len(entry))


def _entry_in(data: bytes, start: int, end: int) -> tuple[str, Value]:
    """Decode one map entry; what it lacks is empty."""
    key, value = b"", (0, 0)
    for tag, begin, stop in _fields(data, start, end):
        if tag == _LENGTH_1:
            key = data[begin:stop]
        elif tag == _LENGTH_2:
            value = begin, stop
    return key.decode(), _value(data, *value)


def _value(data: bytes, start: int, end: int) -> Value:
    kind = 0
    elements: list[tuple[int, int, int]] = []
    for tag, begin, stop in _fields(data, start, end):
        if tag in _KINDS:
            if tag != kind:  # of several kinds the last one counts; lists of one kind belong together
                kind, elements = tag, []
            elements += _fields(data, begin, stop)
    if kind == _BYTES:
        return tuple(_lent(data, begin, stop) for tag, begin, stop in elements if tag == _LENGTH_1)
    if kind == _FLOAT:
        packed = b"".join(data[begin:stop] for tag, begin, stop in elements if tag in (_LENGTH_1, _FIXED_1))
        return struct.unpack(f"<{len(packed) // 4}f", packed)
    packed = b"".join(data[begin:stop] for tag, begin, stop in elements if tag in (_LENGTH_1, _VARINT_1))
    return tuple(_int64s(packed))


def _lent(data: bytes, start: int, end: int) -> Buffer:
    return data[start:end] if end - start <= _SHORT else memoryview(data)[start:end]


def _fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the tag of each field of a message, and where its content lies; that of a number is its encoding."""
    while position < end:
        tag, length, start = data[position], data[position + 1], position + 2
        if tag not in _KINDS or length >= 0x80:  # nearly every field is short, and has one of these tags
            tag, start, length = _field_at(data, position)
        position = start + length
        if position > end:
            raise ValueError("not a tf.train.Example: a field reaches beyond its message")
        yield tag, start, position


def _field_at(data: bytes, position: int) -> tuple[int, int, int]:
    """Give a field's tag, and where its content begins and how long it is."""
    tag, start = varint_at(data, position)
    kind = tag & 7
    if tag < 8:
        raise ValueError("not a tf.train.Example: a field has the number 0")
    if kind == 2:
        length, start = varint_at(data, start)
        return tag, start, length
    if kind == 0:
        return tag, start, varint_at(data, start)[1] - start
    if kind in (1, 5):
        return tag, start, 8 if kind == 1 else 4
    raise ValueError(f"not a tf.train.Example: wire type {kind}")


def _int64s(packed: bytes) -> Iterator[int]:
    """Decode numbers; a negative one is encoded as its two's complement, in ten bytes."""
    position = 0
    while position < len(packed):
        value, position = varint_at(packed, position)
        yield value - (1 << 64) if value >> 63 else value


def varint_at(data: bytes, position: int) -> tuple[int, int]:
    """Give an unsigned number of 64 bits, and where it ends."""
    value = data[position]
    if value < 0x80:
        return value, position + 1
    value &= 0x7F
    for place in range(1, _LONGEST_VARINT):
        byte = data[position + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & _LARGEST, position + place + 1
    raise ValueError("not a tf.train.Example: a number is too long")


def number_in(features: Mapping[str, Value], key: str) -> int:
    """Give the one number of a feature; ValueError if it has another type, or not one value."""
    value = _only_value(features, key)
    if not isinstance(value, int):
        raise ValueError(f"{key} is not an int64")  # noqa: TRY004 — wrong is the record, not the call
    return value


def bytes_in(features: Mapping[str, Value], key: str) -> Buffer:
    """Give the one byte string of a feature; ValueError as ``number_in``."""
    value = _only_value(features, key)
    if isinstance(value, int | float):
        raise ValueError(f"{key} is not a byte string")  # noqa: TRY004
    return value


def text_in(features: Mapping[str, Value], key: str) -> str:
    """Give the one text of a feature; ValueError as ``number_in``, and if it is not UTF-8."""
    return str(bytes_in(features, key), "utf-8")


def _only_value(features: Mapping[str, Value], key: str) -> Buffer | float | int:
    values = features.get(key, ())
    if len(values) != 1:
        raise ValueError(f"{key} has {len(values)} values instead of one" if key in features else f"{key} is missing")
    return values[0]

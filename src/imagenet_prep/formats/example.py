"""``tf.train.Example`` in protobuf wire format, encoded around an image without copying it.

    Example { Features { map<string, Feature> } },   Feature = bytes_list 1 | float_list 2 | int64_list 3

(TensorFlow, ``core/example/feature.proto``.) Protobuf leaves the order of a map free, so equal data may give
different bytes; ours are sorted by key, as protobuf's deterministic mode sorts them, and a test compares the
two.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

_BYTES, _FLOAT, _INT64 = 0x0A, 0x12, 0x1A  # tags of the three kinds of list in Feature
_FIELD_1 = b"\x0a"  # field 1, length-delimited: what nearly everything here is
_FIELD_2 = b"\x12"

Value = list[bytes] | list[float] | list[int]


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
    """Encode one map entry that holds 32-bit floats; without values it is an empty list, which readers tell
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
    """Decode an Example; raises ValueError for anything that is not one."""
    features: dict[str, Value] = {}
    try:
        for tag, body in _fields(data):
            if tag == _FIELD_1[0]:
                for _, entry in _fields(body):
                    parts = dict(_fields(entry))
                    features[parts[1 << 3 | 2].decode()] = _value(parts.get(2 << 3 | 2, b""))
    except (KeyError, IndexError, struct.error) as error:
        raise ValueError(f"not a tf.train.Example: {error!r}") from error
    return features


def _value(feature: bytes) -> Value:
    for tag, body in _fields(feature):
        values = [value for _, value in _fields(body)]
        if tag == _BYTES:
            return values
        packed = b"".join(values)
        if tag == _FLOAT:
            return list(struct.unpack(f"<{len(packed) // 4}f", packed))
        return list(_varints(packed))
    return []


def _fields(data: bytes) -> Iterable[tuple[int, bytes]]:
    """Yield the length-delimited fields of a message, the only kind an Example as we write it consists of."""
    position = 0
    while position < len(data):
        tag, position = _varint_at(data, position)
        if tag & 7 != 2:
            raise ValueError(f"not a tf.train.Example: wire type {tag & 7}")
        length, position = _varint_at(data, position)
        if length > len(data) - position:
            raise ValueError("not a tf.train.Example: a field reaches beyond its message")
        yield tag, data[position : position + length]
        position += length


def _varints(data: bytes) -> Iterable[int]:
    position = 0
    while position < len(data):
        value, position = _varint_at(data, position)
        yield value


def _varint_at(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("not a tf.train.Example: a number is too long")

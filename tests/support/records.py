"""TFRecord framing, written down a second time: what the program writes and reads is compared with this."""

from __future__ import annotations

import struct

from fastcrc.crc32 import iscsi as crc32c


def masked(data: bytes) -> bytes:
    """Give the masked CRC of some bytes, as it stands behind them."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def framed(data: bytes) -> bytes:
    """Give a record around ``data``, whatever is in it."""
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)

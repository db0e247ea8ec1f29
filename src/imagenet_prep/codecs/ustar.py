"""Members of a tar as they are written: POSIX USTAR, a header of 512 bytes and the data in blocks of 512.

Owner, mode and time are the same in every header, so that equal contents are equal bytes. The time is not 0, of which
GNU tar warns when it extracts. The bytes are those of the standard library's ``tarfile`` for the same values.
"""

from __future__ import annotations

BLOCK = 512
END = bytes(2 * BLOCK)  # of an archive
LONGEST_NAME = 100  # bytes
TIME = 315_532_800  # 1980-01-01 UTC, the first that a zip can have, too

_BEFORE_SIZE = b"%07o\0%07o\0%07o\0" % (0o644, 0, 0)  # mode, user, group
_TIME = b"%011o\0" % TIME
_AFTER_SUM = (b" 0" + bytes(100) + b"ustar\00000").ljust(BLOCK - 155, b"\0")  # a regular file without an owner
_FIXED_SUM = sum(_BEFORE_SIZE + _TIME + _AFTER_SUM) + 7 * 0x20  # the checksum counts as spaces; the eighth is there


def header(name: bytes, size: int) -> bytes:
    """Give the header of a member of ``size`` bytes, fewer than 8 GiB; its name has at most LONGEST_NAME bytes."""
    length = b"%011o\0" % size
    checksum = b"%06o\0" % (_FIXED_SUM + sum(name) + sum(length))
    return name.ljust(LONGEST_NAME, b"\0") + _BEFORE_SIZE + length + _TIME + checksum + _AFTER_SUM


def padding(size: int) -> bytes:
    """Give the zeros that fill the last block of so many bytes."""
    return bytes(-size % BLOCK)


def size_in(head: bytes) -> int:
    """Read the size of a member from its header. Raises ValueError if it is not written as ``header`` writes it."""
    digits = head[124:135]
    if digits.translate(None, b"01234567"):
        raise ValueError("the size of a member is not a number")
    return int(digits, 8)

"""Damage to whole archives, in place, each sure to damage: what failed downloads and bad disks leave.

Every function returns the offset in bytes where the damage begins, so that a test can expect it in a message.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path
from typing import BinaryIO

_LOGIN_PAGE = b"""<!DOCTYPE html>
<html>
<head><title>ImageNet: log in</title></head>
<body><h1>Log in</h1><p>Your session has expired. Log in to download this file.</p></body>
</html>
"""
_SIZE_DIGIT = 124 + 7  # bytes from the start of a tar header: the octal digit that counts blocks of 512 bytes


def cut_inside_member(path: Path) -> int:
    """Cut in the middle of the last file's bytes (in a tar of tars: of the last class's last file)."""
    with path.open("rb") as file:
        last = _last_file(file)
    return _cut(path, last.offset_data + last.size // 2)


def cut_on_boundary(path: Path) -> int:
    """Cut just before the last member of the (outer) tar: whole members are left, the end blocks are gone."""
    with tarfile.open(path, "r:") as archive:
        members = archive.getmembers()
    return _cut(path, members[-1].offset)


def html_instead(path: Path) -> int:
    """Put a login page in the archive's place, as a download without a valid session does."""
    path.write_bytes(_LOGIN_PAGE)
    return 0


def flip_header(path: Path) -> int:
    """Change the size in the header of the last file (of the last class): only its checksum shows it."""
    with path.open("rb") as file:
        last = _last_file(file)
    return flip_byte(path, last.offset + _SIZE_DIGIT)


def flip_byte(path: Path, offset: int) -> int:
    """Invert the lowest bit of one byte: a digit stays a digit, and the sum over all bytes changes."""
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    return offset


def gunzip(path: Path) -> int:
    """Unpack the archive and keep its name, as some browsers do while downloading."""
    path.write_bytes(gzip.decompress(path.read_bytes()))
    return 0


def _cut(path: Path, size: int) -> int:
    os.truncate(path, size)
    return size


def _last_file(file: BinaryIO) -> tarfile.TarInfo:
    """Return the last member that has bytes, with its offsets in ``file``; a last tar is looked into."""
    with tarfile.open(fileobj=file, mode="r:") as archive:
        last = [member for member in archive if member.isreg() and member.size][-1]
    if not last.name.endswith(".tar"):
        return last
    file.seek(last.offset_data)
    inner = _last_file(io.BytesIO(file.read(last.size)))
    inner.offset += last.offset_data
    inner.offset_data += last.offset_data
    return inner

"""What has an archive's name and is something else, by its first bytes.

An expired login leaves a web page, an unfinished download leaves nothing or zeros, and some tools compress or unpack on
the way.
"""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

START_BYTES = 1024  # enough: what is not an archive shows at once
_GZIP = b"\x1f\x8b"
# How what compresses a file begins, what it is called, and what unpacks it.
_PACKED = {
    _GZIP: ("gzip", "gunzip"),
    b"\xfd7zXZ\0": ("xz", "unxz"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
    b"PK\x03\x04": ("zip", "unzip"),
}
_MAGIC, _MAGIC_AT = b"ustar", 257  # both POSIX and GNU tar


def disguise_at(path: Path, *, plain_tar: bool) -> str | None:
    """Say what is wrong with the file at ``path``, if anything is; ``plain_tar`` is that of `disguise`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait forever
            return "is not a file"
        with path.open("rb") as file:
            return disguise(file.read(START_BYTES), plain_tar=plain_tar)
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def packed_by(start: bytes) -> str:
    """Say by what a file that begins with ``start`` is compressed; "" for nothing that is known."""
    return next((by for magic, (by, _) in _PACKED.items() if start.startswith(magic)), "")


def unpacker(packed: str) -> str:
    """Name the command that unpacks what is compressed by ``packed``."""
    return dict(_PACKED.values())[packed]


def is_page(start: bytes) -> bool:
    """Whether a file that begins with ``start`` is a web page."""
    return start.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"<"


def is_archive(start: bytes) -> bool:
    """Whether a file that begins with ``start`` is a tar, or compressed by gzip."""
    return start[:2] == _GZIP or start[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC


def is_archive_at(path: Path) -> bool:
    """Whether there is a file at ``path`` that begins as an archive does, and can be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait forever
            return False
        with path.open("rb") as file:
            return is_archive(file.read(START_BYTES))
    except OSError:
        return False


def is_gzip(path: Path) -> bool:
    """Whether the file is compressed by gzip, whatever its name says. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(_GZIP)) == _GZIP


def disguise(start: bytes, *, plain_tar: bool) -> str | None:
    """Say what a file that begins with ``start`` is, if it cannot be an archive. ``plain_tar``: the published file is a
    tar that nothing compresses.
    """
    if not start:
        return "is empty; download it again"
    if is_page(start):
        return (
            "is a web page, not an archive: the login had expired when it was downloaded; log in and download it again"
        )
    if plain_tar and (packed := packed_by(start)):
        return f"is {packed}-compressed; the official archive is not: unpack it with {unpacker(packed)}"
    if not any(start):
        return "starts with zeros: it is empty, or the download was never finished"
    return None

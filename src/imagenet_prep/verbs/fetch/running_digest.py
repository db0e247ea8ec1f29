"""MD5 and SHA-1 whose state can be kept and taken up again, so that 147 GB need not be read twice after a kill.

``hashlib`` cannot give its state away. OpenSSL can: ``MD5_Init``, ``MD5_Update`` and ``MD5_Final`` work on a structure
that its headers ``openssl/md5.h`` and ``openssl/sha.h`` declare. They are taken from the very library that ``hashlib``
is linked with. Where it is linked otherwise, there is no state, and who goes on reads what is there once more.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
import sys
from functools import cache
from typing import Protocol, Self

_NAMES = {"md5": ("MD5", 92), "sha1": ("SHA1", 96)}  # OpenSSL's name, and the bytes of MD5_CTX and SHA_CTX
_BLOCK_BYTES = 64
_PROBE = b"imagenet-prep" * 9  # more than a block of 64 bytes, and no whole number of them


class RunningDigest(Protocol):
    """A checksum that grows with what it is given."""

    def update(self, data: memoryview) -> None:
        """Take in the bytes of a writable buffer; other threads run meanwhile."""

    def state(self) -> str:
        """Give what ``running_digest`` needs to go on from here, "" if that cannot be had."""

    def hexdigest(self) -> str:
        """Give the checksum of all so far, in hexadecimal digits; more may follow."""


def running_digest(algorithm: str, state: str = "", hashed: int = 0) -> RunningDigest | None:
    """Begin ``md5`` or ``sha1``, or go on from a ``state`` behind ``hashed`` bytes. None if this Python cannot."""
    if not _can_keep(algorithm):
        return None if state else _FromHashlib(algorithm)
    if not state:
        return _FromOpenSsl(algorithm)
    kind, _, digits = state.partition(":")
    sound = kind == _kind() and re.fullmatch(f"[0-9a-f]{{{2 * _NAMES[algorithm][1]}}}", digits)
    raw = bytes.fromhex(digits) if sound else b""
    # Its last number counts the bytes in its buffer; OpenSSL would write where a wrong one says.
    fits = raw and int.from_bytes(raw[-4:], sys.byteorder) == hashed % _BLOCK_BYTES
    return _FromOpenSsl(algorithm, raw) if fits else None


def _kind() -> str:
    return f"openssl-{sys.byteorder}"


class _FromHashlib:
    def __init__(self, algorithm: str) -> None:
        self._digest = hashlib.new(algorithm, usedforsecurity=False)

    def update(self, data: memoryview) -> None:
        self._digest.update(data)

    def state(self) -> str:
        return ""

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


class _FromOpenSsl:
    def __init__(self, algorithm: str, raw: bytes = b"") -> None:
        self._algorithm = algorithm
        name, size = _NAMES[algorithm]
        library = _library()
        self._update, self._final = library[f"{name}_Update"], library[f"{name}_Final"]
        self._context = ctypes.create_string_buffer(raw, size)
        if not raw:
            library[f"{name}_Init"](self._context)

    def update(self, data: memoryview) -> None:
        if data:
            start = ctypes.byref(ctypes.c_char.from_buffer(data))
            self._update(self._context, start, ctypes.c_size_t(data.nbytes))

    def state(self) -> str:
        return f"{_kind()}:{self._context.raw.hex()}"

    def hexdigest(self) -> str:
        copy = ctypes.create_string_buffer(self._context.raw, len(self._context))  # MD5_Final spoils it
        out = ctypes.create_string_buffer(hashlib.new(self._algorithm, usedforsecurity=False).digest_size)
        self._final(out, copy)
        return out.raw.hex()

    def taken_up(self) -> Self:
        """Give another that goes on from here by way of the state."""
        return type(self)(self._algorithm, self._context.raw)


def _library() -> ctypes.CDLL:
    import _hashlib

    return ctypes.CDLL(_hashlib.__file__)  # whose symbols are those of what it is linked with, too


@cache
def _can_keep(algorithm: str) -> bool:
    """Try it: whether the functions are there, and give over a state what ``hashlib`` gives."""
    if algorithm not in _NAMES:
        return False
    try:
        digest = _FromOpenSsl(algorithm)
    except (ImportError, AttributeError, OSError):  # a Python without OpenSSL, or with it inside itself
        return False
    digest.update(memoryview(bytearray(_PROBE)))
    digest = digest.taken_up()
    digest.update(memoryview(bytearray(_PROBE)))
    return digest.hexdigest() == hashlib.new(algorithm, _PROBE * 2, usedforsecurity=False).hexdigest()

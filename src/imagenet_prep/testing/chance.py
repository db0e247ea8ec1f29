"""Every choice of the miniature comes from SHAKE-128 of a text key: no clock, no global generator.

Python promises equal numbers from `random` only for one of its methods; a hash promises them forever, on
every machine. Changing this module changes every drawn picture and every order.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from itertools import count
from typing import TypeVar

T = TypeVar("T")

_NUMBERS_PER_BLOCK = 16  # a picture needs about that many


class Chance:
    """An endless supply of numbers that depends on nothing but ``key``."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._numbers = _numbers(key)

    def below(self, bound: int) -> int:
        """Return a number in ``range(bound)``."""
        return next(self._numbers) % bound

    def between(self, low: int, high: int) -> int:
        """Return a number from ``low`` to ``high``, both included."""
        return low + self.below(high - low + 1)

    def one_in(self, share: int) -> bool:
        """Return True for about one call in ``share``."""
        return self.below(share) == 0

    def noise(self, size: int) -> bytes:
        """Return ``size`` bytes, the same at every call; a shorter piece is the beginning of a longer one."""
        return hashlib.shake_128(f"{self._key}#noise".encode()).digest(size)


def shuffled(items: Iterable[T], key: str) -> list[T]:
    """Return the items in an order that depends on ``key`` and on how many they are."""
    ranked = sorted(zip(_numbers(key), enumerate(items), strict=False), key=lambda pair: (pair[0], pair[1][0]))
    return [item for _, (_, item) in ranked]


def _numbers(key: str) -> Iterator[int]:
    """Yield 64-bit numbers without end."""
    for block in count():
        digest = hashlib.shake_128(f"{key}#{block}".encode()).digest(8 * _NUMBERS_PER_BLOCK)
        yield from struct.unpack(f"<{_NUMBERS_PER_BLOCK}Q", digest)

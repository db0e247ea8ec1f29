"""Damage that finds bugs: sound inputs flipped, cut, spliced, and told huge numbers where lengths stand."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import strategies as st

from fuzz.targets import Target

_HUGE = tuple(1 << bits for bits in (31, 32, 60, 63)) + tuple((1 << bits) - 1 for bits in (8, 16, 31, 32, 63, 64))
_NUMBERS = tuple(
    number.to_bytes(width, order)
    for number in _HUGE
    for width in (1, 2, 4, 8)
    for order in ("big", "little")
    if number < 1 << 8 * width
)
Change = Callable[[bytearray], None]


def damaged(target: Target) -> st.SearchStrategy[bytes]:
    """One of the target's sound inputs with a few changes."""
    return st.sampled_from(target.sound).flatmap(lambda data: _damages(target, data))


def _damages(target: Target, data: bytes) -> st.SearchStrategy[bytes]:
    splices = st.sampled_from([other[:1024] for other in target.sound])
    pieces = st.one_of(st.sampled_from((*target.words, *_NUMBERS)), st.binary(min_size=1, max_size=8), splices)
    places = st.one_of(st.sampled_from(_near_words(target, data)), st.integers(0, len(data)))
    changes = [
        st.builds(_written, places, pieces),
        st.builds(_inserted, places, pieces),
        st.builds(_removed, places, st.sampled_from([1, 2, 7, 100, 512, len(data)])),
    ]
    for field, values in target.fields.items():
        of_a_block = st.sampled_from(range(field, len(data) + field, 512))
        changes.append(st.builds(_written, of_a_block, st.sampled_from(values)))
    return st.lists(st.one_of(changes), min_size=1, max_size=4).map(lambda chosen: _changed(data, chosen))


def _near_words(target: Target, data: bytes) -> list[int]:
    """Places where words of the target stand, and a few bytes on: lengths and sizes are near."""
    found = {match.start() for word in target.words for match in re.finditer(re.escape(word), data)}
    return sorted({place + further for place in found | {0} for further in range(13)})


def _changed(data: bytes, changes: list[Change]) -> bytes:
    changed = bytearray(data)
    for change in changes:
        change(changed)
    return bytes(changed)


def _written(place: int, piece: bytes) -> Change:
    def change(data: bytearray) -> None:
        data[place : place + len(piece)] = piece

    return change


def _inserted(place: int, piece: bytes) -> Change:
    def change(data: bytearray) -> None:
        data[place:place] = piece

    return change


def _removed(place: int, size: int) -> Change:
    def change(data: bytearray) -> None:
        del data[place : place + size]

    return change

"""Is there room? Asked before the first byte is written, because the sizes are known."""

from __future__ import annotations

from imagenet_prep.errors import OutputError
from imagenet_prep.stores import Place, store_at

_REMEDY = "Free some space, choose another folder, or write fewer formats or splits (--format, --split)."


def check_space(out: Place, needed: int, *, remedy: str = _REMEDY) -> None:
    """Raise OutputError if ``out``, which need not exist yet, has room for less than ``needed`` bytes."""
    store = store_at(out)
    free = store.free()
    if free is not None and free < needed:
        raise OutputError(
            f"{store.place} needs {amount(needed)}, and its file system has {amount(free)} free.", remedy=remedy
        )


def amount(size: int) -> str:
    """Say a number of bytes."""
    return f"{size / 1e9:,.1f} GB" if size >= 10e9 else f"{size / 1e6:,.1f} MB"

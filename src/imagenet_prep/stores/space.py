"""Is there room? Asked before the first byte is written, because the sizes are known."""

from __future__ import annotations

from imagenet_prep.errors import OutputError
from imagenet_prep.stores import Place, store_at

_REMEDY = "Free some space, choose another folder, or write fewer formats or splits (--format, --split)."


def check_space(out: Place, needed: int, *, files: int = 0, remedy: str = _REMEDY) -> None:
    """Raise OutputError if ``out``, which need not exist yet, has room for less than ``needed`` bytes, or so many
    files.
    """
    store = store_at(out)
    may_be_made = store.free_files() if files else None
    if may_be_made is not None and may_be_made < files:
        raise OutputError(
            f"{store.place} needs {files:,} files, and its file system has room for {may_be_made:,} (inodes).",
            remedy="Choose another folder, or a format with few large files: all except folders.",
        )
    free = store.free()
    if free is not None and free < needed:
        raise OutputError(
            f"{store.place} needs {amount(needed)}, and its file system has {amount(free)} free.", remedy=remedy
        )


def amount(size: int) -> str:
    """Say a number of bytes."""
    return f"{size / 1e9:,.1f} GB" if size >= 10e9 else f"{size / 1e6:,.1f} MB"

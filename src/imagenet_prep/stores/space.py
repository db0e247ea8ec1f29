"""Is there room? Asked before the first byte is written, because the sizes are known."""

from __future__ import annotations

import shutil
from pathlib import Path

from imagenet_prep.errors import OutputError

_REMEDY = "Free some space, choose another folder, or write fewer formats or splits (--format, --split)."


def check_space(out: Path, needed: int, *, remedy: str = _REMEDY) -> None:
    """Raise OutputError if the file system of ``out``, which need not exist yet, has less than ``needed``
    bytes free.
    """
    folder = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    try:
        disk = shutil.disk_usage(folder)
    except OSError:  # a file system that does not say
        return
    free = disk.free
    if disk.total and free < needed:  # some in user space say 0 of everything
        raise OutputError(
            f"{out} needs {_amount(needed)}, and its file system has {_amount(free)} free.",
            remedy=remedy,
        )


def _amount(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 10e9 else f"{size / 1e6:,.1f} MB"

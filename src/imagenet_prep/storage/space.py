"""Is there room? Asked before the first byte is written, because the sizes are known."""

from __future__ import annotations

import shutil
from pathlib import Path

from imagenet_prep.errors import OutputError


def check_space(out: Path, needed: int) -> None:
    """Raise OutputError if the file system of ``out``, which need not exist yet, has less than ``needed``
    bytes free.
    """
    folder = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"{out} needs {needed / 1e9:,.1f} GB, and its file system has {free / 1e9:,.1f} GB free.",
            remedy="Free some space, choose another folder, or write fewer formats or splits (--format, --split).",
        )

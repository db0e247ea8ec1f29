"""What a file is, in a few words: its size and its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import xxhash

from imagenet_prep.model.task import FileFact


def fact_of_file(folder: Path, path: str) -> FileFact:
    """Read a file from end to end; ``path`` is below ``folder``. Raises OSError."""
    with (folder / path).open("rb") as file:
        digest = hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()
        return FileFact(path, file.tell(), digest)


def size_of(folder: Path, path: str) -> int:
    """Give the size of a file, −1 if it is not there; ``path`` is below ``folder``."""
    try:
        return (folder / path).stat().st_size
    except OSError:
        return -1

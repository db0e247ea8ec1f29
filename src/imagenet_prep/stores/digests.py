"""What a file is, in a few words: its size and its digest."""

from __future__ import annotations

from typing import BinaryIO

import xxhash

from imagenet_prep.model.receipt import FileFact
from imagenet_prep.stores.base import Store

_READ_BYTES = 1 << 20


def fact_of_file(store: Store, path: str) -> FileFact:
    """Read a file from end to end. Raises OSError."""
    with store.open(path) as file:
        return fact_of(path, file)


def fact_of(path: str, file: BinaryIO) -> FileFact:
    """Read an open file from where it is to its end."""
    digest, size = xxhash.xxh3_128(), 0
    while data := file.read(_READ_BYTES):
        digest.update(data)
        size += len(data)
    return FileFact(path, size, digest.hexdigest())

"""A shard being read from its start to its end: what is read is digested on the way, and never more than there is."""

from __future__ import annotations

from typing import BinaryIO

import xxhash

from imagenet_prep.model.receipt import FileFact


class ShardFile:
    """An open file of ``size`` bytes, of which ``offset`` were taken; whoever opened it closes it."""

    def __init__(self, file: BinaryIO, path: str, size: int) -> None:
        self.file = file
        self.path = path
        self.size = size
        self.offset = 0
        self._digest = xxhash.xxh3_128()

    def take(self, size: int) -> bytes:
        """Read the next bytes. Raises ValueError if there are not so many."""
        if self.offset + size > self.size:  # before memory is taken for it
            raise ValueError(f"{size:,} bytes that should follow reach beyond the end of the file")
        data = self.file.read(size)
        if len(data) < size:
            raise ValueError("the file has become shorter")
        self._digest.update(data)
        self.offset += size
        return data

    def fact(self) -> FileFact:
        """Give size and digest of what was taken: of the file, once all of it was."""
        return FileFact(self.path, self.offset, self._digest.hexdigest())

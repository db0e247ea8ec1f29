"""Parts of files in any order: what a data set that is open reads by. A reader has no position, so threads and forked
processes share one.
"""

from __future__ import annotations

import os
from stat import S_ISDIR, S_ISREG

from imagenet_prep.model.sample import Buffer


class BytesReader:
    """A file that is in memory."""

    def __init__(self, data: Buffer) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Give a part of the file."""
        return bytes(self._data[offset : offset + length])


class DescriptorReader:
    """A file that the system reads. It is closed when nobody refers to it any more, so never under another thread."""

    def __init__(self, path: str) -> None:
        """Open the file. Raises OSError, also for what is not a file."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # or a pipe would make it wait
        status = os.fstat(self._descriptor)
        self.size = status.st_size
        if S_ISDIR(status.st_mode):
            raise IsADirectoryError(path)
        if not S_ISREG(status.st_mode):
            raise OSError(None, "It is not a file", path)

    def read(self, offset: int, length: int) -> bytes:
        """Give a part of the file; less, where it ends before."""
        data = os.pread(self._descriptor, length, offset)
        while 0 < len(data) < length and (more := os.pread(self._descriptor, length - len(data), offset + len(data))):
            data += more
        return data

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

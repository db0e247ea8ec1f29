"""What a source gives a worker: the bytes of entries, read into memory that is used again and again.

A worker's memory is one buffer. Images are read behind one another until it is full; then everything made of
them is written, and the buffer starts over. So an image is copied twice, from the page cache and back into
it, as ``cp`` would.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from imagenet_prep.core.task import Entries
from imagenet_prep.errors import Problem, SourceError

BUFFER_BYTES = (
    4 << 20
)  # of images between two writes: larger ones leave the processor's cache, smaller ones cost system calls
READ_AHEAD_BYTES = (
    16 << 20
)  # asked of the kernel in advance: enough to keep a disk's queue full, little beside its cache


@contextlib.contextmanager
def source_errors(path: Path | str) -> Iterator[None]:
    """Turn an OSError about a source into a SourceError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise SourceError(
            f"Cannot read {path}: {reason}.", remedy="Put it right and run the same command again."
        ) from error


class ArchiveReader:
    """Reads entries from open archives. A context manager: it closes the archives."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths
        self._descriptors: list[int] = []
        self._buffer = bytearray(BUFFER_BYTES)

    def __enter__(self) -> Self:
        for path in self._paths:
            with source_errors(path):
                self._descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)

    def batches(self, entries: Entries) -> Iterator[tuple[bytearray, list[tuple[int, int, int]]]]:
        """Yield the entries in their order: a buffer, and for each entry in it its row, its start and its end
        in the buffer.

        The buffer's contents are valid until the next batch is asked for. Raises SourceError if an archive
        ends early.
        """
        ahead = self._read_ahead(entries)
        for rows in _fitting(entries, BUFFER_BYTES):
            needed = sum(entries.sizes[row] for row in rows)
            next(ahead, None)
            if needed > len(self._buffer):  # a single image larger than the buffer
                self._buffer = bytearray(needed)
            yield self._buffer, self._fill(entries, rows)

    def _fill(self, entries: Entries, rows: range) -> list[tuple[int, int, int]]:
        places = []
        start = 0
        view = memoryview(self._buffer)
        for row in rows:
            end = start + entries.sizes[row]
            archive = entries.archives[row]
            with source_errors(self._paths[archive]):
                got = os.preadv(self._descriptors[archive], [view[start:end]], entries.offsets[row])
            if got < end - start:
                raise self._changed(entries, row)
            places.append((row, start, end))
            start = end
        return places

    def _changed(self, entries: Entries, row: int) -> SourceError:
        path = Path(self._paths[entries.archives[row]])
        problem = Problem(
            path.name, "the archive ends before this image does", entries.member(row), entries.offsets[row]
        )
        return SourceError(
            "An archive became shorter while it was read:",
            (problem,),
            "Restore it and run the same command again.",
        )

    def _read_ahead(self, entries: Entries) -> Iterator[None]:
        """Ask the kernel for the images to come, a batch at a time: shuffled reads of a cold disk are slow
        one by one.
        """
        if not hasattr(os, "posix_fadvise"):  # macOS
            return
        for rows in _fitting(entries, READ_AHEAD_BYTES):
            for row in rows:
                descriptor = self._descriptors[entries.archives[row]]
                os.posix_fadvise(descriptor, entries.offsets[row], entries.sizes[row], os.POSIX_FADV_WILLNEED)
            yield


def _fitting(entries: Entries, limit: int) -> Iterator[range]:
    """Cut the rows into ranges of at most ``limit`` bytes, or a single image that is larger."""
    start = size = 0
    for row in range(len(entries)):
        if size + entries.sizes[row] > limit and row > start:
            yield range(start, row)
            start, size = row, 0
        size += entries.sizes[row]
    yield range(start, len(entries))

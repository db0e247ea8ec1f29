"""What a source gives a worker: the bytes of entries, read into memory that is used again and again.

A worker's memory is one buffer. Images are read one after another until it is full; then everything made of
them is written, and the buffer starts over. So an image is copied twice, from the page cache and back into
it, as ``cp`` would.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

from imagenet_prep.errors import SourceError, printable
from imagenet_prep.model.task import Entries
from imagenet_prep.platform import lacking

BUFFER_BYTES = 1 << 20  # of images between two writes: more leave the processor's cache, fewer cost system calls
_ENDS_EARLY = "the archive ends before this image does; it has become shorter"
READ_AHEAD_BYTES = 16 << 20  # that the kernel reads ahead: enough to keep a disk's queue full, little for its cache


@contextlib.contextmanager
def source_errors(path: Path | str) -> Iterator[None]:
    """Turn an OSError about a source into a SourceError."""
    try:
        yield
    except OSError as error:
        raise _unreadable(path, error) from error


def size_of(path: str) -> int | None:
    """Give the size of a file of a source, None if it is gone. Raises SourceError."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path | str, error: OSError) -> SourceError:
    reason = error.strerror or str(error)
    remedy = "Fix it and run the same command again."
    if isinstance(error, PermissionError):
        place, what = lacking(Path(path))
        remedy = f"{printable(str(place))} {what}. Its owner can change that (chmod u+rX)."
    return SourceError(f"Cannot read {printable(str(path))}: {reason}.", remedy=remedy)


class ArchiveReader:
    """Reads entries from archives, which are files that stay open, or folders, whose files are opened one at a time. A
    context manager: it closes what is open.
    """

    def __init__(self, paths: tuple[str, ...], named: tuple[str, ...] = ()) -> None:
        self._paths = paths
        self._named = named or paths  # in messages
        self._descriptors: list[int] = []  # of an archive that is a folder: of the folder
        self._folders: list[bool] = []
        self._inside = ""  # the file inside a folder that is open, and its descriptor
        self._inside_descriptor = -1
        self._buffer = bytearray(BUFFER_BYTES)

    def __enter__(self) -> Self:
        for path in self._paths:
            with source_errors(path):
                self._descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
                self._folders.append(os.path.isdir(path))
        return self

    def __exit__(self, *_: object) -> None:
        self._close_inside()
        for descriptor in self._descriptors:
            os.close(descriptor)

    def images(
        self, entries: Entries, wanted: Sequence[bool], before_reuse: Callable[[], None]
    ) -> Iterator[tuple[int, bytearray, int, int]]:
        """Yield the entries in their order: row, buffer, and where in the buffer the image begins and ends. An entry
        that is not ``wanted`` is not read, and empty.

        An image stays where it is until ``before_reuse`` is called, which happens when the buffer is full: by then
        everything that needs the images so far must be done. Raises SourceError if an archive ends early.
        """
        ahead, end = self._read_ahead(entries) if any(wanted) else iter(()), 0
        for row, size in enumerate(entries.sizes):
            if not wanted[row]:
                next(ahead, None)
                yield row, self._buffer, end, end
                continue
            start, end = end, end + size
            if end > len(self._buffer):
                before_reuse()
                start, end = 0, size
                if size > len(self._buffer):
                    self._buffer = bytearray(size)
            next(ahead, None)
            self._read(entries, row, memoryview(self._buffer)[start:end])
            yield row, self._buffer, start, end

    def forget(self, entries: Entries) -> None:
        """Have the kernel drop entries from its cache, where it can, so that the next read is from the disk."""
        if not hasattr(os, "posix_fadvise"):  # macOS
            return
        for row, (offset, size) in enumerate(zip(entries.offsets, entries.sizes, strict=True)):
            with contextlib.suppress(OSError):  # it is advice; what cannot be opened, the read names
                os.posix_fadvise(self._descriptor(entries, row), offset, size, os.POSIX_FADV_DONTNEED)

    def own_file(self, entries: Entries, row: int) -> str:
        """Give the path of the file that an entry is; "" if it lies inside an archive."""
        return entries.place(row, self._paths) if self._is_own(entries, row) else ""

    def _read(self, entries: Entries, row: int, place: memoryview) -> None:
        own = self._is_own(entries, row)
        try:
            descriptor = self._descriptor(entries, row)
            got = os.preadv(descriptor, [place], entries.offsets[row])
            grown = own and os.fstat(descriptor).st_size > len(place)
        except OSError as error:
            raise self._failed(entries, row, error.strerror or str(error)) from error
        if grown:
            raise self._failed(entries, row, "the file has grown since it was listed")
        if got < len(place):
            what = "the file is shorter than when it was listed" if own else _ENDS_EARLY
            raise self._failed(entries, row, what)

    def _is_own(self, entries: Entries, row: int) -> bool:
        """Whether an entry is a file of its own; an entry at the first byte of an archive is not one."""
        return self._folders[entries.archives[row]] and not entries.in_tar(row)

    def _descriptor(self, entries: Entries, row: int) -> int:
        archive = entries.archives[row]
        if not self._folders[archive]:
            return self._descriptors[archive]
        path = f"{self._paths[archive]}/{entries.file(row)}"
        if path != self._inside:
            self._close_inside()
            self._inside_descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._inside = path
        return self._inside_descriptor

    def _close_inside(self) -> None:
        if self._inside:
            os.close(self._inside_descriptor)
            self._inside = ""

    def _failed(self, entries: Entries, row: int, reason: str) -> SourceError:
        problem = entries.problem(row, self._named, reason)
        remedy = "Fix it, with the same contents, and run the same command again."
        return SourceError("An image cannot be read:", (problem,), remedy)

    def _read_ahead(self, entries: Entries) -> Iterator[None]:
        """Ask the kernel for the images to come: shuffled reads of a disk are slow one by one.

        Each step belongs to one image, and keeps what was asked for READ_AHEAD_BYTES before what is read.
        """
        if not hasattr(os, "posix_fadvise"):  # macOS
            return
        asked = asked_bytes = read_bytes = 0
        for size in entries.sizes:
            while asked < len(entries) and asked_bytes - read_bytes < READ_AHEAD_BYTES:
                archive = entries.archives[asked]
                if not self._folders[archive]:  # opening a file to announce it would cost as much as reading it
                    descriptor = self._descriptors[archive]
                    with contextlib.suppress(OSError):  # it is advice, which some file systems do not take
                        os.posix_fadvise(
                            descriptor, entries.offsets[asked], entries.sizes[asked], os.POSIX_FADV_WILLNEED
                        )
                asked_bytes += entries.sizes[asked]
                asked += 1
            read_bytes += size
            yield

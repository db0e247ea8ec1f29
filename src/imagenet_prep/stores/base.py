"""Where the files of a data set live. Whole objects appear at once, or not at all.

A worker writes through a batch, whose files get their names together, when all of them are complete. Paths are those
below the data set, with forward slashes. Whoever inherits a protocol has what it says of a place that has no links, no
paths and nothing half-written. What reads raises OSError, or ForbiddenError for what may not be read; what
writes raises OutputError, and DisturbedError, which is one, where another program changed a file in the meantime.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol, Self

from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Buffer
from imagenet_prep.stores.ranges import BytesReader
from imagenet_prep.stores.scratch import CopiedScratch, Scratch, copy_of


class Sink(Protocol):
    """One file that is being written. The batch closes it."""

    def write(self, *buffers: Buffer) -> None:
        """Take bytes, without copying them: they must stay as they are until the next ``flush``."""

    def flush(self) -> None:
        """Hand over everything that was taken."""

    @property
    def size(self) -> int:
        """Bytes that were taken so far."""

    def fact(self) -> FileFact:
        """Flush, and give path, size and digest. Nothing may be written afterwards."""


class RangeReader(Protocol):
    """A file of which parts are read in any order, by several threads or forked processes at once."""

    @property
    def size(self) -> int:
        """Bytes it had when it was opened."""

    def read(self, offset: int, length: int) -> bytes:
        """Give a part; less, where the file ends before. Raises OSError."""


class Batch(Protocol):
    """Files that become complete together. A context manager: what is not committed when it ends is gone, except small
    files that were placed, each of which is complete by itself.
    """

    def create(self, path: str) -> Sink:
        """Open a new file, which gets its name when the batch is committed. It replaces one of that name."""

    def scratch(self, path: str) -> Scratch:
        """Open a new file as ``create`` does, for a library that takes nothing but the path of a local file."""
        return CopiedScratch(self.create(path))

    def place(self, path: str, data: Buffer, source: str = "") -> None:
        """Write a small file as a whole, at once, over one of that name; ``commit`` makes it durable. ``source`` is a
        local file with the same bytes, "" for none: the store may share its blocks.
        """

    def link(self, path: str, source: str, *, symbolic: bool = False) -> None:
        """Give a local file a name in the store, or make a symbolic link to it, at once, over what has that name. For
        stores that can ``link``. Raises SourceError if the file is gone.
        """
        raise io.UnsupportedOperation(source)

    def discard(self, path: str) -> None:
        """Remove a file that an earlier batch may have placed."""

    def commit(self) -> None:
        """Make everything durable, then give each created file its name. Called once, last."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class Stat(NamedTuple):
    """A file in a store: bytes, a tag that is another one when the file was written again, and when that was: a number
    that grows, nanoseconds where there is a clock.
    """

    size: int
    version: int
    time: int


class Listing(NamedTuple):
    """What lies in a folder: names, each sorted. A symbolic link is what it leads to, and one that leads nowhere a
    file.
    """

    files: list[str]
    folders: list[str]


class Store(Protocol):
    """Where one data set lives. A value: it survives pickling, unless it lives in memory."""

    @property
    def place(self) -> str:
        """Its name in messages."""

    @property
    def links(self) -> bool:
        """Whether a file can be a link to one of the source."""
        return False

    def batch(self) -> Batch:
        """Begin to write."""

    def publish(self, path: str, data: bytes) -> FileFact:
        """Write one document durably, as a whole; again, if another program disturbs it. Gives what was written."""

    def stream(self, path: str, write: Callable[[Sink], object]) -> FileFact:
        """Have one file written by ``write``, which may be called again, as ``publish`` does."""
        with self.batch() as batch:
            sink = batch.create(path)
            write(sink)
            fact = sink.fact()
            batch.commit()
        return fact

    def touch(self, path: str, time: int) -> None:
        """Set the time of a file, as ``stat`` gives it. Where that is not possible, nothing happens."""

    def local_paths(self, *paths: str) -> list[str]:
        """Give the paths of files on this machine; none, if they are elsewhere."""
        return []

    def refusal(self) -> str | None:
        """Say in a sentence what keeps files here from surviving a power cut, if anything does."""
        return None

    def read(self, path: str) -> bytes:
        """Read a whole file."""

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading, from its start; it is the caller's to close."""
        return io.BytesIO(self.read(path))

    def reader(self, path: str) -> RangeReader:
        """Open a file to read parts of it, in any order."""
        return BytesReader(self.read(path))

    def lend(self, path: str) -> AbstractContextManager[bytes]:
        """Lend a file to a library that takes nothing but the path of a local file. Raises OSError."""
        return copy_of(self.open(path))

    def stat(self, path: str) -> Stat | None:
        """Give size, tag and time of a file; None if there is none."""

    def list(self, folder: str) -> Listing:
        """List a folder, "" for the whole; an empty listing if there is none."""

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""

    def remove_folder(self, path: str) -> None:
        """Remove a folder if it is empty."""
        return

    def is_same(self, path: str, source: str) -> bool:
        """Whether a file is the local file ``source``: one file with two names."""
        return False

    def give_back(self, path: str, source: str) -> None:
        """Give a file the local name ``source`` in place of the one it has here, without replacing anything. Raises
        FileExistsError, or OutputError.
        """
        raise io.UnsupportedOperation(source)

    def try_link(self, source: str, *, symbolic: bool) -> None:
        """Try whether a local file can be linked. Raises OutputError if not."""
        raise io.UnsupportedOperation(source)

    def turn(self) -> AbstractContextManager[None]:
        """Be the only one to decide something, for a moment: others wait for their turn."""

    def hold(self, *, alone: bool) -> AbstractContextManager[None]:
        """Write in the store, together with others, or ``alone``. Raises OtherBuildError if that cannot be now."""

    def sweep(self, *, own: bool = False) -> None:
        """Remove what dead writers left half-written; ``own``: this process has written all that it wanted."""
        return

    def free(self) -> int | None:
        """Give the bytes that are free; None if unknown. Raises OutputError if nothing can be written here."""
        return None

    def free_files(self) -> int | None:
        """Give how many files may be made; None if unknown, or if there is no such limit. Raises what ``free`` does."""
        return None


def files_below(store: Store, folder: str) -> Iterator[str]:
    """Yield the paths of all files in a folder and below."""
    listing = store.list(folder)
    prefix = f"{folder}/" if folder else ""
    yield from (f"{prefix}{name}" for name in listing.files)
    for name in listing.folders:
        yield from files_below(store, f"{prefix}{name}")

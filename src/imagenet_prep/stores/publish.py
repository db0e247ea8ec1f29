"""A final name means complete: write under a temporary name, sync, look, rename, look, sync the folder."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

import xxhash

from imagenet_prep.model.receipt import FileFact
from imagenet_prep.stores.digests import fact_of
from imagenet_prep.stores.draft import Draft
from imagenet_prep.stores.errors import output_errors, undisturbed
from imagenet_prep.stores.sync import WRITE_BEHIND_BYTES, sync_file, sync_folder, write_behind
from imagenet_prep.stores.temporary import top_of
from imagenet_prep.stores.tree import Tree

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Publication:
    """Files that get their names together, when all of them are complete. Paths are below ``folder``.

    A context manager: whatever is not finished when the context ends is removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, Draft] = {}
        self._tree: Tree | None = None  # for files that are placed

    def create(self, path: str) -> int:
        """Open a new file that will be known as ``path``, and give its descriptor, which stays the
        publication's to close.
        """
        return self.open(path).descriptor

    def open(self, path: str) -> Draft:
        """Open a new file as ``create`` does, and give all of it."""
        final = self._folder / path
        with output_errors(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            draft = self._open[path] = Draft(str(final), top_of(str(self._folder), path))
        return draft

    def place(self, path: str, data: bytes | memoryview, source: str = "") -> None:
        """Write a small file as a whole, and give it its name at once; ``finish`` makes it durable.

        ``source`` is the path of a file with the same bytes, "" for none.
        """
        self._tree = self._tree or Tree(self._folder)
        self._tree.place(path, data, source)

    def finish(self, files: Iterable[FileFact] = ()) -> None:
        """Sync all contents, then give every file its name, durably. ``files`` says what was written into each that was
        created. Raises DisturbedError if one has something else in it.
        """
        if self._tree:
            self._tree.sync()
        for path, draft in self._open.items():
            with output_errors(self._folder / path):
                sync_file(draft.descriptor)
                if (size := os.fstat(draft.descriptor).st_size) >= WRITE_BEHIND_BYTES:
                    write_behind(draft.descriptor, 0, size)  # the next file gets memory that is in use
        folders = sorted({(self._folder / path).parent for path in self._open})
        for file in files:
            self._finish(file)
        assert not self._open, "a file was created, and it was not said what is in it"
        for parent in folders:
            sync_folder(parent)

    def _finish(self, file: FileFact) -> None:
        def has_same(path: str) -> bool:
            with open(path, "rb") as there:
                return fact_of(file.path, there) == file

        draft = self._open[file.path]
        with output_errors(self._folder / file.path):
            draft.give_name(file.size, has_same)
        del self._open[file.path]
        draft.__exit__()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            self._open.popitem()[1].__exit__()


def publish_bytes(path: Path, data: bytes) -> FileFact:
    """Write a whole small file, durably, under its final name; again, if another program disturbs it. Gives what was
    written.
    """
    return undisturbed(lambda: publish_stream(path, lambda file: file.write(data)))


def publish_stream(path: Path, write: Callable[[BinaryIO], object]) -> FileFact:
    """Have a file written by ``write``, and give it its name, durably; gives what was written. Raises OutputError, and
    DisturbedError.
    """
    with Publication(path.parent) as files, output_errors(path):
        noting = _Noting(files.create(path.name))
        with io.BufferedWriter(noting) as file:
            write(file)
        fact = FileFact(path.name, noting.size, noting.digest.hexdigest())
        files.finish([fact])
    return fact


class _Noting(io.RawIOBase):
    """A file that notes what is written to it. Its descriptor is somebody else's to close."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = 0
        self.digest = xxhash.xxh3_128()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what the system takes."""
        written = os.write(self._descriptor, data)
        self.size += written
        self.digest.update(memoryview(data)[:written])
        return written

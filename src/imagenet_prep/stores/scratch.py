"""Files for libraries that take nothing but a path, where a store has no paths: a copy outside the store, which is gone
when it was read or taken over.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Buffer
from imagenet_prep.stores.errors import library_errors

_COPY_BYTES = 1 << 20


class Scratch(Protocol):
    """A file of a batch that a library writes instead of us."""

    @property
    def path(self) -> bytes:
        """Where it lies on this machine, still empty."""

    def errors(self) -> AbstractContextManager[None]:
        """Turn a RuntimeError of the library into OutputError."""

    def flush(self) -> None:
        """Say that the library has written something: the disk may start."""

    def fact(self) -> FileFact:
        """Take over what was written, and give path, size and digest. Nothing may be written afterwards."""


class _Sink(Protocol):
    def write(self, *buffers: Buffer) -> None: ...
    def flush(self) -> None: ...
    def fact(self) -> FileFact: ...


class CopiedScratch:
    """A temporary file that is copied into a sink."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink
        descriptor, path = tempfile.mkstemp()
        os.close(descriptor)
        self._path = Path(path)
        self._remove = weakref.finalize(self, os.unlink, path)

    @property
    def path(self) -> bytes:
        """In the system's folder for such files."""
        return os.fsencode(self._path)

    def errors(self) -> AbstractContextManager[None]:
        """Those of the temporary file."""
        return library_errors(self._path)

    def flush(self) -> None:
        """It will be copied as a whole."""

    def fact(self) -> FileFact:
        """Copy it, and remove it."""
        with self._path.open("rb") as file:
            while data := file.read(_COPY_BYTES):
                self._sink.write(data)
                self._sink.flush()
        self._remove()
        return self._sink.fact()


@contextmanager
def copy_of(file: BinaryIO) -> Iterator[bytes]:
    """Lend a copy of an open file, by its path."""
    with file, tempfile.NamedTemporaryFile() as copy:
        shutil.copyfileobj(file, copy, _COPY_BYTES)
        copy.flush()
        yield os.fsencode(copy.name)

"""A folder on a local or shared disk: files get their names by renames, and become durable by one sync."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR
from typing import BinaryIO, Self

import xxhash

from imagenet_prep.errors import Forbidden, ForbiddenError, OutputError
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Buffer
from imagenet_prep.platform import lacking
from imagenet_prep.stores.base import Listing, RangeReader, Sink, Stat
from imagenet_prep.stores.digests import fact_of
from imagenet_prep.stores.draft import Draft
from imagenet_prep.stores.errors import MAY_READ, library_errors, output_errors, undisturbed
from imagenet_prep.stores.lock import held, turn
from imagenet_prep.stores.publish import Publication
from imagenet_prep.stores.ranges import DescriptorReader
from imagenet_prep.stores.sync import WRITE_BEHIND_BYTES, refusal, write_behind
from imagenet_prep.stores.temporary import sweep
from imagenet_prep.stores.tree import Tree, try_link

_BUFFERS_AT_ONCE = 1020  # below IOV_MAX, which is 1024 on Linux and macOS


class _Sink:
    """A file that is written with one system call for many buffers, straight from where they lie."""

    def __init__(self, folder: Path, path: str, descriptor: int) -> None:
        self._path = path
        self._final = folder / path
        self._descriptor = descriptor
        self._taken: list[Buffer] = []
        self._digest = xxhash.xxh3_128()
        self.size = self._written = self._begun = 0

    def write(self, *buffers: Buffer) -> None:
        """Take bytes; hash them now, while they are in the processor's cache."""
        for buffer in buffers:
            self._digest.update(buffer)
            self.size += len(buffer)
        self._taken += buffers

    def flush(self) -> None:
        """Write what was taken."""
        with output_errors(self._final):
            for start in range(0, len(self._taken), _BUFFERS_AT_ONCE):
                _write_all(self._descriptor, self._taken[start : start + _BUFFERS_AT_ONCE])
        self._taken.clear()
        self._written = self.size
        if self._written - self._begun >= WRITE_BEHIND_BYTES:
            self._begin_writing()

    def _begin_writing(self) -> None:
        """Have the disk start with what is new, so that the last sync finds little left to wait for; and have the page
        cache free what is on the disk by now, for the next bytes: memory in use costs half of new memory.
        """
        write_behind(self._descriptor, 0, self._written)
        self._begun = self._written

    def fact(self) -> FileFact:
        """Give what the file is."""
        self.flush()
        return FileFact(self._path, self.size, self._digest.hexdigest())


class _Scratch:
    """A file that a library writes under its temporary name."""

    def __init__(self, path: str, draft: Draft) -> None:
        self._path = path
        self._draft = draft
        self._fact: FileFact | None = None
        self._begun = 0

    @property
    def path(self) -> bytes:
        """The temporary name."""
        return os.fsencode(self._draft.path)

    def errors(self) -> AbstractContextManager[None]:
        """Those of the file."""
        return library_errors(Path(self._draft.final))

    def flush(self) -> None:
        """Have the disk start with what is new, which stays in memory, because it will be read."""
        size = os.fstat(self._draft.descriptor).st_size
        if size - self._begun >= WRITE_BEHIND_BYTES:
            write_behind(self._draft.descriptor, self._begun, size - self._begun)
            self._begun = size

    def fact(self) -> FileFact:
        """Read it, by the descriptor: another file may have the temporary name by now. Then free its memory."""
        if self._fact is None:
            with output_errors(Path(self._draft.final)), open(self._draft.descriptor, "rb", closefd=False) as file:
                self._fact = fact_of(self._path, file)
            write_behind(self._draft.descriptor, 0, self._fact.size)
        return self._fact


def _write_all(descriptor: int, buffers: list[Buffer]) -> None:
    """Write all of the buffers: a signal ends a system call early, without an error."""
    left = sum(map(len, buffers))
    while left:
        written = os.writev(descriptor, buffers)
        left -= written
        if left:
            buffers = _without(buffers, written)


def _without(buffers: list[Buffer], written: int) -> list[Buffer]:
    for index, buffer in enumerate(buffers):
        if written < len(buffer):
            return [memoryview(buffer)[written:], *buffers[index + 1 :]]
        written -= len(buffer)
    return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


class _Batch:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._publication = Publication(folder)
        self._sinks: list[_Sink] = []
        self._scratches: list[_Scratch] = []
        self._tree: Tree | None = None  # for files that are placed or linked

    def create(self, path: str) -> _Sink:
        """Open a new file."""
        self._sinks.append(_Sink(self._folder, path, self._publication.create(path)))
        return self._sinks[-1]

    def scratch(self, path: str) -> _Scratch:
        """Open a new file, and lend it."""
        self._scratches.append(_Scratch(path, self._publication.open(path)))
        return self._scratches[-1]

    def place(self, path: str, data: Buffer, source: str = "") -> None:
        """Write a small file, or clone it where the file system can."""
        self._small().place(path, data, source)

    def link(self, path: str, source: str, *, symbolic: bool = False) -> None:
        """Make a link."""
        if symbolic:
            self._small().symlink(path, source)
        else:
            self._small().hardlink(path, source)

    def discard(self, path: str) -> None:
        """Remove a file."""
        with output_errors(self._folder / path):
            (self._folder / path).unlink(missing_ok=True)

    def commit(self) -> None:
        """Flush and sync everything, then rename."""
        if self._tree:
            self._tree.sync()
        files: list[_Sink | _Scratch] = [*self._sinks, *self._scratches]
        self._publication.finish([file.fact() for file in files])

    def _small(self) -> Tree:
        self._tree = self._tree or Tree(self._folder)
        return self._tree

    def __enter__(self) -> Self:
        self._publication.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._publication.__exit__()


@dataclass(frozen=True, slots=True)
class LocalStore:
    """The folder ``folder``, an absolute path; ``place`` is how the user called it."""

    folder: str
    place: str = field(default="", compare=False)
    links = True

    @property
    def _root(self) -> Path:
        return Path(self.folder)

    def batch(self) -> _Batch:
        """Begin to write."""
        return _Batch(self._root)

    def publish(self, path: str, data: bytes) -> FileFact:
        """Write a file, sync it, and rename it."""
        return self.stream(path, lambda sink: sink.write(data))

    def stream(self, path: str, write: Callable[[Sink], object]) -> FileFact:
        """Have a file written, until nobody disturbs it."""

        def once() -> FileFact:
            with self.batch() as batch:
                sink = batch.create(path)
                write(sink)
                batch.commit()
                return sink.fact()

        return undisturbed(once)

    def touch(self, path: str, time: int) -> None:
        """Set its time."""
        with contextlib.suppress(OSError):  # a read-only file system, or another user's file
            os.utime(f"{self.folder}/{path}", ns=(time, time))

    def local_paths(self, *paths: str) -> list[str]:
        """Give the paths below the folder."""
        return [f"{self.folder}/{path}" for path in paths]

    def refusal(self) -> str | None:
        """Try it on the folder."""
        return refusal(self._root)

    def read(self, path: str) -> bytes:
        """Read a file."""
        with self._readable(path):
            return (self._root / path).read_bytes()

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading."""
        with self._readable(path):
            return (self._root / path).open("rb", buffering=1 << 20)

    def reader(self, path: str) -> RangeReader:
        """Open a file for ``pread``."""
        with self._readable(path):
            return DescriptorReader(f"{self.folder}/{path}")

    @contextlib.contextmanager
    def lend(self, path: str) -> Iterator[bytes]:
        """Lend the file itself, which is there and may be read."""
        with self.open(path):
            yield os.fsencode(f"{self.folder}/{path}")

    @contextlib.contextmanager
    def _readable(self, path: str) -> Iterator[None]:
        """Say which permission is missing where something may not be read."""
        try:
            yield
        except PermissionError as error:
            place, reason = lacking(self._root / path)
            inside = place.is_relative_to(self._root) and place != self._root
            where = str(place.relative_to(self._root) if inside else place)
            summary = f"{self.place or self.folder} cannot be read completely:"
            raise ForbiddenError(summary, (Forbidden(where, reason),), MAY_READ) from error

    def stat(self, path: str) -> Stat | None:
        """Look at a file. Each write makes a new one, whose number differs even at the same moment."""
        with self._readable(path):
            try:
                status = os.stat(f"{self.folder}/{path}")
            except PermissionError:  # what may not be read is not missing
                raise
            except OSError:
                return None
        if S_ISDIR(status.st_mode):
            return None
        return Stat(status.st_size, status.st_mtime_ns << 64 | status.st_ino, status.st_mtime_ns)

    def list(self, folder: str) -> Listing:
        """List a folder."""
        files: list[str] = []
        folders: list[str] = []
        try:
            with self._readable(folder), os.scandir(self._root / folder) as entries:
                for entry in entries:
                    (folders if _is_folder(entry) else files).append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return Listing([], [])
        return Listing(sorted(files), sorted(folders))

    def remove(self, path: str) -> None:
        """Remove a file."""
        with output_errors(self._root / path, "remove"), contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.folder}/{path}")

    def remove_folder(self, path: str) -> None:
        """Remove a folder, if it is empty; a link to a folder stays."""
        with contextlib.suppress(OSError):
            os.rmdir(f"{self.folder}/{path}")

    def is_same(self, path: str, source: str) -> bool:
        """Compare device and inode."""
        try:
            return os.path.samestat(os.lstat(f"{self.folder}/{path}"), os.lstat(source))
        except OSError:
            return False

    def give_back(self, path: str, source: str) -> None:
        """Make a link, which replaces nothing, before the name here goes: the file has one at every moment."""
        here = f"{self.folder}/{path}"
        with output_errors(Path(source)):
            os.makedirs(os.path.dirname(source), exist_ok=True)
        if os.path.lexists(source):
            raise FileExistsError(source)
        with output_errors(Path(source)):
            os.link(here, source, follow_symlinks=False)
            os.unlink(here)

    def try_link(self, source: str, *, symbolic: bool) -> None:
        """Make a link in the private folder, and take it away."""
        try_link(self._root / PRIVATE, source, symbolic=symbolic)

    def turn(self) -> AbstractContextManager[None]:
        """Lock the folder, which is made."""
        return turn(self._root)

    def hold(self, *, alone: bool) -> AbstractContextManager[None]:
        """Lock the private folder, or the data set if there is none."""
        private = self._root / PRIVATE
        folder = private if private.is_dir() else self._root
        return held(folder, Path(self.place or self.folder), alone=alone)

    def sweep(self, *, own: bool = False) -> None:
        """Remove temporary files that nobody writes: they lie at the top of the tree."""
        if os.path.isdir(self._root / PRIVATE):  # false where one may not read
            sweep(self._root, depth=1, own=own)

    def free(self) -> int | None:
        """Ask the file system."""
        try:
            disk = shutil.disk_usage(self._nearest())
        except OSError:  # a file system that does not say
            return None
        return disk.free if disk.total else None  # some in user space report 0 for everything

    def free_files(self) -> int | None:
        """Ask the file system for inodes, which some have without a number."""
        try:
            disk = os.statvfs(self._nearest())
        except OSError:
            return None
        return disk.f_favail if disk.f_files else None

    def _nearest(self) -> Path:
        """Give the folder that is there, or the one above it."""
        nearest = next(path for path in (self._root, *self._root.parents) if os.path.lexists(path))
        if not nearest.exists():
            remedy = "Remove it, or make what it leads to."
            raise OutputError(f"{nearest} is a symbolic link that leads nowhere.", remedy=remedy)
        if not nearest.is_dir():
            remedy = "Choose a folder that is empty or does not exist yet."
            name = self.place if nearest == self._root and self.place else nearest
            raise OutputError(f"{name} is not a folder.", remedy=remedy)
        return nearest

"""The spool: a packed archive in its plain form, from which workers read as from any other.

It lies beside what is built and never beside the source, whose disk may be full, shared, or not for us to write to. It
has no name where that is possible (Linux): workers open it through this process, so it is gone when this process is,
whatever ended it. Elsewhere it has a temporary name and a lock, and the next build removes what a killed one left. It
has the time of the archive, so that a worker finds the archive unchanged.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from imagenet_prep.model.events import Progress, Stage, Watch
from imagenet_prep.sources.plain import modified_at, packed_at, plain_form, plain_size
from imagenet_prep.stores.base import Store
from imagenet_prep.stores.errors import output_errors
from imagenet_prep.stores.space import check_space
from imagenet_prep.stores.temporary import forget_name, lock, sweep, temporary_name

_OPEN_FILES = "/proc/{}/fd"  # of a process, on Linux


class Spool:
    """Unpacks archives, each when it is asked for and once. A context manager: afterwards they are gone. ``shared`` is
    whether all workers are on this machine.
    """

    def __init__(self, store: Store, watch: Watch, *, shared: bool) -> None:
        self._store, self._watch = store, watch
        self._nameless = shared and os.path.isdir(_OPEN_FILES.format(os.getpid()))
        self._places: dict[str, str] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for folder in dict.fromkeys((*map(Path, self._store.local_paths("")), self._folder())):
            if os.path.isdir(folder):  # false where one may not look
                sweep(folder, depth=0)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._open.close()

    def needed(self, paths: Iterable[str]) -> int:
        """Give the bytes that the packed ones among archives will take, as far as they are not there."""
        return sum(plain_size(path) for path in paths if path not in self._places)

    def plain(self, path: str) -> str:
        """Give the place where an archive can be read anywhere: its own, unless it is packed. Raises SourceError and
        OutputError.
        """
        path = os.path.abspath(path)
        if path not in self._places:
            packed = packed_at(path)
            if packed:
                check_space(self._store, plain_size(path))
            self._places[path] = self._unpack(path) if packed else path
        return self._places[path]

    def place(self, path: str) -> str:
        """Give the same without unpacking anything."""
        return self._places.get(path, path)

    def _folder(self) -> Path:
        """Where it lies: in the store if that is there, or beside it; for one without a folder, where the system has
        such files.
        """
        local = [Path(path) for path in self._store.local_paths("")]
        there = (each for path in local for each in (path, *path.parents) if os.path.isdir(each))
        return next(there, None) or Path(tempfile.gettempdir())

    def _unpack(self, path: str) -> str:
        folder = self._folder()
        with output_errors(folder):
            file, place = self._nameless_file(folder) if self._nameless else self._named_file(folder)
        modified = modified_at(Path(path))
        done, total = 0, plain_size(path)
        for piece in plain_form(Path(path)):
            with output_errors(folder):
                file.write(piece)
            done += len(piece)
            self._watch(Progress(Stage.UNPACK, 0, 0, done, max(done, total), os.path.basename(path)))
        with output_errors(folder):
            file.flush()
            os.utime(file.fileno(), ns=(modified, modified))
        return place

    def _nameless_file(self, folder: Path) -> tuple[BinaryIO, str]:
        file = self._open.enter_context(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115
        return file, f"{_OPEN_FILES.format(os.getpid())}/{file.fileno()}"

    def _named_file(self, folder: Path) -> tuple[BinaryIO, str]:
        place = str(folder / temporary_name("spool"))
        self._open.callback(_remove, place)
        file = self._open.enter_context(open(place, "xb"))  # noqa: SIM115
        lock(file.fileno())
        return file, place


def _remove(place: str) -> None:
    Path(place).unlink(missing_ok=True)
    forget_name(place)

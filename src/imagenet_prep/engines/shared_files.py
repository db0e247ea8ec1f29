"""Checks whether a worker on another machine has the same files as this process, before it works.

An archive that is not there is an error of the source, and a folder that is not there can be made. On a machine that
has other disks both would be wrong: so each worker process compares some paths once, and reports what differs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic

from imagenet_prep.engines.base import Engine, Result, Task
from imagenet_prep.errors import UsageError

_Mark = tuple[str, int, int]  # path, size, and time of the last change in seconds; of a folder, only the path


@dataclass(frozen=True, slots=True)
class _Looking(Generic[Task, Result]):
    """Work that first looks at the paths. One object for all tasks: what was seen once is not looked at again."""

    work: Callable[[Task], Result]
    marks: tuple[_Mark, ...]

    def __call__(self, task: Task) -> Result:
        _look(self.marks)
        return self.work(task)


def seeing(engine: Engine, work: Callable[[Task], Result], paths: Iterable[str]) -> Callable[[Task], Result]:
    """Give ``work`` that raises UsageError in a worker that does not have the files ``paths`` of this process; the
    work itself if every worker surely has them. What is not there in this process either is for the work to say.
    """
    return work if engine.shares_files else _Looking(work, tuple(_mark(path) for path in paths if os.path.exists(path)))


def path_for(engine: Engine, path: str | os.PathLike[str]) -> str:
    """Give a path as workers need it: absolute, where they may have another working directory."""
    return os.fspath(path) if engine.shares_files else os.path.abspath(path)


def _mark(path: str) -> _Mark:
    path = os.path.abspath(path)
    if not os.path.isfile(path):
        return path, -1, -1
    status = os.stat(path)
    return path, status.st_size, int(status.st_mtime)


@lru_cache(maxsize=16)  # an error is not kept
def _look(marks: tuple[_Mark, ...]) -> None:
    for path, size, time in marks:
        try:
            found = os.stat(path)
        except OSError as error:
            raise _other_files(path, "cannot see", error.strerror or str(error)) from error
        if size >= 0 and (found.st_size, int(found.st_mtime)) != (size, time):
            raise _other_files(path, "sees another file at", "size or time differ")


def _other_files(path: str, sees: str, reason: str) -> UsageError:
    worker = f"process {os.getpid()} on {socket.gethostname()}"
    return UsageError(
        f"A worker ({worker}) {sees} {path}: {reason}.",
        remedy="Workers need the source and the output under the same paths as this process, on a shared disk.",
    )

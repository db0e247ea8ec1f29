"""Runs tasks in this process, one after another: the simplest engine, for small builds and for debugging."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext

from imagenet_prep.engines.base import Advance, Engine, Result, Task
from imagenet_prep.engines.reports import reporting


class Here:
    """The engine of one task at a time."""

    width = 1
    shares_files = True

    def __init__(self) -> None:
        self._runs = 0

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        lost: Callable[[Task], Result] | None = None,  # noqa: ARG002 — no process, no death
        progress: Advance | None = None,
    ) -> Iterator[Result]:
        """Yield results in the order of the tasks; each task starts when its result is asked for."""
        self._runs += 1
        return self._results(self._runs, work, tasks, progress)

    def _results(
        self, number: int, work: Callable[[Task], Result], tasks: Iterable[Task], progress: Advance | None
    ) -> Iterator[Result]:
        for task in tasks:
            if number != self._runs:
                raise RuntimeError("A later run ended this one.")
            with reporting(progress):
                result = work(task)
            yield result


def opened(_value: str) -> AbstractContextManager[Engine]:
    """Give the engine."""
    return nullcontext(Here())

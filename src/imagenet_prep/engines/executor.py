"""Runs tasks on any ``concurrent.futures.Executor``: threads, a process pool, MPI, somebody's cluster.

An executor does not report how many workers it has, or which task a dead one was at. So ``width`` is what the caller
states, or a bound that is large enough for a small cluster and costs little: with 64, at most 256 tasks are submitted
and not finished, of about 100 kB each. It does not depend on this machine, on which the work may not run at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from itertools import islice
from queue import SimpleQueue
from typing import Any, Generic

from imagenet_prep.engines.base import Advance, Result, Task
from imagenet_prep.errors import PrepError

_WIDTH = 64
_WAITING = 3  # tasks for each worker that are submitted beside the one that runs: none ever waits for this process


class OnExecutor:
    """The engine of an executor, which stays the caller's to shut down. ``width``: how many tasks run at once."""

    shares_files = False  # unknown

    def __init__(self, executor: Executor, width: int = _WIDTH) -> None:
        self.width = width
        self._executor = executor
        self._current: _Run[Any] | None = None

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        lost: Callable[[Task], Result] | None = None,  # noqa: ARG002 — an executor does not say which task died
        progress: Advance | None = None,  # noqa: ARG002 — nor how far one is
    ) -> Iterator[Result]:
        """Start at once, and yield results as they are finished; a worker that died is an error, never a wait."""
        if self._current:
            self._current.end()
        run = _Run(self._executor, work, iter(tasks), self.width * (1 + _WAITING))
        self._current = run
        run.fill()
        return run.results()


class _Run(Generic[Result]):
    """One run: the tasks to come, and the futures of those that were submitted."""

    def __init__(self, executor: Executor, work: Callable[[Task], Result], tasks: Iterator[Task], window: int) -> None:
        # Not ``concurrent.futures.wait``: it takes the locks of all futures, and an interrupt may leave one locked.
        self._done: SimpleQueue[Future[Result]] = SimpleQueue()
        self._running: set[Future[Result]] = set()
        self._window = window
        self._submitted = (executor.submit(work, task) for task in tasks)
        self._ended = False

    def fill(self) -> None:
        """Submit as many tasks as the window takes."""
        with _dead_workers_named():
            for future in islice(self._submitted, self._window - len(self._running)):
                self._running.add(future)
                future.add_done_callback(self._done.put)

    def results(self) -> Iterator[Result]:
        """Yield results until nothing is left to do. When it ends early, what has not started is cancelled."""
        try:
            while self._running or self._ended:
                if self._ended:
                    raise RuntimeError("A later run ended this one.")
                finished = self._done.get()
                self._running.discard(finished)
                self.fill()
                with _dead_workers_named():
                    result = finished.result()
                yield result
        finally:
            self.end()

    def end(self) -> None:
        """Cancel what has not started."""
        self._ended = bool(self._running)
        running, self._running = self._running, set()
        for future in running:
            future.cancel()


@contextlib.contextmanager
def _dead_workers_named() -> Iterator[None]:
    try:
        yield
    except BrokenExecutor as error:
        raise PrepError(
            "A worker of the executor was killed, perhaps because memory ran out. It cannot be used again.",
            remedy="Run the same again with a new executor: finished shards are kept. Fewer workers need less memory.",
        ) from error
    except CancelledError as error:
        raise PrepError(
            "The executor cancelled a task.", remedy="Run the same again with a new executor: finished shards are kept."
        ) from error

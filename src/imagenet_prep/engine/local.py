"""Engines on this machine: the process itself, or a few processes beside it.

Processes are forked while this process has a single thread, and spawned otherwise: a fork is at work in milliseconds,
but it copies locks that other threads hold, and Arrow, NumPy and progress bars have threads. So the engine is made
first, and workers load neither Arrow nor NumPy themselves. Tasks are handed out a few at a time: a thousand never lie
in memory as pickles.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from itertools import islice
from multiprocessing import current_process
from queue import SimpleQueue

from imagenet_prep.engine.base import Engine, Result, Task
from imagenet_prep.engine.processes import Processes
from imagenet_prep.errors import PrepError, UsageError

_WAITING_PER_WORKER = 3  # tasks that lie ready for each worker beside the one it has: none ever waits for this process
_MOST_BY_DEFAULT = 32  # processes: each moves about 1 GB a second, so more of them wait for any disk


class InProcess:
    """Runs tasks here, one after another: the simplest engine, for small builds and for debugging."""

    width = 1

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        lost: Callable[[Task], Result] | None = None,  # noqa: ARG002 — no process, no death
    ) -> Iterator[Result]:
        """Yield results in the order of the tasks."""
        return map(work, tasks)


class OnExecutor:
    """Runs tasks on any executor: a process pool, or a cluster's. The executor stays the caller's to shut
    down.
    """

    def __init__(self, executor: Executor, width: int) -> None:
        self.width = width
        self._executor = executor
        self._window = width * (1 + _WAITING_PER_WORKER)

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        lost: Callable[[Task], Result] | None = None,  # noqa: ARG002 — an executor does not say which task died
    ) -> Iterator[Result]:
        """Start at once, and yield results as they are finished; a worker that died is an error, never a wait."""
        # Not ``concurrent.futures.wait``: it takes the locks of all futures, and an interrupt may leave one locked.
        done: SimpleQueue[Future[Result]] = SimpleQueue()
        futures = self._submissions(work, iter(tasks), done)
        with _dead_workers_named():
            return self._results(futures, set(islice(futures, self._window)), done)

    def _submissions(
        self, work: Callable[[Task], Result], tasks: Iterator[Task], done: SimpleQueue[Future[Result]]
    ) -> Iterator[Future[Result]]:
        for task in tasks:
            future = self._executor.submit(work, task)
            future.add_done_callback(done.put)
            yield future

    def _results(
        self, futures: Iterator[Future[Result]], running: set[Future[Result]], done: SimpleQueue[Future[Result]]
    ) -> Iterator[Result]:
        try:
            with _dead_workers_named():
                while running:
                    finished = done.get()
                    running.remove(finished)
                    running |= set(islice(futures, self._window - len(running)))
                    yield finished.result()
        finally:
            for future in running:
                future.cancel()


@contextlib.contextmanager
def _dead_workers_named() -> Iterator[None]:
    try:
        yield
    except BrokenExecutor as error:
        raise PrepError(
            "A worker process was killed, perhaps because memory ran out.",
            remedy="Run the same command again: finished shards are kept. Fewer --jobs need less memory.",
        ) from error


@contextlib.contextmanager
def local_engine(jobs: int) -> Iterator[Engine]:
    """Give an engine of ``jobs`` processes; 0 means one for each processor this process may use, up to 32; 1 means no
    process beside this one. A process that may have none, as the workers of pools, Celery and Airflow may not, works
    alone whatever ``jobs`` says.

    When the context ends, the processes are gone. When it ends early, by an error or an interrupt, they stop
    what they are doing within a second and clean up behind themselves.
    """
    jobs = jobs or min(available_processors(), _MOST_BY_DEFAULT)
    if jobs == 1 or current_process().daemon:
        yield InProcess()
        return
    processes = Processes(jobs)
    try:
        _start(processes)
        yield processes
        processes.finish()
    finally:
        processes.stop()


def _start(processes: Processes) -> None:
    try:
        processes.start()
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"Cannot start {processes.width} worker processes: {error}.",
            remedy="Fewer --jobs need fewer processes and open files (see ulimit -u and ulimit -n).",
        ) from error


def available_processors() -> int:
    """Count the processors this process may use, which on a shared machine are fewer than there are."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # some sandboxes do not let one ask
            return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

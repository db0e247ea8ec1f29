"""Engines on this machine: the process itself, or a few processes beside it.

Processes are forked while this process has a single thread, and spawned otherwise: a fork is at work in milliseconds,
but it copies locks that other threads hold, and Arrow, NumPy and progress bars have threads. So the engine is made
first, and workers load neither Arrow nor NumPy themselves. Tasks are handed out a few at a time: a thousand never lie
in memory as pickles.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from queue import SimpleQueue

from imagenet_prep.engine.base import Engine, Result, Task
from imagenet_prep.errors import PrepError, UsageError

_WAITING_PER_WORKER = 3  # tasks that lie ready for each worker beside the one it has: none ever waits for this process
_MOST_BY_DEFAULT = 32  # processes: each moves about 1 GB a second, so more of them wait for any disk
_GRACE = 1.0  # seconds a worker has to remove what it was writing
_TERMINATED = 128 + signal.SIGTERM  # what a shell calls the exit code of a terminated process


class InProcess:
    """Runs tasks here, one after another: the simplest engine, for small builds and for debugging."""

    width = 1

    def run(self, work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
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

    def run(self, work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
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
    except BrokenProcessPool as error:
        raise PrepError(
            "A worker process was killed, perhaps because memory ran out.",
            remedy="Run the same command again: finished shards are kept. Fewer --jobs need less memory.",
        ) from error


@contextlib.contextmanager
def local_engine(jobs: int) -> Iterator[Engine]:
    """Give an engine of ``jobs`` processes; 0 means one for each processor this process may use, up to 32; 1 means no
    process beside this one.

    When the context ends, the processes are gone. When it ends early, by an error or an interrupt, they stop
    what they are doing within a second and clean up behind themselves.
    """
    jobs = jobs or min(available_processors(), _MOST_BY_DEFAULT)
    if jobs == 1:
        yield InProcess()
        return
    ours, theirs = multiprocessing.Pipe(duplex=False)
    others = set(multiprocessing.active_children())
    executor = None
    completed = False
    try:
        executor = _started_pool(jobs, ours, theirs)
        yield _OnProcesses(executor, jobs)
        completed = True
    finally:
        if not completed:
            theirs.close()  # every worker sees the end of the pipe
        if executor is not None:
            executor.shutdown(wait=completed, cancel_futures=True)
        for worker in set(multiprocessing.active_children()) - others:
            worker.join(2 * _GRACE)
        theirs.close()
        ours.close()


def _started_pool(jobs: int, ours: Connection, theirs: Connection) -> ProcessPoolExecutor:
    """Start the workers: they get ready while this process prepares their work."""
    # An interrupt at the terminal reaches the whole process group. Blocked here, it stays so in the workers, from their
    # first moment on: what becomes of them is for this process to decide.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        context = multiprocessing.get_context("fork" if _has_one_thread() else "spawn")
        executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(ours, theirs))
        for _ in range(jobs):  # each submission starts one
            executor.submit(_be_ready)
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"Cannot start {jobs} worker processes: {error}.",
            remedy="Fewer --jobs need fewer processes and open files (see ulimit -u and ulimit -n).",
        ) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return executor


def available_processors() -> int:
    """Count the processors this process may use, which on a shared machine are fewer than there are."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _OnProcesses(OnExecutor):
    def run(self, work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """As on any executor; what runs can be terminated cleanly."""
        return super().run(partial(_terminable, work), tasks)


def _terminable(work: Callable[[Task], Result], task: Task) -> Result:
    """While a task runs, termination is an exception: the stack unwinds, and half-written files are removed on the
    way.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        return work(task)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _be_ready() -> None:
    """The first task of every worker."""


def _has_one_thread() -> bool:
    """Whether nothing but this thread runs in the process; where the system does not say, no."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:  # macOS
        return False


def _start_worker(stop: Connection, parents_end: Connection) -> None:
    parents_end.close()  # a copy of it here would keep the pipe open when the parent closes its own
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork has the parent's handler
    threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True).start()


def _stop_with_parent(stop: Connection) -> None:
    """Stop when the parent says so, or is gone: one killed outright could not say it, and its workers would
    wait for ever.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None  # this runs in a worker only
    wait_for([parent.sentinel, stop])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(_TERMINATED)

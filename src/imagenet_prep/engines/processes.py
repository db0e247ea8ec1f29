"""Runs tasks in worker processes of this machine, and survives the death of any of them.

Own processes, and not a ``ProcessPoolExecutor``: when one worker of a pool dies, the pool kills all the others, nobody
knows which task it was at, and a lock of the shared queue may die with its holder. Here each worker has a pipe of its
own: a dead one loses the task it was at, and nothing else. This process has no thread.

What a task reports of its progress comes through the same pipe, while the results of others are waited for.

A task is tried twice. The first task of a worker that dies before it has started anything counts as tried, so a machine
on which every worker dies at its start comes to an end, too.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import current_process
from typing import Any, Generic

from imagenet_prep.engines.base import Advance, Engine, Result, Task, raise_lost
from imagenet_prep.engines.here import Here
from imagenet_prep.engines.orders import outcome
from imagenet_prep.engines.reports import Gauge
from imagenet_prep.engines.worker import BEGUN, GRACE, Job, Worker, moved, refuse_while_importing, stop, wait_for_news
from imagenet_prep.errors import PrepError, UsageError

_FOR_EACH_PROCESSOR = 2  # workers: while one waits for a read or a sync, another has the processor
_MOST_BY_DEFAULT = 32  # processes: each moves about 1 GB a second, so more of them wait for any disk

_READY = 1  # task that lies ready at a worker beside the one it is at: it never waits for this process
_AHEAD = 2  # tasks for each worker that are known and not handed out: while there are so many, more may lie ready


class Processes:
    """``width`` worker processes. Whoever makes it calls ``start``, then at a good end ``finish``, and always
    ``stop``.

    Processes are forked while this process has a single thread, and spawned otherwise: a fork is at work in
    milliseconds, but it copies locks that other threads hold, and Arrow, NumPy and progress bars have threads. So the
    engine is made first, and workers load neither Arrow nor NumPy themselves. Tasks are handed out a few at a time: a
    thousand never lie in memory as pickles.
    """

    shares_files = True

    def __init__(self, width: int) -> None:
        self.width = width
        self.workers: list[Worker] = []
        self._places = width
        self._current: _Run[Any, Any] | None = None

    def start(self) -> None:
        """Start the workers: they get ready while this process prepares their work. Raises OSError."""
        while len(self.workers) < self.width:
            self._start_worker()

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        lost: Callable[[Task], Result] | None = None,
        progress: Advance | None = None,
    ) -> Iterator[Result]:
        """Start at once, and yield results as they are finished; a new run ends the one before."""
        self.drop()
        run = self._current = _Run(self, work, iter(tasks), lost or raise_lost, Gauge(progress))
        run.hand_out()
        return run.results()

    def drop(self) -> None:
        """Stop the workers that are at work: what they do is of no use any more."""
        busy = [worker for worker in self.workers if worker.jobs]
        stop(busy)
        self.workers = [worker for worker in self.workers if worker not in busy]

    def is_current(self, run: _Run[Any, Any]) -> bool:
        """Whether no later run has started."""
        return self._current is run

    def remove(self, worker: Worker) -> None:
        """Take a dead worker away."""
        worker.bury(GRACE)
        self.workers.remove(worker)

    def replacement(self) -> Worker | None:
        """Start a worker in place of a dead one; None if none is missing, or it cannot be started."""
        if len(self.workers) >= self._places:
            return None
        try:
            return self._start_worker()
        except OSError as error:
            if not self.workers:
                raise PrepError(
                    f"All worker processes were killed, and no new one can be started: {error}.",
                    remedy="Run the same command again: finished shards are kept. See ulimit -u and ulimit -n.",
                ) from error
            self._places = len(self.workers)
            return None

    def finish(self) -> None:
        """Let idle workers end by themselves."""
        idle = [worker for worker in self.workers if not worker.jobs]
        for worker in idle:
            worker.say_goodbye()
        for worker in idle:
            self.remove(worker)

    def stop(self) -> None:
        """Stop all workers there are, within about a second."""
        self._current = None
        stop(self.workers)
        self.workers = []

    def _start_worker(self) -> Worker:
        worker = Worker()
        self.workers.append(worker)  # first: whatever interrupts the start, ``stop`` knows of it
        try:
            worker.start(self.workers)
        except OSError:
            self.remove(worker)
            raise
        return worker


class _Run(Generic[Task, Result]):
    """One run: the tasks still to come, a few of them ahead, and those of dead workers."""

    def __init__(
        self,
        pool: Processes,
        work: Callable[[Task], Result],
        tasks: Iterator[Task],
        lost: Callable[[Task], Result],
        gauge: Gauge,
    ) -> None:
        self._pool = pool
        self._plenty = _AHEAD * pool.width
        self._work = work
        self._lost = lost
        self._gauge = gauge
        self._tasks = tasks
        self._ahead: deque[Job] = deque()

    def results(self) -> Iterator[Result]:
        """Yield results until nothing is left to do. When it ends early, so do the workers that are at it."""
        try:
            while busy := self._busy():
                for worker in wait_for_news(busy):
                    results = self._hear(worker)
                    self.hand_out()
                    yield from results
        finally:
            if self._pool.is_current(self):
                self._pool.drop()

    def hand_out(self) -> None:
        """Give every worker something to do, and in advance as long as there is plenty: towards the end no task lies
        at a busy worker while another is idle.
        """
        self._fill_places()
        while self._look_ahead():
            most = 1 + _READY if len(self._ahead) >= self._plenty else 1
            worker = min(self._pool.workers, key=lambda worker: len(worker.jobs))
            if len(worker.jobs) >= most:
                return
            worker.give(self._work, self._ahead.popleft())

    def _fill_places(self) -> None:
        """Start new workers in the places of dead ones, while there is anything for them to do."""
        while self._look_ahead() and (worker := self._pool.replacement()):
            worker.give(self._work, self._ahead.popleft())

    def _look_ahead(self) -> deque[Job]:
        missing = max(0, self._plenty - len(self._ahead))
        self._ahead.extend(map(Job, islice(self._tasks, missing)))
        return self._ahead

    def _busy(self) -> list[Worker]:
        self._check()
        return [worker for worker in self._pool.workers if worker.jobs]

    def _check(self) -> None:
        """Raise an error if the run has been dropped: half the results must not be taken for all."""
        if not self._pool.is_current(self):
            raise RuntimeError("This run has ended: a later one started, or its engine was closed.")

    def _hear(self, worker: Worker) -> list[Result]:
        """Give what a worker has to say: one result, or none."""
        self._check()
        try:
            message = worker.hear()
        except (EOFError, OSError):
            return self._inherit(worker)
        if message == BEGUN:
            return []
        if advance := moved(message):
            self._gauge.moved(worker, *advance)
            return []
        self._gauge.ended(worker)
        worker.jobs.popleft()
        return [outcome(message)]

    def _inherit(self, worker: Worker) -> list[Result]:
        """Take back what a dead worker had. The task it was at is lost if that was its second try, and is else the
        first for the new worker that takes its place.
        """
        worker.refuse_unguarded()
        self._pool.remove(worker)
        self._gauge.ended(worker)
        self._ahead.extendleft(reversed(worker.jobs))
        if worker.rests:
            return []
        if worker.jobs[0].killed:
            return [self._lost(self._ahead.popleft().task)]
        worker.jobs[0].killed = True
        return []


@contextmanager
def local_engine(jobs: int) -> Iterator[Engine]:
    """Give an engine of ``jobs`` processes; 0 means two for each processor this process may use, up to 32; 1 means no
    process beside this one. A process that may have none, as the workers of pools, Celery and Airflow may not, works
    alone whatever ``jobs`` says.

    When the context ends, the processes are gone. When it ends early, by an error or an interrupt, they stop
    what they are doing within a second and remove what they had half written.
    """
    refuse_while_importing()
    jobs = jobs or min(_FOR_EACH_PROCESSOR * available_processors(), _MOST_BY_DEFAULT)
    if jobs == 1 or current_process().daemon:
        yield Here()
        return
    processes = Processes(jobs)
    try:
        _start(processes)
        yield processes
        processes.finish()
    finally:
        processes.stop()


@contextmanager
def opened(value: str) -> Iterator[Engine]:
    """Give an engine of so many processes. Raises UsageError."""
    if not (value.isascii() and value.isdigit()):
        raise UsageError(f"processes={value} is not a number of processes, such as processes=4.")
    with local_engine(int(value)) as engine:
        yield engine


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
        with suppress(OSError):  # some sandboxes forbid the question
            return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

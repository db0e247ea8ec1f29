"""Runs tasks on the workers of a dask scheduler (dask.distributed), on one machine or on many.

A task goes as bytes, in the hands of a function that is sent by value. So a worker with another version of this
package, or without it, says so before it looks at anything, whenever it joined.

Dask tries the task of a dead worker again by itself, and gives up at ``allowed-failures``. But it counts a failure for
every task that the dead worker had, started or not. So what it gives up is tried again, alone: if a
worker dies then, the task is lost.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from itertools import count, islice
from queue import Empty, SimpleQueue
from typing import Any, Generic

from distributed import Client, Future, KilledWorker
from distributed.client import ClientExecutor

from imagenet_prep.engines.base import Advance, Engine, Result, Task, raise_lost
from imagenet_prep.engines.dask_client import END, PATIENCE, connected, gone_named, threads_of, wait_for
from imagenet_prep.engines.dask_worker import TOPIC, check_versions, in_worker, other_versions, versions
from imagenet_prep.engines.orders import order, outcome
from imagenet_prep.engines.reports import Gauge
from imagenet_prep.errors import PrepError, UsageError

_WAITING = 1  # tasks for each thread of a worker that are submitted beside the one that runs
_LOOK = 1.0  # seconds between two looks at the cluster

_News = tuple[str, tuple[int, int] | None]  # a task, and how far it is; None if it has ended


class OnDask:
    """The engine of a connected client, which stays the caller's to close."""

    shares_files = False

    def __init__(self, client: Client) -> None:
        self._client = client
        self._current: _Run[Any, Any] | None = None
        with gone_named(client):
            check_versions(client)

    @property
    def width(self) -> int:
        """The threads of all workers there are."""
        with gone_named(self._client):
            return max(1, threads_of(self._client))

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        lost: Callable[[Task], Result] | None = None,
        progress: Advance | None = None,
    ) -> Iterator[Result]:
        """Start at once, and yield results as they are finished; a new run ends the one before."""
        self.end()
        run = self._current = _Run(self._client, work, iter(tasks), lost or raise_lost, progress)
        run.fill()
        return run.results()

    def end(self) -> None:
        """Cancel what is submitted."""
        if self._current:
            self._current.end()


@dataclass(slots=True)
class _Submitted(Generic[Task]):
    """A task at the scheduler; ``alone`` says that dask gave it up before, and that nothing runs beside it."""

    task: Task
    future: Future[Any]
    alone: bool = False


@dataclass(slots=True)
class _Cluster:
    """What is known of the workers, updated now and then."""

    client: Client
    threads: int = 1
    _looked: float = -_LOOK
    _seen: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Count the threads of the workers. Raises PrepError if there has been no worker for some time."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        with gone_named(self.client):
            threads = threads_of(self.client)
        if threads:
            self.threads, self._seen = threads, now
        elif now - self._seen > PATIENCE:
            raise PrepError(
                f"The dask scheduler has had no worker for {PATIENCE:.0f} seconds.",
                remedy="Start workers, and run the same command again: finished shards are kept.",
            )


class _Run(Generic[Task, Result]):
    """One run: the tasks to come, and those that are at the scheduler, by their keys."""

    def __init__(
        self,
        client: Client,
        work: Callable[[Task], Result],
        tasks: Iterator[Task],
        lost: Callable[[Task], Result],
        progress: Advance | None,
    ) -> None:
        self._client = client
        self._cluster = _Cluster(client)
        self._work = work
        self._tasks = tasks
        self._lost = lost
        self._name = f"imagenet-prep-{os.urandom(8).hex()}"
        self._numbers = count()
        self._submitted: dict[str, _Submitted[Task]] = {}
        self._suspects: deque[Task] = deque()
        self._news: SimpleQueue[_News] = SimpleQueue()
        self._gauge = Gauge(progress)
        self._versions = versions()
        self._ended = False
        self._listens = progress is not None
        if self._listens:
            with gone_named(client):
                client.subscribe_topic(TOPIC, self._heard)

    def fill(self) -> None:
        """Submit as many tasks as the workers take, and some that lie ready."""
        self._cluster.look()
        if self._suspects or any(each.alone for each in self._submitted.values()):
            if not self._submitted:
                self._submit(self._suspects.popleft(), alone=True)
            return
        missing = self._cluster.threads * (1 + _WAITING) - len(self._submitted)
        for task in islice(self._tasks, max(0, missing)):
            self._submit(task)

    def results(self) -> Iterator[Result]:
        """Yield results until nothing is left to do. When it ends early, what is submitted is cancelled."""
        try:
            while self._submitted or self._ended:
                if self._ended:
                    raise RuntimeError("A later run ended this one.")
                results = self._hear()
                self.fill()
                yield from results
        finally:
            self.end()

    def end(self) -> None:
        """Cancel what is submitted, and wait for an answer of the scheduler only for a moment."""
        self._ended = bool(self._submitted)
        futures = [each.future for each in self._submitted.values()]
        self._submitted.clear()
        if self._client.status != "running":
            return
        if self._listens:
            self._listens = False
            self._client.unsubscribe_topic(TOPIC)
        if futures:
            with contextlib.suppress(TimeoutError, CancelledError, OSError):
                wait_for(self._client, self._client.cancel(futures, asynchronous=True), END)

    def _submit(self, task: Task, *, alone: bool = False) -> None:
        key = f"{self._name}-{next(self._numbers)}"
        message = order(self._work, task)
        with gone_named(self._client):
            future = self._client.submit(in_worker, self._versions, key, message, key=key, pure=False)
        self._submitted[key] = _Submitted(task, future, alone)
        future.add_done_callback(lambda _: self._news.put((key, None)))

    def _heard(self, event: tuple[float, tuple[str, int, int]]) -> None:
        """Take an event, in a thread of the client."""
        key, *advance = event[1]
        self._news.put((key, (advance[0], advance[1])))

    def _hear(self) -> list[Result]:
        """Wait for news for a moment; give the result of a task, if there is one."""
        try:
            key, advance = self._news.get(timeout=_LOOK)
        except Empty:
            return []
        if key not in self._submitted:  # of another run, or of a task whose last report came late
            return []
        if advance is not None:
            self._gauge.moved(key, *advance)
            return []
        return self._ending(key)

    def _ending(self, key: str) -> list[Result]:
        """Give the result of a task that has ended. It may be gone with its worker: then dask makes it again."""
        future = self._submitted[key].future
        if future.status == "error":  # an error of dask itself: what work raises comes as an answer
            return self._give_up(key, future.exception())
        try:
            with gone_named(self._client):
                kind, value = future.result(timeout=_LOOK)
        except TimeoutError:
            self._news.put((key, None))
            return []
        del self._submitted[key]
        self._gauge.ended(key)
        if kind == "refused":
            raise other_versions(*value)
        return [outcome(value)]

    def _give_up(self, key: str, error: Exception) -> list[Result]:
        """Put a task aside that dask has given up, to be tried alone; the second time it is lost."""
        if not isinstance(error, KilledWorker):
            remedy = "Workers need the same versions of Python and of imagenet-prep as this process."
            raise PrepError(f"A dask worker could not run a task: {type(error).__qualname__}: {error}.", remedy=remedy)
        submitted = self._submitted.pop(key)
        self._gauge.ended(key)
        if submitted.alone:
            return [self._lost(submitted.task)]
        self._suspects.append(submitted.task)
        return []


@contextlib.contextmanager
def opened(address: str) -> Iterator[Engine]:
    """Connect to a scheduler. Raises UsageError if there is none, or workers of other versions."""
    with connected(address) as client:
        engine = OnDask(client)
        try:
            yield engine
        finally:
            engine.end()


def adapted(given: object) -> OnDask:
    """Give the engine of a client, or of the client of an executor. Raises UsageError."""
    client = given._client if isinstance(given, ClientExecutor) else given
    if not isinstance(client, Client):
        raise UsageError(f"Of dask, engine is a Client or its executor, not {type(given).__qualname__}.")
    return OnDask(client)

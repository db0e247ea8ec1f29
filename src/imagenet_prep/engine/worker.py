"""A worker process, from both ends of the one pipe it has with its parent.

The parent sends pickled pairs of a function and a task. The worker answers each with BEGUN and then with the pickled
outcome, so when it dies the parent knows what it was at. A worker shares nothing with other workers: no queue and no
lock that could be left broken, and no copy of their pipes, so a closed pipe always says that the other side is gone.

In the worker a thread reads on while a task runs. So the parent never waits for a busy worker to take a task, and a
parent that is gone, even killed outright, is noticed at once.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import Pipe, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any, NoReturn

from imagenet_prep.errors import PrepError

GRACE = 1.0  # seconds a worker has to remove what it was writing
BEGUN = b"begun"
_GOODBYE = b""
_TERMINATED = 128 + signal.SIGTERM  # what a shell calls the exit code of a terminated process


class Job:
    """A task on its way through workers; ``killed`` says that it has already cost one of them its life."""

    __slots__ = ("killed", "task")

    def __init__(self, task: Any) -> None:
        self.task = task
        self.killed = False


class Worker:
    """The parent's view of a worker: ``jobs`` were handed to it and have no outcome yet, the first first.

    ``rests`` says that it has finished something, and begun nothing since.
    """

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()
        self.rests = False
        self.connection, self._theirs = Pipe()
        self._process: BaseProcess | None = None

    def start(self, others: Iterable[Worker]) -> None:
        """Start the process: forked while this one has a single thread, else spawned. ``others`` are the workers whose
        pipes a fork would inherit. Raises OSError if there can be no more processes or open files.
        """
        forked = _has_one_thread()
        if not forked:
            resource_tracker.ensure_running()  # started by the way, it would unblock the signals that are held here
        foreign = [each.connection for each in (*others, self)] if forked else []
        context = get_context("fork") if forked else get_context("spawn")
        # An interrupt at the terminal, or its end, reaches the whole process group. Blocked here, it stays so in the
        # worker, from its first moment on: what becomes of it is for this process to decide.
        with _signals_held():
            self._process = context.Process(target=_serve, args=(self._theirs, foreign), daemon=True)
            self._process.start()
        self._theirs.close()

    def give(self, work: Callable[[Any], Any], job: Job) -> None:
        """Hand a job out. If the worker is dead, that shows where it is heard: there its jobs are taken back."""
        order = pickle.dumps((work, job.task), pickle.HIGHEST_PROTOCOL)
        self.jobs.append(job)
        try:
            self.connection.send_bytes(order)
        except OSError:
            if process := self._started():
                process.kill()  # half a message may be in the pipe

    def hear(self) -> bytes:
        """Receive one message. Raises EOFError or OSError when there is no worker any more, or half a message."""
        message = self.connection.recv_bytes()
        self.rests = message != BEGUN
        return message

    def say_goodbye(self) -> None:
        """Let an idle worker go."""
        with contextlib.suppress(OSError):
            self.connection.send_bytes(_GOODBYE)

    def terminate(self) -> None:
        """Tell the worker to stop what it does and to clean up."""
        if process := self._started():
            process.terminate()

    def bury(self, seconds: float) -> None:
        """Wait for the end of the process, which comes after ``seconds`` at the latest."""
        if process := self._started():
            process.join(seconds)
            process.kill()
            process.join()
            self._process = None
            process.close()  # not left to a finalizer: an interrupt that falls into one is swallowed
        self._theirs.close()
        self.connection.close()

    def _started(self) -> BaseProcess | None:
        return self._process if self._process is not None and self._process.pid is not None else None


def wait_for_news(workers: Iterable[Worker]) -> list[Worker]:
    """Wait until there is something to hear, if only the end, of some of the workers, and give those."""
    by_pipe = {worker.connection: worker for worker in workers}
    return [by_pipe[pipe] for pipe in wait_for(list(by_pipe)) if isinstance(pipe, Connection)]


def stop(workers: Iterable[Worker]) -> None:
    """Terminate workers and wait for their end; in all it takes little more than the grace they have."""
    workers = list(workers)
    for worker in workers:
        worker.terminate()
    end = time.monotonic() + GRACE
    for worker in workers:
        worker.bury(max(0.0, end - time.monotonic()))


def outcome(message: bytes) -> Any:
    """Give the result that a worker sent, or raise what its work raised there."""
    raised, value, trace = pickle.loads(message)  # noqa: S301 — from a process of our own
    if raised:
        value.add_note(f"In a worker process:\n{trace}")
        raise value
    return value


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _has_one_thread() -> bool:
    """Whether nothing but this thread runs in the process; where the system does not say, no."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:  # macOS
        return False


# What follows runs in the worker.


class _TerminatedError(SystemExit):
    """Termination while a task runs: the stack unwinds, and half-written files are removed on the way."""


def _serve(parent: Connection, foreign: Iterable[Connection]) -> None:
    for connection in foreign:
        connection.close()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork has the parent's handler
    orders: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(parent, orders), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # in this thread alone: it is the one to unwind
    with contextlib.suppress(OSError):  # the parent is gone, and the other thread knows
        for order in iter(orders.get, _GOODBYE):
            parent.send_bytes(BEGUN)
            parent.send_bytes(_answer(order))


def _listen(parent: Connection, orders: SimpleQueue[bytes]) -> None:
    """Read orders until the goodbye. Stop the process when the parent is gone: one killed outright cannot say it."""
    with contextlib.suppress(EOFError, OSError, MemoryError):
        for order in iter(parent.recv_bytes, _GOODBYE):
            orders.put(order)
        orders.put(_GOODBYE)
        return
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(_TERMINATED)


def _answer(order: bytes) -> bytes:
    """Give what comes of an order as a message: whether it was raised, the result or error, and where from."""
    try:
        work, task = pickle.loads(order)  # noqa: S301 — from the parent
        return pickle.dumps((False, _terminable(work, task), ""), pickle.HIGHEST_PROTOCOL)
    except _TerminatedError:
        raise
    except BaseException as error:  # whatever it is, it is for the parent to judge
        return pickle.dumps((True, _portable(error), "".join(traceback.format_exception(error))))


def _terminable(work: Callable[[Any], Any], task: Any) -> Any:
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return work(task)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not interrupt the cleaning up
    raise _TerminatedError(_TERMINATED)


def _portable(error: BaseException) -> BaseException:
    """Give the error, or what can be said of it if it does not survive pickling."""
    with contextlib.suppress(Exception):  # pickling runs the error's own code, which can raise anything
        if type(pickle.loads(pickle.dumps(error))) is type(error):  # noqa: S301 — our own
            return error
    return PrepError(f"A worker raised {type(error).__qualname__}: {error}")

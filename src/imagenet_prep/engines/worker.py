"""A worker process, from both ends of the one pipe it has with its parent.

The parent sends pickled pairs of a function and a task. The worker answers each with BEGUN, then now and then with how
far it is, and at last with the pickled outcome. So when it dies, the parent knows what it was at. A worker shares
nothing with other workers: no queue and no lock that could be left broken, and no copy of their pipes, so a closed pipe
always says that the other side is gone.

In the worker a thread reads on while a task runs. So the parent never waits for a busy worker to take a task, and a
parent that is gone, even killed outright, is noticed at once.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import Pipe, current_process, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any, NoReturn

from imagenet_prep.engines.base import Advance
from imagenet_prep.engines.orders import answer, order
from imagenet_prep.engines.reports import reporting
from imagenet_prep.errors import UsageError

GRACE = 1.0  # seconds a worker has to remove what it was writing
BEGUN = b"begun"
_GOODBYE = b""
_MOVED = struct.Struct("<5sQQ")  # a mark, count and size; a pickle has another first byte
_MARK = b"moved"
_UNGUARDED = 87  # the exit code of a worker in which the script of its parent starts work of its own
_NAME = "imagenet-prep worker"
_TERMINATED = 128 + signal.SIGTERM  # what a shell calls the exit code of a terminated process


class Job:
    """A task on its way through workers; ``killed`` says that it has already cost one of them its life."""

    __slots__ = ("killed", "task")

    def __init__(self, task: Any) -> None:
        self.task = task
        self.killed = False


class Worker:
    """The parent's view of a worker: ``jobs`` were handed to it and have no outcome yet, the first first.

    ``rests`` says that it has finished something, and started nothing since.
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
        forked = has_one_thread()
        if not forked:
            resource_tracker.ensure_running()  # started later, it would unblock the signals that are held here
        foreign = [each.connection for each in (*others, self)] if forked else []
        context = get_context("fork") if forked else get_context("spawn")
        # An interrupt at the terminal, or its end, reaches the whole process group. Blocked here, it stays so in the
        # worker, from its first moment on: what becomes of it is for this process to decide.
        with _signals_held():
            self._process = context.Process(target=serve, args=(self._theirs, foreign), daemon=True, name=_NAME)
            self._process.start()
        self._theirs.close()

    def give(self, work: Callable[[Any], Any], job: Job) -> None:
        """Hand a job out. If the worker is dead, that shows where it is heard: there its jobs are taken back."""
        message = order(work, job.task)
        self.jobs.append(job)
        try:
            self.connection.send_bytes(message)
        except OSError:
            if process := self._started():
                process.kill()  # half a message may be in the pipe

    def hear(self) -> bytes:
        """Receive one message. Raises EOFError or OSError when the worker is gone, or for half a message."""
        message = self.connection.recv_bytes()
        self.rests = message != BEGUN and moved(message) is None
        return message

    def say_goodbye(self) -> None:
        """Let an idle worker go."""
        with contextlib.suppress(OSError):
            self.connection.send_bytes(_GOODBYE)

    def terminate(self) -> None:
        """Tell the worker to stop what it does and to clean up."""
        if process := self._started():
            process.terminate()

    def refuse_unguarded(self) -> None:
        """Raise UsageError if the process, which is gone, has ended because it was asked for workers itself."""
        if process := self._started():
            process.join(GRACE)
            if process.exitcode == _UNGUARDED:
                raise _unguarded() from None

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


def refuse_while_importing() -> None:
    """End this process if it is a worker that just imports the script of its parent, which has no main guard: it would
    do what the script does once more. Raises UsageError in processes of other programs.
    """
    process = current_process()
    if getattr(process, "_inheriting", False):  # what multiprocessing goes by when it refuses to start a process then
        if process.name == _NAME:
            raise SystemExit(_UNGUARDED)
        raise _unguarded()


def _unguarded() -> UsageError:
    return UsageError(
        "This script starts the work whenever it is imported, and worker processes import it.",
        remedy='Put the call below the line: if __name__ == "__main__":',
    )


def stop(workers: Iterable[Worker]) -> None:
    """Terminate workers and wait for their end; in all it takes little more than the grace they have."""
    workers = list(workers)
    for worker in workers:
        worker.terminate()
    end = time.monotonic() + GRACE
    for worker in workers:
        worker.bury(max(0.0, end - time.monotonic()))


def moved(message: bytes) -> tuple[int, int] | None:
    """Give count and size if the message says how far a task is."""
    if len(message) != _MOVED.size or not message.startswith(_MARK):
        return None
    _, count, size = _MOVED.unpack(message)
    return count, size


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def has_one_thread() -> bool:
    """Whether nothing but this thread runs in the process; where the system does not say, no."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:  # macOS
        return False


# What follows runs in the worker.


class _TerminatedError(SystemExit):
    """Termination while a task runs: the stack unwinds, and half-written files are removed on the way."""


def serve(parent: Connection, foreign: Iterable[Connection]) -> None:
    """Work for ``parent`` until it ends this; what a fork has of the ``foreign`` pipes of other workers is closed."""
    for connection in foreign:
        connection.close()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork has the parent's handler
    orders: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(parent, orders), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # in this thread alone: it is the one to unwind
    sender = _sender(parent)
    with contextlib.suppress(OSError):  # the parent is gone, and the other thread knows
        for message in iter(orders.get, _GOODBYE):
            parent.send_bytes(BEGUN)
            with reporting(sender):
                done = answer(message, _terminable, let_through=(_TerminatedError,))
            parent.send_bytes(done)


def _sender(parent: Connection) -> Advance:
    """Give what sends reports. One that would have to wait for the parent is left out: the work goes first."""
    ready = select.poll()
    ready.register(parent.fileno(), select.POLLOUT)

    def send(count: int, size: int) -> None:
        if ready.poll(0):
            with contextlib.suppress(OSError):  # the parent is gone
                parent.send_bytes(_MOVED.pack(_MARK, count, size))

    return send


def _listen(parent: Connection, orders: SimpleQueue[bytes]) -> None:
    """Read orders until the goodbye. Stop the process when the parent is gone: one killed outright cannot say it."""
    with contextlib.suppress(EOFError, OSError, MemoryError):
        for message in iter(parent.recv_bytes, _GOODBYE):
            orders.put(message)
        orders.put(_GOODBYE)
        return
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(_TERMINATED)


def _terminable(work: Callable[[Any], Any], task: Any) -> Any:
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return work(task)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not interrupt the cleaning up
    raise _TerminatedError(_TERMINATED)

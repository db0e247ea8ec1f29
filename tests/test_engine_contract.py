"""Every engine keeps the contract, and so does one that is made here, in less than sixty lines."""

from __future__ import annotations

import inspect
import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest

from imagenet_prep.engines import worker
from imagenet_prep.engines.base import Advance, Engine, Result, Task, raise_lost
from imagenet_prep.engines.factory import engine_for
from imagenet_prep.engines.orders import order, outcome
from imagenet_prep.testing.engine_contract import EngineContract

# A fork beside the threads of a test run is not what the engine does, but it is well here: the workers use no thread.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


class TestHere(EngineContract):
    has_processes = False

    def engine(self) -> AbstractContextManager[Engine]:
        return engine_for(None, jobs=1)


class TestForkedProcesses(EngineContract):
    @pytest.fixture(autouse=True)
    def _forked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker, "has_one_thread", lambda: True)

    def engine(self) -> AbstractContextManager[Engine]:
        return engine_for(None, jobs=2)


class TestSpawnedProcesses(EngineContract):
    @pytest.fixture(autouse=True)
    def _spawned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker, "has_one_thread", lambda: False)

    def engine(self) -> AbstractContextManager[Engine]:
        return engine_for("processes=2", jobs=0)


@contextmanager
def on(executor: Executor) -> Iterator[Engine]:
    with executor, engine_for(executor, jobs=0) as engine:
        yield engine


class TestThreadPool(EngineContract):
    has_processes = False
    reports = False

    def engine(self) -> AbstractContextManager[Engine]:
        return on(ThreadPoolExecutor(2))


class TestProcessPool(EngineContract):
    survives = False
    reports = False

    def engine(self) -> AbstractContextManager[Engine]:
        return on(ProcessPoolExecutor(2, multiprocessing.get_context("spawn")))


class Interpreters:
    """The simplest engine that survives the death of a worker: a new Python for each task, one after another."""

    width = 1
    shares_files = True
    _PROGRAM = "import sys; from imagenet_prep.engines.orders import answer; o = sys.stdout.buffer; "
    _PROGRAM += "o.write(answer(sys.stdin.buffer.read()))"

    def __init__(self) -> None:
        self._run = 0

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        lost: Callable[[Task], Result] | None = None,
        progress: Advance | None = None,  # noqa: ARG002 — nobody can report from another interpreter
    ) -> Iterator[Result]:
        self._run += 1
        return self._results(self._run, work, tasks, lost or raise_lost)

    def _results(
        self, run: int, work: Callable[[Task], Result], tasks: Iterable[Task], lost: Callable[[Task], Result]
    ) -> Iterator[Result]:
        for task in tasks:
            if run != self._run:
                raise RuntimeError("A later run ended this one.")
            answers = (self._answer(order(work, task)) for _ in range(2))
            answer = next((each for each in answers if each), None)
            yield lost(task) if answer is None else outcome(answer)

    def _answer(self, message: bytes) -> bytes:
        """Give what one process answers, b"" if it died."""
        program = [sys.executable, "-c", self._PROGRAM]
        return subprocess.run(program, input=message, stdout=subprocess.PIPE, check=False).stdout


class TestInterpreters(EngineContract):
    reports = False

    def engine(self) -> AbstractContextManager[Engine]:
        return nullcontext(Interpreters())


def test_an_engine_is_made_in_less_than_sixty_lines() -> None:
    assert len(inspect.getsource(Interpreters).splitlines()) < 60

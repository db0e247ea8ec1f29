"""The contract of an engine as a test suite: a new engine inherits it, in a few lines, also one outside this package.

    class TestMyEngine(EngineContract):
        def engine(self) -> AbstractContextManager[Engine]:
            return my_engine(workers=2)

The work is in this module, so workers import it from here. Work that has to wait waits for a file, and gives up after a
minute.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

import pytest

from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.reports import report
from imagenet_prep.errors import PrepError, Problem, SourceError

_MANY = 2_000  # more tasks than any engine takes at once
_MINUTE = 60.0
_SIZE = 10  # bytes of each image that work pretends to read


@dataclass(frozen=True, slots=True)
class Task:
    """Number ``number``; work notes in ``folder`` that it has started."""

    number: int
    folder: Path


class EngineContract:
    """What every engine promises. ``has_processes``: a worker can die alone. ``survives``: the engine lives on then.
    ``reports``: it hears how far its workers are.
    """

    has_processes: ClassVar[bool] = True
    survives: ClassVar[bool] = True
    reports: ClassVar[bool] = True

    def engine(self) -> AbstractContextManager[Engine]:
        """Give a context with an engine of about two workers."""
        raise NotImplementedError

    def test_every_task_has_its_result(self) -> None:
        """In any order, and as often as there is a run."""
        with self.engine() as engine:
            assert engine.width >= 1
            for count in (20, 0, 1):
                assert sorted(engine.run(square, range(count))) == [number * number for number in range(count)]

    def test_tasks_are_taken_as_they_are_needed(self) -> None:
        """Many tasks never lie in memory at once."""
        taken: list[int] = []
        with self.engine() as engine, _closing(engine.run(square, _noted(taken))) as results:
            next(results)
            assert len(taken) < _MANY

    def test_an_error_of_the_work_arrives_whole(self) -> None:
        """With its type and its whole message."""
        with self.engine() as engine, pytest.raises(SourceError) as caught:
            list(engine.run(refuse, [7]))
        assert caught.value.problems == (Problem("archive", "reason", "member", 7),)

    def test_after_an_error_the_other_tasks_are_dropped(self, tmp_path: Path) -> None:
        """And the engine can be used again."""
        with self.engine() as engine:
            with pytest.raises(SourceError):
                list(engine.run(refuse_the_first, (Task(number, tmp_path) for number in range(_MANY))))
            assert list(engine.run(square, [3])) == [9]
        assert len(_begun(tmp_path)) < _MANY

    def test_a_run_that_is_ended_early_drops_its_tasks(self, tmp_path: Path) -> None:
        """Whoever closes the results wants no more of them."""
        with self.engine() as engine:
            with _closing(engine.run(note, (Task(number, tmp_path) for number in range(_MANY)))) as results:
                next(results)
            assert list(engine.run(square, [3])) == [9]
        assert len(_begun(tmp_path)) < _MANY

    def test_a_later_run_ends_the_one_before(self) -> None:
        """Half its results are never taken for all of them."""
        with self.engine() as engine:
            first = engine.run(square, range(_MANY))
            next(first)
            assert sorted(engine.run(square, range(5))) == [0, 1, 4, 9, 16]
            with pytest.raises(RuntimeError):
                list(first)

    def test_a_task_whose_worker_dies_is_tried_once_more(self, tmp_path: Path) -> None:
        """And is then finished, if that was not its fault."""
        if self.has_processes and self.survives:
            with self.engine() as engine:
                assert sorted(engine.run(die_once, [Task(number, tmp_path) for number in range(5)])) == [0, 1, 2, 3, 4]

    def test_a_task_that_kills_its_workers_is_lost_alone(self, tmp_path: Path) -> None:
        """The caller says what its result is; all others have theirs."""
        if self.has_processes and self.survives:
            with self.engine() as engine:
                tasks = [Task(number, tmp_path) for number in range(5)]
                assert sorted(engine.run(die_at_two, tasks, minus)) == [-2, 0, 1, 3, 4]
                assert list(engine.run(square, [3])) == [9]

    def test_a_death_is_an_error_where_nothing_else_is_said(self, tmp_path: Path) -> None:
        """A declared one, and never a wait."""
        if self.has_processes:
            with self.engine() as engine, pytest.raises(PrepError) as caught:
                list(engine.run(die_at_two, [Task(2, tmp_path)]))
            assert caught.value.exit_code == 1
            assert caught.value.remedy

    def test_what_workers_report_arrives_while_they_are_at_it(self, tmp_path: Path) -> None:
        """A task that waits until it was heard comes to its end. Reports are sums, of the tasks that run."""
        if self.reports:
            heard: list[tuple[int, int]] = []

            def progress(count: int, size: int) -> None:
                heard.append((count, size))
                (tmp_path / "heard").touch()

            with self.engine() as engine:
                assert list(engine.run(report_until_heard, [Task(0, tmp_path)], progress=progress)) == [0]
            assert heard
            assert all(size == count * _SIZE for count, size in heard)
            assert [count for count, _ in heard] == sorted(count for count, _ in heard)

    def test_what_a_dead_worker_reported_does_not_count_twice(self, tmp_path: Path) -> None:
        """The second try of a task begins at nothing."""
        if self.reports and self.has_processes and self.survives:
            heard: list[int] = []

            def progress(count: int, _size: int) -> None:
                heard.append(count)
                (tmp_path / f"heard-{len(_begun(tmp_path))}").touch()

            with self.engine() as engine:
                assert list(engine.run(report_and_die_once, [Task(0, tmp_path)], progress=progress)) == [0]
            assert set(heard) == {5}

    def test_no_process_is_left_behind(self) -> None:
        """What the engine started is gone with its context."""
        before = {child.pid for child in multiprocessing.active_children()}
        with self.engine() as engine:
            list(engine.run(square, range(5)))
        assert {child.pid for child in multiprocessing.active_children()} <= before


def square(number: int) -> int:
    """Give the square."""
    return number * number


def refuse(number: int) -> int:
    """Raise a SourceError."""
    raise SourceError("No.", (Problem("archive", "reason", "member", number),), "Remedy.")


def note(task: Task) -> int:
    """Leave a file for each attempt."""
    (task.folder / f"{task.number}-{os.getpid()}-{time.monotonic_ns()}.begun").touch()
    return task.number


def refuse_the_first(task: Task) -> int:
    """Raise a SourceError at task 0."""
    return note(task) if task.number else refuse(0)


def die_once(task: Task) -> int:
    """Kill the worker at the first attempt of task 0."""
    note(task)
    if task.number == 0 and len(list(task.folder.glob("0-*.begun"))) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task.number


def die_at_two(task: Task) -> int:
    """Kill the worker at every attempt of task 2."""
    note(task)
    if task.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return task.number


def minus(task: Task) -> int:
    """Give the result of a lost task."""
    return -task.number


def report_until_heard(task: Task) -> int:
    """Report again and again, until somebody has heard it."""
    note(task)
    _wait_for(task.folder / "heard", lambda: report(1, _SIZE))
    return task.number


def report_and_die_once(task: Task) -> int:
    """Report five of what there is until that was heard, and kill the worker at the first attempt."""
    note(task)
    attempt = len(_begun(task.folder))
    report(5, 5 * _SIZE)
    _wait_for(task.folder / f"heard-{attempt}", lambda: report(0))
    if attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return task.number


def _wait_for(path: Path, meanwhile: Callable[[], None]) -> None:
    end = time.monotonic() + _MINUTE
    while not path.exists():
        if time.monotonic() > end:
            raise PrepError(f"{path.name} did not come.")
        meanwhile()
        time.sleep(0.01)


@contextmanager
def _closing(results: Iterator[int]) -> Iterator[Iterator[int]]:
    """Close the results of a run: they are a generator, or something that can be closed like one."""
    try:
        yield results
    finally:
        cast("Generator[int, None, None]", results).close()


def _begun(folder: Path) -> list[Path]:
    return list(folder.glob("*.begun"))


def _noted(taken: list[int]) -> Iterator[int]:
    for number in range(_MANY):
        taken.append(number)
        yield number

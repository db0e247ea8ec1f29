"""Engines run work and lose nothing; a worker that dies costs its own task at most, and never a wait."""

import array
import contextlib
import ctypes
import faulthandler
import fcntl
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import termios
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from imagenet_prep.engines import processes, worker
from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.executor import OnExecutor
from imagenet_prep.engines.here import Here
from imagenet_prep.engines.processes import Processes, local_engine
from imagenet_prep.engines.worker import Worker
from imagenet_prep.errors import PrepError, Problem, SourceError, UsageError
from support.sentences import Sentence

Numbered = tuple[int, Path]


def square(number: int) -> int:
    return number * number


def process(_number: int) -> int:
    return os.getpid()


def die(_number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def abort(_number: int) -> None:
    faulthandler.disable()  # which would write to the terminal of the test run
    os.abort()


def segfault(_number: int) -> None:
    faulthandler.disable()
    ctypes.string_at(0)


def die_at_seven(task: Numbered) -> int:
    note_attempt(task)
    return die(task[0]) if task[0] == 7 else task[0]


def die_once(task: Numbered) -> int:
    """Task 0 kills its first worker."""
    number, folder = task
    note_attempt(task)
    zeroes = [attempt for attempt in attempts(folder) if attempt[0] == 0]
    return die(number) if number == 0 and len(zeroes) == 1 else os.getpid()


def die_or_wait_for_the_loss(task: Numbered) -> int:
    number, folder = task
    note_attempt(task)
    if number == 0:
        die(number)
    wait_until((folder / "lost").exists)
    return number


def wait_at_the_first_attempt(task: Numbered) -> int:
    number, folder = task
    note_attempt(task)
    if len(attempts(folder)) <= 2:
        time.sleep(60)
    return number


def wait_for_the_others(task: tuple[int, Path, int]) -> int:
    number, folder, others = task
    if number == 0:
        wait_until(lambda: len(attempts(folder)) >= others)
    note_attempt((number, folder))
    return number


def wait_and_clean_up(task: Numbered) -> int:
    try:
        note_attempt(task)
        time.sleep(60)
    finally:
        (task[1] / f"{task[0]}.cleaned").touch()
    return 0


def hold_out(task: Numbered) -> int:
    while True:
        with contextlib.suppress(SystemExit):
            note_attempt(task)
            time.sleep(60)


def wait_a_moment(number: int) -> int:
    time.sleep(0.001)
    return number


def much(_number: int) -> bytes:
    return bytes(10_000_000)


def refuse(number: int) -> int:
    raise SourceError("No.", (Problem("archive", "reason", "member", number),), "Remedy.")


class NeedsTwoError(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def raise_what_cannot_be_unpickled(_number: int) -> int:
    raise NeedsTwoError("a", "b")


def leave(_number: int) -> int:
    sys.exit(5)


def a_lock(_number: int) -> object:
    return threading.Lock()


def blocked_signals(_number: int) -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def minus_number(number: int) -> int:
    return -number


def minus(task: Numbered) -> int:
    return -task[0]


def note_attempt(task: Numbered) -> None:
    number, folder = task
    (folder / f"{number}-{time.monotonic_ns()}.attempt").write_text(str(os.getpid()))


def attempts(folder: Path) -> list[tuple[int, str]]:
    """Task and process of each attempt, in order of time within a task."""
    files = sorted(folder.glob("*.attempt"), key=lambda file: [int(part) for part in file.stem.split("-")])
    return [(int(file.stem.split("-")[0]), file.read_text()) for file in files]


# A fork beside the threads of a test run is not what the engine does, but it is well here: the workers use no thread.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test run has threads of its own (a watchdog, at least)."""
    monkeypatch.setattr(worker, "has_one_thread", lambda: True)


@pytest.fixture(params=["forked", "spawned"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(worker, "has_one_thread", lambda: request.param == "forked")
    with local_engine(2) as two:
        yield two


def children() -> set[int]:
    return {child.pid for child in multiprocessing.active_children() if child.pid}


def workers_of(engine: Engine) -> list[Worker]:
    assert isinstance(engine, Processes)
    return engine.workers


def unread(connection: Connection) -> int:
    """Bytes that lie in a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(connection.fileno(), termios.FIONREAD, count)
    return count[0]


def test_in_this_process_results_come_in_order() -> None:
    assert list(Here().run(square, [3, 1, 2], lost=square)) == [9, 1, 4]


def test_processes_give_every_result_once(engine: Engine) -> None:
    assert sorted(engine.run(square, range(50))) == [number * number for number in range(50)]
    assert sorted(engine.run(square, [])) == []
    assert sorted(engine.run(square, range(5))) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize(("processors", "workers"), [(1, 2), (3, 6), (64, 32)])
def test_without_a_number_of_jobs_two_workers_share_a_processor(
    monkeypatch: pytest.MonkeyPatch, processors: int, workers: int
) -> None:
    monkeypatch.setattr(processes, "available_processors", lambda: processors)
    with local_engine(0) as engine:
        assert engine.width == len(workers_of(engine)) == workers


def test_any_executor_will_do() -> None:
    with ThreadPoolExecutor(3) as executor:
        results = OnExecutor(executor, 3).run(square, range(20), lost=square)
        assert sorted(results) == [number * number for number in range(20)]


def test_a_killed_worker_of_an_executor_is_an_error_and_not_a_wait(sentence: Sentence) -> None:
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(2, spawn) as executor,
        pytest.raises(PrepError) as caught,
    ):
        list(OnExecutor(executor, 2).run(die, range(4), lost=square))
    sentence(caught.value)


class TestHandingOut:
    def test_an_executor_gets_a_few_tasks_at_a_time(self) -> None:
        taken: list[int] = []
        with ThreadPoolExecutor(2) as executor:
            results = OnExecutor(executor, 2).run(square, noted(taken))
            next(results)
            assert len(taken) <= 16

    def test_workers_get_a_few_tasks_at_a_time(self) -> None:
        taken: list[int] = []
        with local_engine(2) as engine:
            results = engine.run(square, noted(taken))
            assert len(taken) == 8
            assert len(list(islice(results, 50))) == 50
            assert len(taken) <= 58

    def test_work_starts_before_the_first_result_is_asked_for(self, tmp_path: Path) -> None:
        with local_engine(2) as engine:
            results = engine.run(die_at_seven, [(1, tmp_path), (2, tmp_path)])
            wait_until(lambda: len(attempts(tmp_path)) == 2)
            assert sorted(results) == [1, 2]

    def test_results_come_as_they_are_finished(self, tmp_path: Path) -> None:
        with local_engine(2) as engine:
            results = engine.run(wait_for_the_others, [(0, tmp_path, 2), (1, tmp_path, 2)])
            assert next(results) == 1
            note_attempt((2, tmp_path))
            assert list(results) == [0]

    @pytest.mark.parametrize(("tasks", "waiting"), [(5, 0), (30, 1)])
    def test_behind_a_slow_task_waits_one_at_most_and_none_at_the_end(
        self, tmp_path: Path, tasks: int, waiting: int
    ) -> None:
        others = tasks - 1 - waiting
        with local_engine(2) as engine:
            results = engine.run(wait_for_the_others, [(number, tmp_path, others) for number in range(tasks)])
            assert sorted(results) == list(range(tasks))

    def test_large_tasks_and_large_results_do_not_block_each_other(self) -> None:
        large = [bytes([number]) * 3_000_000 for number in range(12)]
        with local_engine(2) as engine:
            assert sorted(engine.run(bytes, large)) == large


def noted(taken: list[int]) -> Iterator[int]:
    for number in range(100):
        taken.append(number)
        yield number


class TestErrors:
    def test_a_declared_error_arrives_whole(self, engine: Engine, sentence: Sentence) -> None:
        with pytest.raises(SourceError) as caught:
            list(engine.run(refuse, [7]))
        sentence(caught.value, alike=True)

    def test_an_error_says_where_in_the_worker_it_was(self) -> None:
        with local_engine(2) as engine, pytest.raises(SourceError) as caught:
            list(engine.run(refuse, [7]))
        assert "in refuse\n" in caught.value.__notes__[0]

    def test_after_an_error_no_further_task_is_begun(self) -> None:
        taken: list[int] = []
        with local_engine(2) as engine:
            with pytest.raises(SourceError):
                list(engine.run(refuse, noted(taken)))
            assert len(taken) <= 10
            assert sorted(engine.run(square, range(5))) == [0, 1, 4, 9, 16]

    def test_an_error_that_cannot_be_unpickled_is_told(self, sentence: Sentence) -> None:
        with local_engine(2) as engine, pytest.raises(PrepError) as caught:
            list(engine.run(raise_what_cannot_be_unpickled, [1]))
        sentence(caught.value)

    def test_an_exit_of_the_work_is_no_death_of_a_worker(self) -> None:
        with local_engine(2) as engine, pytest.raises(SystemExit, match="5"):
            list(engine.run(leave, [1]))

    def test_a_result_that_cannot_be_pickled_is_named(self) -> None:
        with local_engine(2) as engine, pytest.raises(TypeError, match=r"cannot pickle '_thread.lock' object"):
            list(engine.run(a_lock, [1]))

    def test_a_task_that_cannot_be_pickled_is_named(self) -> None:
        with local_engine(2) as engine:
            with pytest.raises(TypeError, match=r"cannot pickle '_thread.lock' object"):
                list(engine.run(repr, [1, 2, threading.Lock(), 4]))
            assert sorted(engine.run(square, [1, 2])) == [1, 4]

    def test_processes_that_cannot_be_started_are_too_many(
        self, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
    ) -> None:
        before = children()
        monkeypatch.setattr(Worker, "start", after(3, Worker.start))
        with pytest.raises(UsageError) as caught, local_engine(8):
            pass
        sentence(caught.value)
        assert children() == before


def after(starts: int, start: Callable[..., None]) -> Callable[..., None]:
    """A start of workers that fails after so many."""
    left = iter(range(starts))

    def limited(one: Worker, others: list[Worker]) -> None:
        if next(left, None) is None:
            raise OSError("none left")
        start(one, others)

    return limited


class TestDeaths:
    def test_a_killed_worker_loses_only_its_own_task(self, engine: Engine, tmp_path: Path) -> None:
        results = engine.run(die_at_seven, [(number, tmp_path) for number in range(30)], lost=minus)
        assert sorted(results) == [-7, *(number for number in range(30) if number != 7)]
        tried = [number for number, _ in attempts(tmp_path)]
        assert tried == sorted([*range(30), 7])

    def test_the_others_run_on_undisturbed(self, tmp_path: Path) -> None:
        def lost(task: Numbered) -> int:
            (tmp_path / "lost").touch()
            return minus(task)

        with local_engine(2) as engine:
            results = engine.run(die_or_wait_for_the_loss, [(0, tmp_path), (1, tmp_path)], lost)
            assert list(results) == [0, 1]
        assert [number for number, _ in attempts(tmp_path)] == [0, 0, 1]

    def test_its_task_is_tried_once_more_in_a_new_worker(self, engine: Engine, tmp_path: Path) -> None:
        before = set(engine.run(process, range(30)))
        [second] = engine.run(die_once, [(0, tmp_path)])
        [(_, first), _] = attempts(tmp_path)
        assert int(first) in children() | before
        assert second not in before | {int(first)}

    @pytest.mark.parametrize(
        "death",
        [die, os._exit, segfault, abort],
        ids=["killed", "exited", "segmentation fault", "aborted"],
    )
    def test_a_task_that_kills_twice_is_lost_and_the_rest_goes_on(self, death: Callable[[int], object]) -> None:
        with local_engine(2) as engine:
            lost = list(engine.run(death, [0, 0, 0], lost=str))
            assert lost == ["0", "0", "0"]
            assert sorted(engine.run(square, range(5))) == [0, 1, 4, 9, 16]

    def test_without_a_word_about_losses_it_is_an_error(self, engine: Engine, sentence: Sentence) -> None:
        with pytest.raises(PrepError) as caught:
            list(engine.run(die, range(4)))
        sentence(caught.value, alike=True)
        assert caught.value.exit_code == 1
        assert "Fewer --jobs" in caught.value.remedy

    def test_what_is_raised_about_a_loss_arrives(self) -> None:
        with local_engine(2) as engine, pytest.raises(SourceError):
            list(engine.run(die, range(4), lost=refuse))

    @pytest.mark.parametrize("killed", [1, 2])
    def test_idle_workers_may_die(self, engine: Engine, killed: int) -> None:
        assert sorted(engine.run(square, range(5))) == [0, 1, 4, 9, 16]
        kill(workers_of(engine)[:killed])
        assert sorted(engine.run(square, range(50))) == [number * number for number in range(50)]

    def test_the_death_of_an_idle_worker_is_not_a_try_of_the_next_task(self, engine: Engine, tmp_path: Path) -> None:
        results = engine.run(wait_for_the_others, [(0, tmp_path, 2), (1, tmp_path, 2)])
        note_attempt((2, tmp_path))
        assert sorted(results) == [0, 1]  # each from a worker of its own
        (tmp_path / "new").mkdir()
        kill(workers_of(engine))
        assert len(list(engine.run(die_once, [(0, tmp_path / "new")]))) == 1

    def test_workers_may_die_before_their_first_task(self, engine: Engine) -> None:
        kill(workers_of(engine))
        assert sorted(engine.run(square, range(50))) == [number * number for number in range(50)]

    def test_all_workers_may_die_at_once_at_their_tasks(self, engine: Engine, tmp_path: Path) -> None:
        results = engine.run(wait_at_the_first_attempt, [(number, tmp_path) for number in range(8)])
        wait_until(lambda: len(attempts(tmp_path)) == 2)
        kill(workers_of(engine))
        assert sorted(results) == list(range(8))
        assert len(attempts(tmp_path)) == 10

    def test_a_worker_may_die_in_the_middle_of_its_result(self, engine: Engine) -> None:
        results = engine.run(much, [0])
        [busy] = [each for each in workers_of(engine) if each.jobs]
        wait_until(lambda: unread(busy.connection) > 10_000)
        kill([busy])
        assert list(results) == [bytes(10_000_000)]

    def test_a_worker_that_cannot_be_reached_is_replaced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse_to_send(_message: bytes) -> None:
            raise OSError("no buffer space")

        with local_engine(2) as engine:
            monkeypatch.setattr(workers_of(engine)[0].connection, "send_bytes", refuse_to_send)
            assert sorted(engine.run(square, range(5))) == [0, 1, 4, 9, 16]

    def test_on_a_machine_where_workers_die_at_their_start_it_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker, "serve", lambda *_: os._exit(1))
        with local_engine(2) as engine:
            assert sorted(engine.run(square, range(1, 6), lost=minus_number)) == [-5, -4, -3, -2, -1]

    def test_without_a_replacement_the_others_go_on(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(Worker, "start", after(2, Worker.start))
        with local_engine(2) as engine:
            results = engine.run(die_once, [(number, tmp_path) for number in range(9)])
            assert len(list(results)) == 9
            assert len(workers_of(engine)) == 1

    def test_without_any_worker_it_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Worker, "start", after(2, Worker.start))
        with local_engine(2) as engine:
            for _ in range(2):
                with pytest.raises(PrepError, match="no new one can be started: none left"):
                    list(engine.run(die, range(9), lost=square))

    @pytest.mark.system
    def test_in_thirty_rounds_of_random_kills_every_task_has_its_result(self) -> None:
        chance, kills, losses = random.Random(4), 0, 0
        with local_engine(3) as engine:
            for _ in range(30):
                found = []
                for result in engine.run(wait_a_moment, range(1, 41), lost=minus_number):
                    found.append(result)
                    if chance.random() < 0.05:
                        victims = chance.sample(workers_of(engine), chance.randrange(len(workers_of(engine)) + 1))
                        kill(victims)
                        kills += len(victims)
                assert sorted(map(abs, found)) == list(range(1, 41))
                losses += sum(number < 0 for number in found)
        assert kills > 30
        assert losses <= kills / 2


def kill(workers: list[Worker]) -> None:
    """Kill them outright, and see them dead before anything is said to them."""
    for each in workers:
        process_of(each).kill()
    for each in workers:
        process_of(each).join()


def process_of(one: Worker) -> BaseProcess:
    assert one._process is not None
    return one._process


class TestEnds:
    def test_no_process_is_left_behind(self) -> None:
        before = children()
        with local_engine(2) as engine:
            list(engine.run(square, range(4)))
            processes = [process_of(each).pid for each in workers_of(engine)]
        assert children() == before
        assert not any(Path(f"/proc/{pid}").exists() for pid in processes)

    def test_workers_that_have_nothing_to_do_end_by_themselves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(BaseProcess, "close", lambda _: None)  # with it, the exit code is gone
        with local_engine(2) as engine:
            list(engine.run(square, range(4)))
            processes = [process_of(each) for each in workers_of(engine)]
        assert [process.exitcode for process in processes] == [0, 0]

    def test_an_early_end_stops_and_cleans_up_what_runs(self, tmp_path: Path) -> None:
        def interrupted() -> None:
            with local_engine(2) as engine:
                engine.run(wait_and_clean_up, [(number, tmp_path) for number in range(20)])
                wait_until(lambda: len(attempts(tmp_path)) == 2)
                raise KeyboardInterrupt

        before = children()
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert children() == before
        assert len(list(tmp_path.glob("*.cleaned"))) == len(attempts(tmp_path)) == 2

    def test_workers_do_not_take_over_how_the_parent_is_terminated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(BaseProcess, "close", lambda _: None)
        before = signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            two = Processes(2)
            two.start()
            processes = [process_of(each) for each in two.workers]
            two.stop()
        finally:
            signal.signal(signal.SIGTERM, before)
        assert [process.exitcode for process in processes] == [-signal.SIGTERM, -signal.SIGTERM]

    def test_what_does_not_stop_is_killed(self, tmp_path: Path) -> None:
        before = children()
        with local_engine(2) as engine:
            engine.run(hold_out, [(0, tmp_path)])
            wait_until(lambda: len(attempts(tmp_path)) == 1)
        assert children() == before
        assert len(attempts(tmp_path)) == 2  # it was asked first

    def test_an_abandoned_run_leaves_nothing_behind(self, engine: Engine, tmp_path: Path, sentence: Sentence) -> None:
        processes = children()
        results = engine.run(wait_and_clean_up, [(number, tmp_path) for number in range(20)])
        wait_until(lambda: len(attempts(tmp_path)) == 2)
        assert sorted(engine.run(square, range(5))) == [0, 1, 4, 9, 16]
        assert not processes & children()
        assert len(list(tmp_path.glob("*.cleaned"))) == len(attempts(tmp_path)) == 2
        with pytest.raises(RuntimeError) as caught:
            next(results)
        sentence(caught.value, alike=True)

    def test_a_run_whose_results_are_no_longer_wanted_is_stopped(self, tmp_path: Path) -> None:
        with local_engine(2) as engine:
            results = engine.run(wait_at_the_first_attempt, [(number, tmp_path) for number in range(3)])
            wait_until(lambda: len(attempts(tmp_path)) == 2)
            kill(workers_of(engine)[:1])
            assert next(results) in (0, 1, 2)
            del results
            assert not any(each.jobs for each in workers_of(engine))
            assert sorted(engine.run(square, range(50))) == [number * number for number in range(50)]

    def test_an_engine_that_is_gone_gives_no_half_a_run(self, sentence: Sentence) -> None:
        with local_engine(2) as engine:
            results = engine.run(square, range(50))
            wait_until(lambda: all(unread(each.connection) > 30 for each in workers_of(engine)))
            next(results)  # of two that are there
        with pytest.raises(RuntimeError) as caught:
            next(results)
        sentence(caught.value)

    def test_workers_have_what_a_terminal_sends_blocked(self, engine: Engine) -> None:
        assert set().union(*engine.run(blocked_signals, range(8))) == {signal.SIGINT, signal.SIGHUP}

    def test_dead_workers_leave_no_open_file(self) -> None:
        with local_engine(2) as engine:
            list(engine.run(square, range(4)))
            before = len(list(Path("/proc/self/fd").iterdir()))
            list(engine.run(die, range(10), lost=square))
            list(engine.run(square, range(50)))
            assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_workers_are_forked_while_there_is_one_thread_and_spawned_otherwise(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        textwrap.dedent(
            """
            import multiprocessing, re, threading
            from pathlib import Path
            from imagenet_prep.engines.processes import local_engine

            def show():
                with local_engine(2) as engine:
                    for child in multiprocessing.active_children():
                        [blocked] = re.findall("SigBlk:(.*)", Path(f"/proc/{child.pid}/status").read_text())
                        print(type(child).__name__, "interruptible" if not int(blocked, 16) & 2 else "")
                    print(*sorted(engine.run(abs, [-1, -2])))

            if __name__ == "__main__":
                show()
                over = threading.Event()
                threading.Thread(target=over.wait).start()
                show()
                over.set()
            """
        )
    )
    shown = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True).stdout
    assert shown == "ForkProcess \nForkProcess \n1 2\nSpawnProcess \nSpawnProcess \n1 2\n"


def test_workers_import_neither_arrow_nor_numpy() -> None:
    rooms = ("build.shard", "audit.shard", "audit.others", "audit.others.look")
    modules = ", ".join(f"imagenet_prep.verbs.{each}" for each in rooms)
    classes = "from imagenet_prep.imagenet.classes import official, validation_truth; official(); validation_truth()"
    program = f"import sys, {modules}; {classes}; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not {"'numpy'", "'pyarrow'", "'PIL'", "'click'", "'rich'"} & set(loaded.strip("[]\n").split(", "))


def test_workers_clean_up_and_do_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    # Each worker writes its number down and then sleeps for a minute.
    program = tmp_path / "parent.py"
    program.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from pathlib import Path
            from imagenet_prep.engines.processes import local_engine

            def sleep(place):
                try:
                    Path(place).write_text(str(os.getpid()))
                    time.sleep(60)
                finally:
                    Path(place).unlink()

            if __name__ == "__main__":
                with local_engine(2) as engine:
                    list(engine.run(sleep, [f"{sys.argv[1]}/{number}.pid" for number in range(2)]))
            """
        )
    )
    parent = subprocess.Popen([sys.executable, str(program), str(tmp_path)])
    files = [tmp_path / "0.pid", tmp_path / "1.pid"]
    wait_until(lambda: all(file.exists() and file.read_text() for file in files))
    workers = [int(file.read_text()) for file in files]
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(is_alive(worker) for worker in workers))
    assert not any(file.exists() for file in files)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"

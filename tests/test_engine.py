"""Engines run work and lose nothing; a worker that dies is an error, never a wait."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagenet_prep.engine.local import InProcess, OnExecutor, local_engine
from imagenet_prep.errors import PrepError, Problem, SourceError


def square(number: int) -> int:
    return number * number


def die(_number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def refuse(number: int) -> int:
    raise SourceError("No.", (Problem("archive", "reason", "member", number),), "Remedy.")


def test_in_this_process_results_come_in_order() -> None:
    assert list(InProcess().run(square, [3, 1, 2])) == [9, 1, 4]


def test_processes_give_every_result_once() -> None:
    with local_engine(2) as engine:
        assert sorted(engine.run(square, range(50))) == [number * number for number in range(50)]
        assert sorted(engine.run(square, [])) == []


def test_any_executor_will_do() -> None:
    with ThreadPoolExecutor(3) as executor:
        assert sorted(OnExecutor(executor, 3).run(square, range(20))) == [number * number for number in range(20)]


def test_tasks_are_handed_out_a_few_at_a_time() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(2) as executor:
        results = OnExecutor(executor, 2).run(square, numbers())
        next(results)
        assert len(taken) <= 16


def test_a_declared_error_arrives_whole() -> None:
    with local_engine(2) as engine, pytest.raises(SourceError) as caught:
        list(engine.run(refuse, [7]))
    assert str(caught.value) == "No.\n  archive: member at byte 7: reason\nRemedy."


def test_a_killed_worker_is_an_error_and_not_a_wait() -> None:
    with local_engine(2) as engine, pytest.raises(PrepError, match="A worker process was killed"):
        list(engine.run(die, range(4)))


def test_no_process_is_left_behind() -> None:
    before = set(multiprocessing.active_children())
    with local_engine(2) as engine:
        list(engine.run(square, range(4)))
    assert set(multiprocessing.active_children()) <= before


def test_workers_import_neither_arrow_nor_numpy() -> None:
    program = "import sys, imagenet_prep.steps.write, imagenet_prep.steps.read_back; print(sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not {"'numpy'", "'pyarrow'", "'PIL'", "'click'", "'rich'"} & set(modules.strip("[]\n").split(", "))


def test_workers_do_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    # Each worker writes its number down and then sleeps for a minute.
    program = tmp_path / "parent.py"
    program.write_text(
        textwrap.dedent(
            """
            import os, sys, time
            from pathlib import Path
            from imagenet_prep.engine.local import local_engine

            def sleep(place):
                Path(place).write_text(str(os.getpid()))
                time.sleep(60)

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

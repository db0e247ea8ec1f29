"""Everything works on a dask cluster as it does here, and gives the same bytes; what dies there is said here.

Schedulers and workers are processes of their own. They die at moments that are known: while their shards are held.
"""

from __future__ import annotations

import http.server
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Thread

import pytest
from distributed import Client, Future

import imagenet_prep
from imagenet_prep import BuildOptions, Progress, Stage
from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.factory import engine_for
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.engine_contract import EngineContract
from services.cluster import ANOTHER_VERSION, Cluster, Gate, Run, cluster, run, tree, wait_until

RECIPE = ("--format", "tfrecord", "--format", "tfds", "--test-per-class", "2", "--shards", "train=8")

SHARD = "train-00003-of-00008"

# Loaded by a worker: it dies of one shard.
KILLER = f"""
import os
from imagenet_prep.verbs.build import shard

def dying(task, make_shards=shard.make_shards):
    return os._exit(9) if str(task.parts[0].shard) == {SHARD!r} else make_shards(task)

dying.__module__, dying.__qualname__ = shard.make_shards.__module__, shard.make_shards.__qualname__
shard.make_shards = dying
"""


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    options = MiniatureOptions(images_per_class=12, validation_per_class=2, quirks=("cmyk", "png"))
    return write_miniature(tmp_path_factory.mktemp("archives"), options)


@pytest.fixture(scope="session")
def expected(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes of this machine make of it."""
    out = tmp_path_factory.mktemp("expected") / "data"
    code, _, err = run("build", miniature.root, out, *RECIPE, "--jobs", "2")
    assert code == 0, err
    return out


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two workers that nobody harms; a nanny replaces those that die."""
    with cluster(tmp_path_factory.mktemp("two") / "cluster") as one:
        one.add_worker(nanny=True)
        one.add_worker(nanny=True)
        yield one


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler without workers."""
    with cluster(tmp_path / "cluster") as one:
        yield one


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


class TestContract(EngineContract):
    @pytest.fixture(autouse=True)
    def _cluster(self, two: Cluster) -> None:
        self.two = two

    def engine(self) -> AbstractContextManager[Engine]:
        return engine_for(self.two.engine, jobs=0)


class TestSameBytes:
    def test_a_build_check_and_audit_on_a_cluster(
        self, miniature: Miniature, expected: Path, two: Cluster, tmp_path: Path
    ) -> None:
        out = tmp_path / "data"
        code, _, err = run("build", miniature.root, out, *RECIPE, "--engine", two.engine)
        assert code == 0, err
        assert tree(out) == tree(expected)
        code, said, err = run("audit", out, "--decode", "--engine", two.engine)
        assert (code, said) == (0, run("audit", out, "--decode")[1].replace(str(expected), str(out)))
        code, said, err = run("check", miniature.root, "--full", "--engine", two.engine)
        assert (code, said) == (0, run("check", miniature.root, "--full")[1])

    def test_relative_paths_are_those_of_the_command(
        self, miniature: Miniature, expected: Path, two: Cluster, tmp_path: Path
    ) -> None:
        source = os.path.relpath(miniature.root, tmp_path)
        code, _, err = run("build", source, "data", *RECIPE, "--engine", two.engine, cwd=tmp_path)
        assert code == 0, err
        assert tree(tmp_path / "data") == tree(expected)
        assert run("audit", "data", "--engine", two.engine, cwd=tmp_path)[0] == 0
        assert run("check", source, "--full", "--engine", two.engine, cwd=tmp_path)[0] == 0

    def test_a_client_and_its_executor_are_engines(
        self, miniature: Miniature, expected: Path, two: Cluster, tmp_path: Path
    ) -> None:
        recipe = BuildOptions.of(format=("tfrecord", "tfds"), test_per_class=2, shards={"train": 8})
        with Client(two.address, set_as_default=False) as client:
            for number, given in enumerate((client, client.get_executor())):
                imagenet_prep.build(miniature.root, tmp_path / str(number), recipe, engine=given)
                assert tree(tmp_path / str(number)) == tree(expected)
            assert client.status == "running"

    def test_a_data_set_that_others_made_is_looked_at(self, expected: Path, two: Cluster) -> None:
        there, here = run("audit", expected / "tfds", "--engine", two.engine), run("audit", expected / "tfds")
        assert there[:2] == here[:2]

    def test_damaged_archives_are_searched(self, miniature: Miniature, two: Cluster) -> None:
        there = run("fetch", miniature.root, "--check", "--engine", two.engine)
        assert there[:2] == run("fetch", miniature.root, "--check")[:2]

    def test_the_width_is_that_of_the_workers(self, two: Cluster) -> None:
        with engine_for(two.engine, jobs=0) as engine:
            assert engine.width == 2


class TestDeaths:
    def test_a_worker_that_is_killed_half_way_costs_nothing(
        self, miniature: Miniature, expected: Path, mortal: Cluster, gate: Gate, tmp_path: Path
    ) -> None:
        workers = [mortal.add_worker(gate.preload), mortal.add_worker(gate.preload)]
        build = Run("build", miniature.root, tmp_path / "data", *RECIPE, "--engine", mortal.engine)
        wait_until(lambda: gate.held() == {worker.pid for worker in workers})
        workers[0].kill()
        workers[0].wait()
        gate.open()
        code, _, err = build.end()
        assert code == 0, err
        assert tree(tmp_path / "data") == tree(expected)

    def test_a_shard_that_kills_its_workers_is_named(self, miniature: Miniature, tmp_path: Path) -> None:
        with cluster(tmp_path / "cluster") as one:
            one.add_worker(KILLER, nanny=True)
            code, _, err = run("build", miniature.root, tmp_path / "data", *RECIPE, "--engine", one.engine)
        assert code == 1
        assert f"{SHARD}: " in err
        receipts = (tmp_path / "data" / ".imagenet-prep" / "receipts").glob("*/*")
        assert len(list(receipts)) == 18  # of each output all but one: seven others of train, validation and test
        assert "died" in err
        assert "Traceback" not in err

    def test_without_any_worker_it_ends(
        self, miniature: Miniature, mortal: Cluster, gate: Gate, tmp_path: Path
    ) -> None:
        workers = [mortal.add_worker(gate.preload), mortal.add_worker(gate.preload)]
        build = Run("build", miniature.root, tmp_path / "data", *RECIPE, "--engine", mortal.engine)
        wait_until(lambda: gate.held() == {worker.pid for worker in workers})
        for worker in workers:
            worker.kill()
        code, _, err = build.end()
        assert code == 1
        assert last_lines(err)[0].startswith("Error: The dask scheduler has had no worker")
        assert "Traceback" not in err

    def test_a_scheduler_that_is_killed_is_said_to_be_gone(
        self, miniature: Miniature, expected: Path, mortal: Cluster, gate: Gate, two: Cluster, tmp_path: Path
    ) -> None:
        worker = mortal.add_worker(gate.preload)
        build = Run("build", miniature.root, tmp_path / "data", *RECIPE, "--engine", mortal.engine)
        wait_until(lambda: gate.held() == {worker.pid})
        mortal.scheduler.kill()
        code, _, err = build.end()
        assert code == 1
        assert last_lines(err)[0].startswith("Error: The dask scheduler is gone")
        assert err.count("\n") < 10
        gate.open()
        again = run("build", miniature.root, tmp_path / "data", *RECIPE, "--engine", two.engine)
        assert again[0] == 0, again[2]
        assert tree(tmp_path / "data") == tree(expected)

    def test_work_that_somebody_else_stops(
        self, miniature: Miniature, mortal: Cluster, gate: Gate, tmp_path: Path
    ) -> None:
        worker = mortal.add_worker(gate.preload)
        build = Run("build", miniature.root, tmp_path / "data", *RECIPE, "--engine", mortal.engine)
        wait_until(lambda: gate.held() == {worker.pid})
        with Client(mortal.address, set_as_default=False) as client:
            [keys] = client.processing().values()
            client.cancel([Future(key, client) for key in keys], force=True)
            code, _, err = build.end()
        assert code == 1
        assert last_lines(err)[0].startswith("Error: The dask scheduler has cancelled a task")

    def test_a_scheduler_that_hangs_is_said_to_be_gone(
        self, miniature: Miniature, mortal: Cluster, gate: Gate, tmp_path: Path
    ) -> None:
        worker = mortal.add_worker(gate.preload)
        build = Run("build", miniature.root, tmp_path / "data", *RECIPE, "--engine", mortal.engine)
        wait_until(lambda: gate.held() == {worker.pid})
        mortal.scheduler.send_signal(signal.SIGSTOP)
        code, _, err = build.end()
        mortal.scheduler.send_signal(signal.SIGCONT)
        assert code == 1
        assert last_lines(err)[0].startswith("Error: The dask scheduler is gone")

    def test_an_interrupt_ends_it_though_the_scheduler_hangs(
        self, miniature: Miniature, mortal: Cluster, gate: Gate, tmp_path: Path
    ) -> None:
        worker = mortal.add_worker(gate.preload)
        build = Run("build", miniature.root, tmp_path / "data", *RECIPE, "--engine", mortal.engine)
        wait_until(lambda: gate.held() == {worker.pid})
        mortal.scheduler.send_signal(signal.SIGSTOP)
        build.interrupt()
        code, _, err = build.end()
        mortal.scheduler.send_signal(signal.SIGCONT)
        assert code == 130
        assert last_lines(err)[1] == "The same command again goes on where this one stopped:"

    def test_an_interrupt_ends_it_and_cancels_what_waits(
        self, miniature: Miniature, expected: Path, mortal: Cluster, gate: Gate, two: Cluster, tmp_path: Path
    ) -> None:
        worker = mortal.add_worker(gate.preload)
        build = Run("build", miniature.root, tmp_path / "data", *RECIPE, "--engine", mortal.engine)
        wait_until(lambda: gate.held() == {worker.pid})
        build.interrupt()
        code, _, err = build.end()
        assert code == 130
        assert last_lines(err)[1] == "The same command again goes on where this one stopped:"
        gate.open()
        with Client(mortal.address, set_as_default=False) as client:
            wait_until(lambda: not any(client.processing().values()))
        assert len(list((tmp_path / "data" / ".imagenet-prep" / "receipts").glob("*/*"))) <= 2  # of the task that ran
        assert run("build", miniature.root, tmp_path / "data", *RECIPE, "--engine", two.engine)[0] == 0
        assert tree(tmp_path / "data") == tree(expected)


class TestRefusals:
    def test_a_worker_of_another_version(self, miniature: Miniature, mortal: Cluster, tmp_path: Path) -> None:
        mortal.add_worker(ANOTHER_VERSION)
        code, _, err = run("build", miniature.root, tmp_path / "data", "--engine", mortal.engine)
        assert code == 2
        assert "tcp://127.0.0.1:" in last_lines(err)[0]
        assert f"imagenet-prep 9.9.9 (here {imagenet_prep.__version__})" in last_lines(err)[0]
        assert not (tmp_path / "data").exists()

    def test_a_worker_of_another_version_that_joins_later(
        self, miniature: Miniature, mortal: Cluster, gate: Gate, tmp_path: Path
    ) -> None:
        worker = mortal.add_worker(gate.preload)
        build = Run("build", miniature.root, tmp_path / "data", *RECIPE, "--engine", mortal.engine)
        wait_until(lambda: gate.held() == {worker.pid})
        mortal.add_worker(ANOTHER_VERSION)
        code, _, err = build.end()  # the first worker still holds its shard: the second was asked for one
        assert code == 2
        assert "imagenet-prep 9.9.9" in err

    def test_a_worker_that_does_not_see_the_source(self, miniature: Miniature, two: Cluster, tmp_path: Path) -> None:
        source = f"/proc/self/cwd/{miniature.root.name}"  # is another folder in every process
        code, _, err = run("build", source, tmp_path / "data", "--engine", two.engine, cwd=miniature.root.parent)
        assert code == 2
        assert "cannot see /proc/self/cwd/" in last_lines(err)[0]
        assert "shared disk" in err

    def test_a_worker_that_does_not_see_the_output(self, miniature: Miniature, two: Cluster, tmp_path: Path) -> None:
        code, _, err = run(
            "build", miniature.root, "/proc/self/cwd/data", *RECIPE, "--engine", two.engine, cwd=tmp_path
        )
        assert code == 2
        assert "cannot see /proc/self/cwd/data/" in last_lines(err)[0]

    def test_a_data_set_that_workers_do_not_see(self, expected: Path, two: Cluster) -> None:
        code, _, err = run("audit", f"/proc/self/cwd/{expected.name}", "--engine", two.engine, cwd=expected.parent)
        assert code == 2
        assert "cannot see" in err

    def test_no_scheduler_at_the_address(self, miniature: Miniature, tmp_path: Path) -> None:
        code, _, err = run("build", miniature.root, tmp_path / "data", "--engine", "dask=tcp://127.0.0.1:9")
        assert code == 2
        assert last_lines(err)[0] == "Error: No dask scheduler answers at tcp://127.0.0.1:9."

    def test_something_else_at_the_address(self, miniature: Miniature, tmp_path: Path) -> None:
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            address = f"tcp://127.0.0.1:{server.server_port}"
            code, _, err = run("build", miniature.root, tmp_path / "data", "--engine", f"dask={address}")
            server.shutdown()
        assert code == 2
        assert last_lines(err) == [f"Error: No dask scheduler answers at {address}.", *last_lines(err)[-1:]]

    @pytest.mark.parametrize("address", ["nonsense", "tcp://", "http://127.0.0.1:9", "tcp://127.0.0.1:port"])
    def test_what_is_not_an_address(self, address: str, miniature: Miniature, tmp_path: Path) -> None:
        code, _, err = run("build", miniature.root, tmp_path / "data", "--engine", f"dask={address}")
        assert code == 2
        assert "Traceback" not in err


def test_progress_comes_image_by_image(miniature: Miniature, two: Cluster, tmp_path: Path) -> None:
    events: list[object] = []
    imagenet_prep.build(
        miniature.root, tmp_path / "data", BuildOptions.of(test_per_class=2), watch=events.append, engine=two.engine
    )
    written = [event for event in events if isinstance(event, Progress) and event.stage is Stage.WRITE]
    assert (written[-1].done, written[-1].bytes_done) == (written[-1].total, written[-1].bytes_total)


def last_lines(text: str) -> list[str]:
    """From the line on that says how it ended."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(("Error", "Interrupted")))
    return lines[start:]

"""A dask cluster of real processes on this machine, and work that waits in them until it is let go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

COMMAND = [sys.executable, "-m", "imagenet_prep"]
_DASK = [sys.executable, "-m", "dask"]
_HOST = ["--host", "127.0.0.1", "--no-dashboard"]
_LIMIT = 600.0  # seconds for what comes in a few, on a machine with other work in more

# Loaded by a worker before it begins: its shards wait for the file "open", and each says first that it is there.
HOLDING = """
import os, time
from pathlib import Path
from imagenet_prep.verbs.build import shard

here, make_shards = Path({folder!r}), shard.make_shards

def held(task, make_shards=make_shards):
    (here / f"{{os.getpid()}}-{{task.parts[0].shard}}.held").touch()
    end = time.monotonic() + 600
    while not (here / "open").exists() and time.monotonic() < end:
        time.sleep(0.01)
    return make_shards(task)

shard.make_shards = held
held.__module__, held.__qualname__ = make_shards.__module__, make_shards.__qualname__
"""
ANOTHER_VERSION = "from imagenet_prep import version\nversion.__version__ = '9.9.9'\n"


class Cluster:
    """A scheduler and its workers, each a process. ``folder`` is where they write what they say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self._file = folder / "scheduler.json"
        folder.mkdir()
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(self._file))

    @cached_property
    def address(self) -> str:
        """Where the scheduler is, once it has said so."""
        wait_until(lambda: self._file.exists() and self._file.read_text().endswith("}"))
        return str(json.loads(self._file.read_text())["address"])

    @property
    def engine(self) -> str:
        """What --engine takes."""
        return f"dask={self.address}"

    def add_worker(self, preload: str = "", *, nanny: bool = False, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a worker of one thread, which loads ``preload`` first, and wait until it has joined."""
        place = self.folder / f"worker-{len(self.workers)}"
        place.mkdir()
        words = ["--nthreads", "1", "--name", place.name, "--local-directory", str(place)]
        if preload:
            (place / "preload.py").write_text(preload)
            words += ["--preload", str(place / "preload.py")]
        words += ["--nanny"] if nanny else ["--no-nanny"]
        joined = len(self.names())
        process = self._start("worker", "--scheduler-file", str(self._file), *words, cwd=cwd)
        self.workers.append(process)
        wait_until(lambda: len(self.names()) > joined)
        return process

    def names(self) -> list[str]:
        """The workers that the scheduler knows."""
        from distributed import Client

        with Client(self.address, set_as_default=False, timeout="60s") as client:
            return sorted(str(worker["name"]) for worker in client.scheduler_info(n_workers=-1)["workers"].values())

    def _start(self, what: str, *words: str, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{what}-{len(self.workers)}.log").open("wb")
        environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        with log:
            return subprocess.Popen(
                [*_DASK, what, *_HOST, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=cwd or self.folder,
            )

    def stop(self) -> None:
        """End all processes."""
        for process in (*self.workers, self.scheduler):
            process.terminate()
        for process in (*self.workers, self.scheduler):
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a scheduler, and end everything with the context."""
    one = Cluster(folder)
    try:
        yield one
    finally:
        one.stop()


class Gate:
    """Where held shards wait."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    @property
    def preload(self) -> str:
        """What makes a worker hold its shards."""
        return HOLDING.format(folder=str(self._folder))

    def held(self) -> set[int]:
        """The processes that have held a shard."""
        return {int(path.name.split("-")[0]) for path in self._folder.glob("*.held")}

    def open(self) -> None:
        """Let all shards go on, those to come too."""
        (self._folder / "open").touch()


class Run:
    """A command that runs in a process of its own."""

    def __init__(self, *words: object, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; give exit code and both outputs."""
        out, err = self.process.communicate(timeout=_LIMIT)
        return self.process.returncode, out, err


def run(*words: object, cwd: Path | None = None) -> tuple[int, str, str]:
    """Run a command to its end."""
    return Run(*words, cwd=cwd).end()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what should come soon."""
    end = time.monotonic() + _LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def tree(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder, but for what a build keeps for itself."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {name: data for name, data in found.items() if not name.startswith(".imagenet-prep/")}

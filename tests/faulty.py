"""Commands that go wrong: a build as a process of its own, and what makes its faults.

Where a fault cannot be had from the system, Python is told to make it, in all processes of the command, by a
``sitecustomize``. What needs a file system of its own gets it in a user namespace, so that no privilege is needed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from support.build import everything
from support.command import COMMAND

RECIPE = ("--format", "tfrecord", "--format", "folders", "--test-per-class", "2", "--shards", "train=6")
NOTE, WRITE, FINISH = "note", "write", "finish"  # what is said before the claim, the first shard, the documents

Contents = dict[str, bytes]


class Ended(NamedTuple):
    """How a command ended: its code, and the lines of its error, none if there was none."""

    code: int
    error: list[str]


@dataclass
class Build:
    """One build as a user has it: always the same command."""

    source: Path
    out: Path
    faulty: Path  # a folder for the code that makes faults
    undisturbed: Path = Path("none")  # the same build without a fault
    recipe: tuple[str, ...] = RECIPE
    prefix: tuple[str, ...] = ()  # runs the command in the place of the fault
    root: str = ""  # where that place's files are seen from here
    after: list[Callable[[], object]] = field(default_factory=list)

    @property
    def want(self) -> Contents:
        return everything(self.undisturbed)

    def take(self) -> Build:
        """Have the finished build in the folder."""
        shutil.copytree(self.undisturbed, self.out)
        return self

    @property
    def seen(self) -> Path:
        """The output folder, from here."""
        return Path(f"{self.root}{self.out}")

    def start(self, *more: str, jobs: int = 1, fault: str = "") -> subprocess.Popen[str]:
        self.faulty.mkdir(exist_ok=True)
        (self.faulty / "sitecustomize.py").write_text(fault)
        command = [*COMMAND, "build", str(self.source), str(self.out), *self.recipe]
        return subprocess.Popen(
            [*self.prefix, *command, "--jobs", str(jobs), *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(self.faulty)},
        )

    def end(self, command: subprocess.Popen[str], *, alone: bool = True) -> Ended:
        """Let a command end, and see that nothing is left of it, if it was ``alone``."""
        _, said = command.communicate(timeout=60)
        assert "Traceback" not in said, said
        if alone:
            self.assert_nothing_left()
        return Ended(command.returncode, said[said.find("Error: ") :].splitlines() if "Error: " in said else [])

    def assert_nothing_left(self) -> None:
        assert not list(self.seen.rglob("*.part"))
        assert str(self.out) not in processes()

    def run(self, *more: str, jobs: int = 1, fault: str = "") -> Ended:
        return self.end(self.start(*more, jobs=jobs, fault=fault))

    def assert_goes_on(self, jobs: int = 2) -> None:
        """The cause is gone, and the same command runs again."""
        assert self.run(jobs=jobs) == (0, [])
        assert everything(self.seen) == self.want


class Paused:
    """A build that waits in the middle: after the first receipt of each process, or where ``fault`` lets it wait."""

    def __init__(self, build: Build, *more: str, jobs: int = 1, fault: str = "") -> None:
        self.build = build
        self.command = build.start(*more, jobs=jobs, fault=fault or AT_A_RECEIPT)
        assert self.command.stdout
        for _ in range(1 if fault else jobs):
            assert self.command.stdout.readline() == "paused\n"

    def go(self, *, alone: bool = True) -> Ended:
        return self.build.end(self.command, alone=alone)  # which closes what it waits for

    def wake(self) -> None:
        assert self.command.stdin
        self.command.stdin.write("\n")
        self.command.stdin.flush()


WAIT = """
import os
waited = []
def wait():
    if not waited:
        waited.append(True)
        os.write(1, b"paused\\n")
        os.read(0, 1)
"""
AT_A_RECEIPT = f"""{WAIT}
from imagenet_prep.verbs.build import shard
save = shard.save_receipt
def save_and_wait(*arguments):
    save(*arguments)
    wait()
shard.save_receipt = save_and_wait
"""
BEFORE_THE_CLAIM = f"""{WAIT}
from imagenet_prep.stores.local import LocalStore
turn = LocalStore.turn
def wait_for_a_turn(self):
    wait()
    return turn(self)
LocalStore.turn = wait_for_a_turn
"""


def at_event(stage: str) -> str:
    return f"""{WAIT}
from imagenet_prep.cli import progress
told = progress._Lines.__call__
def tell_and_wait(self, event):
    told(self, event)
    if getattr(event, "stage", {NOTE!r}) == {stage!r}:
        wait()
progress._Lines.__call__ = tell_and_wait
"""


def failing(function: str, error: str, when: str = "True") -> str:
    """Code that makes a function of ``os`` fail, when its ``arguments`` are such."""
    return f"""
import errno, os
real = os.{function}
def faulty(*arguments, **more):
    if {when}:
        raise OSError(errno.{error}, os.strerror(errno.{error}))
    return real(*arguments, **more)
os.{function} = faulty
"""


def interrupted_at(name: str) -> str:
    """Code that interrupts the process just after the making of a file that has ``name`` in its own."""
    return f"""
import os, signal
make = os.open
def make_and_interrupt(path, *arguments, **more):
    descriptor = make(path, *arguments, **more)
    if {name!r} in os.fspath(path):
        os.kill(os.getpid(), signal.SIGINT)
    return descriptor
os.open = make_and_interrupt
"""


def dying(sha256: str) -> str:
    """Code that lets the decoder die of one image."""
    return f"""
import hashlib, os, signal
from imagenet_prep.verbs.build import shard
inspect = shard.inspect
def die(buffer, start, end):
    if hashlib.sha256(buffer[start:end]).hexdigest() == {sha256!r}:
        os.kill(os.getpid(), signal.SIGSEGV)
    return inspect(buffer, start, end)
shard.inspect = die
"""


def limited(option: str, number: int) -> tuple[str, ...]:
    return ("sh", "-c", f'ulimit {option} {number}; exec "$@"', "sh")


# A file's mode says nothing to root, unless the power to pass it over is taken away.
AS_ANYONE = (sys.executable, "-ISc", """
import ctypes, os, sys
if os.geteuid() == 0:
    for capability in 1, 2:  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP
os.execv(sys.argv[1], sys.argv[1:])
""")  # fmt: skip


def processes() -> str:
    return subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout


def assert_ended(ended: Ended, code: int, *lines: str) -> None:
    """Compare with lines in which ``…`` stands for anything."""
    assert ended.code == code, ended.error
    assert len(ended.error) == len(lines), ended.error
    for said, line in zip(ended.error, lines, strict=True):
        assert re.fullmatch(re.escape(line).replace("…", ".*"), said), ended.error


def mounted(build: Build, mount: str) -> Build:
    """Let a build run where ``mount`` was run, in which DISK stands for the folder that its output lies in."""
    disk = build.out.parent
    script = f"{mount.replace('DISK', shlex.quote(str(disk)))} && echo ready && exec cat"
    try:
        place = subprocess.Popen(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("needs unshare, of Linux")
    build.after.append(place.communicate)
    assert place.stdout
    assert place.stderr
    if place.stdout.readline() != "ready\n":
        pytest.skip(f"needs a user namespace: {place.stderr.read()}")
    target = ("--target", str(place.pid), "--user", "--mount", "--preserve-credentials")
    build.prefix, build.root = ("nsenter", *target), f"/proc/{place.pid}/root"
    return build


def fill(build: Build) -> Callable[[], None]:
    """Fill the disk of a build to its last byte; what is given frees it."""
    eater = build.seen.parent / "eater"
    with eater.open("wb", buffering=0) as file:
        for size in 1 << 16, 1:
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return eater.unlink


@contextlib.contextmanager
def without_permission(build: Build, path: Path, mode: int) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(mode)
    build.prefix = AS_ANYONE
    try:
        yield
    finally:
        path.chmod(before)
        build.prefix = ()

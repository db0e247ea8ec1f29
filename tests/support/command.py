"""The command line, in this process or in one of its own.

``run`` is the quick one: all is the same except the start of Python. ``start`` is for what belongs to a process: its
environment, its signals, its file descriptors, its limits; and for faults that Python makes in all processes of it.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from imagenet_prep.__main__ import main

COMMAND = (sys.executable, "-m", "imagenet_prep")
Ended = subprocess.CompletedProcess[str]


def run(*words: object, encoding: str = "utf-8") -> Ended:
    """Run a command here, in one process where no number of jobs is given, with outputs that have an encoding."""
    said = io.BytesIO(), io.BytesIO()
    stdout, stderr = (io.TextIOWrapper(each, encoding, write_through=True) for each in said)
    with (
        mock.patch.object(sys, "argv", ["imagenet-prep", *map(str, words)]),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        _as_it_was(alone=not any(str(word).startswith(("--jobs", "--engine")) for word in words)),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    assert isinstance(code, int)
    return checked(
        Ended([*map(str, words)], code, *(each.getvalue().decode(encoding, "surrogateescape") for each in said))
    )


def start(
    *words: object,
    fault: str = "",
    prefix: tuple[str, ...] = (),
    cwd: Path | None = None,
    encoding: str = "utf-8",
) -> Ended:
    """Run a command as a process. ``fault`` is run first by each Python of it; ``prefix`` is what runs the command."""
    with faulty(fault) as faults:
        done = subprocess.run(
            [*prefix, *COMMAND, *map(str, words)],
            env={**os.environ, "PYTHONIOENCODING": encoding, **faults},
            cwd=cwd,
            capture_output=True,
            encoding=encoding,
            errors="surrogateescape",
            check=False,
        )
    return checked(done)


def checked(ended: Ended) -> Ended:
    """No end of a command has a traceback."""
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended


@contextlib.contextmanager
def faulty(fault: str) -> Iterator[dict[str, str]]:
    """Give what has to be in the environment of a process, so that all Pythons of it run some code first."""
    if not fault:
        yield {}
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(fault)
        yield {"PYTHONPATH": folder}


@contextlib.contextmanager
def _as_it_was(*, alone: bool) -> Iterator[None]:
    """Have the handlers of signals as they were, afterwards. ``alone``: this process may have no children."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    multiprocessing.current_process().daemon = alone
    try:
        yield
    finally:
        multiprocessing.current_process().daemon = False
        for each, handler in before.items():
            signal.signal(each, handler)

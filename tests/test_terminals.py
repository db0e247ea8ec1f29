"""What the commands say, in the encoding of any terminal: no text is worth a build that is complete."""

from __future__ import annotations

import os
import pty
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.command import COMMAND, run, start


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source, its build, and class folders that others made."""
    folder = tmp_path_factory.mktemp("made")
    few = MiniatureOptions(classes=3, images_per_class=12, validation_per_class=2)
    write_miniature(folder / "SRC", few)
    write_miniature(folder / "SORTED", replace(few, layout="sorted"))
    assert run("build", folder / "SRC", folder / "OUT", "--test-per-class", 2).returncode == 0
    return folder


@pytest.fixture(autouse=True)
def _there(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    monkeypatch.setenv("COLUMNS", "60")


@pytest.mark.parametrize("encoding", ["latin-1", "euc-kr"])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("--help", 0),
        ("build --help", 0),
        ("check --help", 0),
        ("fetch --help", 0),
        ("check SRC", 0),
        ("check SRC --json", 0),
        ("build SRC OUT --test-per-class 2", 0),
        ("build SRC OUT --test-per-class 2 --quiet", 0),
        ("build SRC OUT --test-per-class 2 --json", 0),
        ("build SRC OUT --test-per-class 3", 5),
        ("build SRC NEW --dry-run --test-per-class 2", 0),
        ("audit OUT", 0),
        ("audit SORTED", 7),
        ("classes", 0),
        ("classes n01440764 --renamed", 0),
        ("fetch SRC", 0),
        ("undo SRC", 2),
        ("build SRC", 2),
    ],
)
def test_every_text_can_be_said_in_every_encoding(encoding: str, command: str, code: int) -> None:
    ended = run(*command.split(), encoding=encoding)
    assert ended.returncode == code
    assert (ended.stdout + ended.stderr).encode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-15", "cp949", "gb2312", "cp437", "utf-8"])
@pytest.mark.parametrize("command", ["check SRC", "classes", "build --help"])
def test_no_encoding_is_in_the_way(encoding: str, command: str) -> None:
    assert run(*command.split(), encoding=encoding).returncode == 0


@pytest.mark.parametrize("command", ["build --test-per-class=2 SRC", "demo", "fake"])
def test_a_command_that_is_complete_ends_well(tmp_path: Path, command: str) -> None:
    ended = start(*command.split(), tmp_path / "new", encoding="euc-kr")
    assert ended.returncode == 0, ended.stderr


def test_what_an_encoding_lacks_is_said_in_plain_signs() -> None:
    assert "Indexing ...\n" in run("check", "SRC", encoding="latin-1").stderr
    assert " -> " in run("classes", encoding="latin-1").stdout


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_a_folder_whose_name_is_no_text_is_named_with_its_bytes(encoding: str) -> None:
    ended = start("build", "SRC", os.fsdecode(b"OUT\xe9"), "--test-per-class", 2, encoding=encoding)
    assert ended.returncode == 0, ended.stderr
    assert b"in OUT\xe9:\n" in ended.stdout.encode(encoding, "surrogateescape")


def test_a_bar_on_a_terminal_of_another_encoding_is_drawn_in_its_signs(made: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*COMMAND, "build", "SRC", str(tmp_path / "data"), "--test-per-class", "2"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(command, cwd=made, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # Linux's way to say that the other end was closed
        pass
    os.close(ours)
    assert process.wait() == 0
    assert b"Writing shards" in shown
    assert b"\\u" not in shown

"""What the commands say, in the encoding of any terminal: no text is worth a build that is complete."""

from __future__ import annotations

import os
import pty
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.command import COMMAND


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source, its build, and class folders that others made."""
    folder = tmp_path_factory.mktemp("made")
    few = MiniatureOptions(classes=3, images_per_class=12, validation_per_class=2)
    write_miniature(folder / "SRC", few)
    write_miniature(folder / "SORTED", replace(few, layout="sorted"))
    assert said(folder, "utf-8", "build SRC OUT --test-per-class 2").returncode == 0
    return folder


def said(folder: Path, encoding: str, command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *command.split()],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "60"},
        capture_output=True,
        check=False,
    )


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
def test_every_text_can_be_said_in_every_encoding(made: Path, encoding: str, command: str, code: int) -> None:
    ended = said(made, encoding, command)
    assert b"Traceback" not in ended.stderr, ended.stderr.decode(encoding)
    assert ended.returncode == code, ended.stderr.decode(encoding)
    (ended.stdout + ended.stderr).decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-15", "cp949", "gb2312", "cp437", "utf-8"])
@pytest.mark.parametrize("command", ["check SRC", "classes", "build --help"])
def test_no_encoding_is_in_the_way(made: Path, encoding: str, command: str) -> None:
    ended = said(made, encoding, command)
    assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False)


@pytest.mark.parametrize("encoding", ["latin-1", "euc-kr"])
def test_a_build_and_a_demo_that_are_complete_end_well(made: Path, tmp_path: Path, encoding: str) -> None:
    for command in (
        f"build SRC {tmp_path / 'a'} --test-per-class 2",
        f"demo {tmp_path / 'b'}",
        f"fake {tmp_path / 'c'}",
    ):
        assert said(made, encoding, command).returncode == 0
    assert (tmp_path / "a" / "build.json").exists()


def test_what_an_encoding_lacks_is_said_in_plain_signs(made: Path) -> None:
    assert b"Indexing ...\n" in said(made, "latin-1", "check SRC").stderr
    assert b" -> " in said(made, "latin-1", "classes").stdout


def test_a_folder_whose_name_is_no_text_is_named_with_its_bytes(made: Path) -> None:
    out = os.fsdecode(b"OUT\xe9")
    for encoding in "latin-1", "utf-8":
        ended = said(made, encoding, f"build SRC {out} --test-per-class 2")
        assert ended.returncode == 0, ended.stderr
        assert b"in OUT\xe9:\n" in ended.stdout


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

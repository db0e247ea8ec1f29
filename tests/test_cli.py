"""The command as a user meets it: what it prints, and its exit codes."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_prep.cli import main
from imagenet_prep.testing import MiniatureOptions, write_miniature


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_miniature(tmp_path_factory.mktemp("archives"), MiniatureOptions(classes=3, images_per_class=12)).root


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "imagenet_prep", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_help_shows_every_command_and_every_exit_code() -> None:
    shown = run("--help").stdout
    for command in ("build", "audit", "classes", "fake", "demo"):
        assert f"\n  {command} " in shown
    for code in ("0  done", "4  the source is missing, damaged or ambiguous", "130  interrupted"):
        assert code in shown


@pytest.mark.parametrize("command", ["build", "audit", "classes", "fake", "demo"])
def test_every_command_explains_itself(command: str) -> None:
    result = run(command, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"Usage: imagenet-prep {command}" in result.stdout


def test_a_dry_run_shows_the_plan_and_writes_nothing(archives: Path, tmp_path: Path) -> None:
    result = run("build", archives, tmp_path / "data", "--dry-run", "--test-per-class", 2)
    assert result.returncode == 0
    assert "train           30       1" in result.stdout
    assert "2 labelled images of each class, 6 in all, are held out of train as the split test" in result.stdout
    assert "Nothing was written." in result.stdout
    assert not (tmp_path / "data").exists()


def test_a_build_away_from_a_terminal_speaks_in_plain_lines(archives: Path, tmp_path: Path) -> None:
    result = run("build", archives, tmp_path / "data", "--test-per-class", 2)
    assert result.returncode == 0
    assert result.stdout.startswith(f"Built 66 images in {tmp_path / 'data'}:\n")
    assert "Indexing the archives …\n" in result.stderr
    assert "Writing shards …\n" in result.stderr
    assert "\x1b" not in result.stdout + result.stderr


def test_on_a_terminal_there_is_a_bar(archives: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "imagenet_prep",
        "build",
        str(archives),
        str(tmp_path / "data"),
        "--split",
        "validation",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # Linux's way to say that the other end was closed
        pass
    os.close(ours)
    output, _ = process.communicate()
    assert process.returncode == 0
    assert b"Writing shards" in shown
    assert b"\x1b[" in shown
    assert output.startswith(b"Built 30 images")


def test_json_is_for_programs(archives: Path, tmp_path: Path) -> None:
    result = run("build", archives, tmp_path / "data", "--json", "--split", "validation")
    assert json.loads(result.stdout)["splits"]["validation"]["images"] == 30
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert {event["event"] for event in events} == {"note", "progress"}
    assert events[-1]["stage"] == "finish"


def test_quiet_is_quiet(archives: Path, tmp_path: Path) -> None:
    assert run("build", archives, tmp_path / "data", "--quiet", "--split", "validation").stderr == ""


def test_an_audit_of_a_sound_build(archives: Path, tmp_path: Path) -> None:
    run("build", archives, tmp_path / "data", "--split", "validation", "--format", "tfrecord", "--format", "tfds")
    result = run("audit", tmp_path / "data")
    assert result.returncode == 0
    assert "is sound: 60 records" in result.stdout


def test_an_audit_of_a_damaged_build_has_a_code_of_its_own(archives: Path, tmp_path: Path) -> None:
    run("build", archives, tmp_path / "data", "--split", "validation")
    shard = tmp_path / "data/tfrecord/validation-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    result = run("audit", tmp_path / "data")
    assert result.returncode == 7
    assert "tfrecord/validation-00000-of-00001" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_audit_of_an_unfinished_build_says_so(archives: Path, tmp_path: Path) -> None:
    run("build", archives, tmp_path / "data", "--split", "validation")
    (tmp_path / "data" / "build.json").unlink()
    result = run("audit", tmp_path / "data")
    assert result.returncode == 7
    assert "holds no finished build: build.json is missing" in result.stderr


def test_own_class_names_reach_the_class_table(archives: Path, tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text("n01440764 449 Schleie\n")
    run("build", archives, tmp_path / "data", "--split", "validation", "--class-map", tmp_path / "map.txt")
    assert "0,n01440764,Schleie,449," in (tmp_path / "data" / "classes.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shards", "train:3"), "--shards 'train:3' is not of the form train=64."),
        (("--shards", "dev=3"), "There is no split 'dev'"),
        (("--format", "mds"), "'mds' is not one of 'tfrecord', 'tfds'"),
        (("--test-per-class", "-1"), "-1 is not in the range x>=0"),
    ],
)
def test_wrong_usage_is_code_2(archives: Path, tmp_path: Path, arguments: tuple[str, str], message: str) -> None:
    result = run("build", archives, tmp_path / "data", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_reader_that_goes_away_is_no_error(archives: Path) -> None:
    command = f"{sys.executable} -m imagenet_prep classes | head -1"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr
    assert result.stderr == ""


def test_on_windows_it_fails_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit) as ended:
        main.run()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which ``run`` had changed
    assert ended.value.code == 2
    assert (
        capsys.readouterr().err == "Error: imagenet-prep runs on Linux and macOS.\nOn Windows, use it inside WSL 2.\n"
    )


def test_the_demo_does_the_whole_job(tmp_path: Path) -> None:
    result = run("demo", tmp_path / "demo")
    assert result.returncode == 0
    assert "Built 700 images" in result.stdout
    assert "is sound: 1,400 records" in result.stdout
    assert "tfrecord/train-00000-of-00001" in result.stdout

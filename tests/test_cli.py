"""The command as a user meets it: what it prints, and its exit codes."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_prep import OUTPUTS
from imagenet_prep.cli import main
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.command import COMMAND, run
from support.sentences import Sentence, lines


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_miniature(tmp_path_factory.mktemp("archives"), MiniatureOptions(classes=3, images_per_class=12)).root


def on_a_terminal(*arguments: object) -> str:
    """Run a command with both outputs on one terminal, and give everything the terminal was sent."""
    ours, theirs = pty.openpty()
    command = [*COMMAND, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # Linux's way to say that the other end was closed
        pass
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def test_help_shows_every_command_and_every_exit_code() -> None:
    shown = run("--help").stdout
    for command in ("build", "resume", "repair", "audit", "undo", "classes", "fake", "demo"):
        assert f"\n  {command} " in shown
    for code in ("0  done", "4  the source is missing, damaged or ambiguous", "130  interrupted"):
        assert code in shown


@pytest.mark.parametrize("command", ["build", "resume", "repair", "audit", "undo", "classes", "fake", "demo"])
def test_every_command_explains_itself(command: str) -> None:
    result = run(command, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"Usage: imagenet-prep {command}" in result.stdout


def test_a_dry_run_shows_the_plan_and_writes_nothing(archives: Path, tmp_path: Path, sentence: Sentence) -> None:
    result = run("build", archives, tmp_path / "data", "--dry-run", "--test-per-class", 2)
    assert result.returncode == 0
    assert re.search(r"\n  train +30 .* 1\n", result.stdout)
    sentence(result.stdout)
    assert not (tmp_path / "data").exists()


def test_a_build_away_from_a_terminal_speaks_in_plain_lines(
    archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
) -> None:
    monkeypatch.chdir(tmp_path)  # the width of a column follows from the longest name in it
    result = run("build", archives, "data", "--test-per-class", 2)
    assert result.returncode == 0
    sentence(result.stdout)
    sentence(result.stderr, "progress")
    assert "\x1b" not in result.stdout + result.stderr


def test_on_a_terminal_there_is_a_bar(archives: Path, tmp_path: Path) -> None:
    shown = on_a_terminal("build", archives, tmp_path / "data", "--split", "validation")
    assert "Writing shards" in shown
    assert "\x1b[" in shown


def test_json_is_for_programs(archives: Path, tmp_path: Path) -> None:
    result = run("build", archives, tmp_path / "data", "--json", "--split", "validation")
    assert json.loads(result.stdout)["splits"]["validation"]["images"] == 30
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert {event["event"] for event in events} == {"note", "progress"}
    assert events[-1]["stage"] == "finish"


def test_what_is_printed_on_a_terminal_stays_there(
    archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Result and bar on one terminal, as a user has them: the whole result stands after the last escape code.
    monkeypatch.setenv("NO_COLOR", "1")
    shown = on_a_terminal("build", archives, tmp_path / "data", "--split", "validation")
    assert "Built 30 images" in shown.rpartition("\x1b")[2]
    assert "written once" in shown.rpartition("\x1b")[2]


def test_the_examples_of_help_have_a_line_each() -> None:
    shown = run("build", "--help").stdout
    assert "\n  imagenet-prep build ~/archives ~/imagenet --dry-run\n" in shown
    assert "\b" not in shown


def test_a_failure_is_json_for_programs(tmp_path: Path) -> None:
    result = run("build", tmp_path, tmp_path / "data", "--json")
    assert (result.returncode, result.stdout) == (4, "")
    assert json.loads(result.stderr.splitlines()[-1]) == {
        "event": "error",
        "summary": f"There are no ILSVRC2012 archives or images with classes in {tmp_path}.",
        "problems": [],
        "remedy": "Looked for ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, for class folders, and for files "
        "such as n01440764_10026.JPEG and ILSVRC2012_val_00000001.JPEG.",
        "exit_code": 4,
    }


def test_quiet_counts_before_json(archives: Path, tmp_path: Path) -> None:
    assert run("build", archives, tmp_path / "data", "--quiet", "--json", "--split", "validation").stderr == ""


def test_a_full_standard_output_is_an_error_without_a_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run([*COMMAND, "classes"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (
        6,
        "Error: Standard output goes to a place that is full; the work itself is done.\n",
    )


def test_a_full_standard_output_is_json_for_programs(archives: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [*COMMAND, "check", str(archives), "--json", "--quiet"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 6
    assert json.loads(result.stderr)["exit_code"] == 6


STARTED = """
import subprocess, sys
from imagenet_prep.__main__ import _open_missing
_open_missing()
print("out")
print("err", file=sys.stderr)
worker = "import os, sys; print(*[os.stat(each).st_rdev for each in range(3)], file=open(sys.argv[1], 'w'))"
subprocess.run([sys.executable, "-c", worker, sys.argv[1]], check=True)
"""


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_no_file_gets_the_place_of_a_closed_output(tmp_path: Path, closed: str) -> None:
    """Neither here nor in a worker: what is said would be written into it."""
    command = ["bash", "-c", f'"$@" {closed}', "bash", sys.executable, "-c", STARTED, str(tmp_path / "said")]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.PIPE)
    devices = (tmp_path / "said").read_text().split()
    assert {devices[int(each[0])] for each in closed.split()} == {str(Path(os.devnull).stat().st_rdev)}


@pytest.mark.parametrize("files", [12, 16, 20, 24])
def test_workers_that_cannot_be_started_are_an_error_and_not_a_wait(archives: Path, tmp_path: Path, files: int) -> None:
    command = f"ulimit -n {files}; {sys.executable} -m imagenet_prep build {archives} {tmp_path / 'data'} --jobs 16"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 2
    assert result.stderr.startswith("Error: Cannot start 16 worker processes: ")
    assert "Traceback" not in result.stderr


def test_quiet_is_quiet(archives: Path, tmp_path: Path) -> None:
    assert run("build", archives, tmp_path / "data", "--quiet", "--split", "validation").stderr == ""


def test_an_audit_of_a_sound_build(archives: Path, tmp_path: Path, sentence: Sentence) -> None:
    run("build", archives, tmp_path / "data", "--split", "validation", "--format", "tfrecord", "--format", "tfds")
    result = run("audit", tmp_path / "data")
    assert result.returncode == 0
    sentence(result.stdout)


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


def test_an_audit_sees_documents_too(archives: Path, tmp_path: Path, sentence: Sentence) -> None:
    run("build", archives, tmp_path / "data", "--split", "validation")
    (tmp_path / "data/classes.csv").unlink()
    (tmp_path / "data/tfrecord/features.json").write_text("{")
    result = run("audit", tmp_path / "data")
    assert result.returncode == 7
    sentence(result.stderr)


def test_an_audit_names_what_cannot_be_read(archives: Path, tmp_path: Path, sentence: Sentence) -> None:
    # A folder where the shard should be: an error of reading that no privilege overcomes.
    run("build", archives, tmp_path / "data", "--split", "validation")
    shard = tmp_path / "data/tfrecord/validation-00000-of-00001"
    shard.unlink()
    shard.mkdir()
    result = run("audit", tmp_path / "data")
    assert result.returncode == 7
    sentence(result.stderr)
    assert "Traceback" not in result.stderr


def test_an_audit_of_what_is_no_build_says_so(tmp_path: Path, sentence: Sentence) -> None:
    result = run("audit", tmp_path)
    assert result.returncode == 7
    sentence(result.stderr)


def test_an_audit_names_the_document_that_is_damaged(archives: Path, tmp_path: Path, sentence: Sentence) -> None:
    run("build", archives, tmp_path / "data", "--split", "validation")
    (tmp_path / "data/build.json").write_text("garbage")
    result = run("audit", tmp_path / "data")
    assert result.returncode == 7
    sentence(result.stderr)


def test_an_audit_of_an_unfinished_build_says_so(archives: Path, tmp_path: Path, sentence: Sentence) -> None:
    run("build", archives, tmp_path / "data", "--split", "validation")
    (tmp_path / "data" / "build.json").unlink()
    result = run("audit", tmp_path / "data")
    assert result.returncode == 7
    sentence(result.stderr)


def test_own_class_names_reach_the_class_table(archives: Path, tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text("n01440764 449 Schleie\n")
    run("build", archives, tmp_path / "data", "--split", "validation", "--class-map", tmp_path / "map.txt")
    assert "0,n01440764,Schleie,449," in (tmp_path / "data" / "classes.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shards", "train:3"), "--shards 'train:3' is not of the form train=64."),
        (("--shards", "dev=3"), "There is no split 'dev'"),
        (("--format", "beton"), f"'beton' is unknown. There are {', '.join(sorted(OUTPUTS))}."),
        (("--test-per-class", "-1"), "-1 is not a whole number from 0 up"),
    ],
)
def test_wrong_usage_is_code_2(archives: Path, tmp_path: Path, arguments: tuple[str, str], message: str) -> None:
    result = run("build", archives, tmp_path / "data", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [(".", "Is a directory"), ("loop", "Too many levels of symbolic links"), ("x" * 300, "File name")],
)
def test_a_list_of_classes_that_cannot_be_read_is_wrong_usage(
    archives: Path, tmp_path: Path, name: str, reason: str, sentence: Sentence
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    result = run("build", archives, tmp_path / "data", "--classes", tmp_path / name)
    assert result.returncode == 2
    sentence(result.stderr)


def test_a_class_map_may_come_through_a_pipe(archives: Path, tmp_path: Path) -> None:
    recipe = "--split validation --classes <(echo schleie) --class-map <(echo n01440764 449 Schleie) --dry-run"
    command = f"{sys.executable} -m imagenet_prep build {archives} {tmp_path / 'data'} {recipe}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, "1 of the 1,000 classes" in result.stdout) == (0, True), result.stderr


def test_a_reader_that_goes_away_is_no_error(archives: Path) -> None:
    command = f"{sys.executable} -m imagenet_prep classes | head -1"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr
    assert result.stderr == ""


def test_on_windows_it_fails_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with pytest.raises(SystemExit) as ended:
        main.run()
    for changed, before in handlers.items():
        signal.signal(changed, before)
    assert ended.value.code == 2
    assert (
        capsys.readouterr().err == "Error: imagenet-prep runs on Linux and macOS.\nOn Windows, use it inside WSL 2.\n"
    )


def test_the_demo_does_the_whole_job(tmp_path: Path, sentence: Sentence) -> None:
    result = run("demo", tmp_path / "demo")
    assert result.returncode == 0
    sentence(lines(result.stdout, "700", "1,400"))
    tree = result.stdout.partition("4. What came out\n")[2].partition("\n\n")[0]
    assert re.search(r"\n  tfrecord/\n(    .*\n)*    train-00000-of-00001 ", tree)
    assert max(map(len, tree.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [["classes"], ["build", "--help"]])
def test_a_reader_that_goes_away_is_no_failure(arguments: list[str]) -> None:
    """As `head` does, before the first line is written."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [*COMMAND, *arguments]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writer)

    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[slection]\nseed = 3\n", "has 'slection': a recipe has the sections selection and outputs, and no other"),
        ("seed = 3\n", "has 'seed': a recipe has the sections selection and outputs, and no other"),
        ("[selection]\nseeds = 3\n", "Did you mean seed?"),
        ("[outputs.folders]\nname = 'wnid'\n", "Did you mean names?"),
    ],
)
def test_a_recipe_with_a_word_that_nobody_knows_is_refused(
    archives: Path, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    result = run("build", archives, tmp_path / "data", "--recipe", tmp_path / "recipe.toml", "--dry-run")
    assert result.returncode == 2
    assert said in result.stderr

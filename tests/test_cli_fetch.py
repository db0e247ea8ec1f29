"""``imagenet-prep fetch`` as a user meets it: the front door, what it says at the end, and its exit codes."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest

from imagenet_prep.cli import ways
from imagenet_prep.cli.options import rate
from imagenet_prep.errors import Problem, UsageError
from imagenet_prep.imagenet.archives import OFFICIAL_ARCHIVES, TRAIN, VALIDATION
from imagenet_prep.verbs.archives import ArchiveState
from imagenet_prep.verbs.fetch.report import Fetched, FetchReport
from support.command import COMMAND, run
from support.sentences import Sentence, lines
from web import STALL, Answer, page, serving

VAL, BOXES = "ILSVRC2012_img_val.tar", "ILSVRC2012_bbox_val_v3.tgz"
DATA = b"\x1f\x8b" + random.Random(1).randbytes(50_000)
ON_THIS_MACHINE = """
from imagenet_prep.verbs.fetch import swarm
swarm.LISTEN = "127.0.0.1:0"
from imagenet_prep.__main__ import main
main()
"""
ABSENT = tuple(
    ArchiveState(of.role, of.names[0], official_size=of.size, md5=of.md5, sha1=of.sha1) for of in OFFICIAL_ARCHIVES
)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def there(role: str, **facts: object) -> ArchiveState:
    state = next(state for state in ABSENT if state.role == role)
    return replace(state, **{"size": state.official_size, **facts})  # type: ignore[arg-type]


class TestTheFrontDoor:
    def test_tells_a_newcomer_all_there_is_to_know(self, tmp_path: Path, sentence: Sentence) -> None:
        shown = run("fetch", tmp_path / "new").stdout
        sentence(shown)
        assert max(map(len, shown.replace(str(tmp_path / "new"), "ARCHIVES").splitlines())) <= 80
        for archive in OFFICIAL_ARCHIVES:
            for fact in (archive.names[0], archive.md5, archive.sha1, archive.size and f"{archive.size:,}"):
                assert not fact or fact in shown

    def test_has_tables_that_fit_80_columns(self) -> None:
        every = {state.role: state for state in ABSENT}
        train = every[TRAIN]
        parts = [replace(train, unfinished=size) for size in (train.official_size, 111_111_111_111)]
        for state in (train, *parts, there(TRAIN), there(TRAIN, problems=WRONG)):
            shown = ways.offered([*{**every, TRAIN: state}.values()], Path("ARCHIVES"))
            table = shown.partition("The files, and what")[2].partition("\nNext:")[0]
            assert max(map(len, table.splitlines())) <= 80

    def test_says_what_is_there(self, tmp_path: Path, sentence: Sentence) -> None:
        (tmp_path / VAL).write_bytes(b"<!DOCTYPE html><html>")
        (tmp_path / BOXES).write_bytes(DATA)
        (tmp_path / "ILSVRC2012_img_train.tar.part").write_bytes(b"x" * 1_500_000)
        shown = run("fetch", tmp_path).stdout
        sentence(lines(shown.partition("The files, and what")[2], "ILSVRC2012"))


WHOLE = there(VALIDATION, size=None, unfinished=6_744_924_160)
WRONG = (Problem("FILE", "is wrong"),)


class TestWhatComesNext:
    @pytest.mark.parametrize(
        "changed",
        [
            {TRAIN: there(TRAIN), VALIDATION: there(VALIDATION)},
            {TRAIN: there(TRAIN), VALIDATION: there(VALIDATION, problems=WRONG)},
            {TRAIN: there(TRAIN, size=6, disguised=True, problems=WRONG)},
            {TRAIN: there(TRAIN), VALIDATION: WHOLE},
            {TRAIN: there(TRAIN), VALIDATION: replace(WHOLE, checksum="right")},
            {TRAIN: there(TRAIN)},
            {TRAIN: there(TRAIN, size=None, unfinished=5)},
            {},
        ],
        ids=["both", "one damaged", "a page", "whole", "whole and right", "train", "unfinished", "nothing"],
    )
    def test_is_a_command(self, changed: dict[str, ArchiveState], sentence: Sentence) -> None:
        states = [changed.get(state.role, state) for state in ABSENT]
        sentence(ways.compared(states, Path("a b")).rpartition("\n")[2])

    def test_after_a_fetch_is_the_comparison_of_what_was_there(self, sentence: Sentence) -> None:
        report = FetchReport((Fetched(BOXES, 2_000_000, 500_000, "none is published"), Fetched("x.tar", 5, 0, "")), 0.5)
        sentence(ways.fetched(report, ABSENT, Path("a")))
        seeded = ways.fetched(report, ABSENT, Path("a"), timed=False)  # the time of giving says nothing
        assert [line.split()[0] for line in seeded.splitlines()] == ["In", BOXES, "x.tar", "Next:"]


class TestFromAServer:
    def test_files_come_and_the_next_command_is_said(self, tmp_path: Path, sentence: Sentence) -> None:
        with serving({BOXES: DATA, "x.tar": DATA}) as web:
            result = run("fetch", tmp_path / "new", "--url", web.url(BOXES), web.url("x.tar"), "--quiet")
        assert (result.returncode, result.stderr) == (0, "")
        assert (tmp_path / "new" / BOXES).read_bytes() == DATA
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted([BOXES, "x.tar"])
        sentence(lines(result.stdout, BOXES, "x.tar", "Next"))

    def test_urls_may_come_from_standard_input(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving({BOXES: DATA, "x.tar": DATA}) as web, (tmp_path / "links").open("w+b") as given:
            given.write(f"\ufeff{web.url(BOXES)}\n{web.url('x.tar')}  # the last one\n".encode())
            given.seek(0)
            monkeypatch.setattr(sys, "stdin", type("", (), {"buffer": given}))
            assert run("fetch", tmp_path / "new", "--url-file", "-", "--url-file", "-").returncode == 0
        assert len(list((tmp_path / "new").iterdir())) == 2

    def test_a_program_gets_json(self, tmp_path: Path) -> None:
        with serving({BOXES: DATA}) as web:
            result = run("fetch", tmp_path, "--url", web.url(BOXES), "--json")
        report = json.loads(result.stdout)
        assert report["files"] == [{"name": BOXES, "size": 50_002, "received": 50_002, "checksum": "none is published"}]
        last = json.loads(result.stderr.splitlines()[-1])
        assert (last["event"], last["stage"], last["subject"]) == ("progress", "fetch", BOXES)
        assert last["bytes_done"] == last["bytes_total"] == 50_002

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interruption_is_one_line_of_json(self, tmp_path: Path, number: signal.Signals) -> None:
        with serving({BOXES: DATA}, Answer(stop=1_000, end=STALL)) as web:
            command = [*COMMAND, "fetch", str(tmp_path), "--url", web.url(BOXES), "--json"]
            process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            assert web.await_request(1, 60)
            process.send_signal(number)
            said = process.communicate()[1]
        events = [json.loads(line)["event"] for line in said.splitlines()]
        assert (process.returncode, [event for event in events if event != "progress"]) == (130, ["interrupted"])

    def test_what_does_not_come_is_code_4(self, tmp_path: Path) -> None:
        with serving({}, otherwise=page(403)) as web:
            result = run("fetch", tmp_path, "--url", web.url(f"secret/{BOXES}?token=secret"))
        assert result.returncode == 4
        assert "secret" not in result.stdout + result.stderr


class TestFromASwarm:
    @pytest.mark.parametrize(("answer", "code", "then"), [("n", 2, "are not accepted"), ("y", 4, "Asking the swarm")])
    def test_the_terms_are_asked_about_on_a_terminal(self, tmp_path: Path, answer: str, code: int, then: str) -> None:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-c", ON_THIS_MACHINE, "fetch", str(tmp_path), "--torrent", "1" * 40]
        command += ["--no-discovery", "--timeout", "1"]
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
                if b"[y/N]" in chunk:
                    os.write(ours, f"{answer}\n".encode())
        except OSError:  # Linux's way to say that the other end was closed
            pass
        os.close(ours)
        assert process.wait() == code
        for words in ("non-commercial research and education", "Have you accepted these terms", then):
            assert words in shown.decode()


class TestWhatMakesNoSense:
    @pytest.mark.parametrize(
        "arguments",
        ["https://example.org/x.tar?secret", "--url https://example.org/x.tar --check", "--torrent --check",
         "--accept-terms", "--check --timeout 1", "--torrent train --fresh", "--torrent train --cookies /dev/null",
         "--url https://example.org/x.tar --seed", "--url https://me:secret@example.org/x", "--url-file /dev/null",
         "--url https://example.org/x.tar --max-rate fast", "--torrent train"],
    )  # fmt: skip
    def test_is_code_2_with_a_sentence(self, tmp_path: Path, arguments: str, sentence: Sentence) -> None:
        result = run("fetch", tmp_path, *arguments.split())
        assert result.returncode == 2
        sentence(result.stderr)
        assert "secret" not in result.stderr
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("text", "number"),
        [(None, 0), ("1000", 1_000), ("20MB", 20_000_000), ("1.5 MB/s", 1_500_000), ("500k", 500_000),
         ("500K", 500_000), ("20mb", 20_000_000), ("1.5M", 1_500_000), ("1g/s", 10**9), ("2GB", 2 * 10**9)],
    )  # fmt: skip
    def test_rates(self, text: str | None, number: int) -> None:
        assert rate(click.Context(click.Command("x")), click.Option(["--x"]), text) == number

    @pytest.mark.parametrize("text", ["", "-1", "1e9", "20 MiB", "MB", "9" * 40, "9" * 400, "\x1b[31m", "٣ MB"])
    def test_what_is_no_rate(self, text: str) -> None:
        with pytest.raises(UsageError) as caught:
            rate(click.Context(click.Command("x")), click.Option(["--x"]), text)
        assert "\x1b" not in str(caught.value)


class TestCheck:
    def test_of_an_empty_folder_is_an_error(self, tmp_path: Path, sentence: Sentence) -> None:
        result = run("fetch", tmp_path, "--check")
        assert result.returncode == 4
        sentence(result.stderr)

    def test_of_what_is_wrong_is_code_4(self, tmp_path: Path, sentence: Sentence) -> None:
        (tmp_path / VAL).write_bytes(b"<html>")
        result = run("fetch", tmp_path, "--check", "--quiet")
        assert result.returncode == 4
        sentence(result.stdout)

"""``imagenet-prep fetch`` as a user meets it: the front door, what it says at the end, and its exit codes."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import ssl
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
from imagenet_prep.verbs.fetch.part import part_path
from imagenet_prep.verbs.fetch.report import Fetched, FetchReport
from seeding import torrent_of
from web import STALL, Answer, page, serving

BOXES = "ILSVRC2012_bbox_val_v3.tgz"
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


def run(*arguments: object, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "imagenet_prep", "fetch", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        input=given,
        env={**os.environ, "no_proxy": "*", **environment},
    )


def with_states(**changed: ArchiveState) -> tuple[ArchiveState, ...]:
    return tuple(changed.get(state.role, state) for state in ABSENT)


def there(role: str, **facts: object) -> ArchiveState:
    state = next(state for state in ABSENT if state.role == role)
    return replace(state, **{"size": state.official_size, **facts})  # type: ignore[arg-type]


class TestTheFrontDoor:
    def test_tells_a_newcomer_all_there_is_to_know(self, tmp_path: Path) -> None:
        shown = run(tmp_path / "new").stdout
        for words in (
            "non-commercial research and education",
            "https://image-net.org/download.php",
            f"imagenet-prep fetch {tmp_path}/new --url-file LINKS --cookies COOKIES",
            f"imagenet-prep fetch {tmp_path}/new --torrent --accept-terms",
            f"imagenet-prep fetch {tmp_path}/new --check",
            "pip install libtorrent",
        ):
            assert words in shown
        for archive in OFFICIAL_ARCHIVES:
            for fact in (archive.names[0], archive.md5, archive.sha1, archive.size and f"{archive.size:,}"):
                assert not fact or fact in shown
        assert shown.count("unverified: none is published that can be trusted") == 3

    def test_says_what_is_there(self, tmp_path: Path) -> None:
        (tmp_path / "ILSVRC2012_img_val.tar").write_bytes(b"<!DOCTYPE html><html>")
        (tmp_path / BOXES).write_bytes(DATA)
        part_path(tmp_path / "ILSVRC2012_img_train.tar").write_bytes(b"x" * 1_500_000)
        shown = run(tmp_path).stdout
        lines = [line for line in shown.splitlines() if line.startswith("  ILSVRC")]
        assert lines[0].endswith("unfinished: 1.5 MB so far")
        assert lines[1].endswith("something is wrong: see below")
        assert lines[4].endswith("yes, 50.0 kB")
        assert lines[5].endswith("no")
        assert "ILSVRC2012_img_val.tar: is a web page, not an archive" in shown


class TestWhatComesNext:
    def test_with_both_archives_is_the_build(self) -> None:
        states = with_states(train=there(TRAIN), validation=there(VALIDATION))
        assert ways.compared(states, Path("a b")).endswith("\nNext: imagenet-prep build 'a b' DATA")

    def test_with_a_damaged_one_is_its_repair(self) -> None:
        damaged = there(VALIDATION, problems=(Problem("ILSVRC2012_img_val.tar", "is damaged"),))
        states = with_states(train=there(TRAIN), validation=damaged)
        assert "\nNext: imagenet-prep fetch a --torrent validation" in ways.compared(states, Path("a"))

    def test_with_a_page_in_its_place_is_to_move_that_away(self) -> None:
        page_there = there(
            TRAIN, size=6, disguised=True, problems=(Problem("ILSVRC2012_img_train.tar", "is a web page"),)
        )
        assert (
            "\nNext: move a/ILSVRC2012_img_train.tar away, and get ILSVRC2012_img_train.tar again: "
            in ways.compared(with_states(train=page_there), Path("a"))
        )

    def test_with_one_that_came_whole_is_to_compare_it_and_then_to_name_it(self) -> None:
        whole = there(VALIDATION, size=None, unfinished=6_744_924_160)
        assert ways.compared(with_states(train=there(TRAIN), validation=whole), Path("a")).endswith(
            "\nNext: imagenet-prep fetch a --check   (compares ILSVRC2012_img_val.tar.part, which is complete)"
        )
        states = with_states(train=there(TRAIN), validation=replace(whole, checksum="right"))
        assert ways.compared(states, Path("a")).endswith(
            "\nNext: mv -n a/ILSVRC2012_img_val.tar.part a/ILSVRC2012_img_val.tar   (it is complete, and right)"
        )
        assert "  complete, but not compared yet\n" in ways.offered(with_states(validation=whole), Path("a"))

    def test_with_nothing_is_to_get_them(self) -> None:
        assert ways.compared(ABSENT, Path("a")).endswith(
            "\nNext: get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar: `imagenet-prep fetch a` says how."
        )


class TestWhatIsSaid:
    def test_of_a_fetch(self) -> None:
        report = FetchReport((Fetched(BOXES, 2_000_000, 500_000, "none is published"), Fetched("x.tar", 5, 0, "")), 0.5)
        assert ways.fetched(report, ABSENT, Path("a")).splitlines()[:5] == [
            "In a:",
            f"  {BOXES}  2.0 MB   500.0 kB came now  checksum: unverified: none is published",
            "  x.tar                       5 bytes  was there          checksum: not compared",
            "0.5 s, 1.0 MB/s.",
            "Next: imagenet-prep fetch a --check   (compares the checksum of what was there)",
        ]


class TestFromAServer:
    def test_files_come_and_the_next_command_is_said(self, tmp_path: Path) -> None:
        with serving({BOXES: DATA, "x.tar": DATA}) as web:
            result = run(tmp_path / "new", "--url", web.url(BOXES), web.url("x.tar"), "--quiet")
        assert (result.returncode, result.stderr) == (0, "")
        assert (tmp_path / "new" / BOXES).read_bytes() == DATA
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted([BOXES, "x.tar"])
        assert (
            f"\nNext: get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar: `imagenet-prep fetch {tmp_path}/new`"
            in (result.stdout)
        )

    def test_urls_may_come_from_standard_input(self, tmp_path: Path) -> None:
        with serving({BOXES: DATA, "x.tar": DATA}) as web:
            links = f"\ufeff{web.url(BOXES)}\n{web.url('x.tar')}  # the last one\n"
            assert run(tmp_path / "new", "--url-file", "-", "--url-file", "-", given=links).returncode == 0
        assert len(list((tmp_path / "new").iterdir())) == 2

    def test_a_program_gets_json(self, tmp_path: Path) -> None:
        with serving({BOXES: DATA}) as web:
            result = run(tmp_path, "--url", web.url(BOXES), "--json")
        report = json.loads(result.stdout)
        assert report["files"] == [{"name": BOXES, "size": 50_002, "received": 50_002, "checksum": "none is published"}]
        events = [json.loads(line) for line in result.stderr.splitlines()]
        assert events[-1] == {
            "event": "progress", "stage": "fetch", "done": 0, "total": 0, "bytes_done": 50_002, "bytes_total": 50_002,
            "subject": BOXES,
        }  # fmt: skip

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interruption_is_one_line_of_json(self, tmp_path: Path, number: signal.Signals) -> None:
        with serving({BOXES: DATA}, Answer(stop=1_000, end=STALL)) as web:
            command = [sys.executable, "-m", "imagenet_prep", "fetch", str(tmp_path), "--url", web.url(BOXES), "--json"]
            process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "no_proxy": "*"})
            assert web.await_request(1, 60)
            process.send_signal(number)
            said = process.communicate()[1]
        events = [json.loads(line)["event"] for line in said.splitlines()]
        assert (process.returncode, [event for event in events if event != "progress"]) == (130, ["interrupted"])

    def test_what_does_not_come_is_code_4(self, tmp_path: Path) -> None:
        with serving({}, otherwise=page(403)) as web:
            result = run(tmp_path, "--url", web.url(f"secret/{BOXES}?token=secret"))
        assert result.returncode == 4
        assert "secret" not in result.stdout + result.stderr
        assert f"{BOXES}: is not given to us (403)" in result.stderr
        assert "--cookies" in result.stderr

    def test_over_tls_the_certificate_is_verified(self, tmp_path: Path) -> None:
        certificate = Path(__file__).with_name("localhost.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with serving({BOXES: DATA}, tls=context) as web:
            address = web.url(BOXES, "localhost").replace("http:", "https:")
            refused = run(tmp_path / "new", "--url", address)
            trusted = run(tmp_path / "new", "--url", address, SSL_CERT_FILE=str(certificate))
        assert refused.returncode == 4
        assert f"{BOXES}: cannot be fetched safely: self-signed certificate" in refused.stderr
        assert trusted.returncode == 0
        assert (tmp_path / "new" / BOXES).read_bytes() == DATA


class TestFromASwarm:
    def test_the_time_of_giving_is_not_reported(self, tmp_path: Path) -> None:
        (tmp_path / BOXES).write_bytes(DATA)
        (tmp_path / "torrent").write_bytes(torrent_of({BOXES: DATA}))
        command = [
            sys.executable,
            "-c",
            ON_THIS_MACHINE,
            "fetch",
            str(tmp_path),
            "--torrent",
            str(tmp_path / "torrent"),
        ]
        command += ["--accept-terms", "--no-discovery", "--seed"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr
        assert any("Everything is here." in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
        assert [line.split()[0] for line in said.splitlines()] == ["In", BOXES, "Next:"]


class TestWhatMakesNoSense:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("https://example.org/x.tar?secret",), "Error: There is more than a folder.\nURLs stand after --url."),
            (("--url", "https://example.org/x.tar", "--check"), "Error: --url and --check are two things."),
            (("--torrent", "--check"), "Error: --torrent and --check are two things."),
            (("--accept-terms",), "Error: --accept-terms goes with --torrent."),
            (("--check", "--timeout", "1"), "Error: --timeout goes with --url or --torrent."),
            (("--torrent", "train", "--fresh"), "Error: --fresh goes with --url."),
            (("--torrent", "train", "--cookies", "/dev/null"), "Error: --cookies goes with --url."),
            (("--url", "https://example.org/x.tar", "--seed"), "Error: --seed goes with --torrent."),
            (("--url", "https://me:secret@example.org/x"), "Error: A URL for example.org holds a name or password"),
            (("--url-file", "/dev/null"), "Error: There is no URL."),
            (("--url-file", "-"), "Error: There is no URL."),
            (
                ("--url", "https://example.org/x.tar", "--max-rate", "fast"),
                "Error: fast is not a rate, such as 500kB",
            ),
            (("--torrent", "train"), "Error: The terms of ImageNet are not accepted."),
        ],
    )
    def test_is_code_2_with_a_sentence(self, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
        result = run(tmp_path, *arguments)
        assert result.returncode == 2
        assert result.stderr.startswith(said)
        assert "secret" not in result.stderr
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("text", "number"),
        [
            (None, 0),
            ("1000", 1_000),
            ("20MB", 20_000_000),
            ("1.5 MB/s", 1_500_000),
            ("500k", 500_000),
            ("500K", 500_000),
            ("20mb", 20_000_000),
            ("1.5M", 1_500_000),
            ("1g/s", 10**9),
            ("2GB", 2 * 10**9),
        ],
    )
    def test_rates(self, text: str | None, number: int) -> None:
        assert rate(click.Context(click.Command("x")), click.Option(["--x"]), text) == number

    @pytest.mark.parametrize("text", ["", "-1", "1e9", "20 MiB", "MB", "9" * 40, "9" * 400, "\x1b[31m", "٣ MB"])
    def test_what_is_no_rate(self, text: str) -> None:
        with pytest.raises(UsageError, match="is not a rate") as caught:
            rate(click.Context(click.Command("x")), click.Option(["--x"]), text)
        assert "\x1b" not in str(caught.value)


class TestCheck:
    def test_of_an_empty_folder_is_an_error(self, tmp_path: Path) -> None:
        result = run(tmp_path, "--check")
        assert result.returncode == 4
        assert result.stderr.startswith(f"Error: There is no archive of ILSVRC2012 in {tmp_path}.")

    def test_of_what_is_wrong_is_code_4(self, tmp_path: Path) -> None:
        (tmp_path / "ILSVRC2012_img_val.tar").write_bytes(b"<html>")
        result = run(tmp_path, "--check", "--quiet")
        assert result.returncode == 4
        assert "1 problem:\n  ILSVRC2012_img_val.tar: is a web page, not an archive" in result.stdout


class TestTheTerms:
    def answer(self, folder: Path, text: bytes, torrent: str = "1" * 40) -> tuple[int, str]:
        """Answer the question on a terminal; nobody is asked for the torrent."""
        ours, theirs = pty.openpty()
        magnet = f"magnet:?xt=urn:btih:{torrent}"
        command = [sys.executable, "-c", ON_THIS_MACHINE, "fetch", str(folder), "--torrent", magnet]
        command += ["--no-discovery", "--timeout", "1"]
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
                if b"[y/N]" in chunk:
                    os.write(ours, text)
        except OSError:  # Linux's way to say that the other end was closed
            pass
        os.close(ours)
        return process.wait(), shown.decode()

    def test_are_shown_and_asked_about_on_a_terminal(self, tmp_path: Path) -> None:
        code, shown = self.answer(tmp_path, b"n\n")
        assert "non-commercial research and education" in shown
        assert "Have you accepted these terms, and do you have the right to the data? [y/N]" in shown
        assert (code, "The terms of ImageNet are not accepted." in shown) == (2, True)

    def test_open_the_door_when_accepted(self, tmp_path: Path) -> None:
        code, shown = self.answer(tmp_path, b"y\n")
        assert (code, "Asking the swarm" in shown) == (4, True)

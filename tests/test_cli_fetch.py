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
from imagenet_prep.imagenet.archives import OFFICIAL_ARCHIVES, TRAIN, TRAIN_BOXES, VALIDATION
from imagenet_prep.verbs.fetch.report import ArchiveState, Fetched, FetchReport
from imagenet_prep.verbs.fetch.unfinished import URL, Bookmark, save_bookmark, unfinished_path
from seeding import torrent_of
from web import STALL, Answer, page, serving

BOXES = "ILSVRC2012_bbox_val_v3.tgz"
DATA = b"\x1f\x8b" + random.Random(1).randbytes(50_000)
ON_THIS_MACHINE = """
from imagenet_prep.verbs.fetch import peers as swarm
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

    def test_makes_nothing(self, tmp_path: Path) -> None:
        assert run(tmp_path / "new").returncode == 0
        assert list(tmp_path.iterdir()) == []

    def test_says_what_is_there(self, tmp_path: Path) -> None:
        (tmp_path / "ILSVRC2012_img_val.tar").write_bytes(b"<!DOCTYPE html><html>")
        (tmp_path / BOXES).write_bytes(DATA)
        unfinished_path(tmp_path / "ILSVRC2012_img_train.tar").write_bytes(bytes(2_000_000))
        save_bookmark(tmp_path / "ILSVRC2012_img_train.tar", Bookmark(URL, received=1_500_000))
        shown = run(tmp_path).stdout
        lines = [line for line in shown.splitlines() if line.startswith("  ILSVRC")]
        assert lines[0].endswith("unfinished: 1.5 MB so far")
        assert lines[1].endswith("something is wrong: see below")
        assert lines[4].endswith("yes, 50.0 kB")
        assert lines[5].endswith("no")
        assert "ILSVRC2012_img_val.tar: is a web page, not an archive" in shown

    def test_tells_programs_the_same(self, tmp_path: Path) -> None:
        archives = json.loads(run(tmp_path, "--json").stdout)["archives"]
        assert [archive["name"] for archive in archives] == [archive.names[0] for archive in OFFICIAL_ARCHIVES]
        assert archives[0]["official_size"] == 147_897_477_120
        assert archives[0]["size"] is None

    def test_can_be_pasted_with_a_folder_that_needs_quotes(self, tmp_path: Path) -> None:
        assert f"imagenet-prep fetch '{tmp_path}/my data' --check" in run(tmp_path / "my data").stdout


class TestWhatComesNext:
    def test_with_both_archives_is_the_build(self) -> None:
        states = with_states(train=there(TRAIN), validation=there(VALIDATION))
        assert ways.compared(states, Path("a b")).endswith("\nNext: imagenet-prep build 'a b' DATA")

    def test_with_one_is_the_other(self) -> None:
        states = with_states(validation=there(VALIDATION))
        assert ways.compared(states, Path("a")).endswith(
            "\nNext: get ILSVRC2012_img_train.tar; or, without it, imagenet-prep build a DATA --split validation"
        )

    def test_with_a_damaged_one_is_its_repair(self) -> None:
        damaged = there(VALIDATION, problems=(Problem("ILSVRC2012_img_val.tar", "is damaged"),))
        states = with_states(train=there(TRAIN), validation=damaged)
        assert "\nNext: imagenet-prep fetch a --torrent validation" in ways.compared(states, Path("a"))

    def test_with_a_page_in_its_place_is_to_move_that_away(self) -> None:
        page_there = there(
            TRAIN, size=6, disguised=True, problems=(Problem("ILSVRC2012_img_train.tar", "is a web page"),)
        )
        assert "\nNext: move a/ILSVRC2012_img_train.tar away, and get ILSVRC2012_img_train.tar anew: " in ways.compared(
            with_states(train=page_there), Path("a")
        )

    def test_with_an_unfinished_one_is_the_command_that_began_it(self) -> None:
        states = with_states(train=there(TRAIN, size=None, unfinished=5), validation=there(VALIDATION))
        assert ways.compared(states, Path("a")).endswith(
            "\nNext: get ILSVRC2012_img_train.tar; the command that began it goes on."
        )

    def test_with_one_that_came_whole_is_to_compare_it_and_then_to_name_it(self) -> None:
        whole = there(VALIDATION, size=None, unfinished=6_744_924_160)
        assert ways.compared(with_states(train=there(TRAIN), validation=whole), Path("a")).endswith(
            "\nNext: imagenet-prep fetch a --check   (compares ILSVRC2012_img_val.tar.part, which came whole)"
        )
        states = with_states(train=there(TRAIN), validation=replace(whole, checksum="right"))
        assert ways.compared(states, Path("a")).endswith(
            "\nNext: mv -n a/ILSVRC2012_img_val.tar.part a/ILSVRC2012_img_val.tar   (it came whole, and is right)"
        )
        assert "  came whole, but has not been compared\n" in ways.offered(with_states(validation=whole), Path("a"))

    def test_with_one_that_is_only_too_long_is_to_cut_it(self) -> None:
        longer = there(
            VALIDATION,
            size=6_744_924_161,
            checksum="not the published file",
            problems=(Problem("ILSVRC2012_img_val.tar", "something was written behind its end"),),
        )
        assert ways.compared(with_states(train=there(TRAIN), validation=longer), Path("a b")).endswith(
            "\nNext: truncate -s 6744924160 'a b/ILSVRC2012_img_val.tar'   (cuts off what is behind its end)"
        )

    def test_with_one_that_may_not_be_read_is_to_make_it_readable(self) -> None:
        locked = there(TRAIN, unreadable=True, problems=(Problem("ILSVRC2012_img_train.tar", "cannot be read"),))
        said = ways.compared(with_states(train=locked), Path("a"))
        assert "  right  not compared\n" in said
        assert said.endswith("\nNext: chmod u+r a/ILSVRC2012_img_train.tar   (you may not read it)")

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

    def test_of_a_fetch_that_went_on_giving(self) -> None:
        """Its time is that of giving, and a speed would be that of nothing."""
        report = FetchReport((Fetched(BOXES, 2_000_000, 500_000, "none is published"),), 90_000)
        assert ways.fetched(report, ABSENT, Path("a"), timed=False).splitlines()[1:3] == [
            f"  {BOXES}  2.0 MB  500.0 kB came now  checksum: unverified: none is published",
            "Next: get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar: `imagenet-prep fetch a` says how.",
        ]

    def test_of_a_folder_with_a_hostile_name(self) -> None:
        folder, report = Path("a\x1b[31m"), FetchReport((Fetched(BOXES, 5, 0, ""),), 0.5)
        damaged = there(VALIDATION, problems=(Problem("ILSVRC2012_img_val.tar", "is damaged"),), disguised=True)
        said = [ways.offered(ABSENT, folder), ways.fetched(report, ABSENT, folder)]
        said += [ways.compared(states, folder) for states in (ABSENT, with_states(validation=damaged))]
        assert [each for each in said if "\x1b" in each] == []
        assert all("a\\x1b[31m" in each for each in said)

    def test_of_a_comparison(self) -> None:
        states = with_states(
            train=there(TRAIN, size=5, checksum="wrong", clean=2, containers=1_000),
            validation=there(VALIDATION, checksum="right"),
            **{TRAIN_BOXES: there(TRAIN_BOXES, size=7, checksum="none is published")},
        )
        assert ways.compared(states, Path("a")).splitlines()[:5] == [
            "  file                             bytes          size   checksum",
            "  ILSVRC2012_img_train.tar         5              wrong  wrong",
            "  ILSVRC2012_img_val.tar           6,744,924,160  right  right",
            "  ILSVRC2012_bbox_train_v2.tar.gz  7                     unverified: none is published",
            "ILSVRC2012_img_train.tar: 2 of 1,000 class tars read cleanly.",
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

    def test_urls_may_be_in_a_file(self, tmp_path: Path) -> None:
        links = tmp_path / "links"
        with serving({BOXES: DATA, "x.tar": DATA}) as web:
            links.write_text(f"# from the page\n\n{web.url(BOXES)}\r\n  {web.url('x.tar')}  \n")
            assert run(tmp_path / "new", "--url-file", links).returncode == 0
        assert len(list((tmp_path / "new").iterdir())) == 2

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
        login = "the login has expired, or cookies are missing"
        assert result.stderr.splitlines()[1:] == [
            f"  {BOXES}: is not given to us (403): {login} (from 127.0.0.1:{web.port})",
            "Log in with the browser, export its cookies anew, and name the file with --cookies.",
        ]

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
            (("https://example.org/x.tar?secret",), "Error: There is more than a folder.\nURLs stand behind --url."),
            (("--url", "https://example.org/x.tar", "--check"), "Error: --url and --check are two things."),
            (("--torrent", "--check"), "Error: --torrent and --check are two things."),
            (("--accept-terms",), "Error: --accept-terms goes with --torrent."),
            (("--check", "--timeout", "1"), "Error: --timeout goes with --url or --torrent."),
            (("--torrent", "train", "--fresh"), "Error: --fresh goes with --url."),
            (("--torrent", "train", "--cookies", "/dev/null"), "Error: --cookies goes with --url."),
            (("--url", "https://example.org/x.tar", "--seed"), "Error: --seed goes with --torrent."),
            (("--url", "https://me:secret@example.org/x"), "Error: A URL for example.org holds a name or password"),
            (("--url-file", "/dev/null"), "Error: There is no URL in /dev/null."),
            (("--url-file", "-"), "Error: There is no URL in standard input."),
            (
                ("--url", "https://example.org/x.tar", "--max-rate", "fast"),
                "Error: fast is no rate, such as 500kB",
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
        "arguments", [("--torrent", "ARCHIVES"), ("--accept-terms", "--torrent"), ("--torrent=x",)]
    )
    def test_a_folder_that_was_taken_for_the_torrent_is_missed(self, arguments: tuple[str, ...]) -> None:
        result = run(*arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr == (
            "Error: DIR is missing.\nDIR comes first: what stands behind --torrent is taken for the torrent.\n"
        )

    @pytest.mark.parametrize(
        ("option", "given", "what", "wanted"),
        [
            ("--url-file", "http://example.org/x?token=secret", "URLs", "the path of a file, or - for standard input"),
            ("--cookies", "sessionid=secret", "cookies", "the path of a file"),
            ("--headers", "Bearer secret", "headers", "the path of a file"),
        ],
    )
    def test_what_stands_in_place_of_a_file_is_not_shown(
        self, tmp_path: Path, option: str, given: str, what: str, wanted: str
    ) -> None:
        result = run(tmp_path, "--url", "http://127.0.0.1:1/x.tar", option, given)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr == (
            f"Error: Cannot read the file of {what}: No such file or directory.\n"
            f"{option} wants {wanted}; on a command line everybody on the machine could read it.\n"
        )

    @pytest.mark.parametrize(
        ("place", "option"),
        [
            ("https://example.org/secret/x.tar?token=secret", "--url"),
            ("HTTP://example.org/secret", "--url"),
            ("ftp://me:secret@example.org/x.tar", "--url"),
            ("magnet:?xt=urn:btih:secret", "--torrent"),
        ],
    )
    @pytest.mark.parametrize("more", [(), ("--check",), ("https://example.org/y.tar?secret",), ("--torrent", "train")])
    def test_a_url_in_place_of_the_folder_is_not_shown(self, place: str, option: str, more: tuple[str, ...]) -> None:
        result = run(place, *more)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr == (
            f"Error: What should be DIR is a link.\nDIR comes first, and links stand behind {option}.\n"
        )

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
        with pytest.raises(UsageError, match="is no rate") as caught:
            rate(click.Context(click.Command("x")), click.Option(["--x"]), text)
        assert "\x1b" not in str(caught.value)

    @pytest.mark.parametrize("text", ["0", "20", "500", "0.1kB"])
    def test_a_rate_that_is_too_small(self, text: str) -> None:
        with pytest.raises(UsageError, match=f"^{text} is too small a rate: 1kB a second is the least.$"):
            rate(click.Context(click.Command("x")), click.Option(["--x"]), text)


class TestCheck:
    def test_of_an_empty_folder_is_an_error(self, tmp_path: Path) -> None:
        result = run(tmp_path, "--check")
        assert result.returncode == 4
        assert result.stderr.startswith(f"Error: There is no archive of ILSVRC2012 in {tmp_path}.")

    def test_of_a_folder_with_a_hostile_name_shows_it_harmless(self, tmp_path: Path) -> None:
        result = run(tmp_path / "\a", "--check")
        assert (result.returncode, "\a" in result.stderr) == (4, False)

    def test_of_what_cannot_be_verified_is_no_error(self, tmp_path: Path) -> None:
        (tmp_path / BOXES).write_bytes(DATA)
        result = run(tmp_path, "--check")
        assert result.returncode == 0
        assert f"  {BOXES}  50,002        unverified: none is published" in result.stdout

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

    def test_are_not_asked_about_where_the_torrent_makes_no_sense(self, tmp_path: Path) -> None:
        code, shown = self.answer(tmp_path, b"y\n", "0")
        assert (code, "This is no magnet link" in shown, "[y/N]" in shown) == (2, True, False)

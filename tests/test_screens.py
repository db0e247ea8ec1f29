"""What a terminal shows, literally, at each width: from recorded progress and a clock that stands still."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from rich.console import Console

from imagenet_prep.cli.board import Board
from imagenet_prep.cli.pace import Pace
from imagenet_prep.cli.progress import _Lines, reached, watching
from imagenet_prep.cli.screen import fitted, say
from imagenet_prep.model.events import Note, Progress, Stage
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.command import run
from support.sentences import TESTS, Sentence, parse

BUILD = [  # (seconds, event)
    (0.0, Progress(Stage.INDEX, 0, 0)),
    (1.0, Progress(Stage.INDEX, 700_000, 0)),
    (2.5, Progress(Stage.INDEX, 1_331_167, 0)),
    (4.0, Progress(Stage.WRITE, 0, 1_331_167, 0, 146_900_000_000)),
    (64.0, Progress(Stage.WRITE, 93_181, 1_331_167, 10_283_000_000, 146_900_000_000)),
]
FETCH = [
    (0.0, Progress(Stage.FETCH, 0, 0, 6_700_000_000, 6_744_924_160, "ILSVRC2012_img_val.tar")),
    (8.0, Progress(Stage.FETCH, 0, 0, 6_744_924_160, 6_744_924_160, "ILSVRC2012_img_val.tar")),
    (8.0, Progress(Stage.FETCH, 0, 0, 80_000_000_000, 147_897_477_120, "ILSVRC2012_img_train.tar")),
    (28.0, Progress(Stage.FETCH, 0, 0, 80_400_000_000, 147_897_477_120, "ILSVRC2012_img_train.tar")),
]
OF_UNKNOWN_LENGTH = [
    (0.0, Progress(Stage.FETCH, 0, 0, 0, 0, "ILSVRC2012_bbox_val_v3.tgz")),
    (2.0, Progress(Stage.FETCH, 0, 0, 4_000, 0, "ILSVRC2012_bbox_val_v3.tgz")),
]
DECODE = [(0.0, Progress(Stage.DECODE, 0, 14_000)), (20.0, Progress(Stage.DECODE, 3_750, 14_000))]


def drawn(
    events: Sequence[tuple[float, Progress]], width: int, at: float | None = None, encoding: str = "utf-8"
) -> str:
    """Give what a terminal of so many columns shows, ``at`` some second or at the last event."""
    time = 0.0
    file = io.TextIOWrapper(io.BytesIO(), encoding, write_through=True)
    console = Console(file=file, width=width, force_terminal=True, color_system=None, legacy_windows=False)
    board = Board(console, lambda: time)
    for time, event in events:  # noqa: B007 — the clock of the board
        board.heard(event)
    time = at or time
    with console.capture() as shown:
        console.print(board)
    return shown.get()


SCREENS = parse((TESTS / "screens.txt").read_text())


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A terminal of 80 columns, with colours."""
    for name, value in (("TERM", "xterm"), ("COLUMNS", "80")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Screen()


def said(screen: Screen, text: str, *, whole: bool = False) -> str:
    with redirect_stdout(screen):
        say(text, whole=whole)
    return screen.getvalue()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_miniature(tmp_path / "SMALL", MiniatureOptions())
    return tmp_path / "SMALL"


class TestABoard:
    @pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
    def test_at_each_width_shows_what_matters_most(self, width: int) -> None:
        shown = "".join(drawn(events, width) for events in (BUILD, FETCH, OF_UNKNOWN_LENGTH, DECODE))
        assert shown.rstrip() == SCREENS[f"{width} columns"]

    def test_at_no_width_has_a_line_too_long_or_a_word_cut(self) -> None:
        words = {word for events in (BUILD, DECODE) for word in drawn(events, 250).split()}
        for width in range(12, 220):
            for line in [*drawn(BUILD, width).splitlines(), *drawn(DECODE, width).splitlines()]:
                assert len(line) <= width
                assert {word for word in line.split() if not set(word) <= set("━─…")} <= words

    def test_before_anything_is_counted_has_only_the_name(self) -> None:
        assert drawn(BUILD[:1], 80) == "⠋ Indexing\n"

    def test_without_a_known_end_counts(self) -> None:
        assert drawn(BUILD[:2], 80) == "⠋ Indexing  700,000 images\n"

    def test_guesses_no_time_in_the_first_second(self) -> None:
        early = [BUILD[3], (4.5, Progress(Stage.WRITE, 1, 1_331_167, 110_000, 146_900_000_000))]
        assert "left" not in drawn(early, 80)

    def test_does_not_freeze_while_nothing_comes(self) -> None:
        assert drawn(BUILD, 80, at=64.0).splitlines()[1].endswith("13 min 17 s left  1,553 images/s")
        assert drawn(BUILD, 80, at=104.1).splitlines()[1].endswith("22 min 10 s left  931 images/s")
        assert drawn(BUILD, 80, at=104.1).splitlines()[1][0] != drawn(BUILD, 80, at=104.0).splitlines()[1][0]

    def test_ticks_what_is_finished_off(self) -> None:
        done = [*BUILD, (900.0, Progress(Stage.WRITE, 1_331_167, 1_331_167, 146_900_000_000, 146_900_000_000))]
        assert drawn([*done, (901.0, Progress(Stage.FINISH, 0, 0))], 60, at=990.0).splitlines() == [
            "✓ Indexing              1,331,167 images in 4.0 s",
            "✓ Writing shards        1,331,167 images in 14 min 56 s",
            "⠋ Writing the manifest",
        ]

    def test_of_another_encoding_is_drawn_in_plain_signs(self) -> None:
        assert drawn(BUILD, 60, encoding="latin-1").splitlines() == [
            "* Indexing        1,331,167 images in 4.0 s",
            "- Writing shards  #--------------    7 %  13 min 17 s left",
        ]

    def test_a_name_is_not_markup(self) -> None:
        odd = [(0.0, Progress(Stage.FETCH, 0, 0, 5, 0, "a[red]b[/].tar"))]
        assert drawn(odd, 80) == "⠋ Fetching a[red]b[/].tar  5 bytes\n"


class TestALog:
    """Where a line cannot be drawn again: in a file, and on a terminal that is called dumb."""

    def test_stages_side_by_side_are_two_stages(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clock = iter(range(0, 1000, 3))
        monkeypatch.setattr("imagenet_prep.cli.progress.time.monotonic", lambda: next(clock))
        lines = _Lines()
        for done in range(5):
            lines(Progress(Stage.CHECKSUMS, 0, 0, 1000 * done, 9000))
            lines(Progress(Stage.DECODE, 60 * done, 300))
        assert capsys.readouterr().err.splitlines() == [
            "Computing checksums …",
            "Decoding images …",
            "Computing checksums: 2.0 kB of 9.0 kB, 167 bytes/s, 42.0 s left",
            "Decoding images: 120 of 300 images, 10 images/s, 18.0 s left",
            "Computing checksums: 4.0 kB of 9.0 kB, 167 bytes/s, 30.0 s left",
            "Decoding images: 240 of 300 images, 10 images/s, 6.0 s left",
        ]

    @pytest.mark.parametrize(
        ("first", "now", "said"),
        [
            (
                Progress(Stage.WRITE, 0, 10, 0, 6_000_000),
                Progress(Stage.WRITE, 5, 10, 2_000_000, 6_000_000),
                "5 of 10 images, 2 images/s, 1.0 MB/s, 4.0 s left",
            ),
            (
                Progress(Stage.FETCH, 0, 0, 80_000_000, 100_000_000, "ILSVRC2012_img_val.tar"),
                Progress(Stage.FETCH, 0, 0, 90_000_000, 100_000_000, "ILSVRC2012_img_val.tar"),
                "90.0 MB of 100.0 MB, 5.0 MB/s, 2.0 s left",
            ),
            (Progress(Stage.FETCH, 0, 0, 0, 0, "x"), Progress(Stage.FETCH, 0, 0, 4_000, 0, "x"), "4.0 kB, 2.0 kB/s"),
            (Progress(Stage.INDEX, 0, 0), Progress(Stage.INDEX, 1, 0), "1 image"),
            (Progress(Stage.FINISH, 0, 0), Progress(Stage.FINISH, 0, 0), "…"),
        ],
        ids=["images", "what was there before has no speed", "no known end", "one image", "nothing to count"],
    )
    def test_a_line_says_how_far_and_how_fast(self, first: Progress, now: Progress, said: str) -> None:
        pace = Pace(first, 10.0)
        pace.heard(now, 12.0)
        assert pace.words(12.0) == said


class TestAText:
    """Results, notes and errors, as `say` breaks them on a terminal."""

    @pytest.mark.parametrize("width", [60, 80, 120, 200])
    @pytest.mark.parametrize(
        "command",
        [
            "check SMALL",
            "build SMALL NEW --test-per-class 60",
            "audit SMALL",
        ],
    )
    @pytest.mark.usefixtures("small")
    def test_of_a_command_fits(self, command: str, width: int, sentence: Sentence) -> None:
        ended = run(*command.split())
        shown = fitted(ended.stdout + ended.stderr, width)
        sentence(shown)
        assert {line for line in shown.splitlines() if len(line) > width} == set()
        assert "".join(shown.replace(" \\\n", " ").split()) == "".join((ended.stdout + ended.stderr).split())

    def test_breaks_in_the_last_column_of_a_table(self) -> None:
        rows = ("  DATA/", "    classes.csv  class index, WNID, name and devkit integer", "    build.json   recipe")
        assert fitted("\n".join(rows), 40).splitlines() == [
            "  DATA/",
            "    classes.csv  class index, WNID, name",
            "                 and devkit integer",
            "    build.json   recipe",
        ]

    def test_puts_a_column_for_which_there_is_no_room_below(self) -> None:
        row = "  train  archive  147,897,477,120  the official size  /data/imagenet/ILSVRC2012_img_train.tar"
        assert fitted(row, 60).splitlines() == [
            "  train  archive  147,897,477,120  the official size",
            "      /data/imagenet/ILSVRC2012_img_train.tar",
        ]

    def test_breaks_a_command_so_that_it_can_be_copied(self) -> None:
        command = "Next: imagenet-prep fetch A --torrent train --torrent validation   (only the damaged pieces)"
        assert fitted(command, 50).splitlines() == [
            "Next: imagenet-prep fetch A --torrent train \\",
            "    --torrent validation",
            "    (only the damaged pieces)",
        ]

    @pytest.mark.parametrize(
        "line",
        [
            "    dataset = load('train', 'DATA')  # the images of the set",
            "Next: imagenet-prep build '/my images' DATA --test-per-class 5",
            "a/very/long/path/that/has/no/place/to/break",
        ],
        ids=["code", "a quoted path", "a word"],
    )
    def test_leaves_whole_what_a_break_would_change(self, line: str) -> None:
        assert fitted(line, 30) == line


class TestColours:
    @pytest.mark.parametrize(
        ("text", "colour"),
        [
            ("Error: no such folder", 31),
            ("3 problems:", 31),
            ("Warning: some are copies", 33),
            ("Interrupted while indexing.", 33),
            ("Built 10 images in DATA:", 32),
            ("DATA is sound: 10 records", 32),
        ],
    )
    def test_are_those_of_the_verdict(self, text: str, colour: int, screen: Screen) -> None:
        assert said(screen, text) == f"\x1b[{colour}m{text}\x1b[0m\n"

    @pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
    def test_are_left_out_where_they_are_not_wanted(
        self, name: str, value: str, screen: Screen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(name, value)
        assert said(screen, "Error: no such folder") == "Error: no such folder\n"

    def test_are_not_for_programs(self, screen: Screen) -> None:
        assert said(screen, "Error: " + "x " * 100, whole=True) == "Error: " + "x " * 100 + "\n"

    def test_are_never_in_a_file(self, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(screen, "isatty", lambda: False)
        assert said(screen, "Error: " + "x " * 100) == "Error: " + "x " * 100 + "\n"


def test_an_interrupt_says_how_far_the_work_came() -> None:
    assert reached(None) == ""
    assert reached(BUILD[0][1]) == " while indexing"
    assert reached(BUILD[1][1]) == " while indexing, after 700,000 images"
    assert reached(BUILD[-1][1]) == " while writing shards, after 93,181 of 1,331,167 images"


def test_a_terminal_called_dumb_gets_the_lines_of_a_log(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with redirect_stderr(screen), watching() as watch:
        watch(BUILD[0][1])
        watch(Note("something", warning=True))
    assert screen.getvalue() == "Indexing …\nWarning: something\n"

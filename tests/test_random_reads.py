"""Where single images are read slowly, `check` and `build --dry-run` say so before hours are spent."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from imagenet_prep import BuildOptions, CheckOptions, check
from imagenet_prep.model.events import Note, Progress
from imagenet_prep.model.task import Entries
from imagenet_prep.sources import random_reads
from imagenet_prep.sources.random_reads import slow_reads
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.verbs.build.run import preview

pytestmark = pytest.mark.quick

SLOW = re.compile(r"Reading single images is slow here: 1 of them took 600,000.0 ms each")


@pytest.fixture
def every_read_takes_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[int] = count(step=600)
    monkeypatch.setattr(random_reads, "perf_counter", lambda: float(next(clock)))


def miniature(folder: Path, layout: str = "archives") -> Miniature:
    """Two classes, twelve images."""
    wnids = ("n01440764", "n02917067")
    return write_miniature(
        folder, MiniatureOptions(wnids=wnids, images_per_class=4, validation_per_class=2, layout=layout)
    )


@pytest.fixture
def source(tmp_path: Path) -> Miniature:
    return miniature(tmp_path / "in")


def entries(sizes: list[int], offset: int = 512) -> Entries:
    """Images that lie one after another in the only archive."""
    number = len(sizes)
    offsets = [offset + sum(sizes[:row]) for row in range(number)]
    return Entries(
        [f"n01440764_{row}.JPEG" for row in range(number)],
        array("h", [0] * number),
        array("b", [0] * number),
        [""] * number,
        array("q", offsets),
        array("i", sizes),
        [None] * number,
        frozenset({0}),
    )


def dry_run(source: Miniature, out: Path, **options: Any) -> list[str]:
    """Give the notes of a dry run."""
    notes: list[str] = []

    def watch(event: Progress | Note) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    preview(source.root, out, BuildOptions.of(test_per_class=1, jobs=1, **options), watch=watch)
    return notes


class TestTheEstimate:
    @pytest.fixture
    def archive(self, tmp_path: Path) -> str:
        path = tmp_path / "archive.tar"
        path.write_bytes(bytes(512 + 5 * 110_000))
        return str(path)

    @pytest.fixture(autouse=True)
    def every_read_takes_eight_ms(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = count()
        monkeypatch.setattr(random_reads, "perf_counter", lambda: 0.008 * next(clock))

    def test_is_that_of_the_whole_source(self, archive: str) -> None:
        assert slow_reads((archive,), entries([110_000] * 5), 1_281_167) == (
            "Reading single images is slow here: 5 of them took 8.0 ms each (13.8 MB/s). At this rate a build reads "
            "for about 2.8 hours. If the source is on a hard disk or a network, a copy of it on a solid-state disk is "
            "faster."
        )

    def test_is_not_worth_a_word_below_an_hour(self, archive: str) -> None:
        assert slow_reads((archive,), entries([110_000] * 5), 449_999) is None
        assert slow_reads((archive,), entries([110_000] * 5), 450_001) is not None

    def test_of_nothing_is_nothing(self, archive: str) -> None:
        assert slow_reads((archive,), entries([]), 0) is None

    def test_ends_with_what_could_be_read(self, archive: str, tmp_path: Path) -> None:
        some = entries([110_000] * 6)
        assert "5 of them" in (slow_reads((archive,), some, 1_281_167) or "")
        assert slow_reads((str(tmp_path / "gone.tar"),), some, 1_281_167) is None


@pytest.mark.usefixtures("every_read_takes_ten_minutes")
class TestASlowSource:
    def test_is_noted_by_check(self, source: Miniature) -> None:
        holdings = check(source.root, CheckOptions(jobs=1))
        assert [note for note in holdings.notes if SLOW.match(note)]
        assert holdings.problems == ()

    def test_is_noted_by_a_dry_run(self, source: Miniature, tmp_path: Path) -> None:
        assert [note for note in dry_run(source, tmp_path / "out") if SLOW.match(note)]

    def test_matters_only_where_images_are_read(self, tmp_path: Path) -> None:
        folders = miniature(tmp_path / "in", "sorted")
        linked = dry_run(folders, tmp_path / "out", format="folders", transfer="hardlink")
        assert [note for note in linked if SLOW.match(note)] == []
        copied = dry_run(folders, tmp_path / "out", format="folders")
        assert [note for note in copied if SLOW.match(note)] != []


def test_a_fast_source_is_not_mentioned(source: Miniature, tmp_path: Path) -> None:
    notes = [*check(source.root, CheckOptions(jobs=1)).notes, *dry_run(source, tmp_path / "out")]
    assert [note for note in notes if "slow" in note] == []

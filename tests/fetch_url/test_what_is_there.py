"""What is in the folder already, whose it is, and a disk that fails."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from fetch_url.asking import (
    CHANGED_DATA,
    DATA,
    MD5,
    OTHER,
    PUBLISHED,
    VAL,
    Fetching,
    assert_said,
    url,
)
from imagenet_prep.errors import OtherBuildError, OutputError
from imagenet_prep.imagenet.archives import RIGHT
from imagenet_prep.stores.lock import held
from imagenet_prep.verbs.fetch.part import TORRENT, Origin, save_origin
from imagenet_prep.verbs.fetch.report import Fetched
from web import Web, page

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


class TestWhatIsThereAlready:
    @PUBLISHED
    def test_a_file_of_the_published_size_is_taken_for_complete(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / VAL).write_bytes(CHANGED_DATA)
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 0, ""),)
        assert web.requests == []
        fetching.assert_whole(CHANGED_DATA)

    @PUBLISHED
    @pytest.mark.parametrize("size", [1_000, 299_999, 300_001])
    def test_a_file_of_another_size_is_not_touched(self, fetching: Fetching, web: Web, size: int) -> None:
        fetching.folder.mkdir()
        (fetching.folder / VAL).write_bytes((DATA + DATA)[:size])
        for fresh in (False, True):
            assert_said(fetching.refused(url(web), fresh=fresh), VAL, "300,000", f"{size:,}")
        assert web.requests == []
        fetching.assert_whole((DATA + DATA)[:size])

    @PUBLISHED
    def test_a_part_without_a_note_is_adopted_where_a_checksum_is_published(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(DATA[:123_456])
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 176_544, RIGHT),)
        assert web.starts == [123_456]
        fetching.assert_whole()

    @PUBLISHED
    def test_and_found_wrong_by_it(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(CHANGED_DATA[:123_456])
        assert_said(fetching.refused(url(web)), VAL, MD5, "move it away")
        assert VAL not in fetching.names

    @PUBLISHED
    def test_one_that_is_longer_than_published_is_no_beginning(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(DATA + b"more")
        assert_said(fetching.refused(url(web)), f"{VAL}.part", "300,004", "300,000", "Move it away")
        assert fetching.part() == DATA + b"more"

    @pytest.mark.parametrize("note", [None, b"", b"{}", b"[]", b'{"by": "url"}'])
    def test_a_part_that_nobody_can_check_is_refused(self, fetching: Fetching, web: Web, note: bytes | None) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(DATA[:1_000])
        if note is not None:
            (fetching.folder / f"{VAL}.part.json").write_bytes(note)
        for fresh in (False, True):  # it is not ours to take away
            assert_said(fetching.refused(url(web), fresh=fresh), f"{VAL}.part", "Move it away")
        assert web.requests == []
        assert fetching.part() == DATA[:1_000]

    @PUBLISHED
    def test_a_part_by_torrent_is_refused(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(bytes(300_000))
        save_origin(fetching.folder / VAL, Origin(TORRENT, 300_000))
        assert_said(fetching.refused(url(web)), VAL, "--torrent")
        assert (web.requests, fetching.part()) == ([], bytes(300_000))

    @PUBLISHED
    def test_a_note_without_a_part_is_no_beginning(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        (fetching.folder / f"{VAL}.part").unlink()
        assert fetching.get(url(web)).received == 300_000
        assert web.starts == [None]
        fetching.assert_whole()

    @pytest.mark.parametrize("fresh", [False, True])
    def test_a_note_on_other_bytes_makes_nothing_ours(self, fetching: Fetching, web: Web, fresh: bool) -> None:
        """Somebody took our part away, and put another in its place."""
        fetching.begin(web, 100_000)
        (fetching.folder / f"{VAL}.part").write_bytes(CHANGED_DATA[:200_000])
        assert_said(fetching.refused(url(web), fresh=fresh), f"{VAL}.part", "Move it away")
        assert (web.requests, fetching.part()) == ([], CHANGED_DATA[:200_000])

    def test_another_run_in_the_folder(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        with held(fetching.folder, fetching.folder, alone=True):
            fetching.refused(url(web), kind=OtherBuildError)
        assert (web.requests, fetching.names) == ([], [])
        fetching.get(url(web))


class Space(NamedTuple):
    total: int
    used: int
    free: int


class TestTheDisk:
    def test_too_little_space_is_seen_before_a_byte_is_written(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Space(10**9, 0, 299_999))
        words = fetching.refused(url(web), kind=OutputError)
        assert_said(words, "0.3 MB")
        assert "--format" not in words
        assert fetching.names == []

    @PUBLISHED
    def test_what_is_there_needs_no_space(self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        fetching.begin(web, 200_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Space(10**9, 0, 150_000))
        fetching.get(url(web))
        fetching.assert_whole()

    @PUBLISHED
    def test_a_disk_that_fails_ends_it_with_what_is_there(self, fetching: Fetching, web: Web) -> None:
        """And is no reason to ask the server again."""
        fetching.begin(web, 100_000)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))
        try:
            assert_said(fetching.refused(url(web), kind=OutputError), "File too large")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert fetching.part() == DATA[:150_000]
        assert len(web.requests) == 1
        fetching.get(url(web))
        fetching.assert_whole()


class TestWhatIsOurs:
    @PUBLISHED
    def test_fresh_takes_nothing_away_before_the_server_gives_something(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        web.next(page(404))
        fetching.refused(url(web), fresh=True)
        fetching.assert_partial(DATA[:100_000])
        assert fetching.get(url(web)).received == 200_000

    @PUBLISHED
    @pytest.mark.parametrize(
        "start", [b"<html>" + DATA, DATA[:257] + b"other" + DATA[262:], bytes(5_000), b"\x1f\x8b" + DATA]
    )
    def test_what_is_no_tar_is_not_taken_up(self, fetching: Fetching, web: Web, start: bytes) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(start[:100_000])
        assert_said(fetching.refused(url(web)), f"{VAL}.part", "Move it away")
        assert (web.requests, fetching.part()) == ([], start[:100_000])

    @PUBLISHED
    def test_a_bookmark_goes_with_its_part(self, fetching: Fetching, web: Web) -> None:
        """Left behind by a kill, it would make a stranger's part ours."""
        fetching.begin(web, 100_000)
        (fetching.folder / f"{VAL}.part").rename(fetching.folder / VAL)
        with (fetching.folder / VAL).open("ab") as file:
            file.write(DATA[100_000:])
        fetching.get(url(web))
        assert fetching.names == [VAL]

    @pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere")])
    def test_what_is_no_file_is_in_the_way(self, fetching: Fetching, web: Web, make: Callable[[Path], None]) -> None:
        for name in (VAL, f"{OTHER}.part"):
            (fetching.folder / name).parent.mkdir(exist_ok=True)
            make(fetching.folder / name)
        assert_said(fetching.refused(url(web), url(web, OTHER)), VAL, f"{OTHER}.part")
        assert web.requests == []

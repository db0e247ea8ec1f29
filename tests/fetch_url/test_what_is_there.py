"""What is in the folder already, whose it is, and a disk that fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from fetch_url.asking import (
    CHANGED_DATA,
    DATA,
    GZIP,
    MD5,
    OTHER,
    PUBLISHED,
    SECRET,
    VAL,
    Fetching,
    Publish,
    assert_said,
    url,
)
from imagenet_prep.codecs import sealed as documents
from imagenet_prep.errors import OtherBuildError, OutputError, UsageError
from imagenet_prep.imagenet import archives as facts
from imagenet_prep.imagenet.archives import RIGHT
from imagenet_prep.stores.lock import held
from imagenet_prep.verbs.fetch import unfinished
from imagenet_prep.verbs.fetch.report import Fetched
from web import Web, page, serving

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
    @pytest.mark.parametrize("size", [1, 299_999, 300_001])
    def test_a_file_of_another_size_is_not_touched(self, fetching: Fetching, web: Web, size: int) -> None:
        fetching.folder.mkdir()
        (fetching.folder / VAL).write_bytes(b"x" * size)
        for fresh in (False, True):
            assert_said(fetching.refused(url(web), fresh=fresh), VAL, "300,000", f"{size:,}")
        assert web.requests == []
        fetching.assert_whole(b"x" * size)

    def test_a_folder_of_that_name(self, fetching: Fetching, web: Web) -> None:
        (fetching.folder / VAL).mkdir(parents=True)
        assert_said(fetching.refused(url(web)), VAL)
        assert web.requests == []

    @PUBLISHED
    def test_a_part_without_a_note_is_adopted_where_a_checksum_is_published(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(DATA[:123_456])
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 176_544, RIGHT),)
        assert web.starts == [123_456]
        fetching.assert_whole()

    def test_also_of_a_compressed_file_whose_size_nobody_published(self, fetching: Fetching, publish: Publish) -> None:
        name = "ILSVRC2012_devkit_t12.tar.gz"
        publish(GZIP, name, role=facts.DEVKIT, sized=False)
        fetching.folder.mkdir()
        (fetching.folder / f"{name}.part").write_bytes(GZIP[:100_000])
        with serving({f"{SECRET}/{name}": GZIP}) as web:
            assert fetching.get(url(web, name)).files == (Fetched(name, len(GZIP), len(GZIP) - 100_000, RIGHT),)
            assert web.starts == [100_000]

    @PUBLISHED
    def test_and_found_wrong_by_it(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(CHANGED_DATA[:123_456])
        assert_said(fetching.refused(url(web)), VAL, MD5, "move it away")
        assert VAL not in fetching.names

    @PUBLISHED
    def test_a_whole_one_needs_no_server(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(DATA)
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 0, RIGHT),)
        assert web.requests == []
        fetching.assert_whole()

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
        unfinished.save_bookmark(fetching.folder / VAL, unfinished.Bookmark(unfinished.TORRENT, 300_000))
        assert_said(fetching.refused(url(web)), VAL, "--torrent", "--fresh")
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

    @PUBLISHED
    def test_nor_is_it_cut_where_the_note_ends(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        (fetching.folder / f"{VAL}.part").write_bytes(DATA[:99_000] + bytes(1_000) + DATA[100_000:200_000])
        assert_said(fetching.refused(url(web)), "came whole, but damaged", "move it away")
        assert web.starts == [200_000]

    def test_a_link_of_that_name_leads_nowhere_else(self, fetching: Fetching, web: Web, tmp_path: Path) -> None:
        """A part is a file of its own, or what is beside the folder would be written over."""
        fetching.folder.mkdir()
        (tmp_path / "elsewhere").write_bytes(b"mine")
        (fetching.folder / f"{VAL}.part").symlink_to(tmp_path / "elsewhere")
        fetching.refused(url(web))
        assert (tmp_path / "elsewhere").read_bytes() == b"mine"

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
    def test_what_fresh_replaces_gives_its_place(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetching.begin(web, 200_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Space(10**9, 0, 110_000))
        fetching.get(url(web), fresh=True)
        fetching.assert_whole()

    @PUBLISHED
    def test_holes_take_no_place(self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        """A torrent writes its pieces where they belong: a part of full length may have nearly nothing on the disk."""
        fetching.folder.mkdir()
        with (fetching.folder / f"{VAL}.part").open("wb") as file:
            file.truncate(300_000)
        unfinished.save_bookmark(fetching.folder / VAL, unfinished.Bookmark(unfinished.TORRENT, 300_000))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Space(10**9, 0, 250_000))
        fetching.refused(url(web), fresh=True, kind=OutputError)
        assert web.requests == []

    @PUBLISHED
    def test_what_is_complete_needs_none(self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        fetching.get(url(web))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Space(10**9, 0, 0))
        fetching.get(url(web))
        assert len(web.requests) == 1

    def test_all_files_must_find_room(
        self, fetching: Fetching, web: Web, publish: Publish, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Sizes that are published are known before the first request."""
        publish()
        publish(name=OTHER, role=facts.TRAIN)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Space(10**9, 0, 400_000))
        fetching.refused(url(web), url(web, OTHER), kind=OutputError)
        assert fetching.names == []

    def test_a_file_in_place_of_the_folder(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.write_bytes(b"mine")
        with pytest.raises((OutputError, UsageError)):
            fetching.get(url(web))
        assert (web.requests, fetching.folder.read_bytes()) == ([], b"mine")

    @PUBLISHED
    def test_a_disk_that_fails_ends_it_with_what_is_there(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And is no reason to ask the server again."""
        fetching.begin(web, 100_000)

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            for name in ("write", "pwrite"):
                patched.setattr(os, name, full)
            assert_said(fetching.refused(url(web), kind=OutputError), "No space left on device")
        assert len(web.requests) == 1
        fetching.get(url(web))
        fetching.assert_whole()

    def test_a_full_disk_ends_all(self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        web.files[f"{SECRET}/small.tar"] = b"small"
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Space(10**9, 0, 1_000))
        fetching.refused(url(web), url(web, "small.tar"), kind=OutputError)
        assert fetching.names == []


class TestWhatIsOurs:
    @PUBLISHED
    def test_fresh_takes_nothing_away_before_the_server_gives_something(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        web.next(page(404))
        fetching.refused(url(web), fresh=True)
        fetching.assert_only_begun(DATA[:100_000])
        assert fetching.get(url(web)).received == 200_000

    @PUBLISHED
    def test_fresh_leaves_what_was_only_taken_up(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(DATA[:1_000])
        web.next(page(404))
        fetching.refused(url(web))
        assert_said(fetching.refused(url(web), fresh=True), "was not begun by this program", "Move it away")
        assert fetching.part() == DATA[:1_000]

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

    @PUBLISHED
    def test_the_advice_to_go_on_is_given_where_it_helps(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / VAL).write_bytes(DATA[:1_000])
        command = f"mv -n {fetching.folder / VAL} {fetching.folder / VAL}.part"
        assert_said(fetching.refused(url(web)), f"go on from there after: {command}")
        subprocess.run(command, shell=True, check=True)
        fetching.get(url(web))
        fetching.assert_whole()

    def test_the_advice_names_the_torrent_that_has_the_rest(
        self, fetching: Fetching, web: Web, publish: Publish, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetching.folder.mkdir()
        (fetching.folder / VAL).write_bytes(DATA[:1_000])
        publish()
        assert "--torrent" not in fetching.refused(url(web))
        known = replace(facts.OFFICIAL_BY_ROLE[facts.VALIDATION], info_hash="1" * 40)
        monkeypatch.setitem(facts.OFFICIAL_BY_ROLE, facts.VALIDATION, known)
        assert_said(fetching.refused(url(web)), "; or fetch only what is missing with --torrent; or, if it is")

    @PUBLISHED
    def test_what_was_begun_is_not_to_be_replaced(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        (fetching.folder / VAL).write_bytes(DATA[:1_000])
        assert "mv" not in fetching.refused(url(web))

    def test_an_empty_part_is_a_beginning_whoever_made_it(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        unfinished.unfinished_path(fetching.folder / VAL).touch()
        unfinished.save_bookmark(fetching.folder / VAL, unfinished.Bookmark(unfinished.TORRENT, adopted=True))
        fetching.get(url(web))
        fetching.assert_whole()

    @PUBLISHED
    @pytest.mark.parametrize("data", [b"<html>", DATA + b"more", b"no tar"])
    def test_and_not_where_it_does_not(self, fetching: Fetching, web: Web, data: bytes) -> None:
        fetching.folder.mkdir()
        (fetching.folder / VAL).write_bytes(data)
        assert "mv" not in fetching.refused(url(web))

    @pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere")])
    def test_what_is_no_file_is_in_the_way(self, fetching: Fetching, web: Web, make: Callable[[Path], None]) -> None:
        for name in (VAL, f"{OTHER}.part"):
            (fetching.folder / name).parent.mkdir(exist_ok=True)
            make(fetching.folder / name)
        assert_said(fetching.refused(url(web), url(web, OTHER)), VAL, f"{OTHER}.part")
        assert web.requests == []

    @pytest.mark.parametrize(
        "changes",
        [
            {"received": "x"}, {"received": None}, {"received": 1.5}, {"received": True}, {"received": -1},
            {"hashed": 10**9}, {"state": 7}, {"by": "mail"}, {"size": -1}, {"adopted": "yes"}, {"etag": None},
        ],
    )  # fmt: skip
    def test_a_bookmark_with_something_else_in_it_is_none(
        self, fetching: Fetching, web: Web, changes: dict[str, object]
    ) -> None:
        fetching.begin(web, 100_000, VAL)
        path = fetching.folder / f"{VAL}.part.json"
        document = fetching.document() | changes
        del document["digest"]
        path.write_bytes(documents.seal(document))
        assert unfinished.load_bookmark(fetching.folder / VAL) is None

    @PUBLISHED
    def test_a_state_that_counts_beyond_its_buffer_is_not_believed(self, fetching: Fetching, web: Web) -> None:
        """OpenSSL would write where it says."""
        fetching.begin(web, 100_000)
        bookmark = unfinished.load_bookmark(fetching.folder / VAL)
        assert bookmark
        if not bookmark.state:
            return
        state = bookmark.state[:-8] + "ffffff7f"
        unfinished.save_bookmark(fetching.folder / VAL, replace(bookmark, state=state))
        fetching.get(url(web))
        fetching.assert_whole()

"""What is in the folder already or meanwhile, whose it is, and a disk that fails. Nothing of others is touched, and a
final name goes to nothing but the bytes that came.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from fetch_url.asking import CHANGED_DATA, DATA, OTHER, PUBLISHED, VAL, Fetching, url
from imagenet_prep.errors import OtherBuildError, OutputError
from imagenet_prep.imagenet.archives import RIGHT
from imagenet_prep.stores.errors import DisturbedError
from imagenet_prep.stores.lock import held
from imagenet_prep.verbs.fetch import download, part
from imagenet_prep.verbs.fetch.part import TORRENT, Origin, save_origin
from imagenet_prep.verbs.fetch.report import Fetched
from web import Answer, Web, page

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")
THEIRS = b"the user's"


class TestAFileWithItsFinalName:
    @PUBLISHED
    def test_is_taken_for_complete_if_it_has_the_published_size(self, fetching: Fetching, web: Web) -> None:
        fetching.put(CHANGED_DATA, VAL)
        assert fetching.get().files == (Fetched(VAL, 300_000, 0, ""),)
        assert web.requests == []
        fetching.assert_whole(CHANGED_DATA)

    @PUBLISHED
    @pytest.mark.parametrize("size", [0, 1_000, 299_999, 300_001])
    @pytest.mark.parametrize("fresh", [False, True])
    def test_is_not_touched_if_it_has_another(self, fetching: Fetching, web: Web, size: int, fresh: bool) -> None:
        fetching.put((DATA + DATA)[:size], VAL)
        fetching.sentence(fetching.refused(fresh=fresh))
        assert web.requests == []
        fetching.assert_whole((DATA + DATA)[:size])

    @PUBLISHED
    def test_has_no_note_any_more(self, fetching: Fetching) -> None:
        """Left by a kill, it would make a stranger's part ours."""
        fetching.begin(100_000)
        (fetching.folder / f"{VAL}.part").unlink()
        fetching.put(DATA, VAL)
        fetching.get()
        assert fetching.names == [VAL]

    @pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere")])
    def test_may_be_none_and_in_the_way(self, fetching: Fetching, web: Web, make: Callable[[Path], None]) -> None:
        fetching.folder.mkdir()
        for name in (VAL, f"{OTHER}.part"):
            make(fetching.folder / name)
        fetching.sentence(fetching.refused(url(web), url(web, OTHER)), alike=True)
        assert web.requests == []


class TestAPartOfOthers:
    @PUBLISHED
    def test_is_taken_up_where_a_checksum_is_published(self, fetching: Fetching, web: Web) -> None:
        fetching.put(DATA[:123_456])
        assert fetching.get().files == (Fetched(VAL, 300_000, 176_544, RIGHT),)
        assert web.starts == [123_456]
        fetching.assert_whole()

    @PUBLISHED
    def test_is_found_wrong_by_it(self, fetching: Fetching) -> None:
        fetching.put(CHANGED_DATA[:123_456])
        fetching.sentence(fetching.refused())
        assert VAL not in fetching.names

    @PUBLISHED
    @pytest.mark.parametrize(
        "data",
        [b"<html>" + DATA, DATA[:257] + b"other" + DATA[262:], bytes(5_000), b"\x1f\x8b" + DATA, DATA + b"more"],
        ids=["a page", "no tar", "zeros", "gzip", "too long"],
    )
    def test_is_refused_if_it_cannot_be_its_beginning(self, fetching: Fetching, web: Web, data: bytes) -> None:
        fetching.put(data)
        fetching.sentence(fetching.refused())
        assert (web.requests, fetching.part()) == ([], data)

    @pytest.mark.parametrize("note", [None, b"", b"{}", b"[]", b'{"by": "url"}'])
    @pytest.mark.parametrize("fresh", [False, True])
    def test_is_refused_if_nobody_can_check_it(
        self, fetching: Fetching, web: Web, note: bytes | None, fresh: bool
    ) -> None:
        fetching.put(DATA[:1_000])
        if note is not None:
            fetching.put(note, f"{VAL}.part.json")
        fetching.sentence(fetching.refused(fresh=fresh), str(fresh), alike=True)
        assert (web.requests, fetching.part()) == ([], DATA[:1_000])

    @pytest.mark.parametrize("fresh", [False, True])
    def test_is_not_made_ours_by_a_note_on_other_bytes(self, fetching: Fetching, web: Web, fresh: bool) -> None:
        """Somebody took our part away, and put another in its place."""
        fetching.begin(100_000)
        fetching.put(CHANGED_DATA[:200_000])
        fetching.refused(fresh=fresh)
        assert (web.requests, fetching.part()) == ([], CHANGED_DATA[:200_000])

    @PUBLISHED
    def test_is_refused_if_it_came_by_torrent(self, fetching: Fetching, web: Web) -> None:
        fetching.put(bytes(300_000))
        save_origin(fetching.folder / VAL, Origin(TORRENT, 300_000))
        fetching.sentence(fetching.refused())
        assert (web.requests, fetching.part()) == ([], bytes(300_000))

    @PUBLISHED
    def test_is_no_beginning_if_only_its_note_is_there(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(100_000)
        (fetching.folder / f"{VAL}.part").unlink()
        assert fetching.get().received == 300_000
        assert web.starts == [None]
        fetching.assert_whole()


@PUBLISHED
def test_fresh_takes_nothing_away_before_the_server_gives_something(fetching: Fetching, web: Web) -> None:
    fetching.begin(100_000)
    web.next(page(404))
    fetching.refused(fresh=True)
    fetching.assert_partial(DATA[:100_000])
    assert fetching.get().received == 200_000


def put_another(path: Path) -> None:
    path.with_name("theirs").write_bytes(THEIRS)
    path.with_name("theirs").replace(path)


class TestOtherProgramsAtWork:
    @pytest.mark.parametrize("published", [True, False])
    @pytest.mark.parametrize("when", ["in the middle", "at the end"])
    @pytest.mark.parametrize(
        ("disturb", "left"),
        [
            (lambda path: os.truncate(path, 150_000), None),
            (Path.unlink, None),
            (put_another, f"{VAL}.part"),
            (lambda path: path.rename(path.with_name("theirs")), "theirs"),
        ],
        ids=["shorten", "remove", "replace", "move away"],
    )
    def test_are_noticed(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest,
        disturb: Callable[[Path], None], left: str | None, when: str, published: bool,
    ) -> None:  # fmt: skip
        if published:
            request.getfixturevalue("publish")()
        name_part = part.name_part

        def disturb_and(go_on: Callable[..., object]) -> Callable[..., None]:
            def disturbed(*arguments: object) -> None:
                disturb(fetching.folder / f"{VAL}.part")
                go_on(*arguments)

            return disturbed

        with monkeypatch.context() as patched:
            if when == "at the end":
                patched.setattr(part, "name_part", disturb_and(name_part))
            else:
                web.next(Answer(stop=200_000))
                patched.setattr(download, "wait", disturb_and(lambda _: None))
            fetching.sentence(fetching.refused(kind=DisturbedError), alike=True)
        assert VAL not in fetching.names
        assert left is None or (fetching.folder / left).exists()
        if left == f"{VAL}.part":  # and it is not taken for ours afterwards
            fetching.refused()
            assert fetching.part() == THEIRS
        elif f"{VAL}.part" not in fetching.names:  # it begins again
            fetching.get()
            assert (fetching.folder / VAL).read_bytes() == DATA

    def test_another_run_in_the_folder(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        with held(fetching.folder, fetching.folder, alone=True):
            fetching.refused(kind=OtherBuildError)
        assert (web.requests, fetching.names) == ([], [])
        fetching.get()


class TestTheDisk:
    @pytest.fixture
    def free(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
        """Say how many bytes are free."""
        return lambda size: monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**9, free=size))

    def test_too_little_space_is_seen_before_a_byte_is_written(
        self, fetching: Fetching, free: Callable[[int], None]
    ) -> None:
        free(299_999)
        fetching.sentence(fetching.refused(kind=OutputError))
        assert fetching.names == []

    @PUBLISHED
    def test_what_is_there_needs_no_space(self, fetching: Fetching, free: Callable[[int], None]) -> None:
        fetching.begin(200_000)
        free(150_000)
        fetching.get()
        fetching.assert_whole()

    @PUBLISHED
    def test_one_that_fails_ends_it_with_what_is_there(self, fetching: Fetching, web: Web) -> None:
        """And is no reason to ask the server again."""
        fetching.begin(100_000)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))
        try:
            fetching.sentence(fetching.refused(kind=OutputError))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (len(web.requests), fetching.part()) == (1, DATA[:150_000])
        fetching.get()
        fetching.assert_whole()

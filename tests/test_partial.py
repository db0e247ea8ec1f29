"""An unfinished file: what its bookmark says, what a kill leaves, and a checksum that follows the writer."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from imagenet_prep.errors import OtherBuildError, OutputError
from imagenet_prep.verbs.fetch import follower, running_digest
from imagenet_prep.verbs.fetch.follower import Follower
from imagenet_prep.verbs.fetch.partial import Partial
from imagenet_prep.verbs.fetch.unfinished import (
    TORRENT,
    URL,
    Bookmark,
    bookmark_path,
    load_bookmark,
    remove_unfinished,
    save_bookmark,
    unfinished_path,
)

DATA = random.Random(5).randbytes(300_000)
SUMS = {"md5": hashlib.md5(DATA).hexdigest(), "sha1": hashlib.sha1(DATA).hexdigest()}


def whole(data: bytes) -> memoryview:
    return memoryview(bytearray(data))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def wait_until_all_is_taken_in(following: Follower, end: int) -> None:
    following.reach(end)
    while following.wait(1.0) is not None:
        pass


def names_of_threads(start: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(start)]


def write_for_ever(part: Partial) -> NoReturn:
    while True:
        part.write(b"x")


def wait_for_the_checksum(part: Partial) -> str:
    while part.hashing(1.0) is not None:
        pass
    return part.checksum()


class Reluctant:
    """A checksum that takes nothing in before it may."""

    def __init__(self, go_on: threading.Event) -> None:
        self._go_on = go_on

    def update(self, data: memoryview) -> None:
        assert data
        self._go_on.wait()

    def state(self) -> str:
        return ""

    def hexdigest(self) -> str:
        return ""


@pytest.fixture
def no_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a Python that has OpenSSL inside itself: nothing but hashlib."""
    monkeypatch.setattr(running_digest, "_can_keep", lambda _: False)


class TestARunningDigest:
    @pytest.mark.parametrize("algorithm", ["md5", "sha1"])
    @pytest.mark.parametrize("cut", [0, 1, 63, 64, 65, 127, 128, 150_001, 300_000])
    def test_goes_on_from_its_state(self, algorithm: str, cut: int) -> None:
        first = running_digest.running_digest(algorithm)
        assert first
        first.update(whole(DATA[:cut]))
        second = running_digest.running_digest(algorithm, first.state(), cut)
        assert second
        second.update(whole(DATA[cut:]))
        assert second.hexdigest() == SUMS[algorithm]
        assert first.hexdigest() == hashlib.new(algorithm, DATA[:cut]).hexdigest()

    def test_may_be_asked_and_go_on(self) -> None:
        digest = running_digest.running_digest("md5")
        assert digest
        digest.update(whole(DATA[:1_000]))
        assert digest.hexdigest() == hashlib.md5(DATA[:1_000]).hexdigest()
        digest.update(whole(DATA[1_000:]))
        assert digest.hexdigest() == SUMS["md5"]

    @pytest.mark.parametrize("state", ["x", "openssl-little:00", "openssl-middle:" + "00" * 92, "md5:" + "00" * 92])
    def test_knows_a_state_that_is_not_its_own(self, state: str) -> None:
        assert running_digest.running_digest("md5", state) is None

    @pytest.mark.usefixtures("no_openssl")
    def test_has_no_state_without_openssl_and_gives_the_same(self) -> None:
        digest = running_digest.running_digest("md5")
        assert digest
        digest.update(whole(DATA))
        assert (digest.state(), digest.hexdigest()) == ("", SUMS["md5"])
        assert running_digest.running_digest("md5", "openssl-little:" + "00" * 92) is None


class TestAFollower:
    def test_gives_states_that_are_whole_while_it_is_at_work(self, tmp_path: Path) -> None:
        """The digest is in the middle of a chunk nearly all of the time: a state taken then would be of no use."""
        path = tmp_path / "x"
        path.write_bytes(DATA * 200)
        digest = running_digest.running_digest("md5")
        assert digest
        following = Follower(path, digest, 0)
        following.reach(path.stat().st_size)
        states = dict([following.snapshot()])
        while following.wait(0.001) is not None:
            states |= dict([following.snapshot()])
        following.close()
        assert len(states) > 3
        for hashed, state in states.items():
            again = running_digest.running_digest("md5", state, hashed)
            assert again
            assert again.hexdigest() == hashlib.md5((DATA * 200)[:hashed]).hexdigest()

    def test_holds_a_writer_that_runs_away(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """But not for what was there at the beginning."""
        monkeypatch.setattr(follower, "_MOST_BEHIND", 1_000)
        path = tmp_path / "x"
        path.write_bytes(DATA)
        digest = running_digest.running_digest("md5")
        assert digest
        following = Follower(path, digest, 0)
        for end in range(0, 300_001, 10_000):
            following.reach(end)
            assert end - following.snapshot()[0] <= 1_000
        following.close()

    def test_takes_in_nothing_that_it_was_not_told_of(self, tmp_path: Path) -> None:
        """Who writes may not be sure of it yet."""
        path = tmp_path / "x"
        path.write_bytes(DATA)
        digest = running_digest.running_digest("md5")
        assert digest
        following = Follower(path, digest, 0)
        wait_until_all_is_taken_in(following, 100_000)
        assert following.hexdigest() == hashlib.md5(DATA[:100_000]).hexdigest()
        assert (following.snapshot()[0], names_of_threads("checksum of")) == (100_000, ["checksum of x"])
        following.close()
        assert names_of_threads("checksum of") == []

    def test_does_not_hold_it_for_what_was_there_before(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """However long that takes: here, until the test lets go."""
        monkeypatch.setattr(follower, "_MOST_BEHIND", 1_000)
        path, go_on = tmp_path / "x", threading.Event()
        path.write_bytes(DATA)
        following = Follower(path, Reluctant(go_on), 0)
        writer = threading.Thread(target=following.reach, args=(300_000,))
        writer.start()
        writer.join(10)
        held = writer.is_alive()
        go_on.set()
        writer.join()
        following.close()
        assert not held

    def test_says_that_a_file_cannot_be_read_back(self, tmp_path: Path) -> None:
        path = tmp_path / "x"
        path.write_bytes(b"12345")
        digest = running_digest.running_digest("md5")
        assert digest
        following = Follower(path, digest, 0)
        with pytest.raises(OutputError, match=r"x: another program removed, replaced or changed it"):
            wait_until_all_is_taken_in(following, 6)
        following.close()


class TestAPart:
    def test_becomes_the_file(self, tmp_path: Path) -> None:
        final = tmp_path / "x.tar"
        with Partial(final, Bookmark(URL, algorithm="sha1")) as part:
            part.identify(300_000, '"1"', "", "here")
            part.write(DATA)
            assert wait_for_the_checksum(part) == SUMS["sha1"]
            part.publish()
        assert names(tmp_path) == ["x.tar"]
        assert final.read_bytes() == DATA

    @pytest.mark.parametrize("algorithm", ["md5", ""])
    def test_notes_how_far_it_is_when_it_is_left(self, tmp_path: Path, algorithm: str) -> None:
        final = tmp_path / "x.tar"
        with Partial(final, Bookmark(URL, algorithm=algorithm)) as part:
            part.identify(300_000, '"1"', "Wed, 01 Aug 2012 12:00:00 GMT", "here")
            part.write(DATA[:1_000])
            wait_for_the_checksum(part)
        bookmark = load_bookmark(final)
        assert bookmark
        hashed, modified = 1_000 if algorithm else 0, "Wed, 01 Aug 2012 12:00:00 GMT"
        assert bookmark == Bookmark(
            URL, 300_000, '"1"', modified, 1_000, algorithm, hashed, bookmark.state, origin="here"
        )
        with Partial(final, bookmark) as part:
            part.write(DATA[1_000:])
            assert wait_for_the_checksum(part) == (SUMS["md5"] if algorithm else "")

    def test_has_a_note_of_which_file_it_is_before_the_first_byte(self, tmp_path: Path) -> None:
        """A part without a note would be nobody's after a kill."""
        final = tmp_path / "x.tar"
        with Partial(final, Bookmark(URL)) as part:
            part.identify(300_000, '"1"', "", "here")
            assert load_bookmark(final) == Bookmark(URL, 300_000, '"1"', origin="here")

    def test_that_is_begun_anew_has_nothing_of_before(self, tmp_path: Path) -> None:
        """Also where the file on the server is empty, and nothing is ever written."""
        final = tmp_path / "x.tar"
        unfinished_path(final).write_bytes(DATA)
        with Partial(final, Bookmark(URL)) as part:
            assert unfinished_path(final).read_bytes() == DATA
            part.identify(0, "", "", "here")
            part.publish()
        assert (names(tmp_path), final.read_bytes()) == (["x.tar"], b"")

    def test_is_not_noted_any_more_when_it_has_its_name_or_was_left(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The thread that notes would write a bookmark beside a complete file."""
        monkeypatch.setattr("imagenet_prep.verbs.fetch.partial._SECONDS_BETWEEN_NOTES", 0.001)
        with Partial(tmp_path / "x.tar", Bookmark(URL)) as part:
            part.write(DATA)
            assert names_of_threads("notes on") == ["notes on x.tar"]
            part.publish()
            assert names_of_threads("notes on") == []
        with Partial(tmp_path / "y.tar", Bookmark(URL)) as part:
            part.write(DATA)
        assert names_of_threads("notes on") == []

    def test_is_cut_back_to_what_the_note_is_sure_of(self, tmp_path: Path) -> None:
        """Behind it a power cut may have left anything."""
        final = tmp_path / "x.tar"
        unfinished_path(final).write_bytes(DATA[:1_000] + b"garbage")
        with Partial(final, Bookmark(URL, 300_000, received=1_000, algorithm="md5")) as part:
            assert part.received == 1_000
            part.write(DATA[1_000:])
            assert wait_for_the_checksum(part) == SUMS["md5"]
        assert unfinished_path(final).read_bytes() == DATA

    def test_that_became_shorter_is_hashed_again(self, tmp_path: Path) -> None:
        final = tmp_path / "x.tar"
        with Partial(final, Bookmark(URL, algorithm="md5")) as part:
            part.write(DATA[:5_000])
            wait_for_the_checksum(part)
        bookmark = load_bookmark(final)
        assert bookmark
        os.truncate(unfinished_path(final), 2_000)
        with Partial(final, bookmark) as part:
            assert part.received == 2_000
            part.write(DATA[2_000:])
            assert wait_for_the_checksum(part) == SUMS["md5"]

    def test_is_not_read_again_where_there_is_a_state(self, tmp_path: Path) -> None:
        """Seen by changing what was hashed already: nobody notices."""
        final = tmp_path / "x.tar"
        with Partial(final, Bookmark(URL, algorithm="md5")) as part:
            part.write(DATA[:5_000])
            wait_for_the_checksum(part)
        bookmark = load_bookmark(final)
        assert bookmark
        with unfinished_path(final).open("r+b") as file:
            file.write(b"changed")
        with Partial(final, bookmark) as part:
            part.write(DATA[5_000:])
            assert wait_for_the_checksum(part) == SUMS["md5"]

    @pytest.mark.usefixtures("no_openssl")
    def test_is_read_again_where_there_is_none(self, tmp_path: Path) -> None:
        final = tmp_path / "x.tar"
        with Partial(final, Bookmark(URL, algorithm="md5")) as part:
            part.write(DATA[:5_000])
            wait_for_the_checksum(part)
        bookmark = load_bookmark(final)
        assert bookmark
        assert (bookmark.received, bookmark.hashed, bookmark.state) == (5_000, 0, "")
        with Partial(final, bookmark) as part:
            part.write(DATA[5_000:])
            assert wait_for_the_checksum(part) == SUMS["md5"]

    def test_without_a_byte_leaves_nothing(self, tmp_path: Path) -> None:
        with Partial(tmp_path / "x.tar", Bookmark(URL, algorithm="md5")):
            pass
        assert names(tmp_path) == []

    def test_of_another_run_is_left_alone(self, tmp_path: Path) -> None:
        """Also where the folder could not be locked, and before the first byte."""
        final = tmp_path / "x.tar"
        with Partial(final, Bookmark(URL)) as part:
            with pytest.raises(OtherBuildError, match="Another run is at work"), Partial(final, Bookmark(URL)):
                pass
            assert names(tmp_path) == ["x.tar.part"]
            part.write(DATA)
            with pytest.raises(OtherBuildError), Partial(final, Bookmark(URL)):
                pass
            part.publish()
        assert final.read_bytes() == DATA

    def test_never_replaces_a_file(self, tmp_path: Path) -> None:
        final = tmp_path / "x.tar"
        with Partial(final, Bookmark(URL)) as part:
            part.write(DATA)
            final.write_bytes(b"mine")
            with pytest.raises(OutputError, match="has come from elsewhere"):
                part.publish()
        assert final.read_bytes() == b"mine"
        assert unfinished_path(final).read_bytes() == DATA

    def test_tells_at_the_next_write_that_notes_cannot_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        final = tmp_path / "x.tar"
        monkeypatch.setattr("imagenet_prep.verbs.fetch.partial._SECONDS_BETWEEN_NOTES", 0.001)
        bookmark_path(final).mkdir()
        with (
            pytest.raises(OutputError, match=r"Cannot write .*x\.tar\.part\.json"),
            Partial(final, Bookmark(URL)) as part,
        ):
            write_for_ever(part)


class TestANote:
    @pytest.mark.parametrize("by", [URL, TORRENT])
    def test_comes_back_as_it_was(self, tmp_path: Path, by: str) -> None:
        final = tmp_path / "x.tar"
        unfinished_path(final).touch()
        bookmark = Bookmark(by, 5, '"e"', "m", 3, "md5", 2, "openssl-little:00")
        save_bookmark(final, bookmark)
        assert load_bookmark(final) == bookmark

    def test_that_is_damaged_is_none(self, tmp_path: Path) -> None:
        final = tmp_path / "x.tar"
        unfinished_path(final).touch()
        save_bookmark(final, Bookmark(URL, 5, received=3))
        sound = bookmark_path(final).read_bytes()
        for place in range(len(sound)):
            bookmark_path(final).write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
            assert load_bookmark(final) is None
        bookmark_path(final).write_bytes(sound)
        assert load_bookmark(final)

    def test_without_a_part_is_none(self, tmp_path: Path) -> None:
        save_bookmark(tmp_path / "x.tar", Bookmark(URL))
        assert load_bookmark(tmp_path / "x.tar") is None

    def test_goes_with_its_part(self, tmp_path: Path) -> None:
        final = tmp_path / "x.tar"
        unfinished_path(final).touch()
        save_bookmark(final, Bookmark(URL))
        remove_unfinished(final)
        remove_unfinished(final)
        assert names(tmp_path) == []

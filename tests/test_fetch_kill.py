"""Fetches that are killed at random moments go on: no byte is asked for twice that was noted, and in the end all bytes
are those of the server.

The commands are real ones, and a real server counts. Only the archives are miniatures, and notes are made more often
than anybody would, so that more kills fall into the making of one.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from fetch_url.asking import tar_like
from imagenet_prep.verbs.fetch.follower import Follower
from imagenet_prep.verbs.fetch.running_digest import running_digest
from imagenet_prep.verbs.fetch.unfinished import Bookmark, load_bookmark, unfinished_path
from web import GOOD, STALL, Answer, Request, Web, serving

VAL, TRAIN, OTHER = "ILSVRC2012_img_val.tar", "ILSVRC2012_img_train.tar", "other.tar"
FILES = {name: tar_like(name, size) for name, size in ((VAL, 40 << 20), (TRAIN, 20 << 20), (OTHER, 9**8))}
STATE_CAN_BE_KEPT = bool(getattr(running_digest("md5"), "state", str)())
GOES_ON = "Interrupted. The same command again goes on where this one stopped."
MINIATURES = """
import sys
from dataclasses import replace
from imagenet_prep.imagenet import archives as facts
from imagenet_prep.verbs.fetch import partial
partial._SECONDS_BETWEEN_NOTES, partial._SHARE_OF_NOTES = 0.03, 1
for role, size, md5, sha1 in {published!r}:
    facts.OFFICIAL_BY_ROLE[role] = replace(facts.OFFICIAL_BY_ROLE[role], size=size, md5=md5, sha1=sha1)
from imagenet_prep.__main__ import main
main()
"""
PUBLISHED = (
    ("validation", len(FILES[VAL]), hashlib.md5(FILES[VAL]).hexdigest(), None),
    ("train", len(FILES[TRAIN]), None, hashlib.sha1(FILES[TRAIN]).hexdigest()),
)


@dataclass
class Command:
    """``fetch`` into one folder, from a server, again and again; ``resumed`` are the ranges that were asked for."""

    folder: Path
    web: Web
    resumed: list[int] = field(default_factory=list)
    bookmarks: list[Bookmark] = field(default_factory=list)

    def start(self, *names: str) -> subprocess.Popen[str]:
        urls = [self.web.url(name) for name in names or FILES]
        return subprocess.Popen(
            [sys.executable, "-c", MINIATURES.format(published=PUBLISHED), "fetch", str(self.folder), "--url", *urls],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "no_proxy": "*"},
        )

    def run(self, kill: int = 0, delay: float = 0.0, *, after_request: bool = True) -> int:
        """Run the command once, and end it with the signal ``kill``, if it did not end before; give its code."""
        noted = {name: self.noted(name) for name in FILES}
        done = {name for name in FILES if (self.folder / name).exists()}
        asked = len(self.web.requests)
        command = self.start()
        if kill:
            if after_request:
                self.web.await_request(asked + 1, 20.0)
            try:
                command.wait(delay)
            except subprocess.TimeoutExpired:
                command.send_signal(kill)
        said = command.communicate(timeout=60)[1]
        self._assert_ended(command.returncode, said, kill)
        self._assert_frugal(self.web.requests[asked:], noted, done)
        self._assert_notes_are_true()
        return command.returncode

    def noted(self, name: str) -> int:
        bookmark = load_bookmark(self.folder / name)
        return bookmark.received if bookmark else 0

    @staticmethod
    def _assert_ended(code: int, said: str, kill: int) -> None:
        assert "Traceback" not in said, said
        assert code in {signal.SIGKILL: (-9, 0), 0: (0,)}.get(kill, (130, 0)), said
        if code == 130:
            assert said.splitlines()[-1] == GOES_ON

    def _assert_frugal(self, requests: list[Request], noted: dict[str, int], done: set[str]) -> None:
        """Nobody broke off, so each file was asked for once, from where the bookmark said."""
        assert len({request.path for request in requests}) == len(requests)
        for request in requests:
            assert request.path not in done
            assert (request.start or 0) == noted[request.path]
            self.resumed += [request.start] if request.start else []

    def _assert_notes_are_true(self) -> None:
        for name, data in FILES.items():
            final = self.folder / name
            if final.exists():
                assert final.read_bytes() == data
            elif (bookmark := load_bookmark(final)) is not None:
                there = unfinished_path(final).read_bytes()
                assert bookmark.hashed <= bookmark.received <= len(there)
                assert there == data[: len(there)]
                self.bookmarks.append(bookmark)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    with serving(FILES, otherwise=Answer(rate=10_000_000)) as web:
        yield Command(tmp_path / "archives", web)


def test_fifty_kills_at_random_moments_cost_nothing_that_was_noted(command: Command) -> None:
    chance = random.Random(6)
    for number in range(50):
        kill = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM))
        early = kill == signal.SIGKILL and number % 5 == 0
        delay = chance.uniform(0, 0.6)
        if command.run(kill, delay, after_request=not early) == 0:
            _assert_done(command)
            for name in FILES:
                (command.folder / name).unlink()
    command.web.otherwise = GOOD
    assert command.run() == 0
    _assert_done(command)
    assert len(command.resumed) > 15
    assert len(set(command.resumed)) > 10
    if STATE_CAN_BE_KEPT:
        far = [bookmark for bookmark in command.bookmarks if bookmark.algorithm and bookmark.received > 4 << 20]
        assert far
        assert all(bookmark.hashed > 0 and bookmark.state for bookmark in far)


@pytest.mark.parametrize("name", [VAL, OTHER])
@pytest.mark.parametrize("stop", [-1, 0, 1, 5_000])
def test_a_kill_while_the_server_takes_its_time_is_in_nobodys_way(command: Command, name: str, stop: int) -> None:
    command.web.next(Answer(stop=stop, end=STALL))
    command.web.otherwise = GOOD
    killed = command.start(name)
    assert command.web.await_request(1, 20.0)
    killed.kill()
    killed.communicate(timeout=10)
    again = command.start(name)
    said = again.communicate(timeout=30)[1]
    assert again.returncode == 0, said
    assert (command.folder / name).read_bytes() == FILES[name]
    assert [path.name for path in command.folder.iterdir()] == [name]


@pytest.mark.skipif(not STATE_CAN_BE_KEPT, reason="this Python's OpenSSL does not give its state away")
def test_a_state_that_is_noted_in_full_run_is_that_of_as_many_bytes_as_it_says(tmp_path: Path) -> None:
    data = random.Random(7).randbytes(64 << 20)
    (tmp_path / "file").write_bytes(data)
    digest, states = running_digest("md5"), {}
    assert digest
    follower = Follower(tmp_path / "file", digest, 0)
    follower.reach(len(data))
    while follower.wait(0) is not None:
        hashed, state = follower.snapshot()
        states[hashed] = state
    follower.close()
    assert len(states) > 1
    straight = hashlib.md5()
    for before, hashed in pairwise([0, *sorted(states)]):
        straight.update(data[before:hashed])
        taken_up = running_digest("md5", states[hashed])
        assert taken_up
        assert (hashed, taken_up.hexdigest()) == (hashed, straight.hexdigest())


def _assert_done(command: Command) -> None:
    assert sorted(path.name for path in command.folder.iterdir()) == sorted(FILES)
    assert {name: (command.folder / name).read_bytes() == data for name, data in FILES.items()} == dict.fromkeys(
        FILES, True
    )

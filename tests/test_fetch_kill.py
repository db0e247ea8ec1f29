"""Fetches that are killed at random moments go on: no byte is asked for twice that is on the disk, and in the end all
bytes are those of the server. The commands are real ones, and a real server counts; only the archives are miniatures.
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
from pathlib import Path

import pytest

from fetch_url.asking import tar_like
from imagenet_prep.verbs.fetch.part import load_origin, part_path
from web import GOOD, STALL, Answer, Web, serving

VAL, TRAIN, OTHER = "ILSVRC2012_img_val.tar", "ILSVRC2012_img_train.tar", "other.tar"
FILES = {name: tar_like(name, size) for name, size in ((VAL, 8 << 20), (TRAIN, 4 << 20), (OTHER, 9**7))}
GOES_ON = "The same command again goes on where this one stopped."
MINIATURES = """
from dataclasses import replace
from imagenet_prep.imagenet import archives as facts
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

    def start(self, *names: str) -> subprocess.Popen[str]:
        urls = [self.web.url(name) for name in names or FILES]
        return subprocess.Popen(
            [sys.executable, "-c", MINIATURES.format(published=PUBLISHED), "fetch", str(self.folder), "--url", *urls],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "no_proxy": "*"},
        )

    def run(self, kill: int = 0, delay: float = 0.0) -> int:
        """Run the command once, and end it with the signal ``kill``, if it did not end before; give its code."""
        here = {name: self.here(name) for name in FILES}
        asked = len(self.web.requests)
        command = self.start()
        if kill:
            self.web.await_request(asked + 1, 20.0)
            try:
                command.wait(delay)
            except subprocess.TimeoutExpired:
                command.send_signal(kill)
        said = command.communicate(timeout=60)[1]
        assert "Traceback" not in said, said
        assert command.returncode in {signal.SIGKILL: (-9, 0), 0: (0,)}.get(kill, (130, 0)), said
        assert command.returncode != 130 or said.splitlines()[-1] == GOES_ON
        for request in self.web.requests[asked:]:
            assert (request.start or 0) == here[request.path]
            self.resumed += [request.start] if request.start else []
        for name, data in FILES.items():
            final = self.folder / name
            there = final.read_bytes() if final.exists() else data[: self.here(name)]
            assert there == data if final.exists() else self.part(name) == there
        return command.returncode

    def part(self, name: str) -> bytes:
        part = part_path(self.folder / name)
        return part.read_bytes() if part.exists() else b""

    def here(self, name: str) -> int:
        assert not self.part(name) or load_origin(self.folder / name)
        return len(self.part(name))


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    with serving(FILES, otherwise=Answer(rate=10_000_000)) as web:
        yield Command(tmp_path / "archives", web)


def test_twenty_kills_at_random_moments_cost_nothing_that_is_on_the_disk(command: Command) -> None:
    chance = random.Random(6)
    for _ in range(20):
        kill = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM))
        if command.run(kill, chance.uniform(0, 0.3)) == 0:
            for name in FILES:
                (command.folder / name).unlink()
    command.web.otherwise = GOOD
    assert command.run() == 0
    assert sorted(path.name for path in command.folder.iterdir()) == sorted(FILES)
    assert len(set(command.resumed)) > 5


@pytest.mark.parametrize("name", [VAL, OTHER])
@pytest.mark.parametrize("stop", [-1, 0, 1, 5_000])
def test_a_kill_while_the_server_takes_its_time_is_in_nobodys_way(command: Command, name: str, stop: int) -> None:
    command.web.next(Answer(stop=stop, end=STALL))
    command.web.otherwise = GOOD
    killed = command.start(name)
    assert command.web.await_request(1, 20.0)
    killed.kill()
    killed.communicate(timeout=10)
    assert "Traceback" not in command.start(name).communicate(timeout=30)[1]
    assert (command.folder / name).read_bytes() == FILES[name]
    assert [path.name for path in command.folder.iterdir()] == [name]

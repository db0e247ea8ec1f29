"""What shards are called: a row of numbers, of which none may be missing, and a split."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from imagenet_prep.errors import Problem, printable
from imagenet_prep.imagenet.archives import HELD_OUT, TRAIN
from imagenet_prep.sources.base import TEST_FOLDERS

_NUMBERED = re.compile(
    r"(?P<before>.*?)(?<!\d)(?P<number>\d{1,6})(?P<after>(?:-of-\d{1,6})?(?:\.tar|\.tfrecords?)?)", re.ASCII | re.DOTALL
)
_COUNT = re.compile(r"-of-(\d+)", re.ASCII)
_TEST = re.compile(rf"(?:^|[-_.])(?:{'|'.join(TEST_FOLDERS)})(?![a-z])", re.IGNORECASE)


def role_of_shard(name: str, role: str) -> str:
    """Give the role of a shard by its first image: one of train in a shard called test was held out by somebody."""
    return HELD_OUT if role == TRAIN and _TEST.search(name) else role


def missing_shards(folder: Path, names: Iterable[str]) -> Iterator[Problem]:
    """Name the shards that are missing in a row of numbers that begins with 0."""
    rows: dict[tuple[str, str], list[str]] = {}
    for match in filter(None, map(_NUMBERED.fullmatch, names)):
        rows.setdefault((match["before"], match["after"]), []).append(match["number"])
    for (before, after), there in rows.items():
        count = _COUNT.match(after)
        last = int(count[1]) if count else int(max(there, key=int)) + 1
        for number in sorted(set(range(last)) - set(map(int, there))):
            name = f"{before}{number:0{len(there[0])}}{after}"
            yield Problem(printable(str(folder)), "is missing, or is not a shard", printable(name))

"""What sources share whose images lie in shards that somebody made of ImageNet: the files of one split in one folder,
in a row of numbers of which none may be missing.

Where the images themselves are there, too, these are used: a shard may have converted some.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import ClassVar

from imagenet_prep.errors import Problem, printable
from imagenet_prep.imagenet.archives import HELD_OUT, TRAIN, VALIDATION
from imagenet_prep.sources.base import TEST_FOLDERS, Input, Part, Pieces, Seen, Source, Walk
from imagenet_prep.sources.downloads import interrupted
from imagenet_prep.sources.found import Found
from imagenet_prep.sources.labels import ClassOf, classes_by_name, role_of

_NUMBERED = re.compile(
    r"(?P<before>.*?)(?<!\d)(?P<number>\d{1,6})(?P<after>(?:-of-\d{1,6})?(?:\.tar|\.tfrecords?|\.parquet)?)",
    re.ASCII | re.DOTALL,
)
_COUNT = re.compile(r"-of-(\d+)", re.ASCII)
_TEST = re.compile(rf"(?:^|[-_.])(?:{'|'.join(TEST_FOLDERS)})(?![a-z])", re.IGNORECASE)


class Shards(Source):
    """A source whose parts are shards. A kind of it says whose first image a file has, and walks one."""

    gives_way: ClassVar[bool] = True

    @abstractmethod
    def first_image(self, seen: Seen, path: Path) -> str:
        """Give the name in ImageNet of the first image in a file that was found; "" if it is no shard of this kind."""

    @abstractmethod
    def walk_shard(self, path: Path, class_of: ClassOf, found: Found) -> None:
        """Note the images of a shard. Raises SourceError if it cannot be read."""

    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield the shards of a folder, for each split."""
        roles = {path: role for path in seen.files if (role := role_of_shard(path.name, self.first_image(seen, path)))}
        for folder, there in groupby(sorted(roles), lambda path: path.parent):
            paths = list(there)
            seen.problems.extend(missing_shards(folder, [path.name for path in paths]))
            halves = ((path, why) for path in paths if (why := interrupted(path)))
            seen.problems.extend(Problem(printable(str(path)), why) for path, why in halves)
            for role in dict.fromkeys(roles[path] for path in paths):
                parts = tuple(Part(path.name, None) for path in paths if roles[path] == role)
                yield Input(role, folder, parts=parts, source=self)

    def pieces(self, found: Input) -> Pieces:
        """Give the shards."""
        return Pieces(found.parts)

    def walk(self, work: Walk) -> list[Found]:
        """Walk shards."""
        return [self._walk(work, part.name) for part in work.pieces]

    def _walk(self, work: Walk, shard: str) -> Found:
        found = Found(work.archive, shard)
        self.walk_shard(Path(work.path, shard), classes_by_name(work.role, work.truth), found)
        found.ignored = 0  # folders inside a tar
        if not found.lengths and not found.problems:
            found.problems.append(Problem(printable(shard), "has no images"))
        return found


def role_of_shard(shard: str, image: str) -> str:
    """Give the role of a shard by its first image: one of train in a shard called test was held out by somebody."""
    role = role_of(image)
    if role == TRAIN and _TEST.search(shard):
        return HELD_OUT
    return role if role in (TRAIN, VALIDATION) else ""


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

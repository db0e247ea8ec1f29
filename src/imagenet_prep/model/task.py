"""One shard's work as plain data, and the receipt that proves it was done.

Both are small, picklable and free of Arrow, so that the same task can run in this process, in another one or
on another machine.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

from imagenet_prep.errors import Problem, printable
from imagenet_prep.model.shards import ShardName


@dataclass(frozen=True, slots=True)
class Entries:
    """The entries of one shard in writing order, column by column; the columns are those of the catalog.

    ``archives`` are positions in ``ShardTask.archives``; ``offsets`` and ``sizes`` are bytes; ``boxes`` holds
    four floats a box; ``paths`` are those in a tree of class folders, none if there is no such tree.
    """

    names: list[str]
    class_indexes: array[int]
    archives: array[int]
    containers: list[str]
    offsets: array[int]
    sizes: array[int]
    boxes: list[array[float] | None]
    paths: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def in_tar(self, row: int) -> bool:
        """Whether the entry lies inside a tar, where a header is always in front of it, or is a file of its own."""
        return self.offsets[row] > 0

    def file(self, row: int) -> str:
        """Give the path, below an archive that is a folder, of the file that the entry lies in."""
        return self.containers[row] if self.in_tar(row) else self.member(row)

    def place(self, row: int, archives: Sequence[str]) -> str:
        """Give the path of an entry that is a file of its own; ``archives`` are the paths of the archives."""
        return f"{archives[self.archives[row]]}/{self.member(row)}"

    def problem(self, row: int, archives: Sequence[str], reason: str) -> Problem:
        """Name what is wrong with an entry. Of one inside an archive file it says where in the file."""
        archive = archives[self.archives[row]]
        name = archive.rpartition("/")[2] if self.in_tar(row) else archive
        return Problem(printable(name), reason, printable(self.member(row)), self.offsets[row] or None)

    def at(self, row: int) -> Entries:
        """Give one entry alone."""
        one = slice(row, row + 1)
        return Entries(**{field.name: getattr(self, field.name)[one] for field in fields(self)})

    def member(self, row: int) -> str:
        """Name the entry for a message: the path inside its archive."""
        container = self.containers[row]
        return f"{container}/{self.names[row]}" if container else self.names[row]


FAIL, SET_ASIDE = ON_BAD = ("fail", "set-aside")  # what becomes of an image that cannot be used
UNREAD, HEADER, DECODE = CHECKS = ("none", "header", "decode")  # how closely every image is looked at, ascending


@dataclass(frozen=True, slots=True)
class ShardTask:
    """Everything a worker needs to write one shard in every format. ``out`` and ``archives`` are paths; ``transfer`` is
    one of the recipe's, ``on_bad`` one of ON_BAD, ``check`` one of CHECKS. ``modified`` has the modification times that
    the archives must have, in nanoseconds, 0 for any; none at all if they may change.
    """

    plan: str
    shard: ShardName
    out: str
    formats: tuple[str, ...]
    archives: tuple[str, ...]
    entries: Entries
    transfer: str = "copy"
    on_bad: str = FAIL
    check: str = HEADER
    modified: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FileFact:
    """A finished file: path below the output folder with forward slashes, size in bytes, xxh3_128 digest in
    hex.
    """

    path: str
    size: int
    digest: str


class SetAside(NamedTuple):
    """An image that is not in its shard: its place among the shard's entries, why, and its name, size in bytes and
    xxh3_128 in hex.
    """

    place: int
    reason: str
    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The proof that one shard is finished in every format, with all of its entries: ``rows`` images were written,
    those of ``set_aside`` were not. ``check`` says how closely they were looked at.

    ``columns`` has one value per written image in writing order: ``digest`` is the xxh3_128 of the source's bytes (16
    bytes each), ``width`` and ``height`` are pixels, ``components`` counts colour components, ``kind`` and
    ``orientation`` are those of ``images``, ``repaired`` is 0 or 1, and ``<format>.length`` is the length of
    the image's record in bytes, framing included. A shard of linked or moved files has no columns: none of its images
    was read.
    """

    plan: str
    shard: ShardName
    rows: int
    files: Mapping[str, tuple[FileFact, ...]]
    columns: Mapping[str, array[int] | bytes]
    check: str = HEADER
    set_aside: tuple[SetAside, ...] = ()

    def without_columns(self) -> Receipt:
        """The same receipt without what it says of single images."""
        return replace(self, columns={})


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """What came of one task. The shard was published, unless ``bad`` lists images that cannot be used, or ``failure``
    says what else stood in the way.
    """

    shard: ShardName
    images: int
    bytes_read: int
    bytes_written: int
    bad: tuple[Problem, ...] = ()
    failure: tuple[Problem, ...] = ()

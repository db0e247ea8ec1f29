"""The work of one worker as plain data: a run of entries, and the shards of each output that are made from it.

Small, picklable and free of Arrow, so that the same task can run in this process, in another one or on another
machine. Several outputs share one read of the source.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from imagenet_prep.errors import Problem, printable
from imagenet_prep.imagenet.names import file_of, folder_of
from imagenet_prep.model.receipt import HEADER, SetAside
from imagenet_prep.model.shards import ShardName

if TYPE_CHECKING:
    from imagenet_prep.outputs.base import Output
    from imagenet_prep.stores.base import Store

Check = Literal["header", "decode"]  # how closely every image is examined
OnBad = Literal["fail", "set-aside"]  # what becomes of an image that cannot be used
FAIL, SET_ASIDE = ON_BAD = get_args(OnBad)


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries in writing order, column by column; the columns are those of the catalog.

    ``archives`` are positions in ``ShardTask.archives``; ``offsets`` and ``sizes`` are bytes; ``boxes`` holds
    four floats a box. ``files`` are the archives that are files, and not folders.
    """

    names: list[str]
    class_indexes: array[int]
    archives: array[int]
    containers: list[str]
    offsets: array[int]
    sizes: array[int]
    boxes: list[array[float] | None]
    files: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.names)

    def in_tar(self, row: int) -> bool:
        """Whether the entry lies inside an archive, or a tar in a folder, where a header always precedes it; or else is
        a file of its own.
        """
        return self.offsets[row] > 0 or self.archives[row] in self.files

    def file(self, row: int) -> str:
        """Give the path, below an archive that is a folder, of the file that the entry lies in."""
        return folder_of(self.containers[row]) if self.in_tar(row) else self.member(row)

    def place(self, row: int, archives: Sequence[str]) -> str:
        """Give the path of an entry that is a file of its own; ``archives`` are the paths of the archives."""
        return f"{archives[self.archives[row]]}/{self.member(row)}"

    def problem(self, row: int, archives: Sequence[str], reason: str) -> Problem:
        """Name what is wrong with an entry, and for one inside an archive file where in the file it lies."""
        archive = archives[self.archives[row]]
        name = archive.rpartition("/")[2] if self.in_tar(row) else archive
        return Problem(printable(name), reason, printable(self.member(row)), self.offsets[row] or None)

    def at(self, row: int) -> Entries:
        """Give one entry."""
        one = slice(row, row + 1)
        columns = {field.name: getattr(self, field.name)[one] for field in fields(self) if field.name != "files"}
        return Entries(**columns, files=self.files)

    def member(self, row: int) -> str:
        """Name the entry for a message: the path inside its archive."""
        return file_of(self.containers[row], self.names[row])


class Part(NamedTuple):
    """One shard of one output, made from the entries ``start`` up to ``stop`` of a task. ``identity`` is that of the
    output in its plan.
    """

    output: Output
    identity: str
    shard: ShardName
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class ShardTask:
    """Everything a worker needs. ``archives`` are paths as messages say them, ``places`` those where they are read,
    which are others if they are packed; ``class_names`` has the name of each of the 1,000 classes, and
    is empty for the built-in ones; ``on_bad`` is one of ON_BAD, ``check`` one of CHECKS. ``modified`` has the
    modification times that the archives must have, in nanoseconds, 0 for any; it is empty if they may change.
    ``left_out`` has, by name, images that earlier outputs of the data set have set aside. ``digests`` are the xxh3_128
    that entries must have, in hex, "" for any; none at all if they may have any.
    """

    store: Store
    parts: tuple[Part, ...]
    archives: tuple[str, ...]
    places: tuple[str, ...]
    entries: Entries
    class_names: tuple[str, ...] = ()
    on_bad: str = FAIL
    check: str = HEADER
    modified: tuple[int, ...] = ()
    left_out: Mapping[str, SetAside] = field(default_factory=dict)
    digests: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name the work for a message: its first shard."""
        return str(self.parts[0].shard)


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """What came of one task: ``images`` that it was about, bytes that were read and written, and files that were linked
    instead. Every shard was published, unless ``bad`` lists images that cannot be used, or ``failure`` says what else
    prevented it.
    """

    images: int
    bytes_read: int = 0
    bytes_written: int = 0
    linked: int = 0
    bad: tuple[Problem, ...] = ()
    failure: tuple[Problem, ...] = ()

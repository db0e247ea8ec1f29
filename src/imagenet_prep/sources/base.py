"""What a source is: one kind of place in which people have images. A source finds itself in what the user named, says
in which pieces it can be walked, and walks them: by names and headers, nothing is decoded.

The bytes of an image are contiguous, in a file that is the source itself, lies below it, or is its plain form:
``reader`` reads all kinds in the same way. The rest of the program asks a source, and never for its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

from imagenet_prep.errors import Problem, counted
from imagenet_prep.imagenet.archives import HELD_OUT, TRAIN
from imagenet_prep.sources.contents import Contents, contents_at, role_of_archive
from imagenet_prep.sources.found import Found
from imagenet_prep.sources.labels import ARCHIVE_NAMES

# Every kind of source, in the order in which they are asked. A module is loaded when a source is searched for.
SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "train-archive": "imagenet_prep.sources.official.TrainArchive",
        "validation-archive": "imagenet_prep.sources.official.ValidationArchive",
        "image-tar": "imagenet_prep.sources.image_tar.ImageTar",
        "image-zip": "imagenet_prep.sources.image_zip.ImageZip",
        "parquet-shards": "imagenet_prep.sources.parquet.ParquetShards",
        "webdataset-shards": "imagenet_prep.sources.webdataset.WebDatasetShards",
        "tfrecord-shards": "imagenet_prep.sources.tfrecord.TFRecordShards",
        "class-zips": "imagenet_prep.sources.image_zip.ClassZips",
        "class-tars": "imagenet_prep.sources.official.ClassTarFolder",
        "class-folders": "imagenet_prep.sources.class_folders.ClassFolders",
    }
)

LARGEST_ANNOTATION = 1 << 20  # bytes; the real ones have under 10 kB
TEST_FOLDERS = ("test", "held-out", "held_out", "holdout", "hold-out")  # where people put what they hold out of train


class Part(NamedTuple):
    """A folder inside a set, or a class tar: its name ("" for the set's own folder), and the class indexes it may hold
    (None: any).
    """

    name: str
    classes: tuple[int, ...] | None

    @property
    def container(self) -> str:
        """What the catalog calls it."""
        return self.name


class ImageSet(NamedTuple):
    """A folder that holds all images, class tars or annotations of one role, in parts sorted by name."""

    role: str
    path: Path
    parts: tuple[Part, ...]
    tars: bool = False
    example: str = ""  # one of the files that lie in the folder itself


@dataclass
class Seen:
    """What a search saw: sets, other files, and what is wrong. ``files`` are in no set; ``unnamed`` are folders
    named after classes in which no file has a name of ImageNet's; ``builds`` and ``unfinished`` downloads were ignored.
    ``unused`` says why a source does not use a file that is of its kind.
    """

    sets: list[ImageSet] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unnamed: list[Path] = field(default_factory=list)
    builds: list[Path] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    unused: dict[Path, str] = field(default_factory=dict)
    _contents: dict[Path, Contents] = field(default_factory=dict, compare=False)

    def contents(self, path: Path) -> Contents:
        """Give what is inside one of the files; each is looked into once."""
        if path not in self._contents:
            self._contents[path] = contents_at(path)
        return self._contents[path]

    def archives(self, role: str) -> Iterator[Path]:
        """Yield the files that are official archives of a role, by what is inside or by their names."""
        return (path for path in self.files if role_of_archive(path, self.contents(path)) == role)


@dataclass(frozen=True, slots=True)
class Input:
    """A file or folder that is used: ``role`` says for what, ``source`` which kind of source it is, None for lists of
    classes and for annotations that lie apart. ``size`` is in bytes, ``modified`` in nanoseconds; both are 0 for a
    folder, which has ``parts``. One that is ``packed`` can only be read in order, or from ``plain``, where it was
    unpacked to. A file may stand for a set, of which the others lie ``beside`` it; size and time are those of the set.
    """

    role: str
    path: Path
    size: int = 0
    modified: int = 0
    parts: tuple[Part, ...] = ()
    example: str = ""  # one of the files that lie in the folder itself
    source: Source | None = None
    packed: str = ""
    plain: str = ""
    beside: tuple[Path, ...] = ()

    @property
    def folder(self) -> bool:
        """Whether it is a folder."""
        return bool(self.parts)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files or folders that it consists of."""
        return tuple(self.path / part.name for part in self.parts) or (self.path, *self.beside)

    @property
    def origin(self) -> str:
        """The split its images come from; held-out images come from train."""
        return TRAIN if self.role == HELD_OUT else self.role


class Piece(Protocol):
    """One container of images: a class tar, a class folder, or "" for a flat place."""

    @property
    def container(self) -> str:
        """Its path inside the input."""


class Pieces(NamedTuple):
    """What an input consists of, in the order of the catalog, and what lay between, which has no images."""

    pieces: Sequence[Piece]
    outside: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Walk:
    """Some pieces of one input for one worker: small and picklable. ``archive`` is the place of the input among all,
    ``path`` where it is, ``plain`` where it lies unpacked; ``truth`` has the class index of validation image i + 1 at
    i, nothing for train.
    """

    source: Source
    archive: int
    path: str
    role: str
    pieces: tuple[Any, ...]
    truth: array[int]
    plain: str = ""


class Annotation(NamedTuple):
    """The boxes of an image as XML, of which no more than LARGEST_ANNOTATION bytes are read: its path in an archive,
    and where it lies.
    """

    path: str
    offset: int
    data: bytes


class Source(ABC):
    """One kind of source. Has no state: a new kind is one module, a row in SOURCES, and a test class that inherits
    ``imagenet_prep.testing.contracts.SourceContract``.
    """

    gives_way: ClassVar[bool] = False  # whether any other source of the same split is used in its place
    joins_folders: ClassVar[bool] = False  # whether it has joined all folders of a tree that have different images
    may_be_split: ClassVar[bool] = False  # whether people move images from it into a folder called test

    def claims(self, name: str) -> bool:  # noqa: ARG002
        """Whether a file of this name, which is nothing else that is known, belongs to ``Seen.files``. A source claims
        every file that it reads.
        """
        return False

    @abstractmethod
    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield what is of this kind, known by names and first bytes alone. What is wrong with it is added to
        ``seen.problems``.
        """

    def annotations(self, found: Input) -> Iterator[Annotation]:  # noqa: ARG002
        """Yield the annotations in an input that was found for its boxes, beside one for its images: whoever finds no
        such input has none. Raises SourceError.
        """
        return iter(())

    @abstractmethod
    def form(self, found: Input) -> str:
        """Say in a few words what it is."""

    @abstractmethod
    def pieces(self, found: Input) -> Pieces:
        """Give the pieces that can be walked in parallel. Raises SourceError if it cannot be opened."""

    @abstractmethod
    def walk(self, work: Walk) -> list[Found]:
        """Walk some pieces; one ``Found`` for each, in their order, with what is wrong there. Runs in a worker. Raises
        SourceError if the input cannot be opened or read.

        Offsets are those in the input, if it is a file. If it is a folder, an image at offset 0 is the file
        CONTAINER/NAME in it, and one at any other offset lies in the file CONTAINER.
        """


def form_of_folders(parts: Sequence[Part]) -> str:
    """Say in a few words what a folder of folders is, or a flat one."""
    folders = [part for part in parts if part.name]
    if not folders:
        return "flat folder"
    return counted(len(folders), "class folder") + (", and files beside them" if len(folders) < len(parts) else "")


@cache
def all_sources() -> tuple[Source, ...]:
    """Give one of each kind."""
    return tuple(_made(place) for place in SOURCES.values())


def is_claimed(name: str) -> bool:
    """Whether the program knows a file of this name that is not an image: it belongs to ``Seen.files``."""
    return name in ARCHIVE_NAMES or any(source.claims(name) for source in all_sources())


def _made(place: str) -> Source:
    module, _, name = place.rpartition(".")
    made: Source = getattr(import_module(module), name)()
    return made

"""What a format is: both directions, from samples into a shard and back.

A format writes its shards alone; the documents its readers want beside the shards (indexes of the whole,
class names) are made once at the end, from the receipts.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from imagenet_prep.imagenet.classes import Taxonomy
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.model.task import FileFact
from imagenet_prep.outputs.class_folders import ClassFolders

Buffer = bytes | memoryview


class Written(NamedTuple):
    """What a writer made of one shard: its files, and the length in bytes of each image's record, in order."""

    files: tuple[FileFact, ...]
    lengths: array[int]

    @property
    def size(self) -> int:
        """Bytes of all that was written; without files of the shard's own, every image is one."""
        return sum(file.size for file in self.files) if self.files else sum(self.lengths)


class Target(Protocol):
    """Where the files of one shard go. None has its final name before all of them are complete."""

    def create(self, path: str) -> int:
        """Open a new file that will be known as ``path`` (below the output folder) and give its descriptor,
        for appending only.

        The target closes it, and gives it its name if its size is the one that ``Written`` says.
        """

    def place(self, path: str, data: Buffer, source: str = "") -> None:
        """Write a small file as a whole under its final name, and forget it; ``data`` may change afterwards.

        ``source`` is the path of a file with the same bytes, if there is one: the target may share its blocks.
        """


class ShardWriter(Protocol):
    """One shard of one format being written."""

    def add(self, sample: Sample) -> None:
        """Take one sample. Its image may be memory on loan: it must stay unchanged until the next ``flush``."""

    def flush(self) -> None:
        """Hand everything taken so far to the operating system."""

    def finish(self) -> Written:
        """Flush and complete every file of the shard. Called once, last."""


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """What the documents of a format tell of one split: images per shard, in shard order, and bytes of all
    shards.
    """

    shard_lengths: tuple[int, ...]
    size: int


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """What documents tell of a whole build. ``classes`` are the class indexes that have images, ascending."""

    splits: Mapping[str, SplitFacts]
    taxonomy: Taxonomy
    folders: ClassFolders
    classes: tuple[int, ...]


class Format(Protocol):
    """One output format. Instances hold no state; ``FORMATS`` has one of each."""

    @property
    def outputs(self) -> Mapping[str, str]:
        """What the format leaves in the output folder: folder → what it is, for whoever looks at the result."""

    @property
    def made(self) -> str:
        """A regular expression of the paths, below the output folder, of all files that the format makes."""

    @property
    def stores_boxes(self) -> bool:
        """Whether a record has room for bounding boxes."""

    @property
    def record_overhead(self) -> int:
        """Bytes a record takes beyond its image, for the check of free space: generous rather than exact."""

    def writer(self, target: Target, shard: ShardName) -> ShardWriter:
        """Open a shard."""

    def documents(self, facts: BuildFacts) -> Mapping[str, bytes]:
        """Give the documents that belong beside the samples, by path below the output folder."""

    def sample_files(self, shard: ShardName, paths: Sequence[str]) -> Sequence[str]:
        """Give the files with the samples of a shard, below the output folder, in order. ``paths`` are those of its
        samples in a tree of class folders.
        """

    def read(self, out: Path, files: Sequence[str], seen: list[FileFact] | None = None) -> Iterator[Sample]:
        """Read a shard back from its ``sample_files`` below ``out``, in order, verifying every checksum in them.

        ``seen`` takes size and digest of every file once it was read to its end, so that nobody has to read it again
        for them. An image may be a view of its record, and stays what it is.

        Raises AuditError with the offset of what is damaged or does not follow the schema, and OSError. Width and
        height are 0 where the format does not store them.
        """

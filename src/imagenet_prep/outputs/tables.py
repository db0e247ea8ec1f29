"""What outputs share whose shards begin with a table of their samples, and whose splits have a folder and an index:
all except names, and what an index says.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from imagenet_prep.codecs.columns import Row
from imagenet_prep.codecs.offset_table import LARGEST, TableWriter, read_items
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import (
    Contents,
    ImageRange,
    Output,
    PlannedShard,
    ShardFacts,
    Shards,
    ShardWriter,
    StoredShard,
    Written,
    shards_option,
)
from imagenet_prep.stores.base import Batch, Store


@dataclass(frozen=True, kw_only=True, slots=True)
class TableOutput(Output):
    """An output of such shards. ``row`` is how it stores a sample, ``fixed`` what each shard has after its table."""

    shards: Shards = shards_option()

    row: ClassVar[Row]
    fixed: ClassVar[bytes] = b""
    overhead: ClassVar[int] = 640  # a name of 255 bytes, lemmas of 121, and what has always the same size
    columns: ClassVar[Mapping[str, str]] = MappingProxyType({"row": "i", "image_offset": "q", "image_length": "i"})
    image_range: ClassVar[ImageRange | None] = ImageRange("image_offset", "image_length")
    foresees: ClassVar[bool] = True
    largest_shard: ClassVar[int | None] = LARGEST

    @abstractmethod
    def path(self, shard: ShardName) -> str:
        """Give the file of a shard."""

    @abstractmethod
    def index(self, shards: Sequence[ShardFacts]) -> bytes:
        """Give the index of a split, of its shards that have samples: readers stumble over others."""

    def writer(self, batch: Batch, planned: PlannedShard) -> ShardWriter:
        """Open a shard, and write its table."""
        return _Writer(batch, self.path(planned.shard), planned, self.row, self.fixed)

    def files(self, stored: StoredShard) -> Sequence[str]:
        """Give the shard."""
        return (self.path(stored.shard),)

    def sample_files(self, stored: StoredShard) -> Sequence[str]:
        """Every sample lies in the shard."""
        return [self.path(stored.shard)] * len(stored.names)

    def documents(self, contents: Contents) -> Mapping[str, bytes]:
        """Give the index of each split."""
        return {
            f"{self.folder}/{split}/index.json": self.index([shard for shard in facts.shards if shard.rows])
            for split, facts in contents.splits.items()
        }

    def read(self, store: Store, stored: StoredShard, seen: list[FileFact] | None = None) -> Iterator[Sample]:
        """Read the samples back, in order; each must be, byte for byte, what its columns make of it."""
        path = self.path(stored.shard)

        def decode(data: bytes) -> Sample:
            return self.row.decode(data, stored.class_names)

        with store.open(path) as file:
            found = store.stat(path)
            yield from read_items(file, path, found.size if found else 0, self.fixed, decode, seen)


class _Writer(TableWriter):
    def __init__(self, batch: Batch, path: str, planned: PlannedShard, row: Row, fixed: bytes) -> None:
        names = planned.class_names
        of_each = zip(planned.names, planned.class_indexes, planned.sizes, strict=True)
        sizes = [row.size(name, of_class, names[of_class], size) for name, of_class, size in of_each]
        super().__init__(batch.create(path), sizes, fixed, lambda sample: row.encode(sample, names[sample.class_index]))

    def finish(self) -> Written:
        """Complete the shard."""
        file = self.close()
        rows = array("i", range(len(self.image_lengths)))
        columns = {"row": rows, "image_offset": self.image_offsets, "image_length": self.image_lengths}
        return Written((file,), file.size, columns)

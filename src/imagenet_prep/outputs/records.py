"""What outputs share whose shards are TFRecord files with one Example for each sample: columns of the manifest, reading
back, and what the documents of TensorFlow Datasets say of shards.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add
from types import MappingProxyType
from typing import ClassVar

from imagenet_prep.codecs.example import Value
from imagenet_prep.codecs.features import RecordShards
from imagenet_prep.codecs.tfrecord import FRAMING_BYTES, RecordWriter, read_examples
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Sample
from imagenet_prep.outputs.base import Contents, ImageRange, Output, Shards, StoredShard, Written, shards_option
from imagenet_prep.stores.base import Store

# The place of a sample in its shard; offset and length in bytes of its record, framing included, and of its image.
RECORD_COLUMNS: Mapping[str, str] = MappingProxyType(
    {"row": "i", "offset": "q", "length": "q", "image_offset": "q", "image_length": "i"}
)


def written_records(files: tuple[FileFact, ...], records: RecordWriter) -> Written:
    """Say what was written of a shard of records."""
    offsets = array("q", accumulate(records.lengths, initial=0))
    offsets.pop()
    columns = {
        "row": array("i", range(len(offsets))),
        "offset": offsets,
        "length": records.lengths,
        "image_offset": array("q", map(add, offsets, records.image_starts)),
        "image_length": records.image_lengths,
    }
    return Written(files, sum(file.size for file in files), columns)


def record_shards(contents: Contents, framing: int = FRAMING_BYTES) -> dict[str, RecordShards]:
    """Give the shards of each split, whose first file has the records, and the bytes without the framing of each."""
    return {
        split: RecordShards(
            tuple(shard.rows for shard in facts.shards),
            sum(shard.files[0].size - framing * shard.rows for shard in facts.shards),
        )
        for split, facts in contents.splits.items()
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordOutput(Output):
    """An output whose shards are files of records, the first file of each; beside it there may be others."""

    shards: Shards = shards_option()

    converts: ClassVar[bool] = True
    columns: ClassVar[Mapping[str, str]] = RECORD_COLUMNS
    image_range: ClassVar[ImageRange | None] = ImageRange("image_offset", "image_length")

    @abstractmethod
    def decode(self, features: Mapping[str, Value]) -> Sample:
        """Give the sample that a record holds; ValueError if it is none of this output's."""

    def sample_files(self, stored: StoredShard) -> Sequence[str]:
        """Every sample lies in the shard."""
        return [self.files(stored)[0]] * len(stored.names)

    def read(self, store: Store, stored: StoredShard, seen: list[FileFact] | None = None) -> Iterator[Sample]:
        """Read the records back, in order. Raises AuditError and OSError."""
        path = self.files(stored)[0]
        with store.open(path) as file:
            found = store.stat(path)
            yield from read_examples(file, path, found.size if found else 0, self.decode, seen)

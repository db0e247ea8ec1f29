"""What outputs share whose shards are TFRecord files with one Example for each sample: columns of the manifest, reading
back, and what the documents of TensorFlow Datasets say of shards.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from types import MappingProxyType

from imagenet_prep.codecs.example import Value
from imagenet_prep.codecs.features import RecordShards
from imagenet_prep.codecs.tfrecord import read_examples
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Sample
from imagenet_prep.outputs.base import Contents, Written
from imagenet_prep.stores.base import Store

# The place of a sample in its shard, and offset and length in bytes of its record, framing included.
RECORD_COLUMNS: Mapping[str, str] = MappingProxyType({"row": "i", "offset": "q", "length": "q"})


def written_records(files: tuple[FileFact, ...], lengths: array[int]) -> Written:
    """Say what was written of a shard; ``lengths`` are those of its records."""
    offsets = array("q", accumulate(lengths, initial=0))
    offsets.pop()
    columns = {"row": array("i", range(len(lengths))), "offset": offsets, "length": lengths}
    return Written(files, sum(file.size for file in files), columns)


def record_shards(contents: Contents) -> dict[str, RecordShards]:
    """Give the shards of each split, whose first file has the records."""
    return {
        split: RecordShards(
            tuple(shard.rows for shard in facts.shards), sum(shard.files[0].size for shard in facts.shards)
        )
        for split, facts in contents.splits.items()
    }


def read_shard(
    store: Store, path: str, decode: Callable[[Mapping[str, Value]], Sample], seen: list[FileFact] | None
) -> Iterator[Sample]:
    """Read the samples of a shard, in order. Raises AuditError and OSError."""
    with store.open(path) as file:
        found = store.stat(path)
        yield from read_examples(file, path, found.size if found else 0, decode, seen)

"""The schema of TensorFlow Datasets' ``imagenet2012``, version 5.1.0: a drop-in for ``tfds.load("imagenet2012")``.

Three keys (``image``, ``label`` 0…999 in WNID order, ``file_name``), file names as its own builder gives them, and its
records in its order: with nothing held out, the same as the builder writes, except for converted images, which it
encodes otherwise. Class names are WNIDs, as there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from imagenet_prep.codecs.example import Value
from imagenet_prep.codecs.tfds_schema import DOCUMENTS, NAME, VERSION, decode, documents, encode, shard_name
from imagenet_prep.codecs.tfrecord import RecordWriter
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import Contents, PlannedShard, Reader, ShardWriter, StoredShard, Written
from imagenet_prep.outputs.records import RecordOutput, record_shards, written_records
from imagenet_prep.stores.base import Batch

_FORMAT = "tfrecord"
FOLDER = f"tfds/{NAME}/{VERSION}"
_TFDS = """\
import tensorflow_datasets as tfds

for image, label in tfds.load("imagenet2012", split="train", data_dir="DATA/tfds", as_supervised=True).take(3):
    print(image.shape, int(label))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tfds(RecordOutput):
    """``OUT/tfds/imagenet2012/5.1.0/imagenet2012-train.tfrecord-00000-of-01024`` and so on."""

    name: ClassVar[str] = "tfds"
    folder: ClassVar[str] = "tfds"
    overhead: ClassVar[int] = 128
    readers: ClassVar[tuple[Reader, ...]] = (
        Reader("tfds", _TFDS, "tensorflow tensorflow-datasets", meant_by=("tfds",)),
    )
    document_paths: ClassVar[tuple[str, ...]] = tuple(f"{FOLDER}/{name}" for name in DOCUMENTS)

    def writer(self, batch: Batch, planned: PlannedShard) -> ShardWriter:
        """Open a shard."""
        return _Writer(batch.create(_shard_path(planned.shard)), encode)

    def files(self, stored: StoredShard) -> Sequence[str]:
        """Give the shard."""
        return (_shard_path(stored.shard),)

    def documents(self, contents: Contents) -> Mapping[str, bytes]:
        """Give the feature spec, the dataset info and the class names."""
        made = documents(_FORMAT, record_shards(contents))
        return {f"{FOLDER}/{name}": data for name, data in made.items()}

    def describe(self, contents: Contents) -> Mapping[str, str]:  # noqa: ARG002
        """Name the folder that readers are given."""
        return {"tfds": 'TFRecord for tfds.load("imagenet2012", data_dir=".../tfds"); label is 0…999 in WNID order'}

    def decode(self, features: Mapping[str, Value]) -> Sample:
        """The schema stores neither sizes nor boxes. An image without a label has the class index −1, as in the test
        split of TensorFlow Datasets.
        """
        return decode(features)


def _shard_path(shard: ShardName) -> str:
    return f"{FOLDER}/{shard_name(_FORMAT, shard)}"


class _Writer(RecordWriter):
    def finish(self) -> Written:
        """Complete the shard."""
        return written_records((self.close(),), self)

"""TFRecords with the classic keys.

DALI's indexes lie in a folder of their own, where no ``train-*`` pattern catches them, and two documents beside the
shards let TensorFlow Datasets read the same files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from imagenet_prep.codecs import features as spec
from imagenet_prep.codecs.classic_schema import FEATURES, decode, encode
from imagenet_prep.codecs.example import Value
from imagenet_prep.codecs.tfrecord import RecordWriter
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import Contents, PlannedShard, Reader, ShardWriter, StoredShard, Written
from imagenet_prep.outputs.records import RecordOutput, record_shards, written_records
from imagenet_prep.stores.base import Batch

FOLDER = "tfrecord"
INDEX_FOLDER = "dali-index"
_TENSORFLOW = """\
import tensorflow as tf

KEYS = {"image/encoded": tf.io.FixedLenFeature([], tf.string), "image/class/label": tf.io.FixedLenFeature([], tf.int64)}


def decode(record):
    row = tf.io.parse_single_example(record, KEYS)
    return tf.io.decode_jpeg(row["image/encoded"], channels=3), row["image/class/label"] - 1  # 0…999


files = tf.data.Dataset.list_files("DATA/tfrecord/train-*")
for image, label in files.interleave(tf.data.TFRecordDataset).map(decode).take(3):
    print(image.shape, int(label))
"""
_DALI = """\
from glob import glob

from nvidia.dali import fn, pipeline_def, tfrecord, types

KEYS = {
    "image/encoded": tfrecord.FixedLenFeature((), tfrecord.string, ""),
    "image/class/label": tfrecord.FixedLenFeature([1], tfrecord.int64, -1),
}


@pipeline_def(batch_size=3, num_threads=2, device_id=None)  # no GPU: the images are decoded on the processor
def train():
    row = fn.readers.tfrecord(
        path=sorted(glob("DATA/tfrecord/train-*")), index_path=sorted(glob("DATA/dali-index/train-*")), features=KEYS
    )
    image = fn.decoders.image(row["image/encoded"], output_type=types.RGB, adjust_orientation=False)  # as others do
    return fn.resize(image, size=[224, 224]), row["image/class/label"] - 1  # 0…999


pipeline = train()
pipeline.build()
images, labels = pipeline.run()
print(images.shape(), labels.as_array().ravel())
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TFRecord(RecordOutput):
    """``OUT/tfrecord/train-00000-of-01024`` and so on."""

    name: ClassVar[str] = "tfrecord"
    folder: ClassVar[str] = FOLDER
    stores_boxes: ClassVar[bool] = True
    overhead: ClassVar[int] = 1024  # 460 bytes for a long class name, and 20 for each box
    document_paths: ClassVar[tuple[str, ...]] = (f"{FOLDER}/{spec.FEATURES}", f"{FOLDER}/{spec.INFO}")
    readers: ClassVar[tuple[Reader, ...]] = (
        Reader("tensorflow", _TENSORFLOW, "tensorflow", meant_by=("tensorflow",)),
        Reader("dali", _DALI, "nvidia-dali-cuda130", meant_by=("dali",)),
    )

    def writer(self, batch: Batch, planned: PlannedShard) -> ShardWriter:
        """Open a shard, which will have a DALI index."""
        return _Writer(batch, planned.shard)

    def files(self, stored: StoredShard) -> Sequence[str]:
        """Give the shard, under the name that the field's readers hard-code, and its index."""
        return (_shard_path(stored.shard), _index_path(stored.shard))

    def documents(self, contents: Contents) -> Mapping[str, bytes]:
        """Describe the classic records to TensorFlow Datasets: ``tfds.builder_from_directory("OUT/tfrecord")``."""
        info = spec.dataset_info(
            "imagenet2012_classic", "1.0.0", "{SPLIT}-{SHARD_X_OF_Y}", record_shards(contents), None
        )
        documents = (spec.as_bytes(FEATURES), spec.as_bytes(info))
        return dict(zip(self.document_paths, documents, strict=True))

    def describe(self, contents: Contents) -> Mapping[str, str]:  # noqa: ARG002
        """Name the two folders."""
        return {
            FOLDER: "TFRecord, classic image/… keys; image/class/label is 1…1000 in WNID order",
            INDEX_FOLDER: "an index of each classic shard, for DALI",
        }

    def decode(self, features: Mapping[str, Value]) -> Sample:
        """Lemmas and boxes may be missing, as in the records of the TPU script."""
        return decode(features)


def _shard_path(shard: ShardName) -> str:
    return f"{FOLDER}/{shard}"


def _index_path(shard: ShardName) -> str:
    return f"{INDEX_FOLDER}/{shard}.idx"


class _Writer(RecordWriter):
    def __init__(self, batch: Batch, shard: ShardName) -> None:
        super().__init__(batch.create(_shard_path(shard)), encode)
        self._index = batch.create(_index_path(shard))

    def finish(self) -> Written:
        """Complete the shard, and write its index."""
        shard = self.close()
        offsets = accumulate(self.lengths, initial=0)
        self._index.write("".join(f"{o} {n}\n" for o, n in zip(offsets, self.lengths, strict=False)).encode())
        return written_records((shard, self._index.fact()), self)

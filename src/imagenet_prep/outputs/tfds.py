"""The schema of TensorFlow Datasets' ``imagenet2012``, version 5.1.0: a drop-in for ``tfds.load("imagenet2012")``.

Three keys (``image``, ``label`` 0…999 in WNID order, ``file_name``), file names as its own builder gives them, and its
records in its order: with nothing held out, the same as the builder writes, but for repaired images, which it encodes
otherwise. Class names are WNIDs, as there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType

from imagenet_prep.codecs import features as spec
from imagenet_prep.codecs.example import Value, bytes_entry, bytes_in, head_of, int64_entry, number_in, text_in
from imagenet_prep.codecs.tfrecord import RecordWriter, read_examples
from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.model.task import FileFact
from imagenet_prep.outputs.base import BuildFacts, ShardWriter, Target

NAME = "imagenet2012"
VERSION = "5.1.0"
FOLDER = f"tfds/{NAME}/{VERSION}"
_UNLABELLED = -1


class TfdsFormat:
    """``OUT/tfds/imagenet2012/5.1.0/imagenet2012-train.tfrecord-00000-of-01024`` and so on."""

    outputs: Mapping[str, str] = MappingProxyType(
        {"tfds": 'TFRecord for tfds.load("imagenet2012", data_dir=".../tfds"); label is 0…999 in WNID order'}
    )
    made = (
        rf"{re.escape(FOLDER)}/(?:{NAME}-[a-z]+\.tfrecord-\d{{5}}-of-\d{{5}}|features\.json|dataset_info\.json"
        r"|label\.labels\.txt)"
    )
    stores_boxes = False
    record_overhead = 128

    def writer(self, target: Target, shard: ShardName) -> ShardWriter:
        """Open a shard."""
        return RecordWriter(target, self.sample_files(shard, ())[0], _encode)

    def sample_files(self, shard: ShardName, paths: Sequence[str]) -> Sequence[str]:  # noqa: ARG002
        """Give the name that ``{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}`` stands for."""
        return [f"{FOLDER}/{NAME}-{shard.split}.tfrecord-{shard.numbers}"]

    def documents(self, facts: BuildFacts) -> Mapping[str, bytes]:
        """Give the feature spec, the dataset info and the class names."""
        template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
        features = {"image": spec.jpeg(), "label": spec.class_label(CLASS_COUNT), "file_name": spec.text()}
        info = spec.dataset_info(NAME, VERSION, template, facts.splits, ("image", "label"))
        return {
            f"{FOLDER}/features.json": spec.as_bytes(spec.features_dict(features)),
            f"{FOLDER}/dataset_info.json": spec.as_bytes(info),
            f"{FOLDER}/label.labels.txt": "".join(f"{of.wnid}\n" for of in official().classes).encode(),
        }

    def read(self, out: Path, files: Sequence[str], seen: list[FileFact] | None = None) -> Iterator[Sample]:
        """Read a shard back. The schema stores neither sizes nor boxes: width and height are 0. An image without a
        label has the class index −1, as in the test split of TensorFlow Datasets.
        """
        return read_examples(out / files[0], files[0], _decode, seen)


def _encode(sample: Sample) -> tuple[bytes, bytes]:
    after = _label(sample.class_index)
    before = bytes_entry("file_name", sample.name.encode())
    return head_of(before, b"image", len(sample.image), len(after)), after


@cache
def _label(class_index: int) -> bytes:
    return int64_entry("label", class_index)


def _decode(features: Mapping[str, Value]) -> Sample:
    label = number_in(features, "label")
    if not _UNLABELLED <= label < CLASS_COUNT:
        raise ValueError(f"label is {label}, none of 0…{CLASS_COUNT - 1}, and not {_UNLABELLED}")
    return Sample(text_in(features, "file_name"), bytes_in(features, "image"), label, width=0, height=0)

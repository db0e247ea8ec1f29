"""The record of TensorFlow Datasets' ``imagenet2012``, version 5.1.0: three keys, ``image``, ``label`` 0…999 in WNID
order, and ``file_name``; and the documents beside such records. The one home of this schema: what writes such records,
what reads them and what judges other people's go by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from imagenet_prep.codecs import features as spec
from imagenet_prep.codecs.example import Value, bytes_entry, bytes_in, head_of, int64_entry, number_in, text_in
from imagenet_prep.codecs.record_schema import RecordSchema
from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.shards import ShardName

TFDS = RecordSchema(
    layout="TFRecord of TensorFlow Datasets",
    image="image",
    label="label",
    name="file_name",
    synset="",
    first_label=0,
)
NAME = "imagenet2012"
VERSION = "5.1.0"
DOCUMENTS = (spec.FEATURES, spec.INFO, spec.LABELS)
FEATURES = spec.features_dict({"image": spec.jpeg(), "label": spec.class_label(CLASS_COUNT), "file_name": spec.text()})

_UNLABELLED = -1


def encode(sample: Sample) -> tuple[bytes, bytes]:
    """Give the bytes before and after the image in the Example of a sample."""
    after = _label(sample.class_index)
    before = bytes_entry("file_name", sample.name.encode())
    return head_of(before, b"image", len(sample.image), len(after)), after


@cache
def _label(class_index: int) -> bytes:
    return int64_entry("label", class_index)


def decode(features: Mapping[str, Value]) -> Sample:
    """Give the sample of a record, which has neither sizes nor boxes. An image without a label has the class index −1,
    as in the test split of TensorFlow Datasets. Raises ValueError that says which key is wrong.
    """
    label = number_in(features, "label")
    if not _UNLABELLED <= label < CLASS_COUNT:
        raise ValueError(f"label is {label}, none of 0…{CLASS_COUNT - 1}, and not {_UNLABELLED}")
    return Sample(text_in(features, "file_name"), bytes_in(features, "image"), label, width=0, height=0)


def documents(file_format: str, splits: Mapping[str, spec.RecordShards]) -> dict[str, bytes]:
    """Give feature spec, dataset info and class names, by name.."""
    template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"  # as in ``shard_name``
    info = spec.dataset_info(NAME, VERSION, template, splits, (TFDS.image, TFDS.label), file_format)
    names = "".join(f"{of.wnid}\n" for of in official().classes).encode()
    return dict(zip(DOCUMENTS, (spec.as_bytes(FEATURES), spec.as_bytes(info), names), strict=True))


def shard_name(file_format: str, shard: ShardName) -> str:
    """Give what ``{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}`` stands for."""
    return f"{NAME}-{shard.split}.{file_format}-{shard.numbers}"

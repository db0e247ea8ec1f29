"""The two JSON documents that let TensorFlow Datasets read a folder of TFRecords: what it calls feature spec
and dataset info.

The form was found by leaving out and changing keys until its readers complained (docs/formats/tfds.md). 64-bit
numbers are JSON strings, because the documents are protobuf in JSON form. Keys are sorted, so equal builds
give equal documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

INFO, FEATURES, LABELS = "dataset_info.json", "features.json", "label.labels.txt"  # what the files are called
_CORE = "tensorflow_datasets.core.features"
Json = Mapping[str, object]


class RecordShards(NamedTuple):
    """The shards of one split: records in each, in order, and bytes in all."""

    lengths: tuple[int, ...]
    size: int


def features_dict(features: Mapping[str, Json]) -> Json:
    """Describe a record with named features; nesting joins the names with a slash."""
    return {
        "pythonClassName": f"{_CORE}.features_dict.FeaturesDict",
        "featuresDict": {"features": dict(features)},
    }


def jpeg() -> Json:
    """Describe an encoded JPEG that decodes to height × width × 3 bytes."""
    shape = {"dimensions": ["-1", "-1", "3"]}
    image = {"dtype": "uint8", "encodingFormat": "jpeg", "shape": shape}
    return {"pythonClassName": f"{_CORE}.image_feature.Image", "image": image}


def class_label(classes: int) -> Json:
    """Describe a label 0…classes − 1."""
    return {
        "pythonClassName": f"{_CORE}.class_label_feature.ClassLabel",
        "classLabel": {"numClasses": str(classes)},
    }


def text() -> Json:
    """Describe a string."""
    return {"pythonClassName": f"{_CORE}.text_feature.Text", "text": {}}


def scalar(dtype: str) -> Json:
    """Describe one number, ``int64`` or ``float32``."""
    return {
        "pythonClassName": f"{_CORE}.scalar.Scalar",
        "tensor": {"shape": {}, "dtype": dtype, "encoding": "none"},
    }


def sequence(of: Json) -> Json:
    """Describe a list of any length."""
    return {
        "pythonClassName": f"{_CORE}.sequence_feature.Sequence",
        "sequence": {"feature": of, "length": "-1"},
    }


def dataset_info(
    name: str,
    version: str,
    template: str,
    splits: Mapping[str, RecordShards],
    supervised: tuple[str, str] | None,
    file_format: str = "tfrecord",
) -> Json:
    """Describe name, version, and the shards of every split; ``supervised`` names the features of
    ``as_supervised``.
    """
    info: dict[str, object] = {
        "fileFormat": file_format,
        "name": name,
        "version": version,
        "splits": [
            {
                "name": split,
                "numBytes": str(shards.size),
                "shardLengths": [str(length) for length in shards.lengths],
                "filepathTemplate": template,
            }
            for split, shards in splits.items()
        ],
    }
    if supervised:
        info["supervisedKeys"] = {"tuple": {"items": [{"featureKey": key} for key in supervised]}}
    return info


def as_bytes(document: Json) -> bytes:
    """Write a document the way all documents of a build are written."""
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"


def shard_lengths(document: bytes) -> dict[str, list[int]]:
    """Read back from a dataset info, anyone's, the records of every shard by split.

    Raises ValueError that says in what the document differs from its form.
    """
    try:
        splits = json.loads(document)["splits"]
        return {str(split["name"]): [int(length) for length in split.get("shardLengths", ())] for split in splits}
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(str(error) or type(error).__name__) from None

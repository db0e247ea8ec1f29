"""Our encoder against protobuf's: the same Example, serialised deterministically, is the same bytes."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
import tensorflow as tf

from imagenet_prep import official
from readers.conftest import Built
from readers.truth import Picture

SPLITS = ("train", "validation", "test")


def serialised(features: dict[str, list[bytes] | list[float] | list[int]], kinds: dict[str, str]) -> bytes:
    """What protobuf makes of ``features``; ``kinds`` tells the three kinds of list apart, also empty ones."""
    lists: dict[str, Any] = {
        "bytes": lambda values: tf.train.Feature(bytes_list=tf.train.BytesList(value=values)),
        "float": lambda values: tf.train.Feature(float_list=tf.train.FloatList(value=values)),
        "int64": lambda values: tf.train.Feature(int64_list=tf.train.Int64List(value=values)),
    }
    by_key = {key: lists[kinds[key]](values) for key, values in features.items()}
    example = tf.train.Example(features=tf.train.Features(feature=by_key))
    return bytes(example.SerializeToString(deterministic=True))


CLASSIC = {
    **dict.fromkeys(("image/encoded", "image/format", "image/colorspace", "image/filename"), "bytes"),
    **dict.fromkeys(("image/class/synset", "image/class/text"), "bytes"),
    **dict.fromkeys(("image/channels", "image/height", "image/width", "image/class/label"), "int64"),
    **{f"image/object/bbox/{side}": "float" for side in ("xmin", "ymin", "xmax", "ymax")},
    "image/object/bbox/label": "int64",
}
DROP_IN = {"image": "bytes", "file_name": "bytes", "label": "int64"}


def classic(name: str, image: bytes, picture: Picture) -> bytes:
    lemmas = official().classes[picture.class_index].lemmas
    sides = list(zip(*picture.boxes, strict=True)) or [(), (), (), ()]
    return serialised(
        {
            "image/encoded": [image],
            "image/format": [b"JPEG"],
            "image/colorspace": [b"RGB"],
            "image/channels": [3],
            "image/height": [picture.height],
            "image/width": [picture.width],
            "image/filename": [name.encode()],
            "image/class/label": [picture.class_index + 1],
            "image/class/synset": [picture.wnid.encode()],
            "image/class/text": [lemmas.encode()],
            "image/object/bbox/xmin": list(sides[0]),
            "image/object/bbox/ymin": list(sides[1]),
            "image/object/bbox/xmax": list(sides[2]),
            "image/object/bbox/ymax": list(sides[3]),
            "image/object/bbox/label": [picture.class_index + 1] * len(picture.boxes),
        },
        CLASSIC,
    )


def drop_in(name: str, image: bytes, picture: Picture) -> bytes:
    return serialised({"image": [image], "file_name": [name.encode()], "label": [picture.class_index]}, DROP_IN)


@pytest.mark.parametrize("split", SPLITS)
def test_classic_records_are_what_protobuf_serialises(built: Built, split: str) -> None:
    for record in tf.data.TFRecordDataset(built.classic(split)).as_numpy_iterator():
        held = tf.train.Example.FromString(record).features.feature
        name = held["image/filename"].bytes_list.value[0].decode()

        assert record == classic(name, held["image/encoded"].bytes_list.value[0], built.pictures[name]), name


@pytest.mark.parametrize("split", SPLITS)
def test_drop_in_records_are_what_protobuf_serialises(built: Built, split: str) -> None:
    for record in tf.data.TFRecordDataset(built.drop_in(split)).as_numpy_iterator():
        held = tf.train.Example.FromString(record).features.feature
        name = held["file_name"].bytes_list.value[0].decode()

        assert record == drop_in(name, held["image"].bytes_list.value[0], built.pictures[name]), name


@pytest.mark.parametrize("split", SPLITS)
def test_both_schemas_hold_the_same_images_in_the_same_shards(built: Built, split: str) -> None:
    for ours, theirs in zip(built.classic(split), built.drop_in(split), strict=True):
        assert images(ours, "image/filename", "image/encoded") == images(theirs, "file_name", "image")


def images(shard: str, name: str, image: str) -> list[tuple[bytes, str]]:
    examples = map(tf.train.Example.FromString, tf.data.TFRecordDataset(shard).as_numpy_iterator())
    both = ((each.features.feature[name], each.features.feature[image]) for each in examples)
    return [(first.bytes_list.value[0], sha256(second.bytes_list.value[0]).hexdigest()) for first, second in both]

"""`tf.data` and the classic schema, parsed as training code parses it."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from readers.conftest import Built

SPLITS = ("train", "validation", "test")
SIDES = ("xmin", "ymin", "xmax", "ymax")
SCHEMA = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/format": tf.io.FixedLenFeature([], tf.string),
    "image/colorspace": tf.io.FixedLenFeature([], tf.string),
    "image/channels": tf.io.FixedLenFeature([], tf.int64),
    "image/height": tf.io.FixedLenFeature([], tf.int64),
    "image/width": tf.io.FixedLenFeature([], tf.int64),
    "image/filename": tf.io.FixedLenFeature([], tf.string),
    "image/class/label": tf.io.FixedLenFeature([], tf.int64),
    "image/class/synset": tf.io.FixedLenFeature([], tf.string),
    "image/class/text": tf.io.FixedLenFeature([], tf.string),
    **{f"image/object/bbox/{side}": tf.io.VarLenFeature(tf.float32) for side in SIDES},
    "image/object/bbox/label": tf.io.VarLenFeature(tf.int64),
}

Row = dict[str, Any]


@cache
def rows_of(built: Built, split: str) -> dict[str, Row]:
    """The parsed records of a split by file name, in file order, with a digest in the place of the image."""
    records = tf.data.TFRecordDataset(built.classic(split))
    rows: dict[str, Row] = {}
    for parsed in records.map(lambda record: tf.io.parse_single_example(record, SCHEMA)):
        row = {
            key: (tf.sparse.to_dense(value) if isinstance(value, tf.SparseTensor) else value).numpy()
            for key, value in parsed.items()
        }
        row["sha256"] = hashlib.sha256(row.pop("image/encoded")).hexdigest()
        rows[row["image/filename"].decode()] = row
    return rows


@pytest.fixture(scope="module")
def rows(built: Built) -> dict[str, Row]:
    return {name: row for split in SPLITS for name, row in rows_of(built, split).items()}


def test_every_image_of_the_archives_is_in_one_split(built: Built) -> None:
    train, validation = built.truth
    names = {split: list(rows_of(built, split)) for split in SPLITS}

    assert sorted(names["train"] + names["test"]) == sorted(train)
    assert sorted(names["validation"]) == sorted(validation)


def test_two_images_of_every_class_are_held_out(built: Built) -> None:
    train, _ = built.truth
    held_out = Counter(train[name].wnid for name in rows_of(built, "test"))

    assert held_out == dict.fromkeys({picture.wnid for picture in train.values()}, 2)


def test_records_hold_the_bytes_of_the_archives(built: Built, rows: dict[str, Row]) -> None:
    plain = {name: picture.sha256 for name, picture in built.pictures.items() if picture.plain}

    assert {name: rows[name]["sha256"] for name in plain} == plain


def test_labels_count_from_one_in_wnid_order(built: Built, rows: dict[str, Row]) -> None:
    assert {name: int(row["image/class/label"]) for name, row in rows.items()} == {
        name: picture.class_index + 1 for name, picture in built.pictures.items()
    }
    assert {name: row["image/class/synset"].decode() for name, row in rows.items()} == {
        name: picture.wnid for name, picture in built.pictures.items()
    }


def test_sizes_are_those_of_the_images_as_stored(built: Built, rows: dict[str, Row]) -> None:
    assert {name: (int(row["image/width"]), int(row["image/height"])) for name, row in rows.items()} == {
        name: (picture.width, picture.height) for name, picture in built.pictures.items()
    }


@pytest.mark.parametrize("split", SPLITS)
def test_every_image_decodes_to_the_height_and_width_that_stand_beside_it(built: Built, split: str) -> None:
    for record in tf.data.TFRecordDataset(built.classic(split)):
        row = tf.io.parse_single_example(record, SCHEMA)
        decoded = tf.io.decode_jpeg(row["image/encoded"], channels=3)

        assert decoded.shape == (row["image/height"], row["image/width"], 3), row["image/filename"]


def test_format_colour_space_and_channels_say_what_a_reader_gets(rows: dict[str, Row]) -> None:
    said = {(row["image/format"], row["image/colorspace"], int(row["image/channels"])) for row in rows.values()}

    assert said == {(b"JPEG", b"RGB", 3)}


def test_boxes_are_those_of_the_annotations(built: Built, rows: dict[str, Row]) -> None:
    for name, picture in built.pictures.items():
        found = np.stack([rows[name][f"image/object/bbox/{side}"] for side in SIDES], axis=1)

        assert found.tolist() == np.array(picture.boxes, np.float32).reshape(-1, 4).tolist(), name
        assert rows[name]["image/object/bbox/label"].tolist() == [picture.class_index + 1] * len(picture.boxes), name


def test_boxes_parse_as_sequences_too(built: Built) -> None:
    schema = {"image/object/bbox/xmin": tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True)}
    train, _ = built.truth
    kept = rows_of(built, "train")

    records = tf.data.TFRecordDataset(built.classic("train"))
    counts = [len(tf.io.parse_single_example(record, schema)["image/object/bbox/xmin"]) for record in records]

    assert counts == [len(train[name].boxes) for name in kept]


def test_tensorflow_notices_a_flipped_byte(built: Built, tmp_path: Path) -> None:
    shard = bytearray(Path(built.classic("test")[0]).read_bytes())
    shard[len(shard) // 2] ^= 1
    (tmp_path / "test-00000-of-00002").write_bytes(shard)

    with pytest.raises(tf.errors.DataLossError):
        list(tf.data.TFRecordDataset(str(tmp_path / "test-00000-of-00002")))

"""NVIDIA DALI on the processor: its TFRecord reader with our indexes, its decoder, and its own index tool."""

from __future__ import annotations

import hashlib
import runpy
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nvidia.dali import fn, pipeline_def, types
from nvidia.dali import tfrecord as tfrec

from readers.conftest import Built

SPLITS = ("train", "validation", "test")
SIDES = ("xmin", "ymin", "xmax", "ymax")
SCHEMA = {
    "image/encoded": tfrec.FixedLenFeature((), tfrec.string, ""),
    "image/filename": tfrec.FixedLenFeature((), tfrec.string, ""),
    "image/height": tfrec.FixedLenFeature([1], tfrec.int64, -1),
    "image/width": tfrec.FixedLenFeature([1], tfrec.int64, -1),
    "image/class/label": tfrec.FixedLenFeature([1], tfrec.int64, -1),
    **{f"image/object/bbox/{side}": tfrec.VarLenFeature(tfrec.float32, -1.0) for side in SIDES},
    "image/object/bbox/label": tfrec.VarLenFeature(tfrec.int64, -1),
}

Row = dict[str, Any]


@pipeline_def(batch_size=1, num_threads=1, device_id=None)  # type: ignore[untyped-decorator]
def reading(shards: list[str], indexes: list[str], keys: tuple[str, ...]) -> tuple[Any, ...]:
    """The features named, and the decoded image in its stored frame."""
    row = fn.readers.tfrecord(path=shards, index_path=indexes, features=SCHEMA, name="reader")
    decoded = fn.decoders.image(row["image/encoded"], output_type=types.RGB, adjust_orientation=False)
    return (*(row[key] for key in keys), decoded)


@cache
def rows_of(built: Built, split: str) -> dict[str, Row]:
    """All that DALI gives for a split by file name, in its order, with a digest in the place of the image."""
    return {row["image/filename"].tobytes().decode(): row for row in _rows(built, split)}


def _rows(built: Built, split: str) -> Iterator[Row]:
    keys = tuple(SCHEMA)
    pipeline = reading(built.classic(split), built.indexes(split), keys)
    pipeline.build()
    for _ in range(pipeline.epoch_size("reader")):
        *values, decoded = (output.at(0) for output in pipeline.run())
        row: Row = {key: np.array(value) for key, value in zip(keys, values, strict=True)}
        row["sha256"] = hashlib.sha256(row.pop("image/encoded").tobytes()).hexdigest()
        yield row | {"shape": decoded.shape}


@pytest.mark.parametrize("split", SPLITS)
def test_our_index_is_the_one_that_tfrecord2idx_makes(
    built: Built, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = str(Path(sys.executable).with_name("tfrecord2idx"))

    for shard, index in zip(built.classic(split), built.indexes(split), strict=True):
        monkeypatch.setattr(sys, "argv", [tool, shard, str(tmp_path / "index")])
        runpy.run_path(tool, run_name="__main__")

        assert Path(index).read_bytes() == (tmp_path / "index").read_bytes()
        assert Path(index).name == f"{Path(shard).name}.idx"


@pytest.mark.parametrize("split", SPLITS)
def test_the_reader_gives_every_image_of_a_split_once_and_unchanged(built: Built, split: str) -> None:
    rows = rows_of(built, split)
    records = sum(len(Path(index).read_text().splitlines()) for index in built.indexes(split))

    assert len(rows) == records
    for name, row in rows.items():
        assert not built.pictures[name].plain or row["sha256"] == built.pictures[name].sha256, name


@pytest.mark.parametrize("split", SPLITS)
def test_labels_count_from_one(built: Built, split: str) -> None:
    for name, row in rows_of(built, split).items():
        assert row["image/class/label"].tolist() == [built.pictures[name].class_index + 1], name


@pytest.mark.parametrize("split", SPLITS)
def test_every_image_decodes_to_the_height_and_width_that_stand_beside_it(built: Built, split: str) -> None:
    for name, row in rows_of(built, split).items():
        assert row["shape"] == (*row["image/height"], *row["image/width"], 3), name
        assert row["shape"] == (built.pictures[name].height, built.pictures[name].width, 3), name


@pytest.mark.parametrize("split", SPLITS)
def test_boxes_are_those_of_the_annotations_and_none_is_invented(built: Built, split: str) -> None:
    for name, row in rows_of(built, split).items():
        boxes = np.array(built.pictures[name].boxes, np.float32).reshape(-1, 4)
        for column, side in enumerate(SIDES):
            assert row[f"image/object/bbox/{side}"].tolist() == boxes[:, column].tolist(), name
        assert row["image/object/bbox/label"].tolist() == [built.pictures[name].class_index + 1] * len(boxes), name

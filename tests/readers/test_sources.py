"""Data sets that other people's programs wrote, as sources: every output has the bytes that the archives give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
import tensorflow as tf
import webdataset

from imagenet_prep import BuildOptions, build, official
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature

FORMATS = ("tfrecord", "tfds", "webdataset", "folders")


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    options = MiniatureOptions(classes=3, images_per_class=6, validation_per_class=2, boxes=False, devkit=False)
    return write_miniature(tmp_path_factory.mktemp("usual"), options)


@pytest.fixture(scope="module")
def samples(usual: Miniature, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, bytes, int]]]:
    """All images of each split, taken from class folders of the same."""
    options = BuildOptions.of(format="folders", names="wnid", test_per_class=0, jobs=1)
    out = tmp_path_factory.mktemp("plain") / "data"
    build(usual.root, out, options)
    return {
        split: [
            (path.name, path.read_bytes(), official().index_of(path.parent.name))
            for path in sorted((out / "folders" / split).rglob("*.JPEG"))
        ]
        for split in ("train", "validation")
    }


def feature(value: object) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def classic(folder: Path, split: str, of: list[tuple[str, bytes, int]]) -> None:
    with tf.io.TFRecordWriter(str(folder / f"{split}-00000-of-00001")) as writer:
        for name, image, index in of:
            values = {
                "image/encoded": image,
                "image/filename": name.encode(),
                "image/class/label": index + 1,
                "image/class/synset": official().classes[index].wnid.encode(),
                "image/format": b"JPEG",
            }
            features = tf.train.Features(feature={key: feature(value) for key, value in values.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())


def of_tfds(folder: Path, split: str, of: list[tuple[str, bytes, int]]) -> None:
    with tf.io.TFRecordWriter(str(folder / f"imagenet2012-{split}.tfrecord-00000-of-00001")) as writer:
        for name, image, index in of:
            values = {"image": image, "file_name": name.encode(), "label": index}
            features = tf.train.Features(feature={key: feature(value) for key, value in values.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())


def shards(folder: Path, split: str, of: list[tuple[str, bytes, int]]) -> None:
    with webdataset.ShardWriter(str(folder / f"{split}-%06d.tar"), maxcount=5, verbose=0) as writer:
        for name, image, index in of:
            key = name.removesuffix(".JPEG")
            writer.write({"__key__": key, "jpg": image, "cls": index, "json": {"filename": name}})


def parquet(folder: Path, split: str, of: list[tuple[str, bytes, int]]) -> None:
    """Two files, each with every second image, in the names of Hugging Face."""
    names = [facts.wnid for facts in official().classes]
    features = datasets.Features({"image": datasets.Image(decode=False), "label": datasets.ClassLabel(names=names)})
    rows = [
        {"image": {"bytes": image, "path": name.replace(".JPEG", f"_{names[index]}.JPEG")}, "label": index}
        for name, image, index in of
    ]
    written = datasets.Dataset.from_list(rows, features=features)
    for number in range(2):
        written.shard(2, number, contiguous=False).to_parquet(folder / f"{split}-{number:05}-of-00002.parquet")


@pytest.mark.parametrize("write", [classic, of_tfds, shards, parquet])
def test_all_bytes_are_those_that_the_archives_give(
    write: Callable[[Path, str, list[tuple[str, bytes, int]]], None],
    usual: Miniature,
    samples: dict[str, list[tuple[str, bytes, int]]],
    tmp_path: Path,
) -> None:
    (tmp_path / "source").mkdir()
    for split, of in samples.items():
        write(tmp_path / "source", split, of)
    options = BuildOptions.of(format=FORMATS, test_per_class=2, jobs=1)
    for place, out in ((tmp_path / "source", "found"), (usual.root, "expected")):
        build(place, tmp_path / out, options)
    found, expected = (dict(files(tmp_path / out)) for out in ("found", "expected"))
    assert found == expected
    assert len(found) > 20


def files(out: Path) -> list[tuple[str, bytes]]:
    """All but hidden ones, and those that say where each image came from."""
    paths = (path for path in sorted(out.rglob("*")) if path.is_file())
    named = ((str(path.relative_to(out)), path) for path in paths)
    skipped = ("manifest.parquet", "build.json")
    return [(name, path.read_bytes()) for name, path in named if name not in skipped and not name.startswith(".")]

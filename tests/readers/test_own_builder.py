"""The builder of TensorFlow Datasets and ours, run on the same archives with nothing held out: the same records, in the
same order, in the same files. Its records are serialised again before they are compared: it leaves the order of their
keys to chance.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from imagenet_prep import BuildOptions, build
from imagenet_prep.imagenet.names import validation_image
from imagenet_prep.testing import MiniatureOptions, archives, write_miniature
from imagenet_prep.testing.pictures import picture

PLAIN = MiniatureOptions(classes=3, images_per_class=15, validation_per_class=0, boxes=False, devkit=False)
UNEVEN = 10  # shards, for which 45 images give an edge that falls on a half
FOLDER = "imagenet2012/5.1.0"


@pytest.fixture(scope="module")
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archives without oddities, whose validation images are the first of the real ones: the other builder labels them
    by position.
    """
    given: Path | None = request.config.getoption("--archives")
    if given is not None:
        return given
    folder = tmp_path_factory.mktemp("plain") / "archives"
    write_miniature(folder, PLAIN)
    numbers = (7, 2, 12, 1, 5, 3, 11, 4, 8, 10, 6, 9)
    names = [validation_image(number) for number in numbers]
    archives.write_flat_archive(folder / archives.VALIDATION, [(name, picture(name)) for name in names])
    return folder


@pytest.fixture(scope="module", params=[None, UNEVEN], ids=["usual-shards", "ten-shards"])
def both(request: pytest.FixtureRequest, plain: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder that the other builder made, and ours."""
    count: int | None = request.param
    root = tmp_path_factory.mktemp("both")
    builder = tfds.builder("imagenet2012", data_dir=root / "theirs")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=plain, num_shards=count, try_download_gcs=False)
    )
    shards = {"train": count, "validation": count} if count else {}
    build(plain, root / "ours", BuildOptions.of(format=("tfds",), test_per_class=0, shards=shards))
    return root / "theirs" / FOLDER, root / "ours/tfds" / FOLDER


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("imagenet2012-*"))


def records(shard: Path) -> list[bytes]:
    return list(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator())


def again(record: bytes) -> bytes:
    return bytes(tf.train.Example.FromString(record).SerializeToString(deterministic=True))


def digest(record: bytes) -> str:
    return hashlib.sha256(record).hexdigest()


def splits(folder: Path) -> dict[str, Any]:
    return {split["name"]: split for split in json.loads((folder / "dataset_info.json").read_text())["splits"]}


def test_the_shards_have_the_same_names(both: tuple[Path, Path]) -> None:
    theirs, ours = both

    assert [path.name for path in shards(ours)] == [path.name for path in shards(theirs)]


def test_every_shard_has_the_same_records_in_the_same_order(both: tuple[Path, Path]) -> None:
    theirs, ours = both

    for mine, yours in zip(shards(ours), shards(theirs), strict=True):
        # digests: a message would show the images otherwise
        assert [digest(record) for record in records(mine)] == [digest(again(each)) for each in records(yours)], (
            mine.name
        )
        assert mine.stat().st_size == yours.stat().st_size


def test_the_class_names_are_the_same_file(both: tuple[Path, Path]) -> None:
    theirs, ours = both

    assert (ours / "label.labels.txt").read_text().split() == (theirs / "label.labels.txt").read_text().split()


def test_the_info_says_the_same_of_every_split(both: tuple[Path, Path]) -> None:
    theirs, ours = both

    assert splits(ours) == splits(theirs)


def test_the_features_are_the_same(both: tuple[Path, Path]) -> None:
    theirs, ours = (tfds.builder_from_directory(folder).info for folder in both)

    assert str(ours.features) == str(theirs.features)
    assert ours.supervised_keys == theirs.supervised_keys

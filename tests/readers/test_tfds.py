"""TensorFlow Datasets: its own `imagenet2012` on our drop-in folder, `builder_from_directory` on the classic one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from readers import truth
from readers.conftest import HOLD_OUT, SHARDS, Built

SPLITS = ("train", "validation", "test")
# Unless told so, TensorFlow Datasets reads 16 records of one shard, then 16 of the next.
IN_FILE_ORDER = tfds.ReadConfig(interleave_cycle_length=1)


@pytest.fixture(scope="module")
def drop_in(built: Built) -> Any:
    return tfds.builder("imagenet2012", data_dir=built.tfds)


@pytest.fixture(scope="module")
def documented(drop_in: Any) -> Any:
    """The same folder, known from its own documents alone: the package's builder brings class names of its own."""
    return tfds.builder_from_directory(drop_in.data_dir)


@pytest.fixture(scope="module")
def classic(built: Built) -> Any:
    return tfds.builder_from_directory(built.out / "tfrecord")


def undecoded(builder: Any, split: str) -> Any:
    keep = {"image": tfds.decode.SkipDecoding()}
    return tfds.as_numpy(builder.as_dataset(split=split, decoders=keep, read_config=IN_FILE_ORDER))


def names(drop_in: Any, split: str) -> list[str]:
    return [example["file_name"].decode() for example in undecoded(drop_in, split)]


def classic_names(classic: Any, split: str) -> list[str]:
    dataset = classic.as_dataset(split=split, read_config=IN_FILE_ORDER)
    return [example["image"]["filename"].decode() for example in tfds.as_numpy(dataset)]


def tree(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))}


def test_the_builder_is_the_one_of_the_package(drop_in: Any) -> None:
    module = "tensorflow_datasets.datasets.imagenet2012.imagenet2012_dataset_builder"

    assert type(drop_in).__module__ == module
    assert str(drop_in.version) == "5.1.0"


def test_the_builder_finds_the_data_prepared_and_touches_nothing(built: Built, drop_in: Any) -> None:
    before = tree(built.tfds)

    drop_in.download_and_prepare()

    assert tree(built.tfds) == before


def test_load_gives_images_and_labels_without_preparing(built: Built) -> None:
    dataset, info = tfds.load("imagenet2012", split="test", data_dir=built.tfds, download=False, with_info=True)

    assert sorted(next(iter(dataset))) == ["file_name", "image", "label"]
    assert info.features["label"].num_classes == 1000


def test_splits_are_as_long_as_the_info_says(built: Built, drop_in: Any, classic: Any) -> None:
    train, validation = built.truth
    held_out = HOLD_OUT * len({picture.wnid for picture in train.values()})
    expected = {"train": len(train) - held_out, "validation": len(validation), "test": held_out}

    for builder in (drop_in, classic):
        assert {name: split.num_examples for name, split in builder.info.splits.items()} == expected
        assert {name: split.num_shards for name, split in builder.info.splits.items()} == SHARDS
        assert {split: len(list(builder.as_dataset(split=split))) for split in SPLITS} == expected


@pytest.mark.parametrize("split", SPLITS)
def test_labels_count_from_zero_in_wnid_order(built: Built, drop_in: Any, split: str) -> None:
    found = {example["file_name"].decode(): example["label"] for example in undecoded(drop_in, split)}

    assert found == {name: built.pictures[name].class_index for name in found}


@pytest.mark.parametrize("split", SPLITS)
def test_the_name_of_a_label_is_its_wnid(built: Built, documented: Any, split: str) -> None:
    label = documented.info.features["label"]
    found = {example["file_name"].decode(): label.int2str(example["label"]) for example in undecoded(documented, split)}

    assert found == {name: built.pictures[name].wnid for name in found}


def test_class_names_are_those_of_the_package(drop_in: Any, documented: Any) -> None:
    assert documented.info.features["label"].names == drop_in.info.features["label"].names == truth.wnids()


@pytest.mark.parametrize("split", SPLITS)
def test_skip_decoding_gives_the_bytes_of_the_archives(built: Built, drop_in: Any, split: str) -> None:
    for example in undecoded(drop_in, split):
        picture = built.pictures[example["file_name"].decode()]

        assert not picture.plain or hashlib.sha256(example["image"]).hexdigest() == picture.sha256


@pytest.mark.parametrize("split", SPLITS)
def test_images_decode_to_their_sizes(built: Built, drop_in: Any, split: str) -> None:
    for example in tfds.as_numpy(drop_in.as_dataset(split=split)):
        picture = built.pictures[example["file_name"].decode()]

        assert example["image"].shape == (picture.height, picture.width, 3)


@pytest.mark.parametrize("builder", ["drop_in", "documented"])
def test_as_supervised_gives_pairs_of_image_and_label(request: pytest.FixtureRequest, builder: str) -> None:
    folder = request.getfixturevalue(builder)

    pairs = list(folder.as_dataset(split="validation", as_supervised=True, read_config=IN_FILE_ORDER))

    assert [int(label) for _, label in pairs] == [example["label"] for example in undecoded(folder, "validation")]
    assert {(image.dtype, image.shape.rank, image.shape[2]) for image, _ in pairs} == {(tf.uint8, 3, 3)}


@pytest.mark.parametrize("percent", [10, 30, 50, 90])
def test_two_sub_splits_are_the_split(drop_in: Any, percent: int) -> None:
    whole = names(drop_in, "train")

    assert names(drop_in, f"train[:{percent}%]") + names(drop_in, f"train[{percent}%:]") == whole


def test_sub_splits_across_every_shard_edge(drop_in: Any) -> None:
    whole, edges = names(drop_in, "train"), np.cumsum(drop_in.info.splits["train"].shard_lengths)[:-1]

    assert [names(drop_in, f"train[{edge - 1}:{edge + 1}]") for edge in edges] == [
        whole[edge - 1 : edge + 1] for edge in edges
    ]


def test_even_splits_and_merged_splits_give_every_image_once(built: Built, drop_in: Any) -> None:
    train, _ = built.truth
    thirds = [name for part in tfds.even_splits("train", n=3) for name in names(drop_in, part)]

    assert thirds == names(drop_in, "train")
    assert sorted(names(drop_in, "train+test")) == sorted(train)


@pytest.mark.parametrize("split", SPLITS)
def test_the_classic_folder_reads_with_all_its_features(built: Built, classic: Any, split: str) -> None:
    for example in tfds.as_numpy(classic.as_dataset(split=split)):
        image = example["image"]
        picture = built.pictures[image["filename"].decode()]

        assert image["encoded"].shape == (image["height"], image["width"], 3) == (picture.height, picture.width, 3)
        assert (image["class"]["label"], image["class"]["synset"].decode()) == (picture.class_index + 1, picture.wnid)
        assert (image["channels"], image["colorspace"], image["format"]) == (3, b"RGB", b"JPEG")
        assert example["image"]["object"]["bbox"]["label"].tolist() == [picture.class_index + 1] * len(picture.boxes)
        sides = [image["object"]["bbox"][side].tolist() for side in ("xmin", "ymin", "xmax", "ymax")]
        assert sides == np.array(picture.boxes, np.float32).reshape(-1, 4).T.tolist()


def test_sub_splits_of_the_classic_folder_are_the_split(classic: Any) -> None:
    whole = classic_names(classic, "train")

    assert classic_names(classic, "train[:30%]") + classic_names(classic, "train[30%:]") == whole


@pytest.mark.parametrize("split", SPLITS)
def test_both_folders_have_the_same_order(drop_in: Any, classic: Any, split: str) -> None:
    assert classic_names(classic, split) == names(drop_in, split)

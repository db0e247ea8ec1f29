"""ArrayRecord shards in TensorFlow Datasets and grain, with TensorFlow and without: bytes, label, name and order of all
images, several workers, and parts of splits.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import tensorflow_datasets as tfds

from imagenet_prep import BuildOptions, build
from readers.conftest import HOLD_OUT, SHARDS, Built

SPLITS = ("train", "validation", "test")
FOLDER = "imagenet2012/5.1.0"
Row = tuple[str, str, int]  # name, digest of the image, label

# What a script finds where TensorFlow is not installed.
WITHOUT_TENSORFLOW = """\
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name == "tensorflow" else find(name, *more)
"""


@pytest.fixture(scope="module")
def shards_of(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("arrayrecord") / "data"
    options = BuildOptions.of(format=("arrayrecord", "tfds"), test_per_class=HOLD_OUT, shards=SHARDS)
    build(built.archives, out, options)
    return Built(built.archives, out)


@pytest.fixture(scope="module")
def data_dir(shards_of: Built) -> str:
    return str(shards_of.out / "arrayrecord")


def truth(of: Built, split: str) -> list[Row]:
    """All images of a split, in their order; of one that was converted, without a digest."""
    return [(row.name, row.sha256 if of.pictures[row.name].plain else "", row.label) for row in of.rows(split)]


def rows(of: Built, examples: Iterable[dict[str, Any]]) -> list[Row]:
    """What a reader gave, whose images were not decoded."""
    found = []
    for example in examples:
        name = example["file_name"].decode()
        digest = hashlib.sha256(example["image"]).hexdigest() if of.pictures[name].plain else ""
        found.append((name, digest, int(example["label"])))
    return found


def undecoded(data_dir: str, split: str) -> Any:
    keep = {"image": tfds.decode.SkipDecoding()}
    return tfds.data_source("imagenet2012", split=split, data_dir=data_dir, decoders=keep)


def test_the_builder_is_the_one_of_the_package_and_finds_the_data_prepared(shards_of: Built, data_dir: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(data_dir).rglob("*")}
    builder = tfds.builder("imagenet2012", data_dir=data_dir)
    builder.download_and_prepare(file_format="array_record")
    assert type(builder).__module__ == "tensorflow_datasets.datasets.imagenet2012.imagenet2012_dataset_builder"
    assert {path: path.stat().st_mtime_ns for path in Path(data_dir).rglob("*")} == before
    lengths = {split: len(truth(shards_of, split)) for split in SPLITS}
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == lengths
    assert {name: split.num_shards for name, split in builder.info.splits.items()} == SHARDS


@pytest.mark.parametrize("split", SPLITS)
def test_a_data_source_has_every_sample_in_order(shards_of: Built, data_dir: str, split: str) -> None:
    source = undecoded(data_dir, split)
    assert rows(shards_of, source) == truth(shards_of, split)
    assert rows(shards_of, source.__getitems__([2, 0])) == [truth(shards_of, split)[i] for i in (2, 0)]


@pytest.mark.parametrize("split", SPLITS)
def test_images_decode_to_their_sizes(shards_of: Built, data_dir: str, split: str) -> None:
    for example in tfds.data_source("imagenet2012", split=split, data_dir=data_dir):
        picture = shards_of.pictures[example["file_name"].decode()]
        assert example["image"].shape == (picture.height, picture.width, 3)


@pytest.mark.parametrize("split", SPLITS)
def test_the_folder_is_known_from_its_own_documents_alone(shards_of: Built, data_dir: str, split: str) -> None:
    builder = tfds.builder_from_directory(f"{data_dir}/{FOLDER}")
    label = builder.info.features["label"]
    found = {example["file_name"].decode(): example["label"] for example in builder.as_data_source(split=split)}
    assert {name: label.int2str(each) for name, each in found.items()} == {
        name: shards_of.pictures[name].wnid for name in found
    }
    assert len(found) == len(truth(shards_of, split))


@pytest.mark.parametrize("percent", [10, 50, 90])
def test_two_parts_of_a_split_are_the_split(shards_of: Built, data_dir: str, percent: int) -> None:
    parts = [rows(shards_of, undecoded(data_dir, f"train[{part}]")) for part in (f":{percent}%", f"{percent}%:")]
    assert all(parts)
    assert parts[0] + parts[1] == truth(shards_of, "train")


def test_parts_across_every_edge_of_a_shard(shards_of: Built, data_dir: str) -> None:
    whole, end = truth(shards_of, "train"), 0
    for length in tfds.builder("imagenet2012", data_dir=data_dir).info.splits["train"].shard_lengths[:-1]:
        end += length
        assert rows(shards_of, undecoded(data_dir, f"train[{end - 1}:{end + 1}]")) == whole[end - 1 : end + 1]


def test_even_splits_and_merged_splits_give_every_image_once(shards_of: Built, data_dir: str) -> None:
    thirds = [row for part in tfds.even_splits("train", n=3) for row in rows(shards_of, undecoded(data_dir, part))]
    assert thirds == truth(shards_of, "train")
    assert rows(shards_of, undecoded(data_dir, "train+test")) == truth(shards_of, "train") + truth(shards_of, "test")


def test_the_documents_differ_from_those_of_tfrecord_in_format_and_bytes_alone(shards_of: Built, data_dir: str) -> None:
    ours, theirs = (
        json.loads((Path(folder) / FOLDER / "dataset_info.json").read_text()) for folder in (data_dir, shards_of.tfds)
    )
    assert (ours.pop("fileFormat"), theirs.pop("fileFormat")) == ("array_record", "tfrecord")
    assert [split.pop("numBytes") for split in ours["splits"]] != [split.pop("numBytes") for split in theirs["splits"]]
    assert ours == theirs


def test_load_gives_a_dataset_of_tensorflow_and_reads_no_array_record(data_dir: str) -> None:
    with pytest.raises(NotImplementedError, match="ArrayRecord"):
        tfds.load("imagenet2012", split="train", data_dir=data_dir)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("tensorflow", [True, False], ids=["with-tensorflow", "without"])
def test_grain_gives_every_sample_to_several_workers(
    shards_of: Built, data_dir: str, split: str, tensorflow: bool, tmp_path: Path
) -> None:
    script = tmp_path / "read.py"
    script.write_text(WITHOUT_TENSORFLOW * (not tensorflow) + GRAIN)
    ended = subprocess.run([sys.executable, script, data_dir, split], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    expected = truth(shards_of, split)
    assert not found["loaded"]
    assert found["order"] == [name for name, *_ in expected]
    assert found["shuffled"] != found["order"]
    assert sorted(found["shuffled"]) == sorted(found["order"])
    assert found["by hand"] == found["order"]
    plain = [(name, digest, label) for (name, digest, label) in map(tuple, found["rows"])]
    assert [
        (name, digest if shards_of.pictures[name].plain else "", label) for name, digest, label in plain
    ] == expected


GRAIN = """\
import glob, hashlib, json, os, sys
import grain
import tensorflow_datasets as tfds


class Told(grain.transforms.Map):
    def map(self, row):
        return row["file_name"].decode(), hashlib.sha256(row["image"]).hexdigest(), int(row["label"])


def loaded(source, shuffle, workers):
    sampler = grain.samplers.IndexSampler(len(source), num_epochs=1, shuffle=shuffle, seed=1)
    return list(grain.DataLoader(data_source=source, sampler=sampler, operations=[Told()], worker_count=workers))


if __name__ == "__main__":
    folder, split = sys.argv[1:]
    keep = {"image": tfds.decode.SkipDecoding()}
    source = tfds.data_source("imagenet2012", split=split, data_dir=folder, decoders=keep)
    rows = loaded(source, False, 2)
    features = tfds.builder_from_directory(f"{folder}/imagenet2012/5.1.0").info.features
    files = sorted(glob.glob(f"{folder}/imagenet2012/5.1.0/imagenet2012-{split}.array_record-*"))
    records = grain.MapDataset.source(grain.sources.ArrayRecordDataSource(files))
    named = records.map(lambda data: features.deserialize_example_np(data, decoders=keep)["file_name"].decode())
    print(json.dumps({
        "rows": rows,
        "order": [name for name, *_ in rows],
        "shuffled": [name for name, *_ in loaded(source, True, 3)],
        "by hand": list(named),
        "loaded": "tensorflow" in sys.modules,
    }))
"""

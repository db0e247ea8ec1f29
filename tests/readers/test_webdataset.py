"""WebDataset shards in other readers: bytes, label, class name and order of every image, with several workers."""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagenet_prep import BuildOptions, build
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from readers.conftest import HOLD_OUT, Built

SPLITS = ("train", "validation", "test")
COUNTS = {"train": 4, "validation": 4, "test": 4}


@pytest.fixture(scope="module")
def shards_of(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("webdataset") / "data"
    build(built.archives, out, BuildOptions.of(format="webdataset", test_per_class=HOLD_OUT, shards=COUNTS))
    return Built(built.archives, out)


def files(of: Built, split: str) -> list[str]:
    found = sorted(str(path) for path in (of.out / "webdataset").glob(f"{split}-*"))
    assert len(found) == COUNTS[split]
    return found


def indexes(of: Built, split: str) -> list[str]:
    return sorted(str(path) for path in (of.out / "dali-index-webdataset").glob(f"{split}-*"))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("split", SPLITS)
def test_tarfile_reads_every_sample_in_order(shards_of: Built, split: str) -> None:
    assert list(_by_tarfile(files(shards_of, split))) == shards_of.rows(split)


def _by_tarfile(paths: list[str]) -> Iterator[tuple[str, str, int, str]]:
    for path in paths:
        with tarfile.open(path) as archive:
            data = [archive.extractfile(member).read() for member in archive]  # type: ignore[union-attr]
        for image, label, text in zip(data[::3], data[1::3], data[2::3], strict=True):
            document = json.loads(text)
            yield document["filename"], sha256(image), int(label), document["class_name"]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("workers", [0, 2])
def test_webdataset_reads_every_sample(shards_of: Built, split: str, workers: int) -> None:
    import webdataset as wds

    loader = wds.WebLoader(
        wds.WebDataset(files(shards_of, split), shardshuffle=False), batch_size=None, num_workers=workers
    )
    rows = [_row(sample) for sample in loader]
    expected = shards_of.rows(split)
    assert (rows if not workers else sorted(rows)) == (expected if not workers else sorted(expected))


def _row(sample: dict[str, Any]) -> tuple[str, str, int, str]:
    document = json.loads(sample["json"])
    return document["filename"], sha256(sample["jpg"]), int(sample["cls"]), document["class_name"]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("split", SPLITS)
def test_hugging_face_reads_every_sample_in_order(
    shards_of: Built, split: str, streaming: bool, tmp_path: Path
) -> None:
    from datasets import Image, load_dataset

    folder = str(shards_of.out / "webdataset")
    rows = load_dataset("webdataset", data_dir=folder, split=split, streaming=streaming, cache_dir=str(tmp_path))
    found = [
        (row["json"]["filename"], sha256(row["jpg"]["bytes"]), row["cls"], row["json"]["class_name"])
        for row in rows.cast_column("jpg", Image(decode=False))
    ]
    assert found == shards_of.rows(split)


def test_hugging_face_gives_every_worker_its_share_of_a_small_split(miniature: Miniature, tmp_path: Path) -> None:
    from datasets import load_dataset

    build(miniature.root, tmp_path / "out", BuildOptions.of(format="webdataset", test_per_class=HOLD_OUT))
    folder = str(tmp_path / "out/webdataset")
    rows = load_dataset("webdataset", data_dir=folder, split="train", streaming=True).shuffle(seed=1)
    assert rows.num_shards == 32  # of 36 images or more: the largest power of two


def test_readers_read_all_that_was_not_set_aside(tmp_path: Path) -> None:
    from datasets import load_dataset

    bad = MiniatureOptions(wnids=("n01440764", "n02917067"), images_per_class=6, quirks=("text", "truncated"))
    archives = write_miniature(tmp_path / "archives", bad).root
    one_each = {"test_per_class": 0, "shards": {"train": 12}, "on_bad": "set-aside"}
    build(archives, tmp_path / "out", BuildOptions.of(format="webdataset", **one_each))
    made = Built(archives, tmp_path / "out")
    folder, cache = str(made.out / "webdataset"), str(tmp_path / "cache")
    assert len(load_dataset("webdataset", data_dir=folder, split="train", cache_dir=cache)) == 10
    assert len(list((made.out / "webdataset").glob("train-*"))) == 10
    assert (
        len(list(_by_dali(sorted(map(str, (made.out / "webdataset").glob("train-*"))), indexes(made, "train")))) == 10
    )


@pytest.mark.parametrize("split", SPLITS)
def test_timm_reads_every_sample_in_order(shards_of: Built, split: str) -> None:
    from readers.torch_vision import ReaderWds

    reader = ReaderWds(str(shards_of.out / "webdataset"), split=split)
    rows = list(reader)
    expected = shards_of.rows(split)
    assert len(reader) == len(expected)
    assert [label for _, label in rows] == [label for _, _, label, _ in expected]
    sizes = [(shards_of.pictures[name].width, shards_of.pictures[name].height) for name, *_ in expected]
    assert [image.size for image, _ in rows] == sizes


@pytest.mark.parametrize("split", SPLITS)
def test_dali_reads_every_sample_in_order_by_our_index(shards_of: Built, split: str) -> None:
    assert list(_by_dali(files(shards_of, split), indexes(shards_of, split))) == shards_of.rows(split)


def _by_dali(shards: list[str], indexes: list[str]) -> Iterator[tuple[str, str, int, str]]:
    from nvidia.dali import fn, pipeline_def

    @pipeline_def(batch_size=1, num_threads=1, device_id=None)  # type: ignore[untyped-decorator]
    def reading() -> Any:
        ext = ["jpg", "cls", "json"]
        return tuple(fn.readers.webdataset(paths=shards, index_paths=indexes, ext=ext, name="reader"))

    pipeline = reading()
    pipeline.build()
    for _ in range(pipeline.epoch_size("reader")):
        image, label, text = (bytes(each.at(0)) for each in pipeline.run())
        yield _row({"jpg": image, "cls": label, "json": text})


@pytest.mark.parametrize("split", SPLITS)
def test_our_index_is_the_one_that_wds2idx_makes(
    shards_of: Built, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = str(Path(sys.executable).with_name("wds2idx"))
    for shard, index in zip(files(shards_of, split), indexes(shards_of, split), strict=True):
        monkeypatch.setattr(sys, "argv", [tool, shard, os.fspath(tmp_path / "index")])
        runpy.run_module("wds2idx", run_name="__main__")
        assert Path(index).read_bytes() == (tmp_path / "index").read_bytes()

"""Parquet shards in other readers: bytes, label, class name and order of every image, with several workers."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagenet_prep import BuildOptions, LocalStore, Parquet, Sample, ShardName, build
from imagenet_prep.testing import Miniature
from imagenet_prep.testing.output_contract import planned, sample_of
from readers.conftest import HOLD_OUT, Built, Row

SPLITS = ("train", "validation", "test")
COUNTS = {"train": 4, "validation": 4, "test": 4}


@pytest.fixture(scope="module")
def shards_of(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("parquet") / "data"
    build(built.archives, out, BuildOptions.of(format="parquet", test_per_class=HOLD_OUT, shards=COUNTS))
    return Built(built.archives, out)


def files(of: Built, split: str) -> list[str]:
    found = sorted(str(path) for path in (of.out / "parquet").glob(f"{split}-*"))
    assert len(found) == COUNTS[split]
    return found


def row_of(record: dict[str, Any]) -> Row:
    image = record["image"]
    assert image["path"] == record["name"]
    return Row(record["name"], hashlib.sha256(image["bytes"]).hexdigest(), record["label"], record["class_name"])


def of_pyarrow(paths: list[str]) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    for path in paths:
        shard = pq.ParquetFile(path, page_checksum_verification=True)
        for batch in shard.iter_batches(batch_size=3):
            yield from batch.to_pylist()


def of_pandas(paths: list[str]) -> Iterator[dict[str, Any]]:
    import pandas as pd

    for path in paths:
        yield from pd.read_parquet(path).to_dict("records")


def of_polars(paths: list[str]) -> Iterator[dict[str, Any]]:
    import polars as pl

    yield from pl.scan_parquet(paths).collect().iter_rows(named=True)


def of_duckdb(paths: list[str]) -> Iterator[dict[str, Any]]:
    import duckdb

    rows = duckdb.sql("SELECT * FROM read_parquet($paths)", params={"paths": paths})
    yield from (dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall())


@pytest.mark.parametrize("read", [of_pyarrow, of_pandas, of_polars, of_duckdb])
@pytest.mark.parametrize("split", SPLITS)
def test_a_table_has_every_sample_in_order(
    shards_of: Built, split: str, read: Callable[[list[str]], Iterator[dict[str, Any]]]
) -> None:
    records = list(read(files(shards_of, split)))
    assert [row_of(record) for record in records] == shards_of.rows(split)
    pictures = [shards_of.pictures[record["name"]] for record in records]
    found = [(record["wnid"], record["width"], record["height"]) for record in records]
    assert found == [(picture.wnid, picture.width, picture.height) for picture in pictures]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("split", SPLITS)
def test_hugging_face_has_every_sample_in_order_and_names_of_labels(
    shards_of: Built, split: str, streaming: bool, tmp_path: Path
) -> None:
    from datasets import Image

    rows = _loaded(shards_of, split, tmp_path, streaming=streaming)
    assert [row_of(row) for row in rows.cast_column("image", Image(decode=False))] == shards_of.rows(split)
    names = rows.features["label"].names
    decoded = [(names[row["label"]], sorted(row["image"].size)) for row in rows]  # it turns them as EXIF says
    assert decoded == [
        (row.class_name, sorted((shards_of.pictures[row.name].width, shards_of.pictures[row.name].height)))
        for row in shards_of.rows(split)
    ]


def _loaded(of: Built, split: str, cache: Path, **how: Any) -> Any:
    from datasets import load_dataset

    return load_dataset("parquet", data_dir=str(of.out / "parquet"), split=split, cache_dir=str(cache), **how)


def test_hugging_face_knows_the_splits_by_the_names_of_files(shards_of: Built, tmp_path: Path) -> None:
    from datasets import load_dataset

    found = load_dataset(str(shards_of.out / "parquet"), cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in found.items()} == {
        split: len(shards_of.rows(split)) for split in SPLITS
    }


def test_hugging_face_takes_any_image_by_its_number(shards_of: Built, tmp_path: Path) -> None:
    from datasets import Image

    rows = _loaded(shards_of, "train", tmp_path).cast_column("image", Image(decode=False))
    expected = shards_of.rows("train")
    assert [row_of(rows[place]) for place in (7, 0, -1)] == [expected[place] for place in (7, 0, -1)]
    assert [row_of(row) for row in rows.shuffle(seed=1)] != expected
    assert sorted(row_of(row) for row in rows.shuffle(seed=1)) == sorted(expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_hugging_face_shuffles_a_stream_for_several_workers(shards_of: Built, workers: int, tmp_path: Path) -> None:
    from datasets import Image
    from torch.utils.data import DataLoader

    rows = _loaded(shards_of, "train", tmp_path, streaming=True).cast_column("image", Image(decode=False))
    loader = DataLoader(rows.shuffle(seed=1, buffer_size=10), batch_size=None, num_workers=workers)
    found = [row_of(row) for row in loader]
    assert found != shards_of.rows("train")
    assert sorted(found) == sorted(shards_of.rows("train"))


def test_hugging_face_gives_every_worker_its_share_of_a_small_split(miniature: Miniature, tmp_path: Path) -> None:
    build(miniature.root, tmp_path / "out", BuildOptions.of(format="parquet", test_per_class=HOLD_OUT))
    rows = _loaded(Built(miniature.root, tmp_path / "out"), "train", tmp_path, streaming=True)
    assert rows.shuffle(seed=1).num_shards == 32  # of 36 images or more: the largest power of two


@pytest.fixture
def row_groups(tmp_path: Path) -> Path:
    """A shard of three row groups."""
    _write(tmp_path, ShardName("train", 0, 1), [sample_of(f"n01440764_{row}.JPEG", bytes(row)) for row in range(130)])
    return tmp_path / "parquet"


def _write(out: Path, shard: ShardName, samples: Sequence[Sample]) -> None:
    with LocalStore(str(out)).batch() as batch:
        writer = Parquet().writer(batch, replace(planned(samples), shard=shard))
        for sample in samples:
            writer.add(sample)
        writer.finish()
        batch.commit()


@pytest.mark.parametrize("read", [of_pyarrow, of_pandas, of_polars, of_duckdb])
def test_a_table_goes_on_over_row_groups(
    row_groups: Path, read: Callable[[list[str]], Iterator[dict[str, Any]]]
) -> None:
    records = list(read([str(path) for path in row_groups.iterdir()]))
    assert [(record["name"], record["image"]["bytes"]) for record in records] == [
        (f"n01440764_{row}.JPEG", bytes(row)) for row in range(130)
    ]


def test_hugging_face_goes_on_over_row_groups(row_groups: Path) -> None:
    from datasets import Image, load_dataset

    rows = load_dataset("parquet", data_dir=str(row_groups), split="train", streaming=True)
    found = [row["image"]["bytes"] for row in rows.cast_column("image", Image(decode=False))]
    assert found == [bytes(row) for row in range(130)]


@pytest.fixture
def empty_first(shards_of: Built, tmp_path: Path) -> Path:
    """A data set of which all images of the first shard were set aside."""
    _write(tmp_path, ShardName("train", 0, 2), [])
    shutil.copy(files(shards_of, "train")[0], tmp_path / "parquet/train-00001-of-00002.parquet")
    return tmp_path / "parquet"


@pytest.mark.parametrize("read", [of_pyarrow, of_pandas, of_polars, of_duckdb])
def test_a_table_may_be_empty(empty_first: Path, read: Callable[[list[str]], Iterator[dict[str, Any]]]) -> None:
    shards = sorted(map(str, empty_first.iterdir()))
    assert list(read(shards[:1])) == []
    assert len(list(read(shards))) == len(list(read(shards[1:]))) > 0


@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_passes_over_an_empty_shard(empty_first: Path, tmp_path: Path, streaming: bool) -> None:
    from datasets import load_dataset

    cache = str(tmp_path / "cache")
    rows = load_dataset("parquet", data_dir=str(empty_first), split="train", cache_dir=cache, streaming=streaming)
    assert len(list(rows)) == len(list(of_pyarrow([str(empty_first / "train-00001-of-00002.parquet")])))
    assert rows.features["label"].names[0] == "tench"


@pytest.mark.parametrize("split", SPLITS)
def test_timm_has_every_sample_in_order(shards_of: Built, split: str, tmp_path: Path) -> None:
    from readers.torch_vision import ReaderHfds

    reader = ReaderHfds(str(shards_of.out / "parquet"), root=str(tmp_path), split=split)
    rows = [(hashlib.sha256(image.read()).hexdigest(), label) for image, label in reader]
    assert rows == [(row.sha256, row.label) for row in shards_of.rows(split)]
    assert reader.filenames() == [row.name for row in shards_of.rows(split)]
    assert {name: reader.class_to_idx[name] for name in ("tench", "toilet_tissue")} == {
        "tench": 0,
        "toilet_tissue": 999,
    }

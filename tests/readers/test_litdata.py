"""LitData chunks in litdata: bytes, label, class name and order of every image, with several workers; and the bytes of
its own writer.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from imagenet_prep import BuildOptions, build
from readers.conftest import HOLD_OUT, Built

SPLITS = ("train", "validation", "test")
COUNTS = {"train": 4, "validation": 3, "test": 2}

Row = tuple[str, str, int, str]


@pytest.fixture(scope="module")
def chunks_of(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("litdata") / "data"
    build(built.archives, out, BuildOptions.of(format="litdata", test_per_class=HOLD_OUT, shards=COUNTS))
    return Built(built.archives, out)


@pytest.fixture
def dataset(chunks_of: Built, tmp_path: Path) -> Any:
    from litdata import StreamingDataset

    def of(split: str, **options: Any) -> Any:
        return StreamingDataset(str(chunks_of.out / "litdata" / split), cache_dir=str(tmp_path / "cache"), **options)

    return of


def row(sample: dict[str, Any]) -> Row:
    return sample["name"], hashlib.sha256(sample["image"]).hexdigest(), sample["label"], sample["class_name"]


def rows(batch: list[dict[str, Any]]) -> list[Row]:
    return list(map(row, batch))


@pytest.mark.parametrize("split", SPLITS)
def test_litdata_reads_every_sample_in_order_and_leaves_the_data_set_as_it_is(
    chunks_of: Built, split: str, dataset: Any
) -> None:
    before = _files(chunks_of.out)
    found = dataset(split)
    assert rows(found) == chunks_of.rows(split)
    assert rows([found[place] for place in range(len(found))]) == chunks_of.rows(split)
    assert _files(chunks_of.out) == before


def _files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_litdata_reads_every_sample_once_with_several_workers(
    chunks_of: Built, split: str, shuffle: bool, workers: int, dataset: Any
) -> None:
    from litdata import StreamingDataLoader

    loader = StreamingDataLoader(dataset(split, shuffle=shuffle), batch_size=2, num_workers=workers, collate_fn=rows)
    found = [each for batch in loader for each in batch]
    assert sorted(found) == sorted(chunks_of.rows(split))
    assert not shuffle or found != chunks_of.rows(split)


@pytest.mark.parametrize("split", SPLITS)
def test_a_sample_says_what_its_image_is(chunks_of: Built, split: str, dataset: Any) -> None:
    for sample in dataset(split):
        picture = chunks_of.pictures[sample["name"]]
        assert (sample["width"], sample["height"], sample["wnid"]) == (picture.width, picture.height, picture.wnid)
        assert (sample["kind"] == 0) == picture.plain


@pytest.mark.parametrize("split", SPLITS)
def test_chunks_and_index_are_those_that_its_own_writer_makes(
    chunks_of: Built, split: str, dataset: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from litdata.streaming import writer

    # It can store a row as Arrow's bytes, too, of which it reads 256 at once. Without that it writes items.
    monkeypatch.setattr(writer, "is_arrow_footer_type", lambda _: False)
    folder = chunks_of.out / "litdata" / split
    index = json.loads((folder / "index.json").read_bytes())
    samples = iter(dataset(split))
    for place, chunk in enumerate(index["chunks"]):
        own = tmp_path / str(place)
        writing = writer.BinaryWriter(str(own), chunk_bytes="4GB")
        for item in range(chunk["chunk_size"]):
            sample = next(samples)
            writing[item] = {**sample, "image": bytes(sample["image"])}  # it gives a view of the mapped chunk
        writing.done()
        writing.merge()
        assert (own / "chunk-0-0.bin").read_bytes() == (folder / chunk["filename"]).read_bytes()
        written = json.loads((own / "index.json").read_bytes())
        assert written["chunks"] == [chunk | {"filename": "chunk-0-0.bin"}]
        assert written["config"] | {"chunk_bytes": None} == index["config"]
    assert json.dumps(index, sort_keys=True).encode() == (folder / "index.json").read_bytes()

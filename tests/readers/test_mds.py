"""MDS shards in mosaicml-streaming: bytes, label, class name and order of every image, with several workers; and
the bytes of its own writer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import readers.torch_vision  # noqa: F401 — which loads torchvision where PyTorch has no CUDA
from imagenet_prep import BuildOptions, build
from imagenet_prep.testing import Miniature
from readers.conftest import HOLD_OUT, Built

SPLITS = ("train", "validation", "test")
COUNTS = {"train": 4, "validation": 3, "test": 2}
HASH = "xxh128"

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # streaming leaves closing to others

Row = tuple[str, str, int, str]


@pytest.fixture(scope="module")
def shards_of(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("mds") / "data"
    build(built.archives, out, BuildOptions.of(format="mds", test_per_class=HOLD_OUT, shards=COUNTS))
    return Built(built.archives, out)


def row(sample: dict[str, Any]) -> Row:
    image = sample["x"]  # a picture of Pillow's that nobody has decoded
    image.fp.seek(0)
    return sample["name"], hashlib.sha256(image.fp.read()).hexdigest(), sample["y"], sample["class_name"]


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[Any]:
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    clean_stale_shared_memory()

    def of(folder: Path, split: str, **options: Any) -> Any:
        cache = str(tmp_path / "cache")  # to which it copies shards, and compares their hashes on the way
        given = {"batch_size": 2, "num_canonical_nodes": 1, "validate_hash": HASH} | options
        return StreamingDataset(remote=str(folder / "mds"), local=cache, split=split, **given)

    yield of
    clean_stale_shared_memory()


@pytest.mark.parametrize("split", SPLITS)
def test_streaming_reads_every_sample_in_order(shards_of: Built, split: str, dataset: Any) -> None:
    found = dataset(shards_of.out, split)
    assert list(map(row, found)) == shards_of.rows(split)
    assert list(map(row, map(found.__getitem__, range(len(found))))) == shards_of.rows(split)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_streaming_reads_every_sample_with_several_workers(
    shards_of: Built, split: str, shuffle: bool, dataset: Any
) -> None:
    from torch.utils.data import DataLoader

    found = dataset(shards_of.out, split, shuffle=shuffle)
    rows = [
        each
        for batch in DataLoader(found, 2, num_workers=2, collate_fn=lambda batch: list(map(row, batch)))
        for each in batch
    ]
    assert set(rows) == set(shards_of.rows(split))  # it repeats a sample where they do not divide by the workers
    assert len(rows) - len(set(rows)) <= 2
    assert not shuffle or rows != shards_of.rows(split)


def test_streaming_reads_where_the_data_set_lies_and_leaves_it_as_it_is(shards_of: Built) -> None:
    from streaming import StreamingDataset

    before = _files(shards_of.out)
    found = StreamingDataset(local=str(shards_of.out / "mds"), split="train", batch_size=2, num_canonical_nodes=1)
    assert list(map(row, found)) == shards_of.rows("train")
    assert _files(shards_of.out) == before


def _files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_streaming_decodes_whatever_an_image_is(shards_of: Built, miniature: Miniature, dataset: Any) -> None:
    for split in SPLITS:
        for sample in dataset(shards_of.out, split):
            picture = shards_of.pictures[sample["name"]]
            assert sample["x"].convert("RGB").size == (picture.width, picture.height)
            assert (sample["width"], sample["height"]) == (picture.width, picture.height)
            assert (sample["kind"] == 0) == picture.plain


def test_its_own_class_for_imagenet_reads_images_and_labels(shards_of: Built) -> None:
    from streaming.vision import StreamingImageNet

    folder = str(shards_of.out / "mds")
    found = StreamingImageNet(local=folder, split="validation", batch_size=2, num_canonical_nodes=1)
    expected = shards_of.rows("validation")
    sizes = [(shards_of.pictures[name].height, shards_of.pictures[name].width) for name, *_ in expected]
    read = list(found)
    assert [label for _, label in read] == [label for _, _, label, _ in expected]
    assert [tuple(image.shape[1:]) for image, _ in read] == sizes


def test_streaming_refuses_a_shard_with_a_flipped_byte(shards_of: Built, tmp_path: Path, dataset: Any) -> None:
    split = tmp_path / "mds/test"
    split.mkdir(parents=True)
    for path in (shards_of.out / "mds/test").iterdir():
        split.joinpath(path.name).write_bytes(path.read_bytes())
    shard = split / "shard.00001.mds"
    data = bytearray(shard.read_bytes())
    data[-20] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ValueError, match="Checksum failure"):
        dataset(tmp_path, "test", download_retry=1)[-1]


@pytest.mark.parametrize("split", SPLITS)
def test_shards_and_index_are_those_that_its_own_writer_makes(shards_of: Built, split: str, tmp_path: Path) -> None:
    from streaming import MDSWriter
    from streaming.base.format.mds.encodings import JPEG, _encodings

    class Original(JPEG):  # type: ignore[misc]
        def encode(self, obj: bytes) -> bytes:  # of a picture it would write the file that it was opened from
            return obj

    folder = shards_of.out / "mds" / split
    index = json.loads((folder / "index.json").read_bytes())
    assert json.dumps(index, sort_keys=True).encode() == (folder / "index.json").read_bytes()
    head = index["shards"][0]
    columns = dict(zip(head["column_names"], head["column_encodings"], strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_encodings, "jpeg", Original)
        for place, shard in enumerate(index["shards"]):
            own = tmp_path / str(place)
            with MDSWriter(out=str(own), columns=columns, hashes=[HASH], size_limit=None) as writer:
                for sample in _samples(folder, shard):
                    writer.write(sample)
            assert (own / "shard.00000.mds").read_bytes() == (folder / shard["raw_data"]["basename"]).read_bytes()
            (written,) = json.loads((own / "index.json").read_bytes())["shards"]
            written["raw_data"]["basename"] = shard["raw_data"]["basename"]
            assert written == shard


def _samples(folder: Path, shard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from streaming.base.format.mds.reader import MDSReader

    reader = MDSReader.from_json(str(folder), "", shard)
    for place in range(shard["samples"]):
        sample = reader[place]
        sample["x"] = sample["x"].fp.getvalue()
        yield sample

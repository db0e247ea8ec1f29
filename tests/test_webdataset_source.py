"""Shards of WebDataset as a source: the same data set as from the official archives, or a sentence."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, IndexOptions
from imagenet_prep.sources.search import form_of, recognise
from imagenet_prep.sources.webdataset import WebDatasetShards
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.archives import TRAIN, write_flat_archive
from imagenet_prep.testing.contracts import Known, SourceContract
from support.build import is_the_same, refused
from support.tools import run_tool
from test_sources import images

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

TENCH, CRANE = "n01440764", "n02012849"
SHAPE = MiniatureOptions(wnids=(TENCH, CRANE), images_per_class=3, validation_per_class=2, boxes=False, devkit=False)
HERE = IndexOptions(jobs=1)
TENCHES = [(f"{TENCH}_{number}.jpg", f"{TENCH}_{number}.cls", b"0") for number in range(4)]


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """The official archives."""
    return write_miniature(tmp_path_factory.mktemp("usual"), SHAPE)


def shard(path: Path, *labels: tuple[str, str, bytes]) -> None:
    """A shard of images that are no images: the index looks at names alone."""
    write_flat_archive(path, [each for image, label, text in labels for each in ((image, b"bytes"), (label, text))])


class TestWebDatasetShards(SourceContract):
    """As timm's are: a key, ``jpg``, ``cls`` and ``json``, in two shards a split."""

    source = WebDatasetShards()

    def write(self, folder: Path) -> tuple[Known, ...]:
        for split in ("train", "validation"):
            of = [image for image in images() if image.split == split]
            for number, part in enumerate((of[: len(of) // 2], of[len(of) // 2 :])):
                members = [member for image in part for member in as_timm_does(image)]
                write_flat_archive(folder / f"imagenet1k-{split}-{number:04}.tar", members)
        return images()


def as_timm_does(image: Known) -> Iterator[tuple[str, bytes]]:
    key = image.name.removesuffix(".JPEG")
    index = imagenet_prep.official().index_of(image.wnid)
    yield f"{key}.cls", str(index).encode()
    yield f"{key}.jpg", image.data
    yield f"{key}.json", b'{"filename": "%s/%s"}' % (image.wnid.encode(), image.name.encode())


def test_from_our_own_shards_come_the_bytes_that_the_archives_give(usual: Miniature, tmp_path: Path) -> None:
    shards = BuildOptions.of(format="webdataset", test_per_class=1, jobs=1)
    imagenet_prep.build(usual.root, tmp_path / "shards", shards)
    (tmp_path / "shards" / "webdataset").rename(tmp_path / "webdataset")
    options = BuildOptions.of(format=("tfrecord", "tfds", "webdataset", "folders"), test_per_class=1, jobs=1)

    is_the_same(tmp_path / "webdataset", usual.root, tmp_path, options)

    rows = pq.read_table(tmp_path / "found/manifest.parquet").to_pylist()
    assert {row["source_container"].partition("-")[0] for row in rows} == {"train", "validation", "test"}


def test_a_label_of_another_numbering_is_named(tmp_path: Path) -> None:
    shard(tmp_path / "train-0000.tar", TENCHES[0], (*TENCHES[1][:2], b"1"), (*TENCHES[2][:2], b"tench"))
    problems = refused(tmp_path).problems
    assert [(problem.archive, problem.member) for problem in problems] == [
        ("train-0000.tar", f"{TENCH}_1.jpg"),
        ("train-0000.tar", f"{TENCH}_2.jpg"),
    ]
    assert problems[0].reason == f"has the label 1, but its name is of class 0 ({TENCH}, tench)"
    assert problems[1].reason == f"has the label tench, but its name is of class 0 ({TENCH}, tench)"


def test_a_label_without_an_image_is_named(tmp_path: Path) -> None:
    write_flat_archive(
        tmp_path / "a-0.tar", [(f"{TENCH}_1.jpg", b"bytes"), (f"{TENCH}_1.cls", b"0"), (f"{TENCH}_2.cls", b"0")]
    )
    (problem,) = refused(tmp_path).problems
    assert (problem.member, problem.reason) == (f"{TENCH}_2.cls", "has no image beside it")


def test_a_key_that_is_there_twice_is_named(tmp_path: Path) -> None:
    shard(tmp_path / "train-0.tar", TENCHES[0], TENCHES[0])
    assert [(problem.member, problem.reason) for problem in refused(tmp_path).problems] == [
        (f"{TENCH}_0.jpg", "is there twice"),
        (f"{TENCH}_0.cls", "is there twice"),
    ]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    for number in (0, 1, 3):
        shard(tmp_path / f"imagenet1k-train-{number:04}.tar", TENCHES[number])
    (problem,) = refused(tmp_path).problems
    assert (problem.member, problem.reason) == ("imagenet1k-train-0002.tar", "is missing, or is not a shard")


def test_a_missing_last_shard_is_named_where_the_names_have_their_number(tmp_path: Path) -> None:
    shard(tmp_path / "train-00000-of-00003.tar", TENCHES[0])
    assert [problem.member for problem in refused(tmp_path).problems] == [
        "train-00001-of-00003.tar",
        "train-00002-of-00003.tar",
    ]


def test_a_row_of_shards_may_hold_both_splits(tmp_path: Path) -> None:
    shard(tmp_path / "imagenet-0.tar", TENCHES[0])
    shard(tmp_path / "imagenet-1.tar", ("ILSVRC2012_val_00000001.jpg", "ILSVRC2012_val_00000001.cls", b"65"))
    assert {role: len(each.parts) for role, each in recognise([tmp_path]).items()} == {"train": 1, "validation": 1}


def test_an_image_in_two_shards_is_named(tmp_path: Path) -> None:
    for number in range(2):
        shard(tmp_path / f"train-{number}.tar", TENCHES[0])
    assert any(f"{TENCH}_0.JPEG" in str(problem) for problem in refused(tmp_path).problems)


def test_a_shard_that_is_cut_short_is_named_with_the_place(tmp_path: Path) -> None:
    shard(tmp_path / "train-0.tar", *TENCHES)
    data = (tmp_path / "train-0.tar").read_bytes()
    (tmp_path / "train-0.tar").write_bytes(data[: 512 * 5 + 100])
    (problem,) = refused(tmp_path).problems
    assert problem.archive == "train-0.tar"
    assert problem.offset


def test_keys_that_lead_elsewhere_are_no_names(tmp_path: Path) -> None:
    shard(tmp_path / "train-0.tar", TENCHES[0], (f"../{TENCH}_1.jpg", f"../{TENCH}_1.cls", b"0"))
    (problem,) = refused(tmp_path).problems
    assert problem.reason == "is not named like an ImageNet train image"


def test_shards_of_timm_say_whose_bytes_they_have(tmp_path: Path) -> None:
    shard(tmp_path / "imagenet1k-train-0000.tar", *TENCHES)
    (found,) = recognise([tmp_path]).values()
    assert form_of(found) == "1 WebDataset shard with the bytes of TFDS"


def test_the_archives_come_before_shards_that_were_made_of_them(usual: Miniature, tmp_path: Path) -> None:
    (tmp_path / TRAIN).symlink_to(usual.root / TRAIN)
    shard(tmp_path / "train-0.tar", *TENCHES)
    shard(tmp_path / "test-0.tar", *TENCHES)
    said: list[str] = []
    found = recognise([tmp_path], tell=said.append)
    assert {role: each.path.name for role, each in found.items()} == {"train": TRAIN}
    assert any("train-0.tar is a shard of train, which is there" in sentence for sentence in said)
    assert replace(found["train"], path=usual.root / TRAIN).size


def test_a_compressed_archive_comes_before_them_too(usual: Miniature, tmp_path: Path) -> None:
    """A shard may have converted some images, which nobody would notice; to unpack takes only time."""
    (tmp_path / f"{TRAIN}.gz").write_bytes(gzip.compress((usual.root / TRAIN).read_bytes()))
    shard(tmp_path / "train-0.tar", *TENCHES)
    assert {role: each.path.name for role, each in recognise([tmp_path]).items()} == {"train": f"{TRAIN}.gz"}


def test_unpacked_shards_are_a_folder_of_images(usual: Miniature, tmp_path: Path) -> None:
    imagenet_prep.build(usual.root, tmp_path / "ours", BuildOptions.of(format="webdataset", test_per_class=0, jobs=1))
    for shard in sorted((tmp_path / "ours" / "webdataset").rglob("*.tar")):
        split = tmp_path / "source" / shard.name.partition("-")[0]
        split.mkdir(parents=True, exist_ok=True)
        run_tool("tar", "-xf", shard, here=split)
    assert {file.suffix for file in (tmp_path / "source").rglob("*.*")} == {".jpg", ".cls", ".json"}
    is_the_same(tmp_path / "source", usual.root, tmp_path, BuildOptions.of(test_per_class=1, jobs=1))

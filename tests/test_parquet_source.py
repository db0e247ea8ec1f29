"""Parquet as a source: the same data set as from the official archives, or a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, IndexOptions, SourceError
from imagenet_prep.imagenet.archives import HELD_OUT, UNLABELLED
from imagenet_prep.imagenet.archives import TRAIN as TRAIN_ROLE
from imagenet_prep.sources import parquet
from imagenet_prep.sources.parquet import ParquetShards
from imagenet_prep.sources.plain import plain_form
from imagenet_prep.sources.search import form_of, recognise
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.contracts import Known, SourceContract
from support.build import is_the_same, refused
from support.sentences import Sentence
from test_sources import images

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

TENCH, CRANE, MAILLOT = "n01440764", "n02012849", "n03126707"
HERE = IndexOptions(jobs=1)
IMAGE = b"\xff\xd8" + bytes(900)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """The official archives with the images of `images`."""
    options = MiniatureOptions(
        wnids=(TENCH, CRANE, MAILLOT), images_per_class=3, validation_per_class=2, boxes=False, devkit=False
    )
    return write_miniature(tmp_path_factory.mktemp("usual"), options)


def row(image: Known) -> dict[str, Any]:
    """An image as Hugging Face has it, with its class at the end of its name."""
    path = image.name.replace(".JPEG", f"_{image.wnid}.JPEG")
    return {"image": {"bytes": image.data, "path": path}, "label": imagenet_prep.official().index_of(image.wnid)}


def tench(number: int, **other: Any) -> dict[str, Any]:
    return {"image": {"bytes": IMAGE, "path": f"{TENCH}_{number}.JPEG"}, "label": 0, **other}


def write(path: Path, rows: Iterable[dict[str, Any]], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path, **options)


def write_all(folder: Path, train: Sequence[str], validation: Sequence[str]) -> tuple[Known, ...]:
    """Deal the images of each split to files, the last ones first."""
    for split, names in (("train", train), ("validation", validation)):
        of = [image for image in reversed(images()) if image.split == split]
        for number, name in enumerate(names):
            write(folder / name, map(row, of[number :: len(names)]))
    return images()


def of_2022(folder: Path) -> None:
    train = [f"data/train-{number:05}-of-00002-0a1b2c3d4e5f607{number}.parquet" for number in range(2)]
    write_all(folder, train, ["data/validation-00000-of-00001-a1b2c3d4e5f60718.parquet"])


def converted(folder: Path) -> None:
    """The branch of Parquet that Hugging Face makes of any data set."""
    write_all(folder, ["default/train/0000.parquet", "default/train/0001.parquet"], ["default/validation/0000.parquet"])


def in_one_file(folder: Path) -> None:
    write_all(folder, ["train.parquet"], ["val.parquet"])


class TestParquetShards(SourceContract):
    """As Hugging Face names them."""

    source = ParquetShards()

    def write(self, folder: Path) -> tuple[Known, ...]:
        train = [f"train-{number:05}-of-00002.parquet" for number in range(2)]
        return write_all(folder, train, ["validation-00000-of-00001.parquet"])


# --- The same data set ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lay_out", [of_2022, converted, in_one_file])
def test_all_bytes_are_those_that_the_archives_give(lay_out: Any, usual: Miniature, tmp_path: Path) -> None:
    lay_out(tmp_path / "source")
    options = BuildOptions.of(format=("tfrecord", "parquet", "folders"), test_per_class=1, jobs=1)
    is_the_same(tmp_path / "source", usual.root, tmp_path, options)


def test_our_own_parquet_is_read_with_what_it_holds_out(usual: Miniature, tmp_path: Path) -> None:
    imagenet_prep.build(usual.root, tmp_path / "ours", BuildOptions.of(format="parquet", test_per_class=1, jobs=1))
    shards = tmp_path / "ours" / "parquet"
    assert {each.role for each in recognise([shards]).values()} == {TRAIN_ROLE, HELD_OUT, "validation"}
    is_the_same(shards, usual.root, tmp_path, BuildOptions.of(format="tfds", test_per_class=1, jobs=1))


@pytest.mark.parametrize(
    "options", [{"compression": "zstd"}, {"row_group_size": 2}, {"use_dictionary": ["image.bytes"]}]
)
def test_however_pages_are_written_the_plain_form_is_the_same(options: dict[str, Any], tmp_path: Path) -> None:
    rows = [tench(1), tench(2), tench(3)]
    write(tmp_path / "plain" / "train.parquet", rows, compression="none")
    write(tmp_path / "other" / "train.parquet", rows, **options)
    forms = [b"".join(plain_form(tmp_path / place / "train.parquet")) for place in ("plain", "other")]
    assert forms[0] == forms[1]
    assert forms[0].startswith(3 * IMAGE)


def test_other_columns_and_other_types_of_the_same_do_not_matter(tmp_path: Path) -> None:
    image = pa.struct([("path", pa.large_string()), ("bytes", pa.large_binary()), ("width", pa.int32())])
    schema = pa.schema([("text", pa.string()), ("label", pa.int16()), ("image", image)])
    rows = [tench(1, text="a fish"), tench(2, text="another")]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "train.parquet")
    assert imagenet_prep.index(tmp_path, HERE).table.column("name").to_pylist() == [
        f"{TENCH}_1.JPEG",
        f"{TENCH}_2.JPEG",
    ]


def test_images_without_labels_are_named_and_not_used(tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00001.parquet", [tench(1)])
    nameless = {"image": {"bytes": IMAGE, "path": "ILSVRC2012_test_00000001.JPEG"}, "label": -1}
    write(tmp_path / "test-00000-of-00001.parquet", [nameless])
    found = recognise([tmp_path])
    assert sorted(found) == [TRAIN_ROLE, UNLABELLED]
    assert len(imagenet_prep.index(tmp_path, HERE).table) == 1


def test_folders_beside_it_are_used_in_its_place(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train-00000-of-00001.parquet", [tench(1)])
    (tmp_path / "train" / TENCH).mkdir(parents=True)
    (tmp_path / "train" / TENCH / f"{TENCH}_1.JPEG").write_bytes(IMAGE)
    said: list[str] = []
    (found,) = recognise([tmp_path], tell=said.append).values()
    assert form_of(found) == "1 class folder"
    assert "train-00000-of-00001.parquet" in " ".join(said)


# --- What is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (tench(1, label=3), "has the label 3, but its name is of class 0 (n01440764, tench)"),
        (tench(1, label=None), "has the label None, but its name is of class 0 (n01440764, tench)"),
        (tench(1, image={"bytes": None, "path": f"{TENCH}_1.JPEG"}), "has no image"),
        (tench(1, image={"bytes": IMAGE, "path": None}), "has no name of a file in image.path"),
        (tench(1, image={"bytes": IMAGE, "path": f"{CRANE}/{TENCH}_1.JPEG"}), "is in the folder n02012849"),
        (
            tench(1, image={"bytes": IMAGE, "path": f"{TENCH}_1_{CRANE}.JPEG"}),
            "begins with n01440764 and ends in n02012849",
        ),
        (tench(1, image={"bytes": IMAGE, "path": f"../{TENCH}_1.JPEG"}), "is not named like an ImageNet train image"),
        (tench(1, image={"bytes": IMAGE, "path": f"{TENCH}_1.JPEG\0"}), "is not named like an ImageNet train image"),
    ],
)
def test_a_row_that_cannot_be_right_is_named(of: dict[str, Any], reason: str, tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", [tench(2), of])
    (problem,) = refused(tmp_path).problems
    assert problem.archive == "train.parquet"
    assert problem.member.startswith("row 1 (")
    assert problem.reason.startswith(reason)


def test_an_image_in_two_shards_is_named_with_both(tmp_path: Path, sentence: Sentence) -> None:
    for number in (0, 1):
        write(tmp_path / f"train-{number:05}-of-00002.parquet", [tench(number), tench(7)])
    sentence(refused(tmp_path))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    for number in (0, 2):
        write(tmp_path / f"train-{number:05}-of-00003.parquet", [tench(number)])
    (problem,) = refused(tmp_path).problems
    assert (problem.member, problem.reason) == ("train-00001-of-00003.parquet", "is missing, or is not a shard")


def test_one_shard_of_several_is_not_taken_for_all(tmp_path: Path, sentence: Sentence) -> None:
    for number in (0, 1):
        write(tmp_path / f"train-{number:05}-of-00002.parquet", [tench(number)])
    sentence(refused(tmp_path / "train-00000-of-00002.parquet"))


@pytest.mark.parametrize("length", [0, 4, 200, -1])
def test_a_shard_that_was_cut_is_named(length: int, tmp_path: Path) -> None:
    for number in (0, 1):
        write(tmp_path / f"train-{number:05}-of-00002.parquet", [tench(number)])
    shard = tmp_path / "train-00001-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:length])
    assert "train-00001-of-00002.parquet" in str(refused(tmp_path))


def test_a_flipped_byte_in_a_page_is_an_error_that_names_the_shard(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", [tench(1), tench(2)], compression="snappy", write_page_checksum=True)
    sound = (tmp_path / "train.parquet").read_bytes()
    place = sound.index(b"\xff\xd8")
    (tmp_path / "train.parquet").write_bytes(sound[:place] + b"\0" + sound[place + 1 :])
    assert "train.parquet" in str(refused(tmp_path))


def test_a_table_of_something_else_is_named_with_its_columns(tmp_path: Path, sentence: Sentence) -> None:
    write(tmp_path / "part-0.parquet", [{"user": 1, "text": "nothing"}])
    sentence(refused(tmp_path))


def test_a_set_whose_images_have_other_names_is_named(tmp_path: Path, sentence: Sentence) -> None:
    write(tmp_path / "train.parquet", [tench(1, image={"bytes": IMAGE, "path": "0.jpg"})])
    sentence(refused(tmp_path))


def test_more_bytes_than_the_footer_says_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a few bytes can stand for gigabytes: every row the same image."""
    monkeypatch.setattr(parquet, "_MOST_BYTES", 0)
    large = {"bytes": bytes(100_000), "path": f"{TENCH}_1.JPEG"}
    write(tmp_path / "train.parquet", [tench(1, image=large)] * 50, use_dictionary=True)
    with pytest.raises(SourceError, match="has more bytes of images than the footers of the set say"):
        list(plain_form(tmp_path / "train.parquet"))

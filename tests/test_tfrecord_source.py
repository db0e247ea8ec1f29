"""TFRecord files as a source: the same data set as from the official archives, or a sentence."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, IndexOptions
from imagenet_prep.codecs.example import bytes_entry, delimited, int64_entry
from imagenet_prep.imagenet.archives import TRAIN as TRAIN_ROLE
from imagenet_prep.sources.search import form_of, recognise
from imagenet_prep.sources.tfrecord import TFRecordShards
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.archives import TRAIN, VALIDATION
from imagenet_prep.testing.contracts import Known, SourceContract
from support.build import is_the_same, refused
from support.records import framed
from test_sources import images

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

TENCH, CRANE = "n01440764", "n02012849"
SHAPE = MiniatureOptions(wnids=(TENCH, CRANE), images_per_class=3, validation_per_class=2, boxes=False, devkit=False)
HERE = IndexOptions(jobs=1)
LARGE = b"\xff\xd8" + bytes(9_000)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """The official archives."""
    return write_miniature(tmp_path_factory.mktemp("usual"), SHAPE)


def record(*entries: bytes) -> bytes:
    return framed(delimited(b"\x0a", b"".join(entries)))


def tench(number: int, *, label: int = 0, image: bytes = LARGE, name: str = "") -> bytes:
    """A record as TFDS writes it, its keys in another order."""
    called = (name or f"{TENCH}_{number}.JPEG").encode()
    return record(int64_entry("label", label), bytes_entry("image", image), bytes_entry("file_name", called))


class TestTFRecordShards(SourceContract):
    """As somebody else wrote them, in two files a split."""

    source = TFRecordShards()

    def write(self, folder: Path) -> tuple[Known, ...]:
        for split in ("train", "validation"):
            of = [image for image in images() if image.split == split]
            for number, part in enumerate((of[: len(of) // 2], of[len(of) // 2 :])):
                (folder / f"{split}-{number:05}-of-00002").write_bytes(b"".join(map(self.classic, part)))
        return images()

    @staticmethod
    def classic(image: Known) -> bytes:
        label = imagenet_prep.official().index_of(image.wnid) + 1
        return record(
            bytes_entry("image/encoded", image.data),
            bytes_entry("image/filename", image.name.encode()),
            int64_entry("image/class/label", label),
            bytes_entry("image/class/synset", image.wnid.encode()),
        )


@pytest.mark.parametrize("layout", ["tfrecord", "tfds"])
def test_from_our_own_records_come_the_bytes_that_the_archives_give(
    layout: str, usual: Miniature, tmp_path: Path
) -> None:
    imagenet_prep.build(usual.root, tmp_path / "data", BuildOptions.of(format=layout, test_per_class=1, jobs=1))
    shutil.move(tmp_path / "data" / layout, tmp_path / "records")
    options = BuildOptions.of(format=("tfrecord", "tfds", "webdataset", "folders"), test_per_class=1, jobs=1)

    is_the_same(tmp_path / "records", usual.root, tmp_path, options)

    rows = pq.read_table(tmp_path / "found/manifest.parquet").to_pylist()
    assert {row["source"] for row in rows} == {"records" if layout == "tfrecord" else "5.1.0"}


def test_the_place_of_an_image_does_not_depend_on_the_order_of_keys_or_on_its_size(tmp_path: Path) -> None:
    for number, image in enumerate((b"", b"x", bytes(100), bytes(1023), bytes(5_000), bytes(70_000))):
        (tmp_path / f"train-{number}.tfrecord").write_bytes(tench(number, image=image))
    catalog = imagenet_prep.index(tmp_path, HERE)
    for row in catalog.table.to_pylist():
        data = (tmp_path / row["container"]).read_bytes()
        assert data[row["offset"] : row["offset"] + row["size"]] == bytes(row["size"]).replace(
            b"\0", b"x" if row["size"] == 1 else b"\0"
        )
    assert sorted(catalog.table["size"].to_pylist()) == [0, 1, 100, 1023, 5_000, 70_000]


def test_a_label_of_another_numbering_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.tfrecord").write_bytes(tench(0) + tench(1, label=1))
    (problem,) = refused(tmp_path).problems
    assert (problem.archive, problem.member, problem.offset) == ("train.tfrecord", f"{TENCH}_1.JPEG", len(tench(0)))
    assert problem.reason == f"has the label 1, but its name is of class 0 ({TENCH}, tench), which would be 0"


def test_another_wnid_than_that_of_the_name_is_named(tmp_path: Path) -> None:
    entries = (
        bytes_entry("image/encoded", LARGE),
        bytes_entry("image/filename", f"{TENCH}_0.JPEG".encode()),
        int64_entry("image/class/label", 1),
    )
    (tmp_path / "train-00000-of-00001").write_bytes(record(*entries, bytes_entry("image/class/synset", CRANE.encode())))
    (problem,) = refused(tmp_path).problems
    assert problem.reason == f"has the WNID {CRANE}, but its name is of {TENCH}"


def test_a_record_without_a_label_or_without_an_image_is_named(tmp_path: Path) -> None:
    nameless = record(bytes_entry("image", LARGE), int64_entry("label", 0))
    imageless = record(bytes_entry("file_name", b"n01440764_3.JPEG"), int64_entry("label", 0))
    unlabelled = record(bytes_entry("image", LARGE), bytes_entry("file_name", b"n01440764_2.JPEG"))
    (tmp_path / "train.tfrecord").write_bytes(tench(0) + nameless + imageless + unlabelled)
    assert [problem.reason for problem in refused(tmp_path).problems] == [
        "cannot be used: file_name is missing",
        "cannot be used: it has no image",
        "cannot be used: label is missing",
    ]


@pytest.mark.parametrize("at", [0, 8, 11])
def test_a_changed_byte_of_a_length_is_named_with_its_place(at: int, tmp_path: Path) -> None:
    data = bytearray(tench(0) + tench(1))
    data[len(tench(0)) + at] ^= 1
    (tmp_path / "train.tfrecord").write_bytes(data)
    (problem,) = refused(tmp_path).problems
    assert (problem.reason, problem.offset) == ("the length of a record is damaged", len(tench(0)))


def test_a_file_that_is_cut_short_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "train.tfrecord").write_bytes((tench(0) + tench(1))[:-1])
    (problem,) = refused(tmp_path).problems
    assert problem.reason.endswith("reaches beyond the end of the file")
    assert problem.offset == len(tench(0))


def test_what_is_in_no_form_of_a_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.tfrecord").write_bytes(tench(0) + framed(b"\xff" * 5))
    (problem,) = refused(tmp_path).problems
    assert problem.reason == "a record does not have the form that it should: it is not a tf.train.Example"


def test_names_that_lead_elsewhere_are_no_names(tmp_path: Path) -> None:
    (tmp_path / "train.tfrecord").write_bytes(tench(0) + tench(1, name=f"../{TENCH}_1.JPEG"))
    (problem,) = refused(tmp_path).problems
    assert problem.reason == "is not named like an ImageNet train image"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "train-00001-of-00002").write_bytes(tench(0))
    (problem,) = refused(tmp_path).problems
    assert (problem.member, problem.reason) == ("train-00000-of-00002", "is missing, or is not a shard")


def test_files_of_something_else_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "cats.tfrecord").write_bytes(record(bytes_entry("image", LARGE), bytes_entry("file_name", b"cat.jpg")))
    (tmp_path / "text.tfrecord").write_bytes(b"no record at all")
    (tmp_path / "train.tfrecord").write_bytes(tench(0))
    said: list[str] = []
    (found,) = recognise([tmp_path], tell=said.append).values()
    assert form_of(found) == "1 TFRecord file"
    assert said == [f"Not used: {tmp_path}/text.tfrecord is damaged: the length of a record is damaged."]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (tench(0)[:-9], "is damaged: a record of 9,0"),
        (gzip.compress(tench(0)), "is gzip-compressed: `gunzip` unpacks it"),
    ],
)
def test_a_train_file_that_cannot_be_read_is_named_beside_sound_validation(
    data: bytes, said: str, usual: Miniature, tmp_path: Path
) -> None:
    (tmp_path / VALIDATION).symlink_to(usual.root / VALIDATION)
    (tmp_path / "train.tfrecord").write_bytes(data)
    notes: list[str] = []
    assert list(recognise([tmp_path], tell=notes.append)) == ["validation"]
    assert any(f"{tmp_path}/train.tfrecord {said}" in note for note in notes), notes


def test_one_of_several_kinds_of_shards_is_read_and_the_others_are_named(usual: Miniature, tmp_path: Path) -> None:
    options = BuildOptions.of(format=("tfrecord", "tfds", "webdataset"), test_per_class=1, jobs=1)
    imagenet_prep.build(usual.root, tmp_path / "data", options)
    said: list[str] = []
    found = recognise([tmp_path / "data"], tell=said.append)
    assert {each.path.name for each in found.values()} == {"webdataset"}
    assert f"tfrecord/train-00000-of-00001 is a shard of train, which is there: {tmp_path}/data/webdataset" in said[0]


def test_the_archives_come_before_records_that_were_made_of_them(usual: Miniature, tmp_path: Path) -> None:
    (tmp_path / TRAIN).symlink_to(usual.root / TRAIN)
    (tmp_path / "train.tfrecord").write_bytes(tench(0))
    assert {role: each.path.name for role, each in recognise([tmp_path]).items()} == {TRAIN_ROLE: TRAIN}


def test_shards_that_are_numbered_may_be_called_as_people_like(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train/part-00000-of-00001").write_bytes(tench(1))

    (found,) = recognise([tmp_path]).values()

    assert (found.role, form_of(found)) == (TRAIN_ROLE, "1 TFRecord file")

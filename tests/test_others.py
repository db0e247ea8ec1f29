"""What is not ILSVRC2012 is called by its name, in one sentence that says what to do: row by row of the table."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import CheckOptions
from imagenet_prep.errors import SourceError
from imagenet_prep.imagenet.classes import official
from imagenet_prep.sources.others import OTHERS, others_in
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.command import run
from support.sentences import Sentence

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[1]
WNIDS = [facts.wnid for facts in official().classes[:5]]


def files(*names: str, data: bytes = b"\xff\xd8\xff" + bytes(100)) -> Callable[[Path], None]:
    """Give what writes some files into a folder."""

    def write(root: Path) -> None:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)

    return write


def in_classes(*names: str, above: str = "", wnids: list[str] = WNIDS) -> Callable[[Path], None]:
    """Give what writes the same files into class folders."""
    return files(*(f"{above}{wnid}/{name.replace('WNID', wnid)}" for wnid in wnids for name in names))


LMDB = bytes(16) + struct.pack("<I", 0xBEEFC0DE) + bytes(4072)  # of lmdb.h: the magic of a meta page
RECORD = struct.pack("<II", 0xCED7230A, 100) + bytes(100)  # of dmlc-core's recordio.h

# What people give, as it is made, and the row that it is.
GIVEN = {
    "21k-winter": (files("winter21_whole.tar.gz"), "ImageNet-21k (fall11 or winter21)"),
    "21k-fall": (files("fall11_whole.tar"), "ImageNet-21k (fall11 or winter21)"),
    "21k-class-tars": (
        files("n01440764.tar", *(f"n{number:08}.tar" for number in range(200))),
        "ImageNet-21k (fall11 or winter21)",
    ),
    "21k-unpacked": (
        files(*(f"winter21_whole/n0000{n}.tar" for n in (4475, 6024))),
        "ImageNet-21k (fall11 or winter21)",
    ),
    "21k-p": (files("imagenet21k_resized.tar.gz"), "ImageNet-21k-P"),
    "21k-p-folders": (in_classes("WNID_1.jpg", above="imagenet21k_resized/imagenet21k_train/"), "ImageNet-21k-P"),
    "v2": (files("imagenetv2-matched-frequency.tar.gz"), "ImageNet-V2"),
    "v2-folders": (
        files(*(f"val/{index}/{index:040x}.jpeg" for index in range(10))),
        "ImageNet-V2",
    ),
    "c": (in_classes("ILSVRC2012_val_00000001.JPEG", above="fog/1/", wnids=["n01751748"]), "ImageNet-C"),
    "c-root": (
        files(
            *(f"{kind}/{level}/n01440764/ILSVRC2012_val_00000293.JPEG" for kind in ("fog", "snow") for level in "12")
        ),
        "ImageNet-C",
    ),
    "c-archive": (files("weather.tar"), "ImageNet-C"),
    "a": (in_classes("0.000116_digital clock _ 0.865662.jpg"), "ImageNet-A"),
    "a-archive": (files("imagenet-a.tar"), "ImageNet-A"),
    "r": (in_classes("art_0.jpg", "sketch_12.jpg"), "ImageNet-R"),
    "sketch": (in_classes("sketch_0.JPEG", "sketch_1.JPEG", above="sketch/"), "ImageNet-Sketch"),
    "sketch-archive": (files("ImageNet-Sketch.zip"), "ImageNet-Sketch"),
    "real": (files("real.json", data=b"[[], [970, 795]]"), "ReaL"),
    "tiny": (
        files(
            "tiny-imagenet-200/wnids.txt",
            "tiny-imagenet-200/words.txt",
            *(f"tiny-imagenet-200/train/{wnid}/images/{wnid}_{number}.JPEG" for wnid in WNIDS for number in range(3)),
            "tiny-imagenet-200/val/val_annotations.txt",
            "tiny-imagenet-200/val/images/val_0.JPEG",
        ),
        "Tiny ImageNet",
    ),
    "tiny-renamed": (files("x/val/val_annotations.txt", "x/val/images/val_0.JPEG"), "Tiny ImageNet"),
    "downsampled": (files("train_data_batch_1", "val_data", data=b"\x80\x04\x95"), "downsampled ImageNet"),
    "downsampled-zip": (files("Imagenet64_train_part1.zip"), "downsampled ImageNet"),
    "downsampled-png": (files("train_32x32/000001.png"), "downsampled ImageNet"),
    "test": (files("test/ILSVRC2012_test_00000001.JPEG"), "the test set"),
    "test-hugging-face": (files("test_images.tar.gz"), "the test set"),
    "boxes": (files("boxes/n01440764/n01440764_10026.xml", data=b"<annotation/>"), "a set of bounding boxes"),
    "page": (files("download.php", data=b"<!DOCTYPE html><html>Log in"), "a web page"),
    "page-html": (files("index.html", data=b"\n<html>Log in"), "a web page"),
    "lfs": (
        files("train-00000-of-00294.bin", data=b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "a pointer of Git LFS",
    ),
    "lmdb": (files("train_lmdb/data.mdb", "train_lmdb/lock.mdb", data=LMDB), "a database of LMDB"),
    "lmdb-by-bytes": (files("imagenet", data=LMDB), "a database of LMDB"),
    "hdf5": (files("imagenet-train-256.h5", data=b"\x89HDF\r\n\x1a\n"), "a file of HDF5"),
    "hdf5-by-bytes": (files("imagenet", data=b"\x89HDF\r\n\x1a\n"), "a file of HDF5"),
    "ffcv": (files("train_400_0.5_90.beton"), "a file of FFCV"),
    "recordio": (files("train.rec", "train.idx", data=RECORD), "a file of MXNet's RecordIO"),
    "recordio-by-bytes": (files("train", data=RECORD), "a file of MXNet's RecordIO"),
    "squashfs": (files("imagenet.squashfs", data=b"hsqs"), "an image of SquashFS"),
    "squashfs-by-bytes": (files("imagenet.img", data=b"hsqs"), "an image of SquashFS"),
    "mds": (files("mds/train/index.json", "mds/train/shard.00000.mds.zstd"), "a data set of MDS (Mosaic's Streaming)"),
    "litdata": (files("train/index.json", "train/chunk-0-0.bin"), "a data set of LitData"),
}


@pytest.mark.parametrize("given", GIVEN)
def test_what_is_given_is_called_by_its_name(given: str, tmp_path: Path, sentence: Sentence) -> None:
    write, name = GIVEN[given]
    write(tmp_path / "source")

    done = run("check", tmp_path / "source")

    if given == "c":  # can be built, and is: as validation that is distorted
        assert done.returncode == 0
        assert "distorted as in ImageNet-C" in done.stdout
    else:
        assert done.returncode == 4
        assert f" is {name}: " in done.stderr.replace(": is ", " is ")
        sentence(done.stderr)


def test_every_row_of_the_table_is_tried() -> None:
    assert {name for _, name in GIVEN.values()} == {other.name for other in OTHERS}


def test_a_file_that_is_given_by_itself_is_called_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "imagenet.sqfs").write_bytes(b"hsqs")

    with pytest.raises(SourceError) as caught:
        imagenet_prep.check(tmp_path / "imagenet.sqfs", CheckOptions(jobs=1))

    assert "sudo mount -t squashfs" in str(caught.value)


@pytest.fixture
def validation(tmp_path: Path) -> Path:
    """A sound validation archive alone."""
    source = write_miniature(tmp_path / "source", MiniatureOptions(classes=2, boxes=False, devkit=False)).root
    (source / "ILSVRC2012_img_train.tar").unlink()
    return source


ALONE = {other.name for other in OTHERS if other.alone}


@pytest.mark.parametrize("given", [given for given in GIVEN if GIVEN[given][1] not in ALONE])
def test_beside_a_sound_validation_set_it_is_never_passed_over_without_a_word(given: str, validation: Path) -> None:
    write, name = GIVEN[given]
    write(validation / "more")

    done = run("check", validation)

    assert f"is {name}: " in done.stdout + done.stderr


def test_a_build_of_validation_alone_says_so_too(validation: Path, tmp_path: Path, sentence: Sentence) -> None:
    (validation / "train.beton").write_bytes(b"\2\0\2\0")

    done = run("build", validation, tmp_path / "data", "--split", "validation", "--jobs", "1")

    assert done.returncode == 0
    sentence([line for line in done.stderr.splitlines() if "beton" in line])


def test_train_folders_whose_files_have_other_names_are_not_passed_over_either(
    validation: Path, sentence: Sentence
) -> None:
    in_classes("image_1.JPEG", above="train/")(validation)

    done = run("check", validation)

    assert done.returncode == 0
    sentence([line for line in done.stdout.splitlines() if "called after classes" in line])


def test_beside_a_whole_source_nobody_looks_for_it(tmp_path: Path) -> None:
    source = write_miniature(tmp_path / "source", MiniatureOptions(classes=2)).root
    (source / "train.beton").write_bytes(b"\2\0\2\0")

    assert "beton" not in run("check", source).stdout


def test_boxes_and_test_images_beside_validation_are_what_they_should_be(validation: Path) -> None:
    files("test/ILSVRC2012_test_00000001.JPEG")(validation)

    assert "is the test set" not in run("check", validation).stdout


def test_boxes_are_not_to_blame_for_something_else(tmp_path: Path) -> None:
    made = write_miniature(tmp_path / "source", MiniatureOptions(classes=2))
    source, image = made.root, made.entries[0]
    files(f"train/{image.wnid}/{image.name}")(source)

    done = run("check", source)

    assert done.returncode == 4
    assert "bounding boxes" not in done.stderr


def test_what_is_wrong_with_the_rest_is_said_beside_it(validation: Path, sentence: Sentence) -> None:
    GIVEN["c-root"][0](validation / "ImageNet-C")

    done = run("check", validation)

    assert done.returncode == 4
    sentence(done.stderr)


def test_a_place_that_cannot_be_read_or_opened_is_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path)

    assert others_in([tmp_path], nothing=True) == ()


def test_the_page_of_layouts_has_every_row_as_it_is() -> None:
    page = (ROOT / "docs/layouts.md").read_text("utf-8")

    rows = [f"| {other.name} | {other.signs} | {other.remedy} |" for other in OTHERS]

    assert "\n".join(rows) in page

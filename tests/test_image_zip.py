"""Zips of images, packed by Info-ZIP: the same data set as from the official archives, or a sentence."""

from __future__ import annotations

import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, IndexOptions
from imagenet_prep.imagenet.names import file_of
from imagenet_prep.sources.search import form_of, recognise
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.build import is_the_same, refused
from support.command import run
from support.sentences import Sentence, lines
from support.tools import gnu_tar, run_tool, zipped

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

TENCH, CRANE = "n01440764", "n02012849"
HERE = IndexOptions(jobs=1)
FLAGS, METHOD, PACKED, SIZE, NAME = 8, 10, 20, 24, 46  # where they stand in an entry of the directory
LOCAL_SIZE, LOCAL_NAME, OFFSET = 22, 30, 42


def write(folder: Path, layout: str, *, boxes: bool = False) -> Miniature:
    options = MiniatureOptions(
        wnids=(TENCH, CRANE), images_per_class=3, validation_per_class=2, boxes=boxes, devkit=False, layout=layout
    )
    return write_miniature(folder, options)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """The official archives."""
    return write(tmp_path_factory.mktemp("usual"), "archives")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Class folders of both splits, in imagenet/train and imagenet/val."""
    return write(tmp_path / "tree" / "imagenet", "sorted").root


def names(source: Path) -> set[str]:
    return set(imagenet_prep.index(source, HERE).table.column("name").to_pylist())


# --- The same data set ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "packed", "here"),
    [
        ("sorted", ["imagenet"], "."),
        ("extracted", ["train", "val"], "imagenet"),
        ("renamed", ["imagenet"], "."),
        ("kaggle", ["."], "imagenet"),
        ("sorted", ["imagenet", "-fz"], "."),
    ],
    ids=["sorted", "extracted", "renamed", "kaggle", "zip64"],
)
def test_all_bytes_are_those_that_the_archives_give(
    layout: str, packed: list[str], here: str, usual: Miniature, tmp_path: Path
) -> None:
    write(tmp_path / "in" / "imagenet", layout)
    (tmp_path / "source").mkdir()
    zipped(tmp_path / "source" / "all.zip", "-0", "-r", *packed, here=tmp_path / "in" / here)
    options = BuildOptions.of(format=("tfrecord", "tfds", "webdataset", "folders"), test_per_class=1, jobs=1)

    is_the_same(tmp_path / "source", usual.root, tmp_path, options)

    rows = pq.read_table(tmp_path / "found/manifest.parquet").to_pylist()
    assert {row["source"] for row in rows} == {"all.zip"}
    for row in rows:
        assert list((tmp_path / "in").rglob(file_of(row["source_container"], row["name"])))


def test_one_zip_for_each_split(tree: Path, usual: Miniature, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for split in ("train", "val"):
        zipped(tmp_path / "source" / f"{split}.zip", "-0", "-r", split, here=tree)

    assert {role: (each.path.name, form_of(each)) for role, each in recognise([tmp_path / "source"]).items()} == {
        "train": ("train.zip", "zip of images"),
        "validation": ("val.zip", "zip of images"),
    }
    assert names(tmp_path / "source") == {each.name for each in usual.entries}


@pytest.mark.parametrize("inside", [True, False])
def test_one_zip_for_each_class(inside: bool, tree: Path, usual: Miniature, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for folder in (tree / "train").iterdir():
        here, what = (folder.parent, folder.name) if inside else (folder, ".")
        zipped(tmp_path / "source" / f"{folder.name}.zip", "-0", "-r", what, here=here)

    (found,) = recognise([tmp_path / "source"]).values()
    assert form_of(found) == "folder of 2 class zips"
    assert names(tmp_path / "source") == {each.name for each in usual.train}


def test_an_image_in_the_zip_of_another_class_is_named(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for folder, other in ((TENCH, CRANE), (CRANE, CRANE)):
        zipped(tmp_path / "source" / f"{folder}.zip", "-0", "-r", other, here=tree / "train")

    found = refused(tmp_path / "source").problems
    assert {problem.reason for problem in found if problem.member.startswith(f"{TENCH}.zip/{CRANE}/{CRANE}_")} == {
        f"is in the zip of {TENCH}, but its name says {CRANE} (crane_bird)"
    }
    assert {problem.reason.partition(" as ")[0] for problem in found} == {
        f"is in the zip of {TENCH}, but its name says {CRANE} (crane_bird)"
    }


# --- What is not used -------------------------------------------------------------------------------------------------


def encrypted(tree: Path, archive: Path) -> None:
    run_tool("zip", "-q", "-0", "-r", "-P", "secret", archive.absolute(), "train", here=tree)


def of_two_tars(tree: Path, archive: Path) -> None:
    for name in ("one.tar", "two.tar"):
        gnu_tar(tree / name, "train", here=tree)
    zipped(archive, "-0", "one.tar", "two.tar", here=tree)


def damaged(tree: Path, archive: Path) -> None:
    zipped(archive, "-0", "-r", "train", here=tree)
    os.truncate(archive, archive.stat().st_size - 30)


@pytest.mark.parametrize("make", [encrypted, of_two_tars, damaged])
def test_a_zip_that_cannot_be_used_beside_sound_validation_is_named(
    make: Callable[[Path, Path], None], tree: Path, tmp_path: Path, sentence: Sentence
) -> None:
    (tmp_path / "source").mkdir()
    make(tree, tmp_path / "source" / "train.zip")
    shutil.move(tree / "val", tmp_path / "source")

    done = run("check", tmp_path / "source")

    assert done.returncode == 0
    sentence(lines(done.stdout, "Not used", "Can be built"))


def test_class_zips_that_are_compressed_are_named(tree: Path, tmp_path: Path, sentence: Sentence) -> None:
    (tmp_path / "source").mkdir()
    for wnid in (TENCH, CRANE):
        zipped(tmp_path / "source" / f"{wnid}.zip", "-r", wnid, here=tree / "train")

    sentence(refused(tmp_path / "source"))


# --- What is refused --------------------------------------------------------------------------------------------------


def test_links_and_strangers_in_it_are_named_once(tree: Path, tmp_path: Path) -> None:
    folder = tree / "train" / TENCH
    (folder / "cat.jpg").write_bytes(b"a cat")
    (folder / f"{TENCH}_900.JPEG").symlink_to("cat.jpg")
    archive = zipped(tmp_path / "all.zip", "-0", "-r", "-y", "imagenet", here=tree.parent)

    assert sorted((each.member.rpartition("/")[2], each.reason) for each in refused(archive).problems) == [
        ("cat.jpg", "is not named like an image of ImageNet's"),
        (f"{TENCH}_900.JPEG", "is a link or a device, not a file"),
    ]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A zip of three images."""
    for number in range(3):
        (tmp_path / f"{TENCH}_{number}.JPEG").write_bytes(b"an image %d" % number)
    return zipped(tmp_path / "all.zip", "-0", "-X", *(f"{TENCH}_{n}.JPEG" for n in range(3)), here=tmp_path)


def changed(archive: Path, entry: int, *changes: tuple[int, bytes]) -> None:
    """Write bytes into an entry of the directory."""
    data = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as file:
        start = file.start_dir
    for _ in range(entry):
        start = data.index(b"PK\x01\x02", start + 4)
    for place, new in changes:
        data[start + place : start + place + len(new)] = new
    archive.write_bytes(data)


def four(number: int) -> bytes:
    return struct.pack("<I", number)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([(PACKED, four(5)), (SIZE, four(5))], "has another size than in the directory of the zip"),
        ([(SIZE, four(2**31))], "has another size than in the directory of the zip"),
        ([(OFFSET, four(0))], "shares bytes with another member, or lies outside the zip"),
        ([(OFFSET, four(2**31))], "shares bytes with another member, or lies outside the zip"),
        ([(OFFSET, four(61))], "is not where the directory of the zip says"),
        ([(NAME, b"n01440764_7")], "has another name than in the directory of the zip"),
    ],
    ids=["smaller", "larger", "the first again", "outside", "amid another", "another name"],
)
def test_a_directory_that_lies_is_refused(changes: list[tuple[int, bytes]], reason: str, small: Path) -> None:
    changed(small, 1, *changes)

    assert reason in {problem.reason for problem in refused(small).problems}


@pytest.mark.parametrize(
    "name", [f"../{TENCH}_1.JPE", f"/a/{TENCH}_1.JPE", f"{TENCH}_1.JPEG\0.t", f"a/../../{TENCH}_1.J", f"{TENCH}_1.JPÉG"]
)
def test_a_hostile_name_in_it_is_refused(name: str, tmp_path: Path) -> None:
    """Written under a name as long, which is replaced in both places."""
    as_long = "x" * (len(name.encode()) - 5) + ".JPEG"
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr(f"{TENCH}_2.JPEG", b"an image")
        archive.writestr(as_long, b"an image")
    data = (tmp_path / "all.zip").read_bytes()
    (tmp_path / "all.zip").write_bytes(data.replace(as_long.encode(), name.encode()))

    (problem,) = refused(tmp_path / "all.zip").problems
    assert problem.reason == "is not named like an image of ImageNet's"
    assert str(problem).isprintable()


def test_an_image_twice_in_it_is_named(small: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(small, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(f"{TENCH}_1.JPEG", b"another")

    assert [problem.reason for problem in refused(small).problems] == ["is there twice"]


def test_one_that_is_written_to_a_pipe_and_one_with_a_program_before_it_are_read(small: Path, tmp_path: Path) -> None:
    """Sizes follow the bytes then, and offsets are shifted."""
    run_tool("bash", "-c", f"zip -q -0 - {TENCH}_0.JPEG {TENCH}_1.JPEG | cat > piped.zip", here=tmp_path)
    (tmp_path / "before.zip").write_bytes(b"PK\x03\x04" * 9 + small.read_bytes())

    assert names(tmp_path / "piped.zip") == {f"{TENCH}_0.JPEG", f"{TENCH}_1.JPEG"}
    assert names(tmp_path / "before.zip") == {f"{TENCH}_{number}.JPEG" for number in range(3)}

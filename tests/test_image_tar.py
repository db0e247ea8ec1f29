"""One plain tar of images, packed by GNU tar: the same data set as from the official archives, or a sentence."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, IndexOptions, SourceError
from imagenet_prep.imagenet.classes import official
from imagenet_prep.imagenet.names import file_of, validation_image
from imagenet_prep.sources import tree as tree_of_archive
from imagenet_prep.sources.search import form_of, recognise
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.archives import VALIDATION, Members, write_flat_archive
from support.build import is_the_same, refused
from support.sentences import Sentence
from support.tools import gnu_tar

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

TENCH, CRANE = "n01440764", "n02012849"
SHAPE = MiniatureOptions(wnids=(TENCH, CRANE), images_per_class=3, validation_per_class=2, boxes=False, devkit=False)
HERE = IndexOptions(jobs=1)


def write(folder: Path, layout: str) -> Path:
    options = MiniatureOptions(
        wnids=SHAPE.wnids, images_per_class=3, validation_per_class=2, boxes=False, devkit=False, layout=layout
    )
    return write_miniature(folder, options).root


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """The official archives."""
    return write_miniature(tmp_path_factory.mktemp("usual"), SHAPE)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Class folders of both splits, in imagenet/train and imagenet/val."""
    return write(tmp_path / "tree" / "imagenet", "sorted")


def named_by_hugging_face(folder: Path) -> None:
    for path in list(folder.rglob("*.JPEG")):
        path.rename(path.with_stem(f"{path.stem}_{path.parent.name}"))


def names(catalog: imagenet_prep.Catalog) -> set[str]:
    return set(catalog.table.column("name").to_pylist())


# --- The same data set ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "member", "here"),
    [
        ("sorted", ["imagenet"], "."),
        ("sorted", ["."], "imagenet"),
        ("sorted", ["./imagenet"], "."),
        ("sorted", ["val", "train"], "imagenet"),
        ("extracted", ["imagenet/val", "imagenet/train"], "."),
        ("renamed", ["imagenet"], "."),
        ("clashing", ["imagenet"], "."),
        ("kaggle", ["ILSVRC"], "imagenet"),
        ("kaggle", ["imagenet"], "."),
        ("Hugging Face", ["imagenet"], "."),
    ],
)
def test_all_bytes_are_those_that_the_archives_give(
    layout: str, member: list[str], here: str, usual: Miniature, tmp_path: Path
) -> None:
    write(tmp_path / "in" / "imagenet", "sorted" if layout == "Hugging Face" else layout)
    if layout == "Hugging Face":
        named_by_hugging_face(tmp_path / "in")
    (tmp_path / "source").mkdir()
    gnu_tar(tmp_path / "source" / "all.tar", *member, here=tmp_path / "in" / here)
    options = BuildOptions.of(format=("tfrecord", "tfds", "webdataset", "folders"), test_per_class=1, jobs=1)

    is_the_same(tmp_path / "source", usual.root, tmp_path, options)

    rows = pq.read_table(tmp_path / "found/manifest.parquet").to_pylist()
    assert {row["source"] for row in rows} == {"all.tar"}
    for row in rows:
        assert list((tmp_path / "in").rglob(file_of(row["source_container"], row["name"])))


def test_a_tar_of_train_and_a_folder_of_validation_go_together(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    gnu_tar(tmp_path / "source" / "ILSVRC2012_img_train.tar", "train", here=tree)
    shutil.move(tree / "val", tmp_path / "source")

    assert {role: (each.path.name, form_of(each)) for role, each in recognise([tmp_path / "source"]).items()} == {
        "train": ("ILSVRC2012_img_train.tar", "tar of images"),
        "validation": ("val", "2 class folders"),
    }


def test_the_validation_archive_may_have_class_folders(tree: Path, usual: Miniature, tmp_path: Path) -> None:
    gnu_tar(tmp_path / VALIDATION, "val", here=tree)

    assert names(imagenet_prep.index(tmp_path / VALIDATION, HERE)) == {each.name for each in usual.validation}


def test_long_names_and_the_pax_format_are_read(tree: Path, tmp_path: Path) -> None:
    deep = "/".join(["a" * 60] * 4)
    (tmp_path / "in" / deep).mkdir(parents=True)
    tree.rename(tmp_path / "in" / deep / "imagenet")
    for dialect in ("gnu", "pax"):
        gnu_tar(tmp_path / f"{dialect}.tar", f"--format={dialect}", "a" * 60, here=tmp_path / "in")

    found, other = (imagenet_prep.index(tmp_path / f"{dialect}.tar", HERE) for dialect in ("gnu", "pax"))

    assert found.table.drop(["offset"]) == other.table.drop(["offset"])
    assert f"{deep}/imagenet/train/{TENCH}" in found.table.column("container").to_pylist()


def test_what_is_no_image_is_passed_over(tree: Path, usual: Miniature, tmp_path: Path) -> None:
    for name in (".DS_Store", "train/README.md", "val/valprep.sh", ".git/config", f".trash/{TENCH}_9.JPEG"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(b"text")
    (tree / "train" / "ILSVRC2012_test_00000001.JPEG").write_bytes(b"not labelled")
    gnu_tar(tmp_path / "all.tar", "imagenet", here=tree.parent)

    assert names(imagenet_prep.index(tmp_path / "all.tar", HERE)) == {each.name for each in usual.entries}


# --- What it is not ---------------------------------------------------------------------------------------------------


def test_an_archive_of_boxes_under_another_name_is_none(tmp_path: Path, usual: Miniature) -> None:
    (tmp_path / TENCH).mkdir()
    (tmp_path / TENCH / f"{TENCH}_18.xml").write_bytes(b"<annotation/>")
    gnu_tar(tmp_path / "boxes.tar", TENCH, here=tmp_path)

    assert recognise([usual.root, tmp_path / "boxes.tar"])["train boxes"].path == tmp_path / "boxes.tar"


def test_a_tar_and_what_was_unpacked_from_it_are_two_of_one_thing(tree: Path, sentence: Sentence) -> None:
    gnu_tar(tree / "train.tar", "train", here=tree)

    with pytest.raises(SourceError) as caught:
        recognise([tree])
    sentence(caught.value)


# --- What is refused --------------------------------------------------------------------------------------------------


def test_an_image_twice_is_named_with_both_places(tree: Path, tmp_path: Path, sentence: Sentence) -> None:
    image = next((tree / "train" / TENCH).iterdir())
    shutil.copy(image, tree / "train" / image.with_suffix(".jpg").name)
    gnu_tar(tmp_path / "all.tar", "--sort=name", "imagenet", here=tree.parent)

    sentence(refused(tmp_path / "all.tar"))


def test_a_member_that_was_appended_again_is_named(tree: Path, tmp_path: Path, sentence: Sentence) -> None:
    """GNU tar would extract the later one."""
    image = min((tree / "train" / TENCH).iterdir())
    gnu_tar(tmp_path / "all.tar", "--sort=name", "--hard-dereference", "train", image.relative_to(tree), here=tree)

    sentence(refused(tmp_path / "all.tar"))


def test_an_image_in_the_folder_of_another_class_is_named(tree: Path, tmp_path: Path, sentence: Sentence) -> None:
    image = min((tree / "train" / TENCH).iterdir())
    image.rename(tree / "train" / CRANE / image.name)
    gnu_tar(tmp_path / "all.tar", "--sort=name", "imagenet", here=tree.parent)

    sentence(refused(tmp_path / "all.tar"))


def test_links_and_strangers_are_named_once(tree: Path, tmp_path: Path, sentence: Sentence) -> None:
    folder = tree / "train" / TENCH
    (folder / "cat.jpg").write_bytes(b"a cat")
    (folder / f"{TENCH}_900.JPEG").symlink_to("cat.jpg")
    os.link(folder / "cat.jpg", folder / f"{TENCH}_901.JPEG")
    gnu_tar(tmp_path / "all.tar", "--sort=name", "imagenet", here=tree.parent)

    sentence([str(replace(problem, offset=None)) for problem in refused(tmp_path / "all.tar").problems])


@pytest.mark.parametrize(
    "name",
    [
        f"../{TENCH}_2.JPEG", f"/train/{TENCH}_2.JPEG", f"train/../../{TENCH}_2.JPEG", f"train/{TENCH}_2.JPEG\0.txt",
        f"train/{TENCH}_٢.JPEG", f"train/{TENCH}_2.JPEG\n", "train/n٠١٤٤٠٧٦٤_2.JPEG", f"train\\{TENCH}_2.JPEG",
    ],
)  # fmt: skip
def test_a_hostile_name_is_refused(name: str, tmp_path: Path) -> None:
    members: Members = [(f"train/{TENCH}_1.JPEG", b"an image"), (name, b"an image")]
    write_flat_archive(tmp_path / "all.tar", members)

    (problem,) = refused(tmp_path / "all.tar").problems
    assert problem.reason == "is not named like an image of ImageNet's"
    assert str(problem).isprintable()


@pytest.mark.parametrize("size", [512 * 3 + 100, 512 * 6 + 10, 512 * 10])
def test_one_that_was_cut_is_refused(size: int, tree: Path, tmp_path: Path, sentence: Sentence) -> None:
    archive = gnu_tar(tmp_path / "all.tar", "--sort=name", "train", "val", here=tree)
    os.truncate(archive, size)

    sentence(refused(archive))


def test_more_folders_than_can_be_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence) -> None:
    monkeypatch.setattr(tree_of_archive, "MOST_PLACES", 5)
    members: Members = [(f"{number}/{of.wnid}_1.JPEG", b"") for number, of in enumerate(official().classes[:7])]
    write_flat_archive(tmp_path / "all.tar", members)

    sentence(refused(tmp_path / "all.tar"))


def test_the_first_validation_image_decides_nothing(tmp_path: Path) -> None:
    write_flat_archive(
        tmp_path / "all.tar", [(f"val/{validation_image(1)}", b"x"), (f"train/{TENCH}/{TENCH}_1.JPEG", b"x")]
    )

    assert set(recognise([tmp_path / "all.tar"])) == {"train", "validation"}

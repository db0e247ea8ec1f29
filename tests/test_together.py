"""Images of one split in several places: they add up, and what is there twice is named with both places."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, IndexOptions, SourceError
from imagenet_prep.imagenet.classes import official
from imagenet_prep.sources.search import form_of, recognise
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.build import is_the_same
from support.sentences import Sentence
from support.tools import gnu_tar, run_tool, zipped

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

WNIDS = ("n01440764", "n02012849", "n03126707", "n07753592")
HERE = IndexOptions(jobs=1)


def write(folder: Path, layout: str) -> Miniature:
    options = MiniatureOptions(
        wnids=WNIDS, images_per_class=3, validation_per_class=2, boxes=False, devkit=False, layout=layout
    )
    return write_miniature(folder, options)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """The official archives."""
    return write(tmp_path_factory.mktemp("usual"), "archives")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Class folders of both splits, in train and val."""
    return write(tmp_path / "source", "sorted").root


def class_folders(source: Path) -> list[Path]:
    return sorted(path for split in ("train", "val") for path in (source / split).iterdir())


def numbered(number: Callable[[str], str]) -> Callable[[Path], None]:
    def change(source: Path) -> None:
        for folder in class_folders(source):
            folder.rename(folder.with_name(number(folder.name)))

    return change


def nested(name: str) -> Callable[[Path], None]:
    def change(source: Path) -> None:
        for folder in class_folders(source):
            (source / "new").mkdir()
            folder.rename(source / "new" / name.format(folder.name))
            (source / "new").rename(folder)

    return change


def in_parts(source: Path) -> None:
    for number, folder in enumerate(class_folders(source)):
        to = source / f"{folder.parent.name}.X{number % 3 + 1}"
        to.mkdir(exist_ok=True)
        folder.rename(to / folder.name)
    (source / "train").rmdir()
    (source / "val").rmdir()


def flat_parts(source: Path) -> None:
    """As Hugging Face's archives are unpacked, each into a folder of its own."""
    for number, file in enumerate(sorted((source / "train").rglob("*.JPEG"))):
        to = source / f"train_images_{number % 3}"
        to.mkdir(exist_ok=True)
        file.rename(to / f"{file.stem}_{file.parent.name}.JPEG")
    shutil.rmtree(source / "train")


def split_by_somebody(source: Path) -> None:
    (source / "val").rename(source / "official")
    for folder in list((source / "train").iterdir()):
        (source / "val" / folder.name).mkdir(parents=True)
        image = min(folder.iterdir())
        image.rename(source / "val" / folder.name / image.name)


CHANGES = {
    "class indexes": numbered(lambda wnid: str(official().index_of(wnid))),
    "with zeros": numbered(lambda wnid: f"{official().index_of(wnid):03}"),
    "devkit integers": numbered(lambda wnid: str(official().classes[official().index_of(wnid)].devkit)),
    "nested": nested("{}"),
    "nested as images": nested("images"),
    "in parts": in_parts,
    "flat parts": flat_parts,
    "split by somebody": split_by_somebody,
}


@pytest.mark.parametrize("change", CHANGES)
def test_all_bytes_are_those_that_the_archives_give(
    change: str, source: Path, usual: Miniature, tmp_path: Path
) -> None:
    CHANGES[change](source)
    options = BuildOptions.of(format=("tfrecord", "tfds", "webdataset", "folders"), test_per_class=1, jobs=1)

    is_the_same(source, usual.root, tmp_path, options)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("transfer", ["hardlink", "move"])
def test_files_are_linked_and_moved_and_given_back(transfer: str, change: str, source: Path, tmp_path: Path) -> None:
    CHANGES[change](source)
    before = {path: path.stat().st_ino for path in source.rglob("*.JPEG")}
    options = BuildOptions.of(format="folders", transfer=transfer, test_per_class=0, jobs=1)

    imagenet_prep.build(source, tmp_path / "out", options)
    assert {path.stat().st_ino for path in (tmp_path / "out/folders").rglob("*.JPEG")} == set(before.values())
    imagenet_prep.undo(tmp_path / "out")

    assert {path: path.stat().st_ino for path in source.rglob("*.JPEG")} == before


def test_parts_may_be_given_one_by_one(source: Path, usual: Miniature) -> None:
    in_parts(source)

    found = recognise(sorted(source.iterdir()))

    assert {role: (each.path, form_of(each)) for role, each in found.items()} == {
        "train": (source, "4 class folders"),
        "validation": (source, "4 class folders"),
    }
    names = imagenet_prep.index(sorted(source.iterdir()), HERE).table.column("name").to_pylist()
    assert sorted(names) == sorted(each.name for each in usual.entries)


def test_the_order_of_places_decides_nothing(source: Path) -> None:
    in_parts(source)
    places = sorted(source.iterdir())

    assert imagenet_prep.index(places, HERE).table == imagenet_prep.index(places[::-1], HERE).table


def test_what_was_held_out_is_not_one_of_the_parts(source: Path) -> None:
    split_by_somebody(source)
    (source / "val").rename(source / "test")

    assert {role: each.path.name for role, each in recognise([source]).items()} == {
        "train": "train", "held-out train": "test", "validation": "official",
    }  # fmt: skip


# --- What does not add up ---------------------------------------------------------------------------------------------


def test_an_image_that_is_in_two_parts_is_named_with_both_places(source: Path, sentence: Sentence) -> None:
    in_parts(source)
    image = min((source / "train.X1" / WNIDS[0]).iterdir())
    (source / "train.X2" / WNIDS[0]).mkdir()
    shutil.copy(image, source / "train.X2" / WNIDS[0])

    with pytest.raises(SourceError) as caught:
        imagenet_prep.index(source, HERE)
    sentence(caught.value)


def test_copies_are_asked_about(source: Path, sentence: Sentence) -> None:
    shutil.copytree(source / "train", source / "train-old")
    min((source / "train-old" / WNIDS[0]).iterdir()).unlink()

    with pytest.raises(SourceError) as caught:
        recognise([source])
    sentence(caught.value)


def test_a_folder_nested_in_a_class_folder_is_compared_with_that(source: Path, sentence: Sentence) -> None:
    nested("images")(source)
    image = min((source / "train" / WNIDS[0] / "images").iterdir())
    image.rename(source / "train" / WNIDS[1] / "images" / image.name)

    with pytest.raises(SourceError) as caught:
        imagenet_prep.index(source, HERE)
    sentence(caught.value)


def test_an_image_in_the_folder_of_another_number_is_named(source: Path, sentence: Sentence) -> None:
    for folder in sorted((source / "train").iterdir()):
        for number in range(4):
            (folder / f"{folder.name}_{900 + number}.JPEG").write_bytes(b"an image")
    for number, facts in enumerate(official().classes[500:510]):
        (source / "train" / f"{number}").mkdir()
        (source / "train" / f"{number}" / f"{facts.wnid}_1.JPEG").write_bytes(b"an image")
    for number, folder in enumerate(sorted(source.glob("train/n*"))):
        folder.rename(folder.with_name(f"{900 + number}"))
    (source / "train" / "900" / f"{WNIDS[0]}_903.JPEG").rename(source / "train" / "901" / f"{WNIDS[0]}_903.JPEG")

    with pytest.raises(SourceError) as caught:
        imagenet_prep.index(source, HERE)
    sentence(caught.value)


def test_folders_called_by_numbers_may_be_parts_of_any_class(source: Path, usual: Miniature) -> None:
    for number, file in enumerate(sorted((source / "train").rglob("*.JPEG"))):
        (source / "train" / str(number % 3)).mkdir(exist_ok=True)
        file.rename(source / "train" / str(number % 3) / file.name)
    for folder in source.glob("train/n*"):
        folder.rmdir()

    names = imagenet_prep.index(source, HERE).table.column("name").to_pylist()
    assert sorted(names) == sorted(each.name for each in usual.entries)


def test_a_stranger_in_a_numbered_folder_is_named(source: Path, sentence: Sentence) -> None:
    CHANGES["class indexes"](source)
    (source / "train" / "0" / "cat.jpg").write_bytes(b"a cat")

    with pytest.raises(SourceError) as caught:
        imagenet_prep.index(source, HERE)
    sentence(caught.value)


# --- Archives, and archives with folders ------------------------------------------------------------------------------


def tars_of_half(source: Path) -> None:
    """Half of the classes as class tars, half as folders."""
    (source / "tars").mkdir()
    for folder in class_folders(source)[:2]:
        gnu_tar(source / "tars" / f"{folder.name}.tar", *(file.name for file in sorted(folder.iterdir())), here=folder)
        shutil.rmtree(folder)


def one_tar_of_half(source: Path) -> None:
    gnu_tar(source / "half.tar", *(f"train/{folder.name}" for folder in class_folders(source)[:2]), here=source)
    for folder in class_folders(source)[:2]:
        shutil.rmtree(folder)


def two_tars_and_two_zips(source: Path) -> None:
    for split in ("train", "val"):
        names = sorted(folder.name for folder in (source / split).iterdir())
        gnu_tar(source / f"{split}-1.tar", *names[:2], here=source / split)
        zipped(source / f"{split}-2.zip", "-0", "-r", *names[2:], here=source / split)
        shutil.rmtree(source / split)


@pytest.mark.parametrize("change", [tars_of_half, one_tar_of_half, two_tars_and_two_zips])
def test_archives_and_folders_with_different_images_add_up(
    change: Callable[[Path], None], usual: Miniature, source: Path, tmp_path: Path
) -> None:
    change(source)
    is_the_same(source, usual.root, tmp_path, BuildOptions.of(format=("tfrecord", "folders"), test_per_class=1, jobs=1))


def test_an_image_in_a_tar_and_in_a_folder_is_named_with_both_places(source: Path, sentence: Sentence) -> None:
    one_tar_of_half(source)
    tar = source / "half.tar"
    (kept,) = class_folders(source)[:1]
    image = min(kept.iterdir())
    gnu_tar(source / "more.tar", f"train/{kept.name}/{image.name}", here=source)
    run_tool("tar", "--concatenate", "--file", tar.name, "more.tar", here=source)
    (source / "more.tar").unlink()
    with pytest.raises(SourceError) as caught:
        imagenet_prep.index(source, HERE)
    sentence(caught.value)


def test_a_tar_beside_what_was_unpacked_from_it_is_asked_about(source: Path, sentence: Sentence) -> None:
    gnu_tar(source / "train.tar", "train", here=source)
    with pytest.raises(SourceError) as caught:
        recognise([source])
    sentence(caught.value)

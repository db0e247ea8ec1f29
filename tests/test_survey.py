"""What lies in a folder tree: every layout people have is recognised, two sources of one thing are asked about, and
what only looks like a class folder is left alone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imagenet_prep.sources.survey as survey_of_sources
from imagenet_prep.errors import SourceError
from imagenet_prep.imagenet.classes import Taxonomy, official
from imagenet_prep.sources.base import Input
from imagenet_prep.sources.search import form_of, recognise
from imagenet_prep.testing import LAYOUTS, MiniatureOptions, write_miniature
from imagenet_prep.verbs.index import IndexOptions, index
from support.sentences import Sentence, places

pytestmark = pytest.mark.quick

CRANES = ("n02012849", "n03126707")
TENCH, GOLDFISH = "n01440764", "n01443537"
TENCHES = [f"{TENCH}/{TENCH}_1.JPEG", f"{TENCH}/{TENCH}_2.JPEG"]
FISHES = [*TENCHES, f"{GOLDFISH}/{GOLDFISH}_1.JPEG"]
SNAKE = "ILSVRC2012_val_00000001.JPEG"  # n01751748, sea_snake
FLAT = [SNAKE, "ILSVRC2012_val_00000002.JPEG"]


def tree(root: Path, *files: str, below: str = "") -> Path:
    """Files without bytes: nothing of an image is read before a build."""
    for file in files:
        path = root / below / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def found(*sources: Path, taxonomy: Taxonomy | None = None) -> dict[str, tuple[Path, str]]:
    return {role: (each.path, form_of(each)) for role, each in recognise(sources, taxonomy).items()}


def parts(archive: Input) -> list[str]:
    return [part.name for part in archive.parts]


def refused(*sources: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        recognise(sources)
    assert caught.value.exit_code == 4
    assert caught.value.remedy
    return caught.value


def said(*sources: Path) -> list[str]:
    return [str(problem) for problem in refused(*sources).problems]


# --- Every layout -----------------------------------------------------------------------------------------------------

ARCHIVES = {
    "train": ("ILSVRC2012_img_train.tar", "archive"),
    "validation": ("ILSVRC2012_img_val.tar", "archive"),
    "devkit": ("ILSVRC2012_devkit_t12.tar.gz", "archive"),
    "train boxes": ("ILSVRC2012_bbox_train_v2.tar.gz", "archive"),
    "validation boxes": ("ILSVRC2012_bbox_val_v3.tgz", "archive"),
}
TWO_FOLDERS, FLAT_FOLDER = "2 class folders", "flat folder"
LAID_OUT = {
    "archives": ARCHIVES,
    "class-tars": ARCHIVES | {"train": ("train", "folder of 2 class tars")},
    "extracted": ARCHIVES | {"train": ("train", TWO_FOLDERS), "validation": ("val", FLAT_FOLDER)},
    "sorted": ARCHIVES | {"train": ("train", TWO_FOLDERS), "validation": ("val", TWO_FOLDERS)},
    "renamed": ARCHIVES | {"train": ("train", TWO_FOLDERS), "validation": ("validation", TWO_FOLDERS)},
    "clashing": ARCHIVES | {"train": ("train", "1 class folder"), "validation": ("validation", "1 class folder")},
    "kaggle": {
        "train": ("ILSVRC/Data/CLS-LOC/train", TWO_FOLDERS),
        "validation": ("ILSVRC/Data/CLS-LOC/val", FLAT_FOLDER),
        "validation classes": ("LOC_val_solution.csv", "Kaggle's CSV file"),
        "train boxes": ("ILSVRC/Annotations/CLS-LOC/train", TWO_FOLDERS),
        "validation boxes": ("ILSVRC/Annotations/CLS-LOC/val", FLAT_FOLDER),
        "unlabelled test": ("ILSVRC/Data/CLS-LOC/test", FLAT_FOLDER),
    },
    "mixed": ARCHIVES | {"validation": ("val", FLAT_FOLDER)},
}


def test_every_layout_is_tried_here() -> None:
    assert list(LAID_OUT) == list(LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_recognised_with_role_place_and_form(layout: str, tmp_path: Path) -> None:
    options = MiniatureOptions(wnids=CRANES, images_per_class=2, validation_per_class=1, layout=layout)

    write_miniature(tmp_path, options)

    expected = {role: (tmp_path / place, form) for role, (place, form) in LAID_OUT[layout].items()}
    assert found(tmp_path) == expected
    assert list(found(tmp_path)) == list(expected)  # in a fixed order


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val"),
        ("ILSVRC2012_img_train", "ILSVRC2012_img_val"),
        ("ILSVRC2012/train", "ILSVRC2012/valid"),
        ("Data/CLS-LOC/train", "Data/CLS-LOC/validation"),
        ("Training Images", "whatever"),
        ("a/b/c/d/e", "a/b/c/d/f"),
        ("crane", "val"),  # called like a class, and none: what lies in it are folders
    ],
)
def test_the_names_of_the_folders_above_do_not_count(names: tuple[str, str], tmp_path: Path) -> None:
    tree(tmp_path, *FISHES, below=names[0])
    tree(tmp_path, *FLAT, below=names[1])

    assert found(tmp_path) == {
        "train": (tmp_path / names[0], "2 class folders"),
        "validation": (tmp_path / names[1], "flat folder"),
    }


def test_a_folder_six_deep_is_not_searched_for(tmp_path: Path) -> None:
    tree(tmp_path, *FISHES, below="a/b/c/d/e/f")

    assert refused(tmp_path).summary.startswith(
        f"There are no ILSVRC2012 archives or images with classes in {tmp_path}"
    )


def test_parts_are_the_class_folders_by_name_with_the_classes_they_may_hold(tmp_path: Path) -> None:
    tree(tmp_path, f"tench/{TENCH}_1.JPEG", "crane/n02012849_1.JPEG", f"n01443537-goldfish/{GOLDFISH}_1.JPEG")

    assert [tuple(part) for part in recognise([tmp_path])["train"].parts] == [
        ("crane", (134, 517)),
        ("n01443537-goldfish", (1,)),
        ("tench", (0,)),
    ]


def test_the_order_of_a_directory_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, *FISHES, *FLAT, below="all")
    tree(tmp_path, "ILSVRC2012_test_00000001.JPEG", f"{TENCH}_9.xml", below=f"all/{TENCH}")

    forward, backward = (in_order(monkeypatch, reverse, lambda: recognise([tmp_path])) for reverse in (False, True))

    assert forward == backward
    assert {role: parts(each) for role, each in forward.items()} == {"train": [TENCH, GOLDFISH], "validation": [""]}


def in_order(monkeypatch: pytest.MonkeyPatch, reverse: bool, action: Callable[[], Any]) -> Any:
    real = os.scandir

    class Sorted:
        def __init__(self, path: Any) -> None:
            with real(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=reverse)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return iter(self.entries)

        def __exit__(self, *_: object) -> None:
            pass

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", Sorted)
        return action()


# --- What is given ----------------------------------------------------------------------------------------------------


def test_train_and_validation_may_be_given_as_two_folders(tmp_path: Path) -> None:
    tree(tmp_path, *FISHES, below="here/train")
    tree(tmp_path, *FLAT, below="there/val")

    assert found(tmp_path / "there/val", tmp_path / "here/train") == {
        "train": (tmp_path / "here/train", "2 class folders"),
        "validation": (tmp_path / "there/val", "flat folder"),
    }


def test_one_class_folder_may_be_given(tmp_path: Path) -> None:
    tree(tmp_path, *TENCHES)

    assert found(tmp_path / TENCH) == {"train": (tmp_path / TENCH, "flat folder")}


def test_a_folder_given_twice_or_found_by_two_ways_is_one(tmp_path: Path) -> None:
    tree(tmp_path, *FISHES, below="train")
    (tmp_path / "ILSVRC2012_img_train").symlink_to("train")

    assert found(tmp_path / "train", tmp_path) == {"train": (tmp_path / "train", "2 class folders")}


def test_a_folder_may_be_a_link(tmp_path: Path) -> None:
    tree(tmp_path, *FISHES, below="disk1/fishes")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train").symlink_to(tmp_path / "disk1" / "fishes")

    assert found(tmp_path / "data") == {"train": (tmp_path / "data/train", "2 class folders")}
    assert found(tmp_path / "data" / "train") == found(tmp_path / "data")


def test_class_folders_may_be_links(tmp_path: Path) -> None:
    tree(tmp_path, *FISHES, below="disk1")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "tench").symlink_to(tmp_path / "disk1" / TENCH)

    assert parts(recognise([tmp_path / "train"])["train"]) == ["tench"]


# --- Half sorted, and mixed -------------------------------------------------------------------------------------------


def test_a_half_sorted_validation_folder_is_one_set(tmp_path: Path) -> None:
    tree(tmp_path, FLAT[1], f"sea_snake/{SNAKE}", below="val")

    validation = recognise([tmp_path])["validation"]

    assert (form_of(validation), parts(validation)) == ("1 class folder, and files beside them", ["", "sea_snake"])


def test_train_class_folders_and_flat_validation_images_may_share_a_folder(tmp_path: Path) -> None:
    tree(tmp_path, *FISHES, *FLAT)

    archives = recognise([tmp_path])

    assert {role: (each.path, parts(each)) for role, each in archives.items()} == {
        "train": (tmp_path, [TENCH, GOLDFISH]),
        "validation": (tmp_path, [""]),
    }


def test_flat_train_and_validation_images_may_share_a_folder(tmp_path: Path) -> None:
    tree(tmp_path, f"{TENCH}_1.JPEG", *FLAT)

    assert found(tmp_path) == {"train": (tmp_path, "flat folder"), "validation": (tmp_path, "flat folder")}


def test_a_train_image_that_strayed_among_flat_validation_images_is_asked_about(
    tmp_path: Path, sentence: Sentence
) -> None:
    tree(tmp_path, *(f"train/{file}" for file in FISHES), *(f"val/{file}" for file in (*FLAT, f"{TENCH}_9.JPEG")))

    error = refused(tmp_path)
    assert places(error.problems) == [f"{tmp_path}/train", f"{tmp_path}/val"]
    sentence(error)


def test_train_may_be_a_tar_and_validation_a_folder_and_the_other_way_round(tmp_path: Path) -> None:
    tree(tmp_path, *FLAT, below="a/val")
    tree(tmp_path, *FISHES, below="b/train")
    for name in ("a/ILSVRC2012_img_train.tar", "b/ILSVRC2012_img_val.tar"):
        (tmp_path / name).write_bytes(b"a tar")

    forms = [{role: form for role, (_, form) in found(tmp_path / each).items()} for each in ("a", "b")]

    assert forms == [
        {"train": "archive", "validation": "flat folder"},
        {"train": "2 class folders", "validation": "archive"},
    ]


def test_a_tree_of_our_own_is_a_source_whose_test_images_come_from_train(tmp_path: Path) -> None:
    tree(tmp_path, f"train/tench/{TENCH}_1.JPEG", f"test/tench/{TENCH}_2.JPEG", f"validation/sea_snake/{SNAKE}")
    tree(tmp_path, "classes.csv", "meta.bin")

    archives = recognise([tmp_path])

    assert {role: (each.path.name, each.origin) for role, each in archives.items()} == {
        "train": ("train", "train"),
        "held-out train": ("test", "train"),
        "validation": ("validation", "validation"),
    }


@pytest.mark.parametrize("name", ["test", "held-out", "held_out", "holdout", "hold-out"])
def test_what_people_call_the_folder_of_images_taken_out_of_train(name: str, tmp_path: Path) -> None:
    tree(tmp_path, f"train/{TENCHES[0]}", f"{name}/{TENCHES[1]}")

    assert found(tmp_path)["held-out train"] == (tmp_path / name, "1 class folder")


def test_a_build_inside_a_source_is_passed_over(tmp_path: Path) -> None:
    tree(tmp_path, *FISHES, below="train")
    tree(tmp_path, ".imagenet-prep/plan.json", f"folders/train/tench/{TENCH}_1.JPEG", below="made")

    assert found(tmp_path) == {"train": (tmp_path / "train", "2 class folders")}


def test_a_build_among_the_class_folders_is_no_class_folder(tmp_path: Path) -> None:
    tree(tmp_path, *FISHES, "made/.imagenet-prep/plan.json", f"made/folders/train/tench/{TENCH}_1.JPEG")

    assert parts(recognise([tmp_path])["train"]) == [TENCH, GOLDFISH]


def test_a_build_that_is_given_is_a_source(tmp_path: Path) -> None:
    tree(tmp_path, ".imagenet-prep/plan.json", f"folders/train/tench/{TENCH}_1.JPEG")

    assert found(tmp_path) == {"train": (tmp_path / "folders/train", "1 class folder")}


# --- What is no class folder ------------------------------------------------------------------------------------------


def test_a_folder_called_like_a_class_with_nothing_of_imagenet_in_it_is_none(tmp_path: Path) -> None:
    tree(tmp_path, "notebook/monday.txt", "crane/plan.dwg", "desk/taxes/2011.pdf", "photos/cat.jpg")
    tree(tmp_path, *FISHES, below="datasets/train")

    assert found(tmp_path) == {"train": (tmp_path / "datasets/train", "2 class folders")}


def test_images_below_a_folder_called_like_a_class_are_found(tmp_path: Path) -> None:
    tree(tmp_path, *FISHES, below="desk/imagenet")

    assert found(tmp_path) == {"train": (tmp_path / "desk/imagenet", "2 class folders")}


@pytest.mark.parametrize("name", [".cache", "__MACOSX", "lost+found"])
def test_hidden_folders_and_those_of_systems_are_passed_over(name: str, tmp_path: Path) -> None:
    tree(tmp_path, *FISHES, f"{name}/{SNAKE}")

    assert set(found(tmp_path)) == {"train"}


def test_a_class_folder_without_one_good_name_stays_a_part_so_that_its_files_are_named(tmp_path: Path) -> None:
    tree(tmp_path, *TENCHES, "goldfish/cat.jpg", "crane/.keep")

    assert parts(recognise([tmp_path])["train"]) == ["crane", "goldfish", TENCH]


@pytest.mark.parametrize("stray", [SNAKE, "ILSVRC2012_test_00000001.JPEG", f"{TENCH}_1.xml"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_stray_file_makes_its_class_folder_no_set_of_its_own(
    stray: str, reverse: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the images beside it would be lost without a word."""
    tree(tmp_path, *FISHES, f"{TENCH}/{stray}", "tiger_cat/n02123159_1.JPEG")

    archives = in_order(monkeypatch, reverse, lambda: recognise([tmp_path]))

    assert {role: parts(each) for role, each in archives.items()} == {"train": [TENCH, GOLDFISH, "tiger_cat"]}


# --- What is refused --------------------------------------------------------------------------------------------------


def a_tar_and_a_folder(root: Path) -> list[str]:
    tree(root, *FISHES, below="train")
    (root / "ILSVRC2012_img_train.tar").write_bytes(b"a tar")
    return [f"{root}/ILSVRC2012_img_train.tar: train: archive", f"{root}/train: train: 2 class folders"]


def two_folders(root: Path) -> list[str]:
    tree(root, *(f"{name}/{file}" for name in ("train", "train-small") for file in FISHES))
    return [f"{root}/train: train: 2 class folders", f"{root}/train-small: train: 2 class folders"]


def class_tars_and_folders(root: Path) -> list[str]:
    tree(root, f"tars/{TENCH}.tar", f"tars/{GOLDFISH}.tar", *(f"train/{file}" for file in FISHES))
    return [f"{root}/tars: train: folder of 2 class tars", f"{root}/train: train: 2 class folders"]


def boxes_twice(root: Path) -> list[str]:
    tree(root, *FISHES, below="train")
    tree(root, f"{TENCH}/{TENCH}_1.xml", below="Annotations")
    (root / "ILSVRC2012_bbox_train_v2.tar.gz").write_bytes(b"a tar")
    return [
        f"{root}/ILSVRC2012_bbox_train_v2.tar.gz: train boxes: archive",
        f"{root}/Annotations: train boxes: 1 class folder",
    ]


@pytest.mark.parametrize("make", [a_tar_and_a_folder, two_folders, class_tars_and_folders, boxes_twice])
def test_two_sources_of_one_thing_are_listed_and_how_to_say_what_is_meant(
    make: Callable[[Path], list[str]], tmp_path: Path, sentence: Sentence
) -> None:
    expected = make(tmp_path)

    error = refused(tmp_path)

    assert error.summary == "There is more than one source of the same thing:"
    assert [str(problem) for problem in error.problems] == expected
    sentence(error)


def test_naming_one_of_two_is_enough(tmp_path: Path) -> None:
    two_folders(tmp_path)

    assert found(tmp_path / "train-small") == {"train": (tmp_path / "train-small", "2 class folders")}


def test_class_tars_beside_what_was_unpacked_from_them_cannot_be_named_apart(
    tmp_path: Path, sentence: Sentence
) -> None:
    tree(tmp_path, *FISHES, f"{TENCH}.tar", below="train")

    error = refused(tmp_path)

    assert places(error.problems) == [f"{tmp_path}/train", f"{tmp_path}/train"]
    sentence(error)


def test_a_train_folder_beside_train_and_test_is_one_too_many(tmp_path: Path) -> None:
    tree(tmp_path, *(f"{name}/{TENCHES[0]}" for name in ("train", "more", "test")))

    assert said(tmp_path) == [f"{tmp_path}/{name}: train: 1 class folder" for name in ("more", "test", "train")]


def test_unlabelled_test_images_alone_are_no_data_set_and_it_is_said_why(tmp_path: Path, sentence: Sentence) -> None:
    tree(tmp_path, "ILSVRC2012_test_00000001.JPEG", below="test")

    sentence(refused(tmp_path).remedy)


def test_annotations_alone_are_no_data_set(tmp_path: Path) -> None:
    tree(tmp_path, f"{TENCH}/{TENCH}_1.xml")

    assert refused(tmp_path).summary.startswith("There are no ILSVRC2012 archives or images with classes in ")


def test_a_class_folder_that_no_table_knows_is_named(tmp_path: Path, sentence: Sentence) -> None:
    tree(tmp_path, *FISHES, "kitten/n02123159_1.JPEG", "n00007846/n00007846_1.JPEG", below="train")

    error = refused(tmp_path)

    assert error.summary == "The source cannot be searched:"
    assert places(error.problems) == [f"{tmp_path}/train: kitten", f"{tmp_path}/train: n00007846"]
    sentence(error)


def test_class_folders_of_which_no_table_knows_any_are_named(tmp_path: Path) -> None:
    tree(tmp_path, f"fish1/{TENCH}_1.JPEG", f"fish2/{GOLDFISH}_1.JPEG", below="train")

    error = refused(tmp_path)

    assert [str(problem) for problem in error.problems] == [
        f"{tmp_path}/train/{name}: is not named after one of the 1,000 classes" for name in ("fish1", "fish2")
    ]
    assert "--class-map" in error.remedy


def test_names_of_the_users_own_are_known_by_the_users_table(tmp_path: Path) -> None:
    tree(tmp_path, f"fish1/{TENCH}_1.JPEG", f"goldfish/{GOLDFISH}_1.JPEG")
    mine = official().with_names(f"{TENCH} {official().classes[0].devkit} fish1\n")

    assert found(tmp_path, taxonomy=mine) == {"train": (tmp_path, "2 class folders")}


def test_two_class_folders_given_as_two_sources_add_up(tmp_path: Path) -> None:
    tree(tmp_path, *FISHES)

    assert found(tmp_path / TENCH, tmp_path / GOLDFISH) == found(tmp_path)


def test_more_folders_than_can_be_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence) -> None:
    monkeypatch.setattr(survey_of_sources, "MOST_FOLDERS", 10)
    tree(tmp_path, *(f"{number:02}/notes.txt" for number in range(11)))

    error = refused(tmp_path)

    assert error.summary == f"{tmp_path} has more than 10 folders to search."
    sentence(error)


def test_class_folders_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey_of_sources, "MOST_FOLDERS", 10)
    tree(tmp_path, *(f"{of.wnid}/{of.wnid}_1.JPEG" for of in official().classes[:20]))

    assert found(tmp_path) == {"train": (tmp_path, "20 class folders")}


# --- Links, and folders that refuse -----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_a_link_to_a_folder_that_it_lies_in_is_a_loop(target: str, tmp_path: Path, sentence: Sentence) -> None:
    tree(tmp_path, *FISHES, below="data/train")
    (tmp_path / "data" / "more").mkdir()
    (tmp_path / "data" / "more" / "again").symlink_to(target)

    error = refused(tmp_path)
    assert places(error.problems) == [f"{tmp_path}/data/more/again"]
    sentence(error, alike=True)


def test_a_class_folder_that_is_a_loop_is_named(tmp_path: Path, sentence: Sentence) -> None:
    tree(tmp_path, *TENCHES, below="train")
    (tmp_path / "train" / GOLDFISH).symlink_to("..")

    error = refused(tmp_path)
    assert places(error.problems) == [f"{tmp_path}/train/{GOLDFISH}"]
    sentence(error)


def test_two_folders_that_link_to_each_other_are_searched_once(tmp_path: Path) -> None:
    tree(tmp_path, f"a/{SNAKE}", "b/notes.txt")
    (tmp_path / "a" / "to-b").symlink_to("../b")
    (tmp_path / "b" / "to-a").symlink_to("../a")

    assert found(tmp_path) == {"validation": (tmp_path / "a", "flat folder")}


@pytest.mark.parametrize("target", ["goldfish", "/nowhere", "../notes.txt"])
def test_a_class_folder_that_is_a_link_to_no_folder_is_named(target: str, tmp_path: Path, sentence: Sentence) -> None:
    """Else a class would be missing without a word."""
    tree(tmp_path, *(f"train/{file}" for file in TENCHES), "notes.txt")
    (tmp_path / "train" / "goldfish").symlink_to(target)

    error = refused(tmp_path)
    assert places(error.problems) == [f"{tmp_path}/train: goldfish"]
    sentence(error, alike=True)


@pytest.mark.parametrize("target", ["link", "/nowhere"])
def test_other_links_that_lead_nowhere_stand_in_nobodys_way(target: str, tmp_path: Path) -> None:
    tree(tmp_path, *FISHES, below="train")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "train" / "link").symlink_to(target)

    assert found(tmp_path) == {"train": (tmp_path / "train", "2 class folders")}


@pytest.mark.parametrize("closed", ["more", "train", f"train/{TENCH}", "train/tiger_cat"])
def test_a_folder_that_cannot_be_read_is_named(
    closed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
) -> None:
    """The system's refusal is put in its mouth here: a test may run as root, who may read everything."""
    tree(tmp_path, *(f"train/{file}" for file in FISHES), "more/notes.txt", "train/tiger_cat/n02123159_1.JPEG")
    real = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path) == tmp_path / closed:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)

    error = refused(tmp_path)
    assert places(error.problems) == [f"{tmp_path}/{closed}"]
    sentence(error)


def test_names_that_could_harm_a_terminal_are_shown_harmless(tmp_path: Path) -> None:
    strange = ["a\nb", "\x1b[2J", os.fsdecode(b"\xff"), "\u202etxt"]
    tree(tmp_path, *FISHES, *(f"{name}/{TENCH}_1.JPEG" for name in strange))

    error = refused(tmp_path)

    assert [problem.member for problem in error.problems] == [repr(name) for name in sorted(strange)]
    assert all(line.isprintable() for line in str(error).splitlines())


def test_a_class_folder_whose_name_is_no_text_is_named(tmp_path: Path, sentence: Sentence) -> None:
    """No table and no document could hold its name."""
    tree(tmp_path, *FISHES, os.fsdecode(b"n02123159-\xff/n02123159_1.JPEG"))

    error = refused(tmp_path)
    assert places(error.problems) == [rf"{tmp_path}: 'n02123159-\udcff'"]
    sentence(error)


# --- Any tree at all --------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        "train", "val", "test", TENCH, "tench", "crane", "kitten", f"{TENCH}_1.JPEG", f"{GOLDFISH}_1.JPEG", SNAKE,
        "ILSVRC2012_test_00000001.JPEG", f"{TENCH}_1.xml", f"{TENCH}.tar", "ILSVRC2012_img_train.tar",
        "ILSVRC2012_img_val.tar", "LOC_val_solution.csv", ".DS_Store", ".imagenet-prep", "a\nb",
        os.fsdecode(b"n01440764-\xff"),
    ]
)  # fmt: skip
PLACES = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
THINGS = st.lists(st.tuples(PLACES, st.sampled_from(["file", "folder", "pipe"]) | PLACES), max_size=12)


@settings(max_examples=150, deadline=None)
@given(THINGS)
def test_any_tree_is_recognised_and_indexed_or_refused_with_a_declared_error(things: list[tuple[str, str]]) -> None:
    make: dict[str, Callable[[Path], object]] = {
        "file": lambda path: path.write_bytes(b"x"),
        "folder": lambda path: path.mkdir(),
        "pipe": os.mkfifo,
    }
    with tempfile.TemporaryDirectory() as folder:
        for place, kind in things:
            path = Path(folder, place)
            if os.path.lexists(path):
                continue  # a pipe would wait for its other end
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                make.get(kind, lambda path, target=kind: path.symlink_to(target))(path)
            except OSError:
                continue  # a file is in the way
        outcomes = [
            result_of(lambda: recognise([Path(folder)])),
            result_of(lambda: index(folder, IndexOptions(jobs=1))),
        ]
    for outcome in outcomes:
        if isinstance(outcome, SourceError):
            assert outcome.remedy
            assert all(line.isprintable() for line in str(outcome).splitlines())
        elif isinstance(outcome, dict):
            assert {"train", "validation"} & set(outcome)


def result_of(action: Callable[[], object]) -> object:
    try:
        return action()
    except SourceError as error:
        return error

"""`audit` of class folders that are called by number says which numbers these are, and what readers make of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagenet_prep import official
from imagenet_prep.imagenet.classes import ClassFacts
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.command import run

TEXT = sorted(map(str, range(1000)))
NUMBERS: dict[str, Callable[[ClassFacts], str]] = {
    "class index, 0…999": lambda facts: str(facts.index),
    "class index + 1, 1…1000": lambda facts: str(facts.index + 1),
    "devkit integer, 1…1000": lambda facts: str(facts.devkit),
    "devkit integer - 1, 0…999": lambda facts: f"{facts.devkit - 1:03d}",
    "place of the class index among 0…999 sorted as text": lambda facts: str(TEXT.index(str(facts.index))),
}


def audit(folder: Path) -> tuple[int, dict[str, Any]]:
    done = run("audit", folder, "--quiet", "--json")
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def sorted_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = MiniatureOptions(
        classes=20, images_per_class=1, validation_per_class=3, boxes=False, devkit=False, layout="sorted"
    )
    return write_miniature(tmp_path_factory.mktemp("sorted"), options).root


def numbered(images: Path, out: Path, number: Callable[[ClassFacts], str]) -> Path:
    """The validation images in folders by number; hard links, so that a thousand are made at once."""
    for folder in (images / "val").iterdir():
        facts = official().find(folder.name)
        assert facts is not None
        (out / "val" / number(facts)).mkdir(parents=True)
        for image in folder.iterdir():
            (out / "val" / number(facts) / image.name).hardlink_to(image)
    return out


@pytest.mark.parametrize("numbers", NUMBERS)
def test_the_numbers_are_named_by_their_numbering(sorted_images: Path, tmp_path: Path, numbers: str) -> None:
    code, report = audit(numbered(sorted_images, tmp_path / "set", NUMBERS[numbers]))

    assert code == 7
    (found,) = report["sets"]
    assert found["layout"] == "class folders, called by number"
    (split,) = found["splits"]
    assert (split["name"], split["images"], split["parts"], split["classes"]) == ("val", 60, 20, 20)
    said = [each["reason"] for each in (*report["problems"], *report["remarks"])]
    assert any(f"called by number: {numbers}" in reason and "60 of 60" in reason for reason in said)
    assert len(said) < 8
    assert not any("without class folders" in reason for reason in said)


def test_numbers_that_readers_sort_as_text_are_told(sorted_images: Path, tmp_path: Path) -> None:
    _, report = audit(numbered(sorted_images, tmp_path / "set", lambda facts: str(facts.index)))

    assert any("10 before 2" in each["reason"] for each in report["problems"])


def test_numbers_of_three_digits_are_read_as_they_are(sorted_images: Path, tmp_path: Path) -> None:
    _, report = audit(numbered(sorted_images, tmp_path / "set", lambda facts: f"{facts.index:03d}"))

    assert not any("10 before 2" in each["reason"] for each in report["problems"])
    assert not any("called by number" in each["reason"] for each in report["problems"])
    assert any("called by number: class index, 0…999" in each["reason"] for each in report["remarks"])


def test_all_thousand_classes_in_three_digits_are_the_class_index(tmp_path: Path) -> None:
    options = MiniatureOptions(
        classes=1000, images_per_class=1, validation_per_class=1, boxes=False, devkit=False, layout="sorted"
    )
    images = write_miniature(tmp_path / "images", options).root

    _, report = audit(numbered(images, tmp_path / "padded", lambda facts: f"{facts.index:03d}"))
    assert report["sets"][0]["splits"][0]["labels"] == "class index, 0…999"
    assert len(report["problems"]) < 8

    _, report = audit(numbered(images, tmp_path / "devkit", lambda facts: str(facts.devkit)))
    assert any("devkit integer, 1…1000 (1,000 of 1,000" in each["reason"] for each in report["problems"])
    assert len(report["problems"]) < 8


def test_the_images_of_a_folder_that_do_not_agree_are_counted(sorted_images: Path, tmp_path: Path) -> None:
    root = numbered(sorted_images, tmp_path / "set", lambda facts: str(facts.devkit))
    first, second = sorted((root / "val").iterdir())[:2]
    moved = min(first.iterdir())
    moved.rename(second / moved.name)

    _, report = audit(root)

    (reason,) = [each["reason"] for each in report["problems"] if "another number" in each["reason"]]
    assert reason == f"1 images of val are in the folder of another number: in {second.name} (1)"


def test_numbers_that_mean_nothing_are_told_as_such(sorted_images: Path, tmp_path: Path) -> None:
    _, report = audit(numbered(sorted_images, tmp_path / "set", lambda facts: str(9000 + facts.index)))

    assert any("no known numbering" in each["reason"] for each in report["problems"])
    assert report["sets"][0]["splits"][0]["labels"] == "none of the known conventions"
    assert len(report["problems"]) < 8


def test_images_that_were_dealt_out_into_numbered_folders_are_told_as_such(sorted_images: Path, tmp_path: Path) -> None:
    for place, image in enumerate(sorted(sorted_images.glob("val/*/*.JPEG"))):
        (tmp_path / f"set/val/{place % 4}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"set/val/{place % 4}" / image.name).hardlink_to(image)

    _, report = audit(tmp_path / "set")

    assert any("4 of 4 hold images of several classes" in each["reason"] for each in report["problems"])


def test_images_beside_the_folders_are_told_and_do_not_hide_the_numbers(sorted_images: Path, tmp_path: Path) -> None:
    root = numbered(sorted_images, tmp_path / "set", lambda facts: str(facts.devkit))
    image = next(root.glob("val/*/*.JPEG"))
    image.rename(root / "val" / image.name)

    _, report = audit(root)

    reasons = [each["reason"] for each in report["problems"]]
    assert any("devkit integer, 1…1000 (59 of 59" in reason for reason in reasons)
    assert any("images beside the class folders" in reason for reason in reasons)
    assert [split["images"] for split in report["sets"][0]["splits"]] == [60]


def test_train_by_wnid_beside_them_is_a_split_of_its_own(sorted_images: Path, tmp_path: Path) -> None:
    root = numbered(sorted_images, tmp_path / "set", lambda facts: str(facts.devkit))
    (root / "train").symlink_to(sorted_images / "train")

    _, report = audit(root)

    assert [split["name"] for split in report["sets"][0]["splits"]] == ["train", "val"]
    assert report["sets"][0]["layout"] == "class folders, some of them called by number"
    assert any("number the classes otherwise" in each["reason"] for each in report["problems"])


def test_the_folder_of_the_numbers_may_be_given_itself(sorted_images: Path, tmp_path: Path) -> None:
    root = numbered(sorted_images, tmp_path / "set", lambda facts: str(facts.devkit))

    _, report = audit(root / "val")

    assert [split["name"] for split in report["sets"][0]["splits"]] == ["validation"]
    assert any("devkit integer, 1…1000 (60 of 60" in each["reason"] for each in report["problems"])

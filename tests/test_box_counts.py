"""Bounding boxes are counted: how many there are, and of how many images, before a build and in what it leaves.
Archives that have none for the images are refused by what they hold.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import imagenet_prep
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.annotations import annotation_xml
from imagenet_prep.testing.archives import TRAIN_BOXES, VALIDATION_BOXES, write_packed_archive
from imagenet_prep.testing.pictures import PixelBox
from support.command import run
from support.sentences import Sentence, lines

SMALL = MiniatureOptions(wnids=("n01440764", "n02917067"), images_per_class=8, validation_per_class=3)


@pytest.fixture
def miniature(tmp_path: Path) -> Miniature:
    return write_miniature(tmp_path / "source", SMALL)


def build(miniature: Miniature, out: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return run("build", miniature.root, out, "--test-per-class", 1, *words)


def expected(miniature: Miniature) -> dict[str, tuple[int, int]]:
    """Boxed images and boxes by archive."""
    return {
        origin: (sum(bool(entry.boxes) for entry in entries), sum(len(entry.boxes) for entry in entries))
        for origin, entries in (("train", miniature.train), ("validation", miniature.validation))
    }


def document(out: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((out / "build.json").read_text("utf-8"))
    return read


def with_archive(miniature: Miniature, name: str, **members: bytes) -> None:
    (miniature.root / name).unlink()
    write_packed_archive(miniature.root / name, [(path.replace("__", "/"), data) for path, data in members.items()])


def annotation(stem: str) -> bytes:
    wnid = stem.partition("_")[0]
    return annotation_xml(wnid, stem, wnid, (200, 100), [PixelBox(20, 25, 100, 75)])


# --- Counted ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layout", "how"), [("archives", ()), ("kaggle", ("--full",))])
def test_check_counts_boxes_and_boxed_images(tmp_path: Path, layout: str, how: tuple[str, ...]) -> None:
    options = MiniatureOptions(classes=3, images_per_class=8, validation_per_class=3, layout=layout)
    miniature = write_miniature(tmp_path / "source", options)
    (train, train_boxes), (validation, validation_boxes) = expected(miniature).values()

    text = run("check", miniature.root, *how).stdout
    of_json = json.loads(run("check", miniature.root, "--json", *how).stdout)

    assert f"Bounding boxes: {train_boxes} in {train} of 24 train images, " in text
    assert f"{validation_boxes} in {validation} of 9 validation images." in text
    assert {origin: (of["boxed"], of["boxes"]) for origin, of in of_json["origins"].items()} == expected(miniature)


def test_check_says_that_it_opens_no_annotation_that_is_a_file_of_its_own(tmp_path: Path, sentence: Sentence) -> None:
    options = MiniatureOptions(classes=3, images_per_class=8, validation_per_class=3, layout="kaggle")

    done = run("check", write_miniature(tmp_path / "source", options).root)

    assert done.returncode == 0
    sentence(lines(done.stdout, "--full"))
    assert "Bounding boxes:" not in done.stdout


def test_a_build_counts_those_of_the_images_it_wrote(miniature: Miniature, tmp_path: Path) -> None:
    counts = [sum(of) for of in zip(*expected(miniature).values(), strict=True)]

    for _ in range(2):  # the second finds everything done
        done = build(miniature, tmp_path / "out")
        assert f"Bounding boxes: {counts[1]} in {counts[0]} of 22 images." in done.stdout
    images = document(tmp_path / "out")["images"]
    assert (images["boxed"], images["boxes"]) == tuple(counts)
    report = json.loads(build(miniature, tmp_path / "out", "--json").stdout)
    assert (report["accounts"]["boxed"], report["accounts"]["boxes"]) == tuple(counts)


def test_of_a_subset_its_own_are_counted(miniature: Miniature, tmp_path: Path) -> None:
    """And boxes of classes outside it are no fault."""
    (tmp_path / "classes.txt").write_text("tench\n")

    done = build(miniature, tmp_path / "out", "--classes", tmp_path / "classes.txt")

    assert done.returncode == 0, done.stderr
    of_tench = [entry.boxes for entry in miniature.entries if entry.wnid == "n01440764"]
    images = document(tmp_path / "out")["images"]
    assert (images["boxed"], images["boxes"]) == (sum(map(bool, of_tench)), sum(map(len, of_tench)))


@pytest.mark.parametrize("how", ["another format", "no archives"])
def test_where_no_boxes_were_read_nothing_is_counted(miniature: Miniature, tmp_path: Path, how: str) -> None:
    if how == "no archives":
        (miniature.root / TRAIN_BOXES).unlink()
        (miniature.root / VALIDATION_BOXES).unlink()

    done = build(miniature, tmp_path / "out", "--format", "tfds" if how == "another format" else "tfrecord")

    assert "ounding box" not in done.stdout
    images = document(tmp_path / "out")["images"]
    assert (images["boxed"], images["boxes"]) == (None, None)


def test_images_set_aside_do_not_count(tmp_path: Path) -> None:
    options = MiniatureOptions(classes=2, images_per_class=8, validation_per_class=3, quirks=("text", "truncated"))
    miniature = write_miniature(tmp_path / "source", options)
    bad = {planted.member.rpartition("/")[2] for planted in miniature.planted}

    assert build(miniature, tmp_path / "out", "--on-bad", "set-aside").returncode == 3

    good = [entry.boxes for entry in miniature.entries if entry.name not in bad]
    images = document(tmp_path / "out")["images"]
    assert (images["boxed"], images["boxes"]) == (sum(map(bool, good)), sum(map(len, good)))


def test_archives_under_each_others_name_are_no_fault(miniature: Miniature, tmp_path: Path) -> None:
    train, validation = miniature.root / TRAIN_BOXES, miniature.root / VALIDATION_BOXES
    train.rename(train.with_name("other"))
    validation.rename(train)
    train.with_name("other").rename(validation)

    assert build(miniature, tmp_path / "out").returncode == 0
    counts = tuple(sum(of) for of in zip(*expected(miniature).values(), strict=True))
    images = document(tmp_path / "out")["images"]
    assert (images["boxed"], images["boxes"]) == counts


# --- None -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "build"])
def test_an_archive_without_annotations_is_refused_by_what_it_holds(
    miniature: Miniature, tmp_path: Path, command: str, sentence: Sentence
) -> None:
    with_archive(miniature, TRAIN_BOXES, a__README=b"hello\n")

    done = run("check", miniature.root) if command == "check" else build(miniature, tmp_path / "out")

    assert done.returncode == 4
    sentence(lines(done.stdout + done.stderr, "a/README"), alike=True)
    assert not (tmp_path / "out").exists()


def test_an_empty_archive_is_refused(miniature: Miniature, tmp_path: Path, sentence: Sentence) -> None:
    with_archive(miniature, TRAIN_BOXES)

    done = build(miniature, tmp_path / "out")

    assert done.returncode == 4
    sentence(done.stderr)


def test_boxes_of_other_classes_are_refused_by_their_wnids(
    miniature: Miniature, tmp_path: Path, sentence: Sentence
) -> None:
    stems = ("n02119789_7", "n02119789_8", "n03126707_1")
    members = {f"{stem.partition('_')[0]}__{stem}.xml": annotation(stem) for stem in stems}
    with_archive(miniature, TRAIN_BOXES, **members)

    done = build(miniature, tmp_path / "out")

    assert done.returncode == 4
    assert "3 annotations" in done.stderr
    sentence(done.stderr)


def test_boxes_of_another_data_set_are_refused_by_a_name(miniature: Miniature, tmp_path: Path) -> None:
    with_archive(miniature, TRAIN_BOXES, **{"VOC__2007_000027.xml": annotation("2007_000027")})

    done = build(miniature, tmp_path / "out")

    assert done.returncode == 4
    assert "2007_000027" in done.stderr


def test_for_a_format_without_boxes_they_stand_in_nobodys_way(miniature: Miniature, tmp_path: Path) -> None:
    with_archive(miniature, TRAIN_BOXES, a__README=b"hello\n")

    assert build(miniature, tmp_path / "out", "--format", "folders").returncode == 0


def test_boxes_of_validation_without_validation_images_are_passed_over_with_a_word(
    miniature: Miniature, tmp_path: Path, sentence: Sentence
) -> None:
    (miniature.root / "ILSVRC2012_img_val.tar").unlink()

    done = build(miniature, tmp_path / "out", "--split", "train")

    assert done.returncode == 0, done.stderr
    sentence(lines(done.stderr, "ILSVRC2012_bbox_val_v3.tgz"))


def test_an_annotation_whose_boxes_are_all_of_no_use_is_told(
    miniature: Miniature, tmp_path: Path, sentence: Sentence
) -> None:
    """It belongs to an image that is here, so the archive is the right one."""
    stem = miniature.train[0].name.removesuffix(".JPEG")
    empty = annotation_xml(stem[:9], stem, stem[:9], (200, 100), [PixelBox(20, 25, 20, 75)])
    with_archive(miniature, TRAIN_BOXES, **{f"{stem[:9]}__{stem}.xml": empty})

    done = build(miniature, tmp_path / "out")

    assert done.returncode == 0, done.stderr
    sentence(lines(done.stderr, "16 train images has"))


# --- Far fewer than the official ones ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("kept", "told"), [(200, False), (100, False), (20, True)])
def test_far_fewer_than_the_official_share_is_a_remark(tmp_path: Path, kept: int, told: bool) -> None:
    options = MiniatureOptions(classes=10, images_per_class=1, validation_per_class=20)
    miniature = write_miniature(tmp_path / "source", options)
    stems = [entry.name.removesuffix(".JPEG") for entry in miniature.validation][:kept]
    (miniature.root / TRAIN_BOXES).unlink()
    with_archive(miniature, VALIDATION_BOXES, **{f"val__{stem}.xml": annotation(stem) for stem in stems})

    checked = imagenet_prep.check(miniature.root, imagenet_prep.CheckOptions(jobs=1))

    assert not checked.problems
    assert any("unverified" in note and "validation" in note for note in checked.notes) is told

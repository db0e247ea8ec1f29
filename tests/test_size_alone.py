"""What no image can be by its size, 0 bytes above all: `check` names it, links and moves refuse it, audits find it."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, Note, Progress, SourceError
from imagenet_prep.codecs.jpeg import NotAnImageError, inspect
from imagenet_prep.codecs.smallest import SMALLEST
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.build import inodes
from support.command import run
from support.sentences import Sentence, lines

WNID = "n01440764"
LINKS = ("hardlink", "symlink", "move")
TO_FOLDERS = ("--format", "folders", "--test-per-class", "0", "--jobs", "1")


def miniature(root: Path, layout: str) -> Path:
    small = MiniatureOptions(
        wnids=(WNID, "n02917067"), images_per_class=4, validation_per_class=2, layout=layout, boxes=False, devkit=False
    )
    return write_miniature(root, small).root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return miniature(tmp_path / "source", "extracted")


def images(source: Path) -> list[Path]:
    return sorted((source / "train" / WNID).iterdir())


def test_check_names_every_empty_file_at_once(source: Path) -> None:
    bad = [*images(source)[:2], source / "val" / "ILSVRC2012_val_00000293.JPEG"]
    for path in bad:
        path.write_bytes(b"")

    done = run("check", source)

    assert done.returncode == 4
    assert all(f"{path.name}: is empty" in done.stdout for path in bad)
    assert "Can be built" not in done.stdout


def test_check_gives_programs_the_place_of_a_file_that_is_too_small(source: Path) -> None:
    images(source)[0].write_bytes(b"\xff\xd8\xff\xd9")

    done = run("check", source, "--json")

    assert done.returncode == 4
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["archive"] == str(source / "train")
    assert problem["member"] == f"{WNID}/{images(source)[0].name}"
    assert problem["offset"] is None
    assert "has 4 bytes" in problem["reason"]


def test_check_in_full_names_an_empty_file_once(source: Path) -> None:
    images(source)[0].write_bytes(b"")

    done = run("check", source, "--full", "--json")

    assert [problem["reason"] for problem in json.loads(done.stdout)["problems"]] == ["is empty"]


@pytest.mark.parametrize("layout", ["archives", "class-tars"])
def test_check_names_an_empty_member_of_a_tar_with_its_place(tmp_path: Path, layout: str) -> None:
    source = miniature(tmp_path / "source", layout)
    sound = source / f"train/{WNID}.tar" if layout == "class-tars" else source / "ILSVRC2012_img_val.tar"
    name = f"{WNID}_999.JPEG" if layout == "class-tars" else "ILSVRC2012_val_00000001.JPEG"
    with tarfile.open(sound, "a") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with tarfile.open(sound) as tar:
        place = tar.getmember(name).offset_data

    done = run("check", source, "--json")

    assert done.returncode == 4
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["offset"], problem["reason"]) == (place, "is empty")
    assert problem["member"].endswith(name)


def test_a_build_says_before_it_begins_what_it_cannot_use(source: Path, tmp_path: Path, sentence: Sentence) -> None:
    images(source)[0].write_bytes(b"")

    done = run("build", source, tmp_path / "data", "--test-per-class", "0", "--dry-run")

    sentence(lines(done.stdout, images(source)[0].name))


def test_a_copy_sets_empty_files_aside(source: Path, tmp_path: Path) -> None:
    images(source)[0].write_bytes(b"")

    done = run("build", source, tmp_path / "data", *TO_FOLDERS, "--on-bad", "set-aside")

    assert done.returncode == 3
    assert (tmp_path / "data/set-aside" / images(source)[0].name).stat().st_size == 0


@pytest.mark.parametrize("transfer", LINKS)
def test_links_and_moves_refuse_empty_files_and_touch_nothing(source: Path, tmp_path: Path, transfer: str) -> None:
    bad = images(source)[:2]
    for path in bad:
        path.write_bytes(b"")
    before = inodes(tmp_path)

    for dry_run in ([], ["--dry-run"]):
        done = run("build", source, tmp_path / "data", *TO_FOLDERS, "--transfer", transfer, *dry_run)

        assert done.returncode == 4
        assert all(f"{path.name}: is empty" in done.stderr for path in bad)
        assert "--exclude" in done.stderr
        assert inodes(tmp_path) == before


@pytest.mark.parametrize("transfer", LINKS)
def test_an_empty_file_that_is_not_chosen_is_in_nobodys_way(source: Path, tmp_path: Path, transfer: str) -> None:
    bad = images(source)[0]
    bad.write_bytes(b"")
    listed = tmp_path / "bad.txt"
    listed.write_text(bad.name)

    done = run("build", source, tmp_path / "data", *TO_FOLDERS, "--transfer", transfer, "--exclude", listed)

    assert done.returncode == 0
    assert bad.exists()


@pytest.mark.parametrize("transfer", LINKS)
def test_a_file_that_is_emptied_before_it_is_linked_is_refused(source: Path, tmp_path: Path, transfer: str) -> None:
    bad = images(source)[0]

    def empty_it(event: Progress | Note) -> None:
        if isinstance(event, Progress) and event.stage == "write":
            bad.write_bytes(b"")

    options = BuildOptions.of(format=("folders",), test_per_class=0, transfer=transfer, jobs=1)
    with pytest.raises(SourceError) as caught:
        imagenet_prep.build(source, tmp_path / "data", options, watch=empty_it)

    assert "has 0 bytes" in str(caught.value)
    assert bad.name in str(caught.value)
    assert bad.exists()


@pytest.mark.parametrize("transfer", LINKS)
def test_an_audit_finds_a_linked_file_that_became_empty(source: Path, tmp_path: Path, transfer: str) -> None:
    assert run("build", source, tmp_path / "data", *TO_FOLDERS, "--transfer", transfer).returncode == 0
    os.truncate(next((tmp_path / "data/folders/train/tench").iterdir()), 0)

    done = run("audit", tmp_path / "data")

    assert done.returncode == 7
    assert "has 0 bytes" in done.stderr


def test_no_image_of_fewer_bytes_is_one_for_who_reads_it_either() -> None:
    overlapping = bytes.fromhex("ffd8 ffc0 0002 ffda 0001 0001 01 ffd9")  # a scan header inside a frame header
    assert len(overlapping) < SMALLEST
    with pytest.raises(NotAnImageError):
        inspect(overlapping)

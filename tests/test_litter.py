"""What lies beside archives and images without being one is named for what it is: downloads that are not finished,
parts of a file that were never written, annotations.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from imagenet_prep.sources.downloads import tool_of
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.command import run
from support.sentences import Sentence, lines

WNID = "n01440764"
TRAIN, VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
INSTEAD = (
    ".part", ".crdownload", ".opdownload", ".download", ".partial", ".!qB", ".!ut", ".bc!", ".filepart",
)  # fmt: skip
BESIDE = {".aria2": "aria2", ".st": "axel", ".lftp-pget-status": "lftp"}


def miniature(root: Path, layout: str = "archives", *, boxes: bool = False) -> Path:
    small = MiniatureOptions(
        wnids=(WNID, "n02917067"), images_per_class=4, validation_per_class=2, layout=layout, boxes=boxes, devkit=False
    )
    return write_miniature(root, small).root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return miniature(tmp_path / "source")


# --- Downloads that are not finished ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "tool"), BESIDE.items())
def test_an_archive_is_not_believed_while_its_tool_keeps_something_beside_it(
    source: Path, tmp_path: Path, suffix: str, tool: str
) -> None:
    Path(f"{source / TRAIN}{suffix}").write_bytes(b"?")

    for given in ([source], [source / TRAIN, source / VALIDATION]):
        for done in (run("check", *given), run("build", *given, tmp_path / "data")):
            assert done.returncode == 4
            assert f"{TRAIN}: its download is not finished" in done.stderr
            assert f"{tool} keeps {TRAIN}{suffix} beside it" in done.stderr
            assert "take" in done.stderr
    assert not (tmp_path / "data").exists()


def test_fetch_says_it_too(source: Path) -> None:
    (source / f"{TRAIN}.aria2").write_bytes(b"?")

    assert f"{TRAIN}.aria2" in run("fetch", source).stderr


def test_the_other_archive_can_be_used_alone_meanwhile(source: Path, tmp_path: Path) -> None:
    (source / f"{TRAIN}.aria2").write_bytes(b"?")

    done = run("build", source / VALIDATION, tmp_path / "data", "--split", "validation")

    assert done.returncode == 0


def test_a_class_tar_is_not_believed_either(tmp_path: Path, sentence: Sentence) -> None:
    source = miniature(tmp_path / "source", "class-tars")
    (source / f"train/{WNID}.tar.aria2").write_bytes(b"?")

    done = run("check", source)

    assert done.returncode == 4
    sentence(done.stderr)


@pytest.mark.parametrize("suffix", INSTEAD)
def test_a_sound_validation_beside_an_unfinished_train_is_not_passed_over_in_silence(
    source: Path, tmp_path: Path, suffix: str, sentence: Sentence
) -> None:
    (source / TRAIN).rename(f"{source / TRAIN}{suffix}")

    checked, built = run("check", source), run("build", source, tmp_path / "data")

    assert checked.returncode == 0
    sentence(lines(checked.stdout, f"{TRAIN}{suffix}"))
    assert built.returncode == 4
    assert f"{TRAIN}{suffix}" in built.stderr


def test_programs_hear_of_unfinished_downloads_too(source: Path) -> None:
    (source / TRAIN).rename(source / f"{TRAIN}.crdownload")

    (note,) = [each for each in json.loads(run("check", source, "--json").stdout)["notes"] if "finished" in each]

    assert f"{source / TRAIN}.crdownload (Chrome or Edge)" in note


def test_an_unfinished_download_that_is_given_is_named_for_what_it_is(source: Path, sentence: Sentence) -> None:
    (source / TRAIN).rename(source / f"{TRAIN}.part")

    done = run("check", source / f"{TRAIN}.part", source / VALIDATION)

    assert done.returncode == 4
    sentence(done.stderr)


def test_without_anything_else_the_error_names_the_unfinished_download(source: Path) -> None:
    (source / TRAIN).rename(source / f"{TRAIN}.!qB")
    (source / VALIDATION).unlink()

    done = run("check", source)

    assert done.returncode == 4
    assert f"{TRAIN}.!qB (qBittorrent)" in done.stderr


def test_what_safari_has_not_finished_is_not_searched(source: Path, sentence: Sentence) -> None:
    (source / f"{TRAIN}.download").mkdir()
    (source / TRAIN).rename(source / f"{TRAIN}.download" / TRAIN)

    done = run("check", source)

    assert done.returncode == 0
    sentence(lines(done.stdout, "Can be built", f"{TRAIN}.download"))


def test_many_unfinished_downloads_take_one_line(tmp_path: Path) -> None:
    source = miniature(tmp_path / "source", "class-tars")
    for number in range(100):
        (source / f"train/n{number:08}.tar.part").write_bytes(b"?")

    (line,) = [line for line in run("check", source).stdout.splitlines() if "not finished" in line]

    assert line.endswith("and 95 more.")


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        (f"{TRAIN}.aria2", "aria2"),
        ("ILSVRC2012_img_train.4kWx_b1Z.tar.part", "Firefox, Transmission or imagenet-prep fetch"),
        ("ILSVRC2012_img_train (1).tar.crdownload", "Chrome or Edge"),
        (f".{TRAIN}.a8Bz0Q", "rsync"),
        ("n01440764.tar.!QB", "qBittorrent"),
        ("ILSVRC2012_devkit_t12.tar.gz.part", "Firefox, Transmission or imagenet-prep fetch"),
        (TRAIN, ""),
        ("ILSVRC2012_img_train_t3.tar.part", ""),
        ("thesis.tar.part", ""),
        ("n01440764.tar.part.json", ""),
        (f"{TRAIN}.partaa", ""),
    ],
)
def test_names_of_unfinished_downloads_are_known(name: str, tool: str) -> None:
    assert tool_of(name) == tool


# --- Holes ------------------------------------------------------------------------------------------------------------


def test_a_part_of_a_picture_that_was_never_written_is_told(source: Path) -> None:
    with tarfile.open(source / VALIDATION) as tar:
        member = tar.getmembers()[0]
        file = tar.extractfile(member)
        assert file
        picture = file.read()
    picture = picture[:-2] + bytes(1 << 20) + picture[-2:]  # a sound header, and an end
    member.size = len(picture)
    with tarfile.open(source / VALIDATION, "w") as tar:
        tar.addfile(member, io.BytesIO(picture))
    make_holes(source / VALIDATION)

    checked, built = run("check", source), run("build", source, source.parent / "data", "--test-per-class", "0")

    assert checked.returncode == 0
    for said in (checked.stdout, built.stderr):
        assert f"{VALIDATION} has a hole" in said
        assert "never written" in said


def make_holes(path: Path) -> None:
    """Write a file as a tool does that has only its pieces that are not zero."""
    data = path.read_bytes()
    with path.open("wb") as file:
        for place in range(0, len(data), 4096):
            if any(data[place : place + 4096]):
                file.seek(place)
                file.write(data[place : place + 4096])
        file.truncate(len(data))


def test_the_zeros_at_the_end_of_a_sound_archive_are_no_hole(source: Path) -> None:
    make_holes(source / TRAIN)

    assert "hole" not in run("check", source).stdout


# --- Annotations ------------------------------------------------------------------------------------------------------


def test_annotations_among_images_are_counted_in_one_line(tmp_path: Path, sentence: Sentence) -> None:
    source = miniature(tmp_path / "source", "sorted")
    count = 0
    for image in [*(source / "train").rglob("*.JPEG"), *(source / "val").rglob("*.JPEG")]:
        image.with_suffix(".xml").write_text("<annotation/>")
        count += 1

    checked, built = run("check", source), run("build", source, tmp_path / "data", "--test-per-class", "0")

    assert (checked.returncode, built.returncode) == (0, 0)
    assert checked.stdout.count(".xml") == built.stderr.count(".xml") == 1
    assert f" {count} " in lines(checked.stdout, ".xml")
    sentence(lines(checked.stdout, ".xml"))


def test_annotations_inside_class_tars_are_counted_too(tmp_path: Path, sentence: Sentence) -> None:
    source = miniature(tmp_path / "source", "class-tars")
    with tarfile.open(source / f"train/{WNID}.tar", "a") as tar:
        for number in (1, 2, 3):
            tar.addfile(tarfile.TarInfo(f"{WNID}_{number}.xml"))

    done = run("check", source)

    assert done.returncode == 0
    sentence(lines(done.stdout, ".xml"))


def test_what_is_no_annotation_by_its_name_is_still_refused(tmp_path: Path) -> None:
    source = miniature(tmp_path / "source", "sorted")
    (source / "train" / WNID / "labels.xml").write_text("<annotation/>")

    done = run("check", source)

    assert done.returncode == 4
    assert "labels.xml" in done.stdout


def test_a_move_leaves_annotations_where_they_are(tmp_path: Path) -> None:
    source = miniature(tmp_path / "source", "sorted")
    beside = next((source / "train" / WNID).iterdir()).with_suffix(".xml")
    shutil.copy(__file__, beside)

    done = run("build", source, tmp_path / "data", "--format", "folders", "--test-per-class", "0", "--transfer", "move")

    assert done.returncode == 0
    assert beside.exists()

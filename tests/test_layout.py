"""What the user gave: archives are known by name, looked at before they are believed, and refused with a sentence."""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from imagenet_prep.errors import SourceError
from imagenet_prep.sources.search import recognise
from imagenet_prep.testing import MiniatureOptions, write_miniature

pytestmark = pytest.mark.quick

TRAIN, VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    options = MiniatureOptions(classes=1, images_per_class=2, validation_per_class=1)
    return write_miniature(tmp_path / "archives", options).root


def refusal(*sources: Path) -> str:
    with pytest.raises(SourceError) as caught:
        recognise(sources)
    return str(caught.value)


def test_a_folder_is_searched_for_the_official_names(folder: Path) -> None:
    found = recognise([folder])

    assert {role: archive.path.name for role, archive in found.items()} == {
        "train": "ILSVRC2012_img_train.tar",
        "validation": "ILSVRC2012_img_val.tar",
        "devkit": "ILSVRC2012_devkit_t12.tar.gz",
        "train boxes": "ILSVRC2012_bbox_train_v2.tar.gz",
        "validation boxes": "ILSVRC2012_bbox_val_v3.tgz",
    }


def test_an_archive_is_noted_with_size_and_time(folder: Path) -> None:
    os.utime(folder / TRAIN, ns=(0, 1_338_508_800_123_456_789))

    train = recognise([folder])["train"]

    assert (train.role, train.path, train.modified) == ("train", folder / TRAIN, 1_338_508_800_123_456_789)
    assert train.size == (folder / TRAIN).stat().st_size


def test_files_may_be_named_one_by_one_and_lie_in_different_folders(folder: Path, tmp_path: Path) -> None:
    elsewhere = (folder / VALIDATION).rename(tmp_path / VALIDATION)

    found = recognise([elsewhere, folder / TRAIN])

    assert {role: archive.path for role, archive in found.items()} == {
        "train": folder / TRAIN,
        "validation": elsewhere,
    }


def test_one_image_archive_is_enough(folder: Path) -> None:
    assert set(recognise([folder / VALIDATION])) == {"validation"}


def test_an_archive_of_147_gb_is_recognised_by_its_first_bytes_alone(folder: Path) -> None:
    os.truncate(folder / TRAIN, 147_897_477_120)  # sparse: no byte of it lies on the disk

    assert recognise([folder])["train"].size == 147_897_477_120


@pytest.mark.parametrize("name", ["ILSVRC2012_devkit_t12.tar", "ILSVRC2012_devkit_t12.tar.gz"])
def test_a_devkit_that_the_browser_unpacked_is_recognised_under_both_names(folder: Path, name: str) -> None:
    unpacked = gzip.decompress((folder / DEVKIT).read_bytes())
    (folder / DEVKIT).unlink()
    (folder / name).write_bytes(unpacked)

    assert recognise([folder])["devkit"].path.name == name


def test_other_files_and_folders_are_left_alone(folder: Path) -> None:
    (folder / "notes.txt").write_text("<html>")
    (folder / "ILSVRC2012_img_test_v10102019.tar").write_bytes(b"")
    (folder / "ILSVRC2012_devkit_t12.tar").mkdir()

    assert recognise([folder])["devkit"].path.name == DEVKIT


# --- What is refused --------------------------------------------------------------------------------------------------


def test_what_is_no_file_under_the_name_of_an_archive(folder: Path) -> None:
    # A folder, or a pipe, on which reading would wait for ever.
    (folder / TRAIN).unlink()
    os.mkfifo(folder / TRAIN)
    assert f"{folder / TRAIN}: is not a file" in refusal(folder)


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    assert refusal(tmp_path / "archive") == (
        f"{tmp_path}/archive does not exist.\nGive the folder that holds the ILSVRC2012 archives or images."
    )


def test_an_empty_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"There are no ILSVRC2012 archives or images with classes in {tmp_path}.\n"
        "Looked for ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, for class folders, and for files such as "
        "n01440764_10026.JPEG and ILSVRC2012_val_00000001.JPEG."
    )


def test_a_folder_of_other_things_says_what_was_seen(tmp_path: Path) -> None:
    for name in ("n02119789", "n01440764", "readme.txt"):
        (tmp_path / name).touch()

    assert f"in {tmp_path}. Seen there: n01440764, n02119789, readme.txt.\n" in refusal(tmp_path)


def test_of_a_thousand_other_things_ten_are_named(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}").touch()

    assert "Seen there: 00, 01, 02, 03, 04, 05, 06, 07, 08, 09 ….\n" in refusal(tmp_path)


def test_a_devkit_alone_is_no_data_set(folder: Path) -> None:
    (folder / TRAIN).unlink()
    (folder / VALIDATION).unlink()

    assert refusal(folder).startswith(f"There are no ILSVRC2012 archives or images with classes in {folder}.")


PAGE = "is a web page, not an archive: the login had expired when it was downloaded; log in and download it again"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty; download it again"),
        (b"<!DOCTYPE html><html>", PAGE),
        (b"\r\n\n  <html>", PAGE),
        (b"\xef\xbb\xbf<!DOCTYPE html>", PAGE),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', PAGE),
        (gzip.compress(b"a tar"), "is gzip-compressed; the official archive is not: unpack it with gunzip"),
        (lzma.compress(b"a tar"), "is xz-compressed; the official archive is not: unpack it with unxz"),
        (bytes(4096), "starts with zeros: it is empty, or the download was never finished"),
    ],
    ids=["empty", "html", "html-after-blanks", "html-with-bom", "xml", "gzip", "xz", "zeros"],
)
def test_what_stands_under_the_name_of_an_archive_is_said(folder: Path, content: bytes, reason: str) -> None:
    (folder / TRAIN).write_bytes(content)

    assert refusal(folder) == (
        f"The source cannot be used:\n  {folder / TRAIN}: {reason}\n"
        "Put each file right, or name the files to use one by one."
    )


@pytest.mark.parametrize("name", [VALIDATION, DEVKIT, "ILSVRC2012_bbox_train_v2.tar.gz", "ILSVRC2012_bbox_val_v3.tgz"])
def test_a_web_page_is_recognised_under_every_name(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"<html>")

    assert f"{folder / name}: is a web page" in refusal(folder)


def test_all_problems_are_said_at_once(folder: Path) -> None:
    (folder / TRAIN).write_bytes(b"<html>")
    (folder / VALIDATION).write_bytes(b"")
    (folder / DEVKIT).unlink()
    (folder / DEVKIT).symlink_to("gone")

    lines = refusal(folder).splitlines()[1:-1]

    assert [line.split(": ")[0] for line in lines] == [f"  {folder / name}" for name in (DEVKIT, TRAIN, VALIDATION)]
    assert lines[0].endswith(": cannot be read: No such file or directory")


EACH = (TRAIN, VALIDATION, DEVKIT, "ILSVRC2012_bbox_train_v2.tar.gz", "ILSVRC2012_bbox_val_v3.tgz")


@pytest.mark.parametrize("other", [lambda path: path, lambda path: path.with_suffix("")], ids=["same name", "unpacked"])
def test_two_files_for_one_role_are_ambiguous(folder: Path, other: Callable[[Path], Path]) -> None:
    second = folder / "more" / other(folder / DEVKIT).name
    second.parent.mkdir()
    second.write_bytes((folder / DEVKIT).read_bytes())

    assert refusal(folder, folder / "more") == (
        "There is more than one source of the same thing:\n"
        f"  {folder / DEVKIT}: devkit: archive\n"
        f"  {second}: devkit: archive\n"
        "Name those to use, in place of the folder that has them all: "
        f"imagenet-prep build {' '.join(str(folder / name) for name in EACH)} OUT"
    )


def test_a_file_that_is_named_and_found_in_a_folder_too_is_one(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / DEVKIT).symlink_to(folder / DEVKIT)

    found = recognise([folder, folder / VALIDATION, tmp_path / "links"])

    assert (found["validation"].path, found["devkit"].path) == (folder / VALIDATION, folder / DEVKIT)


def test_a_test_archive_is_named_and_not_looked_at(folder: Path) -> None:
    (folder / "ILSVRC2012_img_test_v10102019.tar").write_bytes(b"")

    assert recognise([folder])["unlabelled test"].path.name == "ILSVRC2012_img_test_v10102019.tar"


@pytest.mark.parametrize("name", [VALIDATION, DEVKIT, "ILSVRC2012_bbox_val_v3.tgz", "LOC_val_solution.csv"])
def test_a_pipe_under_any_name_is_refused_and_not_waited_for(name: str, folder: Path) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)

    assert f"{folder / name}: is not a file" in refusal(folder)


def test_a_source_that_cannot_be_reached_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")

    assert refusal(tmp_path / "loop").startswith(f"Cannot read {tmp_path}/loop: Too many levels of symbolic links.\n")


@pytest.mark.parametrize(("name", "shown"), [("a\0b", "'{}/a\\x00b'"), ("file/below", "{}/file/below")])
def test_a_source_that_cannot_exist(name: str, shown: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert refusal(tmp_path / name).startswith(f"{shown.format(tmp_path)} does not exist.")


def test_what_was_seen_is_shown_without_what_could_harm_a_terminal(tmp_path: Path) -> None:
    for name in ("a\nb", "\x1b[2J", os.fsdecode(b"\xff")):
        (tmp_path / name).touch()

    assert r"Seen there: '\udcff', '\x1b[2J', 'a\nb'." in refusal(tmp_path)

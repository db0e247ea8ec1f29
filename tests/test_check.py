"""`check` says what a source holds and what is wrong with it, without writing anything and before anything is built."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import random
import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import imagenet_prep
from imagenet_prep import CheckOptions, Holdings, SourceError, Stage
from imagenet_prep.imagenet import archives as facts
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.command import run
from support.sentences import Sentence, lines

TRAIN, VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
FULL = CheckOptions(full=True, jobs=1)
HEADERS = CheckOptions(jobs=1)


def miniature(folder: Path, layout: str = "archives", **options: Any) -> Miniature:
    """Two classes, three train and two validation images each."""
    small = MiniatureOptions(
        wnids=("n01440764", "n02917067"), images_per_class=3, validation_per_class=2, layout=layout
    )
    return write_miniature(folder, replace(small, **options))


def roles(holdings: Holdings) -> dict[str, str]:
    return {piece.role: piece.form for piece in holdings.pieces}


@pytest.mark.parametrize(
    ("layout", "train", "validation"),
    [
        ("archives", "archive", "archive"),
        ("class-tars", "folder of 2 class tars", "archive"),
        ("extracted", "2 class folders", "flat folder"),
        ("sorted", "2 class folders", "2 class folders"),
        ("renamed", "2 class folders", "2 class folders"),
        ("kaggle", "2 class folders", "flat folder"),
        ("mixed", "archive", "flat folder"),
    ],
)
def test_every_layout_is_described_and_holds_the_same(tmp_path: Path, layout: str, train: str, validation: str) -> None:
    source = miniature(tmp_path / "source", layout).root

    holdings = imagenet_prep.check(source, HEADERS)

    assert (roles(holdings)["train"], roles(holdings)["validation"]) == (train, validation)
    assert {origin: of.images for origin, of in holdings.origins.items()} == {"train": 6, "validation": 4}
    assert holdings.problems == ()


def test_images_classes_and_gaps_are_counted(tmp_path: Path) -> None:
    holdings = imagenet_prep.check(miniature(tmp_path / "source").root, HEADERS)

    train = holdings.origins["train"]
    assert (train.images, train.smallest, train.largest, len(train.missing)) == (6, 3, 3, 998)
    assert train.short == ("n01440764", "n02917067")  # the smallest official class has 732
    assert "n01440764" not in train.missing


def test_the_space_that_each_format_needs_is_told(tmp_path: Path) -> None:
    source = miniature(tmp_path / "source", "sorted").root
    images = sum(path.stat().st_size for path in source.rglob("*.JPEG"))

    holdings = imagenet_prep.check(source, HEADERS)

    assert sum(of.size for of in holdings.origins.values()) == images
    assert holdings.space == {
        "tfrecord": images + 10 * 1024,
        "tfds": images + 10 * 128,
        "webdataset": images + 10 * 4096,
        "parquet": images + 10 * 1024,
        "mds": images + 10 * 640,
        "litdata": images + 10 * 640,
        "arrayrecord": images + 10 * 512,
        "folders": images + 10 * 4096,
    }


def test_the_unlabelled_test_images_are_named_as_not_used(tmp_path: Path, sentence: Sentence) -> None:
    source = miniature(tmp_path / "source").root
    (source / "ILSVRC2012_img_test_v10102019.tar").write_bytes(b"<html>whatever it is</html>")

    result = run("check", source)

    assert result.returncode == 0
    sentence(lines(result.stdout, "unlabelled test"))


def test_with_validation_alone_the_command_asks_for_it_alone(tmp_path: Path) -> None:
    source = miniature(tmp_path / "source").root
    (source / TRAIN).unlink()

    assert run("check", source).stdout.splitlines()[-1] == f"Next: imagenet-prep build {source} DATA --split validation"


def test_nothing_is_written(tmp_path: Path) -> None:
    source = miniature(tmp_path / "source", "sorted").root
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}

    imagenet_prep.check(source, FULL)

    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_every_problem_is_in_the_result_and_the_exit_code_is_4(tmp_path: Path, sentence: Sentence) -> None:
    source = miniature(tmp_path / "source", "sorted").root
    (source / "train/n01440764/holiday.jpg").write_bytes(b"")
    (source / "train/n01440764/n02917067_77.JPEG").write_bytes(b"")

    result = run("check", source)

    assert result.returncode == 4
    assert "2 problems:" in result.stdout
    assert "2 class folders" in result.stdout  # what was found is told all the same
    sentence(lines(result.stdout, "holiday.jpg", "n02917067_77.JPEG"))
    assert "Next:" not in result.stdout


def test_without_full_damage_inside_a_picture_passes(tmp_path: Path) -> None:
    source = miniature(tmp_path / "source", "sorted").root
    damaged(source)

    assert imagenet_prep.check(source, HEADERS).problems == ()


@pytest.mark.parametrize("jobs", [1, 2])
def test_in_full_every_image_is_decoded_and_a_damaged_one_is_named(
    tmp_path: Path, jobs: int, sentence: Sentence
) -> None:
    source = miniature(tmp_path / "source", "sorted").root
    name = damaged(source)

    holdings = imagenet_prep.check(source, CheckOptions(full=True, jobs=jobs))

    assert holdings.decoded == 10
    assert [problem.member for problem in holdings.problems] == [f"n01440764/{name}"]
    sentence(holdings.problems[0].reason, alike=True)


def test_bytes_that_belong_to_nothing_are_a_remark_and_no_problem(tmp_path: Path, sentence: Sentence) -> None:
    source = miniature(tmp_path / "source", "sorted").root
    path = min((source / "train/n01440764").iterdir())
    path.write_bytes(picture()[:-2] + bytes(30) + b"\xff\xd9")

    result = run("check", source, "--full")

    assert result.returncode == 0
    assert "1 remark:" in result.stdout
    sentence(lines(result.stdout, path.name))


def test_a_gigapixel_image_is_not_decoded(tmp_path: Path, sentence: Sentence) -> None:
    source = miniature(tmp_path / "source", "sorted").root
    path = min((source / "train/n01440764").iterdir())
    image = picture()
    size = image.index(b"\xff\xc0") + 5
    path.write_bytes(image[:size] + b"\xff\xff\xff\xff" + image[size + 4 :])

    (problem,) = imagenet_prep.check(source, FULL).problems

    sentence(problem.reason)


def test_in_full_the_quirks_of_the_real_archives_are_no_problems(tmp_path: Path) -> None:
    quirks = ("cmyk", "png", "greyscale", "exif-orientation", "exif-malformed")
    source = miniature(tmp_path / "source", images_per_class=6, quirks=quirks).root

    holdings = imagenet_prep.check(source, FULL)

    assert (holdings.decoded, holdings.problems) == (16, ())


def test_a_checksum_that_is_right_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = miniature(tmp_path / "source").root
    published(monkeypatch, source / TRAIN, "train", md5=hashlib.md5((source / TRAIN).read_bytes()).hexdigest())

    holdings = imagenet_prep.check(source, FULL)

    assert {piece.role: piece.checksum for piece in holdings.pieces} == {
        "train": "right",
        "validation": "not the published file",
        "devkit": "wrong",
        "train boxes": "none is published",
        "validation boxes": "none is published",
    }
    assert holdings.problems == ()  # the devkit was read to its own checksum, so it is whole
    assert "ILSVRC2012_devkit_t12.tar.gz is sound, but not the published file." in holdings.notes


def test_a_checksum_that_is_wrong_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = miniature(tmp_path / "source").root
    published(monkeypatch, source / VALIDATION, "validation", md5="0" * 32)

    problem = imagenet_prep.check(source, FULL).problems[-1]

    assert (problem.archive, problem.reason) == (
        str(source / VALIDATION),
        "does not have the published checksum: download it again",
    )


def test_where_only_a_sha1_is_published_it_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = miniature(tmp_path / "source").root
    published(monkeypatch, source / TRAIN, "train", sha1=hashlib.sha1((source / TRAIN).read_bytes()).hexdigest())

    assert imagenet_prep.check(source, FULL).pieces[0].checksum == "right"


def test_progress_of_checksums_and_decoding_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = miniature(tmp_path / "source").root
    published(monkeypatch, source / TRAIN, "train", md5="0" * 32)
    seen: list[object] = []

    imagenet_prep.check(source, FULL, watch=seen.append)

    events = [event for event in seen if isinstance(event, imagenet_prep.Progress)]
    last = {event.stage: event for event in events}
    size = (source / TRAIN).stat().st_size
    assert (last[Stage.DECODE].done, last[Stage.DECODE].total) == (10, 10)
    checksums = [event for event in events if event.stage == "checksums"]
    assert checksums[-1].bytes_done == checksums[-1].bytes_total
    assert checksums[-1].bytes_done >= size


def test_a_source_of_which_it_cannot_be_said_what_it_is_raises(tmp_path: Path, sentence: Sentence) -> None:
    with pytest.raises(SourceError) as caught:
        imagenet_prep.check(tmp_path, HEADERS)
    sentence(caught.value)


def test_json_has_all_of_it(tmp_path: Path) -> None:
    source = miniature(tmp_path / "source", "kaggle").root

    result = run("check", source, "--json", "--full")

    document = json.loads(result.stdout)
    assert document["origins"]["train"]["images"] == 6
    assert document["decoded"] == 10
    assert [piece["role"] for piece in document["pieces"]][:2] == ["train", "validation"]
    assert document["problems"] == []
    assert all(json.loads(line)["event"] for line in result.stderr.splitlines())


@pytest.mark.parametrize(
    ("options", "splits", "command"),
    [
        ({}, "train, validation, test (test is held out of train)", "--test-per-class 1"),
        (
            {"validation_per_class": 0},
            "train, test (test is held out of train)",
            "--split train --split test --test-per-class 1",
        ),
        ({"images_per_class": 1}, "train, validation", "--test-per-class 0"),
        ({"images_per_class": 1, "validation_per_class": 0}, "train", "--split train --test-per-class 0"),
        ({"images_per_class": 50}, "train, validation, test (test is held out of train)", "--test-per-class 25"),
        ({"images_per_class": 51}, "train, validation, test (test is held out of train)", ""),
    ],
)
def test_what_it_says_can_be_built_is_built_by_the_command_that_it_shows(
    tmp_path: Path, options: dict[str, Any], splits: str, command: str
) -> None:
    source = miniature(tmp_path / "source", boxes=False, **options).root

    shown = run("check", source).stdout.splitlines()

    assert shown[-3] == f"Can be built: {splits}."
    assert shown[-1] == f"Next: imagenet-prep build {source} DATA {command}".rstrip()
    assert ", ".join(built_by(shown[-1], tmp_path / "data")) == splits.partition(" (")[0]


def test_the_command_that_it_shows_knows_the_names_of_ones_own(tmp_path: Path) -> None:
    source = miniature(tmp_path / "source", "renamed").root
    (source / "train/tench").rename(source / "train/Schleie")
    (tmp_path / "my map.txt").write_text("n01440764 449 Schleie\n")

    shown = run("check", source, "--class-map", tmp_path / "my map.txt").stdout.splitlines()

    assert shown[-1] == (
        f"Next: imagenet-prep build {source} DATA --class-map '{tmp_path}/my map.txt' --test-per-class 1"
    )
    assert built_by(shown[-1], tmp_path / "data") == ["train", "validation", "test"]


def built_by(shown: str, out: Path) -> list[str]:
    """The splits that the command of the last line builds."""
    words = shlex.split(shown.removeprefix("Next: imagenet-prep ").replace("DATA", str(out)))
    result = run(*words, "--quiet", "--json")
    assert result.returncode == 0
    return [split for split, of in json.loads(result.stdout)["splits"].items() if of["images"]]


def damaged(source: Path) -> str:
    """Cut the picture data of one image short, and close it with an end mark: its header tells nothing of it."""
    path = min((source / "train/n01440764").iterdir())
    path.write_bytes(picture()[: len(picture()) // 2] + b"\xff\xd9")
    return path.name


@cache
def picture() -> bytes:
    """A JPEG that is mostly picture data."""
    whole = io.BytesIO()
    Image.frombytes("RGB", (64, 64), random.Random(0).randbytes(64 * 64 * 3)).save(whole, "JPEG")
    return whole.getvalue()


def published(monkeypatch: pytest.MonkeyPatch, path: Path, role: str, **checksums: str) -> None:
    """Take the file for the official one: its size is the published one, and only ``checksums`` are published."""
    archive = facts.OFFICIAL_BY_ROLE[role]
    fake = facts.OfficialArchive(role, archive.names, path.stat().st_size, checksums.get("md5"), checksums.get("sha1"))
    monkeypatch.setitem(facts.OFFICIAL_BY_ROLE, role, fake)
    # Nothing else of it is believed: the counts of a miniature are not official.
    monkeypatch.setattr("imagenet_prep.planning.census._differences", lambda *_: [])


def test_annotations_are_not_read_because_there_may_be_half_a_million(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = miniature(tmp_path / "source", "kaggle").root
    monkeypatch.setattr("imagenet_prep.sources.boxes.read_box_folder", lambda *_: pytest.fail("an annotation was read"))

    assert imagenet_prep.check(source, HEADERS).problems == ()
    options = imagenet_prep.BuildOptions.of(format=("folders", "tfds"), test_per_class=1, jobs=1)
    assert imagenet_prep.build(source, tmp_path / "data", options).images == 10  # neither format has room for boxes


def test_an_image_that_cannot_be_read_does_not_end_the_look_at_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails while one file is read."""
    source = miniature(tmp_path / "source", "sorted").root
    bad, cut = sorted((source / "train/n01440764").iterdir())[:2]
    cut.write_bytes(picture()[: len(picture()) // 2] + b"\xff\xd9")
    real = os.open

    def failing(path: str, *arguments: int) -> int:
        if str(path) == str(bad):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", failing)

    holdings = imagenet_prep.check(source, FULL)

    assert [(problem.member, problem.reason) for problem in holdings.problems] == [
        (f"n01440764/{bad.name}", "Input/output error"),
        (f"n01440764/{cut.name}", "does not decode: premature end of data segment"),
    ]


def test_a_data_set_of_this_program_is_called_so_and_audit_is_named(tmp_path: Path) -> None:
    source, out = miniature(tmp_path / "source", "archives").root, tmp_path / "data"
    imagenet_prep.build(source, out, imagenet_prep.BuildOptions.of(format="folders", test_per_class=1, jobs=1))
    said = (
        f"{out} is a data set of this program: `imagenet-prep audit {out}` reads it back, "
        f"and `imagenet-prep build {out} OUT` makes another of it."
    )
    assert imagenet_prep.check(out, HEADERS).notes[0] == said

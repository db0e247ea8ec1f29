"""Two people know whether they have the same images: by a fingerprint of each split, which sha256sum gives as well, and
by a comparison of their data sets. Formats, shards, order and kinds of source do not matter.
"""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import imagenet_prep
from imagenet_prep import AuditOptions, BuildOptions, UsageError
from imagenet_prep.imagenet.classes import official
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.command import run
from support.sentences import Sentence, lines

SMALL = {"classes": 3, "images_per_class": 6, "validation_per_class": 3, "boxes": False, "devkit": False}


def miniature(root: Path, layout: str = "extracted", **options: Any) -> Miniature:
    return write_miniature(root, MiniatureOptions(layout=layout, **SMALL | options))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return miniature(tmp_path / "source").root


def build(source: Path, out: Path, *options: object) -> Path:
    done = run("build", source, out, "--test-per-class", "2", "--jobs", "1", *options)
    assert done.returncode == 0, done.stderr
    return out


def fingerprints(out: Path) -> dict[str, str]:
    report = imagenet_prep.audit(out, AuditOptions(jobs=1, fingerprint=True))
    return {split: of.sha256 for split, of in report.fingerprints.items()}


def against(out: Path, other: Path) -> dict[str, Any]:
    done = run("audit", out, "--against", other, "--json")
    found: dict[str, Any] = json.loads(done.stdout)["against"]
    assert done.returncode == (7 if found["differences"] else 0)
    return found


class TestAFingerprint:
    def test_is_what_sha256sum_gives(self, source: Path, tmp_path: Path) -> None:
        out = build(source, tmp_path / "data")

        script = "LC_ALL=C; export LC_ALL; sha256sum -- * | sha256sum"
        said = subprocess.run(["sh", "-c", script], cwd=source / "val", capture_output=True, text=True, check=True)

        assert said.stdout.split()[0] == fingerprints(out)["validation"]

    def test_of_train_is_that_of_the_images_that_were_not_held_out(self, source: Path, tmp_path: Path) -> None:
        out = build(source, tmp_path / "data")
        names = (out / "splits/train.txt").read_text().split()

        text = "".join(
            f"{hashlib.sha256(next(source.rglob(name)).read_bytes()).hexdigest()}  {name}\n" for name in sorted(names)
        )

        assert hashlib.sha256(text.encode()).hexdigest() == fingerprints(out)["train"]

    def test_is_one_line_for_each_split_with_the_algorithm(
        self, source: Path, tmp_path: Path, sentence: Sentence
    ) -> None:
        out = build(source, tmp_path / "data")

        sentence(lines(run("audit", out, "--fingerprint").stdout, "ingerprint"))

    def test_is_the_same_in_every_format_in_any_shards_and_from_any_source(self, source: Path, tmp_path: Path) -> None:
        archives = miniature(tmp_path / "archives", "archives").root
        found = [
            fingerprints(build(source, tmp_path / "a")),
            fingerprints(build(source, tmp_path / "b", "--format", "webdataset", "--shards", "train=3")),
            fingerprints(build(archives, tmp_path / "c", "--format", "tfds", "--format", "folders")),
            fingerprints(build(source, tmp_path / "d", "--format", "folders", "--transfer", "symlink")),
        ]

        assert all(each == found[0] for each in found)
        assert list(found[0]) == ["train", "validation", "test"]

    def test_is_the_same_by_several_processes(self, source: Path, tmp_path: Path) -> None:
        out = build(source, tmp_path / "data", "--shards", "train=4")

        two = imagenet_prep.audit(out, AuditOptions(jobs=2, fingerprint=True))

        assert {split: of.sha256 for split, of in two.fingerprints.items()} == fingerprints(out)

    def test_is_another_with_another_byte(self, source: Path, tmp_path: Path) -> None:
        one = fingerprints(build(source, tmp_path / "one"))
        change_a_byte(next((source / "val").iterdir()))
        two = fingerprints(build(source, tmp_path / "two"))

        assert one["train"] == two["train"]
        assert one["validation"] != two["validation"]

    def test_is_not_there_where_no_format_has_the_bytes_of_the_source(self, tmp_path: Path, sentence: Sentence) -> None:
        source = miniature(tmp_path / "source", quirks=("cmyk",)).root
        out = build(source, tmp_path / "data")

        done = run("audit", out, "--fingerprint")

        assert done.returncode == 0
        assert fingerprints(out)["train"] == ""
        assert fingerprints(out)["validation"] != ""
        sentence(lines(done.stdout, "No fingerprint"))

    def test_is_there_as_soon_as_one_format_has_them(self, tmp_path: Path) -> None:
        source = miniature(tmp_path / "source", quirks=("cmyk",)).root
        out = build(source, tmp_path / "data")
        build(source, out, "--format", "webdataset")

        assert fingerprints(out) == fingerprints(build(source, tmp_path / "other", "--format", "folders"))

    def test_of_links_is_of_what_they_are_now(self, source: Path, tmp_path: Path, sentence: Sentence) -> None:
        out = build(source, tmp_path / "data", "--format", "folders", "--transfer", "hardlink")

        sentence(lines(run("audit", out, "--fingerprint").stdout, "bytes of now"))

    def test_needs_all_images(self, source: Path, tmp_path: Path) -> None:
        out = build(source, tmp_path / "data")

        assert run("audit", out, "--fingerprint", "--sample", "50%").returncode == 2
        with pytest.raises(UsageError):
            AuditOptions(fingerprint=True, sample=0.5)


def change_a_byte(image: Path) -> None:
    data = bytearray(image.read_bytes())
    data[-3] ^= 1  # of the picture, before its end
    image.write_bytes(data)


class TestAComparison:
    def test_of_the_same_images_says_so(self, source: Path, tmp_path: Path, sentence: Sentence) -> None:
        here = build(source, tmp_path / "here")
        there = build(source, tmp_path / "there", "--format", "webdataset")

        done = run("audit", here, "--against", there / "build.json")

        assert done.returncode == 0
        sentence(lines(done.stdout, "same"))
        assert against(here, there)["the_same"] == 27  # of which the folder may be given as well

    def test_says_what_is_in_another_split(self, source: Path, tmp_path: Path, sentence: Sentence) -> None:
        here = build(source, tmp_path / "here")
        there = build(source, tmp_path / "there", "--seed", "1")

        done = run("audit", here, "--against", there / "build.json")

        assert done.returncode == 0
        assert against(here, there)["elsewhere"] > 0
        sentence(lines(done.stdout, "another split"))

    def test_names_what_differs(self, source: Path, tmp_path: Path, sentence: Sentence) -> None:
        here = build(source, tmp_path / "here")
        images = sorted((source / "train").rglob("*.JPEG"))
        images[0].unlink()
        change_a_byte(images[1])
        there = build(source, tmp_path / "there")
        report = imagenet_prep.audit(here, AuditOptions(jobs=1, against=there / "build.json"))

        done = run("audit", here, "--against", there / "build.json")

        assert done.returncode == 7
        sentence(done.stdout[done.stdout.index("Other images") :])
        assert report.against is not None
        assert not report.against.equal
        assert [each.archive for each in report.against.differences] == [images[0].name, images[1].name]
        assert against(there, here)["only_there"] == 1

    def test_of_a_part_with_the_whole_counts_the_rest(self, source: Path, tmp_path: Path) -> None:
        whole = build(source, tmp_path / "whole")
        part = build(source, tmp_path / "part", "--split", "validation")

        found = against(part, whole)

        assert (found["the_same"], found["only_here"], found["only_there"]) == (9, 0, 18)

    def test_names_images_of_another_class(self, source: Path, tmp_path: Path) -> None:
        here = build(source, tmp_path / "here")
        write_classes(source, changed=True)
        there = build(source, tmp_path / "there", "--trust-labels")

        found = against(here, there)

        assert (found["the_same"], found["other_bytes"], found["other_class"]) == (26, 0, 1)

    def test_with_links_is_of_their_sizes(self, source: Path, tmp_path: Path, sentence: Sentence) -> None:
        here = build(source, tmp_path / "here")
        there = build(source, tmp_path / "there", "--format", "folders", "--transfer", "hardlink")

        sentence(lines(run("audit", here, "--against", there).stdout, "only the size"))

    def test_converted_images_are_compared_as_they_were(self, tmp_path: Path) -> None:
        source = miniature(tmp_path / "source", quirks=("cmyk",)).root
        here = build(source, tmp_path / "here")
        there = build(source, tmp_path / "there", "--format", "webdataset")

        assert against(here, there)["the_same"] == 27

    def test_reads_as_little_as_it_is_told(self, source: Path, tmp_path: Path) -> None:
        here = build(source, tmp_path / "here", "--shards", "train=4")

        done = run("audit", here, "--against", here, "--sample", "10%")

        assert done.returncode == 0
        assert "The same 27 images" in done.stdout

    @pytest.mark.parametrize("lost", ["manifest.parquet", "build.json"])
    def test_with_a_data_set_that_is_not_whole_is_refused(
        self, lost: str, source: Path, tmp_path: Path, sentence: Sentence
    ) -> None:
        here, there = build(source, tmp_path / "here"), build(source, tmp_path / "there")
        (there / lost).unlink()

        done = run("audit", here, "--against", there)

        assert done.returncode == 7
        sentence(done.stderr)


def write_classes(source: Path, *, changed: bool) -> None:
    """Write a list of the classes of validation as Kaggle has it, in which the first is another."""
    truth = imagenet_prep.validation_truth()
    with (source / "LOC_val_solution.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ImageId", "PredictionString"])
        for place, image in enumerate(sorted((source / "val").iterdir())):
            index = truth[int(image.stem[-8:]) - 1]
            if changed and place == 0:
                index = (index + 1) % 1000
            rows.writerow([image.stem, f"{official().classes[index].wnid} 1 2 3 4"])


@pytest.mark.parametrize("option", [("--fingerprint",), ("--against", "{out}")])
def test_data_sets_of_others_have_neither(option: tuple[str, ...], source: Path, tmp_path: Path) -> None:
    out = build(source, tmp_path / "data", "--format", "folders")

    done = run("audit", source, *(each.format(out=out) for each in option))

    assert done.returncode == 2


def test_without_either_nothing_is_added_to_the_report(source: Path, tmp_path: Path) -> None:
    imagenet_prep.build(source, tmp_path / "data", BuildOptions.of(test_per_class=2, jobs=1))

    report = imagenet_prep.audit(tmp_path / "data", AuditOptions(jobs=1))

    assert (report.fingerprints, report.against) == ({}, None)

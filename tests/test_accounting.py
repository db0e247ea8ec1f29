"""Every image accounted for: written, set aside, excluded by name, or not chosen. Nothing is lost in silence."""

import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

import imagenet_prep
from imagenet_prep import (
    AuditOptions,
    BuildOptions,
    Catalog,
    IndexOptions,
    Note,
    OtherBuildError,
    SourceError,
    UsageError,
)
from imagenet_prep.dataset.receipts import load_receipt
from imagenet_prep.imagenet.lists import listed_names
from imagenet_prep.model.archive import Archive
from imagenet_prep.model.shards import ShardName
from imagenet_prep.planning import plan as plan_module
from imagenet_prep.planning.catalog import SCHEMA
from imagenet_prep.stores.local import LocalStore
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.archives import TRAIN, VALIDATION, write_flat_archive
from imagenet_prep.testing.archives import write_train_archive as write_train
from support.build import changed, everything, inodes, recipe, samples, shards_of
from support.command import run
from support.sentences import Sentence, lines, places

WNIDS = ("n01440764", "n02917067", "n15075141")
RECIPE = BuildOptions.of(format=("tfrecord", "tfds", "folders"), test_per_class=2, shards={"train": 6}, jobs=1)
ASIDE = changed(RECIPE, on_bad="set-aside")
FOLDERS = BuildOptions.of(format="folders", test_per_class=2, jobs=1, on_bad="set-aside")
AS_BUILT = "--format=tfrecord --format=tfds --format=folders --test-per-class=2 --shards=train=6 --on-bad=set-aside"
REASONS = {"truncated": "is a JPEG cut short: it has no end marker", "empty": "is empty", "text": "is text"}

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    quirks = ("cmyk", "png", *REASONS)
    options = MiniatureOptions(wnids=WNIDS, images_per_class=9, validation_per_class=2, quirks=quirks, boxes=False)
    return write_miniature(tmp_path_factory.mktemp("archives"), options)


@pytest.fixture(scope="module")
def built(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "data"
    imagenet_prep.build(miniature.root, out, ASIDE)
    return out


@pytest.fixture(scope="module")
def catalog(miniature: Miniature) -> Catalog:
    return imagenet_prep.index(miniature.root, IndexOptions(jobs=1))


@pytest.fixture(scope="module")
def picture(miniature: Miniature, built: Path) -> bytes:
    """A sound JPEG."""
    sound = next(entry.name for entry in miniature.train if not entry.quirk)
    return next(built.rglob(sound)).read_bytes()


class TestSetAside:
    def test_the_bytes_are_kept_as_they_were_under_their_own_names(self, miniature: Miniature, built: Path) -> None:
        kept = {path.name: path.read_bytes() for path in (built / "set-aside").iterdir()}
        assert kept == {entry.name: in_source(miniature, entry.name) for entry in bad(miniature)}
        assert sorted(map(bool, kept.values())) == [False, True, True]  # one of them is empty

    def test_the_manifest_has_the_reason_and_nulls_for_what_only_written_images_have(
        self, miniature: Miniature, built: Path
    ) -> None:
        rows = {row["name"]: row for row in manifest(built)}
        of_written = {"width", "height", "components", "kind", "orientation", "converted", "folders.path"}
        of_written |= {
            f"{name}.{what}"
            for name in ("tfrecord", "tfds")
            for what in ("shard", "row", "offset", "length", "image_offset", "image_length")
        }
        for entry in bad(miniature):
            row = rows.pop(entry.name)
            assert row["set_aside"] == REASONS[entry.quirk]
            assert {column for column, value in row.items() if value is None} == of_written
            assert (row["wnid"], row["class_index"], row["size"]) == (entry.wnid, entry.class_index, entry.size)
            assert row["digest"] == digest(in_source(miniature, entry.name))
        assert {column for row in rows.values() for column, value in row.items() if value is None} == {"set_aside"}

    def test_rows_of_written_images_find_their_records_all_the_same(self, built: Path) -> None:
        rows = [row for row in manifest(built) if row["set_aside"] is None]
        for shard in {row["tfrecord.shard"] for row in rows}:
            of_shard = [row for row in rows if row["tfrecord.shard"] == shard]
            assert [row["tfrecord.row"] for row in of_shard] == list(range(len(of_shard)))
        for row in rows:
            data = (built / row["tfrecord.shard"]).read_bytes()[row["tfrecord.offset"] :][: row["tfrecord.length"]]
            assert row["name"].encode() in data
            assert len(data) == row["tfrecord.length"] == struct.unpack_from("<Q", data)[0] + 16

    def test_no_format_has_them_and_all_have_all_others(self, miniature: Miniature, built: Path) -> None:
        sound = sorted(entry.name for entry in miniature.entries if entry not in bad(miniature))
        assert len(sound) == 30
        for name in ("tfrecord", "tfds"):
            assert sorted(sample.name for shard in shards_of(built, name) for sample in read(name, shard)) == sound
        assert sorted(path.name for path in (built / "folders").rglob("*.JPEG")) == sound
        lists = [(built / f"splits/{split}.txt").read_text().split() for split in ("train", "validation", "test")]
        assert sorted(name for names in lists for name in names) == sound

    def test_the_documents_of_the_formats_count_what_is_there(self, built: Path) -> None:
        for document in built.rglob("dataset_info.json"):
            [train] = [split for split in json.loads(document.read_bytes())["splits"] if split["name"] == "train"]
            name = "tfds" if "tfds" in document.parts else "tfrecord"
            found = [
                sum(1 for _ in read(name, shard)) for shard in shards_of(built, name) if "-train" in f"-{shard.name}"
            ]
            assert list(map(int, train["shardLengths"])) == found
            assert len(found) == 6
        for shard in shards_of(built, "tfrecord"):
            index = (built / f"dali-index/{shard.name}.idx").read_text()
            assert index.count("\n") == sum(1 for _ in read("tfrecord", shard))

    def test_build_json_adds_up(self, built: Path) -> None:
        document = json.loads((built / "build.json").read_bytes())
        assert document["images"] == {
            "entries": 33,
            "written": 30,
            "set_aside": 3,
            "excluded": 0,
            "not_chosen": 0,
            "converted": {"JPEG_CMYK": 1, "PNG": 1},
            "boxed": None,
            "boxes": None,
        }
        assert sum(document["splits"].values()) == 30
        for name in ("tfrecord", "tfds"):
            shards = document["outputs"][name]["shards"]
            assert sum(shard["images"] for shard in shards) == 30
            assert sum(shard["set_aside"] for shard in shards) == 3

    def test_the_report_names_each_of_them_with_its_place(self, miniature: Miniature, tmp_path: Path) -> None:
        report = imagenet_prep.build(miniature.root, tmp_path / "data", ASIDE)
        assert {(problem.member, problem.reason) for problem in report.set_aside} == {
            (entry.member, REASONS[entry.quirk]) for entry in bad(miniature)
        }
        train = (miniature.root / TRAIN).read_bytes()
        sizes = {entry.member: entry.size for entry in bad(miniature)}
        for problem in report.set_aside:
            assert problem.archive == TRAIN
            assert problem.offset
            image = train[problem.offset :][: sizes[problem.member]]
            assert image == in_source(miniature, problem.member.rpartition("/")[2])
        assert report.images == 30
        assert sum(split.size for split in report.splits.values()) == sum(
            entry.size for entry in miniature.entries if entry not in bad(miniature)
        )

    def test_the_same_again_finds_everything_done_and_reports_the_same(self, miniature: Miniature, built: Path) -> None:
        before = inodes(built)
        report = imagenet_prep.build(miniature.root, built, ASIDE)
        assert (report.reused, report.bytes_read, report.bytes_written) == (24, 0, 0)
        assert (report.accounts.set_aside, len(report.set_aside)) == (3, 3)
        assert inodes(built) == before

    def test_one_process_and_three_write_the_same_bytes(
        self, miniature: Miniature, built: Path, tmp_path: Path
    ) -> None:
        imagenet_prep.build(miniature.root, tmp_path / "data", changed(ASIDE, jobs=3))
        assert everything(tmp_path / "data") == everything(built)

    def test_a_build_that_failed_goes_on_in_the_same_folder_and_keeps_what_is_finished(
        self, miniature: Miniature, built: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "data"
        with pytest.raises(SourceError):
            imagenet_prep.build(miniature.root, out, RECIPE)
        before = inodes(out)
        assert not (out / "set-aside").exists()
        report = imagenet_prep.build(miniature.root, out, ASIDE)
        finished = [name for name in before if name.startswith(("tfrecord/", "tfds/", ".imagenet-prep/receipts"))]
        shards = 8 - shards_with_bad(built)  # each of them a file in tfrecord and in tfds, and three receipts
        assert (len(finished), report.reused) == (5 * shards, 3 * shards)
        after = inodes(out)
        assert {name: after[name] for name in finished} == {name: before[name] for name in finished}
        assert everything(out) == everything(built)

    def test_what_was_set_aside_stays_so_for_a_run_that_would_fail(self, miniature: Miniature, built: Path) -> None:
        report = imagenet_prep.build(miniature.root, built, RECIPE)
        assert (report.reused, report.accounts.set_aside) == (24, 3)

    @pytest.mark.parametrize(("name", "code"), [("build", 3), ("audit", 0)])
    def test_nothing_that_read_the_manifest_runs_on_when_the_command_ends(
        self, miniature: Miniature, built: Path, name: str, code: int
    ) -> None:
        """A thread of Arrow's that lets go of a Python file while Python ends aborts the process, now and then: a build
        that was complete looked like one that had failed.
        """
        watched = (
            "import atexit, os, sys\n"
            "def tell():\n"
            "    tasks = [open(f'/proc/self/task/{each}/comm').read() for each in os.listdir('/proc/self/task')]\n"
            "    print('At the end:', len([each for each in tasks if 'jemalloc' not in each]))\n"  # Arrow's memory
            "atexit.register(tell)\n"
            "from imagenet_prep.__main__ import main\n"
            "main()\n"
        )
        arguments = [miniature.root, built, *AS_BUILT.split()] if name == "build" else [built]

        ended = subprocess.run(
            [sys.executable, "-c", watched, name, "--quiet", "--jobs=1", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )

        assert (ended.returncode, ended.stdout.splitlines()[-1]) == (code, "At the end: 1"), ended

    def test_one_that_is_lost_or_cut_is_written_again(self, miniature: Miniature, built: Path, tmp_path: Path) -> None:
        out = shutil.copytree(built, tmp_path / "data")
        names = {entry.quirk: entry.name for entry in bad(miniature)}
        (out / "set-aside" / names["empty"]).unlink()
        os.truncate(out / "set-aside" / names["text"], 5)
        imagenet_prep.build(miniature.root, out, ASIDE)
        assert everything(out) == everything(built)

    def test_the_audit_passes_and_counts_them(self, built: Path) -> None:
        report = imagenet_prep.audit(built, AuditOptions(jobs=1))
        assert (report.set_aside, report.records, report.shards) == (3, 3 * 30, 8 + 8 + 3)

    @pytest.mark.parametrize("formats", [("tfrecord",), ("tfds",), ("folders",)])
    def test_every_format_alone(self, miniature: Miniature, tmp_path: Path, formats: tuple[str, ...]) -> None:
        options = changed(ASIDE, format=formats) if formats != ("folders",) else FOLDERS
        shards = 3 if formats == ("folders",) else 8
        for reused in (0, shards):
            report = imagenet_prep.build(miniature.root, tmp_path / "data", options)
            assert (report.reused, report.accounts.written, report.accounts.set_aside) == (reused, 30, 3)
        assert imagenet_prep.audit(tmp_path / "data", AuditOptions(jobs=1)).records == 30

    def test_a_whole_shard_and_a_whole_split_of_them(self, picture: bytes, tmp_path: Path) -> None:
        train = {"n01440764": [(f"n01440764_{number}.JPEG", picture) for number in range(4)]}
        train["n02917067"] = [(f"n02917067_{number}.JPEG", b"text") for number in range(4)]
        write_source(tmp_path / "in", train, [b"", b"<html>"])
        options = changed(ASIDE, test_per_class=1)
        report = imagenet_prep.build(tmp_path / "in", tmp_path / "data", options)
        assert (report.accounts.entries, report.accounts.written, report.accounts.set_aside) == (10, 4, 6)
        assert (report.splits["validation"].images, report.splits["validation"].size) == (0, 0)
        assert (tmp_path / "data/splits/validation.txt").read_bytes() == b""
        assert (tmp_path / "data/tfrecord/validation-00000-of-00001").read_bytes() == b""
        assert (tmp_path / "data/dali-index/validation-00000-of-00001.idx").read_bytes() == b""
        rows = manifest(tmp_path / "data")
        assert {row["set_aside"] for row in rows if row["split"] == "validation"} == {
            "is empty",
            "is an HTML or XML page",
        }
        assert imagenet_prep.build(tmp_path / "in", tmp_path / "data", options).reused == 24
        audited = imagenet_prep.audit(tmp_path / "data", AuditOptions(jobs=1))
        assert (audited.records, audited.set_aside) == (12, 6)
        assert audited.splits["validation"] == imagenet_prep.SplitAudit(0, 0, 0, 0)
        shown = run("audit", tmp_path / "data", "--jobs", 1)
        assert (shown.returncode, "validation       0" in shown.stdout) == (0, True)

    def test_an_image_that_declares_gigapixels_is_not_decoded(self, picture: bytes, tmp_path: Path) -> None:
        train = {"n01440764": [(f"n01440764_{number}.JPEG", picture) for number in range(3)]}
        train["n01440764"] += [("n01440764_8.JPEG", huge_jpeg(picture)), ("n01440764_9.JPEG", huge_png())]
        write_source(tmp_path / "in", train, [picture])
        report = imagenet_prep.build(tmp_path / "in", tmp_path / "data", changed(ASIDE, test_per_class=1, shards={}))
        assert {(problem.member, problem.reason) for problem in report.set_aside} == {
            ("n01440764.tar/n01440764_8.JPEG", "declares 65000 x 65000 pixels, which is not decoded"),
            (
                "n01440764.tar/n01440764_9.JPEG",
                "looks like PNG but declares 60000 x 60000 pixels, which is not decoded",
            ),
        }


class TestFail:
    def test_it_names_every_bad_image_of_all_shards_and_finishes_the_others(
        self, miniature: Miniature, built: Path, tmp_path: Path, sentence: Sentence
    ) -> None:
        with pytest.raises(SourceError) as caught:
            imagenet_prep.build(miniature.root, tmp_path / "data", RECIPE)
        sentence(caught.value)
        assert {(problem.member, problem.reason) for problem in caught.value.problems} == {
            (entry.member, REASONS[entry.quirk]) for entry in bad(miniature)
        }
        offsets = [problem.offset or 0 for problem in caught.value.problems]
        assert offsets == sorted(offsets)
        sound = {shard["name"] for shard in shards_in(built) if not shard["set_aside"]}
        for name in ("tfrecord", "tfds", "folders"):
            assert {path.name for path in (tmp_path / f"data/.imagenet-prep/receipts/{name}").iterdir()} == sound
        assert {path.name for path in shards_of(tmp_path / "data", "tfrecord")} == sound
        assert not (tmp_path / "data/build.json").exists()


class TestExitCodes:
    def test_they_are_4_then_3_then_3(self, miniature: Miniature, tmp_path: Path, sentence: Sentence) -> None:
        arguments = ("build", miniature.root, tmp_path / "data", "--test-per-class", 2, "--jobs", 1)
        failed = run(*arguments)
        assert failed.returncode == 4
        sentence(failed.stderr)
        for _ in range(2):
            done = run(*arguments, "--on-bad", "set-aside", "--quiet")
            assert (done.returncode, done.stderr) == (3, "")
            assert "Of 33 images in the source: 30 written, 3 set aside.\n" in done.stdout
            listed = re.search(r"\n3 images [^\n]*set aside[^\n]*:\n((?:  [^\n]+\n){3})", done.stdout)
            assert listed
            for reason in REASONS.values():
                assert f": {reason}\n" in listed[1]
            assert "\n    set-aside/        " in done.stdout
        as_json = run(*arguments, "--json")
        assert as_json.returncode == 3
        report = json.loads(as_json.stdout)
        assert report["accounts"]["set_aside"] == len(report["set_aside"]) == 3
        audited = run("audit", tmp_path / "data", "--jobs", 1)
        assert audited.returncode == 0
        sentence(audited.stdout, "output")


class TestExclude:
    def test_images_are_left_out_by_name_and_counted_and_listed(self, miniature: Miniature, tmp_path: Path) -> None:
        names = (miniature.train[0].name, miniature.validation[1].name)
        report = imagenet_prep.build(miniature.root, tmp_path / "data", changed(ASIDE, exclude=names))
        assert (report.accounts.entries, report.accounts.written) == (33, 28)
        assert (report.accounts.set_aside, report.accounts.excluded, report.accounts.not_chosen) == (3, 2, 0)
        assert (tmp_path / "data/splits/excluded.txt").read_text() == "".join(f"{name}\n" for name in sorted(names))
        assert not {row["name"] for row in manifest(tmp_path / "data")} & set(names)
        assert not [path for path in tmp_path.rglob("*.JPEG") if path.name in names]
        assert imagenet_prep.audit(tmp_path / "data", AuditOptions(jobs=1)).records == 3 * 28

    def test_every_bad_one_named_makes_a_whole_build(self, miniature: Miniature, tmp_path: Path) -> None:
        recipe = changed(RECIPE, exclude=tuple(entry.name for entry in bad(miniature)))
        report = imagenet_prep.build(miniature.root, tmp_path / "data", recipe)
        assert (report.accounts.written, report.accounts.excluded, report.set_aside) == (30, 3, ())

    def test_the_hold_out_keeps_its_number_in_each_class_and_its_other_images(self, catalog: Catalog) -> None:
        whole = held_out(imagenet_prep.plan(catalog, RECIPE.recipe))
        gone = whole[0]
        rest = held_out(imagenet_prep.plan(catalog, changed(RECIPE, exclude=(gone,)).recipe))
        assert Counter(name[:9] for name in rest) == dict.fromkeys(WNIDS, 2)
        assert set(whole) - set(rest) == {gone}

    def test_what_is_excluded_leaves_the_well_known_numbers_of_shards(self, monkeypatch: pytest.MonkeyPatch) -> None:
        catalog = complete_catalog(train=60)
        names = ("ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00050000.JPEG", "n01440764_7.JPEG")
        validation = recipe(splits=("validation",), exclude=names)
        assert len(imagenet_prep.plan(catalog, validation).shards) == 128
        monkeypatch.setattr(plan_module, "TRAIN_IMAGES", 60)  # this catalog is then a complete one
        monkeypatch.setattr(plan_module, "COMPLETE_SHARDS", {"train": 16, "validation": 128, "test": 4})
        for exclude in ((), names):
            options = recipe(test_per_class=5, exclude=exclude)
            counts = Counter(shard.name.split for shard in imagenet_prep.plan(catalog, options).shards)
            assert counts == {"train": 16, "validation": 128, "test": 4}

    def test_another_list_in_the_same_folder_is_refused_by_name(self, miniature: Miniature, built: Path) -> None:
        before = inodes(built)
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.build(miniature.root, built, changed(ASIDE, exclude=(miniature.train[0].name,)))
        [problem] = caught.value.problems
        assert (problem.archive, miniature.train[0].name in problem.reason) == ("exclude", True)
        assert inodes(built) == before

    def test_an_image_of_the_test_list_is_left_out_of_it(self, miniature: Miniature, catalog: Catalog) -> None:
        listed = tuple(entry.name for entry in miniature.train if entry.wnid == WNIDS[0])[:3]
        options = recipe(test_list=listed, exclude=listed[:1])
        assert held_out(imagenet_prep.plan(catalog, options)) == list(listed[1:])

    def test_the_order_of_the_names_and_their_repetition_do_not_matter(
        self, miniature: Miniature, catalog: Catalog
    ) -> None:
        one, two = miniature.train[0].name, miniature.train[1].name
        plans = [
            imagenet_prep.plan(catalog, changed(RECIPE, exclude=exclude).recipe).identity
            for exclude in ((one, two), (two, one, two), (one,))
        ]
        assert plans[0] == plans[1] != plans[2]

    def test_with_one_split_and_with_a_subset_the_rest_is_not_chosen(
        self, miniature: Miniature, tmp_path: Path
    ) -> None:
        names = (miniature.train[0].name, miniature.validation[0].name)
        validation = BuildOptions.of(splits=("validation",), exclude=names, jobs=1)
        accounts = imagenet_prep.build(miniature.root, tmp_path / "one", validation).accounts
        assert accounts == imagenet_prep.Accounts(33, written=5, excluded=2, not_chosen=26)
        subset = changed(ASIDE, exclude=names, classes=(0,), images_per_class=2, test_per_class=1, shards={})
        accounts = imagenet_prep.build(miniature.root, tmp_path / "two", subset).accounts
        assert accounts.written + accounts.set_aside == 2 + 1 + len(
            [entry for entry in miniature.validation if entry.class_index == 0 and entry.name not in names]
        )
        assert (accounts.excluded, accounts.balanced) == (2, True)
        assert (
            json.loads((tmp_path / "two/build.json").read_bytes())["images"]["not_chosen"] == accounts.not_chosen > 20
        )

    def test_the_command_reads_a_list_tells_of_strange_names_and_reads_its_own_again(
        self, miniature: Miniature, tmp_path: Path, sentence: Sentence
    ) -> None:
        one, two, three = miniature.train[0].name, miniature.train[3].name, miniature.validation[0].name
        names = (
            f"# mislabelled\n{one.removesuffix('.JPEG')}  # why\nILSVRC/Data/{two},17\n{three}\n\nn01440764_999999\n"
        )
        (tmp_path / "names.txt").write_text(names)
        arguments = ("--test-per-class", 2, "--on-bad", "set-aside", "--jobs", 1)
        first = run("build", miniature.root, tmp_path / "one", "--exclude", tmp_path / "names.txt", *arguments)
        assert first.returncode == 3
        sentence(lines(first.stderr, "xcluded"))
        sentence(lines(first.stdout, "33"), "output")
        own = tmp_path / "one/splits/excluded.txt"
        assert own.read_text().split() == sorted([one, two, three])
        second = run("build", miniature.root, tmp_path / "two", "--exclude", own, *arguments)
        sentence(lines(second.stderr, "xcluded"), "again")
        shard = "tfrecord/train-00000-of-00001"
        assert (tmp_path / "one" / shard).read_bytes() == (tmp_path / "two" / shard).read_bytes()

    def test_lines_that_name_no_image_are_refused_together(self, sentence: Sentence) -> None:
        lines = "n01440764_1.JPEG\nILSVRC2012_val_00050001.JPEG\ntench\nILSVRC2012_test_00000001.JPEG\nn99999999_1\n"
        with pytest.raises(UsageError) as caught:
            listed_names(lines, "names.txt")
        assert places(caught.value.problems) == [
            "names.txt: line 2",
            "names.txt: line 3",
            "names.txt: line 4",
            "names.txt: line 5",
        ]
        sentence(caught.value)

    def test_an_empty_list_is_refused(self, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            listed_names("# nothing\n", "names.txt")
        sentence(caught.value)

    def test_names_in_all_their_forms(self) -> None:
        lines = "ilsvrc2012_val_00000007\nval\\ILSVRC2012_val_00050000.JPEG, 3\nN01440764_5.jpeg\nn01440764_5\n"
        assert listed_names(lines, "") == (
            "ILSVRC2012_val_00000007.JPEG",
            "ILSVRC2012_val_00050000.JPEG",
            "n01440764_5.JPEG",
        )

    def test_who_excludes_nothing_is_told_nothing(self, miniature: Miniature, tmp_path: Path) -> None:
        events: list[object] = []
        imagenet_prep.build(miniature.root, tmp_path / "data", changed(ASIDE, format=("tfds",)), watch=events.append)
        assert not [event for event in events if isinstance(event, Note) and "xcluded" in event.text]
        assert not (tmp_path / "data/splits/excluded.txt").exists()


class TestDecoding:
    """With ``check="decode"`` every image is decoded to its last pixel."""

    options = changed(ASIDE, test_per_class=1, shards={})
    cut = "does not decode: premature end of data segment"

    @pytest.fixture
    def source(self, picture: bytes, tmp_path: Path) -> Path:
        """One picture has lost the second half of its data, and has an end marker all the same."""
        scan = picture.index(b"\xff\xda")
        half = picture[: (scan + len(picture)) // 2] + b"\xff\xd9"
        train = {"n01440764": [(f"n01440764_{number}.JPEG", picture) for number in range(4)]}
        train["n01440764"] += [("n01440764_9.JPEG", half)]
        return write_source(tmp_path / "in", train, [picture, picture])

    def test_it_finds_damage_inside_a_picture_that_the_header_does_not_show(self, source: Path, tmp_path: Path) -> None:
        assert imagenet_prep.build(source, tmp_path / "one", self.options).set_aside == ()
        [problem] = imagenet_prep.build(source, tmp_path / "two", changed(self.options, check="decode")).set_aside
        assert (problem.member, problem.reason) == ("n01440764.tar/n01440764_9.JPEG", self.cut)
        with pytest.raises(SourceError) as caught:
            imagenet_prep.build(source, tmp_path / "three", changed(self.options, check="decode", on_bad="fail"))
        assert [problem.reason for problem in caught.value.problems] == [self.cut]

    def test_what_was_looked_at_less_closely_is_written_again(self, source: Path, tmp_path: Path) -> None:
        out = tmp_path / "data"
        imagenet_prep.build(source, out, self.options)
        assert imagenet_prep.audit(out, AuditOptions(jobs=1)).set_aside == 0
        report = imagenet_prep.build(source, out, changed(self.options, check="decode"))
        assert (report.reused, report.accounts.set_aside) == (0, 1)
        imagenet_prep.build(source, tmp_path / "undisturbed", changed(self.options, check="decode"))
        left = {name for name in everything(out) if name.endswith("n01440764_9.JPEG")} - {"set-aside/n01440764_9.JPEG"}
        assert left == set()
        assert everything(out) == everything(tmp_path / "undisturbed")

    def test_a_closer_look_that_was_stopped_leaves_nothing_behind(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "data"
        with monkeypatch.context() as patched:
            patched.setattr("imagenet_prep.verbs.build.shard.save_receipt", stop)
            with pytest.raises(KeyboardInterrupt):
                imagenet_prep.build(source, out, changed(self.options, check="decode"))
        assert [path.name for path in (out / "set-aside").iterdir()] == ["n01440764_9.JPEG"]
        (out / "set-aside/mine.JPEG").write_bytes(b"mine")
        assert imagenet_prep.build(source, out, self.options).accounts.set_aside == 0
        assert (out / "set-aside/mine.JPEG").read_bytes() == b"mine"
        (out / "set-aside/mine.JPEG").unlink()
        (out / "build.json").unlink()
        imagenet_prep.build(source, out, self.options)
        assert not (out / "set-aside").exists()
        imagenet_prep.build(source, tmp_path / "undisturbed", self.options)
        assert everything(out) == everything(tmp_path / "undisturbed")

    def test_what_was_looked_at_more_closely_stays(self, source: Path, tmp_path: Path) -> None:
        out = tmp_path / "data"
        imagenet_prep.build(source, out, changed(self.options, check="decode"))
        before = inodes(out)
        report = imagenet_prep.build(source, out, self.options)
        assert (report.reused, report.accounts.set_aside) == (9, 1)
        assert inodes(out) == before

    def test_receipts_and_build_json_say_how_closely_it_was(self, source: Path, tmp_path: Path) -> None:
        for check in ("header", "decode"):
            imagenet_prep.build(source, tmp_path / check, changed(self.options, check=check))
            assert json.loads((tmp_path / check / "build.json").read_bytes())["check"] == check
            store = LocalStore(str(tmp_path / check))
            for path in (tmp_path / check / ".imagenet-prep/receipts").glob("*/*"):
                receipt = load_receipt(store, path.parent.name, ShardName.parse(path.name))
                assert receipt
                assert receipt.check == check

    @pytest.mark.parametrize("transfer", ["hardlink", "symlink", "move"])
    def test_where_no_image_is_read_none_is_decoded(self, transfer: str, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            BuildOptions.of(format=("folders",), transfer=transfer, check="decode")
        sentence(caught.value, alike=True)

    @pytest.mark.parametrize(("option", "word"), [("on_bad", "skip"), ("check", "none"), ("check", "full")])
    def test_another_word_is_refused(self, option: str, word: str, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            BuildOptions.of(**{option: word})
        sentence(caught.value)


def bad(miniature: Miniature) -> list[Any]:
    return [entry for entry in miniature.entries if entry.quirk in REASONS]


def shards_with_bad(built: Path) -> int:
    return sum(shard["set_aside"] > 0 for shard in shards_in(built))


def shards_in(built: Path) -> Any:
    return json.loads((built / "build.json").read_bytes())["outputs"]["tfrecord"]["shards"]


def in_source(miniature: Miniature, name: str) -> bytes:
    """The bytes of a train image, read by another reader of tars."""
    with tarfile.open(miniature.root / TRAIN) as outer:
        inner = outer.extractfile(f"{name[:9]}.tar")
        assert inner
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as classes:
            member = classes.extractfile(name)
            assert member
            return member.read()


def write_source(root: Path, train: dict[str, list[tuple[str, bytes]]], validation: list[bytes]) -> Path:
    """An official source of these images; those of validation are all of class 0."""
    root.mkdir()
    write_train(root / TRAIN, train.items())
    numbers = [number for number, class_index in enumerate(imagenet_prep.validation_truth(), 1) if not class_index]
    names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in numbers]
    write_flat_archive(root / VALIDATION, zip(names, validation, strict=False))
    return root


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def huge_jpeg(picture: bytes) -> bytes:
    frame = picture.index(b"\xff\xc0")
    return picture[: frame + 5] + struct.pack(">HH", 65000, 65000) + picture[frame + 9 :]


def huge_png() -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = [header, data, b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def manifest(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out / "manifest.parquet").to_pylist()
    return rows


def complete_catalog(train: int) -> Catalog:
    """A catalog with 50,000 validation images, and so many train images."""
    names = [f"n01440764_{number}.JPEG" for number in range(train)]
    names += [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 50_001)]
    rows = len(names)
    columns: dict[str, list[Any]] = {
        "name": names,
        "class_index": [0] * rows,
        "archive": [0] * train + [1] * 50_000,
        "container": [""] * rows,
        "offset": list(range(512, 512 * rows + 1, 512)),
        "size": [1] * rows,
        "boxes": [None] * rows,
    }
    table = pa.table({name: pa.array(columns[name], SCHEMA.field(name).type) for name in SCHEMA.names}, schema=SCHEMA)
    return Catalog(table, (Archive(TRAIN, "train", 1, 0), Archive(VALIDATION, "validation", 1, 0)))


def held_out(plan: imagenet_prep.Plan) -> list[str]:
    """The names of the test split, in the order of the source."""
    rows = sorted(row for shard in plan.shards if shard.name.split == "test" for row in shard.rows)
    names: list[str] = plan.catalog.table.column("name").take(rows).to_pylist()
    return names


def digest(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)


def read(name: str, shard: Path) -> Any:
    return samples(shard.parents[2 if name == "tfds" else 0].parent, name, shard)

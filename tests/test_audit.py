"""An audit of a build finds every change: of a byte, a record, a file, a count, or a name."""

import json
import os
import re
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

import imagenet_prep
from imagenet_prep import (
    AuditError,
    AuditOptions,
    AuditReport,
    BuildOptions,
    PrepError,
    Problem,
    Progress,
    SplitAudit,
    Stage,
    UsageError,
)
from imagenet_prep.codecs.example import int64_entry
from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.validation_classes import ValidationClasses
from imagenet_prep.testing import Miniature
from imagenet_prep.verbs.audit import compare as audit_step
from support.command import run
from support.records import framed
from support.sentences import Sentence, places

FLAT: dict[str, Any] = {
    "format": ("tfrecord", "tfds", "folders"),
    "test_per_class": 1,
    "shards": {"train": 3},
    "jobs": 1,
    "on_bad": "set-aside",
}
RECIPE = BuildOptions.of(**FLAT)
ONE_PROCESS = AuditOptions(jobs=1)
FLIPS = 200
RECEIPTS = ".imagenet-prep/receipts"

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture(scope="module")
def miniature(two_classes: Miniature) -> Miniature:
    return two_classes


@pytest.fixture(scope="module")
def built(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "data"
    imagenet_prep.build(miniature.root, out, RECIPE)
    return out


@pytest.fixture
def out(built: Path, tmp_path: Path) -> Path:
    """A build that a test may damage."""
    return shutil.copytree(built, tmp_path / "data")


def test_a_receipt_too_many_is_named_and_a_half_written_one_passes(out: Path) -> None:
    receipts = out / RECEIPTS / "tfds"
    shutil.copy(receipts / "test-00000-of-00001", receipts / "test-00000-of-00002")
    (receipts / ".test-00000-of-00001.host.1.part").touch()
    with pytest.raises(AuditError) as caught:
        imagenet_prep.audit(out, ONE_PROCESS)
    assert [problem.archive for problem in caught.value.problems] == [f"{RECEIPTS}/tfds/test-00000-of-00002"]


class TestASoundBuild:
    sound = AuditReport(
        splits={
            "train": SplitAudit(images=9, classes=2, smallest=4, largest=5),
            "validation": SplitAudit(images=4, classes=2, smallest=2, largest=2),
            "test": SplitAudit(images=2, classes=2, smallest=1, largest=1),
        },
        records=45,
        size=0,
        shards=13,  # five of each format with records, and the class folders of three splits
        shards_read=13,
        set_aside=1,
        validation_classes=ValidationClasses("ILSVRC2012_devkit_t12.tar.gz", 4),
    )

    def test_it_is_counted(self, built: Path) -> None:
        report = imagenet_prep.audit(built, ONE_PROCESS)
        document = json.loads((built / "build.json").read_bytes())
        files = [file for of in document["outputs"].values() for shard in of["shards"] for file in shard["files"]]
        in_folders = sum(path.stat().st_size for path in (built / "folders").rglob("*.JPEG"))
        assert replace(report, size=0, original=None) == self.sound
        assert report.size == sum(file["size"] for file in files) + in_folders

    def test_two_processes_say_the_same(self, built: Path) -> None:
        two = imagenet_prep.audit(built, AuditOptions(jobs=2))
        assert two == imagenet_prep.audit(built, ONE_PROCESS)

    def test_a_copy_without_what_resuming_needs_passes(self, out: Path) -> None:
        shutil.rmtree(out / ".imagenet-prep")
        report = imagenet_prep.audit(out, ONE_PROCESS)
        assert replace(report, size=0, original=None) == replace(self.sound, resumable=False)
        shown = run("audit", out, "--jobs", 1).stdout
        assert ".imagenet-prep is missing" in shown.splitlines()[-1]

    def test_whatever_bytes_the_name_of_its_folder_has(self, built: Path, tmp_path: Path) -> None:
        odd = shutil.copytree(built, tmp_path / os.fsdecode(b"no UTF-8: \xff"))
        assert imagenet_prep.audit(odd, ONE_PROCESS).shards == 13

    def test_nothing_is_written(self, built: Path) -> None:
        before = {path: path.lstat().st_mtime_ns for path in (built, *built.rglob("*"))}
        imagenet_prep.audit(built, ONE_PROCESS)
        assert {path: path.lstat().st_mtime_ns for path in (built, *built.rglob("*"))} == before

    def test_hidden_files_pass(self, out: Path) -> None:
        for folder in (
            ".",
            "tfrecord",
            "dali-index",
            "set-aside",
            "splits",
            "tfds/imagenet2012/5.1.0",
            "folders/train",
        ):
            (out / folder / ".DS_Store").write_bytes(b"Bud1")
        (out / ".snapshots").mkdir()
        (out / ".snapshots/train-00000-of-00003").write_bytes(b"an older one")
        assert imagenet_prep.audit(out, ONE_PROCESS).records == 45

    def test_the_command_says_so_and_ends_with_0(self, built: Path, sentence: Sentence) -> None:
        shown = run("audit", built, "--jobs", 1)
        assert (shown.returncode, shown.stderr) == (0, "Reading back …\n")
        sentence(shown.stdout)
        assert "  train            9        2      4 to 5\n" in shown.stdout

    def test_progress_ends_with_all_records_and_bytes(self, built: Path) -> None:
        events: list[Any] = []
        report = imagenet_prep.audit(built, ONE_PROCESS, watch=events.append)
        assert events[-1] == Progress(Stage.AUDIT, 45, 45, report.size, report.size)


@pytest.mark.system
class TestEveryByte:
    def test_a_change_is_found_wherever_it_is(self, built: Path, out: Path) -> None:
        files = sorted(path for path in built.rglob("*") if path.is_file())
        total = sum(path.stat().st_size for path in files)
        flipped, unseen = 0, []
        for path in files:
            damaged = out / path.relative_to(built)
            data = path.read_bytes()
            count = min(len(data), max(3, FLIPS * len(data) // total))
            for number in range(count):
                position = (len(data) - 1) * number // max(1, count - 1)
                damaged.write_bytes(data[:position] + bytes([data[position] ^ 1 << number % 8]) + data[position + 1 :])
                flipped += 1
                try:
                    imagenet_prep.audit(out, ONE_PROCESS)
                    unseen.append(f"{path.relative_to(built)} at {position}")
                except AuditError:
                    pass
            damaged.write_bytes(data)
        assert unseen == []
        assert (len(files), flipped) > (40, FLIPS)
        assert imagenet_prep.audit(out, ONE_PROCESS).records == 45


MISSING = {
    "tfrecord/train-00001-of-00003": ["is missing"],
    "tfds/imagenet2012/5.1.0/imagenet2012-test.tfrecord-00000-of-00001": ["is missing"],
    "dali-index/validation-00000-of-00001.idx": ["is missing"],
    "set-aside/n*.JPEG": ["is missing"],
    "folders/validation/tench/*.JPEG": ["is missing"],
    "folders/classes.csv": ["is missing"],
    "classes.csv": ["is missing"],
    "splits/train.txt": ["is missing"],
    "tfds/imagenet2012/5.1.0/features.json": ["is missing"],
    ".imagenet-prep/state.json": ["is missing or damaged"],
    ".imagenet-prep/catalog.arrow": ["is missing or damaged"],
    f"{RECEIPTS}/tfrecord/train-00002-of-00003": ["is missing or damaged"],
}
EXTRA = {
    "train.tar": "train.tar",
    "tfrecord/train-00000-of-00003.bak": "tfrecord/train-00000-of-00003.bak",
    "tfrecord/train-00003-of-00004": "tfrecord/train-00003-of-00004",
    "tfrecord/old/train-00000-of-00003": "tfrecord/old",
    "tfds/imagenet2012/5.0.0/features.json": "tfds/imagenet2012/5.0.0",
    "dali-index/notes": "dali-index/notes",
    "set-aside/n01440764_1.JPEG": "set-aside/n01440764_1.JPEG",
    "splits/excluded.txt": "splits/excluded.txt",
    "new/file": "new",
    "folders/train/tench/n01440764_99999.JPEG": "folders/train/tench/n01440764_99999.JPEG",
    "folders/train/zebra/x": "folders/train/zebra",
}


class TestFiles:
    @pytest.mark.parametrize("name", list(MISSING))
    def test_one_that_is_missing_is_named(self, out: Path, name: str) -> None:
        path = next(out.glob(name))
        path.unlink()
        error = refused(out)
        assert [(problem.archive, problem.reason) for problem in error.problems] == [
            (str(path.relative_to(out)), reason) for reason in MISSING[name]
        ]
        assert error.exit_code == 7
        assert (f"imagenet-prep repair {out}" in error.remedy) is (path.name != "state.json")

    @pytest.mark.parametrize("name", ["build.json", "manifest.parquet"])
    def test_without_build_json_or_manifest_there_is_no_finished_build(self, out: Path, name: str) -> None:
        (out / name).unlink()
        error = refused(out)
        assert name in error.summary
        assert "is missing" in error.summary
        assert f"imagenet-prep resume {out}" in error.remedy

    @pytest.mark.parametrize("name", list(EXTRA))
    def test_one_too_many_is_named(self, out: Path, name: str) -> None:
        (out / name).parent.mkdir(exist_ok=True, parents=True)
        (out / name).write_bytes(b"not of this data set")
        error = refused(out)
        assert [problem.archive for problem in error.problems] == [EXTRA[name]]
        assert (error.exit_code, error.problems[0].reason) == (7, "does not belong to this data set")
        assert "repair" not in error.remedy

    def test_class_folders_beside_a_build_that_has_none_are_named(
        self, miniature: Miniature, tmp_path: Path, sentence: Sentence
    ) -> None:
        out = tmp_path / "data"
        imagenet_prep.build(miniature.root, out, BuildOptions.of(**FLAT | {"format": "tfrecord"}))
        (out / "folders/train/tench").mkdir(parents=True)
        error = refused(out)
        assert places(error.problems) == ["folders"]
        sentence(error)

    def test_a_set_aside_image_that_changed_is_named(self, out: Path, sentence: Sentence) -> None:
        [path] = (out / "set-aside").iterdir()
        path.write_bytes(path.read_bytes().upper())
        [problem] = refused(out).problems
        assert problem.archive == f"set-aside/{path.name}"
        sentence(problem.reason)

    def test_one_cut_short_is_named_with_both_sizes(self, out: Path, sentence: Sentence) -> None:
        size = (out / "classes.csv").stat().st_size
        os.truncate(out / "classes.csv", size - 1)
        error = refused(out)
        assert places(error.problems) == ["classes.csv"]
        assert (f"{size - 1:,} bytes" in str(error), f"{size:,}" in str(error)) == (True, True)
        sentence(error)

    def test_an_unfinished_build_is_no_finished_one(self, out: Path) -> None:
        (out / "build.json").unlink()
        (out / "tfrecord/train-00001-of-00003").unlink()
        assert "build.json is missing" in refused(out).summary


class TestRecords:
    def test_a_shard_of_an_older_build_is_found(self, miniature: Miniature, out: Path, tmp_path: Path) -> None:
        older = BuildOptions.of(**FLAT | {"seed": 1, "format": "tfrecord"})
        imagenet_prep.build(miniature.root, tmp_path / "older", older)
        name = "tfrecord/train-00001-of-00003"
        shutil.copy(tmp_path / "older" / name, out / name)
        assert {problem.archive for problem in refused(out).problems} == {name}

    def test_records_that_changed_shards_are_found_though_all_digests_fit(self, out: Path, sentence: Sentence) -> None:
        one, two = "tfrecord/train-00000-of-00003", "tfrecord/train-00001-of-00003"
        first, second = records(out / one), records(out / two)
        first[0], second[0] = second[0], first[0]
        (out / one).write_bytes(b"".join(first))
        (out / two).write_bytes(b"".join(second))
        forge(out, one, two)
        names = {name: next(row["name"] for row in rows(out) if row["tfrecord.shard"] == name) for name in (one, two)}
        error = refused(out)
        assert places(error.problems) == [one, two]
        assert [re.findall(r"n\d+_\d+\.JPEG", problem.reason) for problem in error.problems] == [
            [names[two], names[one]],
            [names[one], names[two]],
        ]
        sentence(error)

    def test_records_that_changed_places_are_found_though_all_digests_fit(self, out: Path) -> None:
        name = "tfds/imagenet2012/5.1.0/imagenet2012-validation.tfrecord-00000-of-00001"
        in_order = records(out / name)
        (out / name).write_bytes(b"".join(reversed(in_order)))
        forge(out, name)
        assert len(refused(out).problems) == 4

    @pytest.mark.parametrize("change", ["label", "pixel", "name"])
    def test_a_record_that_was_changed_is_found_though_all_checksums_and_digests_fit(
        self, out: Path, change: str, sentence: Sentence
    ) -> None:
        name = "tfrecord/validation-00000-of-00001"
        row = next(row for row in rows(out) if row["split"] == "validation")
        first, *others = records(out / name)
        data, label = first[12:-4], row["class_index"] + 1
        scan = data.index(b"\xff\xda") + 40
        changed = {
            "label": data.replace(
                int64_entry("image/class/label", label), int64_entry("image/class/label", label + 1)
            ).replace(row["wnid"].encode(), official().classes[label].wnid.encode()),
            "pixel": data[:scan] + bytes([data[scan] ^ 1]) + data[scan + 1 :],
            "name": data.replace(row["name"].encode(), b"ILSVRC2012_val_00050000.JPEG"),
        }[change]
        assert len(changed) == len(data)
        (out / name).write_bytes(b"".join([framed(changed), *others]))
        forge(out, name)
        error = refused(out)
        assert places(error.problems) == [name if change == "name" else f"{name}: {row['name']}"]
        sentence(error)

    @pytest.mark.parametrize(("keep", "said"), [(3, "has 3 records instead of 4"), (5, "record 4 is one too many")])
    def test_a_record_too_few_or_too_many_is_found(self, out: Path, keep: int, said: str) -> None:
        name = "tfrecord/validation-00000-of-00001"
        all_records = records(out / name)
        (out / name).write_bytes(b"".join((all_records * 2)[:keep]))
        forge(out, name)
        [problem] = refused(out).problems
        assert problem.reason == said

    def test_an_image_in_a_class_folder_that_was_exchanged_is_found(self, out: Path) -> None:
        one, two, *_ = sorted((out / "folders/train").rglob("*.JPEG"))
        one_bytes, two_bytes = one.read_bytes(), two.read_bytes()
        one.write_bytes(two_bytes)
        two.write_bytes(one_bytes)
        assert {problem.archive for problem in refused(out).problems} == {
            str(path.relative_to(out)) for path in (one, two)
        }

    def test_an_image_in_the_folder_of_another_class_is_missing_here_and_too_much_there(self, out: Path) -> None:
        moved = next((out / "folders/train/tench").iterdir())
        [other] = [path for path in (out / "folders/train").iterdir() if path.name != "tench"]
        moved.rename(other / moved.name)
        assert {(problem.archive, problem.reason) for problem in refused(out).problems} == {
            (f"folders/train/tench/{moved.name}", "is missing"),
            (f"folders/train/{other.name}/{moved.name}", "does not belong to this data set"),
        }

    def test_with_decode_a_picture_is_found_that_was_damaged_before_it_was_built(
        self, miniature: Miniature, built: Path, tmp_path: Path
    ) -> None:
        from imagenet_prep.testing.archives import DEVKIT, TRAIN, VALIDATION, write_train_archive

        picture = next((built / "folders/validation").rglob("*.JPEG")).read_bytes()
        half = picture[: (picture.index(b"\xff\xda") + len(picture)) // 2] + b"\xff\xd9"
        (tmp_path / "in").mkdir()
        images = [("n01440764_1.JPEG", picture), ("n01440764_2.JPEG", picture), ("n01440764_9.JPEG", half)]
        write_train_archive(tmp_path / "in" / TRAIN, [("n01440764", images)])
        for name in (VALIDATION, DEVKIT):
            shutil.copy(miniature.root / name, tmp_path / "in")
        all_of_it = BuildOptions.of(**FLAT | {"test_per_class": 0, "shards": {}})
        imagenet_prep.build(tmp_path / "in", tmp_path / "data", all_of_it)
        assert imagenet_prep.audit(tmp_path / "data", ONE_PROCESS).decoded is False
        error = refused(tmp_path / "data", replace(ONE_PROCESS, decode=True))
        assert {problem.reason for problem in error.problems} == {"does not decode: premature end of data segment"}
        assert len(error.problems) == 3  # one in each format

    def test_with_decode_a_sound_build_passes(self, built: Path) -> None:
        report = imagenet_prep.audit(built, replace(ONE_PROCESS, decode=True))
        assert (report.decoded, report.records) == (True, 45)

    def test_two_processes_find_the_same(self, out: Path) -> None:
        for name in ("tfrecord/train-00000-of-00003", "dali-index/test-00000-of-00001.idx", "classes.csv"):
            path = out / name
            path.write_bytes(path.read_bytes()[:-1] + b"!")
        one, two = refused(out), refused(out, AuditOptions(jobs=2))
        assert one.summary == two.summary
        assert set(one.problems) == set(two.problems)

    def test_a_shard_that_kills_its_reader_is_named_and_the_others_are_read(
        self, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit_step, "read_back", deadly)
        unread = (Problem("train-00001-of-00003 (tfds)", "the process that read it died twice"),)
        with pytest.raises(PrepError) as caught:  # nobody knows whether anything is wrong with it
            imagenet_prep.audit(out, AuditOptions(jobs=2))
        assert (caught.value.exit_code, caught.value.problems) == (1, unread)
        (out / "classes.csv").write_bytes(b"")
        assert refused(out, AuditOptions(jobs=2)).problems[1:] == unread


class TestDocuments:
    @pytest.mark.parametrize("name", ["build.json", "manifest.parquet"])
    @pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"PAR1", b"\xff" * 100])
    def test_of_a_damaged_one_nothing_is_believed(self, out: Path, name: str, content: bytes) -> None:
        (out / name).write_bytes(content)
        error = refused(out)
        assert f"{name} is damaged: " in error.summary
        assert f"imagenet-prep repair {out}" in error.remedy

    def test_of_a_manifest_that_can_still_be_read_nothing_is_believed_either(self, out: Path) -> None:
        sound = (out / "manifest.parquet").read_bytes()
        for position in range(0, len(sound), 101):
            flipped = sound[:position] + bytes([sound[position] ^ 0xFF]) + sound[position + 1 :]
            (out / "manifest.parquet").write_bytes(flipped)
            assert "manifest.parquet is damaged: its digest does not fit" in refused(out).summary

    @pytest.mark.parametrize(
        "change",
        [
            lambda document: document["images"].update(written=document["images"]["written"] + 1),
            lambda document: document["images"].update(written=16, set_aside=0),
            lambda document: document["images"].update(entries=99),
            lambda document: document["images"].update(entries=17, excluded=1, not_chosen=-1),
            lambda document: document["images"].update(converted={}),
            lambda document: document["splits"].update(train=10, test=1),
            lambda document: document["splits"].pop("test"),
            lambda document: shards_in(document).pop(),
            lambda document: shards_in(document).reverse(),
            lambda document: shards_in(document)[0].update(images=shards_in(document)[0]["images"] + 1),
            lambda document: move_to_set_aside(shards_in(document)[0]),
        ],
    )
    def test_counts_that_do_not_fit_are_found_though_build_json_is_sealed(
        self, out: Path, change: Callable[[dict[str, Any]], None]
    ) -> None:
        shutil.rmtree(out / ".imagenet-prep")
        document = unseal((out / "build.json").read_bytes())
        change(document)
        (out / "build.json").write_bytes(seal(document))
        reasons = {problem.archive for problem in refused(out).problems}
        assert reasons & {"build.json", "manifest.parquet"}

    def test_a_shard_of_another_name_is_found_though_build_json_is_sealed(self, out: Path) -> None:
        document = unseal((out / "build.json").read_bytes())
        shards_in(document)[0]["name"] = "train-00000-of-00004"
        (out / "build.json").write_bytes(seal(document))
        assert {problem.archive for problem in refused(out).problems} == {"tfrecord/train-00000-of-00004"}

    def test_an_image_in_two_splits_is_found_though_all_digests_fit(self, out: Path) -> None:
        def doubled(manifest: pa.Table) -> pa.Table:
            names = manifest["name"].to_pylist()
            names[-1] = names[0]
            return manifest.set_column(manifest.schema.get_field_index("name"), "name", pa.array(names))

        rewrite(out, doubled)
        name = rows(out)[0]["name"]
        assert Problem("manifest.parquet", "names an image more than once", name) in refused(out).problems

    @pytest.mark.parametrize("column", ["class_index", "wnid"])
    def test_a_class_that_does_not_fit_is_found_though_all_digests_fit(self, out: Path, column: str) -> None:
        other = {"class_index": 1, "wnid": "n01443537"}[column]

        def relabelled(manifest: pa.Table) -> pa.Table:
            at = manifest.schema.get_field_index(column)
            values = [other, *manifest[column].to_pylist()[1:]]
            return manifest.set_column(at, column, pa.array(values, manifest.schema.field(at).type))

        rewrite(out, relabelled)
        row = rows(out)[0]
        said = Problem("manifest.parquet", f"gives it class index {row['class_index']} and {row['wnid']}", row["name"])
        assert said in refused(out).problems

    @pytest.mark.parametrize("name", ["receipts/tfrecord/train-00000-of-00003", "state.json"])
    def test_what_resuming_needs_is_that_of_this_build(
        self, miniature: Miniature, out: Path, tmp_path: Path, name: str, sentence: Sentence
    ) -> None:
        imagenet_prep.build(miniature.root, tmp_path / "other", BuildOptions.of(**FLAT | {"seed": 1}))
        shutil.copy(tmp_path / "other/.imagenet-prep" / name, out / ".imagenet-prep" / name)
        error = refused(out)
        assert places(error.problems) == [f".imagenet-prep/{name}"]
        sentence(error)

    def test_of_a_lost_state_it_says_what_a_repair_says(self, out: Path, sentence: Sentence) -> None:
        (out / ".imagenet-prep/state.json").unlink()
        assert "repair" not in refused(out).remedy
        sentence(refused(out).remedy)

    def test_a_folder_without_a_build_is_no_build(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data/.imagenet-prep").mkdir()
        with pytest.raises(AuditError):
            imagenet_prep.audit(tmp_path / "data", ONE_PROCESS)


class TestSample:
    def test_it_reads_a_part_of_the_shards_and_says_so(self, built: Path) -> None:
        report = imagenet_prep.audit(built, AuditOptions(jobs=1, sample=0.5))
        assert (report.shards, report.shards_read) == (13, 7)
        assert report.records < 45
        assert sum(split.images for split in report.splits.values()) == 15

    def test_the_smallest_reads_one_and_chance_says_which(self, built: Path) -> None:
        reports = [imagenet_prep.audit(built, AuditOptions(jobs=1, sample=1e-9)) for _ in range(30)]
        assert {report.shards_read for report in reports} == {1}
        assert len({report.size for report in reports}) > 1
        assert all(report.records for report in reports)

    @pytest.mark.parametrize(
        "name",
        [
            "classes.csv",
            "manifest.parquet",
            "build.json",
            "splits/train.txt",
            "tfrecord/features.json",
            "folders/classes.csv",
            f"{RECEIPTS}/folders/test-00000-of-00001",
            ".imagenet-prep/catalog.arrow",
            "set-aside/n*.JPEG",
        ],
    )
    def test_the_smallest_finds_damage_of_whatever_is_no_shard(self, out: Path, name: str) -> None:
        path = next(out.glob(name))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
        refused(out, AuditOptions(jobs=1, sample=1e-9))

    def test_the_smallest_finds_shards_that_are_missing_or_cut(self, out: Path) -> None:
        for name in ("tfrecord/train-00000-of-00003", "dali-index/test-00000-of-00001.idx"):
            (out / name).unlink()
        os.truncate(out / "tfrecord/validation-00000-of-00001", 99)
        named = {problem.archive for problem in refused(out, AuditOptions(jobs=1, sample=1e-9)).problems}
        assert named == {
            "tfrecord/train-00000-of-00003",
            "dali-index/test-00000-of-00001.idx",
            "tfrecord/validation-00000-of-00001",
        }

    @pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
    def test_a_share_that_is_none_is_refused(self, share: float, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            AuditOptions(sample=share)
        sentence(caught.value)

    def test_the_command_takes_a_percentage(self, built: Path) -> None:
        shown = run("audit", built, "--sample", "1%", "--jobs", 1)
        assert shown.returncode == 0
        assert shown.stdout.startswith(f"What was read of {built}, 1 of 13 shards, ")  # which one, is chance
        refused_share = run("audit", built, "--sample", "0%")
        assert (refused_share.returncode, refused_share.stderr) == (
            2,
            "Error: --sample 0% is not a share above 0% and at most 100%, such as 2.5%.\n",
        )


class TestTheCommand:
    def test_it_lists_what_is_wrong_and_ends_with_7(self, out: Path) -> None:
        os.truncate(out / "tfrecord/test-00000-of-00001", 7)
        (out / "x").write_bytes(b"")
        size = next(row for row in shards_of(out) if row["path"] == "tfrecord/test-00000-of-00001")["size"]
        shown = run("audit", out, "--jobs", 1)
        assert (shown.returncode, shown.stdout) == (7, "")
        lines = shown.stderr.splitlines()
        assert lines[1].startswith(f"Error: {out} is not what was built: ")
        assert f"  tfrecord/test-00000-of-00001: has 7 bytes instead of {size:,}" in lines
        assert "  x: does not belong to this data set" in lines
        assert f"imagenet-prep repair {out}" in lines[-1]


def refused(out: Path, options: AuditOptions = ONE_PROCESS) -> AuditError:
    with pytest.raises(AuditError) as caught:
        imagenet_prep.audit(out, options)
    return caught.value


def deadly(task: Any) -> Any:
    """Read a shard back; one of them kills the process."""
    from imagenet_prep.verbs.audit.shard import read_back

    if (str(task.stored.shard), task.output.name) == ("train-00001-of-00003", "tfds"):
        os._exit(9)
    return read_back(task)


def move_to_set_aside(shard: dict[str, Any]) -> None:
    shard["images"] -= 1
    shard["set_aside"] += 1


def records(shard: Path) -> list[bytes]:
    """The records of a shard, each with its framing."""
    data, found = shard.read_bytes(), []
    while data:
        length = struct.unpack_from("<Q", data)[0] + 16
        found.append(data[:length])
        data = data[length:]
    return found


def rows(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "manifest.parquet").to_pylist()
    return found


def shards_of(out: Path) -> list[dict[str, Any]]:
    document = json.loads((out / "build.json").read_bytes())
    return files_in(document)


def shards_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The shards of the classic schema, as ``build.json`` has them."""
    shards: list[dict[str, Any]] = document["outputs"]["tfrecord"]["shards"]
    return shards


def files_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [file for of in document["outputs"].values() for shard in of["shards"] for file in shard["files"]]


def forge(out: Path, *names: str) -> None:
    """Let ``build.json`` have the sizes and digests that these files have now."""
    document = unseal((out / "build.json").read_bytes())
    for file in [*files_in(document), *document["documents"]]:
        if file["path"] in names:
            data = (out / file["path"]).read_bytes()
            file.update(size=len(data), xxh3_128=xxhash.xxh3_128_hexdigest(data))
    (out / "build.json").write_bytes(seal(document))


def rewrite(out: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the manifest, and let ``build.json`` have its digest."""
    pq.write_table(change(pq.read_table(out / "manifest.parquet")), out / "manifest.parquet")
    forge(out, "manifest.parquet")

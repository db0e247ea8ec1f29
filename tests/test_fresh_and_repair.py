"""Starting anew takes away what a build made and nothing else; a repair makes anew what is damaged and nothing else."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import imagenet_prep
from imagenet_prep import AuditError, AuditOptions, BuildOptions, OtherBuildError, OutputError, SourceError, UsageError
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.verbs.build import stages
from imagenet_prep.verbs.build.run import preview

RECIPE = BuildOptions.of(
    format=("tfrecord", "tfds", "folders"), test_per_class=1, shards={"train": 4}, jobs=1, on_bad="set-aside"
)
OTHER = BuildOptions.of(test_per_class=2, seed=3, jobs=1, on_bad="set-aside", fresh=True)
REPAIR = replace(RECIPE, repair=True)
MINE = {"notes.txt": b"mine", "tfrecord/notes.txt": b"mine, too", "folders/train/tench/tench.txt": b"a word of mine"}

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture(scope="module")
def miniature(two_classes: Miniature) -> Miniature:
    return two_classes


@pytest.fixture(scope="module")
def folder_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = MiniatureOptions(
        wnids=("n01440764", "n02917067"),
        images_per_class=3,
        validation_per_class=1,
        boxes=False,
        devkit=False,
        layout="extracted",
    )
    return write_miniature(tmp_path_factory.mktemp("folders"), options).root


@pytest.fixture(scope="module")
def built(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "data"
    imagenet_prep.build(miniature.root, out, RECIPE)
    return out


@pytest.fixture(scope="module")
def other(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The other recipe in a folder of its own."""
    out = tmp_path_factory.mktemp("other") / "data"
    imagenet_prep.build(miniature.root, out, OTHER)
    return out


@pytest.fixture
def out(built: Path, tmp_path: Path) -> Path:
    """A build that a test may damage."""
    return shutil.copytree(built, tmp_path / "data")


class TestFresh:
    def test_it_gives_the_bytes_of_a_build_into_an_empty_folder(
        self, miniature: Miniature, out: Path, other: Path
    ) -> None:
        imagenet_prep.build(miniature.root, out, OTHER)
        assert contents(out) == contents(other)
        assert folders(out) == folders(other)

    def test_and_back_again(self, miniature: Miniature, built: Path, other: Path, tmp_path: Path) -> None:
        out = shutil.copytree(other, tmp_path / "data")
        imagenet_prep.build(miniature.root, out, replace(RECIPE, fresh=True))
        assert contents(out) == contents(built)

    def test_the_same_recipe_is_begun_anew_too(self, miniature: Miniature, out: Path, built: Path) -> None:
        before = inodes(out)
        report = imagenet_prep.build(miniature.root, out, replace(RECIPE, fresh=True))
        assert report.reused == 0
        assert contents(out) == contents(built)
        changed = {name for name, inode in inodes(out).items() if before[name] != inode}
        assert {"tfrecord/train-00000-of-00004", "manifest.parquet"} <= changed

    def test_a_folder_that_is_not_there_is_no_hindrance(
        self, miniature: Miniature, other: Path, tmp_path: Path
    ) -> None:
        imagenet_prep.build(miniature.root, tmp_path / "data", OTHER)
        assert contents(tmp_path / "data") == contents(other)

    def test_files_of_the_user_stay_wherever_they_lie(self, miniature: Miniature, out: Path, other: Path) -> None:
        for name, data in MINE.items():
            (out / name).write_bytes(data)
        imagenet_prep.build(miniature.root, out, OTHER)
        found = contents(out)
        assert {name: found.pop(name) for name in MINE} == MINE
        assert found == contents(other)

    def test_without_it_another_recipe_is_refused_and_it_is_named(self, miniature: Miniature, out: Path) -> None:
        before = inodes(out)
        with pytest.raises(OtherBuildError, match=r"--fresh takes it away and begins anew"):
            imagenet_prep.build(miniature.root, out, replace(OTHER, fresh=False))
        assert inodes(out) == before

    @pytest.mark.parametrize("damaged", [b"", b"{", b'{"plan": "of version 0"}\n'])
    def test_a_damaged_or_strange_note_of_the_plan_does_not_matter(
        self, miniature: Miniature, out: Path, other: Path, damaged: bytes
    ) -> None:
        (out / ".imagenet-prep/plan.json").write_bytes(damaged)
        imagenet_prep.build(miniature.root, out, OTHER)
        assert contents(out) == contents(other)

    def test_a_folder_with_moved_files_is_refused(self, folder_source: Path, tmp_path: Path) -> None:
        source = shutil.copytree(folder_source, tmp_path / "in")
        out = tmp_path / "data"
        move = BuildOptions.of(format=("folders",), test_per_class=1, transfer="move", jobs=1)
        imagenet_prep.build(source, out, move)
        before = inodes(out)
        for options in (replace(move, fresh=True), BuildOptions.of(test_per_class=1, jobs=1, fresh=True)):
            for attempt in (imagenet_prep.build, preview):
                with pytest.raises(OtherBuildError) as caught:
                    attempt(source, out, options)
                assert caught.value.summary == f"{out} holds files that were moved there: they are not taken away."
                assert caught.value.remedy == f"Put them back first: imagenet-prep undo {out}"
        assert inodes(out) == before

    def test_a_build_is_not_taken_away_that_is_to_be_the_source(self, out: Path) -> None:
        before = inodes(out)
        for attempt in (imagenet_prep.build, preview):
            with pytest.raises(UsageError, match="where an earlier build is to be taken away") as caught:
                attempt(out / "folders", out, replace(OTHER, test_per_class=1))
            assert [problem.reason for problem in caught.value.problems] == ["would go with it"] * 3
        assert inodes(out) == before

    def test_nor_if_a_symbolic_link_leads_to_it(self, out: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(out / "folders")
        before = inodes(out)
        with pytest.raises(UsageError, match="where an earlier build is to be taken away"):
            imagenet_prep.build(tmp_path / "link", out, replace(OTHER, test_per_class=1))
        assert inodes(out) == before

    def test_nor_if_a_folder_of_it_was_put_elsewhere_and_is_the_source(self, out: Path, tmp_path: Path) -> None:
        shutil.move(out / "folders", tmp_path / "elsewhere")
        (out / "folders").symlink_to(tmp_path / "elsewhere")
        before = inodes(tmp_path / "elsewhere")
        with pytest.raises(UsageError, match="where an earlier build is to be taken away"):
            imagenet_prep.build(tmp_path / "elsewhere", out, replace(OTHER, test_per_class=1))
        assert inodes(tmp_path / "elsewhere") == before

    def test_nor_if_the_images_themselves_are_links_to_it(self, out: Path, tmp_path: Path) -> None:
        links = BuildOptions.of(format=("folders",), test_per_class=0, transfer="symlink", jobs=1)
        imagenet_prep.build(out / "folders", tmp_path / "linked", links)
        before = inodes(out)
        with pytest.raises(UsageError, match="where an earlier build is to be taken away"):
            imagenet_prep.build(tmp_path / "linked/folders", out, replace(OTHER, test_per_class=1))
        assert inodes(out) == before

    def test_stopped_anywhere_while_removing_the_same_command_completes_it(
        self, miniature: Miniature, built: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for steps in range(0, 1000, 11):
            out = shutil.copytree(built, tmp_path / str(steps))
            (out / "notes.txt").write_bytes(b"mine")
            with monkeypatch.context() as patched:
                stop_after(patched, steps)
                try:
                    imagenet_prep.build(miniature.root, out, OTHER)
                    break  # it has fewer steps
                except KeyboardInterrupt:
                    assert (out / "build.json").exists() == (steps == 0)
            imagenet_prep.build(miniature.root, out, OTHER)
            (out / "notes.txt").unlink()
            assert contents(out) == contents(other)
            assert folders(out) == folders(other)
        assert steps >= 66

    def test_of_a_format_that_the_earlier_build_did_not_have_nothing_goes(
        self, miniature: Miniature, tmp_path: Path
    ) -> None:
        options = BuildOptions.of(test_per_class=1, jobs=1, on_bad="set-aside")
        imagenet_prep.build(miniature.root, tmp_path / "data", options)
        mine = tmp_path / "data/folders/train/tench/n01440764_10.JPEG"
        mine.parent.mkdir(parents=True)
        mine.write_bytes(b"mine")
        imagenet_prep.build(miniature.root, tmp_path / "data", replace(options, test_per_class=2, fresh=True))
        assert mine.read_bytes() == b"mine"

    def test_stopped_behind_the_removal_the_folder_is_still_known_as_a_build(
        self, miniature: Miniature, out: Path, other: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (out / "notes.txt").write_bytes(b"mine")
        with monkeypatch.context() as patched:
            patched.setattr(stages, "claim", stop)
            with pytest.raises(KeyboardInterrupt):
                imagenet_prep.build(miniature.root, out, OTHER)
        assert sorted(contents(out)) == [".imagenet-prep/plan.json", "notes.txt"]
        imagenet_prep.build(miniature.root, out, OTHER)
        (out / "notes.txt").unlink()
        assert contents(out) == contents(other)

    def test_a_folder_of_the_build_that_was_put_elsewhere_is_emptied_too(
        self, miniature: Miniature, out: Path, tmp_path: Path
    ) -> None:
        shutil.move(out / "tfrecord", tmp_path / "elsewhere")
        (out / "tfrecord").symlink_to(tmp_path / "elsewhere")
        imagenet_prep.build(miniature.root, out, OTHER)
        assert not list((tmp_path / "elsewhere").glob("*-of-00003"))
        assert imagenet_prep.audit(out, AuditOptions(jobs=1)).shards == 3

    def test_moved_files_stay_though_the_log_is_lost(self, folder_source: Path, tmp_path: Path) -> None:
        source = shutil.copytree(folder_source, tmp_path / "in")
        out = tmp_path / "data"
        move = BuildOptions.of(format=("folders",), test_per_class=1, transfer="move", jobs=1)
        imagenet_prep.build(source, out, move)
        (out / ".imagenet-prep/undo.jsonl").unlink()
        before = inodes(out)
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.build(folder_source, out, replace(move, transfer="copy", fresh=True))
        assert caught.value.remedy == "There is no undo log to put them back by: take them out of the folder first."
        assert inodes(out) == before

    def test_a_move_that_begins_beside_it_is_seen_under_the_lock(
        self, miniature: Miniature, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def begun_meanwhile(*of: object) -> None:
            """Another run begins a move between the first look and the lock."""
            (out / ".imagenet-prep/undo.jsonl").touch()

        monkeypatch.setattr(stages, "check_space", begun_meanwhile)
        before = inodes(out)
        with pytest.raises(OtherBuildError, match="holds files that were moved there"):
            imagenet_prep.build(miniature.root, out, OTHER)
        (out / ".imagenet-prep/undo.jsonl").unlink()
        assert inodes(out) == before

    def test_while_another_build_holds_the_folder_nothing_is_removed(self, miniature: Miniature, out: Path) -> None:
        before = inodes(out)
        descriptor = os.open(out / ".imagenet-prep", os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)  # as a build does
            with pytest.raises(OtherBuildError, match=f"Another run is at work in {out}"):
                imagenet_prep.build(miniature.root, out, OTHER)
        finally:
            os.close(descriptor)
        assert inodes(out) == before
        assert imagenet_prep.build(miniature.root, out, OTHER).reused == 0

    def test_nothing_is_removed_for_bad_sources_or_a_recipe_that_cannot_be(
        self, miniature: Miniature, out: Path, tmp_path: Path
    ) -> None:
        before = inodes(out)
        (tmp_path / "in").mkdir()
        with pytest.raises(SourceError):
            imagenet_prep.build(tmp_path / "in", out, OTHER)
        with pytest.raises(UsageError):
            imagenet_prep.build(miniature.root, out, replace(OTHER, test_per_class=50))
        shutil.copy(miniature.root / "ILSVRC2012_img_train.tar", tmp_path / "in")
        with pytest.raises(SourceError):
            imagenet_prep.build(tmp_path / "in", out, OTHER)
        assert inodes(out) == before

    def test_nothing_is_removed_without_the_space_for_the_new_build(
        self, miniature: Miniature, out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before, asked = inodes(out), []

        def none(_: Path, needed: int) -> None:
            asked.append(needed)
            raise OutputError("no space")

        monkeypatch.setattr(stages, "check_space", none)
        with pytest.raises(OutputError, match="no space"):
            imagenet_prep.build(miniature.root, out, replace(RECIPE, fresh=True))
        assert inodes(out) == before
        removed = sum(path.stat().st_size for path in files(out) if path.name != "plan.json")
        with pytest.raises(OutputError, match="no space"):
            imagenet_prep.build(miniature.root, out.parent / "elsewhere", RECIPE)
        assert asked[1] - asked[0] == removed  # what the earlier build gives back counts

    def test_a_preview_removes_nothing(self, miniature: Miniature, out: Path) -> None:
        before = inodes(out)
        plan = preview(miniature.root, out, OTHER)
        assert plan.formats == ("tfrecord",)
        assert inodes(out) == before

    def test_hard_links_and_symbolic_links_go_and_their_files_stay(self, folder_source: Path, tmp_path: Path) -> None:
        source = {path: path.read_bytes() for path in files(folder_source)}
        options = BuildOptions.of(format=("folders",), test_per_class=1, jobs=1)
        for transfer in ("symlink", "hardlink", "copy"):
            fresh = replace(options, transfer=transfer, fresh=True)
            imagenet_prep.build(folder_source, tmp_path / "data", fresh)
        assert not any(path.is_symlink() or path.stat().st_nlink > 1 for path in files(tmp_path / "data"))
        imagenet_prep.build(folder_source, tmp_path / "copy", options)
        assert contents(tmp_path / "data") == contents(tmp_path / "copy")
        assert {path: path.read_bytes() for path in files(folder_source)} == source

    def test_anew_and_repaired_are_two_things(self) -> None:
        with pytest.raises(UsageError, match="begun anew or repaired: give one of the two"):
            BuildOptions.of(fresh=True, repair=True)

    def test_the_command_says_that_it_takes_the_earlier_build_away(self, miniature: Miniature, out: Path) -> None:
        arguments = [
            "build",
            str(miniature.root),
            str(out),
            "--test-per-class",
            "2",
            "--on-bad",
            "set-aside",
            "--fresh",
        ]
        done = command(*arguments, "--jobs", "1")
        assert (done.returncode, "Taking the earlier build away …\n" in done.stderr) == (3, True)
        assert {path.name for path in out.iterdir() if path.is_dir()} == {
            ".imagenet-prep",
            "dali-index",
            "set-aside",
            "splits",
            "tfrecord",
        }


DAMAGED = {
    "tfrecord/train-00002-of-00004": "train-00002",
    "tfds/imagenet2012/5.1.0/imagenet2012-train.tfrecord-00001-of-00004": "train-00001",
    "dali-index/validation-00000-of-00001.idx": "validation",
    "folders/train/tench/*.JPEG": "train",
    "set-aside/*.JPEG": "train",
    ".imagenet-prep/receipts/test-00000-of-00001.receipt": "test",
    ".imagenet-prep/plan.json": "",
    ".imagenet-prep/catalog.arrow": "",
    "manifest.parquet": "",
    "build.json": "",
    "classes.csv": "",
    "folders/classes.csv": "",
    "splits/train.txt": "",
    "tfrecord/dataset_info.json": "",
}


def test_who_leaves_images_out_wants_to_be_alone(miniature: Miniature, out: Path) -> None:
    """Another run at the same time would perhaps write what this one sets aside."""
    descriptor = os.open(out / ".imagenet-prep", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        imagenet_prep.build(miniature.root, out, replace(RECIPE, on_bad="fail"))  # finished: both may be there
        with pytest.raises(OtherBuildError, match="Another run is at work"):
            imagenet_prep.build(miniature.root, out, replace(RECIPE, on_bad="set-aside"))
    finally:
        os.close(descriptor)


class TestRepair:
    @pytest.mark.parametrize(
        ("damaged", "harm"),
        [
            (damaged, harm)
            for damaged in DAMAGED
            for harm in ("flip", "cut", "lose")
            if (damaged, harm) != (".imagenet-prep/plan.json", "lose")  # which has a test of its own
        ],
    )
    def test_the_folder_is_as_it_was_and_what_was_sound_is_not_touched(
        self, miniature: Miniature, out: Path, built: Path, damaged: str, harm: str
    ) -> None:
        path = next(out.glob(damaged))
        before = inodes(out)
        HARMS[harm](path)
        report = imagenet_prep.build(miniature.root, out, REPAIR)
        assert contents(out) == contents(built)
        made = shards_made(before, inodes(out))
        assert len(made) == 6 - report.reused == bool(DAMAGED[damaged])
        assert all(shard.startswith(DAMAGED[damaged]) for shard in made)
        assert imagenet_prep.audit(out, AuditOptions(jobs=1)).records == 3 * 15

    def test_a_note_of_the_plan_that_is_gone_is_made_anew_if_the_receipts_fit(
        self, miniature: Miniature, out: Path, built: Path
    ) -> None:
        (out / ".imagenet-prep/plan.json").unlink()
        for options in (replace(REPAIR, repair=False), replace(REPAIR, seed=7)):
            with pytest.raises(OtherBuildError) as caught:
                imagenet_prep.build(miniature.root, out, options)
            assert caught.value.summary == (
                f"{out} holds a build of which it is not known what it is: plan.json is missing."
            )
        imagenet_prep.build(miniature.root, out, REPAIR)
        assert contents(out) == contents(built)

    def test_without_note_and_receipts_the_folder_is_nobodys(self, miniature: Miniature, out: Path) -> None:
        shutil.rmtree(out / ".imagenet-prep")
        with pytest.raises(OtherBuildError, match=r"holds a build whose \.imagenet-prep is gone"):
            imagenet_prep.build(miniature.root, out, REPAIR)

    def test_stopped_before_it_mended_anything_any_later_run_mends_it(
        self, miniature: Miniature, out: Path, built: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flip(next(out.glob("tfrecord/train-00000-*")))
        with monkeypatch.context() as patched:
            patched.setattr(stages, "make_shard", stop)
            with pytest.raises(KeyboardInterrupt):
                imagenet_prep.build(miniature.root, out, REPAIR)
        imagenet_prep.build(miniature.root, out, replace(REPAIR, repair=False))
        assert contents(out) == contents(built)

    def test_many_damages_at_once(self, miniature: Miniature, out: Path, built: Path) -> None:
        for damaged in DAMAGED:
            flip(next(out.glob(damaged)))
        with pytest.raises(AuditError):
            imagenet_prep.audit(out, AuditOptions(jobs=1))
        imagenet_prep.build(miniature.root, out, REPAIR)
        assert contents(out) == contents(built)

    def test_nothing_is_written_anew_where_nothing_is_damaged(
        self, miniature: Miniature, out: Path, built: Path
    ) -> None:
        before = inodes(out)
        report = imagenet_prep.build(miniature.root, out, REPAIR)
        assert (report.reused, report.bytes_written) == (6, 0)
        assert shards_made(before, inodes(out)) == set()
        assert contents(out) == contents(built)

    def test_the_plain_command_takes_a_shard_that_a_disk_has_flipped_for_finished(
        self, miniature: Miniature, out: Path
    ) -> None:
        # which is why there is a repair: a start must not read 150 GB, and a disk that fails leaves the time as it was
        path = out / "tfrecord/train-00002-of-00004"
        before = path.stat()
        flip(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert imagenet_prep.build(miniature.root, out, RECIPE).reused == 6

    def test_the_plain_command_makes_damaged_documents_anew(self, miniature: Miniature, out: Path, built: Path) -> None:
        for name in ("manifest.parquet", "classes.csv", "splits/test.txt", "build.json"):
            flip(out / name)
            assert imagenet_prep.build(miniature.root, out, RECIPE).reused == 6
            assert contents(out) == contents(built)

    def test_build_json_of_another_build_is_made_anew(
        self, miniature: Miniature, out: Path, built: Path, other: Path
    ) -> None:
        documents = json.loads((other / "build.json").read_bytes())["documents"]
        for name in ("build.json", *(file["path"] for file in documents)):
            shutil.copy(other / name, out / name)
        assert imagenet_prep.build(miniature.root, out, RECIPE).reused == 6
        assert contents(out) == contents(built)

    def test_a_build_that_was_never_finished(self, miniature: Miniature, out: Path, built: Path) -> None:
        for name in ("build.json", "manifest.parquet", ".imagenet-prep/receipts/train-00000-of-00004.receipt"):
            (out / name).unlink()
        flip(out / "tfrecord/train-00003-of-00004")
        before = inodes(out)
        report = imagenet_prep.build(miniature.root, out, REPAIR)
        made = shards_made(before, inodes(out))
        assert (made, report.reused) == ({"train-00000-of-00004", "train-00003-of-00004"}, 4)
        assert contents(out) == contents(built)

    def test_two_shards_that_changed_places(self, miniature: Miniature, out: Path, built: Path) -> None:
        one, two = (out / f"tfrecord/train-0000{number}-of-00004" for number in (0, 1))
        one_bytes, two_bytes = one.read_bytes(), two.read_bytes()
        one.write_bytes(two_bytes)
        two.write_bytes(one_bytes)
        imagenet_prep.build(miniature.root, out, REPAIR)
        assert contents(out) == contents(built)

    def test_a_receipt_under_the_name_of_another_shard(self, miniature: Miniature, out: Path, built: Path) -> None:
        receipts = out / ".imagenet-prep/receipts"
        shutil.copy(receipts / "train-00001-of-00004.receipt", receipts / "train-00000-of-00004.receipt")
        with pytest.raises(AuditError, match=r"train-00000-of-00004\.receipt: is missing or damaged"):
            imagenet_prep.audit(out, AuditOptions(jobs=1))
        assert imagenet_prep.build(miniature.root, out, RECIPE).reused == 5
        assert contents(out) == contents(built)

    def test_another_recipe_is_refused_all_the_same(self, miniature: Miniature, out: Path) -> None:
        with pytest.raises(OtherBuildError, match="test_per_class: there it is 1, now it would be 2"):
            imagenet_prep.build(miniature.root, out, replace(REPAIR, test_per_class=2))
        flip(out / ".imagenet-prep/plan.json")
        with pytest.raises(OtherBuildError, match=r"plan\.json is damaged"):
            imagenet_prep.build(miniature.root, out, replace(REPAIR, test_per_class=2))

    def test_moved_files_cannot_be_made_anew(self) -> None:
        with pytest.raises(UsageError, match="Moved files cannot be made anew: there are no others"):
            BuildOptions.of(format=("folders",), transfer="move", repair=True)

    @pytest.mark.parametrize("transfer", ["hardlink", "symlink"])
    def test_a_link_that_is_gone_or_leads_elsewhere_is_made_again(
        self, folder_source: Path, tmp_path: Path, transfer: str
    ) -> None:
        source = {path: path.read_bytes() for path in files(folder_source)}
        options = BuildOptions.of(format=("folders",), test_per_class=1, jobs=1, transfer=transfer, repair=True)
        out = tmp_path / "data"
        imagenet_prep.build(folder_source, out, replace(options, repair=False))
        sound = contents(out)
        one, two, *_ = sorted((out / "folders/train").rglob("*.JPEG"))
        one.unlink()
        two.unlink()
        two.write_bytes(b"something else")
        imagenet_prep.build(folder_source, out, options)
        assert contents(out) == sound
        assert {path: path.read_bytes() for path in files(folder_source)} == source
        assert all(path.is_symlink() or path.stat().st_nlink > 1 for path in (one, two))

    def test_two_processes_repair_to_the_same_bytes(self, miniature: Miniature, out: Path, built: Path) -> None:
        flip(out / "tfrecord/train-00001-of-00004")
        assert imagenet_prep.build(miniature.root, out, replace(REPAIR, jobs=2)).reused == 5
        assert contents(out) == contents(built)


class TestAFinishedBuild:
    def test_the_same_command_writes_nothing_at_all(
        self, miniature: Miniature, built: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = inodes(built)
        for name in ("rename", "replace", "unlink", "remove", "rmdir", "mkdir", "link", "symlink", "truncate", "utime"):
            monkeypatch.setattr(os, name, refuse)
        real = os.open
        monkeypatch.setattr(
            os, "open", lambda path, flags, *more, **named: real(path, read_only(flags), *more, **named)
        )
        report = imagenet_prep.build(miniature.root, built, RECIPE)
        assert (report.reused, report.accounts.written, report.accounts.set_aside) == (6, 15, 1)
        assert inodes(built) == before

    def test_it_works_on_a_file_system_that_is_mounted_read_only(self, miniature: Miniature, out: Path) -> None:
        before = inodes(out)
        words = ["build", miniature.root, out, "--format", "tfrecord", "--format", "tfds", "--format", "folders"]
        words += ["--test-per-class", 1, "--shards", "train=4", "--on-bad", "set-aside", "--quiet", "--jobs", 1]
        shell = 'mount --bind -o ro "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/x" 2>&- && "$@"'
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", shell, str(out), sys.executable, "-m", "imagenet_prep", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stderr, done.returncode) == ("", 3)
        assert inodes(out) == before


def read_only(flags: int) -> int:
    if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
        refuse()
    return flags


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def stop_after(patched: pytest.MonkeyPatch, steps: int) -> None:
    """Let an interrupt come in the middle of removing: after so many files and folders."""
    unlink, rmdir, left = Path.unlink, Path.rmdir, [steps]

    def counted(real: Callable[..., None]) -> Callable[..., None]:
        def one(path: Path, **named: Any) -> None:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            real(path, **named)

        return one

    patched.setattr(Path, "unlink", counted(unlink))
    patched.setattr(Path, "rmdir", counted(rmdir))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


HARMS: dict[str, Callable[[Path], None]] = {
    "flip": flip,
    "cut": lambda path: os.truncate(path, path.stat().st_size - 1),
    "lose": Path.unlink,
}


def shards_made(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> set[str]:
    """The shards of which a receipt was written."""
    receipts = {name for name in after if name.endswith(".receipt") and before.get(name) != after[name]}
    return {Path(name).stem for name in receipts}


def inodes(folder: Path) -> dict[str, tuple[int, int]]:
    """What tells whether a file was written anew."""
    found = ((str(path.relative_to(folder)), path.lstat()) for path in files(folder))
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in found}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the catalog, which holds the times of the archives."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files(folder)}
    return {name: data for name, data in found.items() if not name.endswith("catalog.arrow")}


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def folders(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()}


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "imagenet_prep", *arguments], capture_output=True, text=True, check=False
    )

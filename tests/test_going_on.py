"""What a second command says of a data set: what is new, what is missing, and the command that goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, Note, OtherBuildError, SourceError
from imagenet_prep.model.original import Original
from imagenet_prep.model.report import Accounts
from imagenet_prep.planning.plan import Plan
from imagenet_prep.stores.base import Store
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.verbs.build.finish import finish
from support.build import everything, flip, inodes
from support.command import run

CLASSES = ("n01440764", "n02917067")
RECIPE = BuildOptions.of(format=("tfrecord", "folders"), test_per_class=1, jobs=1)
SHARDS = 2 * 3

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def small(folder: Path, **more: object) -> Miniature:
    options = {"wnids": CLASSES, "images_per_class": 4, "validation_per_class": 1, "boxes": False, **more}
    return write_miniature(folder, MiniatureOptions(**options))  # type: ignore[arg-type]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return small(tmp_path / "source").root


@pytest.fixture
def out(source: Path, tmp_path: Path) -> Path:
    imagenet_prep.build(source, tmp_path / "data", RECIPE)
    return tmp_path / "data"


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    folders = small(tmp_path / "folders", layout="extracted", devkit=False).root
    options = BuildOptions.of(format="folders", transfer="move", test_per_class=1, jobs=1)
    imagenet_prep.build(folders, tmp_path / "moved", options)
    return tmp_path / "moved"


def shard_of(out: Path) -> Path:
    return out / "tfrecord/train-00000-of-00001"


class TestASourceThatIsNotThere:
    def test_repair_needs_none_where_nothing_is_damaged(self, source: Path, out: Path) -> None:
        shutil.rmtree(source)
        before = inodes(out)
        report = imagenet_prep.repair(out, jobs=1)
        assert (report.shards, report.reused, report.documents) == (0, SHARDS, False)
        assert report.accounts.written == 10
        assert inodes(out) == before
        assert run("repair", out).returncode == 0

    def test_repair_of_what_is_damaged_says_where_to_name_it(self, source: Path, out: Path, tmp_path: Path) -> None:
        sound = everything(out)
        flip(shard_of(out))
        source.rename(tmp_path / "elsewhere")
        with pytest.raises(SourceError) as caught:
            imagenet_prep.repair(out, jobs=1)
        assert caught.value.remedy.endswith(f"imagenet-prep resume {out} SOURCE")
        imagenet_prep.resume(out, tmp_path / "elsewhere", jobs=1)
        assert everything(out) == sound

    def test_a_repair_that_cannot_know_what_to_read_is_to_be_repeated(self, source: Path, out: Path) -> None:
        (out / ".imagenet-prep/catalog.arrow").unlink()
        source.rename(source.with_name("elsewhere"))
        with pytest.raises(SourceError) as caught:
            imagenet_prep.repair(out, jobs=1)
        assert caught.value.remedy.endswith(f"imagenet-prep repair {out} SOURCE")

    def test_resume_says_where_to_name_it(self, source: Path, out: Path) -> None:
        source.rename(source.with_name("elsewhere"))
        for sources in [], [source / "nowhere"]:
            with pytest.raises(SourceError) as caught:
                imagenet_prep.resume(out, sources, jobs=1)
            assert caught.value.remedy.endswith(f"imagenet-prep resume {out} SOURCE")


class TestAnotherSource:
    def test_the_remedy_is_not_the_command_that_failed(self, out: Path, tmp_path: Path) -> None:
        other = small(tmp_path / "other", images_per_class=5).root
        attempts: tuple[Callable[[], object], ...] = (
            lambda: imagenet_prep.resume(out, other, jobs=1),
            lambda: imagenet_prep.build(other, out, RECIPE),
        )
        for attempt in attempts:
            with pytest.raises(OtherBuildError) as caught:
                attempt()
            assert caught.value.remedy.endswith(f"imagenet-prep resume {out} SOURCE")
            assert [problem.archive for problem in caught.value.problems] == ["ILSVRC2012_img_train.tar (train)"]
            assert caught.value.problems[0].reason.startswith("has ")

    def test_another_recipe_is_answered_with_what_is_there(self, source: Path, out: Path) -> None:
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.build(source, out, BuildOptions.of(test_per_class=2, jobs=1))
        assert caught.value.remedy.endswith(f"imagenet-prep resume {out}")


class TestMovedFiles:
    def test_where_nothing_is_damaged_repair_has_nothing_to_do(self, moved: Path) -> None:
        before = inodes(moved)
        report = imagenet_prep.repair(moved, jobs=1)
        assert (report.shards, report.reused) == (0, 3)
        assert inodes(moved) == before

    def test_repair_names_each_that_is_lost(self, moved: Path) -> None:
        lost = sorted((moved / "folders/train").rglob("*.JPEG"))[:2]
        for path in lost:
            path.unlink()
        with pytest.raises(imagenet_prep.UsageError) as caught:
            imagenet_prep.repair(moved, jobs=1)
        assert {moved / problem.archive for problem in caught.value.problems} == set(lost)


class TestWhatIsNew:
    def notes(self, step: Callable[..., object]) -> list[str]:
        events: list[object] = []
        step(watch=events.append)
        return [event.text for event in events if isinstance(event, Note)]

    def test_what_was_said_when_it_was_begun_is_not_said_again(self, source: Path, tmp_path: Path) -> None:
        out = tmp_path / "data"
        first = self.notes(lambda **how: imagenet_prep.build(source, out, RECIPE, **how))
        assert len(first) >= 4  # of train, of validation, of the hold-out, of the order of folders
        assert self.notes(lambda **how: imagenet_prep.resume(out, jobs=1, **how)) == []
        flip(shard_of(out))
        again = self.notes(lambda **how: imagenet_prep.repair(out, jobs=1, **how))
        assert set(again).isdisjoint(first)
        assert len(again) == 2  # what was read, and what stays

    def test_an_output_that_is_added_has_its_own_remarks(self, source: Path, tmp_path: Path) -> None:
        out = tmp_path / "data"
        records, folders = (BuildOptions.of(format=name, test_per_class=1, jobs=1) for name in ("tfrecord", "folders"))
        first = self.notes(lambda **how: imagenet_prep.build(source, out, records, **how))
        added = self.notes(lambda **how: imagenet_prep.build(source, out, folders, **how))
        alone = self.notes(lambda **how: imagenet_prep.build(source, tmp_path / "alone", folders, **how))
        assert set(alone) - set(first) <= set(added)
        assert set(added).isdisjoint(first)

    def test_shards_and_documents_of_this_run_are_counted(self, source: Path, out: Path) -> None:
        def did(report: imagenet_prep.Report) -> tuple[int, int, bool]:
            return report.shards, report.reused, report.documents

        assert did(imagenet_prep.build(source, out, RECIPE)) == (0, SHARDS, False)
        (out / "classes.csv").unlink()
        assert did(imagenet_prep.build(source, out, RECIPE)) == (0, SHARDS, True)
        flip(shard_of(out))
        assert did(imagenet_prep.repair(out, jobs=1)) == (1, SHARDS - 1, True)

    def test_the_commands_do_not_list_again_what_lies_there(self, out: Path) -> None:
        assert "manifest.parquet" not in run("resume", out).stdout
        flip(shard_of(out))
        assert "manifest.parquet" not in run("repair", out).stdout

    def test_what_another_run_has_added_is_not_said_to_be_there_already(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out, begun = tmp_path / "data", iter([True])

        def finish_after_another(store: Store, plan: Plan, original: Original | None) -> Accounts:
            if next(begun, False):
                imagenet_prep.build(source, out, BuildOptions.of(format="tfds", test_per_class=1, jobs=1))
            return finish(store, plan, original)

        monkeypatch.setattr("imagenet_prep.verbs.build.job.finish", finish_after_another)
        report = imagenet_prep.build(source, out, BuildOptions.of(test_per_class=1, jobs=1))
        assert set(report.outputs) > {"tfds"}
        assert (report.shards, report.reused) == (3, 3)

"""What a person gets wrong at first is answered in words, with what was meant, and alike by all commands."""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, SourceError, UsageError
from imagenet_prep.errors import counted
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.archives import TRAIN
from support.command import run

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("no_waiting_for_the_disk")]


def test_a_build_without_a_place_to_build_in_misses_that(two_classes: Miniature) -> None:
    result = run("build", two_classes.root)
    assert (result.returncode, "OUT is missing" in result.stderr) == (2, True)
    assert f"imagenet-prep build {two_classes.root} OUT" in result.stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--jobs", "-1"), ("--jobs", "x"), ("--test-per-class", "-1"), ("--images-per-class", "0")]
)
def test_a_number_that_is_none_is_answered_in_words(two_classes: Miniature, option: str, value: str) -> None:
    result = run("build", two_classes.root, "nowhere", option, value)
    assert (result.returncode, f"{value} is not a whole number from " in result.stderr) == (2, True)


def test_help_has_no_formula() -> None:
    assert not any(formula in run("build", "--help").stdout for formula in ("x>", "<=", "RANGE"))


def test_no_jobs_at_all_are_as_many_as_there_are_processors(two_classes: Miniature, tmp_path: Path) -> None:
    arguments = ("--jobs", 0, "--split", "validation", "--quiet")
    assert run("build", two_classes.root, tmp_path / "data", *arguments).returncode == 0


@pytest.mark.parametrize("verb", ["audit", "undo", "resume", "repair", "check", "build"])
def test_what_does_not_exist_is_called_so_by_every_command(tmp_path: Path, verb: str) -> None:
    nowhere = tmp_path / "nowhere"
    result = run(verb, nowhere, *([tmp_path / "out"] if verb == "build" else []))
    assert f"Error: {nowhere} does not exist." in result.stderr.splitlines()


@pytest.mark.parametrize("first", [(), ("--test-per-class", "0"), ("--test-per-class", "1")])
def test_advice_leads_to_a_build(two_classes: Miniature, tmp_path: Path, first: tuple[str, ...]) -> None:
    """Of train alone, whatever was asked for first: who adds the options of each remedy is done after a few."""
    options = list(first)
    for _ in range(3):
        done = run("build", two_classes.root / TRAIN, tmp_path / "data", "--dry-run", *options)
        if done.returncode == 0:
            return
        options += re.findall(r"--split [a-z]+|--test-per-class [0-9]+", done.stderr.splitlines()[-1])
        options = [word for option in options for word in option.split()]
    pytest.fail(done.stderr)


def test_nothing_held_out_and_a_test_split_contradict_each_other() -> None:
    with pytest.raises(UsageError) as caught:
        BuildOptions.of(splits="test", test_per_class=0)
    assert "leave out --split test" in caught.value.remedy


def test_a_command_that_is_mistyped_is_answered_with_the_one_that_was_meant() -> None:
    result = run("biuld", "x")
    assert (result.returncode, "Did you mean build?" in result.stderr) == (2, True)


def test_classes_that_the_source_has_not_are_answered_with_those_it_has(two_classes: Miniature, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        imagenet_prep.build(two_classes.root, tmp_path / "data", BuildOptions.of(classes="imagenette", jobs=1))
    assert "tench" in caught.value.remedy
    assert len(caught.value.problems) == 9


def test_a_lost_file_is_one_file_and_an_empty_one_in_its_place_ends_it(tmp_path: Path) -> None:
    few = MiniatureOptions(wnids=("n01440764",), images_per_class=3, validation_per_class=1, layout="extracted")
    source = write_miniature(tmp_path / "source", few).root
    move = BuildOptions.of(format="folders", transfer="move", test_per_class=1, jobs=1)
    imagenet_prep.build(source, tmp_path / "data", move)
    next((tmp_path / "data/folders/train").rglob("*.JPEG")).unlink()
    with pytest.raises(SourceError) as caught:
        imagenet_prep.undo(tmp_path / "data")
    assert caught.value.summary.startswith("1 file could")
    [lost] = caught.value.problems
    Path(lost.archive).touch()
    imagenet_prep.undo(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_one_is_not_several() -> None:
    assert [counted(number, "file") for number in (0, 1, 1_000)] == ["0 files", "1 file", "1,000 files"]
    assert [counted(number, "class", "classes") for number in (1, 2)] == ["1 class", "2 classes"]


def test_a_train_archive_and_its_own_class_tars_are_two_sources_of_one_thing(
    two_classes: Miniature, tmp_path: Path
) -> None:
    (tmp_path / "tars").mkdir()
    shutil.copytree(two_classes.root, tmp_path / "archives")
    with tarfile.open(two_classes.root / "ILSVRC2012_img_train.tar") as archive:
        archive.extract("n01440764.tar", tmp_path / "tars", filter="data")
    with pytest.raises(SourceError) as caught:
        imagenet_prep.build([tmp_path / "archives", tmp_path / "tars"], tmp_path / "data", BuildOptions.of(jobs=1))
    places = {problem.archive for problem in caught.value.problems}
    assert places == {str(tmp_path / "archives/ILSVRC2012_img_train.tar"), str(tmp_path / "tars")}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("build", "sourze", "out"), "Did you mean source?"),
        (("check", "sourze"), "Did you mean source?"),
        (("audit", "sourze"), "Did you mean source?"),
        (("build", "source", "out", "--exclude", "lst.txt"), "Did you mean list.txt?"),
        (("build", "source", "out", "--class-map", "lst.txt"), "Did you mean list.txt?"),
        (("build", "source", "out", "--classes", "tensh"), "Did you mean tench?"),
        (("build", "source", "out", "--classes", "tench,great white shork"), "did you mean great_white_shark?"),
        (("build", "source", "out", "--classes", "imagenete"), "Did you mean imagenette?"),
        (("build", "source", "out", "--classes", "lst.txt"), "Did you mean list.txt?"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_one_that_was_meant(
    words: tuple[str, ...], meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "list.txt").write_text("n01440764_1.JPEG\n")
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.returncode != 0
    assert meant in done.stderr


def test_what_is_like_nothing_there_is_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "Did you mean" not in run("check", "elsewhere").stderr + run("check", "no/such/folder").stderr

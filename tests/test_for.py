"""``--for NAME``: what a framework reads, without knowing formats and their options."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from imagenet_prep import OUTPUTS, BuildOptions, UsageError
from imagenet_prep.cli.groups import GROUPS
from imagenet_prep.options import Recipe, Selection
from imagenet_prep.outputs.base import Output, output_class, output_from, reader_for
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.command import run

FOR_PYTORCH = {"names": "wnid", "validation_folder": "val"}
MEANT = {
    "pytorch": ("folders", FOR_PYTORCH),
    "torchvision": ("folders", FOR_PYTORCH),
    "timm": ("folders", FOR_PYTORCH),
    "tensorflow": ("tfrecord", {}),
    "tfds": ("tfds", {}),
    "keras": ("folders", {"names": "wnid"}),
    "dali": ("tfrecord", {}),
    "imagefolder": ("folders", {"names": "wnid"}),
    "huggingface": ("parquet", {}),
    "webdataset": ("webdataset", {}),
    "jax": ("arrayrecord", {}),
    "mosaic": ("mds", {}),
    "litdata": ("litdata", {}),
}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_miniature(tmp_path_factory.mktemp("archives"), MiniatureOptions(classes=3, images_per_class=12)).root


def outputs_for(*names: str, **beside: object) -> tuple[Output, ...]:
    return BuildOptions.of(reader=names, **beside).recipe.outputs


@pytest.mark.quick
@pytest.mark.parametrize("name", MEANT)
def test_a_framework_stands_for_the_options_that_its_reader_needs(name: str) -> None:
    format_, options = MEANT[name]
    assert outputs_for(name) == (output_from(format_, options),)


@pytest.mark.quick
def test_every_framework_is_meant_by_one_reader_of_all_outputs() -> None:
    names = Counter(name for of in OUTPUTS for reader in output_class(of).readers for name in reader.meant_by)
    assert names == dict.fromkeys(MEANT, 1)


@pytest.mark.quick
def test_a_framework_never_changes_which_images() -> None:
    for name in MEANT:
        assert BuildOptions.of(reader=name).recipe.selection == Selection()
    assert BuildOptions.of(reader="jax", limit="10%").recipe.selection == Selection(limit=0.1)


@pytest.mark.quick
def test_options_beside_it_win() -> None:
    assert outputs_for("pytorch", names="indexed") == (
        output_from("folders", {"names": "indexed", "validation_folder": "val"}),
    )
    assert outputs_for("pytorch", **{"folders.names": "name"}) == (
        output_from("folders", {"names": "name", "validation_folder": "val"}),
    )


@pytest.mark.quick
def test_frameworks_and_formats_add_up() -> None:
    both = outputs_for("keras", "jax", format="tfds")
    assert Recipe(outputs=both) == Recipe(
        outputs=(output_from("tfds", {}), output_from("arrayrecord", {}), output_from("folders", {"names": "wnid"}))
    )


@pytest.mark.quick
def test_an_unknown_framework_is_asked_about() -> None:
    with pytest.raises(UsageError) as caught:
        BuildOptions.of(reader="torchvison")
    assert caught.value.remedy == "Did you mean torchvision?"


@pytest.mark.quick
def test_the_example_is_python_whatever_the_folder_is_called() -> None:
    _, reader = reader_for("pytorch")
    example = reader.example('/data/a "good" \\ set')
    assert r'ImageFolder("/data/a \"good\" \\ set/folders/train")' in example
    compile(example, "example", "exec")


def test_the_command_says_what_it_stands_for_and_ends_with_the_code(archives: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    done = run("build", archives, out, "--for", "pytorch", "--test-per-class", 2)
    assert done.returncode == 0, done.stderr
    assert (
        "--for pytorch stands for --format folders --names wnid --validation-folder val. Train is not the standard "
        "set: --test-per-class 0 holds nothing out of it." in done.stderr
    )
    assert f'    for image, label in ImageFolder("{out}/folders/train"):' in done.stdout
    assert done.stdout.endswith(f"Next: imagenet-prep audit {out}   (reads every record back)\n")
    assert (out / "folders" / "val").is_dir()


def test_the_standard_train_set_is_called_so(archives: Path, tmp_path: Path) -> None:
    done = run("build", archives, tmp_path / "data", "--for", "tfds", "--test-per-class", 0, "--dry-run")
    assert "--for tfds stands for --format tfds. Train is the standard set." in done.stderr
    assert "To read it" not in done.stdout


def test_formats_and_splits_are_understood_in_any_case(archives: Path, tmp_path: Path) -> None:
    done = run("build", archives, tmp_path / "data", "--format", "TFDS", "--split", "val", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "as tfds:" in done.stdout
    assert "validation" in done.stdout
    assert "\n  train" not in done.stdout


def test_an_unknown_value_is_asked_about(archives: Path, tmp_path: Path) -> None:
    done = run("build", archives, tmp_path / "data", "--format", "tfrecords")
    assert done.returncode == 2
    assert "'tfrecords' is unknown. Did you mean tfrecord?" in done.stderr


def test_classes_may_be_named_in_the_command(archives: Path, tmp_path: Path) -> None:
    done = run("build", archives, tmp_path / "data", "--classes", "tench, n02133161", "--dry-run")
    assert done.returncode == 2, "the miniature has no bears"
    assert "no images of 1 of the 2 classes chosen" in done.stderr
    assert BuildOptions.of(classes="goldfish,tench").recipe.selection.classes == (0, 1)
    assert BuildOptions.of(classes="tench").recipe.selection.classes == (0,)


def test_a_file_of_classes_comes_before_a_class_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tench").write_text("goldfish\n")
    monkeypatch.chdir(tmp_path)
    assert BuildOptions.of(classes="tench").recipe.selection.classes == (1,)


def test_help_of_a_command_is_its_help() -> None:
    assert run("help", "build").stdout == run("build", "--help").stdout
    assert run("help").stdout == run("--help").stdout
    assert run("-V").stdout == run("--version").stdout


def test_the_help_of_build_has_every_group() -> None:
    lines = run("build", "--help").stdout.splitlines()
    assert [line.removesuffix(":") for line in lines if line.removesuffix(":") in GROUPS] == list(GROUPS)

"""``imagenet-prep fake``."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from imagenet_prep.cli.fake import fake
from imagenet_prep.testing import LAYOUTS, QUIRKS, MiniatureOptions, write_miniature

TINY = ("--classes", "2", "--images-per-class", "3", "--validation-per-class", "1")


def run(*arguments: str) -> list[str]:
    result = CliRunner().invoke(fake, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_the_summary_says_what_was_written_and_what_comes_next(tmp_path: Path) -> None:
    out = tmp_path / "my fake"

    lines = run(str(out), *TINY, "--no-boxes", "--layout", "mixed", "--quirk", "cut-on-boundary", "--quirk", "cmyk")

    sizes = {name: (out / name).stat().st_size for name in ("ILSVRC2012_img_train.tar", "ILSVRC2012_devkit_t12.tar.gz")}
    assert [" ".join(line.split()) for line in lines] == [
        f"{out}: 2 classes, 6 train and 2 validation images",
        f"ILSVRC2012_img_train.tar {sizes['ILSVRC2012_img_train.tar']:,} bytes",
        "val/ 2 files",
        f"ILSVRC2012_devkit_t12.tar.gz {sizes['ILSVRC2012_devkit_t12.tar.gz']:,} bytes",
        "Quirks:",
        "cmyk ILSVRC2012_img_train.tar: n01440764.tar/n01440764_4.JPEG",
        f"cut-on-boundary ILSVRC2012_img_train.tar at byte {sizes['ILSVRC2012_img_train.tar']:,}",
        f"Next: imagenet-prep build '{out}' '{out}-data' --test-per-class 0",
    ]


def test_with_images_for_the_usual_hold_out_the_next_command_is_the_usual_one(tmp_path: Path) -> None:
    lines = run(str(tmp_path / "fake"), "--classes", "1", "--images-per-class", "51")

    assert lines[-1] == f"Next: imagenet-prep build {tmp_path}/fake {tmp_path}/fake-data"


def test_the_flags_are_the_options_of_the_library(tmp_path: Path) -> None:
    flags = (
        "--wnid",
        "n01440764",
        "--images-per-class",
        "2",
        "--seed",
        "7",
        "--size",
        "photo",
        "--no-boxes",
        "--no-devkit",
    )
    chosen = MiniatureOptions(wnids=("n01440764",), images_per_class=2, seed=7, size="photo", boxes=False, devkit=False)

    run(str(tmp_path / "command"), *flags)
    library = write_miniature(tmp_path / "library", chosen)

    written = {path.name: path.read_bytes() for path in (tmp_path / "command").iterdir()}
    assert written == {path.name: path.read_bytes() for path in library.archives}


@pytest.mark.parametrize(("flag", "table"), [("--list-quirks", QUIRKS), ("--list-layouts", LAYOUTS)])
def test_quirks_and_layouts_are_listed_with_a_sentence_each(flag: str, table: dict[str, str]) -> None:
    assert [tuple(line.split(maxsplit=1)) for line in run(flag)] == list(table.items())


def test_an_unknown_quirk_is_a_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(fake, [str(tmp_path), "--quirk", "mirrored"])

    assert (result.exit_code, "mirrored" in result.output) == (2, True)

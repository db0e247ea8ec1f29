"""``imagenet-prep classes``."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from imagenet_prep.cli.classes import classes
from imagenet_prep.errors import SourceError, UsageError
from imagenet_prep.imagenet.classes import official, to_csv, to_map
from support.sentences import Sentence

pytestmark = pytest.mark.quick


def run(*arguments: str) -> str:
    result = CliRunner().invoke(classes, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_query_shows_the_class_in_columns() -> None:
    assert run("kit fox").splitlines() == [
        "class index  WNID       devkit integer  name     lemmas",
        "278          n02119789  1               kit_fox  kit fox, Vulpes macrotis",
        "",
        "No class was renamed.",
    ]


def test_a_renamed_class_is_shown_with_its_reason() -> None:
    assert run("crane").splitlines() == [
        "class index  WNID       devkit integer  name        lemmas",
        "134          n02012849  429             crane_bird  crane",
        "517          n03126707  545             crane       crane",
        "",
        "1 renamed:",
        "n02012849  crane  →  crane_bird  also the name of n03126707",
    ]


def test_without_a_query_all_classes_are_listed() -> None:
    lines = run().splitlines()

    assert lines[1].startswith("0            n01440764  449             tench ")
    assert lines[1000].startswith("999          n15075141  ")
    assert lines[1002] == "3 renamed:"


def test_only_the_renamed_are_listed_on_request() -> None:
    assert [line.split("  ") for line in run("--renamed", "crane").splitlines()] == [
        ["1 renamed:"],
        ["n02012849", "crane", "→", "crane_bird", "also the name of n03126707"],
    ]
    assert [line.split()[0] for line in run("--renamed").splitlines()[1:]] == [
        "n02012849",
        "n02113186",
        "n03710721",
    ]


def test_the_exports_are_those_of_the_library() -> None:
    assert run("--format", "csv") == to_csv(official())
    assert run("--format", "map") == to_map(official())


def test_an_export_can_be_narrowed_by_a_query() -> None:
    assert run("crane", "--format", "map") == "n02012849 429 crane_bird\nn03126707 545 crane\n"
    assert run("--renamed", "--format", "map").splitlines()[0] == "n02113186 50 Cardigan_Welsh_corgi"


def test_names_of_the_users_own_map_are_shown_and_exported(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("n02119789 1 renard\nn02119022 62 Renard\n", "utf-8")

    assert run("renard", "--class-map", str(mine), "--format", "map") == (
        "n02119789 1 renard_n02119789\nn02119022 62 Renard\n"
    )
    assert "differs by case alone from Renard, the name of n02119022" in run("--class-map", str(mine), "--renamed")


def test_an_export_of_the_users_own_names_says_beside_it_what_was_changed(tmp_path: Path, sentence: Sentence) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("n02119789 1 kit fox\n", "utf-8")

    result = CliRunner().invoke(classes, ["278", "--class-map", str(mine), "--format", "map"])

    assert result.stdout == "n02119789 1 kit_fox\n"
    sentence(result.stderr)


def test_a_query_without_an_answer_is_a_wrong_usage(sentence: Sentence) -> None:
    with pytest.raises(UsageError) as caught:
        run("unicorn")
    sentence(caught.value)


def test_a_map_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, sentence: Sentence) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("tench\n", "utf-8")

    with pytest.raises(SourceError) as caught:
        run("--class-map", str(mine))
    assert [(problem.archive, problem.member) for problem in caught.value.problems] == [(str(mine), "line 1")]
    sentence(caught.value)


def test_a_map_that_is_not_there_is_a_wrong_usage() -> None:
    result = CliRunner().invoke(classes, ["--class-map", "nowhere.txt"])

    assert result.exit_code == 2
    assert "nowhere.txt" in result.output

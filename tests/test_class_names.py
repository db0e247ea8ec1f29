"""Names of classes that the user gives: one that is the name of another class is a label that is wrong in silence."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from imagenet_prep import official
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.command import run
from support.sentences import Sentence, lines

CLASSES = official().classes


@pytest.fixture
def source(tmp_path: Path) -> Path:
    options = MiniatureOptions(
        wnids=("n01440764", "n01443537"), images_per_class=2, validation_per_class=1, boxes=False, devkit=False
    )
    return write_miniature(tmp_path / "source", options).root


def class_map(folder: Path, names: dict[str, str]) -> Path:
    """All names of ``map_clsloc.txt``, but these."""
    lines = [f"{facts.wnid} {facts.devkit} {names.get(facts.wnid, facts.map_name)}\n" for facts in CLASSES]
    (folder / "map.txt").write_text("".join(lines), "utf-8")
    return folder / "map.txt"


def in_devkit_order(folder: Path) -> Path:
    """The names of a list in the devkit's order beside sorted WNIDs."""
    by_devkit = sorted(CLASSES, key=lambda facts: facts.devkit)
    return class_map(folder, {facts.wnid: by_devkit[facts.index].map_name for facts in CLASSES})


def build(source: Path, out: Path, names: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return run("build", source, out, "--format", "folders", "--test-per-class", 0, "--class-map", names, *words)


def noted(out: Path) -> Any:
    return json.loads((out / "build.json").read_text("utf-8"))["class_names"]


@pytest.mark.parametrize("command", ["check", "build"])
def test_a_map_that_gives_many_classes_the_names_of_others_is_refused(
    source: Path, tmp_path: Path, command: str, sentence: Sentence
) -> None:
    names = in_devkit_order(tmp_path)

    done = run("check", source, "--class-map", names) if command == "check" else build(source, tmp_path / "out", names)

    assert done.returncode == 4
    sentence(lines(done.stdout + done.stderr, "n01440764"), alike=True)
    assert "--trust-labels" in done.stdout + done.stderr
    assert not (tmp_path / "out").exists()


def test_trusted_it_is_followed_and_said_everywhere(source: Path, tmp_path: Path, sentence: Sentence) -> None:
    out = tmp_path / "out"

    done = build(source, out, in_devkit_order(tmp_path), "--trust-labels", "--quiet")

    assert done.returncode == 0
    sentence(done.stderr)
    sentence(lines(done.stdout, "n01440764"), "output")
    assert noted(out)["of_others"] > 900
    sentence(lines(run("audit", out).stdout, "n01440764"), "audit")


def test_a_few_are_a_warning(source: Path, tmp_path: Path, sentence: Sentence) -> None:
    others = {facts.wnid: f"my {facts.map_name}" for facts in CLASSES[100:200]}
    names = class_map(tmp_path, {"n01440764": "goldfish", "n01443537": "tench", **others})

    done = build(source, tmp_path / "out", names, "--quiet")

    assert done.returncode == 0
    sentence(done.stderr)
    assert noted(tmp_path / "out")["of_others"] == 2


@pytest.mark.parametrize("names", [{}, {"n01440764": "Schleie", "n01443537": "Goldfisch"}])
def test_names_of_ones_own_and_the_original_ones_are_no_fault(
    source: Path, tmp_path: Path, names: dict[str, str]
) -> None:
    done = build(source, tmp_path / "out", class_map(tmp_path, names), "--quiet")

    assert (done.returncode, done.stderr) == (0, "")
    assert noted(tmp_path / "out") == ({"changed": 2, "of_others": 0, "example": ""} if names else None)
    assert "called" not in done.stdout

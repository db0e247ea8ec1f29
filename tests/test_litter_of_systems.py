"""What systems leave in folders on their own, such as ``lost+found``, is in nobody's way and is never taken away."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.command import run, start
from support.sentences import Sentence

FOLDERS = (
    "lost+found",
    ".Trash-1000",
    ".snapshot",
    ".snapshots",
    ".ipynb_checkpoints",
    ".fseventsd",
    ".Spotlight-V100",
    "@eaDir",
    "$RECYCLE.BIN",
    "System Volume Information",
)
FILES = (".DS_Store", "Thumbs.db", "desktop.ini", ".nfs000000000042", "._build.json")
LITTER = (*FOLDERS, *FILES)


def put(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in FOLDERS:
        (folder / name).mkdir()
        (folder / name / "n01440764_10026.JPEG").write_text("of a system")
    for name in FILES:
        (folder / name).write_text("of a system")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    options = MiniatureOptions(classes=3, images_per_class=8, validation_per_class=2, layout="sorted", boxes=False)
    return write_miniature(tmp_path / "source", options).root


@pytest.mark.parametrize("name", LITTER)
def test_a_fresh_mount_is_an_empty_folder(source: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    put(out)
    for other in set(LITTER) - {name}:
        path = out / other
        for inside in path.iterdir() if path.is_dir() else ():
            inside.unlink()
        path.rmdir() if path.is_dir() else path.unlink()
    ended = run("build", source, out, "--test-per-class", 2, "--dry-run")
    assert ended.returncode == 0, ended.stderr


def test_litter_is_left_alone_by_every_command(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    put(out)
    there = sorted(path for path in out.rglob("*"))
    moving = ("build", source, out, "--format", "folders", "--test-per-class", 2, "--transfer", "move")
    for command in (moving, moving, ("audit", out), ("undo", out)):
        ended = run(*command)
        assert ended.returncode == 0, ended.stderr
    assert sorted(path for path in out.rglob("*")) == there
    for again in (("build", source, out, "--test-per-class", 2), ("resume", out), ("repair", out), ("undo", out)):
        ended = run(*again)
        assert ended.returncode == 0, ended.stderr
    assert set(there) <= set(out.rglob("*"))


def test_litter_among_images_is_passed_over(source: Path, tmp_path: Path) -> None:
    for folder in source, source / "train", source / "train" / "n01440764", source / "val":
        put(folder)
    ended = run("build", source, tmp_path / "out", "--test-per-class", 2)
    assert ended.returncode == 0, ended.stderr
    assert "Built 30 images" in ended.stdout


def test_litter_that_a_reader_would_take_for_a_class_is_named(source: Path, tmp_path: Path, sentence: Sentence) -> None:
    out = tmp_path / "out"
    assert run("build", source, out, "--format", "folders", "--test-per-class", 2).returncode == 0
    for folder in out / "folders" / "train", out / "folders" / "train" / "tench":
        (folder / "Thumbs.db").write_text("of a system")
    assert run("audit", out).returncode == 0
    (out / "folders" / "train" / "@eaDir").mkdir()
    ended = run("audit", out)
    assert ended.returncode == 7
    sentence(ended.stderr)


def test_a_folder_with_other_things_in_it_is_refused_with_their_names(
    source: Path, tmp_path: Path, sentence: Sentence
) -> None:
    out = tmp_path / "out"
    put(out)
    for name in ("thesis.tex", "a\x1b[31m", "photos", "x1", "x2", "x3", "x4"):
        (out / name).mkdir()
    ended = run("build", source, out, "--test-per-class", 2)
    assert ended.returncode == 5
    sentence(ended.stderr)
    assert "lost+found" not in ended.stderr


def test_undo_leaves_an_output_folder_that_is_not_its_own_to_remove(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "given" / "out"
    out.mkdir(parents=True)
    moving = ("build", source, out, "--format", "folders", "--test-per-class", 2, "--transfer", "move")
    assert run(*moving).returncode == 0
    fault = f"""
import errno, os
real = os.rmdir
def rmdir(path, *arguments, **more):
    if os.path.realpath(path) == {str(out)!r}:
        raise OSError(errno.EBUSY, "a mount")
    return real(path, *arguments, **more)
os.rmdir = rmdir
"""
    ended = start("undo", out, fault=fault)
    assert ended.returncode == 0, ended.stderr
    assert list(out.iterdir()) == []

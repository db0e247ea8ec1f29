"""Is there room, in bytes and in files? Known before a byte is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, Note, OutputError, Progress
from imagenet_prep.stores.local import LocalStore
from imagenet_prep.stores.memory import MemoryStore
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.verbs.build.run import preview
from support.sentences import Sentence

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

FOLDERS = BuildOptions.of(format="folders", test_per_class=1, jobs=1)
RECORDS = BuildOptions.of(format="tfrecord", test_per_class=1, jobs=1)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """Forty images."""
    options = MiniatureOptions(classes=2, images_per_class=15, validation_per_class=5, boxes=False, devkit=False)
    return write_miniature(tmp_path_factory.mktemp("usual"), options)


@pytest.fixture
def _sixty_files_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalStore, "free_files", lambda _: 60)


def needed(source: Path, out: object, options: BuildOptions) -> Note:
    said: list[Progress | Note] = []
    preview(source, out, options, watch=said.append)  # type: ignore[arg-type]
    (note,) = [each for each in said if isinstance(each, Note) and each.text.startswith("Needed")]
    return note


@pytest.mark.usefixtures("_sixty_files_left")
def test_too_few_files_are_an_error_before_anything_is_written(
    usual: Miniature, tmp_path: Path, sentence: Sentence
) -> None:
    with pytest.raises(OutputError) as caught:
        imagenet_prep.build(usual.root, tmp_path / "out", FOLDERS)
    sentence(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("_sixty_files_left")
def test_few_large_files_have_room(usual: Miniature, tmp_path: Path) -> None:
    imagenet_prep.build(usual.root, tmp_path / "out", RECORDS)


@pytest.mark.parametrize("files", [40, 4_000, None])
def test_a_dry_run_compares_bytes_and_files(
    files: int | None, usual: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
) -> None:
    monkeypatch.setattr(LocalStore, "free", lambda _: 10**12)
    monkeypatch.setattr(LocalStore, "free_files", lambda _: files)
    note = needed(usual.root, tmp_path / "out", FOLDERS)
    assert note.warning == (files == 40)
    sentence(note.text)


def test_where_nobody_knows_it_says_what_it_needs(usual: Miniature) -> None:
    assert needed(usual.root, MemoryStore(), RECORDS).text == "Needed: about 0.1 MB, 41 files."


def test_the_file_system_is_asked(tmp_path: Path) -> None:
    there = os.statvfs(tmp_path)
    assert LocalStore(str(tmp_path / "not" / "there")).free_files() == (there.f_favail if there.f_files else None)


def test_as_many_files_are_made_as_were_said(usual: Miniature, tmp_path: Path) -> None:
    for name, options in (("folders", FOLDERS), ("records", RECORDS)):
        said = int(needed(usual.root, tmp_path / name, options).text.split(", ")[1].split()[0])
        imagenet_prep.build(usual.root, tmp_path / name, options)
        assert said - 32 <= sum(path.is_file() for path in (tmp_path / name).rglob("*")) <= said

"""Tars that are compressed as a whole, by the tools people use: the same data set as from the official archives,
through a spool that nobody sees; or a sentence.
"""

from __future__ import annotations

import gzip
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, IndexOptions, OutputError, SourceError
from imagenet_prep.model.events import Note, Progress, Stage
from imagenet_prep.sources.search import recognise
from imagenet_prep.stores.temporary import temporary_name
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.archives import TRAIN, VALIDATION
from imagenet_prep.verbs.build.run import preview
from support.build import is_the_same
from support.sentences import Sentence
from support.tools import gnu_tar, run_tool, zipped

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

HERE = IndexOptions(jobs=1)
OPTIONS = BuildOptions.of(format=("tfrecord", "folders"), test_per_class=1, jobs=1)
PROGRAMS = {"gzip": "gz", "bzip2": "bz2", "xz": "xz", "zstd": "zst"}


def write(folder: Path, layout: str) -> Miniature:
    options = MiniatureOptions(
        wnids=("n01440764", "n02012849"),
        images_per_class=3,
        validation_per_class=2,
        boxes=False,
        devkit=False,
        layout=layout,
    )
    return write_miniature(folder, options)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """The official archives."""
    return write(tmp_path_factory.mktemp("usual"), "archives")


@pytest.fixture
def source(usual: Miniature, tmp_path: Path) -> Path:
    """The official archives, each compressed by gzip."""
    shutil.copytree(usual.root, tmp_path / "source")
    pack(tmp_path / "source", "gzip")
    return tmp_path / "source"


def pack(folder: Path, program: str) -> None:
    for path in sorted(folder.glob("*.tar")):
        run_tool(program, path.name, here=folder)
        path.unlink(missing_ok=True)


def by_hugging_face(folder: Path) -> None:
    """Their archives: no folders, the class at the end of each name, train in five parts."""
    tree = folder.parent / "tree"
    write(tree, "sorted")
    parts: dict[str, list[Path]] = {}
    for number, path in enumerate(sorted(tree.rglob("*.JPEG"))):
        named = path.rename(tree / f"{path.stem}_{path.parent.name}.JPEG")
        parts.setdefault(f"train_images_{number % 5}" if path.stem[0] == "n" else "val_images", []).append(named)
    folder.mkdir()
    for name, images in parts.items():
        gnu_tar(folder / f"{name}.tar", *(image.name for image in images), here=tree)
    pack(folder, "gzip")


def of_a_tree(folder: Path) -> None:
    write(folder.parent / "tree" / "imagenet", "sorted")
    folder.mkdir()
    gnu_tar(folder / "imagenet.tar", "imagenet", here=folder.parent / "tree")
    pack(folder, "gzip")


def as_a_zip(folder: Path) -> None:
    write(folder.parent / "tree" / "imagenet", "sorted")
    folder.mkdir()
    zipped(folder / "imagenet.zip", "-r", "imagenet", here=folder.parent / "tree")


def as_a_zip_of_both(folder: Path) -> None:
    """Some images are stored, some are not."""
    write(folder.parent / "tree" / "imagenet", "kaggle")
    folder.mkdir()
    zipped(folder / "imagenet.zip", "-0", "-r", "imagenet", here=folder.parent / "tree")
    (again,) = sorted((folder.parent / "tree").rglob("n01440764_*.JPEG"))[:1]
    zipped(folder / "imagenet.zip", again.relative_to(folder.parent / "tree"), here=folder.parent / "tree")
    with zipfile.ZipFile(folder / "imagenet.zip") as archive:
        assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def as_kaggles_first_zip(folder: Path) -> None:
    """A compressed tar beside lists, in a zip."""
    of_a_tree(folder)
    (folder / "imagenet.tar.gz").rename(folder / "imagenet_object_localization_patched2019.tar.gz")
    (folder / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n")
    (folder / "LOC_synset_mapping.txt").write_text("n01440764 tench\n")
    zipped(folder / "kaggle.zip", "-r", *sorted(path.name for path in folder.iterdir()), here=folder)
    for path in folder.iterdir():
        if path.suffix != ".zip":
            path.unlink()


def as_a_tar_in_a_zip(folder: Path) -> None:
    of_a_tree(folder)
    run_tool("gunzip", "imagenet.tar.gz", here=folder)
    zipped(folder / "imagenet.zip", "-0", "imagenet.tar", here=folder)
    (folder / "imagenet.tar").unlink()


def is_the_usual(source: Path, usual: Miniature, place: Path, options: BuildOptions = OPTIONS) -> None:
    is_the_same(source, usual.root, place, options)
    assert everything(place / "found") == everything(place / "expected")


# --- The same data set ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_all_bytes_are_those_of_the_plain_archives(program: str, usual: Miniature, tmp_path: Path) -> None:
    shutil.copytree(usual.root, tmp_path / "source")
    pack(tmp_path / "source", program)
    assert {path.suffix for path in (tmp_path / "source").iterdir()} == {f".{PROGRAMS[program]}"}

    is_the_usual(tmp_path / "source", usual, tmp_path)


@pytest.mark.parametrize(
    "make", [by_hugging_face, of_a_tree, as_a_zip, as_a_zip_of_both, as_kaggles_first_zip, as_a_tar_in_a_zip]
)
def test_so_are_those_of_other_archives(make: object, usual: Miniature, tmp_path: Path) -> None:
    assert callable(make)
    make(tmp_path / "source")

    is_the_usual(tmp_path / "source", usual, tmp_path)


def test_workers_that_are_processes_read_the_spool(source: Path, usual: Miniature, tmp_path: Path) -> None:
    is_the_usual(source, usual, tmp_path, BuildOptions.of(format=("tfrecord", "folders"), test_per_class=1, jobs=2))


def test_the_plain_archive_beside_a_packed_one_is_used(source: Path, usual: Miniature, sentence: Sentence) -> None:
    shutil.copy(usual.root / TRAIN, source)
    notes: list[str] = []

    chosen = recognise([source], tell=notes.append)

    assert {role: each.path.name for role, each in chosen.items()} == {"train": TRAIN, "validation": f"{VALIDATION}.gz"}
    sentence("\n".join(notes))


def test_an_image_that_is_in_two_packed_tars_is_named_with_both(tmp_path: Path, sentence: Sentence) -> None:
    by_hugging_face(tmp_path / "source")
    shutil.copy(tmp_path / "source/train_images_0.tar.gz", tmp_path / "source/train_images_5.tar.gz")

    with pytest.raises(SourceError) as caught:
        imagenet_prep.index(tmp_path / "source", HERE)

    sentence(caught.value)


# --- The spool --------------------------------------------------------------------------------------------------------


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it has a name")
def test_nobody_sees_it(source: Path, tmp_path: Path) -> None:
    before, seen = everything(tmp_path), []

    def watch(event: Progress | Note) -> None:
        if isinstance(event, Progress) and event.stage is Stage.UNPACK:
            seen.append(everything(tmp_path))

    imagenet_prep.build(source, tmp_path / "out", OPTIONS, watch=watch)

    assert seen
    assert all(names == before for names in seen)


def test_a_kill_leaves_nothing(source: Path, tmp_path: Path) -> None:
    before = everything(tmp_path)
    code = (
        "import os, signal, sys, imagenet_prep\n"
        "def watch(event):\n"
        "    if getattr(event, 'stage', '') == 'unpack':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "imagenet_prep.build(sys.argv[1], sys.argv[2], imagenet_prep.BuildOptions.of(jobs=1), watch=watch)\n"
    )

    done = subprocess.run([sys.executable, "-c", code, source, tmp_path / "out"], check=False)

    assert done.returncode == -signal.SIGKILL
    assert everything(tmp_path) == before or sys.platform != "linux"


def test_where_it_has_a_name_the_next_build_removes_it(
    source: Path, usual: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / temporary_name("spool")).write_bytes(b"left by a build that was killed")
    monkeypatch.setattr("imagenet_prep.verbs.build.spool._OPEN_FILES", "/nowhere/{}")

    is_the_usual(source, usual, tmp_path)

    assert not [path for path in everything(tmp_path) if "spool" in path]


def test_a_failure_leaves_nothing(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagenet_prep.verbs.build.spool._OPEN_FILES", "/nowhere/{}")
    path = source / f"{VALIDATION}.gz"
    path.write_bytes(path.read_bytes()[:-30])
    before = everything(tmp_path)

    with pytest.raises(SourceError):
        imagenet_prep.build(source, tmp_path / "out", OPTIONS)

    assert everything(tmp_path) == before


def test_what_writes_nothing_says_how_large_it_is(source: Path, tmp_path: Path, sentence: Sentence) -> None:
    before, notes = everything(tmp_path), []

    def watch(event: Progress | Note) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    preview(source, tmp_path / "out", OPTIONS, watch=watch)
    imagenet_prep.check(source)
    imagenet_prep.index(source, HERE)

    assert everything(tmp_path) == before
    sentence(next(note for note in notes if "unpacked" in note))


def test_room_for_it_is_asked_for_before_anything_is_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagenet_prep.stores.local.LocalStore.free", lambda _store: 10_000)
    before = everything(tmp_path)

    with pytest.raises(OutputError, match=r"needs 0\.0 MB"):
        imagenet_prep.build(source, tmp_path / "out", OPTIONS)

    assert everything(tmp_path) == before


def unpacks(source: Path, out: Path) -> bool:
    seen = []

    def watch(event: Progress | Note) -> None:
        if isinstance(event, Progress) and event.stage is Stage.UNPACK:
            seen.append(event)

    imagenet_prep.build(source, out, OPTIONS, watch=watch)
    return bool(seen)


def test_it_is_made_again_only_for_images_that_are_still_to_be_read(source: Path, tmp_path: Path) -> None:
    assert unpacks(source, tmp_path / "out")
    assert not unpacks(source, tmp_path / "out")

    shard = next((tmp_path / "out/tfrecord").rglob("train-*"))
    sound = shard.read_bytes()
    shard.unlink()

    assert unpacks(source, tmp_path / "out")
    assert shard.read_bytes() == sound


def test_an_image_that_cannot_be_used_is_named_with_the_archive_that_was_given(
    tmp_path: Path, sentence: Sentence
) -> None:
    options = MiniatureOptions(classes=2, images_per_class=3, boxes=False, devkit=False, quirks=("truncated",))
    write_miniature(tmp_path / "source", options)
    pack(tmp_path / "source", "gzip")

    with pytest.raises(SourceError) as caught:
        imagenet_prep.build(tmp_path / "source", tmp_path / "out", OPTIONS)

    assert f"{TRAIN}.gz: " in str(caught.value)
    sentence(caught.value)


# --- What is wrong ----------------------------------------------------------------------------------------------------


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def with_another_checksum(data: bytes) -> bytes:
    return data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]


def with_rubbish(data: bytes) -> bytes:
    return data + b"rubbish"


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("harm", [cut, with_another_checksum, with_rubbish])
def test_damage_is_named_by_all_commands(harm: object, program: str, usual: Miniature, tmp_path: Path) -> None:
    assert callable(harm)
    source = tmp_path / "source"
    shutil.copytree(usual.root, source)
    pack(source, program)
    path = source / f"{VALIDATION}.{PROGRAMS[program]}"
    path.write_bytes(harm(path.read_bytes()))

    for command in (
        lambda: imagenet_prep.build(path, tmp_path / "out", OPTIONS),
        lambda: imagenet_prep.index(path, HERE),
    ):
        with pytest.raises(SourceError, match=r"ends early|is damaged") as caught:
            command()
        assert path.name in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_file_that_would_fill_the_disk_is_not_unpacked(source: Path, tmp_path: Path) -> None:
    path = source / f"{VALIDATION}.gz"
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(100 << 20)))

    with pytest.raises(SourceError, match=rf"{path.name} at byte [\d,]+: grows to more"):
        imagenet_prep.build(source, tmp_path / "out", OPTIONS)

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_an_image_in_a_zip_that_has_another_size_than_the_directory_says_is_named(size: int, tmp_path: Path) -> None:
    as_a_zip(tmp_path / "source")
    path = tmp_path / "source/imagenet.zip"
    with zipfile.ZipFile(path) as archive:
        image = next(each for each in archive.infolist() if each.filename.endswith(".JPEG"))
    data = bytearray(path.read_bytes())
    before, inside = (found.start() for found in re.finditer(image.filename.encode(), data))
    for at in (before - 8, inside - 22):  # where its size stands, before its name
        data[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)

    with pytest.raises(SourceError, match=image.filename):
        imagenet_prep.build(path, tmp_path / "out", OPTIONS)

    assert not (tmp_path / "out").exists()

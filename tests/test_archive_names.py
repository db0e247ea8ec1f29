"""Archives under any names: known by what is inside, and where they cannot be used, named with what helps."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, IndexOptions, Note, SourceError
from imagenet_prep.imagenet.archives import OFFICIAL_BY_ROLE
from imagenet_prep.imagenet.names import validation_image
from imagenet_prep.sources.checksum import is_comparable
from imagenet_prep.sources.contents import contents_at, may_be_archive, whole_of
from imagenet_prep.sources.search import recognise
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.archives import DEVKIT, TRAIN, VALIDATION, write_flat_archive
from support.build import contents
from support.command import run
from support.sentences import Sentence, lines
from support.tools import gnu_tar, run_tool

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

TENCH, CRANE = "n01440764", "n02012849"
HERE = IndexOptions(jobs=1)
BOXES = "ILSVRC2012_bbox_train_v2.tar.gz"


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """The official archives."""
    options = MiniatureOptions(wnids=(TENCH, CRANE), images_per_class=3, validation_per_class=2)
    return write_miniature(tmp_path_factory.mktemp("usual"), options)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the train archive unpacked once."""
    options = MiniatureOptions(wnids=(TENCH, CRANE), images_per_class=3, validation_per_class=2, layout="class-tars")
    return write_miniature(tmp_path_factory.mktemp("unpacked"), options).root


@pytest.fixture
def source(usual: Miniature, tmp_path: Path) -> Path:
    """A copy of them to change."""
    return Path(shutil.copytree(usual.root, tmp_path / "source"))


def roles(*sources: Path) -> dict[str, str]:
    return {role: each.path.name for role, each in recognise(sources).items()}


def notes(source: Path) -> list[str]:
    seen: list[object] = []
    imagenet_prep.index(source, HERE, watch=seen.append)
    return [event.text for event in seen if isinstance(event, Note)]


# --- Other names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ("train.tar", "val.tar"),
        ("ILSVRC2012_img_train (1).tar", "ILSVRC2012_img_val (1).tar"),
        ("ILSVRC2012_img_train.tar.1", "ILSVRC2012_img_val.tar(1)"),
        (VALIDATION, TRAIN),
    ],
)
def test_archives_under_other_names_give_the_same_data_set(
    train: str, validation: str, usual: Miniature, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(usual.root, source, ignore=shutil.ignore_patterns("*_img_*"))
    shutil.copy(usual.root / TRAIN, source / train)
    shutil.copy(usual.root / VALIDATION, source / validation)
    options = BuildOptions.of(format=("tfrecord", "folders"), test_per_class=1, jobs=1)

    for place, out in ((source, "found"), (usual.root, "expected")):
        imagenet_prep.build(place, tmp_path / out, options)

    found, expected = contents(tmp_path / "found"), contents(tmp_path / "expected")
    assert {role: name for role, name in roles(source).items() if role in ("train", "validation")} == {
        "train": train, "validation": validation,
    }  # fmt: skip
    for of in (found, expected):
        del of["manifest.parquet"], of["build.json"]  # which say where each image came from
    assert found == expected


def test_all_that_goes_with_them_may_have_other_names(source: Path) -> None:
    renamed = {TRAIN: "a.tar", VALIDATION: "b.tar", DEVKIT: "devkit (1).tar.gz", BOXES: "boxes.tgz"}
    for name, other in renamed.items():
        (source / name).rename(source / other)

    assert roles(source) == {
        "train": "a.tar", "validation": "b.tar", "devkit": "devkit (1).tar.gz", "train boxes": "boxes.tgz",
        "validation boxes": "ILSVRC2012_bbox_val_v3.tgz",
    }  # fmt: skip


def test_the_file_may_be_named_itself_whatever_it_is_called(source: Path) -> None:
    (source / TRAIN).rename(source / "images")

    assert roles(source / "images") == {"train": "images"}
    assert "train" not in roles(source)


@pytest.mark.parametrize("top", [".", "ILSVRC2012_img_train", "./a/b"])
def test_class_tars_may_be_packed_again_with_folders_on_top(top: str, unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / top).mkdir(parents=True, exist_ok=True)
    for path in (unpacked / "train").iterdir():
        shutil.copy(path, tmp_path / "in" / top)
    gnu_tar(tmp_path / "again.tar", top, here=tmp_path / "in")

    found, usual = (imagenet_prep.index(place, HERE) for place in (tmp_path / "again.tar", unpacked / "train"))

    columns = ["name", "class_index", "container", "size"]
    assert sorted(map(str, found.table.select(columns).to_pylist())) == sorted(
        map(str, usual.table.select(columns).to_pylist())
    )


def test_images_may_lie_in_folders_inside_class_tars(usual: Miniature, tmp_path: Path) -> None:
    mini = write_miniature(
        tmp_path / "sorted",
        MiniatureOptions(
            wnids=(TENCH, CRANE), images_per_class=3, validation_per_class=2, layout="sorted", boxes=False
        ),
    )
    (tmp_path / "tars").mkdir()
    for folder in (mini.root / "train").iterdir():
        gnu_tar(tmp_path / "tars" / f"{folder.name}.tar", folder.name, here=folder.parent)

    found = imagenet_prep.index(tmp_path / "tars", HERE)

    assert set(found.table.column("name").to_pylist()) == {entry.name for entry in usual.train}


def test_a_renamed_archive_of_the_published_size_is_compared_with_the_published_checksum() -> None:
    size = OFFICIAL_BY_ROLE["train"].size
    assert size
    assert is_comparable("train", Path("train.tar"), size)
    assert not is_comparable("train", Path("train.tar"), size - 1)
    assert not is_comparable("devkit", Path("devkit.tar"), 1)


def test_an_archive_and_its_second_copy_are_two_of_one_thing(source: Path, sentence: Sentence) -> None:
    shutil.copy(source / VALIDATION, source / "ILSVRC2012_img_val (1).tar")

    with pytest.raises(SourceError) as caught:
        recognise([source])
    sentence(caught.value)


def test_the_test_archive_under_the_name_of_validation_is_named_for_what_it_is(
    source: Path, sentence: Sentence
) -> None:
    (source / VALIDATION).unlink()
    write_flat_archive(source / VALIDATION, [("test/ILSVRC2012_test_00000001.JPEG", b"an image")])

    done = run("check", source)

    assert done.returncode == 0
    assert any("unlabelled test" in line and VALIDATION in line for line in done.stdout.splitlines())
    sentence(lines(done.stdout, "Can be built"))
    with pytest.raises(SourceError) as caught:
        recognise([source / VALIDATION])
    sentence(caught.value, "alone")


def test_the_dogs_of_task_3_are_not_taken_for_train(source: Path, sentence: Sentence) -> None:
    shutil.copy(source / TRAIN, source / "ILSVRC2012_img_train_t3.tar")

    assert roles(source)["train"] == TRAIN
    sentence(notes(source)[0])


# --- What cannot be used is named -------------------------------------------------------------------------------------


def in_parts(*options: str) -> Callable[[Path], None]:
    def make(source: Path) -> None:
        run_tool("split", "-n", "12", *options, TRAIN, f"{TRAIN}.", here=source)
        (source / TRAIN).unlink()

    return make


def class_tars_packed(source: Path) -> None:
    run_tool("tar", "-xf", TRAIN, here=source)
    (source / TRAIN).unlink()
    for path in sorted(source.glob("n*.tar")):
        run_tool("gzip", path.name, here=source)


def class_tars_packed_under_their_names(source: Path) -> None:
    (source / "train").mkdir()
    run_tool("tar", "-xf", source / TRAIN, here=source / "train")
    (source / TRAIN).unlink()
    for path in list((source / "train").iterdir()):
        run_tool("gzip", path.name, here=source / "train")
        path.with_name(f"{path.name}.gz").rename(path)


def zipped(source: Path) -> None:
    """Two tars in one zip: which is meant is not known."""
    shutil.copy(source / TRAIN, source / "other.tar")
    run_tool("zip", "-q", "train.zip", TRAIN, "other.tar", here=source)
    for name in (TRAIN, "other.tar"):
        (source / name).unlink()


def of_another_set(source: Path) -> None:
    (source / TRAIN).unlink()
    write_flat_archive(source / "train.tar", [("n00004475.tar", b"")])


def no_archive(source: Path) -> None:
    (source / TRAIN).unlink()
    (source / "train.tar").write_bytes(b"a text")


@pytest.mark.parametrize(
    "make",
    [
        in_parts(),
        in_parts("-d"),
        in_parts("--numeric-suffixes=1", "-a", "3"),
        class_tars_packed,
        zipped,
        of_another_set,
        no_archive,
    ],
    ids=["aa", "00", "001", "class tars", "zip", "21k", "text"],
)
def test_train_that_cannot_be_used_beside_sound_validation_is_named(
    make: Callable[[Path], None], source: Path, sentence: Sentence
) -> None:
    make(source)

    done = run("check", source)

    assert done.returncode == 0
    sentence(lines(done.stdout, "Not used", "Can be built"))
    assert run("build", source, source.parent / "out", "--format", "tfrecord").returncode == 4


def test_class_tars_that_are_compressed_under_their_names_are_named(source: Path, sentence: Sentence) -> None:
    class_tars_packed_under_their_names(source)

    with pytest.raises(SourceError) as caught:
        imagenet_prep.index(source, HERE)
    sentence(caught.value)


def test_the_command_that_is_said_joins_the_parts(source: Path) -> None:
    archive = (source / TRAIN).read_bytes()
    in_parts("-d")(source)
    (said,) = notes(source)[:1]

    run_tool("bash", "-c", said.split("`")[1], here=source)

    assert (source / TRAIN).read_bytes() == archive


def test_without_anything_else_the_error_names_what_cannot_be_used(source: Path, sentence: Sentence) -> None:
    for path in list(source.iterdir()):
        if path.name != TRAIN:
            path.unlink()
    zipped(source)

    for given in (source, source / "train.zip"):
        with pytest.raises(SourceError) as caught:
            recognise([given])
        sentence(caught.value, given.name)


def test_many_archives_that_are_not_used_take_one_line(source: Path) -> None:
    for number in range(100):
        (source / f"n{number:08}.tar.gz").write_bytes(b"?")

    (line,) = [line for line in notes(source) if "Not used" in line]

    assert line.endswith("and 95 more.")


@pytest.mark.parametrize("order", [("jpg", "cls", "json"), ("cls", "jpg", "json"), ("JPEG", "json")])
def test_shards_of_webdataset_beside_the_archives_are_named_and_not_taken(
    order: tuple[str, ...], source: Path, sentence: Sentence
) -> None:
    for number in range(3):
        members = [(f"{TENCH}_{image}.{suffix}", b"0") for image in range(2) for suffix in order]
        write_flat_archive(source / f"imagenet1k-train-{number:04}.tar", members)

    assert roles(source)["train"] == TRAIN
    sentence(notes(source)[0], alike=True)


def test_archives_of_other_things_stand_in_nobodys_way(source: Path) -> None:
    write_flat_archive(source / "thesis.tar", [("thesis/figure.pdf", b"")])
    (source / "train").mkdir()
    write_flat_archive(source / "train" / "winter21.tar", [("n00004475.tar", b"")])

    assert roles(source) == roles(source / TRAIN, *(source / name for name in roles(source).values()))


@pytest.mark.parametrize(
    ("name", "archive", "part_of"),
    [
        ("train.tar", True, None), ("val (1).tar", True, None), ("val.tar (1)", True, None), ("a.TGZ", True, None),
        ("a.tar.zst", True, None), ("a.zip", True, None), ("a.tar.00", True, "a.tar"), ("a.tar.partaa", True, "a.tar"),
        ("a.tar.gz.ab", True, "a.tar.gz"), ("a.zip.001", True, "a.zip"), ("a.tar.1", True, None),
        ("a.tar.part", False, None), ("a.tar.partial", False, None), ("a.tar.md5", False, None),
        (".a.tar", False, None),
        ("a.tar.st", False, None), ("tar", False, None), ("a.tar.aria2", False, None), ("a.tar.txt", False, None),
    ],
)  # fmt: skip
def test_what_archives_and_their_parts_are_called(name: str, archive: bool, part_of: str | None) -> None:
    assert may_be_archive(name) is archive
    assert whole_of(Path("d", name)) == (Path("d", part_of) if part_of else None)


def test_a_first_copy_that_has_a_second_one_may_be_parts(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"a.tar.{number}").touch()

    assert whole_of(tmp_path / "a.tar.1") == whole_of(tmp_path / "a.tar.2") == tmp_path / "a.tar"


@pytest.mark.parametrize("content", [b"", b"\0" * 1024, b"\x1f\x8b\x08", b"<html>", b"PK\x03\x04", b"BZh91AY&SY"])
def test_nothing_is_found_in_what_is_no_tar(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(content)

    assert contents_at(tmp_path / "a.tar")[:2] == ("", "")
    assert contents_at(tmp_path / "nothing")[:2] == ("", "")


def test_the_first_image_is_found_after_folders_and_litter(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / ".DS_Store").touch()
    (tmp_path / "val" / validation_image(1)).touch()
    gnu_tar(tmp_path / "a.tar", "val", "--sort=name", here=tmp_path)

    assert contents_at(tmp_path / "a.tar")[:2] == ("validation", f"val/{validation_image(1)}")

"""What is wrong in folders gets a sentence with its place and a remedy, exit code 4, and nothing is written: no file of
the output, and none anywhere else.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagenet_prep import BuildOptions, SourceError, build
from imagenet_prep.imagenet.names import validation_image
from imagenet_prep.testing import MiniatureOptions, write_miniature
from imagenet_prep.testing.archives import (
    Member,
    tar_of,
    write_flat_archive,
    write_train_archive,
)
from support.build import inodes, when_writing_begins
from support.command import run
from support.sentences import Sentence, places

pytestmark = pytest.mark.quick

CRANE_BIRD, CRANE = "n02012849", "n03126707"
BIRDS, MACHINES = "train/n02012849", "train/n03126707"
TO_FOLDERS = BuildOptions.of(format=("folders",), test_per_class=0, jobs=1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two classes, in train by WNID, in validation flat: images 20 and 389."""
    return written(tmp_path / "source", "extracted")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "data"


def written(root: Path, layout: str, **options: Any) -> Path:
    tiny: dict[str, Any] = {"images_per_class": 3, "validation_per_class": 1, "boxes": False, "devkit": False}
    write_miniature(root, MiniatureOptions(wnids=(CRANE_BIRD, CRANE), layout=layout, **tiny | options))
    return root


def images(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.JPEG"))


def refused(source: Path, out: Path, options: BuildOptions = TO_FOLDERS) -> SourceError:
    """Build what cannot be built. Nothing may appear, be changed, or disappear."""
    before = inodes(out.parent)
    with pytest.raises(SourceError) as caught:
        build(source, out, options)
    assert caught.value.exit_code == 4
    assert caught.value.remedy
    assert all(line.isprintable() for line in str(caught.value).splitlines())
    assert inodes(out.parent) == before
    return caught.value


def said(source: Path, out: Path, options: BuildOptions = TO_FOLDERS) -> list[str]:
    return [str(problem).replace(str(source), "SOURCE") for problem in refused(source, out, options).problems]


def test_sound_folders_are_built(source: Path, out: Path) -> None:
    assert build(source, out, TO_FOLDERS).images == 8


# --- Names and places -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "cat.jpg", "n02012849_1.png", "n02012849_1.Jpeg", "N02012849_1.JPEG", "n02012849_.JPEG",
        "n02012849_1.JPEG.part",
        "n02012849_1 (copy).JPEG", "readme.pdf", "n02012849_1.JPEG~", "n02012849_１.JPEG", "nul", "CON.JPEG", "x" * 255,
    ],
)  # fmt: skip
def test_a_file_name_that_is_not_imagenets(name: str, source: Path, out: Path, sentence: Sentence) -> None:
    (source / BIRDS / name).touch()

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train: n02012849/{name}"]
    sentence(error)


@pytest.mark.parametrize("name", ["readme.pdf", "ILSVRC2012_val_1.JPEG", "ILSVRC2012_val_00050001.JPEG", "cat.jpg"])
def test_a_file_name_that_is_not_imagenets_beside_flat_images(
    name: str, source: Path, out: Path, sentence: Sentence
) -> None:
    (source / "val" / name).touch()

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/val: {name}"]
    sentence(error)


@pytest.mark.parametrize(
    "name", ["a\nb.JPEG", "\x1b[2J.JPEG", os.fsdecode(b"\xff.JPEG"), "\u202eGEPJ.JPEG", "a\rb\x7f"]
)
def test_a_hostile_file_name_is_shown_harmless(name: str, source: Path, out: Path, sentence: Sentence) -> None:
    (source / BIRDS / name).touch()

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train: {f'n02012849/{name}'!r}"]
    sentence(error)


@pytest.mark.parametrize("folder", ["n02012849-a\nb", "n02012849 \x1b[2J"])
def test_a_hostile_name_of_a_class_folder_is_shown_harmless(
    folder: str, source: Path, out: Path, sentence: Sentence
) -> None:
    (source / BIRDS).rename(source / "train" / folder)
    (source / "train" / folder / "cat.jpg").touch()

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train: {f'{folder}/cat.jpg'!r}"]
    sentence(error)


def test_a_hostile_name_of_a_folder_above_is_shown_harmless(source: Path, out: Path) -> None:
    hostile = source / os.fsdecode(b"\x1b[2J\xff")
    (source / "train").rename(hostile)
    (hostile / CRANE / "cat.jpg").touch()

    assert [problem.archive for problem in refused(source, out).problems] == [repr(str(hostile))]


def test_a_folder_whose_name_is_no_text_is_built_all_the_same(source: Path, out: Path) -> None:
    (source / "train").rename(source / os.fsdecode(b"\xff"))

    assert build(source, out, TO_FOLDERS).images == 8


def test_a_file_in_the_wrong_class_folder(source: Path, out: Path, sentence: Sentence) -> None:
    stray = images(source / BIRDS)[0]
    stray.rename(source / MACHINES / stray.name)

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train: n03126707/{stray.name}"]
    sentence(error)


def test_a_validation_image_in_the_wrong_class_folder(source: Path, out: Path) -> None:
    (source / "val" / CRANE).mkdir()
    (source / "val" / validation_image(389)).rename(source / "val" / CRANE / validation_image(389))

    assert said(source, out) == [
        (
            "SOURCE/val: n03126707/ILSVRC2012_val_00000389.JPEG: "
            "is in the folder n03126707, but its name says n02012849 (crane_bird)"
        )
    ]


def test_the_remedy_for_folders_speaks_of_folders(source: Path, out: Path, sentence: Sentence) -> None:
    (source / BIRDS / "cat.jpg").touch()

    sentence(refused(source, out).remedy)


def test_a_validation_image_in_a_train_class_folder(source: Path, out: Path, sentence: Sentence) -> None:
    (source / "val" / validation_image(389)).rename(source / BIRDS / validation_image(389))

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train: n02012849/ILSVRC2012_val_00000389.JPEG"]
    sentence(error)


def test_an_image_of_a_class_that_is_none(source: Path, out: Path, sentence: Sentence) -> None:
    (source / BIRDS / "n00007846_1.JPEG").touch()

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train: n02012849/n00007846_1.JPEG"]
    sentence(error)


@pytest.mark.parametrize("name", ["kitten", "n00007846", "n99999999", "02012849", "Train"])
def test_a_class_folder_that_no_table_knows(name: str, source: Path, out: Path, sentence: Sentence) -> None:
    (source / BIRDS).rename(source / "train" / name)

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train: {name}"]
    sentence(error)


def test_class_folders_of_which_no_table_knows_any(source: Path, out: Path, sentence: Sentence) -> None:
    (source / BIRDS).rename(source / "train" / "one")
    (source / MACHINES).rename(source / "train" / "two")

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train/one", f"{source}/train/two"]
    sentence(error)


# --- The same image twice ---------------------------------------------------------------------------------------------


def copied(source: Path, name: str, place: str) -> None:
    (source / place).mkdir(parents=True, exist_ok=True)
    (source / place / Path(name).name).write_bytes((source / name).read_bytes())


def test_the_same_image_in_two_folders_of_its_class(source: Path, out: Path) -> None:
    name = images(source / BIRDS)[0].name
    copied(source, f"{BIRDS}/{name}", "train/crane")
    copied(source, f"{BIRDS}/{name}", "train/134_crane")

    assert said(source, out) == [
        f"SOURCE/train: {place}/{name}: is the same image as SOURCE/train/134_crane/{name}"
        for place in ("crane", "n02012849")
    ]


def test_the_same_image_flat_and_sorted(source: Path, out: Path, sentence: Sentence) -> None:
    copied(source, f"val/{validation_image(20)}", f"val/{CRANE}")

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/val: n03126707/ILSVRC2012_val_00000020.JPEG"]
    sentence(error)


def test_the_same_image_in_train_and_in_what_was_held_out(source: Path, out: Path, sentence: Sentence) -> None:
    name = images(source / BIRDS)[0].name
    copied(source, f"{BIRDS}/{name}", "test/crane_bird")

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/test: crane_bird/{name}"]
    sentence(error)


def test_the_same_image_in_the_train_archive_and_in_a_folder_of_held_out_images(
    tmp_path: Path, out: Path, sentence: Sentence
) -> None:
    source = tmp_path / "source"
    (source / "test" / "crane").mkdir(parents=True)
    write_train_archive(source / "ILSVRC2012_img_train.tar", [(CRANE, [(f"{CRANE}_1.JPEG", b"x")])])
    (source / "test" / "crane" / f"{CRANE}_1.JPEG").write_bytes(b"x")

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/test: crane/{CRANE}_1.JPEG"]
    sentence(error)


def test_all_that_is_wrong_in_all_folders_is_said_at_once(source: Path, out: Path) -> None:
    for name in (f"{BIRDS}/a.pdf", f"{MACHINES}/b.pdf", "val/c.pdf"):
        (source / name).touch()
    copied(source, f"val/{validation_image(20)}", f"val/{CRANE}")

    assert [line.split(": ")[1] for line in said(source, out)] == [
        "n02012849/a.pdf", "n03126707/b.pdf", "c.pdf", f"{CRANE}/{validation_image(20)}",
    ]  # fmt: skip


# --- What is no file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
@pytest.mark.parametrize("folder", [BIRDS, "val"])
def test_what_is_called_like_an_image_and_is_no_file(
    make: Callable[[Path], None], folder: str, source: Path, out: Path, sentence: Sentence
) -> None:
    name = f"{CRANE_BIRD}_9.JPEG" if folder == BIRDS else validation_image(9)
    make(source / folder / name)

    if make is os.mkdir and folder == "val":  # a folder beside flat images, with nothing in it
        assert build(source, out, TO_FOLDERS).images == 8
        return
    place = f"{source}/train: n02012849/{name}" if folder == BIRDS else f"{source}/val: {name}"
    error = refused(source, out)
    assert places(error.problems) == [place]
    sentence(error)


def test_a_folder_of_images_inside_a_class_folder_is_not_passed_over(
    source: Path, out: Path, sentence: Sentence
) -> None:
    (source / BIRDS / "more").mkdir()
    images(source / BIRDS)[0].rename(source / BIRDS / "more" / images(source / BIRDS)[0].name)

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train: n02012849/more"]
    sentence(error)


@pytest.mark.parametrize("target", ["/nowhere", f"{CRANE_BIRD}_9.JPEG", "..", "/dev/zero"])
def test_a_link_that_leads_to_no_image(target: str, source: Path, out: Path, sentence: Sentence) -> None:
    (source / BIRDS / f"{CRANE_BIRD}_9.JPEG").symlink_to(target)

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train: n02012849/{CRANE_BIRD}_9.JPEG"]
    sentence(error)


def test_a_link_to_an_image_is_an_image(source: Path, out: Path) -> None:
    first = images(source / BIRDS)[0]
    first.rename(source.parent / "elsewhere")
    first.symlink_to(source.parent / "elsewhere")

    assert build(source, out, TO_FOLDERS).images == 8
    copy = out / "folders" / "train" / "crane_bird" / first.name
    assert not copy.is_symlink()
    assert copy.read_bytes() == (source.parent / "elsewhere").read_bytes()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "it is not a file"),
        (Path.touch, "train: n03126707.tar at byte 0: has no images"),
        (lambda path: path.symlink_to("/nowhere"), "No such file or directory"),
        (lambda path: path.write_text("<html>" * 200), "train: n03126707.tar at byte 0: this is not a tar header"),
    ],
    ids=["pipe", "empty", "link", "web page"],
)
def test_a_class_tar_that_is_no_tar(make: Callable[[Path], None], words: str, tmp_path: Path, out: Path) -> None:
    source = written(tmp_path / "source", "class-tars")
    (source / "train" / f"{CRANE}.tar").unlink()
    make(source / "train" / f"{CRANE}.tar")

    message = str(refused(source, out))

    assert f"{CRANE}.tar" in message
    assert words in message


def test_an_unknown_class_tar_in_a_folder(tmp_path: Path, out: Path, sentence: Sentence) -> None:
    source = written(tmp_path / "source", "class-tars")
    (source / "train" / f"{CRANE}.tar").rename(source / "train" / "n00007846.tar")

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train: n00007846.tar"]
    sentence(error)


def test_a_class_folder_that_cannot_be_read(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
) -> None:
    """The system's refusal is put in its mouth here: a test may run as root, who may read everything."""
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith(CRANE):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train/{CRANE}"]
    sentence(error)


def test_a_class_folder_that_refuses_between_search_and_list_is_named_too(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
) -> None:
    real, calls = os.scandir, iter(range(100))

    def scandir(path: Any) -> Any:
        if str(path).endswith(CRANE) and next(calls) >= 1:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)

    with pytest.raises(SourceError) as caught:
        build(source, out, TO_FOLDERS)

    assert places(caught.value.problems) == [f"{source}/train: {CRANE}"]
    sentence(caught.value)
    assert not out.exists()


@pytest.mark.parametrize("what", ["pipe", "folder", "no XML"])
def test_an_annotation_that_is_none(what: str, tmp_path: Path, out: Path) -> None:
    source = written(tmp_path / "source", "kaggle", boxes=True)
    (source / "LOC_val_solution.csv").unlink()
    annotation = next(source.glob("ILSVRC/Annotations/CLS-LOC/train/*/*.xml"))
    annotation.unlink()
    {"pipe": os.mkfifo, "folder": os.mkdir, "no XML": lambda path: path.write_text("<annotation>")}[what](annotation)

    assert annotation.name in str(refused(source, out, BuildOptions.of(test_per_class=0, jobs=1)))
    assert build(source, out, TO_FOLDERS).images == 8  # which have no boxes


# --- Sizes, and what changes while it is read -------------------------------------------------------------------------


def test_a_file_of_3_gb(source: Path, out: Path, sentence: Sentence) -> None:
    os.truncate(images(source / BIRDS)[0], 3 << 30)  # sparse: nothing more lies on the disk

    error = refused(source, out)
    assert places(error.problems) == [f"{source}/train: n02012849/{images(source / BIRDS)[0].name}"]
    sentence(error)


FORMATS = pytest.mark.parametrize("formats", [("folders",), ("tfrecord",), ("tfrecord", "folders")], ids="+".join)


@FORMATS
def test_a_file_without_bytes_is_named_when_it_is_read(
    formats: tuple[str, ...], source: Path, out: Path, sentence: Sentence
) -> None:
    empty = [images(source / BIRDS)[0], source / "val" / validation_image(20)]
    for path in empty:
        path.write_bytes(b"")

    with pytest.raises(SourceError) as caught:
        build(source, out, BuildOptions.of(format=formats, test_per_class=0, jobs=1))

    sentence(caught.value, alike=True)
    assert sorted(map(str, caught.value.problems)) == [
        f"{source}/train: n02012849/{empty[0].name}: is empty",
        f"{source}/val: ILSVRC2012_val_00000020.JPEG: is empty",
    ]
    assert not (out / "build.json").exists()


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


@FORMATS
@pytest.mark.parametrize(
    ("change", "reason"),
    [(shrink, "shorter"), (empty, "shorter"), (grow, "has grown"), (Path.unlink, "No such file or directory")],
)
def test_a_file_that_changes_while_it_is_read(
    change: Callable[[Path], None], reason: str, formats: tuple[str, ...], source: Path, out: Path
) -> None:
    changed = images(source / BIRDS)[1]

    with pytest.raises(SourceError) as caught:
        build(
            source,
            out,
            BuildOptions.of(format=formats, test_per_class=0, jobs=1),
            watch=when_writing_begins(lambda: change(changed)),
        )

    (problem,) = caught.value.problems
    assert (problem.archive, problem.member, problem.offset) == (f"{source}/train", f"n02012849/{changed.name}", None)
    assert reason in problem.reason
    assert caught.value.remedy
    assert not (out / "build.json").exists()
    assert not (out / "manifest.parquet").exists()
    assert list(out.rglob("*.part")) == []


# --- Members that would leave the output folder -----------------------------------------------------------------------

PAYLOAD = b"this must never leave the archive\n"
HOSTILE = {
    "above": Member("../evil.JPEG", PAYLOAD),
    "far above": Member("n03126707/../../../evil.JPEG", PAYLOAD),
    "good name above": Member("../n03126707_1.JPEG", PAYLOAD),
    "absolute": Member("/tmp/n03126707_1.JPEG", PAYLOAD),
    "drive": Member("C:\\n03126707_1.JPEG", PAYLOAD),
    "backslashes": Member("..\\..\\n03126707_1.JPEG", PAYLOAD),
    "NUL": Member("n03126707_1.JPEG\0.txt", PAYLOAD),
    "newline": Member("n03126707_1\n2.JPEG", PAYLOAD),
    "device name": Member("CON.JPEG", PAYLOAD),
    "device": Member("nul", PAYLOAD),
    "dots": Member("..", PAYLOAD),
    "nothing": Member("./", PAYLOAD),
    "symbolic link": Member("n03126707_1.JPEG", kind=tarfile.SYMTYPE, link="/etc/passwd"),
    "hard link": Member("n03126707_1.JPEG", kind=tarfile.LNKTYPE, link="../evil.JPEG"),
    "character device": Member("n03126707_1.JPEG", kind=tarfile.CHRTYPE),
    "block device": Member("n03126707_1.JPEG", kind=tarfile.BLKTYPE),
    "pipe": Member("n03126707_1.JPEG", kind=tarfile.FIFOTYPE),
}
EVERY_HOSTILE = pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)


def for_validation(member: Member) -> Member:
    return member._replace(name=member.name.replace("n03126707_1.JPEG", validation_image(1)))


@EVERY_HOSTILE
@pytest.mark.parametrize("layout", ["archives", "class-tars"])
def test_a_hostile_member_of_a_class_tar_writes_nothing(
    hostile: Member, layout: str, tmp_path: Path, out: Path
) -> None:
    source = tmp_path / "source"
    (source / "train").mkdir(parents=True)
    members = [Member(f"{CRANE}_5.JPEG", b"an image"), hostile]
    if layout == "archives":
        write_train_archive(source / "ILSVRC2012_img_train.tar", [(CRANE, members)])
    else:
        write_flat_archive(source / "train" / f"{CRANE}.tar", members)

    (line,) = said(source, out)

    archive = "ILSVRC2012_img_train.tar" if layout == "archives" else "train"
    assert line.startswith(f"{archive}: {CRANE}.tar/")
    assert " at byte " in line
    assert line.endswith((": is not named like an ImageNet train image", ": is a link or a device, not a file"))


@EVERY_HOSTILE
def test_a_hostile_member_of_the_validation_archive_writes_nothing(hostile: Member, tmp_path: Path, out: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write_flat_archive(source / "ILSVRC2012_img_val.tar", [(validation_image(2), b"x"), for_validation(hostile)])

    (line,) = said(source, out)

    assert line.startswith("ILSVRC2012_img_val.tar: ")
    assert line.endswith((": is not named like an ImageNet validation image", ": is a link or a device, not a file"))


@EVERY_HOSTILE
def test_a_hostile_member_of_the_train_archive_itself_writes_nothing(
    hostile: Member, tmp_path: Path, out: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    member = hostile._replace(name=hostile.name.replace("n03126707_1.JPEG", f"{CRANE}.tar").replace(".JPEG", ".tar"))
    write_flat_archive(source / "ILSVRC2012_img_train.tar", [member, (f"{CRANE_BIRD}.tar", tar_of([]))])

    lines = said(source, out)

    assert lines[0].startswith("ILSVRC2012_img_train.tar: ")
    assert ": is not one of the 1,000 class tars" in lines[0] or ": is a link or a device, not a file" in lines[0]


# --- As a user sees it ------------------------------------------------------------------------------------------------


def test_the_command_line_says_the_same_without_a_traceback(source: Path, out: Path, sentence: Sentence) -> None:
    (source / BIRDS / "\x1b[2J\n.JPEG").touch()

    done = run("build", "--quiet", "--format", "folders", source, out)

    assert (done.returncode, done.stdout) == (4, "")
    sentence(done.stderr)
    assert not out.exists()

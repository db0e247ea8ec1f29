"""The miniature ILSVRC2012: official layout, true labels, the same bytes every time; layouts and quirks as they say."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import subprocess
import tarfile
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagenet_prep.errors import OutputError, UsageError
from imagenet_prep.imagenet.classes import official
from imagenet_prep.testing import LAYOUTS, QUIRKS, Miniature, MiniatureOptions, archives, faults, pictures
from imagenet_prep.testing import write_miniature as write
from imagenet_prep.testing.quirks import IMAGE_QUIRKS, hostile_members

CRANES = ("n02012849", "n03126707")  # bird and machine; images 389 and 20 are the first of the validation set
BESIDE = {archives.DEVKIT, archives.TRAIN_BOXES, archives.VALIDATION_BOXES}
KAGGLE = "ILSVRC/Data/CLS-LOC"
TRAIN_IMAGE, VALIDATION_IMAGE = "n02012849_31.JPEG", "ILSVRC2012_val_00000389.JPEG"
PLACES = {  # of those two, the crane that is a bird
    "archives": ("ILSVRC2012_img_train.tar: n02012849.tar/", "ILSVRC2012_img_val.tar: "),
    "class-tars": ("train/n02012849.tar: ", "ILSVRC2012_img_val.tar: "),
    "extracted": ("train/n02012849/", "val/"),
    "sorted": ("train/n02012849/", "val/n02012849/"),
    "renamed": ("train/crane_bird/", "validation/crane_bird/"),
    "clashing": ("train/crane/", "validation/crane/"),
    "kaggle": (f"{KAGGLE}/train/n02012849/", f"{KAGGLE}/val/"),
    "mixed": ("ILSVRC2012_img_train.tar: n02012849.tar/", "val/"),
}


def options(*quirks: str, **chosen: Any) -> MiniatureOptions:
    small: dict[str, Any] = {"wnids": CRANES, "images_per_class": 4, "validation_per_class": 2}
    return MiniatureOptions(quirks=quirks, **small | chosen)


def tars_in(tar: bytes) -> dict[str, bytes]:
    """The files in a tar, and in the tars in it, read with Python's tarfile."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            if file := archive.extractfile(member) if member.isreg() else None:
                data = file.read()
                inner = tars_in(data) if member.name.endswith(".tar") else {}
                found |= {f"{member.name}/{name}": each for name, each in inner.items()} or {member.name: data}
    return found


def files_of(miniature: Miniature) -> dict[str, bytes]:
    """Every file by its place, in whatever it lies, as a person would write it."""
    found: dict[str, bytes] = {}
    for path in sorted(path for path in miniature.root.rglob("*") if path.is_file()):
        name, data = path.relative_to(miniature.root).as_posix(), path.read_bytes()
        if path.suffix == ".tar":
            found |= {f"{name}: {member}": each for member, each in tars_in(data).items()}
        else:
            found[name] = data
    return found


def boxes_in(miniature: Miniature, name: str) -> dict[str, bytes]:
    return tars_in(gzip.decompress((miniature.root / name).read_bytes()))


# Images and truth ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_has_the_images_of_the_archives_where_the_entries_say(layout: str, tmp_path: Path) -> None:
    plain, other = write(tmp_path / "plain", options()), write(tmp_path / "other", options(layout=layout))
    images = {name: data for name, data in files_of(other).items() if "JPEG" in name and "_test_" not in name}

    assert other.entries == plain.entries
    assert {name: hashlib.sha256(data).hexdigest() for name, data in images.items()} == {
        str(other.where(entry)): entry.sha256 for entry in other.entries
    }
    train, validation = PLACES[layout]
    assert {train + TRAIN_IMAGE, validation + VALIDATION_IMAGE} < set(images)
    beside = {path.name for path in other.archives} - {archives.TRAIN, archives.VALIDATION}
    assert beside == (set() if layout == "kaggle" else BESIDE)
    for path in other.archives:
        assert path.read_bytes() == (plain.root / path.name).read_bytes()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_file_is_in_or_below_one_of_the_paths(layout: str, tmp_path: Path) -> None:
    small: dict[str, Any] = {"layout": layout, "validation_per_class": 0, "boxes": False, "devkit": False}
    for miniature in (write(tmp_path / "all", options(layout=layout)), write(tmp_path / "small", options(**small))):
        assert all(path.exists() for path in miniature.paths)
        for file in (path for path in miniature.root.rglob("*") if path.is_file()):
            assert sum(file.is_relative_to(path) for path in miniature.paths) == 1


def test_the_members_are_in_the_order_of_the_entries_and_not_in_that_of_names(tmp_path: Path) -> None:
    miniature = write(tmp_path, options(wnids=(), classes=4))

    found = [tars_in((tmp_path / name).read_bytes()) for name in (archives.TRAIN, archives.VALIDATION)]
    assert [*found[0], *found[1]] == [entry.member for entry in miniature.entries]
    assert all(list(each) != sorted(each) for each in found)
    wnids = list(dict.fromkeys(entry.wnid for entry in miniature.train))
    assert (wnids != sorted(wnids), sorted(wnids)) == (True, list(miniature.options.class_wnids))


def test_classes_are_spread_evenly_or_named() -> None:
    assert [official().index_of(wnid) for wnid in MiniatureOptions(classes=4).class_wnids] == [0, 250, 500, 750]
    assert options(wnids=("n03710721", "n01440764", "n03710721")).class_wnids == ("n01440764", "n03710721")


def test_validation_images_are_the_first_that_truly_show_the_class(tmp_path: Path) -> None:
    """In the published labels the first tench is image 293, the second image 2,138."""
    miniature = write(tmp_path, options(wnids=("n01440764",)))

    names = {"ILSVRC2012_val_00000293.JPEG": 0, "ILSVRC2012_val_00002138.JPEG": 0}
    assert {entry.name: entry.class_index for entry in miniature.validation} == names
    lines = boxes_in(miniature, archives.DEVKIT)[archives.GROUND_TRUTH].decode().splitlines()
    assert (lines[:4], lines[292], len(lines)) == (["490", "361", "171", "822"], "449", 50_000)


def test_the_same_options_give_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    one, again = write(tmp_path / "one", options()), write(tmp_path / "again", options())
    other, larger = write(tmp_path / "other", options(seed=1)), write(tmp_path / "more", options(images_per_class=9))

    assert (files_of(again), again.entries) == (files_of(one), one.entries)
    pictures_of = [{entry.sha256 for entry in each.entries} for each in (one, other, larger)]
    assert not pictures_of[0] & pictures_of[1]
    assert pictures_of[0] < pictures_of[2]


def test_pictures_differ_as_photographs_do() -> None:
    drawn = [Image.open(io.BytesIO(pictures.picture(f"some/{number}"))) for number in range(150)]
    photos = [pictures.picture(str(number), "photo") for number in range(12)]

    assert len({image.size for image in drawn}) > 100
    assert {side for image in drawn for side in image.size} <= set(range(24, 97))
    assert 0 < sum(image.mode == "L" for image in drawn) < 15
    layers = {image.layer[0][1:3] for image in drawn if image.mode == "RGB"}  # type: ignore[attr-defined]
    assert layers == {(1, 1), (2, 1), (2, 2)}
    assert 60_000 < sum(map(len, photos)) / 12 < 160_000
    assert (500, 375) in {Image.open(io.BytesIO(data)).size for data in photos}


# Archives and what stands beside them ---------------------------------------------------------------------------------


def test_a_tar_has_the_bytes_gnu_tar_writes(tmp_path: Path) -> None:
    if "GNU tar" not in subprocess.run(["tar", "--version"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("this tar is not GNU tar")
    names = ["n01440764_18.JPEG", "n01440764_é.JPEG"]
    for name in names:
        (tmp_path / name).write_bytes(bytes(3_000))
        (tmp_path / name).chmod(0o644)
    fixed = ["--format=gnu", "--numeric-owner", "--owner=0", "--group=0", f"--mtime=@{archives.MTIME}"]

    made = subprocess.run(["tar", *fixed, "-cf", "-", *names], cwd=tmp_path, capture_output=True, check=True)

    assert archives.tar_of((name, bytes(3_000)) for name in names) == made.stdout


def test_the_archives_never_change_unnoticed(tmp_path: Path) -> None:
    """Golden digests of archives made of fixed bytes: no encoder has a part in them."""
    classes = [("n01440764", [("n01440764_18.JPEG", b"fish"), ("n01440764_7.JPEG", b"")]), ("n01443537", [])]
    archives.write_train_archive(tmp_path / "train.tar", classes)
    archives.write_packed_archive(tmp_path / "packed.tgz", [("a.txt", b"text")])

    written = (tmp_path / "train.tar").read_bytes(), gzip.decompress((tmp_path / "packed.tgz").read_bytes())
    assert [hashlib.sha256(tar).hexdigest() for tar in written] == [
        "4f607e754e1a5c54d8cca2e709901586e4dd096f7e5bb922c00474230e772dc6",
        "2354080ec603f4efb03fdb48d43a92cf999b8f66b496dc8e6de4b7b984b4376c",
    ]


def test_boxes_lie_in_the_picture_that_the_annotator_saw_which_is_sometimes_twice_the_image(tmp_path: Path) -> None:
    miniature = write(tmp_path, options(images_per_class=60, validation_per_class=10))
    scales = set()
    for name, entries, folder in (
        (archives.TRAIN_BOXES, miniature.train, "{}"),
        (archives.VALIDATION_BOXES, miniature.validation, "val"),
    ):
        found = {path: ET.fromstring(xml) for path, xml in boxes_in(miniature, name).items()}
        boxed = {f"{folder.format(entry.wnid)}/{entry.stem}.xml": entry for entry in entries if entry.boxes}
        assert set(found) == set(boxed)
        for path, entry in boxed.items():
            scale = int(found[path].findtext("size/width", "")) // entry.width
            edges = [[int(edge.text or "") for edge in box] for box in found[path].iter("bndbox")]
            assert edges == [[edge * scale for edge in box] for box in entry.boxes]
            assert all(0 <= box.xmin < box.xmax <= entry.width for box in entry.boxes)
            assert {each.text for each in found[path].iterfind("object/name")} == {entry.wnid}
            scales.add((scale, len(entry.boxes)))
    assert scales == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert all(entry.boxes for entry in miniature.validation)
    assert 40 < sum(bool(entry.boxes) for entry in miniature.train) < 80


def test_kaggle_has_the_annotations_again_as_tables_and_lists_of_all_images(tmp_path: Path) -> None:
    files = files_of(write(tmp_path / "kaggle", options(layout="kaggle", images_per_class=2, validation_per_class=1)))
    plain = write(tmp_path / "plain", options(images_per_class=2, validation_per_class=1))
    train, validation = boxes_in(plain, archives.TRAIN_BOXES), boxes_in(plain, archives.VALIDATION_BOXES)

    annotations = {f"train/{name}": xml for name, xml in train.items()} | validation
    assert annotations == {
        name.removeprefix("ILSVRC/Annotations/CLS-LOC/"): xml for name, xml in files.items() if name.endswith(".xml")
    }
    rows = [*csv.reader(files["LOC_train_solution.csv"].decode().splitlines())]
    rows += csv.reader(files["LOC_val_solution.csv"].decode().splitlines()[1:])
    assert rows[0] == ["ImageId", "PredictionString"]
    assert dict(rows[1:]) == {
        Path(name).stem: "".join(
            f"{each.findtext('name')} {' '.join(edge.text or '' for edge in each[-1])} "
            for each in ET.fromstring(xml).iter("object")
        )
        for name, xml in annotations.items()
    }
    assert files["ILSVRC/ImageSets/CLS-LOC/train_cls.txt"].decode() == (
        "n02012849/n02012849_31 1\nn02012849/n02012849_63 2\nn03126707/n03126707_19 3\nn03126707/n03126707_20 4\n"
    )
    assert files["ILSVRC/ImageSets/CLS-LOC/train_loc.txt"].decode().splitlines()[2:] == ["n03126707/n03126707_20 3"]
    assert files["ILSVRC/ImageSets/CLS-LOC/val.txt"].decode().splitlines()[1] == "ILSVRC2012_val_00000389 2"
    assert files["ILSVRC/ImageSets/CLS-LOC/test.txt"].decode().splitlines()[2] == "ILSVRC2012_test_00000003 3"
    assert files["LOC_synset_mapping.txt"].startswith(b"n01440764 tench, Tinca tinca\n")
    assert files["LOC_sample_submission.csv"].decode().splitlines()[1] == "ILSVRC2012_test_00000001,1 0 0 1 1"


# Quirks ---------------------------------------------------------------------------------------------------------------


def opened(data: bytes) -> Image.Image:
    with warnings.catch_warnings(action="ignore"):  # of the malformed EXIF block
        image = Image.open(io.BytesIO(data))
        image.load()
    return image


def refused(data: bytes, why: str) -> bool:
    with pytest.raises(OSError, match=why):
        opened(data)
    return True


SHOWS: dict[str, Callable[[bytes], bool]] = {
    "cmyk": lambda data: (opened(data).mode, opened(data).info["adobe_transform"]) == ("CMYK", 0),
    "greyscale": lambda data: opened(data).mode == "L",
    "png": lambda data: opened(data).format == "PNG",
    "exif-orientation": lambda data: dict(opened(data).getexif()) == {0x0112: 6},
    "exif-malformed": lambda data: opened(data).mode == "RGB" and b"\0\xff\1\x12\0\3" in data,
    "progressive": lambda data: opened(data).info["progressive"] == 1,
    "truncated": lambda data: refused(data, "truncated") and data.count(b"\xff\xda") == 1,
    "empty": lambda data: data == b"",
    "text": lambda data: data.startswith(b"This is a text file"),
    "duplicate": lambda data: opened(data).format == "JPEG",
}


@pytest.mark.parametrize("quirk", IMAGE_QUIRKS)
def test_a_quirk_of_an_image_is_planted_once_and_changes_no_other(quirk: str, tmp_path: Path) -> None:
    plain, odd = write(tmp_path / "plain", options()), write(tmp_path / "odd", options(quirk))

    (entry,) = [one for one, other in zip(odd.entries, plain.entries, strict=True) if one != other]
    assert (
        [(entry.quirk, entry.archive, entry.member)]
        == [each[:3] for each in odd.planted]
        == [(quirk, archives.TRAIN, entry.member)]
    )
    assert SHOWS[quirk](files_of(odd)[str(odd.where(entry))])
    twins = [other.wnid for other in odd.entries if other.sha256 == entry.sha256]
    assert len(set(twins)) == (2 if quirk == "duplicate" else 1)


@pytest.mark.parametrize(
    ("layout", "unknown", "litter"),
    [
        ("archives", "ILSVRC2012_img_train.tar: n00007846.tar", "ILSVRC2012_img_train.tar: n03126707.tar"),
        ("class-tars", "train/n00007846.tar", "train/n03126707.tar"),
        ("extracted", "train/n00007846", "train/n03126707"),
        ("renamed", "train/person", "train/crane"),
        ("kaggle", f"{KAGGLE}/train/n00007846", f"{KAGGLE}/train/n03126707"),
    ],
)
def test_an_unknown_class_and_litter_are_where_the_layout_has_classes(
    layout: str, unknown: str, litter: str, tmp_path: Path
) -> None:
    plain = write(tmp_path / "plain", options(layout=layout))
    odd = write(tmp_path / "odd", options("unknown-class", "macos-litter", layout=layout))

    assert [str(odd.where(planted)) for planted in odd.planted] == [litter, unknown]
    extra = {each.replace(": ", "/").rpartition("/")[2] for each in set(files_of(odd)) - set(files_of(plain))}
    assert extra == {".DS_Store", "._n03126707_1.JPEG", "._n03126707_2.JPEG", "n00007846_1.JPEG"}


def test_hostile_members_stand_before_the_images_and_gnu_tar_walks_past_them(tmp_path: Path) -> None:
    miniature = write(tmp_path, options("hostile-names", layout="class-tars"))
    (planted,) = miniature.planted

    with tarfile.open(tmp_path / str(miniature.where(planted))) as archive:
        found = [(member.name, member.type, member.linkname) for member in archive]
    expected = [(member.name, member.kind, member.link) for member in hostile_members("n02012849")]
    assert found[: len(expected)] == expected
    assert [name for name, _, _ in found[len(expected) :]] == [
        entry.name for entry in miniature.train if entry.wnid == "n02012849"
    ]
    listing = subprocess.run(["tar", "-tf", tmp_path / str(miniature.where(planted))], capture_output=True, check=True)
    assert listing.stdout.decode().splitlines()[-1] == found[-1][0]


def test_a_quirk_of_an_archive_damages_it_where_it_says(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", options())
    sound, last = whole.archives[0].read_bytes(), whole.train[-1]
    with tarfile.open(whole.archives[0]) as outer:
        second = outer.getmembers()[1]
    damaged = {}
    for quirk in ("html-archive", "cut-inside-member", "cut-on-boundary", "flipped-header", "gunzipped-devkit"):
        miniature = write(tmp_path / quirk, options(quirk))
        (planted,) = miniature.planted
        damaged[quirk] = (miniature.root / planted.archive).read_bytes(), planted.offset or 0

    cut, offset = damaged["cut-inside-member"]
    image = files_of(whole)[str(whole.where(last))]
    assert (len(cut), sound.startswith(cut), cut.endswith(image[: last.size // 2])) == (offset, True, True)
    assert damaged["cut-on-boundary"] == (sound[: second.offset], second.offset)
    flipped, offset = damaged["flipped-header"]
    assert (flipped[:offset], flipped[offset + 1 :]) == (sound[:offset], sound[offset + 1 :])
    header = flipped[offset - 131 : offset + 381]
    assert header.startswith(last.name.encode())
    with pytest.raises(tarfile.HeaderError, match="bad checksum"):
        tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    assert damaged["html-archive"][0].startswith(b"<!DOCTYPE html>")
    assert archives.GROUND_TRUTH in tars_in(damaged["gunzipped-devkit"][0])
    assert faults.flip_byte(whole.archives[0], offset) == offset
    assert whole.archives[0].read_bytes() == flipped


def test_every_quirk_is_reported_in_the_order_of_the_table_and_leaves_two_images_of_a_class_as_they_are(
    tmp_path: Path,
) -> None:
    quirks = [quirk for quirk in QUIRKS if quirk not in {"html-archive", "cut-inside-member", "cut-on-boundary"}]

    miniature = write(tmp_path / "out", options(*reversed(quirks), wnids=(), classes=3, images_per_class=6))

    assert [planted.quirk for planted in miniature.planted] == quirks
    intact = [entry.wnid for entry in miniature.train if not entry.quirk]
    assert {intact.count(wnid) for wnid in miniature.options.class_wnids} == {2, 3}
    with pytest.raises(UsageError, match="10 image quirks in 2 classes need 7 images per class"):
        write(tmp_path / "none", options(*IMAGE_QUIRKS))
    assert not (tmp_path / "none").exists()


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        ({"classes": 0}, "1 to 1,000 classes"),
        ({"classes": 1001}, "1 to 1,000 classes"),
        ({"images_per_class": 0}, "at least one image"),
        ({"validation_per_class": 51}, "50 validation images in a class"),
        ({"wnids": ("n00000001",)}, "Not among the 1,000 classes: n00000001"),
        ({"layout": "imagefolder"}, "Unknown layout: imagefolder"),
        ({"quirks": ("mirrored",)}, "Unknown quirk: mirrored"),
        ({"quirks": ("html-archive", "cut-on-boundary")}, "damaged in one way"),
        ({"quirks": ("cut-on-boundary",), "classes": 1}, "needs two classes"),
        ({"quirks": ("gunzipped-devkit",), "devkit": False}, "Without a devkit"),
        ({"quirks": ("gunzipped-devkit",), "layout": "kaggle"}, "layout kaggle has no archive for gunzipped-devkit"),
        ({"quirks": ("flipped-header",), "layout": "class-tars"}, "class-tars has no archive for flipped-header"),
        ({"quirks": ("hostile-names",), "layout": "sorted"}, "sorted has no archive for hostile-names"),
    ],
)
def test_an_impossible_wish_is_refused(chosen: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        MiniatureOptions(**chosen)


@pytest.mark.parametrize(("layout", "there"), [("archives", archives.TRAIN), ("sorted", "val"), ("kaggle", "ILSVRC")])
def test_nothing_is_overwritten_or_written_into(layout: str, there: str, tmp_path: Path) -> None:
    (tmp_path / there).mkdir()

    with pytest.raises(OutputError, match=f"already holds {there}"):
        write(tmp_path, options(layout=layout))
    assert [path.name for path in tmp_path.rglob("*")] == [there]


def test_a_folder_that_cannot_be_made_is_a_declared_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OutputError, match="Not a directory"):
        write(tmp_path / "file" / "out", options())

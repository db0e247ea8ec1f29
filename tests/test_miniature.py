"""The miniature ILSVRC2012: the official layout, true labels, the same bytes every time."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import tarfile
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from imagenet_prep.errors import OutputError, UsageError
from imagenet_prep.imagenet.classes import official
from imagenet_prep.testing import (
    Miniature,
    MiniatureOptions,
    PixelBox,
    archives,
    pictures,
    write_miniature,
)
from imagenet_prep.testing.annotations import annotation_xml
from imagenet_prep.testing.archives import Member

SMALL = MiniatureOptions(classes=3, images_per_class=4, validation_per_class=2)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    return write_miniature(tmp_path_factory.mktemp("plain"), SMALL)


def images_of(miniature: Miniature) -> dict[str, bytes]:
    """All images by member path, read with Python's tarfile."""
    found: dict[str, bytes] = {}
    with tarfile.open(miniature.root / archives.TRAIN) as outer:
        for class_tar in outer:
            with tarfile.open(fileobj=outer.extractfile(class_tar)) as inner:
                found |= {f"{class_tar.name}/{name}": data for name, data in contents(inner).items()}
    with tarfile.open(miniature.root / archives.VALIDATION) as flat:
        return found | contents(flat)


def contents(archive: tarfile.TarFile) -> dict[str, bytes]:
    files = {member.name: archive.extractfile(member) for member in archive if member.isreg()}
    return {name: file.read() for name, file in files.items() if file is not None}


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_the_archives_have_the_official_names(plain: Miniature) -> None:
    assert sorted(path.name for path in plain.root.iterdir()) == [
        "ILSVRC2012_bbox_train_v2.tar.gz",
        "ILSVRC2012_bbox_val_v3.tgz",
        "ILSVRC2012_devkit_t12.tar.gz",
        "ILSVRC2012_img_train.tar",
        "ILSVRC2012_img_val.tar",
    ]


def test_classes_are_spread_evenly_over_the_class_indexes() -> None:
    wnids = MiniatureOptions(classes=4).class_wnids

    assert [official().index_of(wnid) for wnid in wnids] == [0, 250, 500, 750]


def test_classes_can_be_named_and_stand_in_class_index_order() -> None:
    wnids = ("n03710721", "n01440764", "n03710721")

    assert MiniatureOptions(wnids=wnids).class_wnids == ("n01440764", "n03710721")


def test_what_was_written_is_what_the_entries_say(plain: Miniature) -> None:
    digests = {member: hashlib.sha256(data).hexdigest() for member, data in images_of(plain).items()}

    assert digests == {entry.member: entry.sha256 for entry in plain.entries}
    assert len(digests) == 3 * 4 + 3 * 2


def test_the_entries_are_in_archive_order(plain: Miniature) -> None:
    assert list(images_of(plain)) == [entry.member for entry in plain.entries]


def test_no_archive_is_in_name_order(plain: Miniature) -> None:
    validation = [entry.member for entry in plain.validation]
    numbers = [int(entry.name[10:-5]) for entry in plain.train]

    assert validation != sorted(validation)
    assert [numbers[at : at + 4] for at in (0, 4, 8)] != [sorted(numbers[at : at + 4]) for at in (0, 4, 8)]


def test_the_class_tars_are_not_in_wnid_order(tmp_path: Path) -> None:
    miniature = write_miniature(tmp_path, MiniatureOptions(images_per_class=1, validation_per_class=0))

    wnids = [entry.wnid for entry in miniature.train]
    assert wnids != sorted(wnids)
    assert sorted(wnids) == list(miniature.options.class_wnids)


def test_train_images_are_named_after_their_class_with_unpadded_numbers(plain: Miniature) -> None:
    for entry in plain.train:
        wnid, number = entry.name.removesuffix(".JPEG").split("_")
        assert entry.member == f"{wnid}.tar/{entry.name}"
        assert (entry.wnid, entry.class_index) == (wnid, official().index_of(wnid))
        assert str(int(number)) == number
    assert max(int(entry.name[10:-5]) for entry in plain.train) > 4  # with gaps: there are four of each class


def test_validation_images_are_the_first_that_truly_show_the_class(tmp_path: Path) -> None:
    """In the published labels the first tench is image 293, the second image 2,138."""
    tench = MiniatureOptions(wnids=("n01440764",), images_per_class=1, validation_per_class=2)

    miniature = write_miniature(tmp_path, tench)

    assert {entry.name: entry.class_index for entry in miniature.validation} == {
        "ILSVRC2012_val_00000293.JPEG": 0,
        "ILSVRC2012_val_00002138.JPEG": 0,
    }


def test_all_fifty_validation_images_of_a_class_can_be_had(tmp_path: Path) -> None:
    options = MiniatureOptions(classes=1, images_per_class=1, validation_per_class=50)

    assert len(write_miniature(tmp_path, options).validation) == 50


def test_without_validation_images_their_archives_are_not_written(tmp_path: Path) -> None:
    options = MiniatureOptions(classes=1, images_per_class=1, validation_per_class=0, devkit=False)

    miniature = write_miniature(tmp_path, options)

    assert [path.name for path in miniature.archives] == [archives.TRAIN, archives.TRAIN_BOXES]
    assert sorted(tmp_path.iterdir()) == sorted(miniature.archives)


def test_the_devkit_holds_the_published_ground_truth(plain: Miniature) -> None:
    with tarfile.open(plain.root / archives.DEVKIT, "r:gz") as devkit:
        files = contents(devkit)

    lines = files["ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"].decode().splitlines()
    assert lines[:4] == ["490", "361", "171", "822"]
    assert len(lines) == 50_000


def test_gnu_tar_reads_the_archives(plain: Miniature) -> None:
    for path in plain.archives:
        listing = subprocess.run(["tar", "-tf", path], capture_output=True, text=True, check=True)
        with tarfile.open(path) as archive:
            names = [member.name + "/" * member.isdir() for member in archive]
        assert listing.stdout.splitlines() == names
        assert listing.stderr == ""


def test_gnu_tar_reads_a_class_tar(plain: Miniature) -> None:
    train = plain.root / archives.TRAIN
    names = [entry.name for entry in plain.train if entry.wnid == "n01440764"]

    class_tar = subprocess.run(["tar", "-xOf", train, "n01440764.tar"], capture_output=True, check=True).stdout
    listing = subprocess.run(["tar", "-tf", "-"], input=class_tar, capture_output=True, check=True)

    assert listing.stdout.decode().splitlines() == names
    assert listing.stderr == b""


def boxes_in(path: Path) -> dict[str, ET.Element]:
    with tarfile.open(path, "r:gz") as archive:
        return {name: ET.fromstring(xml) for name, xml in contents(archive).items()}


def test_an_annotation_is_pascal_voc_with_tabs() -> None:
    xml = annotation_xml("n01440764", "n01440764_18", "n01440764", (64, 48), [PixelBox(1, 2, 30, 40)])

    root = ET.fromstring(xml)
    assert [element.tag for element in root] == [
        "folder",
        "filename",
        "source",
        "size",
        "segmented",
        "object",
    ]
    assert (root.findtext("folder"), root.findtext("filename")) == ("n01440764", "n01440764_18")
    assert [element.text for element in root.iterfind("size/*")] == ["64", "48", "3"]
    assert root.findtext("object/name") == "n01440764"
    assert [(edge.tag, edge.text) for edge in root.iterfind("object/bndbox/*")] == [
        ("xmin", "1"),
        ("ymin", "2"),
        ("xmax", "30"),
        ("ymax", "40"),
    ]
    assert xml.startswith(b"<annotation>\n\t<folder>n01440764</folder>\n")


def test_every_validation_image_has_boxes(plain: Miniature) -> None:
    annotated = boxes_in(plain.root / archives.VALIDATION_BOXES)

    assert set(annotated) == {f"val/{entry.name.replace('.JPEG', '.xml')}" for entry in plain.validation}


def test_about_half_of_the_train_images_have_boxes(tmp_path: Path) -> None:
    miniature = write_miniature(tmp_path, MiniatureOptions(classes=2, images_per_class=50))

    annotated = boxes_in(tmp_path / archives.TRAIN_BOXES)

    expected = {f"{e.wnid}/{e.name.replace('.JPEG', '.xml')}" for e in miniature.train if e.boxes}
    assert set(annotated) == expected
    assert 30 < len(annotated) < 70


def test_without_box_archives_no_entry_has_boxes(tmp_path: Path) -> None:
    miniature = write_miniature(tmp_path, MiniatureOptions(classes=1, images_per_class=1, boxes=False))

    assert {entry.boxes for entry in miniature.entries} == {()}
    assert [path.name for path in miniature.archives] == [
        archives.TRAIN,
        archives.VALIDATION,
        archives.DEVKIT,
    ]


def test_boxes_are_inside_the_picture_and_sometimes_two(tmp_path: Path) -> None:
    miniature = write_miniature(tmp_path, MiniatureOptions(classes=1, images_per_class=60))
    boxed = [entry for entry in miniature.entries if entry.boxes]

    assert {len(entry.boxes) for entry in boxed} == {1, 2}
    for entry in boxed:
        for box in entry.boxes:
            assert 0 <= box.xmin < box.xmax <= entry.width
            assert 0 <= box.ymin < box.ymax <= entry.height


def test_boxes_refer_to_the_size_in_the_annotation_which_is_sometimes_double(tmp_path: Path) -> None:
    miniature = write_miniature(tmp_path, MiniatureOptions(classes=1, images_per_class=60))
    annotated = boxes_in(tmp_path / archives.TRAIN_BOXES)
    scales = set()

    for entry in miniature.train:
        root = annotated.get(f"{entry.wnid}/{entry.name.replace('.JPEG', '.xml')}")
        if root is not None:
            scale = int(root.findtext("size/width", "")) // entry.width
            edges = [[int(edge.text or "") for edge in box] for box in root.iter("bndbox")]
            assert edges == [[edge * scale for edge in box] for box in entry.boxes]
            scales.add(scale)
    assert scales == {1, 2}


def test_the_same_options_give_the_same_bytes(plain: Miniature, tmp_path: Path) -> None:
    again = write_miniature(tmp_path / "elsewhere", SMALL)

    assert [path.read_bytes() for path in again.archives] == [path.read_bytes() for path in plain.archives]
    assert again.entries == plain.entries


def test_another_seed_gives_other_pictures_and_another_order(plain: Miniature, tmp_path: Path) -> None:
    options = MiniatureOptions(classes=3, images_per_class=4, validation_per_class=2, seed=1)

    other = write_miniature(tmp_path, options)

    assert not {entry.sha256 for entry in other.entries} & {entry.sha256 for entry in plain.entries}
    assert [entry.name for entry in other.validation] != [entry.name for entry in plain.validation]


def test_a_larger_miniature_contains_the_smaller(plain: Miniature, tmp_path: Path) -> None:
    larger = write_miniature(tmp_path, MiniatureOptions(classes=3, images_per_class=9, validation_per_class=5))

    assert {entry.sha256 for entry in plain.entries} < {entry.sha256 for entry in larger.entries}


def test_the_layout_never_changes_unnoticed(tmp_path: Path) -> None:
    """Golden digests of archives made of fixed bytes: no encoder has a part in them."""
    archives.write_train_archive(
        tmp_path / "train.tar",
        [("n01440764", [("n01440764_18.JPEG", b"fish"), ("n01440764_7.JPEG", b"")]), ("n01443537", [])],
    )
    archives.write_packed_archive(tmp_path / "packed.tgz", [("a.txt", b"text")])

    written = (tmp_path / "train.tar").read_bytes(), gzip.decompress((tmp_path / "packed.tgz").read_bytes())
    assert [hashlib.sha256(tar).hexdigest() for tar in written] == [
        "4f607e754e1a5c54d8cca2e709901586e4dd096f7e5bb922c00474230e772dc6",
        "2354080ec603f4efb03fdb48d43a92cf999b8f66b496dc8e6de4b7b984b4376c",
    ]


def test_a_tar_has_the_bytes_gnu_tar_writes(tmp_path: Path) -> None:
    if "GNU tar" not in subprocess.run(["tar", "--version"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("this tar is not GNU tar")
    (tmp_path / "n01440764_18.JPEG").write_bytes(b"fish")
    (tmp_path / "n01440764_18.JPEG").chmod(0o644)
    fixed = ["--format=gnu", "--numeric-owner", "--owner=0", "--group=0", f"--mtime=@{archives.MTIME}"]

    made = subprocess.run(
        ["tar", *fixed, "-cf", "-", "n01440764_18.JPEG"], cwd=tmp_path, capture_output=True, check=True
    )

    assert archives.tar_of([("n01440764_18.JPEG", b"fish")]) == made.stdout


def test_a_plain_header_is_the_one_tarfile_writes() -> None:
    info = tarfile.TarInfo("n01440764_10026.JPEG")
    info.size, info.mtime = 114_660, archives.MTIME

    written = archives.tar_of([Member(info.name, bytes(info.size))])

    assert written[:512] == info.tobuf(tarfile.GNU_FORMAT)


def test_a_tar_ends_with_empty_blocks_up_to_a_full_record() -> None:
    assert archives.tar_of([]) == bytes(10_240)
    assert len(archives.tar_of([("full.bin", bytes(10_240 - 3 * 512))])) == 10_240
    assert len(archives.tar_of([("over.bin", bytes(10_240 - 2 * 512))])) == 20_480


def test_long_and_foreign_names_survive() -> None:
    names = ["n01440764_" + "1" * 200 + ".JPEG", "n01440764_é.JPEG"]

    with tarfile.open(fileobj=io.BytesIO(archives.tar_of((name, b"x") for name in names))) as archive:
        assert archive.getnames() == names


def test_a_failed_writing_leaves_no_archive(tmp_path: Path) -> None:
    def images() -> list[tuple[str, bytes]]:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        archives.write_train_archive(tmp_path / "train.tar", ((wnid, images()) for wnid in ["n01440764"]))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(plain: Miniature) -> None:
    before = [path.read_bytes() for path in plain.archives]

    with pytest.raises(OutputError, match=r"already holds ILSVRC2012_img_train\.tar, ILSVRC2012_img_val\.tar"):
        write_miniature(plain.root, SMALL)
    assert [path.read_bytes() for path in plain.archives] == before


def test_a_folder_that_cannot_be_made_is_a_declared_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OutputError, match="Not a directory"):
        write_miniature(tmp_path / "file" / "out", SMALL)


def test_pictures_differ_in_size_colour_and_subsampling() -> None:
    drawn = [opened(pictures.picture(f"some/{number}")) for number in range(150)]

    assert len({image.size for image in drawn}) > 100
    assert {image.mode for image in drawn} == {"RGB", "L"}
    assert sum(image.mode == "L" for image in drawn) < 15
    layers = {image.layer[0][1:3] for image in drawn if image.mode == "RGB"}  # type: ignore[attr-defined]
    assert layers == {(1, 1), (2, 1), (2, 2)}


def test_small_pictures_are_24_to_96_pixels_a_side() -> None:
    sides = {side for number in range(100) for side in pictures.draw(str(number)).image.size}

    assert (min(sides) >= 24, max(sides) <= 96) == (True, True)


def test_photo_pictures_have_the_size_of_photographs() -> None:
    drawn = [pictures.picture(str(number), "photo") for number in range(12)]

    assert 60_000 < sum(map(len, drawn)) / 12 < 160_000
    assert (500, 375) in {opened(data).size for data in drawn}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"classes": 0}, "1 to 1,000 classes"),
        ({"classes": 1001}, "1 to 1,000 classes"),
        ({"images_per_class": 0}, "at least one image"),
        ({"validation_per_class": 51}, "50 validation images in a class"),
        ({"wnids": ("n00000001",)}, "Not among the 1,000 classes: n00000001"),
        ({"quirks": ("mirrored",)}, "Unknown quirk: mirrored"),
        ({"quirks": ("html-archive", "cut-on-boundary")}, "damaged in one way"),
        ({"quirks": ("cut-on-boundary",), "classes": 1}, "needs two classes"),
        ({"quirks": ("gunzipped-devkit",), "devkit": False}, "Without a devkit"),
    ],
)
def test_an_impossible_wish_is_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        MiniatureOptions(**options)  # type: ignore[arg-type]

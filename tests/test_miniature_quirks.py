"""The quirks of the miniature: each is really there, where the miniature says, and nowhere else."""

from __future__ import annotations

import io
import subprocess
import tarfile
import warnings
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from imagenet_prep.errors import UsageError
from imagenet_prep.imagenet.classes import official
from imagenet_prep.testing import (
    QUIRKS,
    Miniature,
    MiniatureEntry,
    MiniatureOptions,
    archives,
    faults,
    pictures,
    write_miniature,
)
from imagenet_prep.testing.oddities import IMAGE_ODDITIES, MEMBER_ODDITIES, hostile_members


def with_quirks(out: Path, *quirks: str) -> Miniature:
    return write_miniature(out, MiniatureOptions(classes=2, images_per_class=4, quirks=quirks))


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


def planted_image(out: Path, quirk: str) -> tuple[MiniatureEntry, bytes]:
    """A miniature with one quirk: the only entry that has it, and its bytes."""
    miniature = with_quirks(out, quirk)
    (entry,) = [entry for entry in miniature.entries if entry.quirk == quirk]
    assert [planted[:3] for planted in miniature.planted] == [(quirk, entry.archive, entry.member)]
    return entry, images_of(miniature)[entry.member]


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_a_cmyk_image_has_four_channels(tmp_path: Path) -> None:
    image = opened(planted_image(tmp_path, "cmyk")[1])

    assert (image.format, image.mode, image.info["adobe_transform"]) == ("JPEG", "CMYK", 0)


def test_a_cmyk_image_shows_the_drawing_when_converted() -> None:
    drawing = pictures.draw("cmyk")

    converted = opened(IMAGE_ODDITIES["cmyk"](drawing)).convert("RGB")

    middle = (drawing.image.width // 2, drawing.image.height // 2)
    pairs = zip(converted.getpixel(middle), drawing.image.getpixel(middle), strict=True)  # type: ignore[arg-type]
    assert all(abs(ours - drawn) < 40 for ours, drawn in pairs)


def test_a_greyscale_image_has_one_channel(tmp_path: Path) -> None:
    image = opened(planted_image(tmp_path, "greyscale")[1])

    assert (image.format, image.mode) == ("JPEG", "L")


def test_a_png_hides_under_the_name_of_a_jpeg(tmp_path: Path) -> None:
    entry, data = planted_image(tmp_path, "png")

    assert entry.name.endswith(".JPEG")
    assert opened(data).format == "PNG"


def test_an_exif_orientation_asks_for_a_turn(tmp_path: Path) -> None:
    entry, data = planted_image(tmp_path, "exif-orientation")
    image = opened(data)

    assert dict(image.getexif()) == {0x0112: 6}
    assert image.size == (entry.width, entry.height)


def test_a_malformed_exif_block_makes_pillow_warn_but_not_fail(tmp_path: Path) -> None:
    _, data = planted_image(tmp_path, "exif-malformed")

    with pytest.warns(UserWarning, match="Corrupt EXIF data"):
        opened(data).getexif()
    with warnings.catch_warnings(action="ignore"):
        assert opened(data).mode == "RGB"


def test_a_progressive_image_has_several_scans(tmp_path: Path) -> None:
    _, data = planted_image(tmp_path, "progressive")

    assert opened(data).info["progressive"] == 1
    assert data.count(b"\xff\xda") > 1


def test_a_truncated_image_has_whole_headers_and_half_its_pixels(tmp_path: Path) -> None:
    entry, data = planted_image(tmp_path, "truncated")
    image = Image.open(io.BytesIO(data))

    assert image.size == (entry.width, entry.height)
    assert data.count(b"\xff\xda") == 1
    (whole,) = [one for one in with_quirks(tmp_path / "whole").entries if one.member == entry.member]
    assert len(data) < 0.9 * whole.size
    with pytest.raises(OSError, match="truncated"):
        image.load()


def test_an_empty_image_has_no_bytes(tmp_path: Path) -> None:
    entry, data = planted_image(tmp_path, "empty")

    assert (data, entry.size) == (b"", 0)


def test_a_text_is_no_picture(tmp_path: Path) -> None:
    _, data = planted_image(tmp_path, "text")

    assert data.startswith(b"This is a text file")
    with pytest.raises(UnidentifiedImageError):
        opened(data)


def test_a_duplicate_has_the_bytes_of_an_image_of_another_class(tmp_path: Path) -> None:
    miniature = with_quirks(tmp_path, "duplicate")

    (twin,) = [entry for entry in miniature.entries if entry.quirk]
    (original,) = [entry for entry in miniature.entries if entry.sha256 == twin.sha256 and entry is not twin]
    assert original.wnid != twin.wnid
    assert len({entry.sha256 for entry in miniature.entries}) == len(miniature.entries) - 1


def test_every_class_keeps_two_images_without_a_quirk(tmp_path: Path) -> None:
    options = MiniatureOptions(classes=3, images_per_class=6, quirks=tuple(IMAGE_ODDITIES))

    intact = [entry.wnid for entry in write_miniature(tmp_path, options).train if not entry.quirk]

    assert {intact.count(wnid) for wnid in options.class_wnids} == {2, 3}


def test_what_was_planted_is_told_in_the_order_of_the_table(tmp_path: Path) -> None:
    undamaged = [quirk for quirk in QUIRKS if quirk not in faults.ARCHIVE_FAULTS]
    options = MiniatureOptions(classes=5, images_per_class=6, quirks=(*reversed(undamaged), "flipped-header"))

    miniature = write_miniature(tmp_path, options)

    assert [planted.quirk for planted in miniature.planted] == [*undamaged, "flipped-header"]


def test_more_quirks_than_images_are_refused(tmp_path: Path) -> None:
    options = MiniatureOptions(classes=3, images_per_class=5, quirks=tuple(IMAGE_ODDITIES))

    with pytest.raises(UsageError, match="10 image quirks in 3 classes need 6 images per class"):
        write_miniature(tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_a_quirk_leaves_all_other_images_as_they_are(tmp_path: Path) -> None:
    without = with_quirks(tmp_path / "without")
    with_one = with_quirks(tmp_path / "with", "cmyk")

    changed = [one.quirk for one, other in zip(with_one.entries, without.entries, strict=True) if one != other]
    assert changed == ["cmyk"]


def test_hostile_members_stand_beside_the_images(tmp_path: Path) -> None:
    miniature = with_quirks(tmp_path, "hostile-names")
    (planted,) = miniature.planted

    with tarfile.open(tmp_path / archives.TRAIN) as train:
        class_tar = io.BytesIO(contents(train)[planted.member])
    with tarfile.open(fileobj=class_tar) as inner:
        members = inner.getmembers()

    assert [(member.name, member.type) for member in members[:10]] == [
        ("../evil.JPEG", tarfile.REGTYPE),
        ("n01440764/../../evil.JPEG", tarfile.REGTYPE),
        ("/tmp/evil.JPEG", tarfile.REGTYPE),
        ("C:\\evil.JPEG", tarfile.REGTYPE),
        ("n01440764_1\n2.JPEG", tarfile.REGTYPE),
        ("n01440764_900001.JPEG\0.txt", tarfile.REGTYPE),
        ("n01440764_900002.JPEG", tarfile.SYMTYPE),
        ("n01440764_900003.JPEG", tarfile.LNKTYPE),
        ("n01440764_900004.JPEG", tarfile.CHRTYPE),
        ("n01440764_900005.JPEG", tarfile.FIFOTYPE),
    ]
    names = [entry.name for entry in miniature.train if entry.wnid == "n01440764"]
    assert [member.name for member in members[10:]] == names


def test_gnu_tar_walks_past_hostile_members() -> None:
    archive = archives.tar_of([*hostile_members("n01440764"), ("last.JPEG", b"x")])

    listing = subprocess.run(["tar", "-tf", "-"], input=archive, capture_output=True, check=True)

    assert listing.stdout.decode().splitlines()[-1] == "last.JPEG"


def test_macos_litter_is_no_entry(tmp_path: Path) -> None:
    miniature = with_quirks(tmp_path, "macos-litter")
    (planted,) = miniature.planted
    extra = sorted(set(images_of(miniature)) - {entry.member for entry in miniature.entries})

    wnid = planted.member.removesuffix(".tar")
    assert extra == [f"{wnid}.tar/{name}" for name in (".DS_Store", f"._{wnid}_1.JPEG", f"__MACOSX/._{wnid}_2.JPEG")]


def test_an_unknown_class_is_not_among_the_thousand(tmp_path: Path) -> None:
    miniature = with_quirks(tmp_path, "unknown-class")

    with tarfile.open(tmp_path / archives.TRAIN) as outer:
        names = outer.getnames()
    assert miniature.planted[0].member == "n00007846.tar"
    assert (names.index("n00007846.tar"), len(names), official().find("n00007846")) == (1, 3, None)


def test_a_login_page_takes_the_place_of_the_train_archive(tmp_path: Path) -> None:
    with_quirks(tmp_path, "html-archive")

    assert (tmp_path / archives.TRAIN).read_bytes().startswith(b"<!DOCTYPE html>")


def test_an_archive_cut_inside_a_member_loses_half_an_image(tmp_path: Path) -> None:
    whole = with_quirks(tmp_path / "whole")
    cut = with_quirks(tmp_path / "cut", "cut-inside-member")
    kept, full = (m.archives[0].read_bytes() for m in (cut, whole))
    last = images_of(whole)[whole.train[-1].member]

    assert len(kept) == cut.planted[0].offset
    assert full.startswith(kept)
    assert kept.endswith(last[: len(last) // 2])


def test_an_archive_cut_on_a_boundary_keeps_whole_members_and_no_end(tmp_path: Path) -> None:
    whole = with_quirks(tmp_path / "whole")
    cut = with_quirks(tmp_path / "cut", "cut-on-boundary")

    kept = cut.archives[0].read_bytes()
    with tarfile.open(whole.archives[0]) as outer:
        first, second = outer.getmembers()
    with tarfile.open(cut.archives[0]) as outer:
        assert outer.getnames() == [first.name]
    assert len(kept) == cut.planted[0].offset == second.offset == first.offset_data + first.size


def test_a_flipped_header_is_denied_by_its_checksum(tmp_path: Path) -> None:
    miniature = with_quirks(tmp_path, "flipped-header")
    offset = miniature.planted[0].offset or 0

    header = miniature.archives[0].read_bytes()[offset - 131 : offset - 131 + 512]

    assert header.startswith(miniature.train[-1].name.encode())
    with pytest.raises(tarfile.HeaderError, match="bad checksum"):
        tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    assert abs(int(header[124:135], 8) - miniature.train[-1].size) == 512


def test_a_gunzipped_devkit_is_a_plain_tar_under_its_old_name(tmp_path: Path) -> None:
    with_quirks(tmp_path, "gunzipped-devkit")

    with tarfile.open(tmp_path / "ILSVRC2012_devkit_t12.tar.gz", "r:") as devkit:
        assert "ILSVRC2012_validation_ground_truth.txt" in devkit.getnames()[-1]


def test_faults_work_on_a_flat_archive_too(tmp_path: Path) -> None:
    path = tmp_path / "val.tar"
    archives.write_flat_archive(path, [("a.JPEG", b"a" * 600), ("b.JPEG", b"b" * 600)])

    assert faults.flip_header(path) == 512 + 1024 + 131
    path.unlink()
    archives.write_flat_archive(path, [("a.JPEG", b"a" * 600), ("b.JPEG", b"b" * 600)])
    assert faults.cut_inside_member(path) == 512 + 1024 + 512 + 300
    path.unlink()
    archives.write_flat_archive(path, [("a.JPEG", b"a" * 600), ("b.JPEG", b"b" * 600)])
    assert faults.cut_on_boundary(path) == 512 + 1024


def test_flipping_a_byte_twice_restores_it(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(b"abc")

    faults.flip_byte(path, 1)
    assert path.read_bytes() == b"acc"
    faults.flip_byte(path, 1)
    assert path.read_bytes() == b"abc"


def test_an_archive_of_one_member_cannot_be_cut_on_a_boundary(tmp_path: Path) -> None:
    archives.write_flat_archive(tmp_path / "one.tar", [("a.JPEG", b"a")])

    with pytest.raises(UsageError, match="one member"):
        faults.cut_on_boundary(tmp_path / "one.tar")


def test_every_quirk_in_the_table_can_be_planted_and_nothing_else() -> None:
    plantable = {*IMAGE_ODDITIES, *MEMBER_ODDITIES, "unknown-class", *faults.ARCHIVE_FAULTS}

    assert set(QUIRKS) == plantable
    assert list(QUIRKS)[: len(IMAGE_ODDITIES)] == list(IMAGE_ODDITIES)

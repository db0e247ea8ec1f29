"""Bounding boxes: what an annotation means as fractions of its image, and what becomes of one that is damaged."""

from __future__ import annotations

import contextlib
import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_prep.errors import SourceError
from imagenet_prep.model.sample import Box
from imagenet_prep.sources.boxes import read_boxes
from imagenet_prep.testing import MiniatureOptions, write_miniature
from imagenet_prep.testing.annotations import annotation_xml
from imagenet_prep.testing.archives import Member, tar_of, write_packed_archive
from imagenet_prep.testing.pictures import PixelBox
from support.sentences import Sentence

NAME = "n01440764/n01440764_18.xml"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "ILSVRC2012_bbox_train_v2.tar.gz"


def xml(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (200, 100), name: str = "n01440764") -> bytes:
    return annotation_xml("n01440764", "n01440764_18", name, size, [PixelBox(*box) for box in boxes])


def boxes_of(archive: Path, annotation: bytes) -> tuple[Box, ...]:
    write_packed_archive(archive, [(NAME, annotation)])
    ((stem, boxes),) = read_boxes(archive)
    assert stem == "n01440764_18"
    return boxes


def refusal(archive: Path) -> str:
    with pytest.raises(SourceError) as caught:
        list(read_boxes(archive))
    return str(caught.value)


def test_a_box_is_given_as_fractions_of_the_size_beside_it(archive: Path) -> None:
    assert boxes_of(archive, xml((20, 25, 100, 75))) == (Box(0.1, 0.25, 0.5, 0.75),)


def test_boxes_keep_their_order(archive: Path) -> None:
    assert boxes_of(archive, xml((100, 0, 200, 100), (0, 0, 50, 50))) == (Box(0.5, 0, 1, 1), Box(0, 0, 0.25, 0.5))


def test_sides_that_were_swapped_are_put_in_order(archive: Path) -> None:
    assert boxes_of(archive, xml((100, 75, 20, 25))) == (Box(0.1, 0.25, 0.5, 0.75),)


def test_sides_outside_the_image_are_moved_to_its_edge(archive: Path) -> None:
    assert boxes_of(archive, xml((-20, -1, 300, 101))) == (Box(0, 0, 1, 1),)


@pytest.mark.parametrize("box", [(20, 25, 20, 75), (20, 25, 100, 25), (300, 10, 400, 20)])
def test_a_box_without_area_inside_the_image_is_dropped(archive: Path, box: tuple[int, int, int, int]) -> None:
    assert boxes_of(archive, xml(box)) == ()


def test_a_box_of_another_of_the_1000_classes_is_dropped(archive: Path) -> None:
    assert boxes_of(archive, xml((20, 25, 100, 75), name="n02119789")) == ()


@pytest.mark.parametrize("name", ["n00007846", "dog", ""])
def test_a_box_with_a_name_that_is_no_class_counts_as_one_of_its_image(archive: Path, name: str) -> None:
    assert len(boxes_of(archive, xml((20, 25, 100, 75), name=name))) == 1


def test_a_validation_box_belongs_to_its_file_whatever_its_name(archive: Path) -> None:
    write_packed_archive(archive, [("val/ILSVRC2012_val_00000001.xml", xml((20, 25, 100, 75), name="n01751748"))])

    assert list(read_boxes(archive)) == [("ILSVRC2012_val_00000001", (Box(0.1, 0.25, 0.5, 0.75),))]


def test_fractions_of_a_pixel_are_kept(archive: Path) -> None:
    assert boxes_of(archive, xml((20, 25, 100, 75)).replace(b">20<", b">20.5<")) == (Box(0.1025, 0.25, 0.5, 0.75),)


def test_folders_litter_and_other_files_are_passed_over(archive: Path) -> None:
    litter = Member("n01440764/._n01440764_18.xml", b"\0\5\x16\7")
    others = [Member("n01440764/", kind=b"5"), litter, Member("readme", b"hi")]
    write_packed_archive(archive, [*others, (NAME, xml())])

    assert list(read_boxes(archive)) == [("n01440764_18", ())]


def test_an_unpacked_archive_is_read_just_as_well(archive: Path) -> None:
    archive.write_bytes(tar_of([(NAME, xml((20, 25, 100, 75)))]))

    assert list(read_boxes(archive)) == [("n01440764_18", (Box(0.1, 0.25, 0.5, 0.75),))]


def test_the_boxes_of_the_miniature_are_those_of_its_pictures(tmp_path: Path) -> None:
    """Among them are annotations made at twice the size of the picture: only fractions fit."""
    mini = write_miniature(tmp_path, MiniatureOptions(classes=2, images_per_class=20, validation_per_class=5))

    found = dict(read_boxes(tmp_path / "ILSVRC2012_bbox_train_v2.tar.gz"))
    found |= dict(read_boxes(tmp_path / "ILSVRC2012_bbox_val_v3.tgz"))

    assert found == {
        entry.name.removesuffix(".JPEG"): tuple(
            Box(x / entry.width, y / entry.height, right / entry.width, bottom / entry.height)
            for x, y, right, bottom in entry.boxes
        )
        for entry in mini.entries
        if entry.boxes
    }


GOOD = xml((20, 25, 100, 75))


@pytest.mark.parametrize(
    "annotation",
    [
        b"",
        b"not XML",
        GOOD[:300],
        GOOD.replace(b"<width>200</width>", b""),
        GOOD.replace(b">200<", b">0<"),
        GOOD.replace(b">200<", b">wide<"),
        GOOD.replace(b">200<", b">nan<"),
        GOOD.replace(b">20<", b">inf<"),
        GOOD.replace(b">20<", b">1e999<"),
        GOOD.replace(b"<xmin>20</xmin>", b""),
        b'<?xml version="1.0" encoding="nonsense"?>' + GOOD,
        b'<?xml version="1.0" encoding="hex"?>' + GOOD,
        b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + GOOD.replace(b">20<", b">&e;<"),
        b"<!DOCTYPE a [<!ENTITY a '" + b"9" * 99 + b"'>"
        + b"".join(b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 20) for n in range(8))
        + b"]>" + GOOD.replace(b">20<", b">&i;<"),
    ],
    ids=[
        "empty", "text", "cut", "no-width", "zero-width", "width-in-words", "width-nan", "inf", "too-large", "no-xmin",
        "unknown-encoding", "encoding-of-no-text", "external-entity", "entity-bomb",
    ],
)  # fmt: skip
def test_an_annotation_that_cannot_be_understood_is_named_with_its_place(
    archive: Path, annotation: bytes, sentence: Sentence
) -> None:
    write_packed_archive(archive, [(NAME, annotation)])

    message = refusal(archive)

    sentence(message)


def test_an_archive_cut_short_is_an_error_of_the_source(archive: Path) -> None:
    write_packed_archive(archive, [(NAME, GOOD), ("n01440764/n01440764_19.xml", GOOD)])
    whole, packed = list(read_boxes(archive)), archive.read_bytes()

    for size in range(len(packed)):
        archive.write_bytes(packed[:size])
        with contextlib.suppress(SourceError):
            assert list(read_boxes(archive)) == whole, size


def test_a_damaged_archive_is_an_error_of_the_source_and_no_other(archive: Path) -> None:
    numbers = [place * 7919 % 200 for place in range(400)]  # enough that it is not unpacked in one go
    boxes = zip(*[iter(numbers)] * 4, strict=True)
    annotations = [xml(box) for box in boxes]
    write_packed_archive(archive, [(f"n01440764/n01440764_{at}.xml", each) for at, each in enumerate(annotations)])
    packed = archive.read_bytes()

    for place in range(0, len(packed), 12):
        for mask in (0x01, 0xFF):
            archive.write_bytes(packed[:place] + bytes([packed[place] ^ mask]) + packed[place + 1 :])
            with contextlib.suppress(SourceError):
                list(read_boxes(archive))


def test_a_changed_digit_is_found_by_the_checksum_of_gzip(archive: Path) -> None:
    packed = gzip.compress(tar_of([(NAME, GOOD)]), 0)  # stored: the digits can be seen
    archive.write_bytes(packed.replace(b"<xmin>20<", b"<xmin>70<"))

    assert str(archive) in refusal(archive)


def test_a_web_page_is_an_error_that_names_the_file(archive: Path) -> None:
    archive.write_bytes(b"<html>log in</html>")

    assert refusal(archive).startswith(
        f"An archive is damaged:\n  {archive.name} at byte 0: the archive ends inside a member's header\n"
    )


def test_a_flipped_bit_in_a_header_of_an_unpacked_archive_is_not_its_end(archive: Path) -> None:
    """Without gzip's checksum around it, only the header's own says that the boxes behind it are missing."""
    data = bytearray(tar_of([(NAME, GOOD), ("n01440764/n01440764_19.xml", GOOD)]))
    data[512 + len(GOOD) + -len(GOOD) % 512] ^= 1
    archive.write_bytes(data)

    assert "this is not a tar header (bad checksum)" in refusal(archive)


PEAK = """
import sys, tracemalloc
from pathlib import Path
from imagenet_prep import official
from imagenet_prep.sources.boxes import read_boxes
official()  # the class table stays in memory, whoever asks first
tracemalloc.start()
count = sum(1 for _ in read_boxes(Path(sys.argv[1])))
print(count, tracemalloc.get_traced_memory()[1])
"""


def test_memory_does_not_grow_with_the_annotations(archive: Path) -> None:
    # 11,000 members more, if they were kept, would take 5.5 MB more; the real archive has 544,546.
    few, many = (_peak_of_reading(archive, annotations) for annotations in (1_000, 12_000))
    assert many < few + 4_000_000


def _peak_of_reading(archive: Path, annotations: int) -> int:
    """In a process of its own: what else is in memory decides when Python looks for cycles."""
    members = [(f"n01440764/n01440764_{number}.xml", xml((0, 0, 9, 9))) for number in range(annotations)]
    archive.unlink(missing_ok=True)
    write_packed_archive(archive, members)
    result = subprocess.run(
        [sys.executable, "-c", PEAK, archive], capture_output=True, text=True, check=True, timeout=120
    )
    count, peak = map(int, result.stdout.split())
    assert count == annotations
    return peak

"""The devkit's ground truth: the class of each validation image, packed or unpacked, or a sentence why not."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterable
from pathlib import Path

import pytest

from imagenet_prep.errors import SourceError
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.sources.devkit import read_ground_truth
from imagenet_prep.testing import faults
from imagenet_prep.testing.archives import GROUND_TRUTH, Member, tar_of, write_devkit, write_packed_archive

pytestmark = pytest.mark.quick

REMEDY = "Download the devkit again, or remove it: the program knows the validation classes without it."


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    return tmp_path / "ILSVRC2012_devkit_t12.tar.gz"


def with_lines(devkit: Path, lines: Iterable[str]) -> Path:
    write_packed_archive(devkit, [(GROUND_TRUTH, "".join(f"{line}\n" for line in lines).encode())])
    return devkit


def refusal(devkit: Path) -> str:
    with pytest.raises(SourceError) as caught:
        read_ground_truth(devkit)
    return str(caught.value)


def test_the_first_four_integers_are_those_of_the_published_truth(devkit: Path) -> None:
    write_devkit(devkit, [490, 361, 171, 822])

    truth = read_ground_truth(devkit)

    assert [official().classes[index].wnid for index in truth] == ["n01751748", "n09193705", "n02105855", "n04263257"]
    assert list(truth) == [65, 970, 230, 809]


def test_all_fifty_thousand_lines_give_the_built_in_truth(devkit: Path) -> None:
    write_devkit(devkit, (official().classes[index].devkit for index in validation_truth()))

    assert read_ground_truth(devkit) == validation_truth()


def test_an_unpacked_devkit_is_read_just_as_well(devkit: Path) -> None:
    write_devkit(devkit, [490, 361])
    faults.gunzip(devkit)

    assert list(read_ground_truth(devkit)) == [65, 970]


def test_macos_litter_beside_the_truth_is_not_the_truth(devkit: Path) -> None:
    litter = GROUND_TRUTH.replace("/ILSVRC2012_val", "/._ILSVRC2012_val")
    write_packed_archive(devkit, [(litter, b"Mac OS X"), (GROUND_TRUTH, b"490\n")])

    assert list(read_ground_truth(devkit)) == [65]


def test_lines_may_end_as_on_windows(devkit: Path) -> None:
    write_packed_archive(devkit, [(GROUND_TRUTH, b"490\r\n361\r\n")])

    assert list(read_ground_truth(devkit)) == [65, 970]


@pytest.mark.parametrize(
    "line", ["0", "1001", "-5", "3.5", "0x1f", "n01751748", "١", "010001", "0100099", "9" * 30, "1_0"]
)
def test_a_line_that_is_no_devkit_integer_is_named(devkit: Path, line: str) -> None:
    with_lines(devkit, ["490", line])

    assert refusal(devkit).startswith("The devkit cannot be used:\n  ILSVRC2012_devkit_t12.tar.gz: ")
    if line.isascii():
        assert f"line 2 is {line[:20]!r}, not a number from 1 to 1,000\n{REMEDY}" in refusal(devkit)


def test_an_archive_without_the_truth_says_what_is_missing(devkit: Path) -> None:
    write_packed_archive(devkit, [("ILSVRC2012_devkit_t12/readme.txt", b"hello")])

    assert refusal(devkit) == (
        "The devkit cannot be used:\n  ILSVRC2012_devkit_t12.tar.gz: "
        f"ILSVRC2012_validation_ground_truth.txt: is not in the archive\n{REMEDY}"
    )


@pytest.mark.parametrize("kind", [b"1", b"2", b"5"])
def test_a_link_or_folder_in_its_place_is_not_followed(devkit: Path, kind: bytes) -> None:
    write_packed_archive(devkit, [Member(GROUND_TRUTH, kind=kind, link="/etc/passwd")])

    assert "is not in the archive" in refusal(devkit)


def test_a_truth_of_a_gigabyte_is_not_read(devkit: Path) -> None:
    block = bytearray(tar_of([(GROUND_TRUTH, b"")])[:512])
    block[124:136] = b"%011o\0" % (1 << 30)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    devkit.write_bytes(gzip.compress(bytes(block) + bytes(4096)))

    assert "claims 1,073,741,824 bytes" in refusal(devkit)


def test_a_text_file_is_no_devkit(devkit: Path) -> None:
    devkit.write_bytes(b"490\n361\n" * 100)

    assert refusal(devkit) == (
        f"An archive is damaged:\n  {devkit.name} at byte 0: this is not a tar header (invalid header)\n{REMEDY}"
    )


INTEGERS = [1 + place * 7919 % 1000 for place in range(5000)]  # enough that it is not unpacked in one go
INDEXES = [official().by_devkit(integer).index for integer in INTEGERS]


@pytest.fixture(params=["packed", "unpacked"])
def sound(request: pytest.FixtureRequest, devkit: Path) -> bytes:
    write_devkit(devkit, INTEGERS)
    if request.param == "unpacked":
        faults.gunzip(devkit)
    return devkit.read_bytes()


def test_a_devkit_cut_anywhere_gives_the_whole_truth_or_an_error(devkit: Path, sound: bytes) -> None:
    for size in range(0, len(sound), max(1, len(sound) // 100)):
        devkit.write_bytes(sound[:size])
        with contextlib.suppress(SourceError):
            assert list(read_ground_truth(devkit)) == INDEXES, size


def test_a_damaged_devkit_is_an_error_of_the_source_and_no_other(devkit: Path, sound: bytes) -> None:
    for place in range(0, len(sound), max(1, len(sound) // 100)):
        for mask in (0x01, 0xFF):
            devkit.write_bytes(sound[:place] + bytes([sound[place] ^ mask]) + sound[place + 1 :])
            with contextlib.suppress(SourceError):
                read_ground_truth(devkit)


def test_a_changed_digit_is_found_by_the_checksum_of_gzip(devkit: Path) -> None:
    """One wrong digit is a wrong label that nothing else would show."""
    packed = gzip.compress(tar_of([(GROUND_TRUTH, b"490\n361\n")]), 0)  # stored: the digits can be seen
    devkit.write_bytes(packed.replace(b"490\n361\n", b"491\n361\n"))

    assert devkit.name in refusal(devkit)

"""The walk that goes on behind damage: where it goes on, and what it takes for a header."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from imagenet_prep.codecs.tar import BLOCK, Member, TarRange
from imagenet_prep.errors import Problem
from imagenet_prep.sources import salvage
from imagenet_prep.sources.salvage import IMAGES, walk_on

pytestmark = pytest.mark.quick

IMAGE = b"image " * 500
NAMES = [f"n01440764_{number}.JPEG" for number in range(5)]


@pytest.fixture(params=[2 * BLOCK, 4 << 20], ids=["in small pieces", "at once"], autouse=True)
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many bytes are looked at together for the next header."""
    monkeypatch.setattr(salvage, "CHUNK_BYTES", request.param)


class Damaged:
    """A tar of five images in blocks: each has a header, one or more blocks of data, and no more."""

    def __init__(self, path: Path, images: dict[str, bytes]) -> None:
        self.path, self.headers = path, dict[str, int]()
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:", format=tarfile.USTAR_FORMAT) as tar:
            for name, image in images.items():
                self.headers[name] = tar.offset
                member = tarfile.TarInfo(name)
                member.size = len(image)
                tar.addfile(member, io.BytesIO(image))
            self.end = tar.offset
        path.write_bytes(data.getvalue())
        self.size = len(data.getvalue())

    def destroy(self, name: str) -> None:
        """Overwrite a header with ones."""
        with self.path.open("r+b") as file:
            file.seek(self.headers[name])
            file.write(b"\1" * BLOCK)

    def walk(self, end: int | None = None) -> tuple[list[str], list[Problem]]:
        """Give the names that are found up to ``end``, and the problems."""
        problems: list[Problem] = []
        with self.path.open("rb") as file:
            tar = TarRange(file.fileno(), "a.tar", "c.tar", 0, self.size if end is None else end)
            found = [each.name for each in walk_on(tar, IMAGES, problems) if isinstance(each, Member)]
        return found, problems


@pytest.fixture
def tar(tmp_path: Path) -> Damaged:
    return Damaged(tmp_path / "a.tar", dict.fromkeys(NAMES, IMAGE))


def reads_again(at: int, on: int) -> Problem:
    return Problem("a.tar", f"is damaged from here; it can be read again from byte {on:,} on", "c.tar", at)


def test_without_damage_it_is_the_usual_walk(tar: Damaged) -> None:
    assert tar.walk() == (NAMES, [])


def test_it_goes_on_at_the_next_header_however_far_that_is(tar: Damaged) -> None:
    for name in NAMES[1:4]:
        tar.destroy(name)

    assert tar.walk() == ([NAMES[0], NAMES[4]], [reads_again(tar.headers[NAMES[1]], tar.headers[NAMES[4]])])


def test_it_goes_on_as_often_as_it_must(tar: Damaged) -> None:
    for name in (NAMES[1], NAMES[3]):
        tar.destroy(name)

    assert tar.walk() == (
        [NAMES[0], NAMES[2], NAMES[4]],
        [
            reads_again(tar.headers[NAMES[1]], tar.headers[NAMES[2]]),
            reads_again(tar.headers[NAMES[3]], tar.headers[NAMES[4]]),
        ],
    )


def test_a_name_inside_an_image_is_no_header(tmp_path: Path) -> None:
    """Neither at the start of a block, where the name of a member would be, nor behind that."""
    named = NAMES[2].encode().ljust(BLOCK, b"\0")
    images = dict.fromkeys(NAMES, IMAGE)
    images[NAMES[1]] = named + named[-200:] + named
    tar = Damaged(tmp_path / "a.tar", images)
    tar.destroy(NAMES[1])

    found, problems = tar.walk()

    assert found == [NAMES[0], *NAMES[2:]]
    assert problems == [reads_again(tar.headers[NAMES[1]], tar.headers[NAMES[2]])]


def test_a_name_in_another_field_of_a_header_is_none(tmp_path: Path) -> None:
    """A link that leads to an image is no image, and a file of somebody who is called like one is none either."""
    tar = Damaged(tmp_path / "a.tar", dict.fromkeys(NAMES, IMAGE))
    link, file_of = tarfile.TarInfo("link"), tarfile.TarInfo("file")
    link.type, link.linkname, file_of.uname = tarfile.SYMTYPE, NAMES[4], NAMES[4]
    tar.destroy(NAMES[1])
    with tar.path.open("r+b") as file:
        file.seek(tar.headers[NAMES[1]] + BLOCK)
        file.write(link.tobuf(tarfile.USTAR_FORMAT) + file_of.tobuf(tarfile.USTAR_FORMAT))

    assert tar.walk() == ([NAMES[0], *NAMES[2:]], [reads_again(tar.headers[NAMES[1]], tar.headers[NAMES[2]])])


def test_it_does_not_go_on_behind_its_end(tar: Damaged) -> None:
    """There begins the next class tar, whose images are none of this one."""
    tar.destroy(NAMES[1])
    end = tar.headers[NAMES[2]]

    found, [problem] = tar.walk(end)

    assert found == [NAMES[0]]
    assert (problem.offset, "again" in problem.reason) == (tar.headers[NAMES[1]], False)

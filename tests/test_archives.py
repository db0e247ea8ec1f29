"""`archives` says what a folder holds of the published archives, whether it is sound, and which part of it is not."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pytest
from PIL import Image

from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.imagenet import archives as facts
from imagenet_prep.model.events import Note, Progress, Stage
from imagenet_prep.testing import MiniatureOptions, write_miniature
from imagenet_prep.testing.archives import write_flat_archive, write_train_archive
from imagenet_prep.testing.faults import cut_on_boundary, flip_byte, gunzip, html_instead
from imagenet_prep.verbs.archives import ArchiveState, archives
from support.sentences import Sentence, places

TRAIN, VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
WNIDS = ("n01440764", "n02909870", "n04147183")
TENCH, BUCKET, SCHOONER = (f"{wnid}.tar" for wnid in WNIDS)
FIRST_LOST = ": n01443537.tar, n01484850.tar, n01491361.tar, n01494475.tar, n01496331.tar …"
DIFFERS = "does not have the published checksum"


class Place(NamedTuple):
    """A member of a tar: where its header and its data begin in the whole file, and its size, in bytes."""

    header: int
    data: int
    size: int


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All archives but those of the test images: three classes, four train and one validation image each. What is
    published is what is there.
    """
    options = MiniatureOptions(wnids=WNIDS, images_per_class=4, validation_per_class=1)
    folder = write_miniature(tmp_path / "archives", options).root
    for role in ("train", "validation", "devkit"):
        publish(monkeypatch, role, folder)
    return folder


def publish(monkeypatch: pytest.MonkeyPatch, role: str, folder: Path, md5: str = "") -> None:
    """Take the file of ``role`` for the official one."""
    archive = facts.OFFICIAL_BY_ROLE[role]
    path = folder / archive.names[0]
    md5 = md5 or hashlib.md5(path.read_bytes()).hexdigest()
    size = None if role == "devkit" else path.stat().st_size
    monkeypatch.setitem(facts.OFFICIAL_BY_ROLE, role, facts.OfficialArchive(role, archive.names, size, md5))


def of(role: str, states: tuple[ArchiveState, ...]) -> ArchiveState:
    return next(state for state in states if state.role == role)


def train(folder: Path, jobs: int = 1) -> ArchiveState:
    return of("train", archives(folder, full=True, jobs=jobs))


def validation(folder: Path) -> ArchiveState:
    return of("validation", archives(folder, full=True, jobs=1))


def members(file: BinaryIO, start: int = 0) -> dict[str, Place]:
    """Give the members of a tar that begins at ``start``, in its order."""
    file.seek(start)
    with tarfile.open(fileobj=file, mode="r:") as tar:
        return {each.name: Place(each.offset, each.offset_data, each.size) for each in tar.getmembers()}


def class_tars(folder: Path) -> dict[str, Place]:
    with (folder / TRAIN).open("rb") as file:
        return members(file)


def images(folder: Path, class_tar: str) -> dict[str, Place]:
    with (folder / TRAIN).open("rb") as file:
        return members(file, class_tars(folder)[class_tar].data)


def validation_images(folder: Path) -> dict[str, Place]:
    with (folder / VALIDATION).open("rb") as file:
        return members(file)


def blank(path: Path, start: int, size: int) -> None:
    """What a piece of a download leaves that never came."""
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(size))


class TestAtAGlance:
    def test_a_folder_that_is_not_there_holds_nothing(self, tmp_path: Path) -> None:
        states = archives(tmp_path / "nowhere")

        assert [(state.role, state.name, state.size, state.checksum) for state in states] == [
            ("train", "ILSVRC2012_img_train.tar", None, ""),
            ("validation", "ILSVRC2012_img_val.tar", None, ""),
            ("devkit", "ILSVRC2012_devkit_t12.tar.gz", None, ""),
            ("train boxes", "ILSVRC2012_bbox_train_v2.tar.gz", None, ""),
            ("validation boxes", "ILSVRC2012_bbox_val_v3.tgz", None, ""),
            ("unlabelled test", "ILSVRC2012_img_test_v10102019.tar", None, ""),
        ]
        assert all(state.unfinished is None and state.problems == () for state in states)
        assert not (tmp_path / "nowhere").exists()

    def test_what_is_published_is_told_of_what_is_not_there(self, tmp_path: Path) -> None:
        first = archives(tmp_path)[0]

        assert first.official_size == 147_897_477_120
        assert first.md5 == "1d675b47d978889d74fa0da5fadfb00e"
        assert first.sha1 == "43eda4fe35c1705d6606a6a7a633bc965d194284"

    def test_files_of_the_right_size_are_no_problem_and_are_not_read(self, folder: Path) -> None:
        seen: list[object] = []

        states = archives(folder, watch=seen.append)

        assert of("train", states).size == (folder / TRAIN).stat().st_size
        assert of("devkit", states).size == (folder / DEVKIT).stat().st_size
        assert {(state.checksum, state.problems) for state in states} == {("", ())}
        assert seen == []

    @pytest.mark.parametrize(
        ("contents", "reason"),
        [
            (b"", "is empty; download it again"),
            (
                b"<!DOCTYPE html><title>Log in</title>",
                (
                    "is a web page, not an archive: the login had expired when it was downloaded; "
                    "log in and download it again"
                ),
            ),
            (bytes(4096), "starts with zeros: it is empty, or the download was never finished"),
            (b"\x1f\x8b\x08", "is gzip-compressed; the official archive is not: unpack it with gunzip"),
            (
                b"ILSVRC2012_x",
                "has 12 bytes, the published file has 147,897,477,120: it is unfinished, or another file",
            ),
        ],
    )
    @pytest.mark.parametrize("full", [False, True])
    def test_what_is_no_archive_is_called_what_it_is(
        self, tmp_path: Path, contents: bytes, reason: str, full: bool
    ) -> None:
        (tmp_path / TRAIN).write_bytes(contents)

        first = archives(tmp_path, full=full, jobs=1)[0]

        assert first.problems[0] == Problem(TRAIN, reason)
        assert (first.size, first.checksum) == (len(contents), "wrong" if full else "")

    def test_what_is_no_archive_is_not_searched(self, folder: Path) -> None:
        html_instead(folder / TRAIN)

        assert len(train(folder).problems) == 1

    def test_the_published_test_images_are_not_compressed_and_the_boxes_are(self, tmp_path: Path) -> None:
        (tmp_path / "ILSVRC2012_img_test_v10102019.tar").write_bytes(b"\x1f\x8b\x08")
        (tmp_path / "ILSVRC2012_bbox_val_v3.tgz").write_bytes(b"\x1f\x8b\x08")

        states = archives(tmp_path)

        assert len(of("unlabelled test", states).problems) == 1
        assert of("validation boxes", states).problems == ()

    def test_a_file_that_is_too_long_is_a_problem(self, folder: Path, sentence: Sentence) -> None:
        size = (folder / TRAIN).stat().st_size
        with (folder / TRAIN).open("ab") as file:
            file.write(b"x")

        assert places(archives(folder)[0].problems) == [TRAIN]
        assert f"{size + 1:,} bytes, the published file has {size:,}" in archives(folder)[0].problems[0].reason
        sentence(archives(folder)[0].problems)

    def test_a_folder_under_the_name_of_an_archive_is_a_problem(self, tmp_path: Path) -> None:
        (tmp_path / TRAIN).mkdir()

        first = archives(tmp_path, full=True, jobs=1)[0]

        assert (first.size, first.checksum, first.problems) == (None, "", (Problem(TRAIN, "is not a file"),))

    def test_a_link_to_nothing_is_a_problem(self, tmp_path: Path, sentence: Sentence) -> None:
        (tmp_path / VALIDATION).symlink_to(tmp_path / "unmounted" / VALIDATION)

        assert places(archives(tmp_path)[1].problems) == [VALIDATION]
        sentence(archives(tmp_path)[1].problems)

    def test_a_file_in_place_of_the_folder_is_an_error(self, tmp_path: Path, sentence: Sentence) -> None:
        (tmp_path / "file").write_bytes(b"")

        with pytest.raises(SourceError) as caught:
            archives(tmp_path / "file")
        sentence(caught.value)

    def test_of_two_names_of_one_archive_the_first_is_looked_at_and_the_other_told(self, tmp_path: Path) -> None:
        (tmp_path / "ILSVRC2012_img_test.tar").write_bytes(b"12")
        (tmp_path / "ILSVRC2012_img_test_v10102019.tar").write_bytes(b"123")
        seen: list[object] = []

        last = archives(tmp_path, watch=seen.append)[-1]

        assert (last.name, last.size) == ("ILSVRC2012_img_test_v10102019.tar", 3)
        assert seen == [
            Note(
                "ILSVRC2012_img_test_v10102019.tar and ILSVRC2012_img_test.tar are the same archive under two names: "
                "the first is looked at."
            )
        ]

    @pytest.mark.parametrize(
        ("called", "size", "what"),
        [
            (
                "ILSVRC2012_img_val (1).tar",
                6_744_924_160,
                (
                    "and of the published size: "
                    "`mv -n '{0}/ILSVRC2012_img_val (1).tar' {0}/ILSVRC2012_img_val.tar` if it is that"
                ),
            ),
            (
                "ilsvrc2012_img_val.tar.crdownload",
                5_000_000,
                (
                    "but shorter: `mv -n {0}/ilsvrc2012_img_val.tar.crdownload {0}/ILSVRC2012_img_val.tar.part` "
                    "if it is the beginning of that"
                ),
            ),
            ("ILSVRC2012_img_val.tar.1", 6_744_924_161, "but has another size"),
        ],
    )
    def test_an_archive_that_is_called_alike_is_not_taken_and_not_passed_over_in_silence(
        self, tmp_path: Path, called: str, size: int, what: str
    ) -> None:
        with (tmp_path / called).open("wb") as file:
            file.write(tarfile.TarInfo("ILSVRC2012_val_00000001.JPEG").tobuf())
            file.truncate(size)
        seen: list[object] = []

        assert of("validation", archives(tmp_path, watch=seen.append)).size is None

        assert seen == [
            Note(
                f"{called} is not looked at: fetch knows archives by their official names. "
                f"It is called like ILSVRC2012_img_val.tar, {what.format(tmp_path)}."
            )
        ]

    def test_another_copy_of_what_is_there_is_told_without_advice(self, tmp_path: Path) -> None:
        for name in ("ILSVRC2012_bbox_val_v3.tgz", "ILSVRC2012_bbox_val_v3(2).tgz"):
            (tmp_path / name).write_bytes(b"\x1f\x8b")
        seen: list[object] = []

        archives(tmp_path, watch=seen.append)

        assert seen == [
            Note(
                "ILSVRC2012_bbox_val_v3(2).tgz is not looked at: fetch knows archives by their official names. "
                "It is called like ILSVRC2012_bbox_val_v3.tgz, which is there, too."
            )
        ]

    def test_one_that_is_shorter_gets_no_advice_beside_what_was_begun(self, tmp_path: Path) -> None:
        for name in (f"{VALIDATION}.1", f"{VALIDATION}.part"):
            (tmp_path / name).write_bytes(tarfile.TarInfo("ILSVRC2012_val_00000001.JPEG").tobuf())
        seen: list[object] = []

        archives(tmp_path, watch=seen.append)

        assert seen == [
            Note(
                f"{VALIDATION}.1 is not looked at: fetch knows archives by their official names. "
                f"It is called like {VALIDATION}, but has another size."
            )
        ]

    def test_one_without_a_published_size_may_be_it(self, tmp_path: Path) -> None:
        (tmp_path / "ILSVRC2012_devkit_t12(1).tar.gz").write_bytes(b"\x1f\x8b")
        seen: list[object] = []

        archives(tmp_path, watch=seen.append)

        assert seen == [
            Note(
                "ILSVRC2012_devkit_t12(1).tar.gz is not looked at: fetch knows archives by their official names. "
                f"It is called like {DEVKIT}, and may be it: `mv -n '{tmp_path}/ILSVRC2012_devkit_t12(1).tar.gz' "
                f"{tmp_path}/{DEVKIT}` if it is that."
            )
        ]

    def test_what_goes_with_an_archive_and_other_archives_are_not_called_alike(self, tmp_path: Path) -> None:
        header = tarfile.TarInfo("n02085620.tar").tobuf()
        (tmp_path / "ILSVRC2012_img_train_t3.tar").write_bytes(header)  # the dogs: another published archive
        (tmp_path / f"{TRAIN}.md5").write_text("1d675b47d978889d74fa0da5fadfb00e")
        (tmp_path / f"{TRAIN}.part").write_bytes(header)
        (tmp_path / "ILSVRC2012_img_train").mkdir()
        os.mkfifo(tmp_path / "ILSVRC2012_img_train.tar.pipe")
        seen: list[object] = []

        archives(tmp_path, watch=seen.append)

        assert seen == []

    def test_another_usual_name_is_known(self, tmp_path: Path) -> None:
        (tmp_path / "ILSVRC2012_bbox_val_v3.tar.gz").write_bytes(b"\x1f\x8b")

        assert of("validation boxes", archives(tmp_path)).name == "ILSVRC2012_bbox_val_v3.tar.gz"


class TestAPart:
    def test_of_a_torrent_the_holes_did_not_come(self, tmp_path: Path) -> None:
        with (tmp_path / f"{TRAIN}.part").open("wb") as file:
            file.seek(64 << 20)
            file.write(os.urandom(1 << 20))

        unfinished = archives(tmp_path)[0].unfinished

        assert unfinished is not None
        assert 1 << 20 <= unfinished < 2 << 20

    def test_the_bytes_that_came_are_those_of_the_file(self, tmp_path: Path) -> None:
        (tmp_path / f"{VALIDATION}.part").write_bytes(bytes(300))

        assert archives(tmp_path)[1].unfinished == 300

    def test_a_part_has_the_name_that_its_archive_will_have(self, tmp_path: Path) -> None:
        (tmp_path / "ILSVRC2012_img_test.tar.part").write_bytes(bytes(300))

        last = archives(tmp_path)[-1]

        assert (last.name, last.size, last.unfinished) == ("ILSVRC2012_img_test.tar", None, 300)

    def test_a_part_is_not_searched_for_damage(self, folder: Path) -> None:
        (folder / TRAIN).rename(folder / f"{TRAIN}.part")
        blank(folder / f"{TRAIN}.part", 5000, 2000)
        with (folder / f"{TRAIN}.part").open("r+b") as file:
            file.truncate(60_000)

        first = train(folder)

        assert (first.checksum, first.problems, first.containers) == ("", (), 0)

    def test_a_part_that_came_whole_is(self, folder: Path) -> None:
        """A fetch leaves it so where the checksum is wrong."""
        place = next(iter(images(folder, BUCKET).values()))
        (folder / TRAIN).rename(folder / f"{TRAIN}.part")
        blank(folder / f"{TRAIN}.part", place.data, 600)

        quick, first = archives(folder)[0], train(folder)

        assert (quick.size, quick.came_whole, quick.checksum, quick.problems) == (None, True, "", ())
        assert first.problems[0] == Problem(f"{TRAIN}.part", "does not have the published checksum")
        assert (first.checksum, first.clean, first.containers) == ("wrong", 2, 3)
        assert [problem.archive for problem in first.problems] == [f"{TRAIN}.part"] * 2
        assert first.problems[1].offset == place.data

    def test_or_if_it_is_right_it_is_called_so(self, folder: Path) -> None:
        """A kill may come between the last byte and the checksum; or another program has started it."""
        (folder / TRAIN).rename(folder / f"{TRAIN}.part")
        seen: list[object] = []

        first = archives(folder, full=True, jobs=1, watch=seen.append)[0]

        assert (first.size, first.came_whole, first.checksum, first.problems) == (None, True, "right", ())
        sizes = [(folder / name).stat().st_size for name in (f"{TRAIN}.part", VALIDATION, DEVKIT)]
        assert seen[-1] == Progress(Stage.CHECKSUMS, 0, 0, sum(sizes), sum(sizes))


class TestInFull:
    def test_what_is_right_is_right_and_what_nobody_published_is_unverified(self, folder: Path) -> None:
        write_flat_archive(folder / "ILSVRC2012_img_test_v10102019.tar", [("ILSVRC2012_test_00000001.JPEG", b"")])

        states = archives(folder, full=True, jobs=1)

        assert {state.role: state.checksum for state in states} == {
            "train": "right",
            "validation": "right",
            "devkit": "right",
            "train boxes": "none is published",
            "validation boxes": "none is published",
            "unlabelled test": "none is published",
        }
        assert {(state.problems, state.clean, state.containers) for state in states} == {((), 0, 0)}

    def test_what_is_not_there_has_no_verdict(self, tmp_path: Path) -> None:
        assert {state.checksum for state in archives(tmp_path, full=True, jobs=1)} == {""}

    def test_progress_of_checksums_is_told_in_bytes(self, folder: Path) -> None:
        seen: list[Progress | Note] = []

        archives(folder, full=True, jobs=1, watch=seen.append)

        total = sum((folder / name).stat().st_size for name in (TRAIN, VALIDATION, DEVKIT))
        assert seen[-1] == Progress(Stage.CHECKSUMS, 0, 0, total, total)
        assert {event.stage for event in seen if isinstance(event, Progress)} == {"checksums"}

    def test_what_is_wrong_at_a_glance_is_wrong_without_being_read(self, folder: Path) -> None:
        html_instead(folder / DEVKIT)
        os.truncate(folder / VALIDATION, (folder / VALIDATION).stat().st_size - 1)
        seen: list[Progress | Note] = []

        archives(folder, full=True, jobs=1, watch=seen.append)

        total = (folder / TRAIN).stat().st_size
        checksums = [event for event in seen if isinstance(event, Progress) and event.stage == "checksums"]
        assert checksums[-1] == Progress(Stage.CHECKSUMS, 0, 0, total, total)

    @pytest.mark.parametrize("name", [DEVKIT, "ILSVRC2012_devkit_t12.tar"])
    def test_a_devkit_that_a_browser_unpacked_is_not_the_published_file_and_not_wrong(
        self, folder: Path, name: str
    ) -> None:
        gunzip(folder / DEVKIT)
        (folder / DEVKIT).rename(folder / name)
        seen: list[object] = []

        devkit = of("devkit", archives(folder, full=True, jobs=1, watch=seen.append))

        assert (devkit.name, devkit.checksum, devkit.problems) == (name, "not the published file", ())
        assert seen[-1] == Note(
            f"{name} is sound, but not the published file: it was unpacked on the way, as some browsers do."
        )

    def test_another_edition_of_the_devkit_is_not_the_published_file_and_not_wrong(self, folder: Path) -> None:
        (folder / DEVKIT).write_bytes(gzip.compress(gzip.decompress((folder / DEVKIT).read_bytes()), mtime=1))
        seen: list[object] = []

        devkit = of("devkit", archives(folder, full=True, jobs=1, watch=seen.append))

        assert (devkit.checksum, devkit.problems) == ("not the published file", ())
        assert seen[-1] == Note(f"{DEVKIT} is sound, but not the published file.")

    def test_a_damaged_devkit_is_wrong(self, folder: Path) -> None:
        flip_byte(folder / DEVKIT, (folder / DEVKIT).stat().st_size - 8)  # its own checksum

        devkit = of("devkit", archives(folder, full=True, jobs=1))

        assert (devkit.checksum, devkit.problems) == ("wrong", (Problem(DEVKIT, DIFFERS),))

    def test_neither_numpy_nor_arrow_is_loaded(self, folder: Path) -> None:
        flip_byte(folder / TRAIN, min(images(folder, BUCKET).values()).data)
        program = (
            "import sys; from imagenet_prep.verbs.archives import archives; "
            f"print([state.size for state in archives({str(folder)!r}, full=True, jobs=2)]); "
            "assert not {'numpy', 'pyarrow'} & set(sys.modules)"
        )

        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


class TestWhatIsTooLong:
    @pytest.fixture
    def longer(self, folder: Path) -> int:
        """The train archive with 700 bytes after its end; gives its published size."""
        size = (folder / TRAIN).stat().st_size
        with (folder / TRAIN).open("ab") as file:
            file.write(b"x" * 700)
        return size

    def test_is_not_called_damaged_if_its_beginning_is_right(self, folder: Path, longer: int) -> None:
        first = train(folder)

        reason = f"its first {longer:,} bytes are the published file: something was written after its end"
        assert (first.checksum, first.problems) == ("not the published file", (Problem(TRAIN, reason),))
        os.truncate(folder / TRAIN, longer)
        assert train(folder).checksum == "right"

    @pytest.mark.usefixtures("longer")
    def test_is_searched_if_that_is_damaged(self, folder: Path, sentence: Sentence) -> None:
        place = next(iter(images(folder, BUCKET).values()))
        blank(folder / TRAIN, place.data, 600)

        first = train(folder)

        assert (first.checksum, first.clean) == ("wrong", 2)
        sentence(first.problems[0].reason)
        assert place.data in [problem.offset for problem in first.problems]


class TestWhatMayNotBeRead:
    def test_is_not_called_wrong(self, folder: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence) -> None:
        """The system is asked for somebody else than root, who may read everything."""
        monkeypatch.setattr(os, "access", lambda path, _: path != folder / TRAIN)
        monkeypatch.setattr(
            "imagenet_prep.verbs.archives.disguise_at",
            lambda path, **_: "cannot be read: Permission denied" if path == folder / TRAIN else "",
        )

        first = train(folder)

        assert (first.unreadable, first.disguised, first.checksum) == (True, False, "")
        assert places(first.problems) == [TRAIN]
        sentence(first.problems)


class TestDamage:
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_the_class_tar_with_a_damaged_image_is_named_and_the_others_are_clean(
        self, folder: Path, jobs: int, sentence: Sentence
    ) -> None:
        name, place = min(images(folder, BUCKET).items())
        flip_byte(folder / TRAIN, place.data)

        first = train(folder, jobs)

        assert (first.checksum, first.clean, first.containers) == ("wrong", 2, 3)
        assert places(first.problems) == [TRAIN, f"{TRAIN}: {BUCKET}/{name} at byte {place.data:,}"]
        sentence(first.problems, alike=True)

    def test_the_other_archives_are_told_all_the_same(self, folder: Path) -> None:
        flip_byte(folder / TRAIN, min(images(folder, BUCKET).values()).data)

        states = archives(folder, full=True, jobs=1)

        assert [state.checksum for state in states] == [
            "wrong", "right", "right", "none is published", "none is published", "",
        ]  # fmt: skip

    def test_damage_inside_picture_data_is_found(self, folder: Path) -> None:
        name, place = min(images(folder, BUCKET).items())
        blank(folder / TRAIN, place.data + place.size // 2, place.size // 2 - 2)

        first = train(folder)

        assert (first.clean, first.containers) == (2, 3)
        assert [problem.member for problem in first.problems] == ["", f"{BUCKET}/{name}"]

    def test_images_behind_a_header_that_was_destroyed_are_looked_at(self, folder: Path, sentence: Sentence) -> None:
        places = images(folder, BUCKET)
        _, second, third, last = places
        blank(folder / TRAIN, places[second].header, 200)
        flip_byte(folder / TRAIN, places[last].data)

        first = train(folder)

        assert (first.clean, first.containers) == (2, 3)
        assert [(problem.member, problem.offset) for problem in first.problems] == [
            ("", None),
            (BUCKET, places[second].header),
            (f"{BUCKET}/{last}", places[last].data),
        ]
        assert f"byte {places[third].header:,} " in first.problems[1].reason
        sentence(first.problems[1].reason)

    def test_damage_in_one_class_tar_does_not_hide_that_of_another(self, folder: Path, sentence: Sentence) -> None:
        for name in (TENCH, SCHOONER):
            place = min(images(folder, name).values())
            blank(folder / TRAIN, place.header, 512)

        first = train(folder)

        assert (first.clean, first.containers) == (1, 3)
        assert [problem.member for problem in first.problems[1:]] == [TENCH, SCHOONER]
        sentence(first.problems[1].reason)

    def test_of_a_cut_archive_the_class_tars_before_the_cut_are_clean_and_those_behind_it_counted(
        self, folder: Path, sentence: Sentence
    ) -> None:
        place, size = class_tars(folder)[SCHOONER], (folder / TRAIN).stat().st_size
        os.truncate(folder / TRAIN, place.data + 1000)

        first = train(folder)

        assert (first.checksum, first.clean, first.containers) == ("wrong", 2, 1000)
        assert places(first.problems) == [TRAIN, f"{TRAIN}: {SCHOONER} at byte {place.data:,}", TRAIN]
        assert f"{size:,}" in first.problems[0].reason
        sentence(first.problems)

    def test_an_archive_that_was_cut_between_two_class_tars_is_told(self, folder: Path, sentence: Sentence) -> None:
        end = cut_on_boundary(folder / TRAIN)

        first = train(folder)

        assert (first.clean, first.containers) == (2, 1000)
        assert places(first.problems[1:]) == [f"{TRAIN} at byte {end:,}", TRAIN]
        sentence(first.problems[1:])

    def test_class_tars_behind_a_header_that_was_destroyed_are_looked_at(
        self, folder: Path, sentence: Sentence
    ) -> None:
        """The header of a class tar is gone, and with it where the class tar ends."""
        place = class_tars(folder)[BUCKET]
        flip_byte(folder / TRAIN, place.header + 124 + 7)

        first = train(folder)

        assert (first.clean, first.containers) == (2, 1000)
        assert [(problem.member, problem.offset) for problem in first.problems] == [
            ("", None),
            ("", place.header),
            ("", None),
        ]
        sentence(first.problems[-1].reason)

    def test_a_piece_that_never_came_does_not_hide_what_lies_behind_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
    ) -> None:
        """Zeros from the second image of one class tar to the first of the next."""
        tars = [(wnid, [(f"{wnid}_{number}.JPEG", large_picture()) for number in (1, 2, 3)]) for wnid in WNIDS]
        write_train_archive(tmp_path / TRAIN, tars)
        publish(monkeypatch, "train", tmp_path)
        _, second, third = images(tmp_path, TENCH).values()
        of_next, next_tar = min(images(tmp_path, BUCKET).values()), class_tars(tmp_path)[BUCKET]
        again = class_tars(tmp_path)[SCHOONER].header
        blank(tmp_path / TRAIN, second.data, of_next.header - second.data)

        first = train(tmp_path)

        assert (first.checksum, first.clean, first.containers) == ("wrong", 1, 1000)
        zeros = next_tar.header - third.header
        assert places(first.problems[1:]) == [
            f"{TRAIN}: {TENCH}/n01440764_2.JPEG at byte {second.data:,}",
            f"{TRAIN}: {TENCH} at byte {third.header:,}",
            f"{TRAIN} at byte {next_tar.header:,}",
            TRAIN,
        ]
        assert f" {zeros:,} bytes" in first.problems[2].reason
        assert f"byte {again:,} " in first.problems[3].reason
        sentence(first.problems[1:])

    def test_of_the_validation_archive_the_images_are_counted(self, folder: Path) -> None:
        _, (name, place), _ = validation_images(folder).items()
        flip_byte(folder / VALIDATION, place.data)

        second = validation(folder)

        assert (second.checksum, second.clean, second.containers) == ("wrong", 2, 3)
        assert [(problem.member, problem.offset) for problem in second.problems] == [
            ("", None),
            (name, place.data),
        ]

    def test_validation_images_behind_a_header_that_was_destroyed_are_looked_at(self, folder: Path) -> None:
        _, place, last = validation_images(folder).values()
        blank(folder / VALIDATION, place.header, 100)

        second = validation(folder)

        assert (second.clean, second.containers) == (2, 50_000)
        assert [(problem.reason, problem.offset) for problem in second.problems[1:]] == [
            (f"is damaged from here; it can be read again from byte {last.header:,} on", place.header),
            ("49,998 of the 50,000 images were not found", None),
        ]

    def test_of_two_places_that_hide_where_the_archive_ends_the_first_is_told(self, folder: Path) -> None:
        _, second, third = validation_images(folder).values()
        blank(folder / VALIDATION, second.header, 512)
        os.truncate(folder / VALIDATION, third.data + third.size + -third.size % 512)

        places = [problem.offset for problem in validation(folder).problems]

        assert places == [None, second.header, None]

    def test_a_cut_validation_archive_names_the_image_of_the_cut(self, folder: Path, sentence: Sentence) -> None:
        *_, (name, place) = validation_images(folder).items()
        os.truncate(folder / VALIDATION, place.data + 10)

        second = validation(folder)

        assert (second.clean, second.containers) == (2, 50_000)
        assert [(problem.member, problem.offset) for problem in second.problems[1:]] == [
            (name, place.data),
            ("", None),
        ]
        sentence(second.problems[-1].reason)

    def test_damage_that_does_not_show_is_no_less_damage(self, folder: Path, sentence: Sentence) -> None:
        place = min(images(folder, BUCKET).values())
        flip_byte(folder / TRAIN, place.data + place.size)  # what fills the block behind an image
        assert place.size % 512

        first = train(folder)

        assert (first.checksum, first.clean, first.containers) == ("wrong", 3, 3)
        assert places(first.problems) == [TRAIN, TRAIN]
        sentence(first.problems)

    def test_what_the_decoder_remarks_is_told_where_nothing_else_gives_a_hint(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
    ) -> None:
        name = "n01440764_1.JPEG"
        write_train_archive(tmp_path / TRAIN, [("n01440764", [(name, odd_picture())])])
        publish(monkeypatch, "train", tmp_path, md5="0" * 32)
        place = images(tmp_path, TENCH)[name]

        assert places(train(tmp_path).problems) == [TRAIN, f"{TRAIN}: {TENCH}/{name} at byte {place.data:,}"]
        sentence(train(tmp_path).problems)

    def test_what_the_decoder_remarks_is_not_told_beside_plain_damage(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        odd, bad = ("n01440764_1.JPEG", odd_picture()), ("n01440764_2.JPEG", b"no picture")
        write_train_archive(tmp_path / TRAIN, [("n01440764", [odd, bad])])
        publish(monkeypatch, "train", tmp_path, md5="0" * 32)

        assert [problem.member for problem in train(tmp_path).problems] == ["", f"{TENCH}/n01440764_2.JPEG"]

    def test_nor_beside_a_class_tar_that_is_lost(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tench, bucket = [("n01440764_1.JPEG", odd_picture())], [("n02909870_1.JPEG", odd_picture())]
        write_train_archive(tmp_path / TRAIN, [("n01440764", tench), ("n02909870", bucket)])
        lost = class_tars(tmp_path)[BUCKET].header
        blank(tmp_path / TRAIN, lost, 512)
        publish(monkeypatch, "train", tmp_path, md5="0" * 32)

        assert [(problem.member, problem.offset) for problem in train(tmp_path).problems] == [
            ("", None),
            ("", lost),
            ("", None),
        ]

    def test_another_sound_archive_is_wrong_by_its_size_alone(self, folder: Path, tmp_path: Path) -> None:
        options = MiniatureOptions(wnids=("n01440764", "n02909870"), images_per_class=2, validation_per_class=1)
        other = write_miniature(tmp_path / "other", options).root

        (other / VALIDATION).replace(folder / VALIDATION)
        (other / TRAIN).replace(folder / TRAIN)

        first = train(folder)
        assert (first.checksum, first.clean, first.containers, len(first.problems)) == ("wrong", 2, 2, 1)

    def test_a_bad_place_on_the_disk_is_damage_of_the_class_tar_there(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
    ) -> None:
        bad = min(images(folder, BUCKET).values()).header
        real = os.pread

        def failing(descriptor: int, size: int, offset: int) -> bytes:
            if offset <= bad < offset + size:
                raise OSError(5, "Input/output error")
            return real(descriptor, size, offset)

        def unreadable(*_: object) -> str:
            raise SourceError("Cannot read it: Input/output error.")

        monkeypatch.setattr(os, "pread", failing)
        monkeypatch.setattr("imagenet_prep.verbs.checksums.compare_checksum", unreadable)

        first = train(folder)

        assert (first.checksum, first.clean, first.containers) == ("wrong", 2, 3)
        assert places(first.problems) == [TRAIN, f"{TRAIN}: {BUCKET}"]
        sentence(first.problems)

    def test_a_disk_that_reads_nothing_is_told_and_the_other_archives_too(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flip_byte(folder / TRAIN, 600)
        real = os.open

        def failing(path: str, flags: int, *rest: int) -> int:
            if str(path).endswith(TRAIN):
                raise OSError(5, "Input/output error")
            return real(path, flags, *rest)

        monkeypatch.setattr(os, "open", failing)

        first, second, *_ = archives(folder, full=True, jobs=1)

        assert (first.checksum, first.clean, second.checksum) == ("wrong", 0, "right")
        assert first.problems[-1] == Problem(TRAIN, f"Cannot read {folder / TRAIN}: Input/output error.")


@cache
def large_picture() -> bytes:
    """A JPEG of some 200 kB."""
    whole = io.BytesIO()
    Image.frombytes("RGB", (400, 400), random.Random(0).randbytes(3 * 400 * 400)).save(whole, "JPEG", quality=95)
    assert len(whole.getvalue()) > 175_000  # six of them are more than what may be zeros behind the end of a tar
    return whole.getvalue()


def odd_picture() -> bytes:
    """A JPEG with bytes that belong to nothing."""
    whole = io.BytesIO()
    Image.new("RGB", (8, 8)).save(whole, "JPEG")
    return whole.getvalue()[:-2] + bytes(30) + b"\xff\xd9"

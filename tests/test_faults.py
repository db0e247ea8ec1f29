"""What can go wrong around a build: each fault ends in a sentence and a code, leaves nothing half-written and no
process; and the same command again, when the cause is gone, gives the bytes of an undisturbed build.

The commands are real ones; ``faulty`` says where their faults come from, and checks what every end must have.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import xxhash

from faulty import (
    BEFORE_THE_CLAIM,
    FINISH,
    RECIPE,
    WRITE,
    Build,
    Paused,
    assert_ended,
    at_event,
    dying,
    failing,
    fill,
    interrupted_at,
    limited,
    mounted,
    without_permission,
)
from imagenet_prep import AuditOptions, audit
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.build import everything
from support.command import COMMAND
from torture.kills import children

pytestmark = pytest.mark.system

TRAIN = "ILSVRC2012_img_train.tar"
NO_SPACE = "Free some space. Then run the same command again: what is finished is kept."
UNREADABLE = "Error: There are shards whose images cannot be read; all others are finished:"
PUT_RIGHT = (
    "Fix it, and run the same command again. A build in another folder can do without images that are lost: "
    "--exclude FILE."
)
OTHER_REMEDY = "Choose another folder, or finish what is there: imagenet-prep resume …"
HOST = re.sub(r"[^\w-]", "_", socket.gethostname())  # as it is in temporary names
READ_ONLY = "mount --bind DISK DISK && mount -o remount,bind,ro DISK"
RECEIPT = "receipts/train-00000-of-00006.receipt"
LINKS = ("--format", "folders", "--test-per-class", "2", "--transfer", "hardlink")
JOBS = pytest.mark.parametrize("jobs", [1, 2])


@pytest.fixture(scope="session")
def miniatures(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Miniature]:
    made: dict[str, Miniature] = {}

    def miniature(layout: str) -> Miniature:
        if layout not in made:
            folder = tmp_path_factory.mktemp("sources") / layout
            options = MiniatureOptions(classes=4, images_per_class=12, validation_per_class=3, layout=layout)
            made[layout] = write_miniature(folder, options)
        return made[layout]

    return miniature


@pytest.fixture(scope="session")
def undisturbed(
    miniatures: Callable[[str], Miniature], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, tuple[str, ...]], Path]:
    made: dict[tuple[str, tuple[str, ...]], Path] = {}

    def built(layout: str, recipe: tuple[str, ...]) -> Path:
        if (layout, recipe) not in made:
            folder = tmp_path_factory.mktemp("undisturbed")
            build = Build(miniatures(layout).root, folder / "data", folder / "faulty", recipe=recipe)
            assert build.run(jobs=2) == (0, [])
            made[layout, recipe] = build.out
        return made[layout, recipe]

    return built


@pytest.fixture
def make(
    miniatures: Callable[[str], Miniature],
    undisturbed: Callable[[str, tuple[str, ...]], Path],
    tmp_path: Path,
) -> Iterator[Callable[..., Build]]:
    after: list[Callable[[], object]] = []

    def make(layout: str = "archives", recipe: tuple[str, ...] = RECIPE, *, own: bool = False) -> Build:
        """``own``: the source may be changed."""
        source = miniatures(layout).root
        if own:
            source = shutil.copytree(source, tmp_path / layout)
        return Build(
            source, tmp_path / "disk/data", tmp_path / "faulty", undisturbed(layout, recipe), recipe, after=after
        )

    (tmp_path / "disk").mkdir()
    yield make
    for undo in reversed(after):
        undo()


class TestNoSpace:
    def test_too_little_is_said_before_anything_is_written(self, make: Callable[..., Build]) -> None:
        build = mounted(make(), "mount -t tmpfs -o size=200k none DISK")
        assert_ended(
            build.run(),
            6,
            f"Error: {build.out} needs 0.5 MB, and its file system has 0.2 MB free.",
            "Free some space, choose another folder, or write fewer formats or splits (--format, --split).",
        )
        assert not build.seen.exists()
        subprocess.run([*build.prefix, "mount", "-o", "remount,size=100m", str(build.out.parent)], check=True)
        build.assert_goes_on()

    @JOBS
    def test_a_disk_that_fills_up_while_shards_are_written(self, make: Callable[..., Build], jobs: int) -> None:
        build = mounted(make(), "mount -t tmpfs -o size=100m none DISK")
        paused = Paused(build, jobs=jobs)
        free = fill(build)
        assert_ended(paused.go(), 6, f"Error: Cannot write {build.out}/…: No space left on device.", NO_SPACE)
        free()
        build.assert_goes_on(jobs)

    def test_a_disk_that_fills_up_at_the_end(self, make: Callable[..., Build]) -> None:
        build = mounted(make(), "mount -t tmpfs -o size=100m none DISK")
        paused = Paused(build, fault=at_event(FINISH))
        free = fill(build)
        line = f"Error: Cannot write {build.out}/manifest.parquet: No space left on device."
        assert_ended(paused.go(), 6, line, NO_SPACE)
        free()
        build.assert_goes_on()

    def test_a_file_system_with_room_for_too_few_files(self, make: Callable[..., Build]) -> None:
        build = mounted(make(), "mount -t tmpfs -o size=100m,nr_inodes=30 none DISK")
        line = f"Error: {build.out} needs 124 files, and its file system has room for 29 (inodes)."
        assert_ended(
            build.run(), 6, line, "Choose another folder, or a format with few large files: all except folders."
        )
        assert not build.out.exists()
        subprocess.run([*build.prefix, "mount", "-o", "remount,nr_inodes=0", str(build.out.parent)], check=True)
        build.assert_goes_on()

    @pytest.mark.parametrize(("left", "jobs"), [(0, 1), (3, 2), (20, 2)])
    def test_a_file_system_that_has_room_but_for_no_more_files(
        self, make: Callable[..., Build], left: int, jobs: int
    ) -> None:
        """Another program has made files in the meantime."""
        build = mounted(make(), "mount -t tmpfs -o size=100m,nr_inodes=400 none DISK")
        paused = Paused(build, jobs=jobs)
        disk = str(build.out.parent)
        used = subprocess.run([*build.prefix, "df", "--output=iused", disk], check=True, capture_output=True, text=True)
        files = int(used.stdout.split()[-1]) + left
        subprocess.run([*build.prefix, "mount", "-o", f"remount,nr_inodes={files}", disk], check=True)
        line = f"Error: Cannot write {build.out}/…: No space left on device."
        assert_ended(paused.go(), 6, line, NO_SPACE)
        subprocess.run([*build.prefix, "mount", "-o", "remount,nr_inodes=0", str(build.out.parent)], check=True)
        build.assert_goes_on(jobs)


class TestLimits:
    def test_a_limit_on_the_size_of_files(self, make: Callable[..., Build]) -> None:
        build = make()
        build.prefix = limited("-f", 20)  # of 512 bytes
        assert_ended(
            build.run(jobs=2),
            6,
            f"Error: Cannot write {build.out}/tfrecord/…: File too large.",
            "A file may not grow that large here (see ulimit -f). More shards (--shards) make smaller files.",
        )
        build.prefix = ()
        build.assert_goes_on()

    def test_two_workers_do_with_64_open_files(self, make: Callable[..., Build]) -> None:
        build = make()
        build.prefix = limited("-n", 64)
        build.assert_goes_on()

    def test_class_tars_in_a_folder_are_not_all_open_at_once(self, tmp_path: Path) -> None:
        options = MiniatureOptions(classes=100, images_per_class=2, validation_per_class=0, layout="class-tars")
        source = write_miniature(tmp_path / "source", options).root
        recipe = ("--split", "train", "--test-per-class", "0", "--shards", "train=2")
        builds = [Build(source, tmp_path / name, tmp_path / "faulty", recipe=recipe) for name in ("free", "limited")]
        builds[1].prefix = limited("-n", 64)
        assert [build.run(jobs=2) for build in builds] == [(0, []), (0, [])]
        assert everything(builds[0].out) == everything(builds[1].out)

    def test_too_few_open_files_to_start_two_workers(self, make: Callable[..., Build]) -> None:
        build = make()
        build.prefix = limited("-n", 8)
        assert_ended(
            build.run(jobs=2),
            2,
            "Error: Cannot start 2 worker processes: [Errno 24] Too many open files.",
            "Fewer --jobs need fewer processes and open files (see ulimit -u and ulimit -n).",
        )
        assert not build.out.exists()
        build.prefix = ()
        build.assert_goes_on()

    def test_too_many_open_files_while_writing(self, make: Callable[..., Build]) -> None:
        build = make()
        assert_ended(
            build.run(jobs=2, fault=failing("open", "EMFILE", "'dali-index/' in os.fspath(arguments[0])")),
            6,
            f"Error: Cannot write {build.out}/dali-index/…: Too many open files.",
            "Too many files are open (see ulimit -n). Fewer --jobs need fewer.",
        )
        build.assert_goes_on()


class TestReadErrors:
    @JOBS
    def test_a_bad_spot_in_an_archive_costs_its_shards_alone(
        self, make: Callable[..., Build], miniatures: Callable[[str], Miniature], jobs: int
    ) -> None:
        build, data = make(), (make().source / TRAIN).read_bytes()
        first, second = (
            entry for entry in miniatures("archives").train if entry.member.endswith(("_10.JPEG", "_68.JPEG"))
        )
        places = {entry: data.index(entry.name.encode()) + 512 for entry in (first, second)}
        bad = failing("preadv", "EIO", f"arguments[2] in {list(places.values())}")
        lines = [
            f"  {TRAIN}: {entry.member} at byte {place:,}: Input/output error"
            for entry, place in sorted(places.items(), key=lambda item: item[1])
        ]
        assert_ended(build.run(jobs=jobs, fault=bad), 4, UNREADABLE, *lines, PUT_RIGHT)
        receipts = {path.name for path in build.out.glob(".imagenet-prep/receipts/tfrecord/train-*")}
        assert 4 <= len(receipts) < 6
        build.assert_goes_on(jobs)

    def test_a_bad_spot_in_a_header(self, make: Callable[..., Build]) -> None:
        build = make()
        assert_ended(
            build.run(fault=failing("pread", "EIO", "arguments[2] > 60_000")),
            4,
            f"Error: Cannot read {build.source}/{TRAIN}: Input/output error.",
            "Fix it and run the same command again.",
        )
        assert not build.out.exists()
        build.assert_goes_on()


class TestWriteErrors:
    @pytest.mark.parametrize(
        ("function", "when", "path"),
        [
            (
                "writev",
                "'/tfrecord/.' in os.readlink(f'/proc/self/fd/{arguments[0]}')",
                "tfrecord/train-00000-of-00006",
            ),
            ("write", "bytes(arguments[1][:2]) == b'\\xff\\xd8'", "folders/…"),
            ("fsync", "'/tfrecord/.' in os.readlink(f'/proc/self/fd/{arguments[0]}')", "tfrecord/train-00000-of-00006"),
            (
                "fsync",
                "'/.imagenet-prep/.train-' in os.readlink(f'/proc/self/fd/{arguments[0]}')",
                ".imagenet-prep/receipts/folders/train-00000-of-00006",  # which is finished first
            ),
            ("replace", "'.JPEG' in str(arguments)", "folders/…"),
        ],
    )
    def test_a_disk_that_fails(self, make: Callable[..., Build], function: str, when: str, path: str) -> None:
        if "/proc/" in when and sys.platform != "linux":
            pytest.skip("asks /proc which file it is")
        build = make()
        assert_ended(
            build.run(fault=failing(function, "EIO", when)),
            6,
            f"Error: Cannot write {build.out}/{path}: Input/output error.",
            "Nothing of the source was changed; run the same command again.",
        )
        build.assert_goes_on()


def other_images(data: bytes) -> bytes:
    """The same archive with one wrong bit in each of its images."""
    changed = bytearray(data)
    for scan in re.finditer(rb"\xff\xda", data):
        changed[scan.end() + 20] ^= 1
    return bytes(changed)


def cut(archive: Path) -> None:
    os.truncate(archive, 50_000)


def exchange(archive: Path) -> None:
    data = archive.read_bytes()
    archive.unlink()
    archive.write_bytes(other_images(data))


def overwrite(archive: Path) -> None:
    data = archive.read_bytes()
    with archive.open("r+b") as file:  # which processes that have it open will see
        file.write(other_images(data))


def lengthen(archive: Path) -> None:
    with archive.open("ab") as file:
        file.write(bytes(10_240))


class TestASourceThatChanges:
    @pytest.mark.parametrize(("change", "jobs"), [(exchange, 1), (exchange, 2), (overwrite, 2), (lengthen, 2)])
    def test_an_archive_that_somebody_writes_to_gives_no_shard(
        self, make: Callable[..., Build], change: Callable[[Path], None], jobs: int
    ) -> None:
        build = make(own=True)
        archive = build.source / TRAIN
        shutil.copy2(archive, kept := build.out.with_name("kept"))
        paused = Paused(build, jobs=jobs)
        change(archive)
        line = f"  {TRAIN}: has changed since it was indexed"
        assert_ended(paused.go(), 4, UNREADABLE, line, PUT_RIGHT)
        receipts = {path.name.partition("-")[0] for path in build.out.glob(".imagenet-prep/receipts/*/*")}
        assert receipts == {"train", "validation"}  # of train the first ones
        kept.replace(archive)
        build.assert_goes_on(jobs)

    def test_an_archive_that_is_cut(self, make: Callable[..., Build]) -> None:
        build = make(own=True)
        archive = build.source / TRAIN
        shutil.copy2(archive, kept := build.out.with_name("kept"))
        paused = Paused(build, jobs=2)
        cut(archive)
        ended = paused.go()
        assert (ended.code, ended.error[0], ended.error[-1]) == (4, UNREADABLE, PUT_RIGHT)
        early = rf"  {TRAIN}: \S+ at byte [\d,]+: the archive ends before this image does; it has become shorter"
        changed = f"  {TRAIN}: has changed since it was indexed"
        assert all(re.fullmatch(f"{early}|{changed}", line) for line in ended.error[1:-1])
        assert re.fullmatch(early, ended.error[-2])
        kept.replace(archive)
        build.assert_goes_on()

    def test_an_archive_that_disappears(self, make: Callable[..., Build]) -> None:
        build = make(own=True)
        archive = build.source / TRAIN
        paused = Paused(build, jobs=2)
        archive.rename(kept := build.out.with_name("kept"))
        line = f"  the source: Cannot read {archive}: No such file or directory."
        assert_ended(paused.go(), 4, UNREADABLE, line, PUT_RIGHT)
        kept.rename(archive)
        build.assert_goes_on()

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda _: None, "No such file or directory"),
            (lambda data: data + b" ", "the file has grown since it was listed"),
            (lambda data: data[:-1], "the file is shorter than when it was listed"),
        ],
        ids=["removed", "grown", "shortened"],
    )
    def test_an_image_in_a_class_folder_that_changes_before_it_is_read(
        self, make: Callable[..., Build], change: Callable[[bytes], bytes | None], reason: str
    ) -> None:
        build = make("extracted", own=True)
        image = min(build.source.glob("train/n01440764/*"))
        data = image.read_bytes()
        paused = Paused(build, jobs=2, fault=at_event(WRITE))
        image.unlink()
        if (changed := change(data)) is not None:
            image.write_bytes(changed)
        line = f"  {build.source}/train: n01440764/{image.name}: {reason}"
        assert_ended(paused.go(), 4, UNREADABLE, line, PUT_RIGHT)
        assert len(list(build.out.glob(".imagenet-prep/receipts/tfrecord/*"))) == 7
        image.write_bytes(data)
        build.assert_goes_on()

    def test_an_image_in_a_class_folder_that_is_exchanged_for_one_of_its_size_is_written_as_it_is_then(
        self, make: Callable[..., Build]
    ) -> None:
        build = make("extracted", own=True)
        image = min(build.source.glob("train/n01440764/*"))
        paused = Paused(build, fault=at_event(WRITE))
        overwrite(image)
        assert paused.go() == (0, [])
        row = pq.read_table(build.out / "manifest.parquet", filters=[("name", "=", image.name)]).to_pylist()[0]
        assert row["digest"] == xxhash.xxh3_128_hexdigest(image.read_bytes())
        assert audit(build.out, AuditOptions(jobs=1)).set_aside == 0


class TestNoPermission:
    @pytest.mark.parametrize(
        ("path", "error"),
        [
            (
                TRAIN,
                (
                    "Error: The source cannot be used:",
                    "  {path}: cannot be read: Permission denied",
                    "Put each file right, or name the files to use one by one.",
                ),
            ),
            (
                ".",
                (
                    "Error: The source cannot be searched:",
                    "  {path}: cannot be read: Permission denied",
                    "Fix each, or name the folders and files to use one by one.",
                ),
            ),
        ],
    )
    def test_a_source_that_may_not_be_read(self, make: Callable[..., Build], path: str, error: tuple[str, ...]) -> None:
        build = make(own=True)
        closed = build.source / path
        with without_permission(build, closed, 0o000):
            assert_ended(build.run(), 4, *(line.format(path=closed) for line in error))
        assert not build.out.exists()
        build.assert_goes_on()

    def test_an_image_that_may_not_be_read(self, make: Callable[..., Build]) -> None:
        build = make("extracted", own=True)
        image = min(build.source.glob("train/n01440764/*"))
        with without_permission(build, image, 0o000):
            line = f"  {build.source}/train: n01440764/{image.name}: Permission denied"
            assert_ended(build.run(jobs=2), 4, UNREADABLE, line, PUT_RIGHT)
        build.assert_goes_on()

    @pytest.mark.parametrize(
        ("closed", "mode", "said"),
        [
            ("..", 0o555, "{out}"),
            (".", 0o555, "{out}/manifest.parquet"),
            (
                ".imagenet-prep/receipts/tfrecord",
                0o555,
                "{out}/.imagenet-prep/receipts/tfrecord/train-00000-of-00006",
            ),
            ("tfrecord", 0o555, "{out}/tfrecord/train-00000-of-00006"),
            ("splits", 0o555, "{out}/splits/…"),
            ("..", 0o000, "{parent}: may not be entered: you lack the permission x"),
            (".", 0o000, "{out}: may not be entered: you lack the permission x"),
            (".imagenet-prep", 0o000, ".imagenet-prep: may not be entered: you lack the permission x"),
            (
                ".imagenet-prep/state.json",
                0o000,
                ".imagenet-prep/state.json: may not be read: you lack the permission r",
            ),
            ("folders/train/tench", 0o000, "folders/train/tench: may not be entered: you lack the permission x"),
        ],
    )
    def test_an_output_folder_that_may_not_be_written_to_or_read(
        self, make: Callable[..., Build], closed: str, mode: int, said: str
    ) -> None:
        build = make()
        if closed != "..":
            build.take()
            for lost in "build.json", ".imagenet-prep/receipts/tfrecord/train-00000-of-00006":
                (build.out / lost).unlink()
        said = said.format(out=build.out, parent=build.out.parent)
        if mode:
            lines = [f"Error: Cannot write {said}: Permission denied.", "Choose a folder you may write to."]
        else:
            remedy = "Its owner can change that (chmod …); nothing is known to be damaged."
            lines = [f"Error: {build.out} cannot be read completely:", f"  {said}", remedy]
        with without_permission(build, build.out / closed if closed != ".." else build.out.parent, mode):
            assert_ended(build.run(), 6, *lines)
        build.assert_goes_on()


class TestAReadOnlyTarget:
    def test_a_new_build(self, make: Callable[..., Build]) -> None:
        build = mounted(make(), READ_ONLY)
        line = f"Error: Cannot write {build.out}: Read-only file system."
        assert_ended(build.run(), 6, line, "The file system is read-only; choose another folder.")
        build.prefix = ()
        build.assert_goes_on()

    def test_an_unfinished_build(self, make: Callable[..., Build]) -> None:
        build = make().take()
        (build.out / "tfrecord/train-00003-of-00006").unlink()
        mounted(build, READ_ONLY)
        line = f"Error: Cannot remove {build.out}/build.json: Read-only file system."
        assert_ended(build.run(jobs=2), 6, line, "The file system is read-only; choose another folder.")
        build.prefix = ()
        build.assert_goes_on()

    @pytest.mark.parametrize(("layout", "recipe"), [("archives", RECIPE), ("extracted", LINKS)])
    def test_a_finished_build_is_found_finished(
        self, make: Callable[..., Build], layout: str, recipe: tuple[str, ...]
    ) -> None:
        build = make(layout, recipe).take()
        mounted(build, READ_ONLY).assert_goes_on()

    def test_what_a_killed_run_left_does_no_harm(self, make: Callable[..., Build]) -> None:
        build = make().take()
        left = build.out / f"tfrecord/.train-00000-of-00006.{HOST}.999999999.part"
        left.touch()
        mounted(build, READ_ONLY)
        assert build.end(build.start(), alone=False) == (0, [])
        assert left.exists()
        build.prefix = ()
        build.assert_goes_on()


class TestTwoAtOnce:
    def test_the_same_command_twice(self, make: Callable[..., Build]) -> None:
        build = make()
        pair = [Paused(build, jobs=jobs, fault=BEFORE_THE_CLAIM) for jobs in (1, 2)]
        for paused in pair:
            paused.wake()
        assert [paused.go(alone=False) for paused in pair] == [(0, []), (0, [])]
        build.assert_nothing_left()
        assert everything(build.out) == build.want

    def test_of_two_recipes_the_first_one_wins(self, make: Callable[..., Build]) -> None:
        build = make()
        second = Paused(build, "--seed", "1", fault=BEFORE_THE_CLAIM)
        first = Paused(build)
        line = "  seed: 0 there, 1 now"
        assert_ended(second.go(alone=False), 5, f"Error: {build.out} holds another data set:", line, OTHER_REMEDY)
        assert first.go() == (0, [])
        assert everything(build.out) == build.want

    def test_two_recipes_at_the_same_moment_are_never_mixed(self, make: Callable[..., Build]) -> None:
        build, other = make(), make(recipe=(*RECIPE, "--seed", "1"))
        pair = [Paused(each, fault=BEFORE_THE_CLAIM) for each in (build, other)]
        for paused in pair:
            paused.wake()
        codes = [paused.go(alone=False).code for paused in pair]
        assert sorted(codes) == [0, 5]
        winner = (build, other)[codes.index(0)]
        assert everything(build.out) == winner.want
        winner.assert_goes_on()

    @pytest.mark.parametrize(
        ("more", "code", "error"),
        [
            ((), 0, ()),
            (("--on-bad", "set-aside"), 5, ("Error: Another run is at work in {out}.", "Wait for its end.")),
        ],
    )
    def test_a_run_beside_one_at_work(
        self, make: Callable[..., Build], more: tuple[str, ...], code: int, error: tuple[str, ...]
    ) -> None:
        build = make()
        paused = Paused(build, jobs=2)
        beside = build.end(build.start(*more, jobs=2), alone=False)
        assert_ended(beside, code, *(line.format(out=build.out) for line in error))
        assert paused.go() == (0, [])
        assert everything(build.out) == build.want


class TestInterrupts:
    def test_ctrl_c_at_any_moment_ends_soon_and_leaves_nothing(self, make: Callable[..., Build]) -> None:
        build, chance, codes = make(), random.Random(4), []
        want = build.want
        for _ in range(10):
            shutil.rmtree(build.out, ignore_errors=True)
            command = build.start(jobs=2)
            assert command.stderr
            assert command.stderr.readline() == "Indexing …\n"
            time.sleep(chance.uniform(0, 0.4))
            os.killpg(command.pid, signal.SIGINT)
            began = time.monotonic()
            said = command.communicate(timeout=5)[1]
            assert time.monotonic() - began < 5
            build.assert_nothing_left()
            codes.append(command.returncode)
            if command.returncode:
                assert said.splitlines()[-2] == "The same command again goes on where this one stopped:"
            assert "Traceback" not in said
            assert {name: data for name, data in everything(build.out).items() if want.get(name) != data} == {}
        build.assert_goes_on()
        assert set(codes) <= {130, 0}  # 0: it was done before
        assert codes.count(130) >= 3

    def test_a_closed_terminal_is_an_interrupt(self, make: Callable[..., Build]) -> None:
        build = make()
        before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, and so would the build
        try:
            command = Paused(build, jobs=2, fault=at_event(WRITE)).command
        finally:
            signal.signal(signal.SIGHUP, before)
        os.killpg(command.pid, signal.SIGHUP)
        said = command.communicate(timeout=10)[1]
        assert command.returncode == 130
        assert said.splitlines()[-2] == "The same command again goes on where this one stopped:"
        build.assert_nothing_left()
        build.assert_goes_on()

    def test_without_any_output_a_build_is_done_all_the_same(self, make: Callable[..., Build]) -> None:
        build = make()
        arguments = [*COMMAND, "build", str(build.source), str(build.out), *build.recipe]
        subprocess.run(["bash", "-c", '"$@" >&- 2>&- <&-', "bash", *arguments], check=True, timeout=60)
        assert everything(build.out) == build.want

    def test_an_interrupt_just_as_a_file_is_made(self, make: Callable[..., Build]) -> None:
        build = make()
        command = build.start(fault=interrupted_at(".build.json."))
        assert build.end(command) == (130, [])
        build.assert_goes_on()

    @pytest.mark.skipif(sys.platform != "linux", reason="nothing says which process is dead already")
    def test_what_a_dead_process_left_is_swept_though_nobody_has_asked_for_its_end(
        self, make: Callable[..., Build]
    ) -> None:
        build = make().take()
        dead = subprocess.Popen([sys.executable, "-ISc", ""])
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
        (build.out / f"tfrecord/.train-00000-of-00006.{HOST}.{dead.pid}.part").touch()
        build.assert_goes_on()
        assert dead.wait() == 0


class TestWorkers:
    def test_a_worker_that_is_killed_costs_nothing(self, make: Callable[..., Build]) -> None:
        build = make()
        paused = Paused(build, jobs=2)
        os.kill(children(paused.command.pid)[0], signal.SIGKILL)
        assert paused.go() == (0, [])
        assert everything(build.out) == build.want

    def test_an_image_that_kills_every_worker_is_found_and_can_be_done_without(
        self, make: Callable[..., Build], miniatures: Callable[[str], Miniature], tmp_path: Path
    ) -> None:
        build = make()
        fatal = miniatures("archives").train[5]
        ended = build.run(jobs=2, fault=dying(fatal.sha256))
        assert (ended.code, ended.error[0]) == (
            1,
            "Error: A worker process died, and again in a second attempt; all other shards are finished:",
        )
        first = r"  (train-0000\d-of-00006): the process that wrote its (\d+) images died twice"
        [(shard, number)] = re.findall(first, ended.error[1])
        images = ended.error[2:-1]
        assert len(images) == int(number)
        assert all(re.fullmatch(rf"  {TRAIN}: \S+ at byte [\d,]+: is one of {shard}", line) for line in images)
        assert any(fatal.member in line for line in images)
        assert ended.error[-1] == (
            "Run the same command again; fewer --jobs need less memory. If it dies again, one of these images may be "
            "the cause: a build in another folder can do without it (--exclude FILE)."
        )
        assert len(list(build.out.glob(".imagenet-prep/receipts/tfrecord/*"))) == 7
        (tmp_path / "without.txt").write_text(f"{fatal.name}\n")
        without = Build(build.source, tmp_path / "disk/other", build.faulty)
        assert without.run("--exclude", str(tmp_path / "without.txt"), jobs=2, fault=dying(fatal.sha256)) == (0, [])
        assert json.loads((without.out / "build.json").read_bytes())["images"]["excluded"] == 1
        build.assert_goes_on()

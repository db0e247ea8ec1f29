"""Other programs at work in an output folder: what has a final name is right, whatever became of the file meanwhile.

A build waits in the middle of a file, or at its end, and then something happens to that file. Two builds in one folder
are in process spaces of their own, where all process numbers are the same, as in two containers.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace as changed
from pathlib import Path

import pytest

from faulty import BEFORE_THE_CLAIM, FINISH, WAIT, Build, Paused, assert_ended, at_event
from imagenet_prep import AuditOptions, audit
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.build import files
from torture.kills import IN_A_SPACE, NO_LOCKS

pytestmark = pytest.mark.system

RECIPE = ("--format", "tfrecord", "--format", "folders", "--test-per-class", "2", "--shards", "train=3")
COMMON = ("--test-per-class", "2", "--shards", "train=3")
ONE, OTHER = ("--format", "tfrecord", *COMMON), ("--format", "tfds", *COMMON)
LINKS = ("--format", "folders", "--test-per-class", "2", "--transfer")
SHARD = "tfrecord/.train-00000-of-00003."
RECEIPT = ".imagenet-prep/.train-00000-of-00003."
DAYS = 3 * 86_400

# Every file is known by the path it was made under.
NAMES = f"""{WAIT}
import os
make, paths = os.open, {{}}
def make_and_note(path, *arguments, **more):
    descriptor = make(path, *arguments, **more)
    paths[descriptor] = os.fspath(path)
    return descriptor
os.open = make_and_note
"""
ELSEWHERE = """
import socket
socket.gethostname = lambda: "elsewhere"
"""


def in_the_middle(name: str) -> str:
    """Code that waits when the first bytes of a file with ``name`` in its path are written."""
    return f"""{NAMES}
write, writev = os.write, os.writev
def is_first(descriptor):
    return {name!r} in paths.get(descriptor, "") and not waited
def write_some(descriptor, data):
    if not is_first(descriptor):
        return write(descriptor, data)
    written = write(descriptor, data[:100])
    wait()
    return written
def writev_some(descriptor, buffers):
    if not is_first(descriptor):
        return writev(descriptor, buffers)
    written = write(descriptor, bytes(buffers[0])[:100])
    wait()
    return written
os.write, os.writev = write_some, writev_some
"""


def at_the_end(name: str) -> str:
    """Code that waits when a file with ``name`` in its path is written, and has no name yet."""
    return f"""{NAMES}
sync = os.fsync
def wait_and_sync(descriptor):
    if {name!r} in paths.get(descriptor, "") and not waited:
        wait()
    sync(descriptor)
os.fsync = wait_and_sync
"""


def always(name: str, what: str) -> str:
    """Code that does ``what`` to every file with ``name`` in its path when it is written."""
    return f"""{NAMES}
sync = os.fsync
def disturb_and_sync(descriptor):
    path = paths.get(descriptor, "")
    if {name!r} in path:
        {what}
    sync(descriptor)
os.fsync = disturb_and_sync
"""


def disk(path: Path) -> Path:
    """The folder that the output lies in."""
    return next(folder for folder in path.parents if folder.name == "disk")


def full(name: str) -> str:
    """Code that lets the disk be full for files with ``name`` in their paths."""
    return f"""{NAMES}
import errno
def filled(real):
    def write(descriptor, data):
        if {name!r} in paths.get(descriptor, ""):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)
    return write
os.write, os.writev = filled(os.write), filled(os.writev)
"""


def truncate(path: Path) -> None:
    os.truncate(path, 0)


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"not what was written")
    other.replace(path)


def replace_by_zeros(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    other.replace(path)


def replace_by_a_link(path: Path) -> None:
    path.unlink()
    theirs = disk(path) / "theirs"
    theirs.write_bytes(b"the user's")
    path.symlink_to(theirs)


def move_away(path: Path) -> None:
    path.rename(disk(path) / "elsewhere")


def forbid(path: Path) -> None:
    path.chmod(0)


DISTURBANCES = (truncate, shorten, lengthen, remove, replace, replace_by_zeros, replace_by_a_link, move_away, forbid)


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def source(layout: str) -> Path:
        if layout not in made:
            made[layout] = tmp_path_factory.mktemp("source") / layout
            options = MiniatureOptions(classes=3, images_per_class=8, validation_per_class=2, layout=layout)
            write_miniature(made[layout], options)
        return made[layout]

    return source


@pytest.fixture(scope="session")
def undisturbed(sources: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    made: dict[tuple[str, tuple[str, ...]], Path] = {}

    def built(layout: str, recipe: tuple[str, ...]) -> Path:
        if (layout, recipe) not in made:
            folder = tmp_path_factory.mktemp("undisturbed")
            build = Build(sources(layout), folder / "data", folder / "faulty", recipe=recipe)
            assert build.run() == (0, [])
            made[layout, recipe] = build.out
        return made[layout, recipe]

    return built


@pytest.fixture
def make(sources: Callable[[str], Path], undisturbed: Callable[..., Path], tmp_path: Path) -> Callable[..., Build]:
    def make(layout: str = "archives", recipe: tuple[str, ...] = RECIPE) -> Build:
        out = tmp_path / "disk/data"
        return Build(sources(layout), out, tmp_path / "faulty", undisturbed(layout, recipe), recipe)

    (tmp_path / "disk").mkdir()
    return make


def live(build: Build, name: str) -> Path:
    """The file that is being written, by a part of its path."""
    [path] = [path for path in build.out.rglob("*.part") if name in str(path)]
    return path


def finished(build: Build) -> dict[str, bytes]:
    """Every file of a build that has its final name."""
    return {name: data for name, data in files(build.out).items() if not name.endswith(".part")}


def assert_right(build: Build) -> None:
    assert files(build.out) == files(build.undisturbed)
    audit(build.out, AuditOptions(jobs=1))  # raises what it finds


class TestAFileThatIsDisturbedWhileItIsWritten:
    @pytest.mark.parametrize("disturb", DISTURBANCES)
    @pytest.mark.parametrize("moment", [in_the_middle, at_the_end])
    def test_a_shard_is_started_again(
        self, make: Callable[..., Build], moment: Callable[[str], str], disturb: Callable[[Path], None]
    ) -> None:
        build = make()
        paused = Paused(build, fault=moment(SHARD))
        disturb(live(build, SHARD))
        assert paused.go() == (0, [])
        (build.out / "tfrecord/train-00000-of-00003").chmod(0o644)
        assert_right(build)
        for theirs in build.out.parent.glob("theirs"):
            assert theirs.read_bytes() == b"the user's"

    @pytest.mark.parametrize("disturb", [truncate, shorten, lengthen, remove, replace, replace_by_a_link])
    def test_so_is_an_image_in_a_class_folder(
        self, make: Callable[..., Build], disturb: Callable[[Path], None]
    ) -> None:
        build = make()
        paused = Paused(build, fault=in_the_middle("/folders/"))
        disturb(live(build, "/folders/"))
        assert paused.go() == (0, [])
        assert_right(build)

    @pytest.mark.parametrize(
        ("name", "disturb"),
        [
            ("dali-index/.train-00000-of-00003.idx.", truncate), ("/.state.json.", replace_by_zeros),
            ("/.catalog.arrow.", remove), (RECEIPT, lengthen), ("/.manifest.parquet.", truncate),
            ("tfrecord/.features.json.", remove), ("folders/.classes.csv.", replace_by_a_link),
            ("/.train.txt.", lengthen), *(("/.build.json.", each) for each in (truncate, remove, replace_by_zeros)),
        ],
    )  # fmt: skip
    def test_so_is_everything_beside_the_shards(
        self, make: Callable[..., Build], name: str, disturb: Callable[[Path], None]
    ) -> None:
        build = make()
        paused = Paused(build, fault=at_the_end(name))
        disturb(live(build, name))
        assert paused.go() == (0, [])
        assert_right(build)

    @pytest.mark.parametrize("disturb", [truncate, remove, replace_by_zeros])
    def test_so_is_the_note_of_a_move(self, make: Callable[..., Build], disturb: Callable[[Path], None]) -> None:
        build = make("extracted", (*LINKS, "hardlink"))
        build.source = shutil.copytree(build.source, build.out.parent / "source")
        build.recipe = (*LINKS, "move")
        paused = Paused(build, fault=at_the_end("/.moved-from.json."))
        disturb(live(build, "/.moved-from.json."))
        assert paused.go() == (0, [])
        audit(build.out, AuditOptions(jobs=1))  # raises what it finds

    @pytest.mark.parametrize(
        ("name", "said", "what"),
        [
            (SHARD, "tfrecord/train-00000-of-00003", "os.unlink(path)"),
            (SHARD, "tfrecord/train-00000-of-00003", "os.truncate(path, 1)"),
            (SHARD, "tfrecord/train-00000-of-00003", "os.rename(path, path + '.theirs')"),
            (RECEIPT, ".imagenet-prep/receipts/…", "os.unlink(path)"),
            ("/.state.json.", ".imagenet-prep/state.json", "os.truncate(path, 1)"),
            ("/.catalog.arrow.", ".imagenet-prep/catalog.arrow", "os.rename(path, path + '.theirs')"),
            ("/.manifest.parquet.", "manifest.parquet", "os.unlink(path)"),
            ("/.build.json.", "build.json", "os.truncate(path, 1)"),
        ],
    )
    def test_what_is_disturbed_every_time_is_named(
        self, make: Callable[..., Build], name: str, said: str, what: str
    ) -> None:
        build = make()
        ended = build.end(build.start(fault=always(name, what)), alone=False)
        line = f"Error: Cannot write {build.out}/{said}: another program removed, replaced or changed it…"
        assert_ended(ended, 6, line, "Find that program…")
        want = files(build.undisturbed)
        assert {path for path, data in finished(build).items() if data != want.get(path, data)} == set()
        for theirs in build.out.rglob("*.theirs"):
            theirs.unlink()
        build.assert_goes_on()


def within(*paths: str) -> Callable[[Build], None]:
    """Remove files and folders of the output."""

    def remove_all(build: Build) -> None:
        for path in (build.out / each for each in paths):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove_all


def cut(path: str) -> Callable[[Build], None]:
    return lambda build: os.truncate(build.out / path, 10)


def overwritten(path: str) -> Callable[[Build], None]:
    """Another byte in a file, of the same size, with a later time."""

    def overwrite(build: Build) -> None:
        with (build.out / path).open("r+b") as file:
            file.seek(100)
            file.write(b"\xff\x00\xff")
        later(build.out / path)

    return overwrite


SECOND, LAST, FIRST = "tfrecord/train-00001-of-00003", in_the_middle("/.train-00002"), "tfrecord/train-00000-of-00003"
RECEIPTS = ".imagenet-prep/receipts"


class TestWhatIsFinishedIsDisturbedBeforeTheEnd:
    @pytest.mark.parametrize(
        ("moment", "act", "named"),
        [
            (LAST, within(FIRST), "tfrecord train-00000-of-00003"),
            (LAST, cut(FIRST), "tfrecord train-00000-of-00003"),
            (LAST, overwritten(FIRST), "tfrecord train-00000-of-00003"),
            (LAST, within("folders/train"), "folders train-00000-of-00003"),
            (LAST, within(RECEIPTS), "receipt"),
            (at_event(FINISH), within(f"{RECEIPTS}/tfrecord/train-00001-of-00003"), "tfrecord train-00001-of-00003"),
            (at_event(FINISH), within(SECOND), "tfrecord train-00001-of-00003"),
            (at_the_end("/.train.txt."), cut("manifest.parquet"), "manifest.parquet"),
            (at_the_end("/.train.txt."), within("classes.csv"), "classes.csv"),
            (in_the_middle(SHARD), lambda build: shutil.rmtree(build.out), ""),
            (in_the_middle(SHARD), lambda build: build.out.rename(build.out.with_name("moved")), ""),
        ],
    )  # fmt: skip
    def test_it_is_named_and_the_build_is_not_called_complete(
        self, make: Callable[..., Build], moment: str, act: Callable[[Build], None], named: str
    ) -> None:
        build = make()
        paused = Paused(build, fault=moment)
        act(build)
        ended = paused.go()
        assert ended.code == 6
        assert named in "\n".join(ended.error)
        assert not (build.out / "build.json").exists()
        build.assert_goes_on()

    def test_so_is_what_was_there_before_an_output_is_added(self, make: Callable[..., Build]) -> None:
        build = make(recipe=(*ONE, "--format", "tfds"))
        assert changed(build, recipe=ONE).run() == (0, [])
        paused = Paused(build, fault=in_the_middle("tfds/.imagenet2012-train.tfrecord-00002"))
        within(FIRST)(build)
        ended = paused.go()
        assert ended.code == 6
        assert "tfrecord train-00000-of-00003" in "\n".join(ended.error)
        assert not (build.out / "build.json").exists()
        build.assert_goes_on()

    @pytest.mark.parametrize(
        ("moment", "act"),
        [
            (in_the_middle(SHARD), within("tfrecord")),
            (in_the_middle("/folders/"), within(".imagenet-prep")),
            (in_the_middle(SHARD), within(".imagenet-prep/state.json", ".imagenet-prep/catalog.arrow")),
            (LAST, within(".imagenet-prep/state.json")),
            (in_the_middle("/folders/"), within("folders")),
        ],
    )
    def test_what_is_still_to_be_written_is_written(
        self, make: Callable[..., Build], moment: str, act: Callable[[Build], None]
    ) -> None:
        build = make()
        paused = Paused(build, fault=moment)
        act(build)
        assert paused.go() == (0, [])
        assert_right(build)

    @pytest.mark.parametrize("name", [SHARD, "/folders/", RECEIPT, "/.state.json.", "/.catalog.arrow.", "/.build."])
    def test_a_full_disk_gives_no_name_to_a_part(self, make: Callable[..., Build], name: str) -> None:
        build = make()
        ended = build.run(fault=full(name))
        assert (ended.code, "No space left on device" in ended.error[0]) == (6, True)
        want = files(build.undisturbed)
        assert {path for path, data in files(build.out).items() if data != want[path]} == set()
        build.assert_goes_on()


KILLED = pytest.mark.parametrize("killed", ["", "first", "second"])
LOCKS = pytest.mark.parametrize("without", ["", NO_LOCKS], ids=["locks", "no locks"])


class TestTwoBuildsInSpacesOfTheirOwn:
    @KILLED
    @LOCKS
    @pytest.mark.parametrize("moment", [in_the_middle(SHARD), at_the_end(".build.json."), at_the_end(RECEIPT)])
    def test_both_write_the_same_file(self, make: Callable[..., Build], moment: str, without: str, killed: str) -> None:
        build = make()
        build.prefix = IN_A_SPACE
        pair = {name: Paused(build, fault=moment + without) for name in ("first", "second")}
        if killed:
            dead = pair.pop(killed).command
            os.kill(dead.pid, signal.SIGKILL)
            dead.communicate()
        assert [paused.go(alone=False) for paused in pair.values()] == [(0, [])] * len(pair)
        assert finished(build) == files(build.undisturbed)
        assert without or files(build.out) == files(build.undisturbed)  # what a killed one left was swept

    @LOCKS
    def test_one_ends_while_the_other_writes(self, make: Callable[..., Build], without: str) -> None:
        build = make()
        build.prefix = IN_A_SPACE
        paused = Paused(build, fault=in_the_middle(SHARD) + without)
        path = live(build, SHARD)
        assert build.end(build.start(fault=without), alone=False) == (0, [])
        assert path.exists()
        assert paused.go() == (0, [])
        assert_right(build)

    @pytest.mark.parametrize("moment", [BEFORE_THE_CLAIM, in_the_middle(SHARD), at_the_end("/.build.json.")])
    def test_each_adds_an_output_of_its_own(self, make: Callable[..., Build], moment: str) -> None:
        build = make(recipe=(*ONE, "--format", "tfds"))
        build.prefix = IN_A_SPACE
        first, second = (changed(build, recipe=recipe) for recipe in (ONE, OTHER))
        paused = Paused(first, fault=moment)
        assert second.end(second.start(), alone=False) == (0, [])
        assert paused.go() == (0, [])
        assert_right(build)

    def test_one_that_is_refused_adds_nothing(self, make: Callable[..., Build]) -> None:
        build = make(recipe=ONE)
        paused = Paused(build, "--on-bad", "set-aside", fault=in_the_middle(SHARD))
        second = changed(build, recipe=OTHER)
        ended = second.end(second.start(), alone=False)
        assert_ended(ended, 5, f"Error: Another run is at work in {build.out}.", "Wait for its end.")
        assert paused.go() == (0, [])
        build.assert_goes_on()


def left_behind(build: Build, fault: str = "") -> Path:
    """What a build leaves that is killed outright in the middle of a shard."""
    paused = Paused(build, fault=in_the_middle(SHARD) + fault)
    os.killpg(paused.command.pid, signal.SIGKILL)
    paused.command.communicate()
    return live(build, SHARD)


def age(*paths: Path) -> None:
    long_ago = time.time() - DAYS
    for path in paths:
        os.utime(path, (long_ago, long_ago))


def age_all(build: Build) -> None:
    """Have every temporary file as if nobody had written into it for days."""
    age(*build.out.rglob("*.part"))


class TestWhatKilledRunsLeft:
    def test_is_swept_at_the_next_start(self, make: Callable[..., Build]) -> None:
        build = make()
        left_behind(build)
        build.assert_goes_on()

    def test_is_known_by_its_lock_and_not_by_its_age(self, make: Callable[..., Build]) -> None:
        build = make()
        paused = Paused(build, fault=in_the_middle(SHARD))
        path = live(build, SHARD)
        age_all(build)
        assert build.end(build.start(), alone=False) == (0, [])
        assert path.exists()
        assert paused.go() == (0, [])

    @pytest.mark.parametrize(("then", "now"), [(NO_LOCKS, NO_LOCKS), (ELSEWHERE, ""), ("", ELSEWHERE)])
    def test_stays_for_a_day_where_a_lock_says_nothing(self, make: Callable[..., Build], then: str, now: str) -> None:
        build = make()
        path = left_behind(build, then)
        assert build.end(build.start(fault=now), alone=False) == (0, [])
        assert path.exists()
        age_all(build)
        assert build.end(build.start(fault=now)) == (0, [])
        assert files(build.out) == files(build.undisturbed)

    def test_a_living_writer_that_was_taken_for_dead_starts_again(self, make: Callable[..., Build]) -> None:
        build = make()
        paused = Paused(build, fault=in_the_middle(SHARD) + NO_LOCKS)
        path = live(build, SHARD)
        age_all(build)
        assert build.end(build.start(fault=NO_LOCKS)) == (0, [])
        assert not path.exists()
        assert paused.go() == (0, [])
        assert_right(build)

    def test_files_of_others_stay(self, make: Callable[..., Build]) -> None:
        build = make().take()
        theirs = [build.out / "tfrecord" / name for name in (".a.part", ".video.mp4.1234.part", ".b.host.0a1b.part")]
        for path in theirs:
            path.touch()
            age_all(build)
        assert build.end(build.start(), alone=False) == (0, [])
        assert all(path.exists() for path in theirs)


@pytest.fixture
def shard(make: Callable[..., Build]) -> tuple[Build, Path]:
    """A finished build, and one of its shards."""
    build = make().take()
    return build, build.out / "tfrecord/train-00001-of-00003"


def later(path: Path) -> None:
    """Give a file another time, as what writes into it does."""
    soon = time.time() + 10
    os.utime(path, (soon, soon))


class TestFinishedShardsAreLookedAt:
    @pytest.mark.parametrize("disturb", [truncate, shorten, lengthen, remove])
    def test_one_that_is_gone_or_of_another_size_is_written_again(
        self, shard: tuple[Build, Path], disturb: Callable[[Path], None]
    ) -> None:
        build, path = shard
        disturb(path)
        command = build.start()
        said = command.communicate()[1]
        assert command.returncode == 0
        assert "tfrecord train-00001-of-00003" in said
        assert_right(build)

    def test_one_of_another_time_is_read_once_and_kept_if_it_is_right(self, shard: tuple[Build, Path]) -> None:
        build, path = shard
        later(path)
        before = path.stat()
        build.assert_goes_on()
        assert path.stat() == before or path.stat().st_ino == before.st_ino
        # That it is not read again shows where its bytes change behind the back of its time.
        with path.open("r+b") as file:
            file.write(b"x")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert build.run() == (0, [])
        assert path.read_bytes()[:1] == b"x"

    def test_one_of_another_time_with_other_bytes_is_written_again(self, shard: tuple[Build, Path]) -> None:
        build, path = shard
        with path.open("r+b") as file:
            file.seek(1000)
            file.write(b"other")
        later(path)
        command = build.start()
        assert "tfrecord train-00001-of-00003" in command.communicate()[1]
        assert command.returncode == 0
        assert_right(build)

    def test_a_preview_remembers_nothing(self, shard: tuple[Build, Path]) -> None:
        build, path = shard
        later(path)
        receipt = build.out / ".imagenet-prep/receipts/tfrecord/train-00001-of-00003"
        before = receipt.stat().st_mtime_ns
        assert build.run("--dry-run") == (0, [])
        assert receipt.stat().st_mtime_ns == before

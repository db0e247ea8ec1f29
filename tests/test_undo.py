"""Every build can be taken back, exactly, wherever it was stopped: no file is ever lost or replaced, none of a move is
without a name at any moment, and nothing goes that the build did not make.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, OtherBuildError, OutputError, Progress, SourceError, UsageError
from imagenet_prep.stores import sync, temporary
from imagenet_prep.stores.local import LocalStore
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.build import changed, state
from support.command import run
from support.sentences import Sentence

ONE_PROCESS = imagenet_prep.AuditOptions(jobs=1)

MOVE = BuildOptions.of(format=("folders",), test_per_class=1, transfer="move", jobs=1)
SMALL = MiniatureOptions(
    wnids=("n01440764", "n02917067"),
    images_per_class=2,
    validation_per_class=1,
    boxes=False,
    devkit=False,
    layout="extracted",
)
LONG_AGO = 1_338_508_800_123_456_789  # nanoseconds


pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def written(folder: Path, options: MiniatureOptions = SMALL) -> Path:
    """A source whose files and folders all have a time of their own, long ago."""
    root = write_miniature(folder, options).root
    for number, path in enumerate(sorted((root, *root.rglob("*")), reverse=True)):
        os.utime(path, ns=(LONG_AGO, LONG_AGO + number))
    return root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return written(tmp_path / "source")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "data"


def images(folder: Path) -> dict[str, tuple[int, str]]:
    """Inode and digest of every image, by name; one that is there twice is one file."""
    found: dict[str, tuple[int, str]] = {}
    for path in folder.rglob("*.JPEG"):
        fact = path.stat().st_ino, hashlib.sha256(path.read_bytes()).hexdigest()
        assert found.setdefault(path.name, fact) == fact, "an image is two files"
    return found


class TestUndo:
    def test_it_puts_everything_back_exactly_and_leaves_nothing(self, source: Path, out: Path) -> None:
        before = state(source)
        imagenet_prep.build(source, out, MOVE)
        assert not list(source.rglob("*.JPEG"))
        there = {path for path in out.rglob("*") if path.is_file() and ".imagenet-prep" not in path.parts}
        report = imagenet_prep.undo(out)
        assert (report.moved, report.kept) == (6, ())
        assert report.removed == len(there) - 6 - 1  # build.json goes first, and is not counted
        assert state(source) == before
        assert not out.exists()

    @pytest.mark.parametrize("layout", ["sorted", "renamed", "clashing", "kaggle"])
    def test_it_does_so_in_every_layout(self, out: Path, tmp_path: Path, layout: str) -> None:
        source = written(tmp_path / "source", replace(SMALL, layout=layout))
        before = state(source)
        imagenet_prep.build(source, out, MOVE)
        imagenet_prep.undo(out)
        assert state(source) == before
        assert not out.exists()

    def test_where_archives_were_written_out_too_it_removes_these(self, out: Path, tmp_path: Path) -> None:
        source = written(tmp_path / "source", replace(SMALL, layout="mixed"))
        before = state(source)
        imagenet_prep.build(source, out, MOVE)
        report = imagenet_prep.undo(out)
        assert (report.moved, report.kept) == (2, ())
        assert state(source) == before
        assert not out.exists()

    def test_it_keeps_what_the_user_put_there(self, source: Path, out: Path) -> None:
        before = state(source)
        imagenet_prep.build(source, out, MOVE)
        mine = ("notes.txt", "folders/train/tench/mine.JPEG", "folders/dev/tench/a.JPEG", "splits/mine.txt")
        for name in mine:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text("mine")
        assert imagenet_prep.undo(out).kept == ("folders", "notes.txt", "splits")
        assert state(source) == before
        assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == set(mine)

    def test_it_brings_back_folders_that_were_removed_because_they_were_empty(self, source: Path, out: Path) -> None:
        before = state(source)
        imagenet_prep.build(source, out, MOVE)
        shutil.rmtree(source / "train")
        imagenet_prep.undo(out)
        after = state(source)
        assert set(after) == set(before)
        files = {name for name, was in before.items() if was.content}
        assert {name: after[name] for name in files} == {name: before[name] for name in files}
        assert after["train/n01440764"].modified == before["train/n01440764"].modified

    def test_a_target_inside_of_the_folder_it_takes_from_leaves_no_file(self, source: Path) -> None:
        before = state(source)
        imagenet_prep.build(source, source / "val/sorted", MOVE)
        imagenet_prep.undo(source / "val/sorted")
        after = state(source)
        # The folder that held it has another time: a file was made in it, and taken away.
        assert after == {**before, "val": before["val"]._replace(modified=after["val"].modified)}

    def test_progress_counts_the_files(self, source: Path, out: Path) -> None:
        imagenet_prep.build(source, out, MOVE)
        events: list[Any] = []
        report = imagenet_prep.undo(out, watch=events.append)
        assert (events[-1].stage, events[-1].done) == ("undo", report.removed)
        assert events[-1].done <= events[-1].total

    def test_after_it_the_same_source_can_be_built_again(self, source: Path, out: Path) -> None:
        before = state(source)
        for _ in range(2):
            imagenet_prep.build(source, out, MOVE)
            assert imagenet_prep.audit(out, ONE_PROCESS).records == 6
            imagenet_prep.undo(out)
        assert state(source) == before


ALL = tuple(imagenet_prep.OUTPUTS)
KINDS: dict[str, dict[str, Any]] = {
    "shards": {"format": ("tfrecord", "tfds"), "shards": {"train": 2}},
    "copies": {"format": "folders"},
    "hard links": {"format": "folders", "transfer": "hardlink"},
    "symbolic links": {"format": "folders", "transfer": "symlink"},
    "a move": {"format": "folders", "transfer": "move"},
    "a move beside shards": {"format": ALL, "transfer": "move"},
    "meta.bin": {"format": "folders", "names": "wnid", "validation_folder": "val"},
    "a subset": {"format": ALL, "classes": (0,)},
    "an exclusion": {"format": ALL, "exclude": ("n01440764_10.JPEG",)},
    "images set aside": {"format": ALL, "on_bad": "set-aside"},
    "a move, an exclusion, and images set aside": {
        "format": ("tfds", "folders"),
        "transfer": "move",
        "exclude": ("n01440764_10.JPEG",),
        "on_bad": "set-aside",
    },
    "every image looked at closely": {"format": ALL, "on_bad": "set-aside", "check": "decode"},
}
MINE = ("notes.txt", "folders/mine.txt", "folders/train/mine.JPEG", "tfrecord/train-00000", "set-aside/mine.JPEG")


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKindOfBuild:
    @pytest.fixture
    def source(self, tmp_path: Path, kind: str) -> Path:
        quirks = ("text", "truncated") if KINDS[kind].get("on_bad") else ()
        return written(tmp_path / "source", replace(SMALL, images_per_class=4, quirks=quirks))

    @pytest.fixture
    def options(self, kind: str) -> BuildOptions:
        return BuildOptions.of(**{"test_per_class": 1, "jobs": 1} | KINDS[kind])

    def test_is_taken_away_without_a_trace(self, source: Path, out: Path, options: BuildOptions) -> None:
        before = state(source)
        imagenet_prep.build(source, out, options)
        report = imagenet_prep.undo(out)
        assert report.kept == ()
        assert report.removed > 0
        assert not out.exists()
        assert state(source) == before

    def test_is_taken_away_unfinished(self, source: Path, out: Path, options: BuildOptions) -> None:
        before = state(source)
        for stop in range(1, 5):
            with pytest.raises(KeyboardInterrupt):
                imagenet_prep.build(source, out, options, watch=stopping(stop))
            assert not (out / "build.json").exists()
            assert imagenet_prep.undo(out).kept == ()
            assert not out.exists()
            assert state(source) == before

    def test_leaves_what_the_user_put_beside_it(self, source: Path, out: Path, options: BuildOptions) -> None:
        before = state(source)
        imagenet_prep.build(source, out, options)
        for name in MINE:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text("mine")
        assert set(imagenet_prep.undo(out).kept) == {name.partition("/")[0] for name in MINE}
        assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == set(MINE)
        assert state(source) == before


def stopping(at: int) -> Callable[[object], None]:
    """Interrupt a build after so many shards."""
    seen: list[object] = []

    def watch(event: object) -> None:
        seen.append(event)
        if sum(isinstance(each, Progress) and each.stage in ("write", "finish") for each in seen) >= at:
            raise KeyboardInterrupt

    return watch


def test_a_data_set_that_has_grown_is_taken_away_as_a_whole(source: Path, out: Path) -> None:
    before = state(source)
    for name in ("tfds", "folders"):
        imagenet_prep.build(source, out, BuildOptions.of(format=name, test_per_class=1, jobs=1))
    imagenet_prep.undo(out)
    assert (state(source), out.exists()) == (before, False)


def test_an_image_that_is_set_aside_keeps_its_name_in_the_source(tmp_path: Path, out: Path) -> None:
    source = written(tmp_path / "source", replace(SMALL, images_per_class=4, quirks=("text",)))
    options = BuildOptions.of(format=("tfds", "folders"), transfer="move", test_per_class=1, on_bad="set-aside", jobs=1)
    imagenet_prep.build(source, out, options)
    [aside] = (out / "set-aside").iterdir()
    [left] = source.rglob("*.JPEG")
    assert (left.name, left.read_bytes()) == (aside.name, aside.read_bytes())


class TestNothingToUndo:
    def test_a_folder_that_holds_no_data_set(self, out: Path, sentence: Sentence) -> None:
        out.mkdir()
        (out / "notes.txt").write_text("mine")
        with pytest.raises(UsageError) as caught:
            imagenet_prep.undo(out)
        sentence(caught.value)
        assert [path.name for path in out.iterdir()] == ["notes.txt"]

    def test_a_second_time(self, source: Path, out: Path, sentence: Sentence) -> None:
        imagenet_prep.build(source, out, MOVE)
        (out / "notes.txt").write_text("mine")
        imagenet_prep.undo(out)
        with pytest.raises(UsageError) as caught:
            imagenet_prep.undo(out)
        sentence(caught.value)
        assert [path.name for path in out.iterdir()] == ["notes.txt"]


class TestWhatIsDamaged:
    """Without state and catalog it is not known what the build put there."""

    @pytest.mark.parametrize("name", ["state.json", "catalog.arrow"])
    @pytest.mark.parametrize("how", ["missing", "empty", "a flipped bit", "half of it"])
    @pytest.mark.parametrize("finished", [True, False])
    def test_it_says_what_lies_there_and_touches_nothing(
        self, source: Path, out: Path, name: str, how: str, finished: bool, sentence: Sentence
    ) -> None:
        imagenet_prep.build(source, out, MOVE)
        (out / "notes.txt").write_text("mine")
        if not finished:
            (out / "build.json").unlink()
        path = out / ".imagenet-prep" / name
        sound = path.read_bytes()
        damage(path, how)
        before = state(source.parent)
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.undo(out)
        sentence(caught.value)
        assert caught.value.exit_code == 5
        for there in ("classes.csv", "folders/", "notes.txt", "splits/"):
            assert there in caught.value.summary
        assert state(source.parent) == before
        path.write_bytes(sound)
        assert imagenet_prep.undo(out).kept == ("notes.txt",)
        assert len(images(source)) == 6

    def test_nor_without_the_private_folder(self, source: Path, out: Path, sentence: Sentence) -> None:
        imagenet_prep.build(source, out, MOVE)
        shutil.rmtree(out / ".imagenet-prep")
        before = state(source.parent)
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.undo(out)
        sentence(caught.value)
        assert state(source.parent) == before

    @pytest.mark.parametrize("how", ["empty", "a flipped bit", "half of it"])
    def test_the_note_of_a_move_is_believed_only_as_a_whole(
        self, source: Path, out: Path, how: str, sentence: Sentence
    ) -> None:
        imagenet_prep.build(source, out, MOVE)
        path = out / ".imagenet-prep/moved-from.json"
        sound = path.read_bytes()
        damage(path, how)
        before = state(source.parent)
        with pytest.raises(OutputError) as caught:
            imagenet_prep.undo(out)
        sentence(caught.value, alike=True)
        assert state(source.parent) == before
        path.write_bytes(sound)
        assert imagenet_prep.undo(out).moved == 6

    def test_a_build_that_goes_on_after_a_move_needs_the_catalog(
        self, source: Path, out: Path, sentence: Sentence
    ) -> None:
        imagenet_prep.build(source, out, MOVE)
        (out / ".imagenet-prep/catalog.arrow").unlink()
        before = state(source.parent)
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.build(source, out, MOVE)
        sentence(caught.value)
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.resume(out, jobs=1)
        sentence(caught.value)
        assert state(source.parent) == before


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "half of it":
        path.write_bytes(data[: len(data) // 2])
    else:
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])


class TestWhatHappenedInTheMeantime:
    def test_a_file_that_is_there_again_is_named_and_neither_is_touched(
        self, source: Path, out: Path, sentence: Sentence
    ) -> None:
        before = state(source)
        imagenet_prep.build(source, out, MOVE)
        again = source / "train/n01440764/n01440764_10.JPEG"
        moved = next((out / "folders").rglob(again.name))
        again.write_text("another")
        with pytest.raises(SourceError) as caught:
            imagenet_prep.undo(out)
        sentence(caught.value)
        [problem] = caught.value.problems
        assert problem.archive == str(again)
        sentence(problem.reason, "2")
        assert again.read_text() == "another"
        assert moved.exists()
        again.unlink()
        imagenet_prep.undo(out)
        assert state(source) == before
        assert not out.exists()

    def test_a_file_put_back_by_hand_is_where_it_belongs(self, source: Path, out: Path) -> None:
        before = state(source)
        imagenet_prep.build(source, out, MOVE)
        again = source / "train/n01440764/n01440764_10.JPEG"
        next((out / "folders").rglob(again.name)).rename(again)
        imagenet_prep.undo(out)
        assert state(source) == before
        assert not out.exists()

    def test_a_file_that_is_gone_is_named_and_the_others_are_put_back(self, source: Path, out: Path) -> None:
        before = state(source)
        imagenet_prep.build(source, out, MOVE)
        gone = next((out / "folders").rglob("n01440764_10.JPEG"))
        gone.unlink()
        place = source / "train/n01440764/n01440764_10.JPEG"
        for _ in range(2):
            with pytest.raises(SourceError) as caught:
                imagenet_prep.undo(out)
            [problem] = caught.value.problems
            assert problem.archive == str(place)
            assert f"is neither there nor at {gone.relative_to(out)}" in problem.reason
            assert state(source) == {name: was for name, was in before.items() if not name.endswith(gone.name)}
        place.write_text("lost")
        assert imagenet_prep.undo(out).kept == ()
        assert not out.exists()

    def test_a_build_that_goes_on_says_which_file_is_gone(self, source: Path, out: Path) -> None:
        imagenet_prep.build(source, out, MOVE)
        next((out / "folders").rglob("n01440764_10.JPEG")).unlink()
        with pytest.raises(SourceError) as caught:
            imagenet_prep.build(source, out, MOVE)
        assert f"{source}/train/n01440764/n01440764_10.JPEG" in {problem.archive for problem in caught.value.problems}


class Killed(BaseException):
    """What ends a run at once."""


class Kill:
    """Ends a run before its n-th change of the file system. From then on nothing changes any more, as if the
    process were gone: no clean-up runs either.
    """

    CALLS = (
        "mkdir",
        "rename",
        "replace",
        "link",
        "symlink",
        "unlink",
        "rmdir",
        "write",
        "writev",
        "fsync",
        "sync",
        "utime",
    )

    def __init__(self, at: int) -> None:
        self.left = at

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    @property
    def struck(self) -> bool:
        return self.left < 0


@contextmanager
def killed(at: int) -> Iterator[Kill]:
    kill = Kill(at)
    with pytest.MonkeyPatch.context() as patch:
        for name in Kill.CALLS:
            patch.setattr(os, name, _stepping(kill, name))
        real_open = os.open

        def stepping_open(path: Any, flags: int, *more: Any, **others: Any) -> int:
            if flags & os.O_CREAT:
                kill.step()
            return real_open(path, flags, *more, **others)

        patch.setattr(os, "open", stepping_open)
        patch.setattr(sync, "syncfs", lambda _: kill.step())
        try:
            yield kill
        except Killed:
            assert kill.struck


def _stepping(kill: Kill, name: str) -> Callable[..., Any]:
    real = getattr(os, name)

    def call(*arguments: Any, **others: Any) -> Any:
        kill.step()
        return real(*arguments, **others)

    return call


@pytest.fixture
def as_if_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The killed process was this one, which lives, and may hold locks; that of a dead one would not."""
    monkeypatch.setattr(temporary, "lock", lambda _: True)


def undone(out: Path) -> None:
    """Undo what there is; if there is nothing, the folder is gone, or empty."""
    try:
        imagenet_prep.undo(out)
    except UsageError:
        assert not out.exists() or not any(path.is_file() for path in out.rglob("*"))
        shutil.rmtree(out, ignore_errors=True)
    assert not out.exists()


@pytest.mark.system
@pytest.mark.usefixtures("as_if_killed")
class TestAKillAtEveryStep:
    """Every image has a name at every moment; the same command completes; undo from there restores everything."""

    def test_of_the_build(self, source: Path, out: Path) -> None:
        before, everything = state(source), images(source)
        imagenet_prep.build(source, out, MOVE)
        right = {path: (out / path).read_bytes() for path in _kept(out)}
        imagenet_prep.undo(out)
        steps = halfway = linked = 0
        while True:
            with killed(steps) as kill:
                imagenet_prep.build(source, out, MOVE)
            if not kill.struck:
                break
            assert _images_somewhere(source, out) == everything
            linked += bool(out.exists() and images(out)) and len(images(source)) == len(everything)
            halfway += 0 < len(images(source)) < len(everything)
            undone(out)
            assert state(source) == before
            with killed(steps):
                imagenet_prep.build(source, out, MOVE)
            if (out / ".imagenet-prep/state.json").exists() and steps % 2:
                imagenet_prep.resume(out, jobs=1)
            else:
                imagenet_prep.build(source, out, MOVE)
            assert {path: (out / path).read_bytes() for path in _kept(out)} == right
            assert not images(source)
            imagenet_prep.undo(out)
            assert state(source) == before
            steps += 1
        assert steps > 50
        assert linked > len(everything)  # every name in the source stays until everything is complete
        assert halfway >= len(everything) - 1

    def test_of_undo(self, tmp_path: Path, out: Path) -> None:
        source = written(tmp_path / "source", replace(SMALL, layout="mixed", validation_per_class=2))
        before, everything = state(source), images(source)
        steps = halfway = 0
        while True:
            imagenet_prep.build(source, out, MOVE)
            with killed(steps) as kill:
                imagenet_prep.undo(out)
            if not kill.struck:
                break
            assert everything.items() <= _images_somewhere(source, out).items()
            halfway += 0 < len(images(source)) < len(everything)
            undone(out)
            assert state(source) == before
            imagenet_prep.build(source, out, MOVE)
            (out / "notes.txt").write_text("mine")
            with killed(steps):
                imagenet_prep.undo(out)
            _change_of_mind(source, out)
            if any(path.is_file() for path in (out / ".imagenet-prep").rglob("*")):
                imagenet_prep.undo(out)
            assert [path.name for path in out.rglob("*") if path.is_file()] == ["notes.txt"]
            assert state(source) == before
            shutil.rmtree(out)
            steps += 1
        assert steps > 15
        assert halfway >= len(everything) - 1


def _change_of_mind(source: Path, out: Path) -> None:
    """Build again after a stopped undo: it completes, or says that undo comes first. Another recipe is refused."""
    before = images(source.parent)
    with pytest.raises(OtherBuildError):
        imagenet_prep.build(source, out, changed(MOVE, names="wnid"))
    assert images(source.parent) == before
    try:
        imagenet_prep.build(source, out, MOVE)
    except OtherBuildError:
        assert images(source.parent) == before
    else:
        (out / "notes.txt").unlink()
        assert imagenet_prep.audit(out, ONE_PROCESS).records == 8
        (out / "notes.txt").write_text("mine")


def _kept(out: Path) -> list[Path]:
    """Every file of a build except the catalog and the note of the move, which hold times."""
    files = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    return [path for path in files if path.name not in ("catalog.arrow", "moved-from.json")]


def _images_somewhere(source: Path, out: Path) -> dict[str, tuple[int, str]]:
    there, here = images(source), images(out) if out.exists() else {}
    assert all(here[name] == there[name] for name in here.keys() & there.keys()), "an image is two files"
    return there | here


KILLS_ITSELF = """
import os, signal, sys
left = int(sys.argv.pop(1))
def stepping(real):
    def call(*arguments, **others):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **others)
    return call
for name in ("mkdir", "rename", "replace", "link", "unlink", "rmdir"):
    setattr(os, name, stepping(getattr(os, name)))
from imagenet_prep.__main__ import main
main()
"""


def killed_command(at: int, *arguments: object) -> int:
    command = [sys.executable, "-c", KILLS_ITSELF, str(at), *map(str, arguments), "--quiet"]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode


@pytest.mark.system
def test_a_real_kill_is_survived_too(tmp_path: Path, out: Path) -> None:
    source = written(tmp_path / "source", replace(SMALL, images_per_class=20, validation_per_class=5))
    before, everything = state(source), images(source)
    build = ("build", source, out, "--format", "folders", "--transfer", "move", "--test-per-class", "1", "--jobs", "1")
    chance, moved = random.Random(0), []
    for start in (20, 50, 80, 110, 135):  # the last 50 of 156 changes take names away
        assert killed_command(start + chance.randrange(10), *build) == -signal.SIGKILL
        assert _images_somewhere(source, out) == everything
        moved.append(len(images(source)))
        imagenet_prep.build(source, out, MOVE)
        assert killed_command(chance.randrange(1, 150), "undo", out) == -signal.SIGKILL
        assert _images_somewhere(source, out) == everything
        imagenet_prep.undo(out)
        assert state(source) == before
        assert not out.exists()
    assert any(0 < count < len(everything) for count in moved)


def test_the_command_line_tells_what_was_put_back(source: Path, out: Path, sentence: Sentence) -> None:
    imagenet_prep.build(source, out, MOVE)
    (out / "notes.txt").write_text("mine")
    first, second = (run("undo", out, "--quiet") for _ in range(2))
    assert (first.returncode, first.stderr) == (0, "")
    sentence(first.stdout)
    assert first.stdout.splitlines()[-1].endswith(": notes.txt")
    assert (second.returncode, second.stdout) == (2, "")
    sentence(second.stderr, "again")


class TestTwoRunsAtOnce:
    def test_undo_waits_for_no_build_that_is_at_work(self, source: Path, out: Path) -> None:
        seen: list[str] = []

        def undo_now(event: object) -> None:
            if isinstance(event, imagenet_prep.Progress) and event.stage == "write" and not seen:
                with pytest.raises(OtherBuildError) as caught:
                    imagenet_prep.undo(out)
                seen.append(str(caught.value))

        imagenet_prep.build(source, out, MOVE, watch=undo_now)

        assert seen == [f"Another run is at work in {out}.\nWait for its end."]
        assert imagenet_prep.undo(out).moved == len(images(source))

    def test_a_second_build_of_one_move_waits_for_no_first(self, source: Path, out: Path) -> None:
        refused: list[int] = []

        def build_again(event: object) -> None:
            if isinstance(event, imagenet_prep.Progress) and event.stage == "write" and not refused:
                with pytest.raises(OtherBuildError) as caught:
                    imagenet_prep.build(source, out, MOVE)
                refused.append(caught.value.exit_code)

        imagenet_prep.build(source, out, MOVE, watch=build_again)

        assert refused == [5]


def test_two_moves_with_different_recipes_cannot_both_begin(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run has claimed the folder after this one found it free, and before this one holds it."""
    real = LocalStore.turn

    def overtaken(store: LocalStore) -> AbstractContextManager[object]:
        monkeypatch.setattr(LocalStore, "turn", real)
        imagenet_prep.build(source, out, changed(MOVE, seed=1))
        return real(store)

    monkeypatch.setattr(LocalStore, "turn", overtaken)
    before = set(images(source))
    with pytest.raises(OtherBuildError):
        imagenet_prep.build(source, out, MOVE)

    assert imagenet_prep.undo(out).moved == len(before)
    assert set(images(source)) == before


def test_undo_of_the_folder_one_is_in(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imagenet_prep.build(source, out, MOVE)
    monkeypatch.chdir(out)

    assert imagenet_prep.undo(".").kept == ()
    assert not out.exists()

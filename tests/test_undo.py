"""A move can be taken back, exactly, wherever it was stopped: no file is ever lost, replaced or in two places."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, OtherBuildError, OutputError, SourceError, UndoReport, UsageError
from imagenet_prep.stores import sync, temporary, tree
from imagenet_prep.stores.lock import held
from imagenet_prep.testing import MiniatureOptions, write_miniature
from imagenet_prep.verbs.build import stages
from imagenet_prep.verbs.build.claim import claim

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


class State(NamedTuple):
    """What a file or folder is, to the last bit."""

    mode: int
    inode: int
    names: int
    modified: int
    content: str


def state(folder: Path) -> dict[str, State]:
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        names = status.st_nlink if path.is_file() else 0
        found[str(path.relative_to(folder))] = State(status.st_mode, status.st_ino, names, status.st_mtime_ns, content)
    return found


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
    """Inode and digest of every image, by name; an image that is there twice is an error."""
    paths = list(folder.rglob("*.JPEG"))
    found = {path.name: (path.stat().st_ino, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths}
    assert len(found) == len(paths), "an image is in two places"
    return found


class TestUndo:
    def test_it_puts_everything_back_exactly_and_leaves_nothing(self, source: Path, out: Path) -> None:
        before = state(source)
        imagenet_prep.build(source, out, MOVE)
        assert not list(source.rglob("*.JPEG"))
        assert imagenet_prep.undo(out) == UndoReport(moved=6, removed=0, kept=())
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
        assert imagenet_prep.undo(out) == UndoReport(moved=2, removed=4, kept=())
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

    def test_a_target_inside_of_the_folder_it_takes_from_leaves_no_trace(self, source: Path) -> None:
        before = state(source)
        imagenet_prep.build(source, source / "val/sorted", MOVE)
        imagenet_prep.undo(source / "val/sorted")
        assert state(source) == before

    def test_progress_counts_the_files(self, source: Path, out: Path) -> None:
        imagenet_prep.build(source, out, MOVE)
        events: list[Any] = []
        imagenet_prep.undo(out, watch=events.append)
        assert (events[-1].stage, events[-1].done, events[-1].total) == ("undo", 6, 6)

    def test_after_it_the_same_source_can_be_built_again(self, source: Path, out: Path) -> None:
        before = state(source)
        for _ in range(2):
            imagenet_prep.build(source, out, MOVE)
            assert imagenet_prep.audit(out, ONE_PROCESS).records == 6
            imagenet_prep.undo(out)
        assert state(source) == before


class TestNothingToUndo:
    @pytest.mark.parametrize("transfer", ["copy", "hardlink", "symlink"])
    def test_a_build_that_moved_nothing(self, source: Path, out: Path, transfer: str) -> None:
        imagenet_prep.build(source, out, replace(MOVE, transfer=transfer))
        before = state(out)
        with pytest.raises(UsageError, match="holds no moved files: there is nothing to undo"):
            imagenet_prep.undo(out)
        assert state(out) == before

    def test_a_second_time(self, source: Path, out: Path) -> None:
        imagenet_prep.build(source, out, MOVE)
        (out / "notes.txt").write_text("mine")
        imagenet_prep.undo(out)
        with pytest.raises(UsageError, match="holds no moved files"):
            imagenet_prep.undo(out)
        assert [path.name for path in out.iterdir()] == ["notes.txt"]


class TestWhatHappenedInTheMeantime:
    def test_a_file_that_is_there_again_is_named_and_neither_is_touched(self, source: Path, out: Path) -> None:
        before = state(source)
        imagenet_prep.build(source, out, MOVE)
        again = source / "train/n01440764/n01440764_10.JPEG"
        moved = next((out / "folders").rglob(again.name))
        again.write_text("another")
        with pytest.raises(SourceError, match=r"1 files? could not be put back; all others are") as caught:
            imagenet_prep.undo(out)
        [problem] = caught.value.problems
        assert str(problem) == (f"{again}: is there again, though it was moved to {moved}: take one of the two away")
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
            assert list(map(str, caught.value.problems)) == [
                f"{place}: is neither there nor at {gone}; to undo the rest without it, put an empty file there"
            ]
            assert state(source) == {name: was for name, was in before.items() if not name.endswith(gone.name)}
        place.write_text("lost")
        assert imagenet_prep.undo(out).kept == ()
        assert not out.exists()

    def test_a_build_that_goes_on_says_which_file_is_gone(self, source: Path, out: Path) -> None:
        imagenet_prep.build(source, out, MOVE)
        next((out / "folders").rglob("n01440764_10.JPEG")).unlink()
        with pytest.raises(SourceError) as caught:
            imagenet_prep.build(source, out, MOVE)
        assert [problem.archive for problem in caught.value.problems] == [f"{source}/train/n01440764/n01440764_10.JPEG"]


class TestTheLog:
    @pytest.mark.parametrize("how", ["a byte", "half of it", "a line", "nothing left"])
    def test_a_damaged_one_is_refused_and_nothing_is_touched(self, source: Path, out: Path, how: str) -> None:
        imagenet_prep.build(source, out, MOVE)
        log = out / ".imagenet-prep/undo.jsonl"
        sound = log.read_bytes()
        lines = sound.splitlines(keepends=True)
        damaged = {
            "a byte": sound.replace(b"tench", b"tenth", 1),
            "half of it": sound[: len(sound) // 2],
            "a line": b"".join([lines[0], *lines[2:]]),
            "nothing left": b"",
        }
        log.write_bytes(damaged[how])
        before = state(source.parent)
        for call in (imagenet_prep.undo, lambda out: imagenet_prep.build(source, out, MOVE)):
            with pytest.raises(OutputError, match=r"undo\.jsonl is damaged: .* no file is touched without it"):
                call(out)
            assert state(source.parent) == before
        log.write_bytes(sound)
        imagenet_prep.undo(out)

    def test_another_source_is_refused(self, source: Path, out: Path, tmp_path: Path) -> None:
        imagenet_prep.build(source, out, MOVE)
        other = written(tmp_path / "other")
        before = state(tmp_path)
        with pytest.raises(OtherBuildError, match="holds the files of other sources") as caught:
            imagenet_prep.build(other, out, MOVE)
        assert list(map(str, caught.value.problems)) == [
            f"{source}/train: is what it was begun from",
            f"{source}/val: is what it was begun from",
        ]
        assert state(tmp_path) == before

    def test_a_catalog_that_was_lost_cannot_be_made_again_but_the_move_can_be_undone(
        self, source: Path, out: Path
    ) -> None:
        before = state(source)
        imagenet_prep.build(source, out, MOVE)
        (out / ".imagenet-prep/catalog.arrow").unlink()
        with pytest.raises(OtherBuildError, match=r"catalog\.arrow is damaged") as caught:
            imagenet_prep.build(source, out, MOVE)
        assert caught.value.remedy == f"Put the files back, and build again: imagenet-prep undo {out}"
        imagenet_prep.undo(out)
        assert state(source) == before


class Killed(BaseException):
    """What ends a run at once."""


class Kill:
    """Ends a run in front of its n-th change of the file system. From then on nothing changes any more, as if the
    process were gone: no clean-up runs either.
    """

    CALLS = ("mkdir", "rename", "replace", "link", "symlink", "unlink", "rmdir", "write", "fsync", "sync", "utime")

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
        patch.setattr(sync, "_syncfs", lambda _: kill.step())
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


def undone(out: Path) -> bool:
    """Whether there was something to undo; if not, the folder is gone or has nothing of the user's."""
    try:
        imagenet_prep.undo(out)
    except UsageError:
        assert not list(out.rglob("*.JPEG"))
        return False
    assert not out.exists()
    return True


@pytest.mark.usefixtures("as_if_killed")
class TestAKillAtEveryStep:
    """No file is lost; the same command completes; undo from there restores everything."""

    def test_of_the_build(self, source: Path, out: Path) -> None:
        before, everything = state(source), images(source)
        imagenet_prep.build(source, out, MOVE)
        right = {path: (out / path).read_bytes() for path in _kept(out)}
        imagenet_prep.undo(out)
        steps, halfway = 0, 0
        while True:
            with killed(steps) as kill:
                imagenet_prep.build(source, out, MOVE)
            if not kill.struck:
                break
            found = _images_once(source, out)
            assert everything.items() <= found.items()
            halfway += 0 < len(images(source)) < len(everything)
            if undone(out):
                assert state(source) == before
            assert state(source) == before
            shutil.rmtree(out, ignore_errors=True)
            with killed(steps):
                imagenet_prep.build(source, out, MOVE)
            imagenet_prep.build(source, out, MOVE)
            assert {path: (out / path).read_bytes() for path in _kept(out)} == right
            imagenet_prep.undo(out)
            assert state(source) == before
            steps += 1
        assert steps > 50
        assert halfway >= len(everything) - 1

    def test_of_undo(self, tmp_path: Path, out: Path) -> None:
        source = written(tmp_path / "source", replace(SMALL, layout="mixed", validation_per_class=2))
        before, everything = state(source), images(source)
        steps, halfway = 0, 0
        while True:
            imagenet_prep.build(source, out, MOVE)
            with killed(steps) as kill:
                imagenet_prep.undo(out)
            if not kill.struck:
                break
            assert everything.items() <= _images_once(source, out).items()
            halfway += 0 < len(images(source)) < len(everything)
            undone(out)
            assert state(source) == before
            shutil.rmtree(out, ignore_errors=True)
            imagenet_prep.build(source, out, MOVE)
            with killed(steps):
                imagenet_prep.undo(out)
            _change_of_mind(source, out)
            undone(out)
            assert state(source) == before
            shutil.rmtree(out, ignore_errors=True)
            steps += 1
        assert steps > 15
        assert halfway >= len(everything) - 1


def _change_of_mind(source: Path, out: Path) -> None:
    """Build again after a stopped undo: it completes, or says that undo comes first. Another recipe is refused."""
    if not (out / ".imagenet-prep/undo.jsonl").exists():
        return
    before = images(source.parent)
    with pytest.raises(OtherBuildError):
        imagenet_prep.build(source, out, replace(MOVE, names="wnid"))
    assert images(source.parent) == before
    kept = out / ".imagenet-prep"
    if (kept / "plan.json").exists() and (kept / "catalog.arrow").exists():
        imagenet_prep.build(source, out, MOVE)
        assert imagenet_prep.audit(out, ONE_PROCESS).records == 8
    else:
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.build(source, out, MOVE)
        assert f"imagenet-prep undo {out}" in caught.value.remedy
        assert images(source.parent) == before


def _kept(out: Path) -> list[Path]:
    """Every file of a build but the catalog and the log, in which there are times."""
    files = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    return [path for path in files if path.name not in ("catalog.arrow", "undo.jsonl")]


def _images_once(source: Path, out: Path) -> dict[str, tuple[int, str]]:
    there, here = images(source), images(out) if out.exists() else {}
    assert not set(there) & set(here), "an image is in two places"
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
for name in ("mkdir", "rename", "replace", "unlink", "rmdir"):
    setattr(os, name, stepping(getattr(os, name)))
from imagenet_prep.__main__ import main
main()
"""


def killed_command(at: int, *arguments: object) -> int:
    command = [sys.executable, "-c", KILLS_ITSELF, str(at), *map(str, arguments), "--quiet"]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode


def test_a_real_kill_is_survived_too(tmp_path: Path, out: Path) -> None:
    source = written(tmp_path / "source", replace(SMALL, images_per_class=20, validation_per_class=5))
    before, everything = state(source), images(source)
    build = ("build", source, out, "--format", "folders", "--transfer", "move", "--test-per-class", "1", "--jobs", "1")
    chance, moved = random.Random(0), []
    for _ in range(5):
        assert killed_command(chance.randrange(20, 60), *build) == -signal.SIGKILL
        assert _images_once(source, out) == everything
        moved.append(len(images(out)))
        imagenet_prep.build(source, out, MOVE)
        assert killed_command(chance.randrange(1, 50), "undo", out) == -signal.SIGKILL
        assert _images_once(source, out) == everything
        imagenet_prep.undo(out)
        assert state(source) == before
        assert not out.exists()
    assert any(0 < count < len(everything) for count in moved)


def test_the_command_line_tells_what_was_put_back(source: Path, out: Path) -> None:
    imagenet_prep.build(source, out, MOVE)
    (out / "notes.txt").write_text("mine")
    command = [sys.executable, "-m", "imagenet_prep", "undo", str(out), "--quiet"]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(2))
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines() == [
        f"6 files are where they were before {out} was built.",
        f"Kept in {out}, because the build did not make it: notes.txt",
    ]
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == f"Error: {out} holds no moved files: there is nothing to undo.\n"


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

    def test_a_file_that_another_run_has_moved_just_now_is_in_its_place(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "image").write_bytes(b"image")
        real = os.rename

        def overtaken(source: str, final: str) -> None:
            real(source, final)
            real(source, final)  # as this run would, a moment later

        monkeypatch.setattr(os, "rename", overtaken)
        tree.Tree(tmp_path).move("folders/image", str(tmp_path / "image"))

        assert (tmp_path / "folders/image").read_bytes() == b"image"

    def test_the_lock_is_gone_with_the_process(self, tmp_path: Path) -> None:
        code = f"import pathlib, os\nfrom imagenet_prep.stores.lock import held\np = pathlib.Path({str(tmp_path)!r})\n"
        code += "with held(p, p, alone=True): os.kill(os.getpid(), 9)"
        killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
        assert killed.returncode == -signal.SIGKILL
        with held(tmp_path, tmp_path, alone=True):
            pass


def test_two_moves_with_different_recipes_cannot_both_begin(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run has claimed the folder after this one found it free, and before this one holds it."""
    real = claim

    def overtaken(*arguments: Any, **more: Any) -> None:
        monkeypatch.setattr(stages, "claim", real)
        imagenet_prep.build(source, out, replace(MOVE, seed=1))
        real(*arguments, **more)

    monkeypatch.setattr(stages, "claim", overtaken)
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

"""File systems that refuse what others do: advice is passed over, and what durability needs is told once.

Python is told to refuse, in all processes of the command, because no such file system is at hand.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.build import files
from support.command import Ended, run, start

UNSYNCED = "cannot be made to sync"
FORMATS = ("tfrecord", "tfds", "folders")


def refusing(function: str, error: str, when: str = "True") -> str:
    """Code in which a function of ``os`` or ``fcntl`` fails, when its first ``argument`` is such."""
    module, _, name = function.rpartition(".")
    return f"""
import errno, os, stat, {module}
def refuse(real):
    def refusing(argument, *others, **more):
        if {when}:
            raise OSError(errno.{error}, os.strerror(errno.{error}))
        return real(argument, *others, **more)
    return refusing
{module}.{name} = refuse({module}.{name})
"""


def syncing_folders(error: str) -> str:
    return refusing("os.fsync", error, "stat.S_ISDIR(os.fstat(argument).st_mode)")


def syncing_files(error: str) -> str:
    return refusing("os.fsync", error, "stat.S_ISREG(os.fstat(argument).st_mode)")


def syncfs(error: str) -> str:
    return f"""
import ctypes, errno
class Library:
    def syncfs(self, descriptor):
        ctypes.set_errno(errno.{error})
        return -1
ctypes.CDLL = lambda *arguments, **more: Library()
"""


@contextmanager
def here(fault: str) -> Iterator[None]:
    """Have Python do in this process what ``fault`` says, and no longer than this."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((os, "fsync"), (os, "link"), (os, "symlink"), (os, "sync"), (ctypes, "CDLL")):
            patch.setattr(module, name, getattr(module, name))  # which puts it back
        exec(fault, {})
        yield


EVERYTHING = "".join(
    [
        syncing_folders("EINVAL"),
        syncfs("ENOSYS"),
        refusing("os.posix_fadvise", "ENOSYS"),
        refusing("fcntl.flock", "ENOLCK"),
        refusing("os.utime", "EPERM"),
        refusing("os.sched_getaffinity", "EPERM"),
        refusing("os.statvfs", "ENOSYS"),
    ]
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Miniature]:
    folder = tmp_path_factory.mktemp("sources")
    few = {
        layout: MiniatureOptions(classes=3, images_per_class=8, validation_per_class=2, layout=layout)
        for layout in ("archives", "sorted")
    }
    return {layout: write_miniature(folder / layout, options) for layout, options in few.items()}


def build(folder: Path, source: Miniature, *more: object, fault: str = "") -> Ended:
    with here(fault):
        return run("build", source.root, folder / "OUT", *recipe_for(*more))


def recipe_for(*more: object) -> tuple[object, ...]:
    return "--test-per-class", 2, *(() if "folders" in more else ("--shards", "train=2")), *more


@pytest.mark.parametrize(("form", "jobs"), [("tfrecord", 1), ("tfds", 2), ("folders", 2)])
def test_a_build_where_everything_is_refused_is_the_same_build(
    sources: dict[str, Miniature], tmp_path: Path, form: str, jobs: int
) -> None:
    source, recipe = sources["archives"], recipe_for("--format", form)
    assert build(tmp_path / "sound", source, "--format", form).returncode == 0
    ended = start("build", source.root, tmp_path / "OUT", *recipe, "--jobs", jobs, fault=EVERYTHING)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count(UNSYNCED) == 1
    assert "Invalid argument" in ended.stderr
    assert files(tmp_path / "OUT", "catalog.arrow") == files(tmp_path / "sound" / "OUT", "catalog.arrow")
    assert start("audit", tmp_path / "OUT", fault=EVERYTHING).returncode == 0


@pytest.mark.parametrize("error", ["EINVAL", "EIO", "ENOTSUP", "ENOSYS", "EBADF", "EPERM"])
def test_a_folder_that_cannot_be_synced_is_told_and_is_no_failure(
    sources: dict[str, Miniature], tmp_path: Path, error: str
) -> None:
    ended = build(tmp_path, sources["archives"], fault=syncing_folders(error))
    assert (ended.returncode, ended.stderr.count(UNSYNCED)) == (0, 1), ended.stderr


@pytest.mark.parametrize("error", ["ENOSYS", "EINVAL", "EOPNOTSUPP", "EPERM"])
def test_without_a_sync_of_one_file_system_all_are_synced(
    sources: dict[str, Miniature], tmp_path: Path, error: str
) -> None:
    told = "import os, sys\nos.sync = lambda: print('all are synced', file=sys.stderr)\n"
    ended = build(tmp_path, sources["archives"], "--format", "folders", fault=syncfs(error) + told)
    assert ended.returncode == 0, ended.stderr
    assert "all are synced" in ended.stderr
    assert UNSYNCED not in ended.stderr


@pytest.mark.parametrize("transfer", ["copy", "hardlink", "symlink", "move"])
def test_every_transfer_works_where_everything_is_refused(
    sources: dict[str, Miniature], tmp_path: Path, transfer: str
) -> None:
    source = write_miniature(tmp_path / "source", sources["sorted"].options)
    before = files(source.root, "catalog.arrow")
    recipe = recipe_for("--format", "folders", "--transfer", transfer)
    ended = start("build", source.root, tmp_path / "OUT", *recipe, fault=EVERYTHING)
    assert ended.returncode == 0, ended.stderr
    if transfer == "move":
        ended = start("undo", tmp_path / "OUT", fault=EVERYTHING)
        assert ended.returncode == 0, ended.stderr
    assert files(source.root, "catalog.arrow") == before


@pytest.mark.parametrize("error", ["EPERM", "ENOTSUP", "ENOSYS", "EINVAL", "EMLINK"])
@pytest.mark.parametrize(("function", "transfer"), [("os.link", "hardlink"), ("os.symlink", "symlink")])
def test_where_there_are_no_links_the_message_names_what_works(
    sources: dict[str, Miniature], tmp_path: Path, function: str, transfer: str, error: str
) -> None:
    fault = refusing(function, error)
    ended = build(tmp_path, sources["sorted"], "--format", "folders", "--transfer", transfer, fault=fault)
    assert ended.returncode == 6
    assert "--transfer copy" in ended.stderr
    assert not (tmp_path / "OUT").exists()


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("form", ["tfrecord", "folders"])
def test_a_file_whose_sync_fails_ends_the_build(
    sources: dict[str, Miniature], tmp_path: Path, form: str, error: str
) -> None:
    fault = syncing_files(error) if form == "tfrecord" else syncfs(error)
    ended = build(tmp_path, sources["archives"], "--format", form, fault=fault)
    assert ended.returncode == 6
    assert os.strerror(getattr(errno, error)) in ended.stderr
    assert not (tmp_path / "OUT" / "build.json").exists()


def test_a_folder_without_room_for_its_names_ends_the_build(sources: dict[str, Miniature], tmp_path: Path) -> None:
    assert build(tmp_path, sources["archives"], fault=syncing_folders("ENOSPC")).returncode == 6


@pytest.mark.parametrize("command", [("fake",), ("demo",)])
def test_the_other_commands_that_write_do_so_too(tmp_path: Path, command: tuple[str, ...]) -> None:
    ended = start(*command, tmp_path / "new", fault=EVERYTHING)
    assert ended.returncode == 0, ended.stderr

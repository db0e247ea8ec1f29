"""What every output does as a part of a data set, whatever its format: it is tested here by being in the table.

The contract (``imagenet_prep.testing.contracts``) has what an output does alone: samples into a shard, and back.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import xxhash

import imagenet_prep
from imagenet_prep import OUTPUTS, AuditError, AuditOptions, BuildOptions, MemoryStore, OutputError, UsageError
from imagenet_prep.outputs.base import DEFAULT_OUTPUT, WHOLE_FILE, output_class
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.build import contents, flip, inodes, stopped
from support.command import run, start
from support.sentences import Sentence

EVERY = pytest.mark.parametrize("name", OUTPUTS)
PARTNER = DEFAULT_OUTPUT
OTHERS = pytest.mark.parametrize("name", [name for name in OUTPUTS if name != PARTNER])
WNIDS = ("n01440764", "n02917067")
IMAGES = 2 * (6 + 2)
SHARED = {"build.json", "manifest.parquet"}  # of what every output has its part
ONE_PROCESS = AuditOptions(jobs=1)

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound images with boxes, two of which some outputs convert."""
    options = MiniatureOptions(wnids=WNIDS, images_per_class=6, validation_per_class=2, quirks=("png", "cmyk"))
    return write_miniature(tmp_path_factory.mktemp("archives"), options).root


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of these are not images, or not whole."""
    options = MiniatureOptions(
        wnids=WNIDS, images_per_class=6, validation_per_class=2, quirks=("text", "truncated"), boxes=False
    )
    return write_miniature(tmp_path_factory.mktemp("bad"), options).root


@pytest.fixture(scope="module")
def at_once(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Give a data set that was built with all of its outputs at once. Nobody changes it."""
    made: dict[frozenset[str], Path] = {}

    def built(*names: str) -> Path:
        key = frozenset(names)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("at-once") / "data"
            imagenet_prep.build(archives, made[key], options(*names))
        return made[key]

    return built


@pytest.fixture
def own(at_once: Callable[..., Path], name: str, tmp_path: Path) -> Path:
    """A data set of this output alone, to spoil."""
    return shutil.copytree(at_once(name), tmp_path / "data")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "data"


def options(*names: str, **more: Any) -> BuildOptions:
    """Three shards of train, of what has shards."""
    shards: dict[str, Any] = {f"{name}.shards": {"train": 3} for name in names if has_shards(output_class(name))}
    return BuildOptions.of(**{"format": names, "test_per_class": 1, "jobs": 1} | shards | more)


def has_shards(kind: Any) -> bool:
    return "shards" in {each.name for each in fields(kind)}


def rows(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "manifest.parquet").to_pylist()
    return found


def file_of(name: str, row: dict[str, Any]) -> str:
    """The file that an image of the manifest lies in."""
    found: str = row[f"{name}.{output_class(name).file_column}"]
    return found


def files_of(name: str, out: Path) -> set[str]:
    return {file_of(name, row) for row in rows(out) if row["set_aside"] is None}


def command(name: str, archives: Path, out: Path) -> list[object]:
    """The same build from the command line."""
    shards = ["--shards=train=3"] if has_shards(output_class(name)) else []
    return ["build", archives, out, f"--format={name}", "--test-per-class=1", "--jobs=1", "--quiet", *shards]


class TestADataSetGrows:
    @OTHERS
    @pytest.mark.parametrize("comes", ["first", "second"])
    def test_growing_is_building_both_at_once(
        self, archives: Path, at_once: Callable[..., Path], out: Path, name: str, comes: str
    ) -> None:
        first, second = (name, PARTNER) if comes == "first" else (PARTNER, name)
        shutil.copytree(at_once(first), out)
        before = inodes(out)
        imagenet_prep.build(archives, out, options(second))
        assert contents(out) == contents(at_once(first, second))
        after = inodes(out)
        assert [path for path in files_of(first, out) if after[path] != before[path]] == []
        assert imagenet_prep.audit(out, ONE_PROCESS).records == 2 * IMAGES

    def test_one_by_one_or_all_at_once(self, archives: Path, at_once: Callable[..., Path], out: Path) -> None:
        for name in reversed(list(OUTPUTS)):
            imagenet_prep.build(archives, out, options(name))
        assert contents(out) == contents(at_once(*OUTPUTS))

    @EVERY
    def test_each_is_what_it_is_alone(self, at_once: Callable[..., Path], name: str) -> None:
        alone, together = contents(at_once(name)), contents(at_once(*OUTPUTS))
        assert {path for path, data in alone.items() if together[path] != data} == SHARED

    @EVERY
    def test_another_selection_is_refused(
        self, archives: Path, at_once: Callable[..., Path], name: str, sentence: Sentence
    ) -> None:
        there = at_once(PARTNER)
        before = inodes(there)
        ended = run(*command(name, archives, there), "--seed=1")
        assert ended.returncode == 5
        assert inodes(there) == before
        sentence(ended.stderr, alike=True)


class TestKilled:
    @EVERY
    def test_the_same_command_goes_on_wherever_a_build_was_stopped(
        self, archives: Path, at_once: Callable[..., Path], out: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        for count in (0, 1, 1):  # each goes on from the one before
            stopped(monkeypatch, count, archives, out, options(name))
            assert not (out / "build.json").exists()
        imagenet_prep.build(archives, out, options(name))
        assert contents(out) == contents(at_once(name))

    @EVERY
    def test_so_it_does_when_the_system_killed_it(
        self, archives: Path, at_once: Callable[..., Path], out: Path, name: str
    ) -> None:
        assert start(*command(name, archives, out), fault=KILLED).returncode == -9
        assert list(out.rglob("*.part"))
        assert run(*command(name, archives, out)).returncode == 0
        assert contents(out) == contents(at_once(name))
        assert not list(out.rglob("*.part"))


# The second shard has bytes, and no name.
KILLED = """
import os, signal
from imagenet_prep.verbs.build import shard
done, save = [], shard.save_receipt
def save_and_note(*arguments):
    save(*arguments)
    done.append(True)
sync = os.fsync
def sync_or_die(descriptor):
    if done:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(descriptor)
shard.save_receipt, os.fsync = save_and_note, sync_or_die
"""


class TestDamage:
    @EVERY
    def test_a_flipped_bit_of_every_file_is_found_and_repaired(self, own: Path, name: str) -> None:
        sound = contents(own)
        files = sorted(sound.keys() - SHARED)
        assert {Path(path).parts[0] for path in files} >= {output_class(name).folder}
        for path in files:
            flip(own / path)
            assert named(own) == {path}
            (own / path).write_bytes(sound[path])
        for path in files:
            flip(own / path)
        imagenet_prep.repair(own, jobs=1)
        assert contents(own) == sound

    @EVERY
    @pytest.mark.parametrize("how", ["link to nowhere", "link to another", "folder", "shorter"])
    def test_what_lies_in_the_place_of_a_shard_is_named(
        self, own: Path, name: str, how: str, tmp_path: Path, sentence: Sentence
    ) -> None:
        sound, path, theirs = contents(own), file_of(name, rows(own)[0]), tmp_path / "theirs"
        put_in_place(own / path, how, theirs)
        with pytest.raises(AuditError) as found:
            imagenet_prep.audit(own, ONE_PROCESS)
        assert found.value.exit_code == 7
        assert {problem.archive for problem in found.value.problems} == {path}
        what = "image" if output_class(name).image_range == WHOLE_FILE else "shard"
        reason = re.sub(r"[\d,]+(?= bytes|$)|\b[0-9a-f]{32}\b", "N", found.value.problems[0].reason)
        sentence(reason, f"{what}, {how}", alike=True)
        if output_class(name).image_range:
            with imagenet_prep.open(own) as data, pytest.raises(AuditError) as unread:
                list(data["train"])
            assert (unread.value.exit_code, unread.value.problems[0].archive) == (7, path)
        if how == "folder":
            with pytest.raises(OutputError) as refused:
                imagenet_prep.repair(own, jobs=1)
            assert refused.value.exit_code == 6
            (own / path).rmdir()
        imagenet_prep.repair(own, jobs=1)
        assert contents(own) == sound
        assert not (own / path).is_symlink()
        assert not any(theirs.read_bytes())

    @EVERY
    def test_undo_takes_everything_away(self, own: Path) -> None:
        assert imagenet_prep.undo(own).kept == ()
        assert not own.exists()


def named(out: Path) -> set[str]:
    """The files that an audit names."""
    with pytest.raises(AuditError) as caught:
        imagenet_prep.audit(out, ONE_PROCESS)
    return {problem.archive for problem in caught.value.problems}


def put_in_place(path: Path, how: str, theirs: Path) -> None:
    """Have something else in the place of a file. ``theirs`` is what a link may lead to."""
    data = path.read_bytes()
    theirs.write_bytes(bytes(len(data)))
    path.unlink()
    if how == "shorter":
        path.write_bytes(data[:-1])
    elif how == "folder":
        path.mkdir()
    else:
        path.symlink_to(theirs if how == "link to another" else "nowhere")


class TestWhatItHolds:
    @EVERY
    def test_the_manifest_has_every_image_with_the_columns_of_the_output(
        self, at_once: Callable[..., Path], name: str
    ) -> None:
        out, kind = at_once(name), output_class(name)
        columns = {f"{name}.{column}" for column in (kind.file_column, *kind.columns)}
        assert {column for column in rows(out)[0] if column.startswith(f"{name}.")} == columns
        for row in rows(out):
            assert all(row[column] is not None for column in columns)
            assert (out / file_of(name, row)).is_file()
        assert len({row["name"] for row in rows(out)}) == IMAGES

    @EVERY
    def test_open_gives_every_image_or_says_why_not(
        self, at_once: Callable[..., Path], name: str, sentence: Sentence
    ) -> None:
        out, kind = at_once(name), output_class(name)
        if not kind.image_range:
            with pytest.raises(UsageError) as caught:
                imagenet_prep.open(out)
            sentence(caught.value)
            return
        data = imagenet_prep.open(out)
        images = {image.name: image for split in data for image in data[split]}
        assert images.keys() == {row["name"] for row in rows(out)}
        for row in rows(out):
            image = images[row["name"]]
            assert (image.wnid, image.label) == (row["wnid"], WNIDS.index(row["wnid"]))
            if not (kind.converts and row["converted"]):
                assert xxhash.xxh3_128_hexdigest(image.image) == row["digest"]

    @EVERY
    def test_a_store_in_memory_holds_the_same(
        self, archives: Path, at_once: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        store = MemoryStore()
        stopped(monkeypatch, 1, archives, store, options(name))
        imagenet_prep.resume(store, jobs=1)
        assert {path: data for path, data in store.files.items() if not path.startswith(".")} == contents(at_once(name))
        assert imagenet_prep.audit(store, ONE_PROCESS).records == IMAGES

    @OTHERS
    def test_what_is_set_aside_for_one_is_set_aside_for_all(
        self, bad: Path, out: Path, tmp_path: Path, name: str
    ) -> None:
        imagenet_prep.build(bad, out, options(PARTNER, on_bad="set-aside"))
        report = imagenet_prep.build(bad, out, options(name))
        assert report.accounts.set_aside == len(report.set_aside) == 2
        imagenet_prep.build(bad, tmp_path / "at-once", options(name, PARTNER, on_bad="set-aside"))
        assert contents(out) == contents(tmp_path / "at-once")

    @EVERY
    def test_all_images_of_a_shard_may_be_set_aside(self, bad: Path, out: Path, name: str) -> None:
        one_each = {f"{name}.shards": {"train": 10}} if has_shards(output_class(name)) else {}
        given = options(name, on_bad="set-aside", **one_each)
        report = imagenet_prep.build(bad, out, given)
        assert report.accounts.set_aside == 2
        assert imagenet_prep.build(bad, out, given).reused == sum(split.shards for split in report.splits.values())
        assert imagenet_prep.audit(out, ONE_PROCESS).records == IMAGES - 2
        if output_class(name).image_range:
            with imagenet_prep.open(out) as data:
                assert sum(len(list(data[split])) for split in data) == IMAGES - 2
        assert imagenet_prep.undo(out).kept == ()
        assert not out.exists()

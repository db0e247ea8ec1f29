"""Going on without typing anything twice: resume finishes what was begun, repair writes again what is damaged and
nothing else, and both know recipe and sources.
"""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import AuditError, AuditOptions, BuildOptions, Note, OtherBuildError, SourceError, UsageError
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.build import changed, contents, everything, flip, inodes
from support.command import run, start
from support.sentences import Sentence

RECIPE = BuildOptions.of(
    format=("tfrecord", "tfds", "folders"), test_per_class=1, shards={"train": 4}, jobs=1, on_bad="set-aside"
)
OTHER = BuildOptions.of(test_per_class=2, seed=3, jobs=1, on_bad="set-aside")
STATE = ".imagenet-prep/state.json"
SHARDS = 3 * 6

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture(scope="module")
def miniature(two_classes: Miniature) -> Miniature:
    return two_classes


@pytest.fixture(scope="module")
def folder_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = MiniatureOptions(
        wnids=("n01440764", "n02917067"),
        images_per_class=3,
        validation_per_class=1,
        boxes=False,
        devkit=False,
        layout="extracted",
    )
    return write_miniature(tmp_path_factory.mktemp("folders"), options).root


@pytest.fixture(scope="module")
def built(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "data"
    imagenet_prep.build(miniature.root, out, RECIPE)
    return out


@pytest.fixture
def out(built: Path, tmp_path: Path) -> Path:
    """A build that a test may damage."""
    return shutil.copytree(built, tmp_path / "data")


def stopped(patch: pytest.MonkeyPatch, source: Path, out: Path, options: BuildOptions) -> Path:
    """Have a build that was interrupted in the middle."""
    left = iter(range(2))

    def flush_or_stop(*_: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with patch.context() as patched:
        patched.setattr("imagenet_prep.verbs.build.shard._refuse_changed", flush_or_stop)
        with pytest.raises(KeyboardInterrupt):
            imagenet_prep.build(source, out, options)
    assert not (out / "build.json").exists()
    assert list((out / ".imagenet-prep/receipts").rglob("*-of-*"))
    return out


class TestResume:
    def test_it_finishes_what_was_begun(
        self, miniature: Miniature, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = stopped(monkeypatch, miniature.root, tmp_path / "data", RECIPE)
        report = imagenet_prep.resume(out, jobs=1)
        assert 0 < report.reused < SHARDS
        assert (report.accounts.set_aside, len(report.set_aside)) == (1, 1)
        assert everything(out) == everything(built)

    def test_two_processes_do_the_same(
        self, miniature: Miniature, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = stopped(monkeypatch, miniature.root, tmp_path / "data", RECIPE)
        imagenet_prep.resume(out, jobs=2)
        assert everything(out) == everything(built)

    def test_what_is_finished_stays_as_it_is(self, built: Path) -> None:
        before = inodes(built)
        report = imagenet_prep.resume(built, jobs=1)
        assert (report.reused, report.bytes_read, report.bytes_written) == (SHARDS, 0, 0)
        assert inodes(built) == before

    def test_how_closely_images_are_looked_at_is_remembered(
        self, miniature: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decoded = changed(RECIPE, check="decode")
        out = stopped(monkeypatch, miniature.root, tmp_path / "data", decoded)
        imagenet_prep.resume(out, jobs=1)
        assert json.loads((out / "build.json").read_bytes())["check"] == "decode"
        imagenet_prep.build(miniature.root, tmp_path / "undisturbed", decoded)
        assert everything(out) == everything(tmp_path / "undisturbed")

    def test_what_the_recipe_read_from_files_is_remembered(
        self, miniature: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = sorted(entry.name for entry in miniature.train if not entry.quirk)
        (tmp_path / "test.txt").write_text(f"{names[0]}\n{names[-1]}\n")
        (tmp_path / "exclude.txt").write_text(f"{names[1]}\n")
        options = BuildOptions.of(
            test_list=tmp_path / "test.txt", exclude=tmp_path / "exclude.txt", jobs=1, on_bad="set-aside"
        )
        out = stopped(monkeypatch, miniature.root, tmp_path / "data", options)
        for name in "test.txt", "exclude.txt":
            (tmp_path / name).unlink()
        imagenet_prep.resume(out, jobs=1)
        assert (out / "splits/test.txt").read_text() == f"{names[0]}\n{names[-1]}\n"
        assert (out / "splits/excluded.txt").read_text() == f"{names[1]}\n"

    def test_sources_that_were_moved_are_missed_by_name_and_can_be_given(
        self, miniature: Miniature, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = shutil.copytree(miniature.root, tmp_path / "in")
        out = stopped(monkeypatch, source, tmp_path / "data", RECIPE)
        source.rename(tmp_path / "elsewhere")
        before = inodes(out)
        with pytest.raises(SourceError) as caught:
            imagenet_prep.resume(out, jobs=1)
        assert str(source) in str(caught.value)
        assert inodes(out) == before
        imagenet_prep.resume(out, tmp_path / "elsewhere", jobs=1)
        assert everything(out) == everything(built)
        assert imagenet_prep.resume(out, jobs=1).reused == SHARDS  # and they are remembered then

    def test_the_same_images_from_another_kind_of_source_go_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sources = []
        for layout in "archives", "extracted":
            options = MiniatureOptions(
                wnids=("n01440764", "n02917067"), images_per_class=6, validation_per_class=2, boxes=False, layout=layout
            )
            sources.append(write_miniature(tmp_path / layout, options).root)
        out = stopped(monkeypatch, sources[0], tmp_path / "data", RECIPE)
        imagenet_prep.resume(out, sources[1], jobs=1)
        imagenet_prep.build(sources[0], tmp_path / "undisturbed", RECIPE)
        own = {"manifest.parquet", "build.json"}  # which say where images came from
        found, wanted = (
            {name: data for name, data in contents(folder).items() if name not in own}
            for folder in (out, tmp_path / "undisturbed")
        )
        assert found == wanted
        assert imagenet_prep.audit(out, AuditOptions(jobs=1)).records == 3 * 16

    def test_other_images_are_refused(
        self, miniature: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = stopped(monkeypatch, miniature.root, tmp_path / "data", RECIPE)
        before = inodes(out)
        options = MiniatureOptions(wnids=("n01440764", "n02917067"), images_per_class=6, validation_per_class=2, seed=9)
        other = write_miniature(tmp_path / "other", options).root
        with pytest.raises(OtherBuildError):
            imagenet_prep.resume(out, other, jobs=1)
        assert inodes(out) == before

    @pytest.mark.parametrize("damaged", [b"", b"{", b'{"plan": "of version 0"}\n'])
    def test_a_damaged_state_is_said_and_nothing_is_touched(
        self, miniature: Miniature, out: Path, damaged: bytes
    ) -> None:
        (out / STATE).write_bytes(damaged)
        before = inodes(out)
        attempts: tuple[Callable[[], object], ...] = (
            lambda: imagenet_prep.resume(out, jobs=1),
            lambda: imagenet_prep.repair(out, jobs=1),
            lambda: imagenet_prep.build(miniature.root, out, RECIPE),
        )
        for attempt in attempts:
            with pytest.raises(OtherBuildError, match=r"state\.json"):
                attempt()
        assert inodes(out) == before

    def test_a_state_that_is_lost_is_said_and_nothing_is_touched(
        self, miniature: Miniature, out: Path, sentence: Sentence
    ) -> None:
        (out / STATE).unlink()
        before = inodes(out)
        for attempt in imagenet_prep.resume, imagenet_prep.repair:
            with pytest.raises(UsageError) as caught:
                attempt(out, jobs=1)
            sentence(caught.value)
        with pytest.raises(OtherBuildError):
            imagenet_prep.build(miniature.root, out, RECIPE)
        assert inodes(out) == before

    def test_a_data_set_of_the_first_edition_is_refused_with_a_sentence(self, miniature: Miniature, out: Path) -> None:
        (out / STATE).rename(out / ".imagenet-prep/plan.json")
        before = inodes(out)
        attempts: tuple[Callable[[], object], ...] = (
            lambda: imagenet_prep.resume(out, jobs=1),
            lambda: imagenet_prep.repair(out, jobs=1),
            lambda: imagenet_prep.build(miniature.root, out, RECIPE),
        )
        for attempt in attempts:
            with pytest.raises(OtherBuildError, match=r"version 0\.1"):
                attempt()
        assert inodes(out) == before

    def test_where_there_is_no_data_set_there_is_nothing_to_go_on_with(
        self, tmp_path: Path, sentence: Sentence
    ) -> None:
        for attempt in imagenet_prep.resume, imagenet_prep.repair:
            with pytest.raises(UsageError) as caught:
                attempt(tmp_path, jobs=1)
            sentence(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_the_commands_say_how_it_ended_by_their_code(
        self, miniature: Miniature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = stopped(monkeypatch, miniature.root, tmp_path / "data", RECIPE)
        done = run("resume", out, "--jobs=1", "--json")
        assert (done.returncode, json.loads(done.stdout)["accounts"]["set_aside"]) == (3, 1)
        repaired = run("repair", out, "--jobs=1")
        assert (repaired.returncode, "0 damaged" in repaired.stderr) == (3, True)
        assert run("resume", tmp_path / "nowhere").returncode == 2
        assert run("resume", miniature.root).returncode == 2

    def test_a_build_that_would_fail_says_it_again(
        self, miniature: Miniature, tmp_path: Path, sentence: Sentence
    ) -> None:
        attempts: tuple[Callable[[], object], ...] = (
            lambda: imagenet_prep.build(miniature.root, tmp_path / "data", changed(RECIPE, on_bad="fail")),
            lambda: imagenet_prep.resume(tmp_path / "data", jobs=1),
        )
        for attempt in attempts:
            with pytest.raises(SourceError) as caught:
                attempt()
            sentence(caught.value)


# A file that is damaged, and the receipts that are written again because of it.
DAMAGED = {
    "tfrecord/train-00002-of-00004": ["tfrecord/train-00002-of-00004"],
    "tfds/imagenet2012/5.1.0/imagenet2012-train.tfrecord-00001-of-00004": ["tfds/train-00001-of-00004"],
    "dali-index/validation-00000-of-00001.idx": ["tfrecord/validation-00000-of-00001"],
    "folders/train/tench/*.JPEG": ["folders/train-*"],
    "set-aside/*.JPEG": ["folders/train-*", "tfds/train-*", "tfrecord/train-*"],
    ".imagenet-prep/receipts/tfds/test-00000-of-00001": ["tfds/test-00000-of-00001"],
    ".imagenet-prep/catalog.arrow": [],
    "manifest.parquet": [],
    "build.json": [],
    "classes.csv": [],
    "folders/classes.csv": [],
    "splits/train.txt": [],
    "tfrecord/dataset_info.json": [],
}


class TestRepair:
    @pytest.mark.parametrize(
        ("damaged", "harm"), [(damaged, harm) for damaged in DAMAGED for harm in ("flip", "cut", "lose")]
    )
    def test_the_folder_is_as_it_was_and_what_was_sound_is_not_touched(
        self, out: Path, built: Path, damaged: str, harm: str
    ) -> None:
        path = next(out.glob(damaged))
        before = inodes(out)
        HARMS[harm](path)
        report = imagenet_prep.repair(out, jobs=1)
        assert everything(out) == everything(built)
        made = receipts_made(before, inodes(out))
        assert len(made) == SHARDS - report.reused == len(DAMAGED[damaged])
        assert all(Path(shard).match(wanted) for shard, wanted in zip(made, DAMAGED[damaged], strict=True))
        assert imagenet_prep.audit(out, AuditOptions(jobs=1)).records == 3 * 15

    def test_stopped_before_it_mended_anything_any_later_run_mends_it(
        self, miniature: Miniature, out: Path, built: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flip(next(out.glob("tfrecord/train-00000-*")))
        with monkeypatch.context() as patched:
            patched.setattr("imagenet_prep.verbs.build.job.make_shards", stop)
            with pytest.raises(KeyboardInterrupt):
                imagenet_prep.repair(out, jobs=1)
        imagenet_prep.build(miniature.root, out, RECIPE)
        assert everything(out) == everything(built)

    def test_many_damages_at_once(self, out: Path, built: Path) -> None:
        for damaged in DAMAGED:
            flip(next(out.glob(damaged)))
        with pytest.raises(AuditError):
            imagenet_prep.audit(out, AuditOptions(jobs=1))
        imagenet_prep.repair(out, jobs=1)
        assert everything(out) == everything(built)

    def test_nothing_is_written_again_where_nothing_is_damaged(self, out: Path) -> None:
        before, events = inodes(out), list[object]()
        report = imagenet_prep.repair(out, jobs=1, watch=events.append)
        assert (report.reused, report.bytes_written) == (SHARDS, 0)
        assert inodes(out) == before
        assert any(isinstance(event, Note) and "18 finished shards" in event.text for event in events)

    def test_the_sources_may_have_been_moved(
        self, miniature: Miniature, out: Path, built: Path, tmp_path: Path
    ) -> None:
        flip(out / "tfrecord/train-00001-of-00004")
        moved = shutil.copytree(miniature.root, tmp_path / "elsewhere")
        imagenet_prep.repair(out, moved, jobs=1)
        assert everything(out) == everything(built)

    def test_the_plain_command_takes_a_flipped_shard_for_finished(self, miniature: Miniature, out: Path) -> None:
        # which is why there is a repair: a start must not read 150 GB
        shard = out / "tfrecord/train-00002-of-00004"
        written = shard.stat().st_mtime_ns
        flip(shard)
        os.utime(shard, ns=(written, written))  # as by a disk: what another program changes has a later time
        assert imagenet_prep.build(miniature.root, out, RECIPE).reused == SHARDS

    def test_the_plain_command_writes_a_shard_again_that_another_program_changed(
        self, miniature: Miniature, out: Path, built: Path
    ) -> None:
        flip(out / "tfrecord/train-00002-of-00004")
        assert imagenet_prep.build(miniature.root, out, RECIPE).reused == SHARDS - 1
        assert everything(out) == everything(built)

    def test_the_plain_command_writes_damaged_documents_again(
        self, miniature: Miniature, out: Path, built: Path
    ) -> None:
        for name in ("manifest.parquet", "classes.csv", "splits/test.txt", "build.json"):
            flip(out / name)
            assert imagenet_prep.build(miniature.root, out, RECIPE).reused == SHARDS
            assert everything(out) == everything(built)

    def test_documents_of_another_build_are_written_again(
        self, miniature: Miniature, out: Path, built: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "other"
        imagenet_prep.build(miniature.root, other, changed(RECIPE, seed=3))
        for name in (
            "build.json",
            *(file["path"] for file in json.loads((other / "build.json").read_bytes())["documents"]),
        ):
            shutil.copy(other / name, out / name)
        assert imagenet_prep.build(miniature.root, out, RECIPE).reused == SHARDS
        assert everything(out) == everything(built)

    def test_a_build_that_was_never_finished(self, out: Path, built: Path) -> None:
        for name in ("build.json", "manifest.parquet", ".imagenet-prep/receipts/tfds/train-00000-of-00004"):
            (out / name).unlink()
        flip(out / "tfrecord/train-00003-of-00004")
        before = inodes(out)
        report = imagenet_prep.repair(out, jobs=1)
        made = receipts_made(before, inodes(out))
        assert (made, report.reused) == (["tfds/train-00000-of-00004", "tfrecord/train-00003-of-00004"], SHARDS - 2)
        assert everything(out) == everything(built)

    def test_two_shards_that_changed_places(self, out: Path, built: Path) -> None:
        one, two = (out / f"tfrecord/train-0000{number}-of-00004" for number in (0, 1))
        one_bytes, two_bytes = one.read_bytes(), two.read_bytes()
        one.write_bytes(two_bytes)
        two.write_bytes(one_bytes)
        imagenet_prep.repair(out, jobs=1)
        assert everything(out) == everything(built)

    def test_a_receipt_under_the_name_of_another_shard(
        self, miniature: Miniature, out: Path, built: Path, sentence: Sentence
    ) -> None:
        receipts = out / ".imagenet-prep/receipts/tfrecord"
        shutil.copy(receipts / "train-00001-of-00004", receipts / "train-00000-of-00004")
        with pytest.raises(AuditError) as caught:
            imagenet_prep.audit(out, AuditOptions(jobs=1))
        sentence(caught.value)
        assert imagenet_prep.build(miniature.root, out, RECIPE).reused == SHARDS - 1
        assert everything(out) == everything(built)

    def test_moved_files_cannot_be_written_again(self, folder_source: Path, tmp_path: Path, sentence: Sentence) -> None:
        source = shutil.copytree(folder_source, tmp_path / "in")
        move = BuildOptions.of(format="folders", test_per_class=1, transfer="move", jobs=1)
        imagenet_prep.build(source, tmp_path / "data", move)
        lost = next((tmp_path / "data/folders/train").rglob("*.JPEG"))
        lost.unlink()
        before = inodes(tmp_path / "data")
        with pytest.raises(UsageError) as caught:
            imagenet_prep.repair(tmp_path / "data", jobs=1)
        assert [problem.archive for problem in caught.value.problems] == [str(lost.relative_to(tmp_path / "data"))]
        sentence(caught.value)
        assert inodes(tmp_path / "data") == before

    @pytest.mark.parametrize("transfer", ["hardlink", "symlink"])
    def test_a_link_that_is_gone_or_leads_elsewhere_is_made_again(
        self, folder_source: Path, tmp_path: Path, transfer: str
    ) -> None:
        source = {path: path.read_bytes() for path in files(folder_source)}
        options = BuildOptions.of(format="folders", test_per_class=1, jobs=1, transfer=transfer)
        out = tmp_path / "data"
        imagenet_prep.build(folder_source, out, options)
        sound = everything(out)
        one, two, *_ = sorted((out / "folders/train").rglob("*.JPEG"))
        one.unlink()
        two.unlink()
        two.write_bytes(b"something else")
        imagenet_prep.repair(out, jobs=1)
        assert everything(out) == sound
        assert {path: path.read_bytes() for path in files(folder_source)} == source
        assert all(path.is_symlink() or path.stat().st_nlink > 1 for path in (one, two))

    def test_two_processes_repair_to_the_same_bytes(self, out: Path, built: Path) -> None:
        flip(out / "tfrecord/train-00001-of-00004")
        assert imagenet_prep.repair(out, jobs=2).reused == SHARDS - 1
        assert everything(out) == everything(built)

    def test_while_another_run_is_at_work_nothing_is_taken_for_damaged(self, out: Path, sentence: Sentence) -> None:
        flip(out / "tfrecord/train-00001-of-00004")
        before = inodes(out)
        with held_by_another(out), pytest.raises(OtherBuildError) as caught:
            imagenet_prep.repair(out, jobs=1)
        sentence(caught.value)
        assert inodes(out) == before


def test_who_leaves_images_out_wants_to_be_alone(miniature: Miniature, out: Path, sentence: Sentence) -> None:
    """Another run at the same time would perhaps write what this one sets aside."""
    with held_by_another(out):
        imagenet_prep.build(miniature.root, out, changed(RECIPE, on_bad="fail"))  # finished: both may be there
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.build(miniature.root, out, RECIPE)
        sentence(caught.value)


class TestAFinishedBuild:
    def test_the_same_command_writes_nothing_at_all(
        self, miniature: Miniature, built: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = inodes(built)
        for name in ("rename", "replace", "unlink", "remove", "rmdir", "mkdir", "link", "symlink", "truncate", "utime"):
            monkeypatch.setattr(os, name, refuse)
        real = os.open
        monkeypatch.setattr(
            os, "open", lambda path, flags, *more, **named: real(path, read_only(flags), *more, **named)
        )
        report = imagenet_prep.build(miniature.root, built, RECIPE)
        assert (report.reused, report.accounts.written, report.accounts.set_aside) == (SHARDS, 15, 1)
        assert inodes(built) == before

    @pytest.mark.system
    def test_it_works_on_a_file_system_that_is_mounted_read_only(self, miniature: Miniature, out: Path) -> None:
        before = inodes(out)
        words: list[object] = [
            "build",
            miniature.root,
            out,
            "--format",
            "tfrecord",
            "--format",
            "tfds",
            "--format",
            "folders",
        ]
        words += ["--test-per-class", 1, "--shards", "train=4", "--on-bad", "set-aside", "--quiet", "--jobs", 1]
        shell = 'mount --bind -o ro "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/x" 2>&- && "$@"'
        done = start(*words, prefix=("unshare", "-rm", "sh", "-c", shell, str(out)))
        assert (done.stderr, done.returncode) == ("", 3)
        assert inodes(out) == before


def read_only(flags: int) -> int:
    if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
        refuse()
    return flags


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def held_by_another(out: Path) -> Iterator[None]:
    """Hold a data set as a build does."""
    descriptor = os.open(out / ".imagenet-prep", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


HARMS: dict[str, Callable[[Path], None]] = {
    "flip": flip,
    "cut": lambda path: os.truncate(path, path.stat().st_size - 1),
    "lose": Path.unlink,
}


def receipts_made(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> list[str]:
    """Give output and shard of every receipt that was written, sorted."""
    place = ".imagenet-prep/receipts/"
    made = (name for name in after if name.startswith(place) and before.get(name) != after[name])
    return sorted(name.removeprefix(place) for name in made)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]

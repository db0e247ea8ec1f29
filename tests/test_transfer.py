"""How files get into class folders: copied, linked or moved; the source is what it was, but for what a move takes."""

import errno
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, OtherBuildError, OutputError, SourceError, UsageError
from imagenet_prep.stores.tree import Tree
from imagenet_prep.testing import MiniatureOptions, write_miniature
from imagenet_prep.verbs.build import preflight
from support.build import changed, contents, state
from support.command import run
from support.sentences import Sentence, places

ONE_PROCESS = imagenet_prep.AuditOptions(jobs=1)

FOLDERS = BuildOptions.of(format=("folders",), test_per_class=1, jobs=1)
SMALL = MiniatureOptions(
    wnids=("n01440764", "n02917067"), images_per_class=3, validation_per_class=2, boxes=False, layout="extracted"
)
PLACES = {
    "train/n01440764/n01440764_4.JPEG": "train/tench/n01440764_4.JPEG",
    "train/n01440764/n01440764_18.JPEG": "train/tench/n01440764_18.JPEG",
    "train/n01440764/n01440764_10.JPEG": "test/tench/n01440764_10.JPEG",
    "train/n02917067/n02917067_20.JPEG": "test/bullet_Train/n02917067_20.JPEG",
    "train/n02917067/n02917067_36.JPEG": "train/bullet_Train/n02917067_36.JPEG",
    "train/n02917067/n02917067_71.JPEG": "train/bullet_Train/n02917067_71.JPEG",
    "val/ILSVRC2012_val_00000293.JPEG": "validation/tench/ILSVRC2012_val_00000293.JPEG",
    "val/ILSVRC2012_val_00000562.JPEG": "validation/bullet_Train/ILSVRC2012_val_00000562.JPEG",
    "val/ILSVRC2012_val_00001805.JPEG": "validation/bullet_Train/ILSVRC2012_val_00001805.JPEG",
    "val/ILSVRC2012_val_00002138.JPEG": "validation/tench/ILSVRC2012_val_00002138.JPEG",
}
LINKS = ("hardlink", "symlink", "move")


pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_miniature(tmp_path / "source", SMALL).root


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than ``tmp_path``."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system here")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def build(source: Path, out: Path, transfer: str) -> imagenet_prep.Report:
    return imagenet_prep.build(source, out, changed(FOLDERS, transfer=transfer))


def refusing(code: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


class TestWhatAFileBecomes:
    def test_a_copy_is_a_file_of_its_own(self, source: Path, tmp_path: Path) -> None:
        report = build(source, tmp_path / "data", "copy")
        assert report.linked == 0
        for was, at in PLACES.items():
            old, new = (source / was).stat(), (tmp_path / "data/folders" / at).lstat()
            assert (old.st_nlink, new.st_nlink) == (1, 1)
            assert old.st_ino != new.st_ino
            assert (source / was).read_bytes() == (tmp_path / "data/folders" / at).read_bytes()

    def test_a_hard_link_is_the_same_file(self, source: Path, tmp_path: Path) -> None:
        report = build(source, tmp_path / "data", "hardlink")
        assert (report.linked, report.bytes_read, report.bytes_written) == (10, 0, 0)
        for was, at in PLACES.items():
            old, new = (source / was).stat(), (tmp_path / "data/folders" / at).lstat()
            assert (old.st_nlink, new.st_nlink, new.st_ino) == (2, 2, old.st_ino)

    def test_a_symbolic_link_leads_to_it_from_anywhere(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        build(Path("source"), Path("data"), "symlink")
        for was, at in PLACES.items():
            assert (tmp_path / "data/folders" / at).readlink() == source / was
            assert (source / was).stat().st_nlink == 1

    def test_a_moved_file_is_the_file_itself(self, source: Path, tmp_path: Path) -> None:
        before = {was: (source / was).stat() for was in PLACES}
        report = build(source, tmp_path / "data", "move")
        assert report.linked == 10
        for was, at in PLACES.items():
            assert not (source / was).exists()
            new = (tmp_path / "data/folders" / at).lstat()
            assert (new.st_ino, new.st_nlink, new.st_mtime_ns) == (before[was].st_ino, 1, before[was].st_mtime_ns)
        assert sorted(path.name for path in source.rglob("*")) == [
            "ILSVRC2012_devkit_t12.tar.gz", "n01440764", "n02917067", "train", "val",
        ]  # fmt: skip

    @pytest.mark.parametrize("transfer", ["copy", "hardlink", "symlink", "move"])
    def test_there_is_nothing_else_in_the_folders(self, source: Path, tmp_path: Path, transfer: str) -> None:
        build(source, tmp_path / "data", transfer)
        made = tmp_path / "data/folders"
        found = {str(path.relative_to(made)) for path in made.rglob("*") if not path.is_dir()}
        assert found == {*PLACES.values(), "classes.csv"}


class TestTheSource:
    @pytest.mark.parametrize("transfer", ["copy", "hardlink", "symlink"])
    def test_it_is_not_changed_and_the_same_command_again_does_nothing(
        self, source: Path, tmp_path: Path, transfer: str
    ) -> None:
        before = state(source, linked=True)
        build(source, tmp_path / "data", transfer)
        built = state(tmp_path / "data/folders/train", linked=True)
        report = build(source, tmp_path / "data", transfer)
        assert (report.reused, report.linked, report.bytes_written) == (3, 0, 0)
        assert state(tmp_path / "data/folders/train", linked=True) == built
        assert state(source, linked=True) == before

    @pytest.mark.parametrize("transfer", ["copy", "hardlink", "symlink"])
    def test_it_is_not_changed_when_a_lost_file_and_its_neighbours_are_made_again(
        self, source: Path, tmp_path: Path, transfer: str
    ) -> None:
        before = state(source, linked=True)
        build(source, tmp_path / "data", transfer)
        (tmp_path / "data/folders/train/tench/n01440764_4.JPEG").unlink()
        report = build(source, tmp_path / "data", transfer)
        assert report.reused == 2
        assert state(source, linked=True) == before
        made = tmp_path / "data/folders"
        assert {path.name for path in made.rglob("*.JPEG")} == {Path(was).name for was in PLACES}
        assert not list((tmp_path / "data").rglob("*.part"))

    def test_the_same_move_again_leaves_everything_where_it_is(self, source: Path, tmp_path: Path) -> None:
        build(source, tmp_path / "data", "move")
        built = state(tmp_path / "data/folders", linked=True)
        report = build(source, tmp_path / "data", "move")
        assert (report.reused, report.linked) == (3, 0)
        assert set(state(tmp_path / "data/folders", linked=True)) == set(built)
        shutil.rmtree(source)  # what is left there is empty
        assert build(source, tmp_path / "data", "move").reused == 3

    def test_the_same_move_may_be_repeated_by_another_path_to_the_same_source(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        build(source, tmp_path / "data", "move")
        (tmp_path / "link").symlink_to(source)
        monkeypatch.chdir(source / "val")
        for again in (Path(".."), tmp_path / "link", tmp_path / "data/../source"):
            assert build(again, tmp_path / "data", "move").reused == 3


class TestSymbolicLinksInTheSource:
    @pytest.fixture
    def linked(self, source: Path, tmp_path: Path) -> Path:
        """The source with two files replaced by links to where they are now."""
        (tmp_path / "store").mkdir()
        for name in ("n01440764_4.JPEG", "n01440764_10.JPEG"):
            path = source / "train/n01440764" / name
            path.rename(tmp_path / "store" / name)
            path.symlink_to(os.path.relpath(tmp_path / "store" / name, path.parent))
        return source

    @pytest.mark.parametrize("transfer", ["copy", "hardlink"])
    def test_a_copy_or_hard_link_is_of_the_file_it_leads_to(self, linked: Path, tmp_path: Path, transfer: str) -> None:
        before = state(linked, linked=True), state(tmp_path / "store", linked=True)
        build(linked, tmp_path / "data", transfer)
        new, store = tmp_path / "data/folders/train/tench/n01440764_4.JPEG", tmp_path / "store/n01440764_4.JPEG"
        assert not new.is_symlink()
        assert new.read_bytes() == store.read_bytes()
        assert new.samefile(store) is (transfer == "hardlink")
        assert (state(linked, linked=True), state(tmp_path / "store", linked=True)) == before

    def test_a_symbolic_link_leads_to_the_link(self, linked: Path, tmp_path: Path) -> None:
        build(linked, tmp_path / "data", "symlink")
        new = tmp_path / "data/folders/train/tench/n01440764_4.JPEG"
        assert new.readlink() == linked / "train/n01440764/n01440764_4.JPEG"
        assert new.read_bytes() == (tmp_path / "store/n01440764_4.JPEG").read_bytes()

    def test_a_move_names_them_and_writes_nothing(self, linked: Path, tmp_path: Path, sentence: Sentence) -> None:
        before = state(tmp_path, linked=True)
        with pytest.raises(SourceError) as caught:
            build(linked, tmp_path / "data", "move")
        sentence(caught.value)
        assert sorted(map(str, caught.value.problems)) == [
            f"{linked}/train/n01440764: {name}: is a symbolic link"
            for name in ("n01440764_10.JPEG", "n01440764_4.JPEG")
        ]
        assert state(tmp_path, linked=True) == before
        build(linked, tmp_path / "data", "symlink")  # which was the advice

    def test_a_class_folder_that_is_a_link_may_be_moved_out_of(self, source: Path, tmp_path: Path) -> None:
        (source / "train/n01440764").rename(tmp_path / "store")
        (source / "train/n01440764").symlink_to(tmp_path / "store")
        before = state(tmp_path / "store", linked=True)
        build(source, tmp_path / "data", "move")
        assert list((tmp_path / "store").iterdir()) == []
        imagenet_prep.undo(tmp_path / "data")
        assert state(tmp_path / "store", linked=True) == before


class TestArchives:
    @pytest.mark.parametrize("transfer", LINKS)
    def test_a_source_of_archives_alone_has_no_files_to_link(
        self, tmp_path: Path, transfer: str, sentence: Sentence
    ) -> None:
        source = write_miniature(tmp_path / "source", replace(SMALL, layout="archives"))
        with pytest.raises(UsageError) as caught:
            build(source.root, tmp_path / "data", transfer)
        sentence(caught.value, alike=True)
        assert not (tmp_path / "data").exists()

    @pytest.mark.parametrize("transfer", LINKS)
    def test_beside_archives_folders_are_linked_and_archives_written_out(self, tmp_path: Path, transfer: str) -> None:
        source = write_miniature(tmp_path / "source", replace(SMALL, layout="mixed"))
        inodes = {path.name: path.stat().st_ino for path in (source.root / "val").iterdir()}
        report = build(source.root, tmp_path / "data", transfer)
        assert (report.linked, report.bytes_read) == (4, sum(entry.size for entry in source.train))
        found = {path.name: path for path in (tmp_path / "data/folders").rglob("*.JPEG")}
        assert {name: path.stat().st_ino for name, path in found.items() if name in inodes} == inodes
        digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()}
        assert digests == {entry.name: entry.sha256 for entry in source.entries}
        assert imagenet_prep.audit(tmp_path / "data", ONE_PROCESS).records == 10

    def test_shards_cannot_be_linked(self, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            BuildOptions.of(format="tfrecord", transfer="hardlink")
        sentence(caught.value)

    def test_a_transfer_that_does_not_exist_is_refused(self, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            BuildOptions.of(format=("folders",), transfer="reflink")
        sentence(caught.value)


class TestBesideShards:
    """Class folders are linked, and shards are written of the same files."""

    @pytest.mark.parametrize("transfer", LINKS)
    def test_files_are_linked_and_read_once_for_the_shards(self, source: Path, tmp_path: Path, transfer: str) -> None:
        files = {was: ((source / was).stat().st_ino, (source / was).read_bytes()) for was in PLACES}
        size = sum(len(data) for _, data in files.values())
        imagenet_prep.build(source, tmp_path / "alone", changed(FOLDERS, format="tfds"))
        both = changed(FOLDERS, format=("folders", "tfds"), transfer=transfer)
        report = imagenet_prep.build(source, tmp_path / "data", both)
        assert (report.bytes_read, imagenet_prep.audit(tmp_path / "data", ONE_PROCESS).records) == (size, 20)
        for was, at in PLACES.items():
            new = tmp_path / "data/folders" / at
            assert (new.stat().st_ino, new.read_bytes()) == files[was]
        assert contents(tmp_path / "data/tfds") == contents(tmp_path / "alone/tfds")

    @pytest.mark.parametrize("transfer", LINKS)
    def test_a_data_set_of_shards_grows_by_links(self, source: Path, tmp_path: Path, transfer: str) -> None:
        imagenet_prep.build(source, tmp_path / "data", changed(FOLDERS, format="tfds"))
        report = imagenet_prep.build(source, tmp_path / "data", changed(FOLDERS, transfer=transfer))
        assert (report.linked, report.bytes_written, report.reused) == (10, 0, 3)
        assert imagenet_prep.audit(tmp_path / "data", ONE_PROCESS).records == 20
        assert all((source / was).exists() is (transfer != "move") for was in PLACES)


class TestResume:
    @pytest.mark.parametrize(("held", "wanted"), [("hardlink", "symlink"), ("copy", "move"), ("move", "copy")])
    def test_another_transfer_is_another_build(
        self, source: Path, tmp_path: Path, held: str, wanted: str, sentence: Sentence
    ) -> None:
        build(source, tmp_path / "data", held)
        before = state(tmp_path, linked=True)
        with pytest.raises(OtherBuildError) as caught:
            build(source, tmp_path / "data", wanted)
        [problem] = caught.value.problems
        assert (problem.archive, caught.value.exit_code) == ("folders", 5)
        sentence(problem.reason)
        assert state(tmp_path, linked=True) == before


class TestOtherFileSystems:
    @pytest.mark.parametrize("transfer", ["copy", "symlink"])
    def test_a_copy_and_a_symbolic_link_reach_any(self, source: Path, elsewhere: Path, transfer: str) -> None:
        build(source, elsewhere / "data", transfer)
        assert imagenet_prep.audit(elsewhere / "data", ONE_PROCESS).records == 10

    @pytest.mark.parametrize("transfer", ["hardlink", "move"])
    def test_a_hard_link_and_a_move_do_not_and_nothing_is_written(
        self, source: Path, elsewhere: Path, transfer: str, sentence: Sentence
    ) -> None:
        before = state(source, linked=True)
        with pytest.raises(OutputError) as caught:
            build(source, elsewhere / "data", transfer)
        sentence(caught.value)
        assert caught.value.exit_code == 6
        assert list(elsewhere.iterdir()) == []
        assert state(source, linked=True) == before

    @pytest.mark.parametrize("transfer", ["hardlink", "move"])
    @pytest.mark.parametrize("folder", ["val", "train/n02917067"])
    def test_one_class_folder_elsewhere_is_enough_to_refuse(
        self, source: Path, elsewhere: Path, tmp_path: Path, transfer: str, folder: str
    ) -> None:
        shutil.move(source / folder, elsewhere / "there")
        (source / folder).symlink_to(elsewhere / "there")
        before = state(source, linked=True), state(elsewhere, linked=True)
        with pytest.raises(OutputError, match="cross-device"):
            build(source, tmp_path / "data", transfer)
        assert not (tmp_path / "data").exists()
        assert (state(source, linked=True), state(elsewhere, linked=True)) == before

    @pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV])
    @pytest.mark.parametrize(("transfer", "call"), [("hardlink", "link"), ("move", "link"), ("symlink", "symlink")])
    def test_one_that_makes_no_links_is_found_out_before_anything_is_written(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transfer: str, call: str, code: int
    ) -> None:
        monkeypatch.setattr(os, call, refusing(code))
        before = state(source, linked=True)
        with pytest.raises(OutputError) as caught:
            build(source, tmp_path / "data", transfer)
        assert caught.value.exit_code == 6
        assert os.strerror(code) in caught.value.summary
        assert "copy" in caught.value.remedy
        assert state(source, linked=True) == before
        assert not (tmp_path / "data").exists()

    def test_the_command_says_so_in_two_sentences(self, source: Path, elsewhere: Path, sentence: Sentence) -> None:
        words = ("build", source, elsewhere / "data", "--format", "folders", "--test-per-class", 1)
        result = run(*words, "--transfer", "move", "--quiet")
        assert result.returncode == 6
        error, remedy = result.stderr.splitlines()
        assert error.startswith("Error: Cannot make a link to ")
        sentence(remedy)


class TestATree:
    """Single calls, for what no build meets on a sound disk."""

    def test_a_source_that_is_gone_is_named(self, tmp_path: Path) -> None:
        data = Tree(tmp_path / "data")
        with pytest.raises(SourceError) as caught:
            data.hardlink("folders/train/tench/a.JPEG", f"{tmp_path}/gone.JPEG")
        assert [problem.archive for problem in caught.value.problems] == [f"{tmp_path}/gone.JPEG"]

    @pytest.mark.parametrize("call", ["hardlink", "symlink"])
    def test_a_link_takes_the_place_of_what_an_earlier_run_left(self, tmp_path: Path, call: str) -> None:
        (tmp_path / "a.JPEG").write_text("right")
        (tmp_path / "data/folders/train").mkdir(parents=True)
        (tmp_path / "data/folders/train/a.JPEG").write_text("wrong")
        for _ in range(2):  # a second time over what is right already
            getattr(Tree(tmp_path / "data"), call)("folders/train/a.JPEG", f"{tmp_path}/a.JPEG")
            assert [path.name for path in (tmp_path / "data").rglob("*")] == ["folders", "train", "a.JPEG"]
            assert (tmp_path / "data/folders/train/a.JPEG").read_text() == "right"
        assert (tmp_path / "a.JPEG").read_text() == "right"

    def test_a_copy_never_writes_into_the_file_that_has_its_name(self, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("precious")
        (tmp_path / "data/folders").mkdir(parents=True)
        for make in (os.link, os.symlink):
            make(tmp_path / "precious", tmp_path / "data/folders/a.JPEG")
            Tree(tmp_path / "data").place("folders/a.JPEG", b"new")
            assert (tmp_path / "data/folders/a.JPEG").read_text() == "new"
            (tmp_path / "data/folders/a.JPEG").unlink()
        assert (tmp_path / "precious").read_text() == "precious"

    def test_what_cannot_get_its_name_leaves_no_trace(self, tmp_path: Path, sentence: Sentence) -> None:
        (tmp_path / "folders/a.JPEG").mkdir(parents=True)
        with pytest.raises(OutputError) as caught:
            Tree(tmp_path).place("folders/a.JPEG", b"x")
        sentence(caught.value)
        assert [path.name for path in tmp_path.rglob("*")] == ["folders", "a.JPEG"]


class TestSharedBlocks:
    """A copy shares the blocks of its source where the file system can (FICLONE)."""

    def test_where_it_can_no_byte_is_written(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []

        def clone(descriptor: int, request: int, opened: int) -> int:
            asked.append(request)
            while data := os.read(opened, 1 << 20):
                real_write(descriptor, data)
            return 0

        real_write, written = os.write, list[bytes]()

        def noted_write(descriptor: int, data: bytes) -> int:
            written.append(bytes(data))
            return real_write(descriptor, data)

        monkeypatch.setattr(os, "write", noted_write)
        monkeypatch.setattr(fcntl, "ioctl", clone)
        monkeypatch.setattr(sys, "platform", "linux")
        build(source, tmp_path / "data", "copy")
        images = {was: (source / was).read_bytes() for was in PLACES}
        assert asked == [0x40049409] * 10
        assert not set(written) & set(images.values())
        assert {was: (tmp_path / "data/folders" / at).read_bytes() for was, at in PLACES.items()} == images

    def test_where_it_cannot_bytes_are_written_and_it_is_asked_once_a_shard(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[object] = []

        def refuse(*arguments: object) -> None:
            asked.append(arguments)
            refusing(errno.EOPNOTSUPP)()

        monkeypatch.setattr(fcntl, "ioctl", refuse)
        monkeypatch.setattr(sys, "platform", "linux")
        build(source, tmp_path / "data", "copy")
        assert len(asked) == 3
        for was, at in PLACES.items():
            assert (tmp_path / "data/folders" / at).read_bytes() == (source / was).read_bytes()


def test_no_two_files_are_one_where_capitals_do_not_count(source: Path, tmp_path: Path, sentence: Sentence) -> None:
    build(source, tmp_path / "data", "copy")
    paths = [str(path) for path in (tmp_path / "data").rglob("*")]
    assert len({path.casefold() for path in paths}) == len(paths) > 20
    # A name in other capitals is not one of ImageNet's, so two that differ in them alone never meet.
    (source / "train/n01440764/N01440764_4.jpeg").write_bytes(b"")
    with pytest.raises(SourceError) as caught:
        build(source, tmp_path / "other", "copy")
    sentence(caught.value)


@pytest.mark.parametrize("transfer", ["copy", "hardlink", "symlink", "move"])
def test_the_target_may_lie_in_the_source_folder(source: Path, transfer: str) -> None:
    build(source, source / "sorted", transfer)
    assert imagenet_prep.audit(source / "sorted", ONE_PROCESS).records == 10
    assert build(source, source / "sorted", transfer).reused == 3


def test_another_mount_of_one_disk_is_found_out_before_a_file_is_moved(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
) -> None:
    """As containers have them: the device is the same, and a link is refused all the same."""
    monkeypatch.setattr(os, "link", refusing(errno.EXDEV))

    with pytest.raises(OutputError) as caught:
        build(source, tmp_path / "data", "move")
    sentence(caught.value)

    assert not (tmp_path / "data").exists()


def test_a_folder_that_may_not_be_written_to_is_named_before_a_file_is_moved(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
) -> None:
    closed = next((source / "train").iterdir())
    monkeypatch.setattr(os, "access", lambda path, _mode: str(path) != str(closed))

    with pytest.raises(OutputError) as caught:
        build(source, tmp_path / "data", "move")

    assert places(caught.value.problems) == [str(closed)]
    sentence(caught.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the switch is one of Linux")
def test_a_file_of_somebody_else_is_named_before_a_file_is_moved(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where ``protected_hardlinks`` is on, nobody but its owner links a file that others may not write."""
    locked = next((source / "train").rglob("*.JPEG"))
    real = os.access
    monkeypatch.setattr(preflight, "may_link_all", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: source.stat().st_uid + 1)
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(locked) and real(path, mode))

    with pytest.raises(OutputError) as caught:
        build(source, tmp_path / "data", "move")

    assert [(problem.archive, problem.member) for problem in caught.value.problems] == [
        (str(locked.parent), locked.name)
    ]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("transfer", ["hardlink", "move"])
def test_a_dry_run_says_what_the_build_would_say(tmp_path: Path, transfer: str, sentence: Sentence) -> None:
    archives = write_miniature(tmp_path / "archives", MiniatureOptions(classes=1, images_per_class=2)).root
    words = ("build", archives, tmp_path / "data", "--format", "folders", "--transfer", transfer, "--dry-run")
    result = run(*words, "--test-per-class", 1)

    assert result.returncode == 2
    sentence(result.stderr, alike=True)
    assert not (tmp_path / "data").exists()


def test_links_whose_source_has_moved_are_made_again(source: Path, tmp_path: Path, sentence: Sentence) -> None:
    build(source, tmp_path / "data", "symlink")
    moved = source.rename(tmp_path / "elsewhere")
    with pytest.raises(imagenet_prep.AuditError) as caught:
        imagenet_prep.audit(tmp_path / "data", ONE_PROCESS)
    sentence(caught.value)

    build(moved, tmp_path / "data", "symlink")

    assert imagenet_prep.audit(tmp_path / "data", ONE_PROCESS).records == 10


@pytest.mark.parametrize(("transfer", "undigested"), [("copy", 0), ("hardlink", 10), ("symlink", 10), ("move", 10)])
def test_an_audit_says_of_how_many_images_nobody_knows_the_bytes(
    source: Path, tmp_path: Path, transfer: str, undigested: int
) -> None:
    build(source, tmp_path / "data", transfer)

    assert imagenet_prep.audit(tmp_path / "data", ONE_PROCESS).undigested == undigested

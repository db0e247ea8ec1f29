"""What a user may not read is not called damaged: the message says which permission is missing, and of what.

Commands run without the power of root to pass over permissions.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from faulty import AS_ANYONE
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.build import everything
from support.command import Ended, start
from support.sentences import Sentence

pytestmark = pytest.mark.system

FORMATS = ("--format", "tfrecord", "--format", "folders")
RECIPE = (*FORMATS, "--test-per-class", "2", "--shards", "train=2", "--jobs", "2")
RECEIPT = ".imagenet-prep/receipts/tfrecord/train-00000-of-00002"
DOCUMENTS = (
    "build.json",
    "manifest.parquet",
    "classes.csv",
    "splits/train.txt",
    "tfrecord/features.json",
    "tfrecord/train-00001-of-00002",
    ".imagenet-prep/state.json",
    ".imagenet-prep/catalog.arrow",
    RECEIPT,
)
FOLDERS = (
    "tfrecord",
    "splits",
    "folders",
    "folders/train/tench",
    ".imagenet-prep",
    ".imagenet-prep/receipts",
    ".imagenet-prep/receipts/tfrecord",
)
ASKED = ("build.json", "manifest.parquet", *DOCUMENTS[5:], *FOLDERS)
NEEDED = (".imagenet-prep", ".imagenet-prep/state.json", ".imagenet-prep/catalog.arrow")  # by an undo
OVER = [
    *((verb, path) for verb in ("build", "resume", "repair") for path in ASKED),
    *(("undo", path) for path in NEEDED),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    options = MiniatureOptions(wnids=("n01440764", "n02917067"), images_per_class=8, validation_per_class=2)
    return write_miniature(tmp_path_factory.mktemp("source"), options)


@pytest.fixture(scope="module")
def built(source: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "OUT"
    assert run("build", source.root, out, *RECIPE).returncode == 0
    return out


@pytest.fixture
def out(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "OUT")


def run(*words: object) -> Ended:
    return start(*words, prefix=AS_ANYONE)


@contextlib.contextmanager
def closed(path: Path, mode: int = 0) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


class TestAnAudit:
    @pytest.mark.parametrize("path", DOCUMENTS)
    def test_names_a_file_that_may_not_be_read(self, out: Path, path: str, sentence: Sentence) -> None:
        with closed(out / path):
            ended = run("audit", out)
        assert ended.returncode == 6
        sentence(ended.stderr)
        assert "imagenet-prep repair" not in ended.stderr
        assert "damaged: " not in ended.stderr

    @pytest.mark.parametrize("path", FOLDERS)
    def test_names_a_folder_that_may_not_be_entered_once(self, out: Path, path: str) -> None:
        with closed(out / path):
            ended = run("audit", out)
        assert ended.returncode == 6
        assert ended.stderr.count(f"{path}: may not be entered: you lack the permission x") == 1
        assert "imagenet-prep repair" not in ended.stderr

    @pytest.mark.parametrize("path", ["tfrecord", "folders/train/tench", ".imagenet-prep/receipts/tfrecord"])
    def test_names_a_folder_that_may_not_be_listed(self, out: Path, path: str, sentence: Sentence) -> None:
        with closed(out / path, 0o111):
            ended = run("audit", out)
        assert ended.returncode == 6
        sentence(ended.stderr)

    def test_names_the_output_folder_itself(self, out: Path) -> None:
        for place, code in ((out, 6), (out.parent, 2)):
            with closed(place):
                ended = run("audit", out)
            assert (ended.returncode, "imagenet-prep repair" in ended.stderr) == (code, False)
            assert re.search(f"{re.escape(str(place))}:? may not be entered", ended.stderr)

    def test_names_damage_beside_it(self, out: Path) -> None:
        shard = out / "tfrecord" / "train-00000-of-00002"
        shard.write_bytes(shard.read_bytes()[:-1])
        with closed(out / "manifest.parquet", 0o444), closed(out / "tfrecord" / "validation-00000-of-00001"):
            ended = run("audit", out, "--json")
        assert ended.returncode == 7
        places = [problem["archive"] for problem in json.loads(ended.stderr.splitlines()[-1])["problems"]]
        assert "tfrecord/train-00000-of-00002" in places
        assert places[-1] == "tfrecord/validation-00000-of-00001"

    def test_of_data_that_others_made_says_what_may_not_be_read(self, out: Path, sentence: Sentence) -> None:
        shutil.rmtree(out / ".imagenet-prep")
        (out / "build.json").unlink()
        with closed(out / "tfrecord"):
            ended = run("audit", out)
        assert ended.returncode == 6
        sentence(ended.stderr)


class TestABuild:
    @pytest.mark.parametrize(("verb", "path"), OVER)
    def test_over_a_finished_one_names_what_may_not_be_read_and_changes_nothing(
        self, source: Miniature, out: Path, verb: str, path: str
    ) -> None:
        before = everything(out)
        with closed(out / path):
            ended = run(*(("build", source.root, out, *RECIPE) if verb == "build" else (verb, out)))
        if ended.returncode:
            assert ended.returncode == 6
            assert "ermission" in ended.stderr
        assert everything(out) == before

    def test_names_an_archive_and_a_class_folder_that_may_not_be_read(self, tmp_path: Path) -> None:
        archives = write_miniature(tmp_path / "archives", MiniatureOptions(classes=2, boxes=False)).root
        for path in (archives / "ILSVRC2012_img_train.tar", archives):
            with closed(path):
                for command in (("build", archives, tmp_path / "OUT", *RECIPE), ("check", archives)):
                    ended = run(*command)
                    assert ended.returncode == 4
                    assert "ermission" in ended.stderr + ended.stdout
                    assert "download" not in ended.stderr + ended.stdout


@pytest.mark.parametrize("path", [".imagenet-prep/state.json", ".imagenet-prep/catalog.arrow", ".imagenet-prep", ""])
def test_an_undo_names_what_may_not_be_read_and_gives_moved_files_back_afterwards(tmp_path: Path, path: str) -> None:
    few = MiniatureOptions(classes=2, images_per_class=4, validation_per_class=1, layout="sorted", boxes=False)
    source, out = write_miniature(tmp_path / "source", few).root, tmp_path / "OUT"
    given = everything(source)
    recipe = ("--format", "folders", "--test-per-class", 1, "--transfer", "move")
    assert run("build", source, out, *recipe).returncode == 0
    before = everything(out)
    with closed(out / path):
        for command in (("undo", out), ("build", source, out, *recipe)):
            ended = run(*command)
            assert ended.returncode == 6, ended.stderr
            assert "may not be" in ended.stderr
    assert everything(out) == before
    assert run("undo", out).returncode == 0
    assert not out.exists()
    assert everything(source) == given

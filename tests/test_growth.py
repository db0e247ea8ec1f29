"""A data set grows, whatever its selection and its shards, and however often it is stopped. That every output can be
added to another is in ``test_every_output``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import imagenet_prep
from imagenet_prep import AuditOptions, BuildOptions, OtherBuildError, SourceError
from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.build import changed, contents, inodes, stopped
from support.command import run
from support.sentences import Sentence

OUTPUTS = ("tfrecord", "tfds", "folders")
WNIDS = ("n01440764", "n02917067")
STATE = ".imagenet-prep/state.json"

THREE_SHARDS: dict[str, dict[str, Any]] = {
    "tfrecord": {"tfrecord.shards": {"train": 3}},
    "tfds": {"tfds.shards": {"train": 3}},
    "folders": {},
}

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound images, some of which outputs of records convert, with boxes."""
    options = MiniatureOptions(wnids=WNIDS, images_per_class=6, validation_per_class=2, quirks=("png", "cmyk"))
    return write_miniature(tmp_path_factory.mktemp("archives"), options).root


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """Files, some of which are not images."""
    options = MiniatureOptions(
        wnids=WNIDS,
        images_per_class=6,
        validation_per_class=2,
        quirks=("text", "truncated"),
        boxes=False,
        layout="extracted",
    )
    return write_miniature(tmp_path_factory.mktemp("bad"), options)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound images as files."""
    options = MiniatureOptions(
        wnids=WNIDS, images_per_class=6, validation_per_class=2, quirks=("png",), boxes=False, layout="extracted"
    )
    return write_miniature(tmp_path_factory.mktemp("files"), options).root


@pytest.fixture(scope="module")
def at_once(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Give a data set that was built with all of its outputs at once. Nobody changes it."""
    made: dict[str, Path] = {}

    def built(*formats: str, **more: Any) -> Path:
        key = repr((sorted(formats), more))
        if key not in made:
            made[key] = tmp_path_factory.mktemp("at-once") / "data"
            imagenet_prep.build(archives, made[key], options(*formats, **more))
        return made[key]

    return built


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "data"


def options(*formats: str, **more: Any) -> BuildOptions:
    return BuildOptions.of(**{"format": formats, "test_per_class": 1, "jobs": 1} | more)


class TestTheSameBytes:
    def test_two_may_be_added_at_once_and_those_that_are_there_may_be_named_again(
        self, archives: Path, at_once: Callable[..., Path], out: Path
    ) -> None:
        imagenet_prep.build(archives, out, options("tfds"))
        imagenet_prep.build(archives, out, options("folders", "tfrecord", "tfds"))
        assert contents(out) == contents(at_once(*OUTPUTS))

    @pytest.mark.parametrize(
        "more",
        [
            {"shards": {"train": 4}},
            {"tfrecord.shards": {"train": 4}, "tfds.shards": {"train": 2}},
            {"tfrecord.shards": {"train": 4}, "tfds.shards": {"train": 3}},
            {"splits": ("validation",)},
            {"images_per_class": 2, "seed": 5},
            {"check": "decode"},
        ],
        ids=["equal", "nested", "across", "one split", "subset", "decoded"],
    )
    @pytest.mark.parametrize(("first", "second"), [("tfrecord", "tfds"), ("tfds", "tfrecord")])
    def test_whatever_the_shards_and_the_selection(
        self,
        archives: Path,
        at_once: Callable[..., Path],
        out: Path,
        first: str,
        second: str,
        more: dict[str, Any],
    ) -> None:
        for name in (first, second):
            imagenet_prep.build(
                archives, out, options(name, **{key: more[key] for key in more if "." not in key or name in key})
            )
        assert contents(out) == contents(at_once(first, second, **more))

    @pytest.mark.parametrize("transfer", ["hardlink", "symlink", "move"])
    @pytest.mark.parametrize("first", ["folders", "tfrecord"])
    def test_class_folders_may_be_links_of_the_source(
        self, files: Path, tmp_path: Path, transfer: str, first: str
    ) -> None:
        if (transfer, first) == ("move", "folders"):
            return  # of which the source is gone
        both = options("folders", "tfrecord", transfer=transfer)
        second = "tfrecord" if first == "folders" else "folders"
        found = []
        for steps in [both], [changed(both, format=(first,)), changed(both, format=(second,))]:
            source, out = shutil.copytree(files, tmp_path / "in"), tmp_path / "data"
            for step in steps:
                imagenet_prep.build(source, out, step)
            found.append(contents(out))
            shutil.rmtree(source)
            shutil.rmtree(out)
        assert found[0] == found[1]


class TestKilled:
    @pytest.mark.parametrize(("first", "second"), [("tfrecord", "folders"), ("folders", "tfds")])
    @pytest.mark.parametrize("goes_on", ["the same command", "the first command", "resume"])
    def test_stopped_anywhere_the_old_data_set_stays_valid_and_the_new_one_is_as_if_built_at_once(
        self,
        archives: Path,
        at_once: Callable[..., Path],
        out: Path,
        monkeypatch: pytest.MonkeyPatch,
        first: str,
        second: str,
        goes_on: str,
    ) -> None:
        added = options(second, **THREE_SHARDS[second])
        imagenet_prep.build(archives, out, options(first, **THREE_SHARDS[first]))
        valid = {name: (out / name).read_bytes() for name in ("build.json", "manifest.parquet")}
        for count in (0, 1, 1):  # each goes on from the one before
            stopped(monkeypatch, count, archives, out, added)
            assert {name: (out / name).read_bytes() for name in valid} == valid
            assert imagenet_prep.audit(out, AuditOptions(jobs=1)).records == 16
        if goes_on == "resume":
            imagenet_prep.resume(out, jobs=1)
        else:
            again = added if goes_on == "the same command" else options(first, **THREE_SHARDS[first])
            imagenet_prep.build(archives, out, again)
        assert contents(out) == contents(at_once(first, second, **THREE_SHARDS[first] | THREE_SHARDS[second]))

    def test_so_it_is_if_it_was_stopped_before_it_could_be_grown(
        self, archives: Path, at_once: Callable[..., Path], out: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stopped(monkeypatch, 1, archives, out, options("tfrecord"))
        imagenet_prep.build(archives, out, options("tfds"))
        assert contents(out) == contents(at_once("tfrecord", "tfds"))

    def test_killed_by_the_system_it_goes_on(self, archives: Path, at_once: Callable[..., Path], out: Path) -> None:
        imagenet_prep.build(archives, out, options("tfrecord"))
        old = (out / "build.json").read_bytes()
        for place in ("state.json", "tfds-receipt", "manifest.parquet", "build.json"):
            assert killed_at(place, "build", archives, out, "--format=tfds", "--test-per-class=1", "--jobs=1")
            assert (out / "build.json").read_bytes() == old
        assert run("resume", out, "--jobs=1", "--quiet").returncode == 0
        assert contents(out) == contents(at_once("tfrecord", "tfds"))

    def test_what_was_begun_can_be_undone(self, archives: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        imagenet_prep.build(archives, out, options("tfrecord"))
        stopped(monkeypatch, 1, archives, out, options("folders"))
        imagenet_prep.undo(out)
        assert not out.exists()


class TestRefused:
    @pytest.fixture
    def grown(self, archives: Path, out: Path) -> Path:
        imagenet_prep.build(archives, out, options("folders", "tfrecord"))
        return out

    @pytest.mark.parametrize(
        ("given", "named"),
        [
            (("--format=folders", "--names=wnid"), "names"),
            (("--format=folders", "--format=tfds", "--names=wnid"), "names"),
            (("--format=tfrecord", "--shards=train=2"), "shards"),
            (("--format=tfds", "--seed=1"), "seed"),
            (("--format=tfds", "--split=train"), "splits"),
            (("--format=tfds", "--limit=3"), "limit"),
        ],
    )
    def test_other_options_of_what_is_there_and_another_selection_are_refused_and_named(
        self, archives: Path, grown: Path, given: tuple[str, ...], named: str
    ) -> None:
        before = inodes(grown)
        ended = run("build", archives, grown, "--test-per-class=1", "--jobs=1", *given)
        assert ended.returncode == 5
        assert named in ended.stderr
        assert f"imagenet-prep resume {grown}" in ended.stderr
        assert inodes(grown) == before

    def test_other_images_of_the_same_names_are_another_selection(self, grown: Path, tmp_path: Path) -> None:
        other = MiniatureOptions(wnids=WNIDS, images_per_class=6, validation_per_class=2, seed=7)
        source = write_miniature(tmp_path / "other", other).root
        with pytest.raises(OtherBuildError):
            imagenet_prep.build(source, grown, options("tfds"))

    def test_a_library_in_another_version_that_has_decided_bytes_is_named(self, archives: Path, grown: Path) -> None:
        with_state(grown, lambda state: state["outputs"]["tfrecord"]["libraries"].update(pillow="1.7.8"))
        before = inodes(grown)
        for given in (options("tfds"), options("tfrecord"), options("folders")):
            with pytest.raises(OtherBuildError) as caught:
                imagenet_prep.build(archives, grown, given)
            assert "pillow 1.7.8" in caught.value.summary
            assert "pillow==1.7.8" in caught.value.remedy
        with pytest.raises(OtherBuildError):
            imagenet_prep.resume(grown, jobs=1)
        assert inodes(grown) == before

    def test_where_nothing_is_converted_no_library_decides(self, archives: Path, out: Path) -> None:
        imagenet_prep.build(archives, out, options("folders"))
        state = unseal((out / STATE).read_bytes())
        assert [output["libraries"] for output in state["outputs"].values()] == [{}]

    def test_a_newer_format_version_is_refused(self, archives: Path, grown: Path) -> None:
        with_state(grown, lambda state: state.update(format_version=state["format_version"] + 1))
        before = inodes(grown)
        attempts: tuple[Callable[[], object], ...] = (
            lambda: imagenet_prep.build(archives, grown, options("tfds")),
            lambda: imagenet_prep.resume(grown, jobs=1),
            lambda: imagenet_prep.repair(grown, jobs=1),
            lambda: imagenet_prep.undo(grown),
        )
        for attempt in attempts:
            with pytest.raises(OtherBuildError):
                attempt()
        assert inodes(grown) == before

    def test_records_are_not_made_of_files_that_were_moved_away(
        self, files: Path, tmp_path: Path, out: Path, sentence: Sentence
    ) -> None:
        source = shutil.copytree(files, tmp_path / "in")
        imagenet_prep.build(source, out, options("folders", transfer="move"))
        before = inodes(out)
        with pytest.raises(SourceError) as caught:
            imagenet_prep.build(source, out, options("tfrecord"))
        sentence(caught.value)
        assert f"imagenet-prep undo {out}" in caught.value.remedy
        assert inodes(out) == before
        assert imagenet_prep.audit(out, AuditOptions(jobs=1)).records == 16


class TestBadImages:
    @pytest.mark.parametrize("on_bad", ["fail", "set-aside"])
    def test_one_that_is_found_only_now_is_an_error_that_names_it(
        self, bad: Miniature, out: Path, on_bad: str, sentence: Sentence
    ) -> None:
        imagenet_prep.build(bad.root, out, options("folders", transfer="symlink"))
        before = inodes(out)
        with pytest.raises(SourceError) as caught:
            imagenet_prep.build(bad.root, out, options("tfrecord", on_bad=on_bad))
        named = {problem.member.rpartition("/")[2] for problem in caught.value.problems}
        assert named == {entry.name for entry in bad.entries if entry.quirk}
        sentence(caught.value, alike=True)
        changed_files = {name for name, inode in before.items() if inodes(out).get(name) != inode}
        assert changed_files <= {STATE}

    def test_so_it_is_when_the_same_command_runs_again_or_a_resume(self, bad: Miniature, out: Path) -> None:
        imagenet_prep.build(bad.root, out, options("folders", transfer="symlink", on_bad="set-aside"))
        attempts: tuple[Callable[[], object], ...] = (
            lambda: imagenet_prep.build(bad.root, out, options("tfrecord", on_bad="set-aside")),
            lambda: imagenet_prep.build(bad.root, out, options("tfrecord", on_bad="set-aside")),
            lambda: imagenet_prep.resume(out, jobs=1),
        )
        for attempt in attempts:
            with pytest.raises(SourceError):
                attempt()
            assert json.loads((out / "build.json").read_bytes())["outputs"].keys() == {"folders"}

    def test_what_was_set_aside_of_a_closer_look_is_set_aside_of_all(
        self, files: Path, tmp_path: Path, out: Path
    ) -> None:
        source = shutil.copytree(files, tmp_path / "in")
        image = min(source.glob("train/n01440764/*.JPEG"), key=lambda path: path.name != "n01440764_10.JPEG")
        data = image.read_bytes()
        scan = data.index(b"\xff\xda")
        image.write_bytes(data[: (scan + len(data)) // 2] + b"\xff\xd9")
        both = options("tfrecord", "tfds", on_bad="set-aside", check="decode")
        imagenet_prep.build(source, tmp_path / "at-once", both)
        imagenet_prep.build(source, out, changed(both, format=("tfrecord",)))
        report = imagenet_prep.build(source, out, options("tfds"))
        assert report.accounts.set_aside == 1
        assert contents(out) == contents(tmp_path / "at-once")

    def test_the_command_has_code_3_then(self, bad: Miniature, out: Path) -> None:
        arguments = (bad.root, out, "--test-per-class=1", "--jobs=1", "--quiet")
        assert run("build", *arguments, "--on-bad=set-aside").returncode == 3
        assert run("build", *arguments, "--format=tfds").returncode == 3

    def test_after_it_has_grown_it_can_be_repaired_as_before(self, bad: Miniature, out: Path) -> None:
        imagenet_prep.build(bad.root, out, options("tfrecord", on_bad="set-aside"))
        imagenet_prep.build(bad.root, out, options("tfds"))
        sound = contents(out)
        for path in out.rglob("*train-*"):
            if path.is_file():
                path.write_bytes(b"damaged")
        imagenet_prep.repair(out, jobs=1)
        assert contents(out) == sound


class TestReads:
    def test_numbers_of_shards_that_nest_cost_one_read(self, archives: Path, out: Path) -> None:
        given = options("tfrecord", "tfds", **{"tfrecord.shards": {"train": 4}, "tfds.shards": {"train": 2}})
        size = imagenet_prep.build(archives, out, given).bytes_read
        assert size == sum(pq.read_table(out / "manifest.parquet")["size"].to_pylist())

    def test_others_cost_a_second_one_which_the_dry_run_says(self, archives: Path, out: Path) -> None:
        words = ("--format=tfrecord", "--format=tfds", "--test-per-class=1", "--jobs=1", "--shards=train=4")
        across = (*words, "--set=tfds.shards=train=3")
        assert "read 2 times" not in run("build", archives, out, *words, "--dry-run").stdout
        assert "read 2 times" in run("build", archives, out, *across, "--dry-run").stdout
        assert not out.exists()
        done = run("build", archives, out, *across, "--json")
        assert done.returncode == 0
        size = sum(pq.read_table(out / "manifest.parquet")["size"].to_pylist())
        assert json.loads(done.stdout)["bytes_read"] == 2 * size

    def test_a_dry_run_of_growth_says_what_stays_and_writes_nothing(self, archives: Path, out: Path) -> None:
        imagenet_prep.build(archives, out, options("tfrecord"))
        before = inodes(out)
        said = run("build", archives, out, "--format=tfds", "--test-per-class=1", "--jobs=1", "--dry-run")
        assert said.returncode == 0
        assert "3 of 6 shards" in said.stderr
        assert inodes(out) == before


class TestRecipes:
    """``--recipe FILE`` repeats somebody's build."""

    GIVEN = (
        "--format=folders",
        "--format=tfrecord",
        "--names=wnid",
        "--shards=train=2",
        "--seed=3",
        "--images-per-class=4",
        "--split=train",
        "--split=test",
    )

    def test_a_build_json_repeats_a_build_byte_for_byte(
        self, archives: Path, at_once: Callable[..., Path], tmp_path: Path, out: Path
    ) -> None:
        names = (at_once("tfrecord") / "splits/train.txt").read_text().splitlines(keepends=True)
        (tmp_path / "exclude.txt").write_text(names[0])
        (tmp_path / "test.txt").write_text(names[1] + names[-1])
        (tmp_path / "map.txt").write_text("n01440764 449 Schleie\n")
        lists = (f"--exclude={tmp_path}/exclude.txt", f"--test-list={tmp_path}/test.txt")
        own = f"--class-map={tmp_path}/map.txt"
        assert run("build", archives, out, *self.GIVEN, *lists, own, "--jobs=1").returncode == 0
        for name in ("exclude.txt", "test.txt", "map.txt"):
            (tmp_path / name).unlink()  # a build.json is complete
        again = tmp_path / "again"
        ended = run("build", archives, again, f"--recipe={out}/build.json", "--jobs=1")
        assert ended.returncode == 0, ended.stderr
        assert contents(again) == contents(out)

    def test_a_recipe_may_be_written_as_toml(self, archives: Path, tmp_path: Path, out: Path) -> None:
        (tmp_path / "recipe.toml").write_text(
            "[selection]\ntest_per_class = 1\nimages_per_class = 4\n"
            "[outputs.folders]\nnames = 'wnid'\n[outputs.tfrecord]\nshards = {train = 2}\n"
        )
        ended = run("build", archives, out, f"--recipe={tmp_path}/recipe.toml", "--jobs=1")
        assert ended.returncode == 0, ended.stderr
        flags = ("--format=folders", "--format=tfrecord", "--test-per-class=1", "--images-per-class=4")
        sets = ("--set=folders.names=wnid", "--set=tfrecord.shards=train=2")
        assert run("build", archives, tmp_path / "flags", *flags, *sets, "--jobs=1").returncode == 0
        assert contents(out) == contents(tmp_path / "flags")

    def test_a_flag_is_for_every_output_and_a_setting_for_one(self, archives: Path, out: Path) -> None:
        flags = ("--format=tfrecord", "--format=tfds", "--shards=train=4", "--set=tfds.shards=train=2")
        assert run("build", archives, out, *flags, "--test-per-class=1", "--jobs=1").returncode == 0
        outputs = json.loads((out / "build.json").read_bytes())["outputs"]
        assert {name: of["options"]["shards"] for name, of in outputs.items()} == {
            "tfrecord": {"train": 4},
            "tfds": {"train": 2},
        }

    @pytest.mark.parametrize(
        ("given", "word"),
        [
            (("--set=folders.names=wnid",), "folders"),  # is not among the formats
            (("--set=tfrecord.names=wnid",), "names"),
            (("--set=tfrecord",), "tfrecord"),
            (("--format=folders", "--set=folders.names=french"), "french"),
            (("--names=wnid",), "names"),
            (("--recipe={recipe}", "--seed=1"), "--seed"),
            (("--recipe={recipe}", "--set=tfrecord.shards=train=2"), "--set"),
            (("--recipe={recipe}", "--class-map={map}"), "--class-map"),
            (("--recipe={broken}",), "broken.toml"),
            (("--recipe={strange}",), "colour"),
            (("--recipe={text}",), "text.json"),
        ],
    )
    def test_what_makes_no_recipe_is_wrong_usage(
        self, archives: Path, tmp_path: Path, out: Path, given: tuple[str, ...], word: str
    ) -> None:
        texts = {
            "recipe": ("recipe.toml", "[outputs.tfrecord]\n"),
            "broken": ("broken.toml", "outputs ="),
            "strange": ("strange.toml", "[selection]\ncolour = 'red'\n"),
            "text": ("text.json", '"a text"'),
            "map": ("map.txt", "n01440764 449 Schleie\n"),
        }
        for name, text in texts.values():
            (tmp_path / name).write_text(text)
        paths = {key: tmp_path / name for key, (name, _) in texts.items()}
        ended = run("build", archives, out, "--jobs=1", *(each.format(**paths) for each in given))
        assert ended.returncode == 2, ended.stderr
        assert word in ended.stderr
        assert "Traceback" not in ended.stderr
        assert not out.exists()


def with_state(out: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Write another state."""
    state = unseal((out / STATE).read_bytes())
    change(state)
    (out / STATE).write_bytes(seal(state))


DIES = """
import os, signal, sys
rename = os.replace
def rename_or_die(source, target, **more):
    if str(target).endswith(PLACE):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target, **more)
os.rename = os.replace = rename_or_die
from imagenet_prep.__main__ import main
main()
"""


def killed_at(place: str, *arguments: object) -> bool:
    """Run a command in a process that the system kills just before a file gets its name; say whether it did."""
    path = {"tfds-receipt": "receipts/tfds/train-00000-of-00001"}.get(place, place)
    words = [sys.executable, "-c", DIES.replace("PLACE", repr(path)), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, check=False).returncode == -9


def test_what_is_finished_is_not_counted_among_the_reads(archives: Path, tmp_path: Path) -> None:
    said: list[str] = []
    for formats in (("tfrecord",), ("tfrecord", "folders")):
        options = BuildOptions.of(format=formats, test_per_class=1, jobs=1)
        imagenet_prep.build(archives, tmp_path / "data", options, watch=lambda event: said.append(str(event)))
    assert not [line for line in said if "is read" in line]

"""The main job, end to end: from archives in the official layout to a data set, on real tar files and real JPEGs."""

import csv
import io
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import xxhash
from PIL import Image

import imagenet_prep
from imagenet_prep import BuildOptions, Note, OtherBuildError, Sample, SourceError
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.build import changed, everything, samples, sha256, shards_of
from support.command import COMMAND
from support.sentences import Sentence

BOTH = BuildOptions.of(format=("tfrecord", "tfds"), test_per_class=5, shards={"train": 7}, jobs=1)


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    quirks = ("cmyk", "png", "greyscale", "exif-orientation", "progressive")
    options = MiniatureOptions(classes=6, images_per_class=20, validation_per_class=5, quirks=quirks)
    return write_miniature(tmp_path_factory.mktemp("archives"), options)


@pytest.fixture(scope="module")
def built(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "data"
    imagenet_prep.build(miniature.root, out, BOTH)
    return out


class TestWhatComesOut:
    def test_the_files_are_those_the_readers_expect(self, built: Path) -> None:
        shards = [f"train-{number:05d}-of-00007" for number in range(7)] + [
            "validation-00000-of-00001",
            "test-00000-of-00001",
        ]
        names = {f"tfrecord/{shard}" for shard in shards} | {f"dali-index/{shard}.idx" for shard in shards}
        names |= {f"tfds/imagenet2012/5.1.0/imagenet2012-{shard.replace('-', '.tfrecord-', 1)}" for shard in shards}
        names |= {
            f"tfds/imagenet2012/5.1.0/{name}" for name in ("features.json", "dataset_info.json", "label.labels.txt")
        }
        names |= {"tfrecord/features.json", "tfrecord/dataset_info.json"}
        names |= {"classes.csv", "manifest.parquet", "build.json", "index/tfrecord.bin", "index/tfds.bin"}
        names |= {f"splits/{split}.txt" for split in ("train", "validation", "test")}
        assert {name for name in everything(built) if not name.startswith(".imagenet-prep/")} == names

    def test_every_image_of_the_source_is_there_once_with_its_own_class(
        self, miniature: Miniature, built: Path
    ) -> None:
        for name in ("tfrecord", "tfds"):
            read = [
                (sample.name, sample.class_index)
                for shard in shards_of(built, name)
                for sample in read_shard(name, shard)
            ]
            assert sorted(read) == sorted((entry.name, entry.class_index) for entry in miniature.entries)

    def test_images_pass_through_unchanged_and_odd_ones_become_rgb_jpegs(
        self, miniature: Miniature, built: Path
    ) -> None:
        source = {entry.name: entry for entry in miniature.entries}
        converted = []
        for shard in shards_of(built, "tfrecord"):
            for sample in read_shard("tfrecord", shard):
                entry = source[sample.name]
                if entry.quirk in ("cmyk", "png"):
                    picture = Image.open(io.BytesIO(sample.image))
                    assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (entry.width, entry.height))
                    converted.append(entry.quirk)
                else:
                    assert sha256(sample.image) == entry.sha256
                assert (sample.width, sample.height) == (entry.width, entry.height)
        assert sorted(converted) == ["cmyk", "png"]

    def test_boxes_are_fractions_of_the_image(self, miniature: Miniature, built: Path) -> None:
        boxes = {
            sample.name: sample.boxes
            for shard in shards_of(built, "tfrecord")
            for sample in read_shard("tfrecord", shard)
        }
        with_boxes = [entry for entry in miniature.entries if entry.boxes]
        assert len(with_boxes) > 20
        assert any(len(entry.boxes) == 2 for entry in with_boxes)
        for entry in miniature.entries:
            expected = [
                (box.xmin / entry.width, box.ymin / entry.height, box.xmax / entry.width, box.ymax / entry.height)
                for box in entry.boxes
            ]
            assert [tuple(box) for box in boxes[entry.name]] == [pytest.approx(box, abs=1e-6) for box in expected]

    def test_both_formats_have_the_same_images_in_the_same_shards(self, built: Path) -> None:
        classic, tfds = (
            [[sample.name for sample in read_shard(name, shard)] for shard in shards_of(built, name)]
            for name in ("tfrecord", "tfds")
        )
        assert classic == tfds

    def test_the_manifest_has_one_row_an_image_and_finds_its_record(self, miniature: Miniature, built: Path) -> None:
        rows = pq.read_table(built / "manifest.parquet").to_pylist()
        assert len(rows) == 6 * 25
        row = next(row for row in rows if row["split"] == "train" and not row["converted"])
        data = (built / row["tfrecord.shard"]).read_bytes()
        record = data[row["tfrecord.offset"] : row["tfrecord.offset"] + row["tfrecord.length"]]
        assert row["name"].encode() in record
        archive = (miniature.root / row["source"]).read_bytes()
        image = archive[row["source_offset"] : row["source_offset"] + row["size"]]
        assert image in record
        assert xxhash.xxh3_128_hexdigest(image) == row["digest"]

    def test_the_manifest_says_what_was_learnt_of_each_image(self, miniature: Miniature, built: Path) -> None:
        rows = {row["name"]: row for row in pq.read_table(built / "manifest.parquet").to_pylist()}
        [cmyk] = [rows[entry.name] for entry in miniature.entries if entry.quirk == "cmyk"]
        [png] = [rows[entry.name] for entry in miniature.entries if entry.quirk == "png"]
        [turned] = [rows[entry.name] for entry in miniature.entries if entry.quirk == "exif-orientation"]
        [grey] = [rows[entry.name] for entry in miniature.entries if entry.quirk == "greyscale"]
        assert (cmyk["kind"], cmyk["components"], cmyk["converted"]) == ("JPEG_CMYK", 4, True)
        assert (png["kind"], png["converted"]) == ("PNG", True)
        assert (turned["kind"], turned["converted"], turned["orientation"]) == ("JPEG", False, 6)
        assert (grey["kind"], grey["components"], grey["converted"]) == ("JPEG", 1, False)

    def test_build_json_accounts_for_every_image_and_every_file(self, built: Path) -> None:
        document = json.loads((built / "build.json").read_bytes())
        assert document["images"] == {
            "entries": 150,
            "written": 150,
            "set_aside": 0,
            "excluded": 0,
            "not_chosen": 0,
            "converted": {"JPEG_CMYK": 1, "PNG": 1},
            "boxed": 86,
            "boxes": 110,
        }
        assert document["splits"] == {"train": 90, "validation": 30, "test": 30}
        files = [file for of in document["outputs"].values() for shard in of["shards"] for file in shard["files"]]
        files += document["documents"]
        for file in files:
            data = (built / file["path"]).read_bytes()
            assert (len(data), xxhash.xxh3_128_hexdigest(data)) == (file["size"], file["xxh3_128"])
        own = {name for name in everything(built) if not name.startswith(".imagenet-prep/")}
        assert {file["path"] for file in files} == own - {"build.json"}

    def test_the_class_table_lies_beside_the_data(self, built: Path) -> None:
        rows = list(csv.DictReader((built / "classes.csv").read_text().splitlines()))
        assert len(rows) == 1000
        assert rows[0] == {
            "class_index": "0",
            "wnid": "n01440764",
            "name": "tench",
            "devkit_integer": "449",
            "lemmas": "tench, Tinca tinca",
        }

    def test_no_output_names_a_folder_or_a_time_of_this_machine(self, miniature: Miniature, built: Path) -> None:
        for name, data in everything(built).items():  # but state and catalog
            assert str(miniature.root).encode() not in data, name
            assert str(built).encode() not in data, name


class TestSameBytes:
    def test_one_worker_and_three_write_the_same_bytes(self, miniature: Miniature, built: Path, tmp_path: Path) -> None:
        imagenet_prep.build(miniature.root, tmp_path / "data", with_jobs(3))
        assert everything(tmp_path / "data") == everything(built)

    def test_any_executor_writes_the_same_bytes(self, miniature: Miniature, built: Path, tmp_path: Path) -> None:
        with ThreadPoolExecutor(2) as executor:
            imagenet_prep.build(miniature.root, tmp_path / "data", replace(BOTH, jobs=0), engine=executor)
        assert everything(tmp_path / "data") == everything(built)

    def test_a_split_alone_has_the_bytes_it_has_among_others(
        self, miniature: Miniature, built: Path, tmp_path: Path
    ) -> None:
        options = BuildOptions.of(format=("tfrecord", "tfds"), test_per_class=5, splits=("validation",), jobs=1)
        imagenet_prep.build(miniature.root, tmp_path / "data", options)
        name = "tfrecord/validation-00000-of-00001"
        assert (tmp_path / "data" / name).read_bytes() == (built / name).read_bytes()
        assert not list((tmp_path / "data").rglob("train-*"))

    def test_two_builds_at_once_in_one_folder_harm_nothing(
        self, miniature: Miniature, built: Path, tmp_path: Path
    ) -> None:
        commands = [start(miniature.root, tmp_path / "data", "--jobs", "1") for _ in range(2)]
        assert [command.wait(60) for command in commands] == [0, 0]
        assert everything(tmp_path / "data") == everything(built)


class TestResume:
    def test_the_same_command_again_writes_nothing_again(
        self, miniature: Miniature, built: Path, tmp_path: Path
    ) -> None:
        out = shutil.copytree(built, tmp_path / "data")
        shard = out / "tfrecord/train-00003-of-00007"
        before = shard.stat()
        report = imagenet_prep.build(miniature.root, out, BOTH)
        assert (report.reused, report.bytes_read, report.bytes_written) == (18, 0, 0)
        assert shard.stat().st_mtime_ns == before.st_mtime_ns
        assert everything(out) == everything(built)

    @pytest.mark.parametrize(
        "lost",
        [
            "tfrecord/train-00002-of-00007",
            "dali-index/train-00002-of-00007.idx",
            ".imagenet-prep/receipts/tfrecord/train-00002-of-00007",
            ".imagenet-prep/catalog.arrow",
            "manifest.parquet",
            "build.json",
        ],
    )
    def test_what_was_lost_is_made_again(self, miniature: Miniature, built: Path, tmp_path: Path, lost: str) -> None:
        out = shutil.copytree(built, tmp_path / "data")
        (out / lost).unlink()
        imagenet_prep.build(miniature.root, out, BOTH)
        assert everything(out) == everything(built)

    def test_a_shard_cut_short_is_made_again(self, miniature: Miniature, built: Path, tmp_path: Path) -> None:
        out = shutil.copytree(built, tmp_path / "data")
        with (out / "tfrecord/train-00002-of-00007").open("r+b") as file:
            file.truncate(100)
        imagenet_prep.build(miniature.root, out, BOTH)
        assert everything(out) == everything(built)

    @pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(
        self, miniature: Miniature, built: Path, tmp_path: Path, sent: signal.Signals
    ) -> None:
        command = start(miniature.root, tmp_path / "data", "--jobs", "2")
        wait_for(
            lambda: (
                len(list((tmp_path / "data").glob(".imagenet-prep/receipts/*/*"))) >= 1 or command.poll() is not None
            )
        )
        command.send_signal(sent)
        code = command.wait(30)
        if sent != signal.SIGKILL:
            assert code in (130, 0)  # 0: it was done before the signal came
            assert not list((tmp_path / "data").rglob("*.part"))
        assert start(miniature.root, tmp_path / "data", "--jobs", "2").wait(60) == 0
        assert everything(tmp_path / "data") == everything(built)


class TestRefusals:
    def test_another_recipe_in_the_same_folder(self, miniature: Miniature, built: Path, tmp_path: Path) -> None:
        out = shutil.copytree(built, tmp_path / "data")
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.build(miniature.root, out, changed(BOTH, test_per_class=4))
        [problem] = caught.value.problems
        assert (problem.archive, "5" in problem.reason, "4" in problem.reason) == ("test_per_class", True, True)
        assert everything(out) == everything(built)

    def test_other_images_in_the_same_folder(self, built: Path, tmp_path: Path, sentence: Sentence) -> None:
        out = shutil.copytree(built, tmp_path / "data")
        other = write_miniature(tmp_path / "other", MiniatureOptions(classes=6, images_per_class=20, seed=1))
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.build(other.root, out, BOTH)
        sentence(caught.value)
        assert everything(out) == everything(built)

    def test_a_damaged_note_of_what_the_folder_holds(
        self, miniature: Miniature, built: Path, tmp_path: Path, sentence: Sentence
    ) -> None:
        out = shutil.copytree(built, tmp_path / "data")
        (out / ".imagenet-prep/state.json").write_bytes(b"{")
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.build(miniature.root, out, BOTH)
        sentence(caught.value)

    def test_a_folder_with_something_else_in_it(self, miniature: Miniature, tmp_path: Path, sentence: Sentence) -> None:
        (tmp_path / "thesis.tex").write_text("precious")
        with pytest.raises(OtherBuildError) as caught:
            imagenet_prep.build(miniature.root, tmp_path, BOTH)
        sentence(caught.value)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_the_folder_of_the_archives_themselves(self, miniature: Miniature) -> None:
        before = {path: path.read_bytes() for path in miniature.root.iterdir()}
        with pytest.raises(OtherBuildError):
            imagenet_prep.build(miniature.root, miniature.root, BOTH)
        assert {path: path.read_bytes() for path in miniature.root.iterdir()} == before

    def test_unusable_images_are_all_named_and_their_shards_alone_are_missing(self, tmp_path: Path) -> None:
        quirks = ("truncated", "text", "empty")
        miniature = write_miniature(
            tmp_path / "archives", MiniatureOptions(classes=4, images_per_class=20, quirks=quirks)
        )
        with pytest.raises(SourceError) as caught:
            imagenet_prep.build(miniature.root, tmp_path / "data", BOTH)
        bad = {entry.name for entry in miniature.entries if entry.quirk in quirks}
        assert {problem.member.rpartition("/")[2] for problem in caught.value.problems} == bad
        assert len(bad) == 3
        for name in ("build.json", "manifest.parquet", "tfrecord/dataset_info.json"):
            assert not (tmp_path / "data" / name).exists()
        written = {name for shard in shards_of(tmp_path / "data", "tfds") for name in names_in(shard)}
        assert written
        assert not written & bad

    def test_nothing_is_written_before_the_plan_is_found_good(
        self, miniature: Miniature, tmp_path: Path, sentence: Sentence
    ) -> None:
        with pytest.raises(imagenet_prep.UsageError) as caught:
            imagenet_prep.build(miniature.root, tmp_path / "data", BuildOptions.of(test_per_class=20, jobs=1))
        sentence(caught.value)
        assert not (tmp_path / "data").exists()


class TestWhatTheUserIsTold:
    def test_what_is_held_out_and_how_to_change_it(self, miniature: Miniature, tmp_path: Path) -> None:
        events: list[object] = []
        imagenet_prep.build(miniature.root, tmp_path / "data", BOTH, watch=events.append)
        assert (
            Note(
                "5 labelled images of each class, 30 in all, are held out of train as the split test "
                "(--test-per-class N; 0 keeps the standard train set)."
            )
            in events
        )

    def test_progress_ends_with_all_images(self, miniature: Miniature, tmp_path: Path) -> None:
        events: list[object] = []
        imagenet_prep.build(miniature.root, tmp_path / "data", BOTH, watch=events.append)
        written = [event for event in events if isinstance(event, imagenet_prep.Progress) and event.stage == "write"]
        assert (written[0].done, written[-1].done, written[-1].total) == (0, 150, 150)
        assert written[-1].bytes_done == written[-1].bytes_total > 0

    def test_the_report_says_what_went_where(self, miniature: Miniature, tmp_path: Path) -> None:
        report = imagenet_prep.build(miniature.root, tmp_path / "data", BOTH)
        assert {name: (split.images, split.shards) for name, split in report.splits.items()} == {
            "train": (90, 7),
            "validation": (30, 1),
            "test": (30, 1),
        }
        assert report.accounts.converted == {"JPEG_CMYK": 1, "PNG": 1}
        assert report.bytes_read == sum(entry.size for entry in miniature.entries)


def read_shard(name: str, shard: Path) -> Iterator[Sample]:
    return samples(shard.parents[2 if name == "tfds" else 0].parent, name, shard)


def names_in(shard: Path) -> list[str]:
    return [sample.name for sample in read_shard("tfds", shard)]


def with_jobs(jobs: int) -> BuildOptions:
    return BuildOptions.of(format=("tfrecord", "tfds"), test_per_class=5, shards={"train": 7}, jobs=jobs)


def start(source: Path, out: Path, *more: str) -> "subprocess.Popen[bytes]":
    """The build of ``BOTH`` as a user starts it."""
    arguments = ["--format", "tfrecord", "--format", "tfds", "--test-per-class", "5", "--shards", "train=7", *more]
    command = [*COMMAND, "build", str(source), str(out), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)

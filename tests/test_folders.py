"""Class folders: what lies where, byte for byte; what a resumed build does again, and what an audit finds."""

import csv
import gc
import io
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tracemalloc
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

import imagenet_prep
from imagenet_prep import (
    AuditError,
    BuildOptions,
    LocalStore,
    Note,
    Progress,
    SourceError,
    SplitAudit,
    UsageError,
    official,
)
from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.imagenet.names import validation_image
from imagenet_prep.outputs.class_folders import Names, class_folders
from imagenet_prep.testing import LAYOUTS, Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.pictures import picture
from imagenet_prep.verbs.audit import expected
from imagenet_prep.verbs.audit.shard import ReadBackTask
from imagenet_prep.verbs.audit.unexpected import unexpected
from support.build import changed, everything, samples, sha256, shards_of
from support.sentences import Sentence, places

ONE_PROCESS = imagenet_prep.AuditOptions(jobs=1)

FOLDERS = BuildOptions.of(format=("folders",), test_per_class=1, jobs=1)
SMALL = MiniatureOptions(
    wnids=("n01440764", "n02917067"), images_per_class=3, validation_per_class=2, quirks=("cmyk", "png"), boxes=False
)
LARGER = MiniatureOptions(classes=12, images_per_class=20, validation_per_class=5, boxes=False)


pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    return write_miniature(tmp_path_factory.mktemp("archives"), SMALL)


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    return write_miniature(tmp_path_factory.mktemp("larger"), replace(LARGER, layout="extracted"))


@pytest.fixture(scope="module")
def built(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "data"
    imagenet_prep.build(miniature.root, out, FOLDERS)
    return out


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "data")


class TestTheTree:
    def test_by_default_it_has_readable_names(self, built: Path) -> None:
        assert files(built / "folders") == [
            "classes.csv",
            "test/bullet_Train/n02917067_20.JPEG",
            "test/tench/n01440764_10.JPEG",
            "train/bullet_Train/n02917067_36.JPEG",
            "train/bullet_Train/n02917067_71.JPEG",
            "train/tench/n01440764_18.JPEG",
            "train/tench/n01440764_4.JPEG",
            "validation/bullet_Train/ILSVRC2012_val_00000562.JPEG",
            "validation/bullet_Train/ILSVRC2012_val_00001805.JPEG",
            "validation/tench/ILSVRC2012_val_00000293.JPEG",
            "validation/tench/ILSVRC2012_val_00002138.JPEG",
        ]

    @pytest.mark.parametrize(
        ("names", "validation_folder", "expected"),
        [
            ("name", "val", {"train/bullet_Train", "train/tench", "val/bullet_Train", "val/tench"}),
            ("wnid", "validation", {f"{split}/{wnid}" for split in ("train", "validation") for wnid in SMALL.wnids}),
            ("wnid", "val", {f"{split}/{wnid}" for split in ("train", "val") for wnid in SMALL.wnids}),
            (
                "indexed",
                "val",
                {f"{split}/{n}" for split in ("train", "val") for n in ("000_tench", "466_bullet_Train")},
            ),
        ],
    )
    def test_its_folders_are_called_as_the_user_says(
        self, miniature: Miniature, tmp_path: Path, names: str, validation_folder: str, expected: set[str]
    ) -> None:
        options = changed(FOLDERS, names=names, validation_folder=validation_folder, test_per_class=0)
        imagenet_prep.build(miniature.root, tmp_path / "data", options)
        made = tmp_path / "data/folders"
        documents = {"classes.csv"} | ({"meta.bin"} if (names, validation_folder) == ("wnid", "val") else set())
        assert {str(Path(file).parent) for file in files(made) if "/" in file} == expected
        assert {file for file in files(made) if "/" not in file} == documents
        assert sum("/" in file for file in files(made)) == 10

    def test_every_file_has_the_bytes_of_the_source_odd_images_too(self, miniature: Miniature, built: Path) -> None:
        digests = {path.name: sha256(path.read_bytes()) for path in (built / "folders").rglob("*.JPEG")}
        assert digests == {entry.name: entry.sha256 for entry in miniature.entries}
        assert sorted(entry.quirk for entry in miniature.entries if entry.quirk) == ["cmyk", "png"]

    def test_odd_images_stay_as_they_are_beside_shards_in_which_they_are_converted(
        self, miniature: Miniature, tmp_path: Path
    ) -> None:
        both = changed(FOLDERS, format=("folders", "tfrecord"))
        report = imagenet_prep.build(miniature.root, tmp_path / "data", both)
        assert report.accounts.converted == {"JPEG_CMYK": 1, "PNG": 1}
        records = {
            sample.name: sample.image
            for shard in shards_of(tmp_path / "data", "tfrecord")
            for sample in samples(tmp_path / "data", "tfrecord", shard)
        }
        for entry in miniature.entries:
            [path] = (tmp_path / "data/folders").rglob(entry.name)
            assert sha256(path.read_bytes()) == entry.sha256
            assert (sha256(records[entry.name]) == entry.sha256) is (not entry.quirk)
        assert imagenet_prep.audit(tmp_path / "data", ONE_PROCESS).records == 20

    def test_the_class_table_has_all_orders(self, built: Path) -> None:
        assert (built / "folders/classes.csv").read_text() == (
            "class_index,folder_index,wnid,folder,name,natural_index\n"
            "0,1,n01440764,tench,tench,1\n"
            "466,0,n02917067,bullet_Train,bullet_train,0\n"
        )

    def test_the_natural_order_counts_digits_as_numbers(self, miniature: Miniature, tmp_path: Path) -> None:
        names = {"n01440764": "fish_10", "n02917067": "fish_9"}
        lines = [f"{wnid} {of.devkit} {name}\n" for wnid, name in names.items() if (of := official().find(wnid))]
        taxonomy = official().with_names("".join(lines))
        options = BuildOptions.of(format="folders", test_per_class=1, jobs=1, taxonomy=taxonomy)
        imagenet_prep.build(miniature.root, tmp_path / "more", options)
        assert (tmp_path / "more/folders/classes.csv").read_text() == (
            "class_index,folder_index,wnid,folder,name,natural_index\n"
            "0,0,n01440764,fish_10,fish_10,1\n"
            "466,1,n02917067,fish_9,fish_9,0\n"
        )

    def test_the_lists_name_the_images_of_each_split(self, built: Path) -> None:
        assert {path.name: path.read_text().split() for path in (built / "splits").iterdir()} == {
            "train.txt": ["n01440764_18.JPEG", "n01440764_4.JPEG", "n02917067_36.JPEG", "n02917067_71.JPEG"],
            "test.txt": ["n01440764_10.JPEG", "n02917067_20.JPEG"],
            "validation.txt": [f"ILSVRC2012_val_{number:08d}.JPEG" for number in (293, 562, 1805, 2138)],
        }

    def test_the_manifest_says_where_each_image_is(self, miniature: Miniature, built: Path) -> None:
        rows = pq.read_table(built / "manifest.parquet").to_pylist()
        assert sorted(row["folders.path"] for row in rows) == [
            f"folders/{file}" for file in files(built / "folders") if "/" in file
        ]
        quirks = {entry.name: entry.quirk for entry in miniature.entries}
        for row in rows:
            assert row["folders.path"].endswith(f"/{row['name']}")
            assert row["folders.path"].split("/")[1] == row["split"]
            assert (row["width"], row["height"]) != (0, 0)
            assert row["converted"] is False
            assert (row["kind"] == "JPEG") is (not quirks[row["name"]])
            assert [name for name in row if name.startswith("folders.")] == ["folders.path"]

    def test_train_and_test_share_nothing_and_are_together_what_the_source_had(self, tmp_path: Path) -> None:
        source = write_miniature(tmp_path / "source", LARGER)
        imagenet_prep.build(source.root, tmp_path / "data", changed(FOLDERS, test_per_class=7))
        train, test = (names_in(tmp_path / "data/folders", split) for split in ("train", "test"))
        assert not train & test
        assert train | test == {entry.name for entry in source.train}
        counts = Counter(name.partition("_")[0] for name in test)
        assert counts == dict.fromkeys(source.options.class_wnids, 7)


class TestTorchvisionsMeta:
    def test_it_is_what_torchvision_would_extract_from_the_devkit(self, miniature: Miniature, tmp_path: Path) -> None:
        options = changed(FOLDERS, names="wnid", validation_folder="val")
        imagenet_prep.build(miniature.root, tmp_path / "data", options)
        data = (tmp_path / "data/folders/meta.bin").read_bytes()
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.namelist() == ["archive/data.pkl", "archive/version"]
            assert archive.read("archive/version") == b"3\n"
            lemmas, wnids = pickle.loads(archive.read("archive/data.pkl"))
        assert (len(lemmas), len(wnids)) == (1000, 50_000)
        assert lemmas["n01440764"] == ("tench", "Tinca tinca")
        assert (wnids[0], wnids[292]) == ("n01751748", "n01440764")  # images 1 and 293
        assert set(Counter(wnids).values()) == {50}
        assert sha256(data) == GOLDEN_META  # equal bytes, on any machine and at any time

    @pytest.mark.parametrize(("named", "written"), [("n01440764", False), ("all", True)])
    def test_it_is_there_exactly_where_every_class_folder_is_its_wnid(
        self, miniature: Miniature, tmp_path: Path, named: str, written: bool
    ) -> None:
        lines = [f"{of.wnid} {of.devkit} {of.wnid}\n" for of in official().classes if named in (of.wnid, "all")]
        options = changed(FOLDERS, taxonomy=official().with_names("".join(lines)), validation_folder="val")
        imagenet_prep.build(miniature.root, tmp_path / "data", options)
        assert (tmp_path / "data/folders/train/n01440764").is_dir()
        assert (tmp_path / "data/folders/meta.bin").exists() is written


class TestOrder:
    def test_class_folders_alone_are_read_in_the_order_of_the_source(self, miniature: Miniature) -> None:
        [output] = imagenet_prep.plan(imagenet_prep.index(miniature.root), FOLDERS.recipe).outputs
        for shard in output.shards:
            assert shard.rows.tolist() == sorted(shard.rows.tolist())

    def test_the_manifest_is_in_the_order_of_shards_all_the_same(
        self, miniature: Miniature, built: Path, tmp_path: Path
    ) -> None:
        imagenet_prep.build(miniature.root, tmp_path / "data", changed(FOLDERS, format="tfrecord"))
        names = [pq.read_table(out / "manifest.parquet")["name"] for out in (built, tmp_path / "data")]
        assert names[0] == names[1]

    def test_beside_class_folders_shards_are_what_they_are_without(self, miniature: Miniature, tmp_path: Path) -> None:
        shards = {"train": 2}
        for name, formats in (("alone", ("tfrecord",)), ("both", ("tfrecord", "folders"))):
            imagenet_prep.build(miniature.root, tmp_path / name, changed(FOLDERS, format=formats, shards=shards))
        alone = everything(tmp_path / "alone/tfrecord")
        assert "train-00001-of-00002" in alone
        assert everything(tmp_path / "both/tfrecord") == alone

    def test_the_user_is_told_where_folder_order_misleads(self, miniature: Miniature, tmp_path: Path) -> None:
        events: list[object] = []
        imagenet_prep.build(miniature.root, tmp_path / "data", FOLDERS, watch=events.append)
        notes = [event.text for event in events if isinstance(event, Note)]
        assert any(
            "folders/classes.csv has all three. --names wnid or indexed (000_tench) makes" in note for note in notes
        )

    @pytest.mark.parametrize("names", ["wnid", "indexed"])
    def test_with_wnids_or_indexes_folder_order_is_that_of_the_class_index(self, names: str) -> None:
        folders = class_folders("folders", CLASS_NAMES, names, "val")
        assert folders.sorted_indexes(tuple(range(1000))) == tuple(range(1000))


class TestOneTree:
    @pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "archives"])
    def test_every_layout_of_the_source_gives_it(self, built: Path, tmp_path: Path, layout: str) -> None:
        source = write_miniature(tmp_path / "source", replace(SMALL, layout=layout))
        imagenet_prep.build(source.root, tmp_path / "data", FOLDERS)
        assert everything(tmp_path / "data/folders") == everything(built / "folders")
        assert everything(tmp_path / "data/splits") == everything(built / "splits")

    def test_two_workers_give_it(self, larger: Miniature, tmp_path: Path) -> None:
        for jobs in (1, 2):
            options = changed(FOLDERS, jobs=jobs)
            imagenet_prep.build(larger.root, tmp_path / str(jobs), options)
        one, two = everything(tmp_path / "1"), everything(tmp_path / "2")
        assert len(one) > 300
        assert one == two

    @pytest.mark.parametrize("names", get_args(Names))
    def test_no_two_folders_are_one_where_capitals_and_accents_do_not_count(self, names: str) -> None:
        folders = class_folders("folders", CLASS_NAMES, names, "validation").classes
        assert len({unicodedata.normalize("NFC", folder).casefold() for folder in folders}) == 1000
        assert all(folder.isascii() and not folder.endswith((".", " ")) for folder in folders)


class TestResume:
    def test_the_same_command_again_writes_no_image(self, miniature: Miniature, copy: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in (copy / "folders").rglob("*.JPEG")}
        report = imagenet_prep.build(miniature.root, copy, FOLDERS)
        assert (report.reused, report.bytes_read, report.bytes_written) == (3, 0, 0)
        assert {path: path.stat().st_mtime_ns for path in before} == before

    @pytest.mark.parametrize(
        ("lost", "again"),
        [
            ("folders/test/tench/n01440764_10.JPEG", "test"),
            ("folders/train/tench/n01440764_4.JPEG", "train"),
            (".imagenet-prep/receipts/folders/validation-00000-of-00001", "validation"),
            ("folders/classes.csv", ""),
            ("build.json", ""),
        ],
    )
    def test_what_was_lost_is_made_again_and_nothing_else(
        self, miniature: Miniature, built: Path, copy: Path, lost: str, again: str
    ) -> None:
        before = {path: path.stat().st_ino for path in (copy / "folders").rglob("*.JPEG")}
        (copy / lost).unlink()
        report = imagenet_prep.build(miniature.root, copy, FOLDERS)
        assert report.reused == (2 if again else 3)
        assert everything(copy) == everything(built)
        kept = {path: inode for path, inode in before.items() if path.relative_to(copy).parts[1] != again}
        assert {path: path.stat().st_ino for path in kept} == kept

    def test_a_stray_file_does_not_hide_that_an_image_is_missing(self, miniature: Miniature, copy: Path) -> None:
        (copy / "folders/train/tench/n01440764_4.JPEG").unlink()
        for stray in (".DS_Store", "notes.txt"):
            (copy / "folders/train/tench" / stray).write_text("")
        imagenet_prep.build(miniature.root, copy, FOLDERS)
        assert (copy / "folders/train/tench/n01440764_4.JPEG").exists()

    def test_a_killed_build_leaves_only_whole_images_and_goes_on_to_the_same_tree(
        self, larger: Miniature, tmp_path: Path
    ) -> None:
        out = tmp_path / "data"
        imagenet_prep.build(larger.root, tmp_path / "whole", FOLDERS)
        whole = everything(tmp_path / "whole")
        expected = {entry.name: entry.sha256 for entry in larger.entries}
        chance = random.Random(0)
        for call in ("write", "replace", "replace", "mkdir"):
            shutil.rmtree(out, ignore_errors=True)
            killed_at(call, chance.randrange(12, 36), larger.root, out)
            assert images_in(out)
            for path in (path for path in (out / "folders").rglob("*") if path.is_file()):
                if path.parent == out / "folders":
                    assert path.name.endswith(".part")
                else:
                    assert sha256(path.read_bytes()) == expected[path.name], "nothing but images lies in a split folder"
            imagenet_prep.build(larger.root, out, FOLDERS)
            assert everything(out) == whole

    def test_with_another_way_of_naming_it_is_another_build(
        self, miniature: Miniature, copy: Path, sentence: Sentence
    ) -> None:
        with pytest.raises(imagenet_prep.OtherBuildError) as caught:
            imagenet_prep.build(miniature.root, copy, changed(FOLDERS, names="wnid"))
        [problem] = caught.value.problems
        assert (problem.archive, caught.value.exit_code) == ("folders", 5)
        sentence(problem.reason)


class TestRefusals:
    def test_an_unusable_image_is_named_and_there_is_no_finished_build(self, tmp_path: Path) -> None:
        source = write_miniature(tmp_path / "source", replace(SMALL, quirks=("text",), layout="extracted"))
        [bad] = [entry for entry in source.entries if entry.quirk]
        with pytest.raises(SourceError) as caught:
            imagenet_prep.build(source.root, tmp_path / "data", FOLDERS)
        [problem] = caught.value.problems
        assert (problem.archive, problem.member) == (f"{source.root}/train", f"{bad.wnid}/{bad.name}")
        assert not list((tmp_path / "data").rglob(bad.name))
        assert not (tmp_path / "data/build.json").exists()

    @pytest.mark.parametrize(
        "choice", [{"names": "latin"}, {"validation_folder": "dev"}, {"format": "tfrecord", "names": "wnid"}], ids=str
    )
    def test_a_choice_that_makes_no_sense(self, choice: dict[str, str], sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            BuildOptions.of(**{"format": "folders"} | choice)
        sentence(caught.value)


def change_a_byte(out: Path) -> None:
    path = out / "folders/train/tench/n01440764_4.JPEG"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


def put_a_folder_in_its_place(out: Path) -> None:
    (out / TENCH).unlink()
    (out / TENCH).mkdir()


def put_a_loop_in_its_place(out: Path) -> None:
    shutil.rmtree(out / "folders/test/tench")
    (out / "folders/test/tench").symlink_to("tench")


def swap_two(out: Path) -> None:
    one, two = out / "folders/train/tench/n01440764_4.JPEG", out / "folders/train/tench/n01440764_18.JPEG"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def put_into_another_class(out: Path) -> None:
    path = out / "folders/train/tench/n01440764_4.JPEG"
    path.rename(out / "folders/train/bullet_Train" / path.name)


def swap_classes(out: Path) -> None:
    table = out / "folders/classes.csv"
    table.write_text(
        table.read_text().replace("tench", "?").replace("bullet_Train", "tench").replace("?", "bullet_Train")
    )


WRITE_AGAIN = "imagenet-prep repair"
TAKE_OUT = "Remove"
TENCH = "folders/train/tench/n01440764_4.JPEG"
DAMAGE: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a changed byte": (change_a_byte, [f"{TENCH}: is not the image that was in the source"]),
    "a missing image": (lambda out: (out / TENCH).unlink(), [f"{TENCH}: is missing"]),
    "a folder in place of an image": (
        put_a_folder_in_its_place,
        [f"{TENCH}: is a folder"],
    ),
    "a file cut short": (
        lambda out: os.truncate(out / TENCH, 10),
        [f"{TENCH}: has 10 bytes instead of {{size}}"],
    ),
    "an extra file": (
        lambda out: (out / "folders/test/tench/n01440764_1.JPEG").write_bytes(b""),
        ["folders/test/tench/n01440764_1.JPEG: does not belong to this data set"],
    ),
    "an extra class folder": (
        lambda out: (out / "folders/train/apple").mkdir(),
        ["folders/train/apple: does not belong to this data set"],
    ),
    "a missing class folder": (
        lambda out: shutil.rmtree(out / "folders/test/tench"),
        ["folders/test/tench/n01440764_10.JPEG: is missing"],
    ),
    "a class folder that cannot be listed": (
        put_a_loop_in_its_place,
        [
            "folders/test/tench/n01440764_10.JPEG: cannot be read: Too many levels of symbolic links",
            "folders/test/tench: cannot be read: Too many levels of symbolic links",
        ],
    ),
    "a hidden file that ends as an image": (
        lambda out: (out / "folders/train/tench/._n01440764_4.JPEG").write_bytes(b""),
        ["folders/train/tench/._n01440764_4.JPEG: does not belong to this data set"],
    ),
    "a hidden folder with something in it": (
        lambda out: shutil.copytree(out / "folders/test/tench", out / "folders/train/tench/.thumbs"),
        ["folders/train/tench/.thumbs: does not belong to this data set"],
    ),
    "a hidden folder beside class folders": (
        lambda out: (out / "folders/train/.ipynb_checkpoints").mkdir(),
        ["folders/train/.ipynb_checkpoints: does not belong to this data set"],
    ),
    "two images swapped": (
        swap_two,
        [f"folders/train/tench/{name}: has " for name in ("n01440764_18.JPEG", "n01440764_4.JPEG")],
    ),
    "an image in another class": (
        put_into_another_class,
        [
            "folders/train/bullet_Train/n01440764_4.JPEG: does not belong to this data set",
            f"{TENCH}: is missing",
        ],
    ),
}


class TestAudit:
    def test_a_sound_build_is_sound(self, built: Path) -> None:
        report = imagenet_prep.audit(built, ONE_PROCESS)
        assert report.splits == {
            "train": SplitAudit(images=4, classes=2, smallest=2, largest=2),
            "validation": SplitAudit(images=4, classes=2, smallest=2, largest=2),
            "test": SplitAudit(images=2, classes=2, smallest=1, largest=1),
        }
        assert report.records == 10

    @pytest.mark.parametrize("damage", DAMAGE)
    def test_it_finds(self, copy: Path, damage: str) -> None:
        spoil, expected = DAMAGE[damage]
        size = (copy / TENCH).stat().st_size
        spoil(copy)
        with pytest.raises(AuditError) as caught:
            imagenet_prep.audit(copy, ONE_PROCESS)
        found = sorted(map(str, caught.value.problems))
        assert len(found) == len(expected)
        for problem, start_of_it in zip(found, sorted(expected), strict=True):
            assert problem.startswith(start_of_it.format(size=f"{size:,}"))

    def test_hidden_names_that_no_reader_takes_for_an_image_or_a_class_pass(self, copy: Path) -> None:
        for folder in ("folders/train", "folders/train/tench"):
            (copy / folder / ".DS_Store").write_bytes(b"Bud1")
        (copy / "folders/train/tench/.empty").mkdir()
        (copy / "folders/train/._tench").write_bytes(b"")
        assert imagenet_prep.audit(copy, ONE_PROCESS).records == 10

    @pytest.mark.parametrize(
        ("damage", "remedies"),
        [
            ("an extra file", (TAKE_OUT,)),
            ("a missing image", (WRITE_AGAIN,)),
            ("an image in another class", (WRITE_AGAIN, TAKE_OUT)),
        ],
    )
    def test_the_remedy_fits_what_is_wrong(self, copy: Path, damage: str, remedies: tuple[str, ...]) -> None:
        DAMAGE[damage][0](copy)
        with pytest.raises(AuditError) as caught:
            imagenet_prep.audit(copy, ONE_PROCESS)
        assert tuple(text for text in (WRITE_AGAIN, TAKE_OUT) if text in caught.value.remedy) == remedies

    def test_an_image_that_is_there_twice_is_named_once(self, copy: Path) -> None:
        table = pq.read_table(copy / "manifest.parquet")
        pq.write_table(pa.concat_tables([table, table.slice(0, 1), table.slice(0, 1)]), copy / "manifest.parquet")
        document = unseal((copy / "build.json").read_bytes())
        data = (copy / "manifest.parquet").read_bytes()
        document["documents"][0].update(size=len(data), xxh3_128=xxhash.xxh3_128_hexdigest(data))
        (copy / "build.json").write_bytes(seal(document))
        with pytest.raises(AuditError) as caught:
            imagenet_prep.audit(copy, ONE_PROCESS)
        [found] = [problem for problem in caught.value.problems if problem.member]
        assert (found.archive, found.member) == ("manifest.parquet", table["name"][0].as_py())

    def test_progress_ends_with_every_record_and_every_byte(self, miniature: Miniature, tmp_path: Path) -> None:
        out = tmp_path / "data"
        events: list[Progress | Note] = []
        imagenet_prep.build(miniature.root, out, changed(FOLDERS, format=("folders", "tfrecord")))
        report = imagenet_prep.audit(out, ONE_PROCESS, watch=events.append)
        last = [event for event in events if isinstance(event, Progress)][-1]
        assert (last.done, last.total) == (20, 20)
        assert last.bytes_done == last.bytes_total == report.size
        read = [path for path in out.rglob("*") if path.name.endswith((".JPEG", ".idx")) or "-of-" in path.name]
        assert report.size == sum(path.stat().st_size for path in read if ".imagenet-prep" not in path.parts)

    def test_tasks_are_made_as_they_are_worked_on(self, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """All at once they would hold every name of the build as a Python object."""
        made: list[str] = []
        at_progress: list[int] = []

        def noted(**of: Any) -> ReadBackTask:
            made.append(str(of["stored"].shard))
            return ReadBackTask(**of)

        monkeypatch.setattr(expected, "ReadBackTask", noted)
        imagenet_prep.audit(built, ONE_PROCESS, watch=lambda _: at_progress.append(len(made)))
        assert at_progress == [1, 2, 3]

    def test_strays_are_found_with_few_names_in_memory(self, tmp_path: Path) -> None:
        """Of 100,000 images the names alone would take 10 MB as Python objects."""
        (tmp_path / "folders/train/n00000000").mkdir(parents=True)
        (tmp_path / "folders/train/n00000000/notes.txt").touch()
        classes = random.Random(0).choices(range(100), k=100_000)
        paths = pa.array([f"folders/train/n{of:08d}/n{of:08d}_{n}.JPEG" for n, of in enumerate(classes)])
        none = pa.nulls(len(paths), pa.string())
        manifest = pa.table({"folders.path": paths, "name": none, "set_aside": none})
        document = {"outputs": {"folders": {"options": {}, "shards": []}}, "documents": []}
        of = expected.Expected(LocalStore(str(tmp_path)), document, manifest)
        list(unexpected(of))  # what is loaded at the first call is not meant
        gc.collect()
        tracemalloc.start()
        try:
            [stray] = unexpected(of)
            assert tracemalloc.get_traced_memory()[1] < 4_000_000
        finally:
            tracemalloc.stop()
        assert stray.archive == "folders/train/n00000000/notes.txt"

    def test_a_changed_class_table_is_found_and_so_is_every_class_it_changes(self, copy: Path) -> None:
        swap_classes(copy)
        with pytest.raises(AuditError) as caught:
            imagenet_prep.audit(copy, ONE_PROCESS)
        found = [str(problem) for problem in caught.value.problems]
        assert sum("has class index" in problem for problem in found) == 10
        assert found[0].startswith("folders/classes.csv: has 135 bytes instead of 128")

    @pytest.mark.parametrize("transfer", ["hardlink", "symlink", "move"])
    def test_of_files_that_were_never_read_it_compares_size_and_name(self, tmp_path: Path, transfer: str) -> None:
        source = write_miniature(tmp_path / "source", replace(SMALL, layout="extracted"))
        out = tmp_path / "data"
        imagenet_prep.build(source.root, out, changed(FOLDERS, transfer=transfer))
        assert imagenet_prep.audit(out, ONE_PROCESS).records == 10
        assert {row["digest"] for row in pq.read_table(out / "manifest.parquet").to_pylist()} == {None}
        with (out / TENCH).open("ab") as file:
            file.write(b"x")
        (out / "folders/train/tench/n01440764_18.JPEG").unlink()
        (out / "folders/train/tench/n01440764_7.JPEG").write_bytes(b"")
        with pytest.raises(AuditError) as caught:
            imagenet_prep.audit(out, ONE_PROCESS)
        size = next(entry.size for entry in source.entries if entry.name == "n01440764_4.JPEG")
        assert sorted(map(str, caught.value.problems)) == [
            "folders/train/tench/n01440764_18.JPEG: is missing",
            f"{TENCH}: has {size + 1:,} bytes instead of {size:,}",
            "folders/train/tench/n01440764_7.JPEG: does not belong to this data set",
        ]
        # A moved file is the only one there is: nobody is told to delete it.
        assert ("Do not delete" in caught.value.remedy) is (transfer == "move")
        assert (WRITE_AGAIN in caught.value.remedy) is (transfer != "move")


@pytest.mark.system
def test_all_50_000_validation_images_go_where_the_devkit_says(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    (tmp_path / "image").write_bytes(picture("the same for all", "small"))
    for number in range(1, 50_001):
        os.link(tmp_path / "image", tmp_path / "val" / validation_image(number))
    options = changed(FOLDERS, names="wnid", splits=("validation",), transfer="symlink")
    imagenet_prep.build(tmp_path / "val", tmp_path / "data", options)
    package = Path(imagenet_prep.__file__).parent / "imagenet/data"
    with (package / "classes.tsv").open(encoding="utf-8", newline="") as file:
        classes = [(row["wnid"], int(row["devkit_integer"])) for row in csv.DictReader(file, delimiter="\t")]
    devkit = dict(classes)
    made = tmp_path / "data/folders/validation"
    found = {name: devkit[Path(folder).name] for folder, _, names in os.walk(made) for name in names}
    by_number = [found[validation_image(number)] for number in range(1, 50_001)]
    # The ground truth of the devkit as it is published, one devkit integer a line.
    assert sha256("".join(f"{integer}\n" for integer in by_number).encode()) == GOLDEN_GROUND_TRUTH
    assert by_number[:5] == [490, 361, 171, 822, 297]
    assert Counter(Counter(by_number).values()) == {50: 1000}
    assert sorted(set(by_number)) == list(range(1, 1001))


CLASS_NAMES = tuple(of.name for of in official().classes)
GOLDEN_META = "0aa2714a0832123cf5b33233ca45e5b7189db15f8e9154f034780a802416cbd8"
GOLDEN_GROUND_TRUTH = "88d44095bd81cb785618db8e72eeb025fa1f646adf359d9b0efbf625244e0df3"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def names_in(folder: Path, split: str) -> set[str]:
    return {path.name for path in (folder / split).glob("*/*")}


def images_in(out: Path) -> list[Path]:
    return list((out / "folders").rglob("*.JPEG"))


KILLS_ITSELF = """
import os, signal, sys
call, left = sys.argv.pop(1), int(sys.argv.pop(1))
real = getattr(os, call)
def stepping(*arguments, **others):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **others)
setattr(os, call, stepping)
from imagenet_prep.__main__ import main
main()
"""


def killed_at(call: str, number: int, source: Path, out: Path) -> None:
    """The build of ``FOLDERS``, killed before its so-many-th ``os.<call>``."""
    options = ["--format", "folders", "--test-per-class", "1", "--jobs", "1"]
    command = [sys.executable, "-c", KILLS_ITSELF, call, str(number), "build", str(source), str(out), *options]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    "stray", ["folders/val/titi/n02493509_1.JPEG", "folders/n02493509_1.JPEG", "folders/more/x.png"]
)
def test_an_audit_finds_what_lies_at_the_top_of_the_tree(tmp_path: Path, stray: str, sentence: Sentence) -> None:
    """Hugging Face would read it as part of a split, whose name may be any word of a path."""
    archives = write_miniature(tmp_path / "archives", SMALL).root
    imagenet_prep.build(archives, tmp_path / "data", FOLDERS)
    (tmp_path / "data" / stray).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "data" / stray).write_bytes(b"")

    with pytest.raises(AuditError) as caught:
        imagenet_prep.audit(tmp_path / "data", ONE_PROCESS)

    top = "/".join(stray.split("/")[:2])
    assert places(caught.value.problems) == [top]
    sentence(caught.value)


def test_a_class_table_that_is_gone_hides_no_other_damage(tmp_path: Path) -> None:
    archives = write_miniature(tmp_path / "archives", SMALL).root
    imagenet_prep.build(archives, tmp_path / "data", FOLDERS)
    (tmp_path / "data/folders/classes.csv").unlink()
    cut = min((tmp_path / "data/folders/train").rglob("*.JPEG"))
    cut.write_bytes(b"\xff\xd8")

    with pytest.raises(AuditError) as caught:
        imagenet_prep.audit(tmp_path / "data", ONE_PROCESS)

    assert [problem.archive for problem in caught.value.problems] == [
        "folders/classes.csv",
        str(cut.relative_to(tmp_path / "data")),
    ]

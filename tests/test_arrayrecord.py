"""The format ArrayRecord: the output contract, its bytes, what its reader finds, and what happens where its library is
not installed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagenet_prep import (
    ArrayRecord,
    AuditError,
    AuditOptions,
    BuildOptions,
    LocalStore,
    MemoryStore,
    OutputError,
    Sample,
    ShardName,
    Tfds,
    UsageError,
    audit,
    build,
    repair,
    undo,
)
from imagenet_prep.codecs.example import parse
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.outputs.base import Contents, ShardFacts, SplitFacts
from imagenet_prep.stores.errors import DisturbedError
from imagenet_prep.testing import MiniatureOptions, write_miniature
from imagenet_prep.testing.contracts import OutputContract
from imagenet_prep.testing.output_contract import CLASS_NAMES, planned, sample_of, stored, write_shard
from support.build import everything
from support.command import run
from support.sentences import Sentence

array_record = pytest.importorskip("array_record.python.array_record_module")  # there is none for macOS on Intel

pytestmark = pytest.mark.quick

PATH = "arrayrecord/imagenet2012/5.1.0/imagenet2012-train.array_record-00003-of-00016"
TENCH = Sample("n01440764_18.JPEG", b"\xff\xd8 a tench \xff\xd9", 0, 500, 375)
LARGE = sample_of("n02012849_7.JPEG", b"\xff\xd8" + bytes(range(256)) * 1024, 134)
SMALL = MiniatureOptions(classes=2, images_per_class=4, validation_per_class=1)
GOLDEN = "31c80f91c98d827376deec3f40d7c0abe8385efdfe1b662ba002243c9a67f421"
END = 64 << 10  # bytes of the last part of a file, which says where the list of records is


class TestArrayRecord(OutputContract):
    output = ArrayRecord()
    stores_sizes = False
    has_checksums = False  # of what fills the file; of the rest see below

    def test_the_bytes_are_those_of_the_last_release(self) -> None:
        # A change here is a change of every user's files: it needs a line in the changelog. Versions 0.5.1 to 0.8.6 of
        # the library wrote these.
        store = MemoryStore()
        written = self.write(store, [TENCH, LARGE])
        assert [(file.path, file.size) for file in written.files] == [(PATH, 393_216)]
        assert hashlib.sha256(store.files[PATH]).hexdigest() == GOLDEN

    def test_a_record_is_one_of_the_format_tfds(self, tmp_path: Path) -> None:
        store, beside = MemoryStore(), MemoryStore()
        self.write(store, [TENCH, LARGE])
        write_shard(Tfds(), beside, [TENCH, LARGE])
        records = raw_records(store, tmp_path)
        assert parse(records[0]) == {"file_name": (b"n01440764_18.JPEG",), "image": (TENCH.image,), "label": (0,)}
        [shard] = [data for path, data in beside.files.items() if "train" in path]
        assert [record in shard for record in records] == [True, True]

    def test_each_record_is_a_group_that_is_not_compressed(self, tmp_path: Path) -> None:
        store = MemoryStore()
        self.write(store, [TENCH])
        (tmp_path / "shard").write_bytes(store.files[PATH])
        options = array_record.ArrayRecordReader(str(tmp_path / "shard")).writer_options_string()
        assert options == "group_size:1,transpose:false,pad_to_block_boundary:false,uncompressed,max_parallelism:1"

    def test_the_manifest_learns_number_and_length_of_every_image(self) -> None:
        written = self.write(MemoryStore(), [TENCH, LARGE])
        columns = {name: list(column) for name, column in written.columns.items()}
        assert columns == {"row": [0, 1], "image_length": [13, 262_146]}

    def test_the_info_says_array_record(self) -> None:
        shards = tuple(
            ShardFacts(ShardName("train", i, 2), rows, (FileFact("", 131_072, ""),)) for i, rows in enumerate((3, 2))
        )
        documents = self.output.documents(Contents({"train": SplitFacts(5, (0,), shards)}, CLASS_NAMES))
        info = json.loads(documents["arrayrecord/imagenet2012/5.1.0/dataset_info.json"])
        [split] = info["splits"]
        assert (info["fileFormat"], split["shardLengths"], split["numBytes"]) == ("array_record", ["3", "2"], "262144")

    def test_documents_are_those_of_tfds_otherwise(self) -> None:
        ours, theirs = (
            {path.rpartition("/")[2]: data for path, data in output.documents(Contents({}, CLASS_NAMES)).items()}
            for output in (self.output, Tfds())
        )
        assert ours.pop("dataset_info.json") == theirs.pop("dataset_info.json").replace(b"tfrecord", b"array_record")
        assert ours == theirs

    def test_a_flipped_byte_of_a_record_or_of_the_list_is_found(self) -> None:
        store, sound, used = self.small()
        for position in used:
            store.publish(PATH, flipped(sound, position))
            with pytest.raises(AuditError):
                self.read(store, [TENCH, TENCH])

    def test_a_flipped_byte_of_what_fills_the_file_changes_no_sample(self) -> None:
        # The digest finds it: see the audit below.
        store, sound, used = self.small()
        for position in sorted({0, 63, *range(used[0], len(sound), 1009), len(sound) - 1} - set(used)):
            store.publish(PATH, flipped(sound, position))
            assert self.read(store, [TENCH, TENCH]) == self.read(self.small()[0], [TENCH, TENCH])

    def test_a_shard_that_was_cut_or_grew_is_found(self) -> None:
        store, sound, _ = self.small()
        changed = [sound[:length] for length in range(0, len(sound), 1009)]
        for data in (*changed, sound[:-1], sound + b"\0", sound + bytes(END), bytes(len(sound))):
            store.publish(PATH, data)
            with pytest.raises(AuditError):
                self.read(store, [TENCH, TENCH])

    def test_threads_share_a_reader_of_images(self) -> None:
        store, samples = MemoryStore(), [sample_of(f"{i}", bytes([i]) * 100_000) for i in range(50)]
        self.write(store, samples)
        reader = self.output.image_reader(store, PATH)
        wanted = [i * 7 % 50 for i in range(1000)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda i: reader.read(i, 100_000), wanted))
        assert found == [samples[i].image for i in wanted]

    def small(self) -> tuple[MemoryStore, bytes, list[int]]:
        """A shard of two samples, and the places of its bytes that the library verifies."""
        store = MemoryStore()
        self.write(store, [TENCH, TENCH])
        sound = store.files[PATH]
        assert len(sound) == 2 * END
        return store, sound, [*range(64, 469), *range(END, END + 108)]


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda shard: shard[:100_000],
        lambda shard: flipped(shard, 100),
        lambda shard: flipped(shard, 300),
    ],
    ids=["nothing", "cut", "the first record", "the second record"],
)
def test_damage_is_named_with_file_and_record(change: Callable[[bytes], bytes], sentence: Sentence) -> None:
    store = MemoryStore()
    write_shard(ArrayRecord(), store, [TENCH, TENCH])
    store.publish(PATH, change(store.files[PATH]))
    with pytest.raises(AuditError) as caught:
        list(ArrayRecord().read(store, stored([TENCH, TENCH])))
    sentence(caught.value)


def test_a_record_of_another_schema_is_named(tmp_path: Path, sentence: Sentence) -> None:
    store = MemoryStore()
    writer = array_record.ArrayRecordWriter(str(tmp_path / "other"), "group_size:1")
    writer.write(b"")
    writer.close()
    store.publish(PATH, (tmp_path / "other").read_bytes())
    with pytest.raises(AuditError) as caught:
        list(ArrayRecord().read(store, stored([TENCH])))
    sentence(caught.value, "read")
    with pytest.raises(AuditError) as caught:
        ArrayRecord().image_reader(store, PATH).read(0, 13)
    sentence(caught.value, "open")


# In a folder ------------------------------------------------------------------------------------------------------


def truncate(path: Path) -> None:
    os.truncate(path, 0)


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more" * 100_000)


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    other.replace(path)


def replace_by_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("other")


DISTURBANCES = (truncate, shorten, Path.unlink, replace, replace_by_a_link)


@pytest.mark.parametrize(
    ("moment", "disturb"),
    [
        *itertools.product(("in the middle", "at the end"), DISTURBANCES),
        ("at the end", lengthen),  # in the middle, the library overwrites what is too much
    ],
)
def test_a_file_that_another_program_disturbs_gets_no_name(
    tmp_path: Path, moment: str, disturb: Callable[[Path], None]
) -> None:
    def write() -> None:
        with LocalStore(str(tmp_path)).batch() as batch:
            writer = ArrayRecord().writer(batch, planned([]))
            for number in range(36):
                writer.add(sample_of(f"{number}", bytes([number]) * (1 << 20)))
                if number == 20 and moment == "in the middle":  # the library has 16 MB together before it writes
                    disturb(part(tmp_path))
            writer.finish()
            if moment == "at the end":
                disturb(part(tmp_path))
            batch.commit()

    with pytest.raises(DisturbedError):
        write()
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "other"] == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk")
def test_a_full_disk_is_an_error_with_a_remedy(tmp_path: Path, sentence: Sentence) -> None:
    def write() -> None:
        with LocalStore(str(tmp_path)).batch() as batch:
            writer = ArrayRecord().writer(batch, planned([]))
            of_the_library = max(int(each.name) for each in Path("/proc/self/fd").iterdir() if leads_to(each, tmp_path))
            with Path("/dev/full").open("wb") as full:
                os.dup2(full.fileno(), of_the_library)
            writer.add(LARGE)
            writer.finish()

    with pytest.raises(OutputError) as caught:
        write()
    sentence(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def part(folder: Path) -> Path:
    """The file that is being written."""
    [path] = folder.rglob("*.part")
    assert path.stat().st_size > 0
    return path


def leads_to(link: Path, folder: Path) -> bool:
    return Path(os.path.realpath(link)).is_relative_to(folder)


# Without the library ----------------------------------------------------------------------------------------------


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setitem(sys.modules, "array_record.python", None)


def test_a_build_says_what_to_install_and_writes_nothing(
    tmp_path: Path, not_installed: Callable[[], None], sentence: Sentence
) -> None:
    write_miniature(tmp_path / "archives", SMALL)
    not_installed()
    for more in ((), ("--format", "tfds"), ("--dry-run",)):
        result = run("build", tmp_path / "archives", tmp_path / "out", "--format", "arrayrecord", *more)
        assert result.returncode == 2
    sentence(result.stderr)
    assert not (tmp_path / "out").exists()


def test_what_is_there_already_can_be_taken_away_and_grow_but_not_be_read(
    tmp_path: Path, not_installed: Callable[[], None], sentence: Sentence
) -> None:
    source = write_miniature(tmp_path / "archives", SMALL).root
    build(source, tmp_path / "out", BuildOptions.of(format="arrayrecord", test_per_class=1, jobs=1))
    not_installed()
    build(source, tmp_path / "out", BuildOptions.of(format="tfds", test_per_class=1, jobs=1))
    with pytest.raises(UsageError) as caught:
        audit(tmp_path / "out", AuditOptions(jobs=1))
    sentence(caught.value)
    undo(tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Built ------------------------------------------------------------------------------------------------------------


def test_one_that_is_added_is_the_same_as_one_that_was_built_with_another(tmp_path: Path) -> None:
    source = write_miniature(tmp_path / "archives", SMALL).root
    for formats in (("tfds",), ("arrayrecord",)):
        build(source, tmp_path / "grown", BuildOptions.of(format=formats, test_per_class=1, jobs=1))
    build(source, tmp_path / "both", BuildOptions.of(format=("arrayrecord", "tfds"), test_per_class=1, jobs=1))
    assert everything(tmp_path / "grown") == everything(tmp_path / "both")


@pytest.mark.parametrize("position", [0, 64, 300, -100_000, -END, -1])
def test_any_flipped_byte_is_found_and_repaired(tmp_path: Path, position: int) -> None:
    source = write_miniature(tmp_path / "archives", SMALL).root
    build(source, tmp_path / "out", BuildOptions.of(format="arrayrecord", test_per_class=1, jobs=1))
    before = everything(tmp_path / "out")
    [shard] = (tmp_path / "out").rglob("imagenet2012-train.*")
    shard.write_bytes(flipped(shard.read_bytes(), position % shard.stat().st_size))
    with pytest.raises(AuditError) as caught:
        audit(tmp_path / "out", AuditOptions(jobs=1))
    assert {problem.archive for problem in caught.value.problems} == {str(shard.relative_to(tmp_path / "out"))}
    repair(tmp_path / "out", jobs=1)
    assert everything(tmp_path / "out") == before


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]


def raw_records(store: MemoryStore, folder: Path) -> list[bytes]:
    (folder / "shard").write_bytes(store.files[PATH])
    found: list[bytes] = array_record.ArrayRecordReader(str(folder / "shard")).read_all()
    return found

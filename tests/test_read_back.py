"""What comparing one shard with the manifest finds, and how often it reads a file for that."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xxhash

from imagenet_prep import LocalStore, MemoryStore
from imagenet_prep.codecs.example import bytes_entry, delimited
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.outputs.base import output_from
from imagenet_prep.stores.base import Store
from imagenet_prep.testing.output_contract import sample_of, stored, write_shard
from imagenet_prep.testing.pictures import picture
from imagenet_prep.verbs.audit import shard as step
from imagenet_prep.verbs.audit.shard import ReadBackTask, read_back
from support.records import framed

pytestmark = pytest.mark.quick

NAMES = ["n01440764_1.JPEG", "n01440764_2.JPEG", "n01443537_3.JPEG"]
CLASSES = [0, 0, 1]
IMAGES = [picture("first"), picture("second"), picture("third")]
CLASSIC = "tfrecord/train-00003-of-00016"
INDEX = "dali-index/train-00003-of-00016.idx"
DROP_IN = "tfds/imagenet2012/5.1.0/imagenet2012-train.tfrecord-00003-of-00016"

Make = Callable[..., ReadBackTask]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def made(store: MemoryStore) -> Make:
    """Write a shard of three images, and give the task that compares it with what was written."""

    def make(
        name: str,
        images: Sequence[bytes] = IMAGES,
        names: Sequence[str] = NAMES,
        where: Store = store,
    ) -> ReadBackTask:
        output = output_from(name, {})
        samples = [sample_of(*of) for of in zip(names, images, CLASSES, strict=True)]
        files = write_shard(output, where, samples).files
        digests = [xxhash.xxh3_128_hexdigest(image) for image in images]
        return ReadBackTask(where, output, stored(samples), files, [len(image) for image in images], digests)

    return make


def saying(task: ReadBackTask, **columns: Any) -> ReadBackTask:
    """The same shard, of which the manifest says otherwise."""
    return replace(task, stored=replace(task.stored, **columns))


def told(task: ReadBackTask) -> list[str]:
    return [str(problem) for problem in read_back(task).problems]


def flip(store: MemoryStore, path: str, position: int) -> None:
    data = bytearray(store.read(path))
    data[position] ^= 1
    store.publish(path, bytes(data))


@pytest.mark.parametrize("name", ["tfrecord", "tfds", "parquet", "folders"])
def test_a_sound_shard_has_no_problems(name: str, made: Make) -> None:
    task = made(name)
    found = read_back(replace(task, decode=True))
    size = sum(file.size for file in task.files) or sum(map(len, IMAGES))
    assert (found.images, found.size, found.problems) == (3, size, ())


def test_a_sound_file_is_read_once(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    read_separately: list[str] = []
    real = step.compare_file

    def noted(store: Store, file: FileFact) -> object:
        read_separately.append(file.path)
        return real(store, file)

    monkeypatch.setattr(step, "compare_file", noted)
    assert told(made("tfrecord")) == []
    assert read_separately == [INDEX]


class TestDamage:
    def test_the_file_is_told_and_then_the_record(self, made: Make, store: MemoryStore) -> None:
        task = made("tfrecord")
        flip(store, CLASSIC, 700)
        file, record = told(task)
        assert file.startswith(f"{CLASSIC}: has the digest ")
        assert record == f"{CLASSIC} at byte 0: the data of a record does not match its checksum"

    def test_records_before_the_damage_are_compared(self, made: Make, store: MemoryStore) -> None:
        task = made("tfrecord")
        flip(store, CLASSIC, task.files[0].size - 1)
        _, image, record = told(replace(task, digests=["other", *task.digests[1:]]))
        assert image == f"{CLASSIC}: n01440764_1.JPEG: is not the image that was in the source"
        assert record.endswith("the data of a record does not match its checksum")

    def test_damage_that_every_checksum_agrees_with_is_found(self, made: Make) -> None:
        # Somebody wrote another record, correctly.
        task = made("tfds", images=[IMAGES[0], IMAGES[0], IMAGES[2]])
        task = replace(task, digests=[xxhash.xxh3_128_hexdigest(image) for image in IMAGES])
        assert told(task) == [f"{DROP_IN}: n01440764_2.JPEG: is not the image that was in the source"]

    def test_a_file_that_grew_is_found(self, made: Make, store: MemoryStore) -> None:
        task = made("tfds")
        data = store.read(DROP_IN)
        length = 16 + struct.unpack_from("<Q", data)[0]
        store.publish(DROP_IN, data + data[:length])
        assert told(task) == [
            f"{DROP_IN}: has {len(data) + length:,} bytes instead of {len(data):,}",
            f"{DROP_IN}: n01440764_1.JPEG: record 3 is one too many",
        ]

    def test_a_file_cut_between_two_records_is_found(self, made: Make, store: MemoryStore) -> None:
        task = made("tfds")
        length = 16 + struct.unpack_from("<Q", store.read(DROP_IN))[0]
        store.publish(DROP_IN, store.read(DROP_IN)[:length])
        assert told(task) == [f"{DROP_IN}: has {length:,} bytes instead of {task.files[0].size:,}"]

    def test_an_index_that_differs_is_found(self, made: Make, store: MemoryStore) -> None:
        task = made("tfrecord")
        flip(store, INDEX, 0)
        [problem] = told(task)
        assert problem.startswith(f"{INDEX}: has the digest ")

    def test_a_record_that_checksums_well_and_says_nothing_is_found(self, made: Make, store: MemoryStore) -> None:
        task = made("tfds")
        store.publish(DROP_IN, framed(b""))
        assert told(task)[1] == f"{DROP_IN} at byte 0: a record does not follow the schema: label is missing"


class TestWhatCannotBeRead:
    def test_a_missing_file_is_told_once(self, made: Make, store: MemoryStore) -> None:
        task = made("tfrecord")
        store.remove(CLASSIC)
        assert told(task) == [f"{CLASSIC}: is missing"]

    def test_a_folder_in_its_place_is_told(self, made: Make, tmp_path: Path) -> None:
        task = made("tfrecord", where=LocalStore(str(tmp_path)))
        (tmp_path / CLASSIC).unlink()
        (tmp_path / CLASSIC).mkdir()
        assert told(task) == [f"{CLASSIC}: is a folder"]

    @pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that gives a read error is there on Linux")
    def test_a_read_error_is_told(self, made: Make, tmp_path: Path) -> None:
        task = made("tfrecord", where=LocalStore(str(tmp_path)))
        (tmp_path / CLASSIC).unlink()
        (tmp_path / CLASSIC).symlink_to("/proc/self/mem")
        assert told(task) == [f"{CLASSIC}: cannot be read: Input/output error"]

    def test_a_missing_image_does_not_hide_the_next(self, made: Make, store: MemoryStore) -> None:
        task = made("folders")
        store.remove("folders/train/tench/n01440764_1.JPEG")
        flip(store, "folders/train/tench/n01440764_2.JPEG", 100)
        assert told(task) == [
            "folders/train/tench/n01440764_1.JPEG: is missing",
            "folders/train/tench/n01440764_2.JPEG: is not the image that was in the source",
        ]


class TestWhatTheManifestSaysOtherwise:
    def test_another_class_is_found(self, made: Make) -> None:
        task = made("tfrecord")
        assert told(saying(task, class_indexes=[0, 0, 2])) == [
            f"{CLASSIC}: n01443537_3.JPEG: has class index 1 instead of 2"
        ]

    def test_a_record_without_a_label_is_found(self, made: Make, store: MemoryStore) -> None:
        task = made("tfds")
        named = bytes_entry("file_name", b"n01440764_1.JPEG") + bytes_entry("image", IMAGES[0])
        minus_one = b"\x0a\x17\x0a\x05label\x12\x0e\x1a\x0c\x0a\x0a" + b"\xff" * 9 + b"\x01"
        store.publish(DROP_IN, framed(delimited(b"\x0a", named + minus_one)))
        assert f"{DROP_IN}: n01440764_1.JPEG: has class index -1 instead of 0" in told(task)

    def test_another_name_is_found_and_reaches_no_terminal_as_it_is(self, made: Make) -> None:
        task = made("tfds", names=[NAMES[0], "\x1b[31mred", NAMES[2]])
        assert told(saying(task, names=NAMES)) == [f"{DROP_IN}: record 1 is '\\x1b[31mred' instead of n01440764_2.JPEG"]

    def test_too_few_records_are_found(self, made: Make) -> None:
        task = made("tfds")
        more = saying(task, names=[*NAMES, "n01443537_4.JPEG"], class_indexes=[*CLASSES, 1])
        assert told(more) == [f"{DROP_IN}: has 3 records instead of 4"]

    def test_an_image_without_a_digest_is_not_compared(self, made: Make) -> None:
        task = made("tfds")
        assert told(replace(task, digests=["", None, task.digests[2]])) == []


class TestDecoding:
    """The third image has its header and its end, and half of its picture data."""

    HALF = IMAGES[2][: len(IMAGES[2]) // 2] + b"\xff\xd9"

    @pytest.mark.parametrize(
        ("name", "place"),
        [
            ("tfrecord", f"{CLASSIC}: n01443537_3.JPEG"),
            ("tfds", f"{DROP_IN}: n01443537_3.JPEG"),
            ("folders", "folders/train/goldfish/n01443537_3.JPEG"),
        ],
    )
    def test_an_image_that_does_not_decode_is_found_when_asked_for(self, name: str, place: str, made: Make) -> None:
        task = made(name, images=[*IMAGES[:2], self.HALF])
        found = read_back(replace(task, decode=True))
        [problem] = found.undecodable
        assert str(problem).startswith(f"{place}: does not decode: ")
        assert found.problems == ()  # it is what was built

    @pytest.mark.parametrize("name", ["tfrecord", "tfds", "parquet", "folders"])
    def test_otherwise_images_are_not_decoded(self, name: str, made: Make) -> None:
        assert read_back(made(name, images=[*IMAGES[:2], self.HALF])).undecodable == ()

    def test_what_is_no_image_is_told_as_what_it_is(self, made: Make) -> None:
        task = made("tfds", images=[*IMAGES[:2], b"<html>log in</html>"])
        [problem] = read_back(replace(task, decode=True)).undecodable
        assert str(problem) == f"{DROP_IN}: n01443537_3.JPEG: is an HTML or XML page"

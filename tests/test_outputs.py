"""What every output promises, and what is particular to each, byte by byte."""

import io
import json
import struct
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest

from imagenet_prep import (
    OUTPUTS,
    AuditError,
    Box,
    BuildOptions,
    Folders,
    MemoryStore,
    Sample,
    ShardName,
    Tfds,
    TFRecord,
    UsageError,
)
from imagenet_prep.cli.build import build as build_command
from imagenet_prep.codecs.example import delimited, int64_entry, parse, varint
from imagenet_prep.codecs.tfrecord import masked, read_records
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.outputs.base import Contents, Output, ShardFacts, SplitFacts
from imagenet_prep.testing.contracts import OutputContract
from imagenet_prep.testing.output_contract import CLASS_NAMES, sample_of, stored, write_shard
from support.build import sha256
from support.records import framed
from support.records import masked as crc_of
from support.sentences import Sentence

pytestmark = pytest.mark.quick

CLASSIC = "tfrecord/train-00003-of-00016"
DROP_IN = "tfds/imagenet2012/5.1.0/imagenet2012-train.tfrecord-00003-of-00016"


class TestTFRecord(OutputContract):
    output = TFRecord()

    def test_the_bytes_are_those_of_the_last_release(self) -> None:
        # A change here is a change of every user's files: it needs a line in the changelog.
        store = MemoryStore()
        written = self.write(store, [TENCH])
        assert [(file.path, file.size) for file in written.files] == [
            (CLASSIC, 510),
            ("dali-index/train-00003-of-00016.idx", 6),
        ]
        assert sha256(store.files[CLASSIC]) == GOLDEN_TFRECORD

    def test_a_record_has_the_fifteen_keys_of_the_inception_scripts(self) -> None:
        store = MemoryStore()
        self.write(store, [TENCH])
        [(_, record)] = records_of(store.files[CLASSIC])
        features = parse(record)
        assert features == {
            "image/channels": (3,),
            "image/class/label": (1,),
            "image/class/synset": (b"n01440764",),
            "image/class/text": (b"tench, Tinca tinca",),
            "image/colorspace": (b"RGB",),
            "image/encoded": (TENCH.image,),
            "image/filename": (b"n01440764_18.JPEG",),
            "image/format": (b"JPEG",),
            "image/height": (375,),
            "image/object/bbox/label": (1,),
            "image/object/bbox/xmax": (0.5,),
            "image/object/bbox/xmin": (0.0,),
            "image/object/bbox/ymax": (1.0,),
            "image/object/bbox/ymin": (0.25,),
            "image/width": (500,),
        }
        assert list(features) == sorted(features)

    def test_the_index_has_offset_and_length_of_every_record(self) -> None:
        store = MemoryStore()
        written = self.write(store, [TENCH, TENCH])
        assert store.files[written.files[1].path] == b"0 510\n510 510\n"

    def test_the_manifest_learns_where_every_record_lies(self) -> None:
        written = self.write(MemoryStore(), [TENCH, TENCH])
        columns = {name: list(column) for name, column in written.columns.items()}
        assert columns == {
            "row": [0, 1],
            "offset": [0, 510],
            "length": [510, 510],
            "image_offset": [201, 711],
            "image_length": [13, 13],
        }

    def test_no_pattern_for_shards_catches_an_index_or_a_document(self) -> None:
        store = MemoryStore()
        self.write(store, [TENCH])
        names = [path.removeprefix("tfrecord/") for path in store.files if path.startswith("tfrecord/")]
        assert [name for name in names if name.startswith("train")] == ["train-00003-of-00016"]
        assert len(names) > 1


class TestTfds(OutputContract):
    output = Tfds()
    stores_sizes = False

    def test_the_bytes_are_those_of_the_last_release(self) -> None:
        # A change here is a change of every user's files: it needs a line in the changelog.
        store = MemoryStore()
        written = self.write(store, [TENCH])
        assert [(file.path, file.size) for file in written.files] == [(DROP_IN, 98)]
        assert sha256(store.files[DROP_IN]) == GOLDEN_TFDS

    def test_a_record_has_the_three_keys_of_tensorflow_datasets(self) -> None:
        store = MemoryStore()
        self.write(store, [TENCH])
        [(_, record)] = records_of(store.files[DROP_IN])
        assert parse(record) == {"file_name": (b"n01440764_18.JPEG",), "image": (TENCH.image,), "label": (0,)}

    def test_the_info_names_every_shard_length(self) -> None:
        documents = self.output.documents(contents_of({"train": [(3, 600), (2, 400)], "test": [(1, 98)]}))
        info = json.loads(documents["tfds/imagenet2012/5.1.0/dataset_info.json"])
        assert [(split["name"], split["shardLengths"], split["numBytes"]) for split in info["splits"]] == [
            ("train", ["3", "2"], "920"),
            ("test", ["1"], "82"),
        ]

    def test_the_class_names_are_the_wnids_in_order(self) -> None:
        labels = self.output.documents(contents_of({}))["tfds/imagenet2012/5.1.0/label.labels.txt"].splitlines()
        assert (len(labels), labels[0], labels[-1]) == (1000, b"n01440764", b"n15075141")


class TestFolders(OutputContract):
    output = Folders()
    stores_sizes = False
    has_checksums = False


class TestFoldersAsTorchvisionWantsThem(OutputContract):
    output = Folders(names="wnid", validation_folder="val")
    stores_sizes = False
    has_checksums = False


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_option_of_a_value_that_cannot_be_is_refused_with_its_name(name: str) -> None:
    wrong: dict[str, Any] = {"names": "latin"} if name == "folders" else {"shards": {"train": 0}}
    with pytest.raises(UsageError, match=rf"{name}\.{next(iter(wrong))}"):
        BuildOptions.of(format=name, **wrong)


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (16_383, "ff7f"),
        (16_384, "808001"),
        (2_097_151, "ffff7f"),
        (2_097_152, "80808001"),
        (2**32, "8080808010"),
    ],
)
def test_a_varint_is_what_protobuf_writes(number: int, encoded: str) -> None:
    assert varint(number).hex() == encoded


def test_an_empty_list_is_written_as_an_empty_list() -> None:
    assert int64_entry("k").hex() == "0a070a016b12021a00"


def test_the_mask_is_tensorflows() -> None:
    assert masked(0) == 0xA282EAD8
    assert masked(0xFFFFFFFF) == 0xA282EAD7


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        ("", ()),
        ("1a00", ()),
        ("0a050a01610a00", (b"a", b"")),
        ("120a0a080000003f0000803f", (0.5, 1.0)),
        ("120a0d0000003f0d0000803f", (0.5, 1.0)),
        ("1a040a020102", (1, 2)),
        ("1a0408010802", (1, 2)),
        ("1a0608010a020203", (1, 2, 3)),
        ("1a0208011a020802", (1, 2)),
        ("1a03088000", (0,)),
        ("1a0c0a0affffffffffffffffff01", (-1,)),
        ("1a0b0880808080808080808001", (-9_223_372_036_854_775_808,)),
        ("1a0b08ffffffffffffffffff7f", (-1,)),
        ("1a0a08ffffffffffffffff7f", (9_223_372_036_854_775_807,)),
        ("0a030a01611a020801", (1,)),
        ("20051a0208012a0161", (1,)),
        ("25000000002100000000000000001a020801", (1,)),
        ("1a0410050801", (1,)),
    ],
    ids=[
        "no kind",
        "an empty list",
        "bytes",
        "packed floats",
        "floats one by one",
        "packed numbers",
        "numbers one by one",
        "numbers of both kinds",
        "a list in two parts",
        "a number in more bytes than it needs",
        "minus one",
        "the lowest number",
        "a number of more than 64 bits",
        "the highest number",
        "two kinds, of which the last counts",
        "unknown fields",
        "unknown fields of fixed size",
        "an unknown field in a list",
    ],
)
def test_what_protobuf_allows_is_read(feature: str, values: tuple[object, ...]) -> None:
    assert parse(example_of({"k": bytes.fromhex(feature)})) == {"k": values}


def test_the_last_of_equal_keys_counts() -> None:
    first, last = int64_entry("k", 1), int64_entry("k", 2)
    assert parse(delimited(b"\x0a", first + last)) == {"k": (2,)}


def test_an_example_in_two_parts_is_one() -> None:
    assert parse(delimited(b"\x0a", int64_entry("a", 1)) + delimited(b"\x0a", int64_entry("b", 2))) == {
        "a": (1,),
        "b": (2,),
    }


def test_a_map_entry_without_key_and_value_is_empty() -> None:
    assert parse(bytes.fromhex("0a020a00")) == {"": ()}


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"\x02\x00",
        b"\x0b" + bytes(4),
        b"\x0a\xff",
        b"\x0a\x03\x0a\x01\x08",
        bytes.fromhex("0a0e0a030a056b0a070a016b12021a00"),
        bytes.fromhex("0a0e0a0c0a016b12041a0508012a0161"),
        bytes.fromhex("0a150a130a016b120e1a0c08") + b"\xff" * 10 + b"\x01",
        b"\x0a" + b"\xff" * 9 + b"\x01",
        b"\x0d\x00",
        bytes.fromhex("0a0e0a0c0a016b1207") + bytes.fromhex("12050a03000000"),
        bytes.fromhex("0a130a110a016b120c1a0a0a08") + b"\xff" * 8,
    ],
    ids=[
        "no tag",
        "a field without a number",
        "a group",
        "a length that is missing",
        "an entry cut short",
        "a key that reaches into the next entry",
        "a list that reaches out of its value",
        "a number of eleven bytes",
        "a length of 2^64",
        "a float cut short",
        "a list of three quarters of a float",
        "a packed number cut short",
    ],
)
def test_what_is_no_example_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a tf\.train\.Example"):
        parse(data)


class TestAClassicRecordOfSomebodyElse:
    """What the schema asks of a record whose checksums are right."""

    def test_one_of_the_tpu_script_has_neither_lemmas_nor_boxes(self) -> None:
        without = [
            *(f"image/object/bbox/{key}" for key in ("xmin", "xmax", "ymin", "ymax", "label")),
            "image/class/text",
        ]
        [sample] = self.read(dict.fromkeys(without))
        assert (sample.name, sample.class_index, sample.boxes) == ("n01440764_18.JPEG", 0, ())

    @pytest.mark.parametrize(
        "key",
        [
            "image/channels",
            "image/class/label",
            "image/class/synset",
            "image/colorspace",
            "image/encoded",
            "image/filename",
            "image/format",
            "image/height",
            "image/width",
            "image/object/bbox/label",
            "image/object/bbox/xmin",
        ],
    )
    def test_one_that_lacks_a_key_is_refused(self, key: str, sentence: Sentence) -> None:
        with pytest.raises(AuditError) as caught:
            self.read({key: None})
        sentence(caught.value)

    @pytest.mark.parametrize(
        ("key", "entry"),
        [
            pytest.param("image/class/label", b"\x1a\x02\x08\x02", id="label of another class"),
            pytest.param("image/class/label", b"\x1a\x02\x08\x00", id="label 0"),
            pytest.param("image/class/label", b"\x1a\x03\x08\xe9\x07", id="label 1001"),
            pytest.param("image/class/label", b"\x1a\x0b\x08" + b"\xff" * 9 + b"\x01", id="label -1"),
            pytest.param("image/class/label", b"\x1a\x04\x08\x01\x08\x01", id="two labels"),
            pytest.param("image/class/label", b"\x1a\x00", id="no label"),
            pytest.param("image/class/label", b"\x0a\x03\x0a\x01\x01", id="label of bytes"),
            pytest.param("image/class/label", b"\x12\x05\x0d\x00\x00\x80\x3f", id="label of floats"),
            pytest.param("image/class/synset", b"\x0a\x04\x0a\x02\xc3\x28", id="synset not UTF-8"),
            pytest.param("image/filename", b"\x1a\x02\x08\x01", id="name of numbers"),
            pytest.param("image/format", b"\x0a\x05\x0a\x03PNG", id="format PNG"),
            pytest.param("image/channels", b"\x1a\x02\x08\x01", id="one channel"),
            pytest.param("image/object/bbox/xmin", b"\x12\x00", id="boxes without a side"),
            pytest.param("image/object/bbox/label", b"\x1a\x02\x08\x02", id="boxes of another class"),
            pytest.param("image/object/bbox/xmin", b"\x1a\x02\x08\x00", id="sides of numbers"),
        ],
    )
    def test_one_with_a_wrong_value_is_refused(self, key: str, entry: bytes, sentence: Sentence) -> None:
        with pytest.raises(AuditError) as caught:
            self.read({key: entry})
        sentence(caught.value)

    def read(self, changes: Mapping[str, bytes | None]) -> list[Sample]:
        """Read the tench's record with other features, None for none."""
        features = {**CLASSIC_TENCH, **changes}
        return samples_of(TFRecord(), framed(example_of({key: value for key, value in features.items() if value})))


class TestADropInRecordOfSomebodyElse:
    def test_one_without_a_label_has_the_class_index_minus_one(self) -> None:
        [sample] = self.read(b"\x1a\x0b\x08" + b"\xff" * 9 + b"\x01")
        assert (sample.name, sample.class_index, sample.image) == ("n01440764_18.JPEG", -1, b"a tench")

    @pytest.mark.parametrize("label", [b"\x08\xe8\x07", b"\x08" + b"\xfe" + b"\xff" * 8 + b"\x01"], ids=["1000", "-2"])
    def test_one_with_another_label_is_refused(self, label: bytes, sentence: Sentence) -> None:
        with pytest.raises(AuditError) as caught:
            self.read(delimited(b"\x1a", label))
        sentence(caught.value)

    def read(self, label: bytes) -> list[Sample]:
        features = {
            "file_name": b"\x0a\x13\x0a\x11n01440764_18.JPEG",
            "image": b"\x0a\x09\x0a\x07a tench",
            "label": label,
        }
        return samples_of(Tfds(), framed(example_of(features)))


def test_a_length_beyond_the_file_takes_no_memory() -> None:
    length = struct.pack("<Q", 1 << 60)
    data = length + crc_of(length) + b"\xff\xd8"
    tracemalloc.start()
    with pytest.raises(
        AuditError, match="a record of 1,152,921,504,606,846,976 bytes reaches beyond the end of the file"
    ):
        records_of(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_record_may_be_longer_than_what_is_read_at_once() -> None:
    long, short = bytes(range(256)) * 20_000, b"short"
    assert records_of(framed(long) + framed(short)) == [(0, long), (5_120_016, short)]


def test_a_file_that_becomes_shorter_while_it_is_read_is_damaged(sentence: Sentence) -> None:
    file = io.BytesIO(framed(bytes(3 << 20)) * 2)
    records = read_records(file, "shard", len(file.getvalue()))
    next(records)
    file.truncate(5 << 20)
    with pytest.raises(AuditError) as caught:
        next(records)
    sentence(caught.value)


def test_a_file_that_was_not_read_to_its_end_is_not_seen(sentence: Sentence) -> None:
    seen: list[FileFact] = []
    with pytest.raises(AuditError) as caught:
        records_of(framed(b"one") + framed(b"two") + b"rubbish", seen)
    sentence(caught.value)
    assert seen == []


def test_an_image_stays_what_it_is_when_the_next_is_read() -> None:
    store, images = MemoryStore(), [letter * 1000 for letter in (b"a", b"b", b"c")]
    samples = [sample_of("n01440764_18.JPEG", image) for image in images]
    write_shard(Tfds(), store, samples)
    assert [sample.image for sample in list(Tfds().read(store, stored(samples)))] == images


def test_a_record_of_another_schema_is_refused(sentence: Sentence) -> None:
    store = MemoryStore()
    write_shard(Tfds(), store, [TENCH])
    store.publish(CLASSIC, store.files[DROP_IN])
    with pytest.raises(AuditError) as caught:
        list(TFRecord().read(store, stored([TENCH])))
    sentence(caught.value)


def test_an_unknown_format_is_refused_with_the_names_there_are(sentence: Sentence) -> None:
    with pytest.raises(UsageError) as caught:
        BuildOptions.of(format="beton")
    sentence(caught.value)


def test_the_command_line_offers_every_format() -> None:
    [option] = [parameter for parameter in build_command.params if "--format" in parameter.opts]
    assert list(getattr(option.type, "choices", ())) == list(OUTPUTS)


def test_a_shard_name_reads_back() -> None:
    assert str(ShardName.parse("validation-00017-of-00128")) == "validation-00017-of-00128"


TENCH = Sample("n01440764_18.JPEG", b"\xff\xd8 a tench \xff\xd9", 0, 500, 375, (Box(0.0, 0.25, 0.5, 1.0),))
GOLDEN_TFRECORD = "d5701c796e07002938d0052208ef1dc33935435838a99ba2a73555ef073c2afc"
GOLDEN_TFDS = "a1f86b07ff614fa342ac1b9a4d06b0fdbda2dc1c28885a24dad0c3dd2b3ff096"


def contents_of(splits: dict[str, list[tuple[int, int]]]) -> Contents:
    """A data set with these shards: images, and bytes of the file."""
    facts = {}
    for split, shards in splits.items():
        names = [ShardName(split, index, len(shards)) for index in range(len(shards))]
        finished = (
            ShardFacts(name, images, (FileFact(str(name), size, "0" * 32),))
            for name, (images, size) in zip(names, shards, strict=True)
        )
        facts[split] = SplitFacts(sum(images for images, _ in shards), (0,), tuple(finished))
    return Contents(facts, CLASS_NAMES)


def samples_of(output: Output, shard: bytes) -> list[Sample]:
    """Read a shard of these bytes."""
    store, of = MemoryStore(), stored([TENCH])
    store.publish(output.files(of)[0], shard)
    return list(output.read(store, of))


def records_of(data: bytes, seen: list[FileFact] | None = None) -> list[tuple[int, bytes]]:
    return list(read_records(io.BytesIO(data), "shard", len(data), seen))


CLASSIC_TENCH: dict[str, bytes | None] = {
    "image/channels": b"\x1a\x02\x08\x03",
    "image/class/label": b"\x1a\x02\x08\x01",
    "image/class/synset": b"\x0a\x0b\x0a\x09n01440764",
    "image/class/text": b"\x0a\x14\x0a\x12tench, Tinca tinca",
    "image/colorspace": b"\x0a\x05\x0a\x03RGB",
    "image/encoded": b"\x0a\x09\x0a\x07a tench",
    "image/filename": b"\x0a\x13\x0a\x11n01440764_18.JPEG",
    "image/format": b"\x0a\x06\x0a\x04JPEG",
    "image/height": b"\x1a\x03\x08\xf7\x02",
    "image/object/bbox/label": b"\x1a\x02\x08\x01",
    "image/object/bbox/xmax": b"\x12\x05\x0d\x00\x00\x00\x3f",
    "image/object/bbox/xmin": b"\x12\x05\x0d\x00\x00\x00\x00",
    "image/object/bbox/ymax": b"\x12\x05\x0d\x00\x00\x80\x3f",
    "image/object/bbox/ymin": b"\x12\x05\x0d\x00\x00\x80\x3e",
    "image/width": b"\x1a\x03\x08\xf4\x03",
}


def example_of(features: dict[str, bytes]) -> bytes:
    """An Example of encoded ``Feature`` messages."""
    entries = (delimited(b"\x0a", key.encode()) + delimited(b"\x12", value) for key, value in features.items())
    return delimited(b"\x0a", b"".join(delimited(b"\x0a", entry) for entry in entries))

"""The format Parquet: the output contract, its bytes, and what pyarrow makes of its shards."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagenet_prep import AuditError, MemoryStore, Parquet, Sample
from imagenet_prep.codecs.jpeg import Kind
from imagenet_prep.codecs.parquet_file import numbers_in, page_header, page_in
from imagenet_prep.codecs.thrift import unzigzag, zigzag
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.testing.contracts import OutputContract
from imagenet_prep.testing.output_contract import CLASS_NAMES, sample_of, stored, write_shard
from support.sentences import Sentence

pytestmark = pytest.mark.quick

SHARD = "parquet/train-00003-of-00016.parquet"
TENCH = Sample("n01440764_18.JPEG", b"\xff\xd8 a tench \xff\xd9", 0, 500, 375)
CRANE = Sample("n02012849_7.JPEG", b"\x89PNG a crane", 134, 8, 9, kind=Kind.PNG)
GOLDEN = "a6136efd797119aa8ce6c29e246cb29b7b51236c85f2b18f36c468cc7aab6f9e"


def shard_of(samples: Sequence[Sample]) -> bytes:
    store = MemoryStore()
    write_shard(Parquet(), store, samples)
    return store.files[SHARD]


def opened(data: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True)


def many(count: int) -> list[Sample]:
    return [sample_of(f"n01440764_{number}.JPEG", b"\xff\xd8" + bytes(number), number) for number in range(count)]


class TestParquet(OutputContract):
    output = Parquet()

    def test_the_bytes_are_those_of_the_last_release(self) -> None:
        # A change here is a change of every user's files: it needs a line in the changelog.
        data = shard_of([TENCH, CRANE])
        assert (len(data), hashlib.sha256(data).hexdigest()) == (15_072, GOLDEN)

    def test_a_row_says_what_the_image_is(self) -> None:
        assert opened(shard_of([TENCH, CRANE])).read().to_pylist()[1] == {
            "image": {"bytes": CRANE.image, "path": "n02012849_7.JPEG"},
            "label": 134,
            "name": "n02012849_7.JPEG",
            "wnid": "n02012849",
            "class_name": "crane_bird",
            "lemmas": "crane",
            "width": 8,
            "height": 9,
            "kind": "PNG",
        }

    def test_the_types_are_those_that_hugging_face_has_for_these_features(self) -> None:
        schema = opened(shard_of([TENCH])).schema_arrow
        text = pa.string()
        assert schema.remove_metadata() == pa.schema(
            {
                "image": pa.struct({"bytes": pa.binary(), "path": text}),
                "label": pa.int64(),
                **dict.fromkeys(("name", "wnid", "class_name", "lemmas"), text),
                **dict.fromkeys(("width", "height"), pa.int32()),
                "kind": text,
            }
        )
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        assert list(features) == schema.names
        assert features["image"] == {"_type": "Image"}
        assert features["label"] == {"_type": "ClassLabel", "names": list(CLASS_NAMES)}
        assert features["width"] == {"_type": "Value", "dtype": "int32"}

    def test_a_row_group_has_64_images_and_the_last_one_the_rest(self) -> None:
        samples = many(130)
        shard = opened(shard_of(samples))
        groups = [shard.metadata.row_group(number) for number in range(shard.num_row_groups)]
        assert [group.num_rows for group in groups] == [64, 64, 2]
        assert [row["bytes"] for row in shard.read()["image"].to_pylist()] == [sample.image for sample in samples]

    def test_nothing_is_compressed_or_in_a_dictionary(self) -> None:
        group = opened(shard_of([TENCH])).metadata.row_group(0)
        columns = [group.column(number) for number in range(group.num_columns)]
        assert {(column.compression, column.encodings) for column in columns} == {("UNCOMPRESSED", ("PLAIN",))}

    def test_the_footer_says_where_every_column_lies_and_how_long_it_is(self) -> None:
        data = shard_of(many(70))
        metadata, end = opened(data).metadata, 4
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            columns = [group.column(place) for place in range(group.num_columns)]
            for column in columns:
                assert column.data_page_offset == end
                end += column.total_compressed_size
            assert group.total_byte_size == sum(column.total_uncompressed_size for column in columns)
        assert end == len(data) - metadata.serialized_size - 8

    def test_pyarrow_finds_a_changed_image_by_its_checksum(self) -> None:
        with pytest.raises(OSError, match="CRC"):
            opened(shard_of([TENCH]).replace(b"a tench", b"a tEnch")).read()

    def test_the_manifest_learns_where_every_image_lies(self) -> None:
        written = self.write(MemoryStore(), [TENCH, CRANE])
        columns = {name: list(column) for name, column in written.columns.items()}
        assert columns == {"row": [0, 1], "image_offset": [37, 83], "image_length": [13, 12]}

    def test_an_empty_shard_has_the_schema_all_the_same(self) -> None:
        assert opened(shard_of([])).schema_arrow == opened(shard_of([TENCH])).schema_arrow

    def test_a_shard_that_names_a_class_otherwise_than_the_data_set_is_found(self) -> None:
        store = MemoryStore()
        self.write(store, [TENCH])
        with pytest.raises(AuditError):
            list(self.output.read(store, replace(stored([TENCH]), class_names=["carp", *CLASS_NAMES[1:]])))


def otherwise(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Change a page of one row, and its checksum with it."""

    def change(data: bytes) -> bytes:
        page = b"\2\0\0\0\2" + old
        before = page_header(len(page), 1, zlib.crc32(page)) + page
        assert before in data
        page = b"\2\0\0\0\2" + new
        return data.replace(before, page_header(len(page), 1, zlib.crc32(page)) + page)

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data[:-8] + b"\xff\xff\xff\x7f" + data[-4:],
        lambda data: data + bytes(8),
        lambda data: data[:4] + bytes(16) + data[4:],
        lambda data: data.replace(b"PAR1", b"PAR2", 1),
        lambda data: data.replace(b"lemmas\x25", b"Lemmas\x25", 1),
        lambda data: data.replace(b"imagenet-prep version", b"imagenet-prep Version"),
        lambda data: data.replace(b"a tench", b"a carp?"),
        lambda data: data[:7] + b"\xfe\xff\xff\x7f\x15\xfe\xff\xff\x7f" + data[10:],
        lambda data: data[:7] + b"\1\x15\1" + data[10:],
        otherwise(b"\1\4\0\0\0JPEG", b"\1\4\0\0\0WXYZ"),
        otherwise(b"\1\4\0\0\0JPEG", b"\1\4\0\0\0JP\xffG"),
        otherwise(b"\1\4\0\0\0JPEG", b"\1\5\0\0\0JPEG"),
        otherwise(b"\1" + bytes(8), b"\1\xe8\3" + bytes(6)),
        otherwise(b"\1" + bytes(8), b"\1" + bytes(7)),
        otherwise(b"\1\x09\0\0\0n01440764", b"\1\x09\0\0\0n01443537"),
        otherwise(b"\2\x0d\0\0\0" + TENCH.image, b"\2\x0c\0\0\0" + TENCH.image),
    ],
    ids=[
        "cut in the end",
        "a footer longer than the file",
        "zeros after the end",
        "zeros before the first page",
        "another start",
        "another column",
        "another footer",
        "another image",
        "a page beyond the end",
        "a page of less than nothing",
        "an unknown kind",
        "a kind that is not text",
        "a kind that is cut off",
        "a label that is none",
        "a label that is cut off",
        "the WNID of another class",
        "the length of an image",
    ],
)
def test_what_differs_from_the_one_form_is_named_with_its_place(
    change: Callable[[bytes], bytes], sentence: Sentence
) -> None:
    store = MemoryStore()
    store.publish(SHARD, change(shard_of([TENCH])))
    with pytest.raises(AuditError) as caught:
        list(Parquet().read(store, stored([TENCH])))
    sentence(caught.value)


def test_a_file_that_was_not_read_to_its_end_is_not_seen() -> None:
    store, seen = MemoryStore(), list[FileFact]()
    store.publish(SHARD, shard_of([TENCH])[:-1])
    with pytest.raises(AuditError):
        list(Parquet().read(store, stored([TENCH]), seen))
    assert seen == []


@pytest.mark.parametrize("number", [0, 1, -1, 63, -64, 64, (1 << 31) - 1, -(1 << 31), (1 << 63) - 1, -(1 << 63)])
def test_a_number_survives_its_encoding(number: int) -> None:
    assert unzigzag(zigzag(number) + b"whatever follows") == number


@pytest.mark.parametrize("size", [0, 1, 110_000, (1 << 31) - 1])
@pytest.mark.parametrize("crc", [0, 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
def test_a_page_is_found_by_its_header(size: int, crc: int) -> None:
    header = page_header(size, 64, crc)
    assert page_in(header + b"data") == (len(header), size)


def test_numbers_that_are_cut_off_are_left_out() -> None:
    assert numbers_in(1, b"\1\0\0\0\2\0\0") == [1]

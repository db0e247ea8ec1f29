"""The format WebDataset: the output contract, its bytes, and what the standard library makes of its shards."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace

import pytest
import xxhash

from imagenet_prep import AuditError, MemoryStore, Sample, ShardName, WebDataset
from imagenet_prep.codecs.jpeg import Kind
from imagenet_prep.codecs.ustar import header
from imagenet_prep.codecs.webdataset_schema import key_of
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.outputs.base import Contents, ShardFacts, SplitFacts
from imagenet_prep.testing.contracts import OutputContract
from imagenet_prep.testing.output_contract import CLASS_NAMES, sample_of, stored, write_shard
from support.sentences import Sentence

pytestmark = pytest.mark.quick

SHARD = "webdataset/train-00003-of-00016.tar"
INDEX = "dali-index-webdataset/train-00003-of-00016.idx"
TENCH = Sample("n01440764_18.JPEG", b"\xff\xd8 a tench \xff\xd9", 0, 500, 375)
CRANE = Sample("n02012849_7.JPEG", b"\x89PNG a crane", 134, 8, 9, kind=Kind.PNG)
GOLDEN = "5a7777a39e1dea1814253708830779ea5950db6d24febd7c02cc5322065f2abd"


class TestWebDataset(OutputContract):
    output = WebDataset()

    def test_the_bytes_are_those_of_the_last_release(self) -> None:
        # A change here is a change of every user's files: it needs a line in the changelog.
        store = MemoryStore()
        written = self.write(store, [TENCH])
        assert [(file.path, file.size) for file in written.files] == [(SHARD, 4096), (INDEX, 95)]
        assert hashlib.sha256(store.files[SHARD] + store.files[INDEX]).hexdigest() == GOLDEN

    def test_a_sample_is_three_members_of_one_key(self) -> None:
        members = self.members([TENCH])
        assert list(members) == ["n01440764_18.jpg", "n01440764_18.cls", "n01440764_18.json"]
        assert (members["n01440764_18.jpg"], members["n01440764_18.cls"]) == (TENCH.image, b"0")

    def test_the_json_says_what_the_image_is(self) -> None:
        text = self.members([CRANE])["n02012849_7.json"]
        head = text.rpartition(b', "seal": ')[0]
        assert json.loads(text) == {
            "filename": "n02012849_7.JPEG",
            "label": 134,
            "wnid": "n02012849",
            "class_name": "crane_bird",
            "lemmas": "crane",
            "width": 8,
            "height": 9,
            "kind": "PNG",
            "xxh3_128": xxhash.xxh3_128_hexdigest(CRANE.image),
            "seal": xxhash.xxh3_64_hexdigest(head),
        }

    def test_the_index_has_type_offset_size_and_name_of_every_member(self) -> None:
        store = MemoryStore()
        self.write(store, [TENCH, CRANE])
        with tarfile.open(fileobj=io.BytesIO(store.files[SHARD])) as archive:
            places = [f"{m.name.partition('.')[2]} {m.offset_data} {m.size} {m.name}" for m in archive]
        lines = ["v1.2 2", " ".join(places[:3]), " ".join(places[3:])]
        assert store.files[INDEX].decode().splitlines() == lines

    def test_the_manifest_learns_where_every_image_lies(self) -> None:
        written = self.write(MemoryStore(), [TENCH, CRANE])
        columns = {name: list(column) for name, column in written.columns.items()}
        assert columns == {"row": [0, 1], "image_offset": [512, 3584], "image_length": [13, 12]}

    def test_the_info_names_every_shard_of_a_split_with_its_samples(self) -> None:
        shards = (ShardFacts(ShardName("train", 0, 2), 3, ()), ShardFacts(ShardName("train", 1, 2), 2, ()))
        documents = self.output.documents(Contents({"train": SplitFacts(5, (0,), shards)}, CLASS_NAMES))
        assert json.loads(documents["webdataset/_info.json"])["splits"]["train"] == {
            "name": "train",
            "num_samples": 5,
            "filenames": ["train-00000-of-00002.tar", "train-00001-of-00002.tar"],
            "shard_lengths": [3, 2],
        }

    def test_a_shard_without_samples_has_no_files(self) -> None:
        # Hugging Face, for the whole data set, and DALI fail on such a shard or its index.
        store = MemoryStore()
        self.write(store, [TENCH])
        assert self.write(store, []).files == ()
        assert list(store.files) == ["webdataset/_info.json"]
        assert json.loads(store.files["webdataset/_info.json"])["splits"]["train"]["filenames"] == []

    def test_a_shard_that_names_a_class_otherwise_than_the_data_set_is_found(self) -> None:
        store = MemoryStore()
        self.write(store, [TENCH])
        with pytest.raises(AuditError):
            list(self.output.read(store, replace(stored([TENCH]), class_names=["carp", *CLASS_NAMES[1:]])))

    def members(self, samples: list[Sample]) -> dict[str, bytes]:
        """Everything in a shard of these, as the standard library reads it."""
        store, found = MemoryStore(), {}
        self.write(store, samples)
        with tarfile.open(fileobj=io.BytesIO(store.files[SHARD])) as archive:
            for member in archive:
                file = archive.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
        return found


@pytest.mark.parametrize("size", [0, 1, 110_000, (8 << 30) - 1])
def test_a_header_is_the_one_of_the_standard_library(size: int) -> None:
    member = tarfile.TarInfo("n01440764_18.jpg")
    member.size, member.mtime = size, 315_532_800
    assert header(b"n01440764_18.jpg", size) == member.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize("key", ["n01440764_18", "ILSVRC2012_val_00000001"])
def test_a_key_is_the_name_without_its_ending(key: str) -> None:
    assert key_of(f"{key}.JPEG") == key


@pytest.mark.parametrize(
    "name", ["a.b.JPEG", "a b.JPEG", "n1.jpeg", "ü.JPEG", "x" * 91 + ".JPEG", "x", ".JPEG", "\ud800"], ids=ascii
)
def test_any_other_name_has_a_key_without_dots_and_blanks(name: str) -> None:
    assert len(key_of(name)) == 32
    assert key_of(name).isalnum()


@pytest.mark.parametrize(
    "change",
    [
        lambda tar: tar[:-512],
        lambda tar: tar + bytes(512),
        lambda tar: bytes(1024) + tar,
        lambda tar: tar[:124] + b"99999999999" + tar[135:],
        lambda tar: tar[:124] + b"7777777777x" + tar[135:],
        lambda tar: tar[:124] + b"77777777777" + tar[135:],
        lambda tar: tar.replace(b'"kind": "JPEG"', b'"kind": "WXYZ"'),
        lambda tar: tar.replace(b'"label": 0', b'"label":-1'),
        lambda tar: tar.replace(b'"width": 500', b'"width":"50"'),
        lambda tar: tar.replace(b'"width": 500', b'"width": 501'),
        lambda tar: tar.replace(b'{"filename": "n01440764_18', b"[" * 26),
    ],
    ids=[
        "cut in the end",
        "zeros after the end",
        "an end before the first sample",
        "a size in nines",
        "a size with a letter",
        "a size beyond the end",
        "an unknown kind",
        "a label that is none",
        "a width that is text",
        "another width",
        "lists in lists",
    ],
)
def test_what_differs_from_the_one_form_is_named_with_its_place(
    change: Callable[[bytes], bytes], sentence: Sentence
) -> None:
    store = MemoryStore()
    write_shard(WebDataset(), store, [TENCH])
    store.publish(SHARD, change(store.files[SHARD]))
    with pytest.raises(AuditError) as caught:
        list(WebDataset().read(store, stored([TENCH])))
    sentence(caught.value)


def test_a_file_that_was_not_read_to_its_end_is_not_seen() -> None:
    store, seen = MemoryStore(), list[FileFact]()
    write_shard(WebDataset(), store, [TENCH, sample_of("n01440764_19.JPEG", b"another")])
    store.publish(SHARD, store.files[SHARD][:-1])
    with pytest.raises(AuditError):
        list(WebDataset().read(store, stored([TENCH]), seen))
    assert seen == []

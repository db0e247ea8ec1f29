"""The format LitData: the output contract, its bytes, and what its index says."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import xxhash

import imagenet_prep
from imagenet_prep import AuditError, AuditOptions, BuildOptions, LitData, MemoryStore, Sample, ShardName
from imagenet_prep.codecs.jpeg import Kind
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.outputs.base import Contents, ShardFacts, SplitFacts
from imagenet_prep.testing import MiniatureOptions, write_miniature
from imagenet_prep.testing.contracts import OutputContract
from imagenet_prep.testing.output_contract import CLASS_NAMES, stored
from support.sentences import Sentence

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("no_waiting_for_the_disk")]

CHUNK = "litdata/train/chunk-0-3.bin"
TENCH = Sample("n01440764_18.JPEG", b"\xff\xd8 a tench \xff\xd9", 0, 500, 375)
CRANE = Sample("n02012849_7.JPEG", b"\x89PNG a crane", 134, 8, 9, kind=Kind.PNG)
GOLDEN = "000ab7d44b63e5d74fd9d84c4e9a0df3746a5cae8e729100c4730b3a1623b68c"


class TestLitData(OutputContract):
    output = LitData()

    def test_the_bytes_are_those_of_the_last_release(self) -> None:
        # A change here is a change of every user's files: it needs a line in the changelog.
        store = MemoryStore()
        written = self.write(store, [TENCH])
        assert [(file.path, file.size) for file in written.files] == [(CHUNK, 198)]
        assert hashlib.sha256(store.files[CHUNK]).hexdigest() == GOLDEN

    def test_a_chunk_says_how_many_samples_it_has_and_where_each_ends(self) -> None:
        store = MemoryStore()
        self.write(store, [TENCH, CRANE])
        chunk = store.files[CHUNK]
        count, first, second, end = struct.unpack_from("<4I", chunk)
        assert (count, first, end) == (2, 16, len(chunk))
        assert TENCH.image in chunk[first:second]
        assert CRANE.image in chunk[second:end]

    def test_a_sample_says_what_its_image_is(self) -> None:
        store = MemoryStore()
        self.write(store, [CRANE])
        chunk = store.files[CHUNK]
        seal = xxhash.xxh3_64_hexdigest(chunk[12:].replace(CRANE.image, b"").replace(leaves(chunk)["seal"], b""))
        assert leaves(chunk) == {
            "class_name": b"crane_bird",
            "height": struct.pack("<q", 9),
            "kind": struct.pack("<q", 2),
            "lemmas": b"crane",
            "name": b"n02012849_7.JPEG",
            "seal": seal.encode(),
            "width": struct.pack("<q", 8),
            "wnid": b"n02012849",
            "image": CRANE.image,
            "xxh3_128": xxhash.xxh3_128_hexdigest(CRANE.image).encode(),
            "label": struct.pack("<q", 134),
        }

    def test_the_index_has_the_leaves_of_a_sample_and_every_chunk_with_samples(self) -> None:
        index = index_of(("train", 0, "", 0), ("train", 1, "ab" * 16, 77))
        assert index["chunks"] == [{"filename": "chunk-0-1.bin", "chunk_size": 2, "chunk_bytes": 77, "dim": None}]
        version, tree = json.loads(index["config"]["data_spec"])
        assert (version, tree["type"]) == (1, "builtins.dict")
        names, types = json.loads(tree["context"]), index["config"]["types"]
        assert index["config"]["data_format"] == [types[name] for name in names]
        assert len(tree["children_spec"]) == len(names) == len(types)
        assert (types["image"], types["label"], types["name"]) == ("bytes", "int", "str")

    def test_the_index_says_when_the_data_set_is_another_one_for_whoever_cached_it(self) -> None:
        one, same, other = (index_of(("train", 0, digest, 77)) for digest in ("ab" * 16, "ab" * 16, "cd" * 16))
        assert one["updated_at"] == same["updated_at"] != other["updated_at"]

    def test_the_manifest_learns_where_every_image_lies(self) -> None:
        store = MemoryStore()
        columns = {name: list(column) for name, column in self.write(store, [TENCH, CRANE]).columns.items()}
        places = [store.files[CHUNK].index(bytes(each.image)) for each in (TENCH, CRANE)]
        assert columns == {"row": [0, 1], "image_offset": places, "image_length": [13, 12]}

    def test_a_number_of_another_size_is_found(self, sentence: Sentence) -> None:
        store = MemoryStore()
        self.write(store, [TENCH])
        chunk = store.files[CHUNK]
        store.publish(CHUNK, chunk[:12] + chunk[12:].replace(struct.pack("<2I", 8, 8), struct.pack("<2I", 9, 7), 1))
        with pytest.raises(AuditError) as caught:
            list(self.output.read(store, stored([TENCH])))
        sentence(caught.value)


def leaves(chunk: bytes) -> dict[str, bytes]:
    """The leaves of the first sample of a chunk, as litdata cuts them: as many sizes as leaves, and then these."""
    _, tree = json.loads(index_of(("train", 0, "ab" * 16, 77))["config"]["data_spec"])
    names = json.loads(tree["context"])
    place = struct.unpack_from("<I", chunk, 4)[0]
    sizes = struct.unpack_from(f"<{len(names)}I", chunk, place)
    place += 4 * len(names)
    found = {}
    for name, size in zip(names, sizes, strict=True):
        found[name] = chunk[place : place + size]
        place += size
    return found


def index_of(*chunks: tuple[str, int, str, int]) -> dict[str, Any]:
    """The index of some chunks: split, number, digest and size; one without a size has no samples, the others two."""
    facts = [
        ShardFacts(
            ShardName(split, number, len(chunks)),
            2 if size else 0,
            (FileFact(f"litdata/{split}/chunk-0-{number}.bin", size, digest),),
        )
        for split, number, digest, size in chunks
    ]
    documents = LitData().documents(Contents({"train": SplitFacts(2, (0,), tuple(facts))}, CLASS_NAMES))
    found: dict[str, Any] = json.loads(documents["litdata/train/index.json"])
    return found


def test_an_image_that_is_set_aside_is_in_no_chunk(tmp_path: Path) -> None:
    given = MiniatureOptions(classes=2, images_per_class=12, validation_per_class=2, quirks=("text", "truncated"))
    source = write_miniature(tmp_path / "archives", given).root
    options = BuildOptions.of(format="litdata", test_per_class=2, jobs=1, on_bad="set-aside")
    report = imagenet_prep.build(source, tmp_path / "out", options)
    assert report.accounts.set_aside == 2
    indexes = [json.loads(path.read_bytes()) for path in (tmp_path / "out/litdata").glob("*/index.json")]
    assert sum(chunk["chunk_size"] for index in indexes for chunk in index["chunks"]) == report.accounts.written
    audited = imagenet_prep.audit(tmp_path / "out", AuditOptions(jobs=1))
    assert (audited.records, audited.set_aside) == (report.accounts.written, 2)

"""The format MDS: the output contract, its bytes, and what becomes of a shard of which an image is set aside."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import xxhash

import imagenet_prep
from imagenet_prep import AuditError, AuditOptions, BuildOptions, Mds, MemoryStore, Sample, ShardName, UsageError
from imagenet_prep.codecs.jpeg import Kind
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.outputs.base import Contents, ShardFacts, SplitFacts
from imagenet_prep.testing import MiniatureOptions, write_miniature
from imagenet_prep.testing.contracts import OutputContract
from imagenet_prep.testing.output_contract import CLASS_NAMES, planned, sample_of, stored, write_shard
from support.build import contents
from support.sentences import Sentence

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("no_waiting_for_the_disk")]

SHARD = "mds/train/shard.00003.mds"
TENCH = Sample("n01440764_18.JPEG", b"\xff\xd8 a tench \xff\xd9", 0, 500, 375)
CRANE = Sample("n02012849_7.JPEG", b"\x89PNG a crane", 134, 8, 9, kind=Kind.PNG)
GOLDEN = "89672595bb0b87362c480e00c936fe500f887863c2befc41edc303d92bbbf161"


class TestMds(OutputContract):
    output = Mds()

    def test_the_bytes_are_those_of_the_last_release(self) -> None:
        # A change here is a change of every user's files: it needs a line in the changelog.
        store = MemoryStore()
        written = self.write(store, [TENCH])
        assert [(file.path, file.size) for file in written.files] == [(SHARD, 563)]
        assert hashlib.sha256(store.files[SHARD]).hexdigest() == GOLDEN

    def test_a_shard_says_how_many_samples_it_has_and_where_each_ends(self) -> None:
        shard = self.shard([TENCH, CRANE])
        count, first, second, end = struct.unpack_from("<4I", shard)
        assert (count, end) == (2, len(shard))
        assert TENCH.image in shard[first:second]
        assert CRANE.image in shard[second:end]

    def test_the_columns_are_those_of_streaming_and_more(self) -> None:
        shard = self.shard([TENCH])
        head = json.loads(shard[12 : struct.unpack_from("<I", shard, 4)[0]])
        assert dict(zip(head["column_names"], head["column_encodings"], strict=True)) == {
            "class_name": "str",
            "height": "int",
            "kind": "int",
            "lemmas": "str",
            "name": "str",
            "seal": "str",
            "width": "int",
            "wnid": "str",
            "x": "jpeg",
            "xxh3_128": "str",
            "y": "int",
        }

    def test_a_sample_says_what_its_image_is(self) -> None:
        sample = self.sample(CRANE)
        seal = xxhash.xxh3_64_hexdigest(sample.pop("all without image and seal"))
        assert sample == {
            "class_name": b"crane_bird",
            "height": 9,
            "kind": 2,
            "lemmas": b"crane",
            "name": b"n02012849_7.JPEG",
            "seal": seal.encode(),
            "width": 8,
            "wnid": b"n02012849",
            "x": CRANE.image,
            "xxh3_128": xxhash.xxh3_128_hexdigest(CRANE.image).encode(),
            "y": 134,
        }

    def test_the_index_has_the_digest_of_each_shard_as_its_hash(self) -> None:
        file = FileFact("mds/train/shard.00001.mds", 77, "ab" * 16)
        shards = (ShardFacts(ShardName("train", 0, 2), 0, ()), ShardFacts(ShardName("train", 1, 2), 2, (file,)))
        documents = self.output.documents(Contents({"train": SplitFacts(2, (0,), shards)}, CLASS_NAMES))
        (listed,) = json.loads(documents["mds/train/index.json"])["shards"]  # and no shard without samples
        assert (listed["samples"], listed["hashes"]) == (2, ["xxh128"])
        assert listed["raw_data"] == {"basename": "shard.00001.mds", "bytes": 77, "hashes": {"xxh128": "ab" * 16}}

    def test_the_manifest_learns_where_every_image_lies(self) -> None:
        store = MemoryStore()
        columns = {name: list(column) for name, column in self.write(store, [TENCH, CRANE]).columns.items()}
        places = [store.files[SHARD].index(bytes(each.image)) for each in (TENCH, CRANE)]
        assert columns == {"row": [0, 1], "image_offset": places, "image_length": [13, 12]}

    @pytest.mark.parametrize("samples", [[], [TENCH], [CRANE, TENCH], [TENCH, CRANE, TENCH]])
    def test_samples_other_than_planned_are_refused(self, samples: list[Sample]) -> None:
        with MemoryStore().batch() as batch:
            writer = self.output.writer(batch, planned([TENCH, CRANE]))
            with pytest.raises(ValueError, match=r"announced|another sample"):  # noqa: PT012 — which call may differ
                for sample in samples:
                    writer.add(sample)
                writer.finish()

    def test_a_shard_that_names_a_class_otherwise_than_the_data_set_is_found(self) -> None:
        store = MemoryStore()
        self.write(store, [TENCH])
        with pytest.raises(AuditError):
            list(self.output.read(store, replace(stored([TENCH]), class_names=["carp", *CLASS_NAMES[1:]])))

    def shard(self, samples: list[Sample]) -> bytes:
        store = MemoryStore()
        self.write(store, samples)
        return store.files[SHARD]

    def sample(self, sample: Sample) -> dict[str, Any]:
        """The columns of a sample, as streaming's documents describe them."""
        shard = self.shard([sample])
        start = struct.unpack_from("<I", shard, 4)[0]
        head = json.loads(shard[12:start])
        strings = [name for name, size in zip(head["column_names"], head["column_sizes"], strict=True) if not size]
        sizes = dict(zip(strings, struct.unpack_from(f"<{len(strings)}I", shard, start), strict=True))
        place = start + 4 * len(strings)
        found: dict[str, Any] = {"all without image and seal": shard[start:place]}
        for name in head["column_names"]:
            data = shard[place : place + sizes.get(name, 8)]
            found[name] = data if name in sizes else int.from_bytes(data, "little")
            found["all without image and seal"] += data if name not in ("x", "seal") else b""
            place += len(data)
        return found


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda _: b"\x01",
        lambda shard: b"\xff\xff\xff\xff" + shard[4:],
        lambda shard: b"\x00" + shard[1:],
        lambda shard: shard[:4] + bytes(4) + shard[8:],
        lambda shard: shard[:-1],
        lambda shard: shard + b"\0",
        lambda shard: shard.replace(b'"jpeg"', b'"jqeg"'),
        lambda shard: shard.replace(struct.pack("<q", 500), struct.pack("<q", 501)),
        lambda shard: shard[:-8] + struct.pack("<q", 1000),
        lambda shard: shard.replace(struct.pack("<I", 17), struct.pack("<I", 16), 1),
        lambda shard: shard.replace(b"n01440764_18", b"n01440764\xff18"),
    ],
    ids=[
        "nothing",
        "half a number",
        "too many samples",
        "no samples",
        "an offset",
        "cut at the end",
        "more at the end",
        "another encoding",
        "another width",
        "a label that is none",
        "a shorter name",
        "a name that is not a text",
    ],
)
def test_what_differs_from_the_one_form_is_named_with_its_place(
    change: Callable[[bytes], bytes], sentence: Sentence
) -> None:
    store = MemoryStore()
    write_shard(Mds(), store, [TENCH])
    store.publish(SHARD, change(store.files[SHARD]))
    with pytest.raises(AuditError) as caught:
        list(Mds().read(store, stored([TENCH])))
    sentence(caught.value)


def test_a_file_that_was_not_read_to_its_end_is_not_seen() -> None:
    store, seen = MemoryStore(), list[FileFact]()
    write_shard(Mds(), store, [TENCH, sample_of("n01440764_19.JPEG", b"another")])
    store.publish(SHARD, store.files[SHARD][:-1])
    with pytest.raises(AuditError):
        list(Mds().read(store, stored([TENCH]), seen))
    assert seen == []


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = MiniatureOptions(classes=2, images_per_class=12, validation_per_class=2, quirks=("text", "truncated"))
    return write_miniature(tmp_path_factory.mktemp("archives"), options).root


class TestSetAside:
    """A shard begins with a table of its samples, and an image may turn out to be none when the table is written."""

    def build(self, archives: Path, out: Path, *formats: str, **options: Any) -> imagenet_prep.Report:
        given = {"test_per_class": 2, "shards": {"train": 4}, "jobs": 1, "on_bad": "set-aside"} | options
        return imagenet_prep.build(archives, out, BuildOptions.of(format=formats, **given))

    def test_its_shard_is_written_again_without_it(self, archives: Path, tmp_path: Path) -> None:
        report = self.build(archives, tmp_path / "out", "mds")
        assert report.accounts.set_aside == len(report.set_aside) == 2
        shards = (tmp_path / "out/mds").glob("*/*.mds")
        assert sum(struct.unpack_from("<I", shard.read_bytes())[0] for shard in shards) == report.accounts.written
        audited = imagenet_prep.audit(tmp_path / "out", AuditOptions(jobs=1))
        assert (audited.records, audited.set_aside) == (report.accounts.written, 2)

    def test_the_report_counts_every_byte_once(self, archives: Path, tmp_path: Path) -> None:
        report = self.build(archives, tmp_path / "out", "mds")
        assert report.bytes_written == sum(path.stat().st_size for path in (tmp_path / "out/mds").glob("*/*.mds"))
        alone = self.build(archives, tmp_path / "other", "webdataset")
        assert report.bytes_read == alone.bytes_read

    @pytest.mark.parametrize("first", ["mds", "tfrecord"])
    def test_the_bytes_are_those_of_a_build_that_knew_it(self, archives: Path, tmp_path: Path, first: str) -> None:
        self.build(archives, tmp_path / "both", "mds", "tfrecord")
        self.build(archives, tmp_path / "grown", first)
        self.build(archives, tmp_path / "grown", "mds", "tfrecord")
        assert contents(tmp_path / "grown") == contents(tmp_path / "both")

    def test_without_being_asked_to_set_aside_the_build_fails(
        self, archives: Path, tmp_path: Path, sentence: Sentence
    ) -> None:
        with pytest.raises(imagenet_prep.SourceError) as caught:
            self.build(archives, tmp_path / "out", "mds", on_bad="fail")
        assert len(caught.value.problems) == 2
        sentence(caught.value)


def test_a_shard_of_4_gib_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
) -> None:
    monkeypatch.setattr(Mds, "largest_shard", 30_000)
    source = write_miniature(tmp_path / "archives", MiniatureOptions(classes=2, images_per_class=12)).root
    options = BuildOptions.of(format="mds", test_per_class=2, shards={"train": 2}, jobs=1)
    with pytest.raises(UsageError) as caught:
        imagenet_prep.build(source, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()
    sentence(caught.value)

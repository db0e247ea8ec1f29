"""A final name means complete, and a receipt that can be read is true."""

import json
import os
import re
import socket
from array import array
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import ClassVar

import pyarrow as pa
import pytest
import xxhash

from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.dataset.catalog_file import load_catalog, save_catalog
from imagenet_prep.dataset.receipts import load_receipt, receipt_path, save_receipt
from imagenet_prep.errors import OutputError
from imagenet_prep.model.archive import Archive
from imagenet_prep.model.shards import ShardName
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.task import Receipt, SetAside
from imagenet_prep.planning.catalog import SCHEMA, Catalog
from imagenet_prep.stores.publish import Publication, publish_bytes
from imagenet_prep.stores.space import check_space
from imagenet_prep.stores.temporary import sweep

RECEIPT = Receipt(
    plan="0123",
    shard=ShardName("train", 0, 2),
    rows=2,
    files={"tfds": (FileFact("tfds/a", 10, "ff"), FileFact("tfds/b", 3, "ee"))},
    columns={"digest": bytes(range(32)), "width": array("i", [500, 1]), "tfds.length": array("q", [2**40, 3])},
)


CATALOG = Catalog(
    pa.table(
        {
            "name": pa.array(["n01440764_1.JPEG", "n01440764_2.JPEG"], SCHEMA.field("name").type),
            "class_index": pa.array([0, 0], SCHEMA.field("class_index").type),
            "archive": pa.array([0, 0], SCHEMA.field("archive").type),
            "container": pa.array(["n01440764.tar"] * 2, SCHEMA.field("container").type),
            "offset": pa.array([1024, 4096], SCHEMA.field("offset").type),
            "size": pa.array([2000, 3000], SCHEMA.field("size").type),
            "boxes": pa.array([None, [0.0, 0.25, 0.5, 1.0]], SCHEMA.field("boxes").type),
        },
        schema=SCHEMA,
    ),
    (Archive("ILSVRC2012_img_train.tar", "train", 10_240, 7),),
    ("a note",),
)


class TestPublication:
    def test_a_file_has_its_name_only_when_it_is_finished(self, tmp_path: Path) -> None:
        with Publication(tmp_path) as files:
            os.write(files.create("folder/shard"), b"whole")
            assert not (tmp_path / "folder/shard").exists()
            files.finish([FileFact("folder/shard", 5, xxhash.xxh3_128_hexdigest(b"whole"))])
            assert (tmp_path / "folder/shard").read_bytes() == b"whole"

    def test_what_is_not_finished_leaves_no_trace(self, tmp_path: Path) -> None:
        with Publication(tmp_path) as files:
            os.write(files.create("shard"), b"half")
        assert list(tmp_path.iterdir()) == []

    def test_contents_reach_the_disk_before_the_name_does(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        order: list[str] = []
        sync, replace = os.fsync, os.replace

        def noted_sync(descriptor: int) -> None:
            order.append("sync")
            sync(descriptor)

        def noted_replace(path: str, to: str) -> None:
            order.append("name")
            replace(path, to)

        monkeypatch.setattr(os, "fsync", noted_sync)
        monkeypatch.setattr(os, "replace", noted_replace)
        publish_bytes(tmp_path / "file", b"x")
        assert order == ["sync", "name", "sync"]  # contents, name, folder

    def test_an_existing_file_is_replaced_as_a_whole(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"a longer text that was there before")
        publish_bytes(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"new"

    def test_a_file_in_the_way_of_a_folder_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "tfds").write_text("")
        with pytest.raises(OutputError, match=r"Cannot write .*tfds/shard: (Not a directory|File exists)"):
            publish_bytes(tmp_path / "tfds" / "shard", b"x")

    def test_leftovers_of_dead_writers_are_swept_and_those_of_living_ones_are_not(self, tmp_path: Path) -> None:
        host = re.sub(r"[^\w-]", "_", socket.gethostname())
        swept = {f".a.{host}.prep-0123456789ab.part", f".a.{host}.1.part", f".b.{host}.{os.getpid()}.part"}
        others = {".c.elsewhere.prep-0123456789ab.part", ".c.elsewhere.1.part", ".d.part", f".e.{host}.1x.part"}
        for name in swept | others:
            (tmp_path / name).write_text("")
        with Publication(tmp_path) as files:
            files.create("f")
            living = {path.name for path in tmp_path.iterdir()} - swept - others
            assert len(living) == 1
            assert sweep(tmp_path) == len(swept)
            assert {path.name for path in tmp_path.iterdir()} == others | living

    def test_links_that_a_killed_run_left_are_swept_and_what_they_lead_to_stays(self, tmp_path: Path) -> None:
        host = re.sub(r"[^\w-]", "_", socket.gethostname())
        theirs = tmp_path / "theirs"
        theirs.write_text("x")
        theirs.chmod(0o444)
        (tmp_path / f".a.{host}.prep-0123456789ab.part").symlink_to(theirs)
        (tmp_path / f".b.{host}.prep-0123456789ab.part").hardlink_to(theirs)
        assert sweep(tmp_path) == 2
        assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_two_threads_may_publish_the_same_file_at_once(tmp_path: Path) -> None:
    """As after an interrupt, when a thread of a cluster's worker is still at a shard that another was given again."""
    both = Barrier(2)

    def publish(_number: int) -> None:
        with Publication(tmp_path) as files:
            descriptor = files.create("shard")
            both.wait(60)
            for _ in range(2):
                os.write(descriptor, b"half")
            both.wait(60)
            files.finish()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(publish, range(2)))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"shard": b"halfhalf"}


class TestReceipts:
    def test_a_receipt_reads_back(self, tmp_path: Path) -> None:
        save_receipt(tmp_path, RECEIPT)
        assert load_receipt(receipt_path(tmp_path, RECEIPT.shard)) == RECEIPT

    def test_a_missing_one_proves_nothing(self, tmp_path: Path) -> None:
        assert load_receipt(tmp_path / "train-00000-of-00002.receipt") is None

    def test_with_any_byte_flipped_it_proves_nothing(self, tmp_path: Path) -> None:
        save_receipt(tmp_path, RECEIPT)
        path = receipt_path(tmp_path, RECEIPT.shard)
        sound = path.read_bytes()
        for position in range(len(sound)):
            path.write_bytes(sound[:position] + bytes([sound[position] ^ 1]) + sound[position + 1 :])
            assert load_receipt(path) is None

    def test_wherever_it_is_cut_it_proves_nothing(self, tmp_path: Path) -> None:
        save_receipt(tmp_path, RECEIPT)
        path = receipt_path(tmp_path, RECEIPT.shard)
        sound = path.read_bytes()
        for length in range(len(sound)):
            path.write_bytes(sound[:length])
            assert load_receipt(path) is None

    def test_images_that_were_set_aside_and_how_closely_all_were_looked_at_read_back(self, tmp_path: Path) -> None:
        receipt = replace(RECEIPT, check="decode", set_aside=(SetAside(1, "is text", "n01440764_1.JPEG", 7, "dd"),))
        save_receipt(tmp_path, receipt)
        assert load_receipt(receipt_path(tmp_path, RECEIPT.shard)) == receipt

    def test_under_the_name_of_another_shard_it_proves_nothing(self, tmp_path: Path) -> None:
        save_receipt(tmp_path, RECEIPT)
        other = receipt_path(tmp_path, ShardName("train", 1, 2))
        receipt_path(tmp_path, RECEIPT.shard).rename(other)
        assert load_receipt(other) is None

    def test_equal_receipts_are_equal_files(self, tmp_path: Path) -> None:
        save_receipt(tmp_path / "one", RECEIPT)
        save_receipt(tmp_path / "two", RECEIPT)
        name = "train-00000-of-00002.receipt"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


class TestDocuments:
    document: ClassVar[dict[str, object]] = {
        "shards": [{"name": "train-00000-of-00002", "images": 3}],
        "a": None,
        "é": 1.5,
    }

    def test_a_document_reads_back_without_its_digest(self) -> None:
        assert unseal(seal(self.document)) == self.document

    def test_its_digest_is_that_of_its_bytes_without_the_line_of_the_digest(self) -> None:
        lines = seal(self.document).splitlines(keepends=True)
        [at] = [number for number, line in enumerate(lines) if line.startswith(b'  "digest": ')]
        digest = lines[at].split(b'"')[3].decode()
        others = lines[:at] + lines[at + 1 :]
        assert xxhash.xxh3_128_hexdigest(b"".join(others)) == digest

    def test_it_has_one_form_whatever_the_order_it_was_made_in(self) -> None:
        assert seal(dict(reversed(self.document.items()))) == seal(self.document)
        assert seal({"z": 1, "a": [2]}) == (
            b'{\n  "a": [\n    2\n  ],\n  "digest": "bd6e11a533942b9eb813378372796574",\n  "z": 1\n}\n'
        )

    def test_with_any_bit_flipped_it_is_refused(self) -> None:
        sound = seal(self.document)
        for position in range(len(sound)):
            for bit in range(8):
                changed = sound[:position] + bytes([sound[position] ^ 1 << bit]) + sound[position + 1 :]
                with pytest.raises(ValueError):  # noqa: PT011 — of JSON, of UTF-8, or ours
                    unseal(changed)

    def test_wherever_it_is_cut_or_continued_it_is_refused(self) -> None:
        sound = seal(self.document)
        for changed in (*(sound[:length] for length in range(len(sound))), sound + b"\n", b" " + sound):
            with pytest.raises(ValueError):  # noqa: PT011
                unseal(changed)

    @pytest.mark.parametrize("content", [b"{}", b"{}\n", b"[]\n", b"null\n", b'"x"\n', b'{"digest": 3}\n'])
    def test_what_was_never_sealed_is_refused(self, content: bytes) -> None:
        with pytest.raises(ValueError, match="its digest does not fit"):
            unseal(content)

    def test_a_number_too_long_for_python_is_refused(self) -> None:
        with pytest.raises(ValueError, match="digits"):
            unseal(b'{"a": ' + b"9" * 5000 + b"}")

    def test_equal_values_in_another_form_are_refused(self) -> None:
        document = json.loads(seal(self.document))
        with pytest.raises(ValueError, match="its digest does not fit"):
            unseal(json.dumps(document).encode())


class TestCatalogs:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        save_catalog(tmp_path / "catalog.arrow", CATALOG)
        return tmp_path / "catalog.arrow"

    def test_it_reads_back(self, path: Path) -> None:
        found = load_catalog(path)
        assert found
        assert (found.identity, found.archives, found.notes) == (CATALOG.identity, CATALOG.archives, ("a note",))
        assert found.table.equals(CATALOG.table)

    def test_its_last_16_bytes_are_the_digest_of_all_before(self, path: Path) -> None:
        data = path.read_bytes()
        assert data[-16:] == xxhash.xxh3_128_digest(data[:-16])

    def test_with_a_byte_flipped_anywhere_there_is_none(self, path: Path) -> None:
        sound = path.read_bytes()
        for position in range(0, len(sound), 5):
            path.write_bytes(sound[:position] + bytes([sound[position] ^ 1]) + sound[position + 1 :])
            assert load_catalog(path) is None

    def test_wherever_it_is_cut_there_is_none(self, path: Path) -> None:
        sound = path.read_bytes()
        for length in range(0, len(sound), 13):
            path.write_bytes(sound[:length])
            assert load_catalog(path) is None

    def test_a_digest_over_nonsense_makes_no_catalog(self, path: Path) -> None:
        for nonsense in (b"", b"ARROW1", b"ARROW1\0\0" + bytes(100), path.read_bytes()[:-200]):
            path.write_bytes(nonsense + xxhash.xxh3_128_digest(nonsense))
            assert load_catalog(path) is None

    def test_of_other_archives_there_is_none(self, path: Path) -> None:
        [archive] = CATALOG.archives
        assert load_catalog(path, CATALOG.archives)
        assert load_catalog(path, (replace(archive, modified=archive.modified + 1),)) is None
        assert load_catalog(path, ()) is None

    def test_a_missing_one_is_none(self, tmp_path: Path) -> None:
        assert load_catalog(tmp_path / "catalog.arrow") is None


class TestSpace:
    def test_enough_is_enough(self, tmp_path: Path) -> None:
        check_space(tmp_path / "not" / "yet" / "there", 1)

    def test_too_little_is_said_in_gigabytes(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"data needs 1,000,000,000\.0 GB, and its file system has .* GB free"):
            check_space(tmp_path / "data", 10**18)

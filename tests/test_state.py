"""What a data set keeps of itself: a receipt that can be read is true, and so are the catalog and the state."""

import json
from array import array
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import PIL
import pyarrow as pa
import pytest
import xxhash

from imagenet_prep import MemoryStore
from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.dataset.catalog_file import load_catalog, save_catalog
from imagenet_prep.dataset.layout import STATE
from imagenet_prep.dataset.receipts import load_receipt, save_receipt
from imagenet_prep.dataset.state import State, load_state, save_state, state_of
from imagenet_prep.errors import OtherBuildError, OutputError
from imagenet_prep.model.archive import Archive
from imagenet_prep.model.receipt import FileFact, Receipt, SetAside
from imagenet_prep.model.shards import ShardName
from imagenet_prep.options import BuildOptions
from imagenet_prep.planning.catalog import SCHEMA, Catalog
from imagenet_prep.planning.plan import plan
from imagenet_prep.stores import store_at
from support.sentences import Sentence

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("no_waiting_for_the_disk")]

RECEIPT = Receipt(
    output="tfds",
    identity="0123",
    shard=ShardName("train", 0, 2),
    rows=2,
    files=(FileFact("tfds/a", 10, "ff"), FileFact("tfds/b", 3, "ee")),
    columns={"digest": bytes(range(32)), "width": array("i", [500, 1]), "length": array("q", [2**40, 3])},
)
PLACE = ".imagenet-prep/receipts/tfds/train-00000-of-00002"

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


class TestReceipts:
    def test_a_receipt_reads_back(self, tmp_path: Path) -> None:
        store = store_at(tmp_path)
        save_receipt(store, RECEIPT)
        assert load_receipt(store, "tfds", RECEIPT.shard) == RECEIPT

    def test_a_missing_one_proves_nothing(self, tmp_path: Path) -> None:
        assert load_receipt(store_at(tmp_path), "tfds", RECEIPT.shard) is None

    def test_with_any_byte_flipped_it_proves_nothing(self, tmp_path: Path) -> None:
        store, path = store_at(tmp_path), tmp_path / PLACE
        save_receipt(store, RECEIPT)
        sound = path.read_bytes()
        for position in range(len(sound)):
            path.write_bytes(sound[:position] + bytes([sound[position] ^ 1]) + sound[position + 1 :])
            assert load_receipt(store, "tfds", RECEIPT.shard) is None

    def test_wherever_it_is_cut_it_proves_nothing(self, tmp_path: Path) -> None:
        store, path = store_at(tmp_path), tmp_path / PLACE
        save_receipt(store, RECEIPT)
        sound = path.read_bytes()
        for length in range(len(sound)):
            path.write_bytes(sound[:length])
            assert load_receipt(store, "tfds", RECEIPT.shard) is None

    def test_images_that_were_set_aside_and_how_closely_all_were_looked_at_read_back(self, tmp_path: Path) -> None:
        receipt = replace(RECEIPT, check="decode", set_aside=(SetAside(1, "is text", "n01440764_1.JPEG", 7, "dd"),))
        store = store_at(tmp_path)
        save_receipt(store, receipt)
        assert load_receipt(store, "tfds", RECEIPT.shard) == receipt

    @pytest.mark.parametrize(
        ("output", "shard"), [("tfds", ShardName("train", 1, 2)), ("tfrecord", ShardName("train", 0, 2))]
    )
    def test_under_the_name_of_another_shard_or_output_it_proves_nothing(
        self, tmp_path: Path, output: str, shard: ShardName
    ) -> None:
        store = store_at(tmp_path)
        save_receipt(store, RECEIPT)
        store.publish(f".imagenet-prep/receipts/{output}/{shard}", store.read(PLACE))
        assert load_receipt(store, output, shard) is None

    def test_of_another_version_it_proves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = store_at(tmp_path)
        save_receipt(store, RECEIPT)
        monkeypatch.setattr("imagenet_prep.dataset.receipts.RECEIPT_VERSION", 99)
        assert load_receipt(store, "tfds", RECEIPT.shard) is None

    def test_equal_receipts_are_equal_files(self, tmp_path: Path) -> None:
        stores = [store_at(tmp_path), MemoryStore()]
        for store in stores:
            save_receipt(store, RECEIPT)
        assert stores[0].read(PLACE) == stores[1].read(PLACE)


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
        save_catalog(store_at(tmp_path), "catalog.arrow", CATALOG)
        return tmp_path / "catalog.arrow"

    def test_it_reads_back(self, path: Path) -> None:
        found = loaded(path)
        assert found
        assert (found.archives, found.notes) == (CATALOG.archives, ("a note",))
        assert found.table.equals(CATALOG.table)

    def test_it_reads_back_from_memory_too(self) -> None:
        store = MemoryStore()
        save_catalog(store, "catalog.arrow", CATALOG)
        found = load_catalog(store, "catalog.arrow")
        assert found
        assert found.table.equals(CATALOG.table)

    def test_its_last_16_bytes_are_the_digest_of_all_before(self, path: Path) -> None:
        data = path.read_bytes()
        assert data[-16:] == xxhash.xxh3_128_digest(data[:-16])

    def test_with_a_byte_flipped_anywhere_there_is_none(self, path: Path) -> None:
        sound = path.read_bytes()
        for position in range(0, len(sound), 5):
            path.write_bytes(sound[:position] + bytes([sound[position] ^ 1]) + sound[position + 1 :])
            assert loaded(path) is None

    def test_wherever_it_is_cut_there_is_none(self, path: Path) -> None:
        sound = path.read_bytes()
        for length in range(0, len(sound), 13):
            path.write_bytes(sound[:length])
            assert loaded(path) is None

    def test_a_digest_over_nonsense_makes_no_catalog(self, path: Path) -> None:
        for nonsense in (b"", b"ARROW1", b"ARROW1\0\0" + bytes(100), path.read_bytes()[:-200]):
            path.write_bytes(nonsense + xxhash.xxh3_128_digest(nonsense))
            assert loaded(path) is None

    def test_of_other_archives_there_is_none(self, path: Path) -> None:
        [archive] = CATALOG.archives
        assert loaded(path, CATALOG.archives)
        assert loaded(path, (replace(archive, modified=archive.modified + 1),)) is None
        assert loaded(path, ()) is None

    def test_a_missing_one_is_none(self, tmp_path: Path) -> None:
        assert loaded(tmp_path / "catalog.arrow") is None


class TestStates:
    @pytest.fixture
    def state(self) -> State:
        recipe = BuildOptions.of(
            format=("folders", "tfrecord"), test_list=("n01440764_1.JPEG",), names="wnid", shards={"train": 2}
        ).recipe
        return state_of(plan(both_splits(), recipe), "decode", "set-aside")

    def test_it_reads_back_with_its_whole_recipe(self, state: State, tmp_path: Path) -> None:
        for store in (store_at(tmp_path), MemoryStore()):
            save_state(store, state)
            found = load_state(store)
            assert found is not None
            assert found == state
            assert found.recipe == state.recipe
            assert found.recipe.selection.test_list == ("n01440764_1.JPEG",)
            assert [source.path for source in found.sources] == ["/in/train.tar", "/in/val.tar"]
            assert (found.check, found.on_bad) == ("decode", "set-aside")

    def test_it_names_the_libraries_that_decide_bytes(self, state: State) -> None:
        assert {name: dict(output.libraries) for name, output in state.outputs.items()} == {
            "folders": {},
            "tfrecord": {"pillow": PIL.__version__},
        }

    def test_a_missing_one_is_none(self, tmp_path: Path) -> None:
        assert load_state(store_at(tmp_path)) is None
        (tmp_path / "file").touch()
        assert load_state(store_at(tmp_path / "file")) is None

    def test_a_damaged_one_is_never_believed(self, state: State, tmp_path: Path) -> None:
        store = store_at(tmp_path)
        save_state(store, state)
        sound = store.read(STATE)
        damaged = [b"", b"{}", sound[:-2], sound.replace(b"wnid", b"name"), b"{" * 100_000, b"\xff"]
        damaged += [sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :] for place in range(0, len(sound), 7)]
        for data in damaged:
            store.publish(STATE, data)
            with pytest.raises(OtherBuildError, match="damaged"):
                load_state(store)

    @pytest.mark.parametrize("change", [{"format_version": 99}, {"outputs": 3}, {"sources": [3]}, {"more": 1}])
    def test_a_sealed_one_of_another_form_is_refused(
        self, state: State, tmp_path: Path, change: dict[str, object]
    ) -> None:
        store = store_at(tmp_path)
        save_state(store, state)
        store.publish(STATE, seal({**unseal(store.read(STATE)), **change}))
        with pytest.raises(OtherBuildError) as caught:
            load_state(store)
        assert caught.value.exit_code == 5

    def test_one_that_cannot_be_read_is_an_error_of_the_output(self, tmp_path: Path, sentence: Sentence) -> None:
        (tmp_path / STATE).mkdir(parents=True)
        with pytest.raises(OutputError) as caught:
            load_state(store_at(tmp_path))
        sentence(caught.value)


def loaded(path: Path, *archives: tuple[Archive, ...]) -> Catalog | None:
    return load_catalog(store_at(path.parent), path.name, *archives)


def both_splits() -> Catalog:
    """A catalog with four train images and a validation image."""
    names = [*(f"n01440764_{number}.JPEG" for number in range(4)), "ILSVRC2012_val_00000001.JPEG"]
    columns: dict[str, list[object]] = {
        "name": [*names],
        "class_index": [*bytes(5)],
        "archive": [0, 0, 0, 0, 1],
        "container": [""] * 5,
        "offset": [512 * (row + 1) for row in range(5)],
        "size": [1] * 5,
        "boxes": [None] * 5,
    }
    table = pa.table({name: pa.array(columns[name], SCHEMA.field(name).type) for name in SCHEMA.names}, schema=SCHEMA)
    train = Archive("ILSVRC2012_img_train.tar", "train", 1, 0, path="/in/train.tar")
    return Catalog(table, (train, Archive("ILSVRC2012_img_val.tar", "validation", 1, 0, path="/in/val.tar")))

"""A finished data set, opened: any image by its number, from any output, as PyTorch's DataLoader wants one."""

from __future__ import annotations

import copy
import errno
import io
import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import xxhash
from PIL import Image

import imagenet_prep
from imagenet_prep import AuditError, BuildOptions, LabelledImage, MemoryStore, OtherBuildError, PrepError, UsageError
from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.dataset.index import Index, head_of, open_index
from imagenet_prep.outputs.base import OUTPUTS, output_class, output_from
from imagenet_prep.stores.base import RangeReader
from imagenet_prep.stores.local import LocalStore
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.build import contents
from support.sentences import Sentence

WNIDS = ("n01440764", "n02917067", "n04033995")
FORMATS = tuple(name for name in OUTPUTS if output_class(name).image_range)
SPLITS = ("train", "validation", "test")
QUIRKS = ("png", "cmyk", "greyscale", "exif-orientation", "text")
EVERY = pytest.mark.parametrize("output", FORMATS)
SHARDS = {"train": 3, "validation": 1, "test": 2}

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = MiniatureOptions(wnids=WNIDS, images_per_class=8, validation_per_class=2, quirks=QUIRKS, boxes=True)
    return write_miniature(tmp_path_factory.mktemp("open") / "archives", options).root


def build(archives: Path, out: Any, *formats: str, **given: Any) -> None:
    options = {"test_per_class": 2, "on_bad": "set-aside", "jobs": 1} | given
    if set(formats) - {"folders"}:
        options["shards"] = SHARDS
    imagenet_prep.build(archives, out, BuildOptions.of(format=formats, **options))


@pytest.fixture(scope="module")
def built(archives: Path) -> Path:
    """Nobody changes it."""
    build(archives, archives.parent / "data", *FORMATS)
    return archives.parent / "data"


@pytest.fixture
def own(built: Path, tmp_path: Path) -> Path:
    """A copy in another place, to spoil."""
    return shutil.copytree(built, tmp_path / "data")


@pytest.fixture(scope="module")
def manifest(built: Path) -> list[dict[str, Any]]:
    """The rows of the images that were written."""
    return [row for row in pq.read_table(built / "manifest.parquet").to_pylist() if row["set_aside"] is None]


def of(rows: list[dict[str, Any]], split: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["split"] == split]


def with_transform(image: LabelledImage) -> tuple[int, int]:
    return image.label, len(image.image)


# What it gives ----------------------------------------------------------------------------------------------------


@EVERY
def test_every_image_is_the_one_of_the_manifest(built: Path, output: str, manifest: list[dict[str, Any]]) -> None:
    with imagenet_prep.open(built, output=output) as data:
        assert data.splits == tuple(data) == SPLITS
        for split in SPLITS:
            rows = of(manifest, split)
            assert [(each.name, each.wnid, each.class_index) for each in data[split]] == [
                (row["name"], row["wnid"], row["class_index"]) for row in rows
            ]
            assert len(data[split]) == len(rows) > 0
            for image, row in zip(data[split], rows, strict=True):
                if not (row["converted"] and output_class(output).converts):
                    assert xxhash.xxh3_128_hexdigest(image.image) == row["digest"]


@EVERY
def test_a_converted_image_is_what_the_output_has(built: Path, output: str, manifest: list[dict[str, Any]]) -> None:
    data = imagenet_prep.open(built, output=output)
    converted = [row for row in manifest if row["converted"]]
    assert {row["kind"] for row in converted} == {"PNG", "JPEG_CMYK"}
    for row in converted:
        image = data[row["split"]][data[row["split"]].index_of(row["name"])].image
        kept = xxhash.xxh3_128_hexdigest(image) == row["digest"]
        assert kept != output_class(output).converts
        assert kept or image.startswith(b"\xff\xd8")


def test_an_image_says_what_it_is(built: Path) -> None:
    image = imagenet_prep.open(built)["train"].by_class("n02917067")[0]
    assert image.class_index == 466
    assert (image.label, image.wnid, image.class_name) == (1, "n02917067", "bullet_train")
    assert image.name == f"{image.key}.JPEG"
    assert image.key.startswith("n02917067_")


def test_labels_count_the_classes_that_there_are(built: Path) -> None:
    data = imagenet_prep.open(built)
    assert [facts.wnid for facts in data.classes] == sorted(WNIDS)
    assert data["train"].labels.tolist() == [image.label for image in data["train"]]
    assert set(data["train"].labels.tolist()) == {0, 1, 2}


def test_names_of_a_class_map_are_those_of_the_classes(archives: Path, tmp_path: Path) -> None:
    named = imagenet_prep.official().with_names("n01440764 449 my_fish\n")
    build(archives, tmp_path / "data", "folders", taxonomy=named)
    data = imagenet_prep.open(tmp_path / "data")
    assert data["train"].by_class("my_fish")[0].class_name == data.classes[0].name == "my_fish"


# Asking for it ----------------------------------------------------------------------------------------------------


def test_numbers_count_from_both_ends(built: Path) -> None:
    train = imagenet_prep.open(built)["train"]
    assert train[-1] == train[len(train) - 1] != train[0]
    assert train[np.int64(3)] == train[3]


def test_several_numbers_give_a_list_in_their_order(built: Path) -> None:
    train = imagenet_prep.open(built)["train"]
    assert train[[5, 1, -1, 1]] == [train[5], train[1], train[-1], train[1]] == train[np.array([5, 1, -1, 1])]
    assert train.__getitems__([2, 3]) == [train[2], train[3]]
    assert train[[]] == []


def test_a_slice_is_a_view_and_reads_nothing(own: Path) -> None:
    train = imagenet_prep.open(own, output="tfrecord")["train"]
    names = [image.name for image in train]
    shutil.rmtree(own / "tfrecord")
    again = imagenet_prep.open(own, output="tfrecord")["train"]
    part = again[2:8:2]
    assert len(part) == 3
    assert [again.index_of(name) for name in names[2:8:2]] == [2, 4, 6]
    assert [part.index_of(name) for name in names[2:8:2]] == [0, 1, 2]
    assert part.labels.tolist() == again.labels[2:8:2].tolist()


@pytest.mark.parametrize("wanted", ["n01440764", "tench", 0])
def test_the_images_of_a_class(built: Path, wanted: int | str) -> None:
    train = imagenet_prep.open(built)["train"]
    tenches = train.by_class(wanted)
    assert [image.name for image in tenches] == [image.name for image in train if image.class_index == 0]
    assert len(tenches) > 3
    assert {image.class_index for image in tenches[1:3]} == {0}
    assert tenches[1:3].index_of(tenches[2].name) == 1
    assert len(train[:0].by_class(wanted)) == 0


@EVERY
def test_every_image_is_found_by_its_name(built: Path, output: str) -> None:
    data = imagenet_prep.open(built, output=output)
    for split in SPLITS:
        assert [data[split].index_of(image.name) for image in data[split]] == list(range(len(data[split])))


def test_an_image_of_another_split_is_not_found(built: Path, sentence: Sentence) -> None:
    data = imagenet_prep.open(built)
    with pytest.raises(UsageError) as error:
        data["validation"].index_of(data["train"][0].name)
    for name in ("", "n01440764", "zzz", "\0_1.JPEG"):
        with pytest.raises(UsageError):
            data["train"].index_of(name)
    with pytest.raises(UsageError):
        data["train"].by_class("tench").index_of(data["train"].by_class("bullet_train")[0].name)
    assert error.value.exit_code == 2
    with pytest.raises(UsageError) as error:
        data["train"].index_of("n01440764_none.JPEG")
    sentence(error.value)


@pytest.mark.parametrize("index", [10_000, -10_000])
def test_a_number_out_of_range_is_an_index_error(built: Path, index: int) -> None:
    train = imagenet_prep.open(built)["train"]
    with pytest.raises(IndexError, match=rf"There is no image {index}: there are {len(train)}, from 0"):
        train[index]
    with pytest.raises(IndexError):
        train[[0, index]]
    with pytest.raises(IndexError):
        train.decode(index)


def test_what_is_asked_for_wrongly(built: Path, sentence: Sentence) -> None:
    data = imagenet_prep.open(built)
    wrong: dict[str, Any] = {
        "split": lambda: data["vaildation"],
        "name": lambda: data["train"]["n01440764_1.JPEG"],  # type: ignore[index]
        "float": lambda: data["train"][1.5],  # type: ignore[call-overload]
        "class": lambda: data["train"].by_class("unicorn"),
        "two classes": lambda: data["train"].by_class("crane"),
        "class index": lambda: data["train"].by_class(1000),
        "output": lambda: imagenet_prep.open(built, output="tfrecords"),
        "transform": lambda: imagenet_prep.open(built, transform="resize"),  # type: ignore[arg-type]
        "verify": lambda: imagenet_prep.open(built, verify="no"),  # type: ignore[arg-type]
    }
    said = []
    for ask in wrong.values():
        with pytest.raises(UsageError) as error:
            ask()
        said.append(str(error.value).replace(str(built), "OUT"))
    sentence("\n\n".join(said))


def test_a_transform_makes_what_comes(built: Path) -> None:
    plain, data = imagenet_prep.open(built), imagenet_prep.open(built, transform=with_transform)
    expected = [with_transform(image) for image in plain["train"]]
    assert list(data["train"]) == [data["train"][i] for i in range(len(expected))] == expected
    assert data["train"][[1, 0]] == [expected[1], expected[0]]
    assert np.array_equal(data["train"].decode(0), plain["train"].decode(0))


def test_the_output_is_the_first_that_can_be_opened_or_the_one_named(own: Path) -> None:
    shutil.rmtree(own / FORMATS[0])
    with pytest.raises(AuditError):
        imagenet_prep.open(own)["train"][0]
    assert imagenet_prep.open(own, output=FORMATS[1])["train"][0]


# Decoding ---------------------------------------------------------------------------------------------------------


@EVERY
def test_pixels_are_those_that_pillow_gives_without_turning_them(built: Path, output: str) -> None:
    data = imagenet_prep.open(built, output=output)
    modes = set()
    for split in SPLITS:
        for index, image in enumerate(data[split]):
            with Image.open(io.BytesIO(image.image)) as opened:
                modes.add((opened.format, opened.mode))
                expected = np.asarray(opened.convert("RGB"))
            decoded = data[split].decode(index)
            assert decoded.dtype == np.uint8
            assert decoded.flags.writeable
            assert decoded.shape == expected.shape
            assert np.abs(decoded.astype(int) - expected).max() <= 1  # two versions of one library
            assert np.array_equal(image.decode(), decoded)
    assert ("JPEG", "L") in modes
    assert output_class(output).converts or {("JPEG", "CMYK"), ("PNG", "RGB")} < modes


def test_what_does_not_decode_is_named(sentence: Sentence) -> None:
    image = LabelledImage(b"\xff\xd8" + bytes(200), 0, 0, "n01440764", "tench", "n01440764_1.JPEG", "n01440764_1")
    with pytest.raises(AuditError) as error:
        image.decode()
    sentence(error.value)


# Where it is used -------------------------------------------------------------------------------------------------


@EVERY
def test_it_survives_pickling_and_says_little(built: Path, output: str) -> None:
    data = imagenet_prep.open(built, output=output, transform=with_transform)
    for view in (data["train"], data["train"][3:9], data["train"].by_class("tench")):
        pickled = pickle.dumps(view)
        assert list(pickle.loads(pickled)) == list(copy.deepcopy(view)) == list(view)
        assert len(pickled) < 1500


@pytest.mark.parametrize("method", ["fork", "spawn"])
@EVERY
def test_processes_share_it(built: Path, output: str, method: str) -> None:
    train = imagenet_prep.open(built, output=output)["train"]
    expected = list(train)  # so that files are open here already
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(train.__getitem__, range(len(train)), chunksize=1) == expected


def test_threads_share_it(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagenet_prep.verbs.open.places._OPEN_FILES", 1)  # each lets go of what others read
    train = imagenet_prep.open(built, output="folders")["train"]
    wanted = [index % len(train) for index in range(2000)]
    expected = list(train)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(train.__getitem__, wanted)) == [expected[index] for index in wanted]


def test_few_files_are_open_and_none_is_left_open(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    monkeypatch.setattr("imagenet_prep.verbs.open.places._OPEN_FILES", 4)
    before = opened()
    with imagenet_prep.open(built, output="folders") as data:
        assert len(list(data["train"])) > 4
        assert opened() <= before + 4 + 1  # and the index
    assert opened() == before


def test_it_goes_on_where_the_folder_was_moved(own: Path, built: Path) -> None:
    there = own.rename(own.with_name("elsewhere"))
    assert list(imagenet_prep.open(there)["train"]) == list(imagenet_prep.open(built)["train"])


def test_a_data_set_may_be_read_only_and_without_its_state(own: Path) -> None:
    shutil.rmtree(own / ".imagenet-prep")
    assert len(list(imagenet_prep.open(own)["train"])) > 0


def test_a_data_set_in_memory_opens_as_well(archives: Path, built: Path) -> None:
    store = MemoryStore()
    build(archives, store, *FORMATS)
    for output in FORMATS:
        expected = list(imagenet_prep.open(built, output=output)["train"])
        assert list(imagenet_prep.open(store, output=output)["train"]) == expected


def test_a_worker_has_neither_arrow_nor_pytorch(built: Path) -> None:
    program = (
        "import sys, pickle, imagenet_prep\n"
        "view = pickle.loads(sys.stdin.buffer.read())\n"
        "for i in range(len(view)): view.decode(i)\n"
        "view.by_class('tench'), view.index_of(view[0].name)\n"
        "print(sorted({'pyarrow', 'torch', 'pandas'} & set(sys.modules)), 'numpy' in sys.modules)\n"
    )
    data = pickle.dumps(imagenet_prep.open(built)["train"])
    ended = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
    assert ended.stdout.decode() == "[] True\n"


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel")
def test_a_worker_takes_less_than_60_mb_for_a_million_images(tmp_path: Path) -> None:
    """Every page of an index of the real size is looked at: in the worst order a worker has no more."""
    path = tmp_path / "index"
    train, name = 1_281_167, b"\0_10026.JPEG"
    with path.open("wb") as file:
        file.write(head_of({"train": train}, train * len(name)))
        for kind in ("<u8", "<u8", "<u4"):
            file.write(np.arange(train).astype(kind).tobytes())
        file.write((np.arange(1, train + 1) * len(name)).astype("<u4").tobytes())
        file.write(np.arange(train).astype("<u4").tobytes() + np.zeros(train, "<u2").tobytes() + name * train)
    program = (
        "import sys, numpy as np\n"
        "from imagenet_prep.dataset.index import open_index\n"
        "def used(): return int(next(l for l in open('/proc/self/status') if 'VmRSS' in l).split()[1])\n"
        "np.zeros(10).sum(); np.unique(np.zeros(9)); before = used()\n"
        "with open(sys.argv[1], 'rb') as file: index = open_index(file)\n"
        "assert index.name(1_281_166) == 'n01440764_10026.JPEG'\n"
        "for column in index.columns.values(): int(column.max())\n"
        "print(used() - before)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, path], capture_output=True, check=True)
    assert 40_000 < int(ended.stdout) < 60_000  # kB


# The index --------------------------------------------------------------------------------------------------------


def test_the_order_of_work_does_not_reach_the_index(archives: Path, built: Path, tmp_path: Path) -> None:
    build(archives, tmp_path / "data", *FORMATS, jobs=2)
    assert contents(tmp_path / "data/index") == contents(built / "index")


def test_the_index_is_of_the_data_set(own: Path) -> None:
    listed = {file["path"] for file in json.loads((own / "build.json").read_text())["documents"]}
    assert {f"index/{output}.bin" for output in FORMATS} < listed
    imagenet_prep.audit(own)
    report = imagenet_prep.undo(own)
    assert report.kept == ()
    assert not own.exists()


@pytest.mark.parametrize("spoil", ["flipped", "removed"])
def test_audit_finds_a_spoilt_index_and_repair_writes_it_again(own: Path, spoil: str, sentence: Sentence) -> None:
    index = own / "index/tfds.bin"
    before = index.read_bytes()
    index.unlink() if spoil == "removed" else index.write_bytes(before[:-9] + b"!" + before[-8:])
    with pytest.raises(AuditError) as error:
        imagenet_prep.open(own, output="tfds")
    sentence(error.value, "open")
    with pytest.raises(AuditError) as error:
        imagenet_prep.audit(own)
    sentence(error.value, "audit")
    imagenet_prep.repair(own)
    assert index.read_bytes() == before
    assert imagenet_prep.open(own, output="tfds")["train"][0]


def test_the_manifest_says_where_the_image_is(built: Path, manifest: list[dict[str, Any]]) -> None:
    for row in manifest:
        for output in FORMATS:
            if (found := output_class(output).image_range) and found.offset:
                reader = output_from(output, {}).image_reader(LocalStore(str(built)), row[f"{output}.shard"])
                start, size = row[f"{output}.{found.offset}"], row[f"{output}.{found.length}"]
                image = reader.read(start, size)
                if row["converted"] and output_class(output).converts:
                    assert image.startswith(b"\xff\xd8")
                else:
                    assert xxhash.xxh3_128_hexdigest(image) == row["digest"]
                if f"{output}.offset" in row:
                    record = row[f"{output}.offset"]
                    assert record < start < start + size < record + row[f"{output}.length"]


@pytest.mark.parametrize("transfer", ["hardlink", "symlink"])
def test_linked_files_open_though_nobody_knows_their_digests(tmp_path: Path, transfer: str) -> None:
    options = MiniatureOptions(
        wnids=WNIDS, images_per_class=4, validation_per_class=2, quirks=(), boxes=False, layout="extracted"
    )
    source = write_miniature(tmp_path / "source", options).root
    build(source, tmp_path / "data", "folders", transfer=transfer, on_bad="fail")
    data = imagenet_prep.open(tmp_path / "data")
    assert not np.any(data.places.index.columns["digest"])
    for image in data["train"]:
        [file] = (tmp_path / "data/folders/train").rglob(image.name)
        assert image.image == file.read_bytes()


def test_names_of_any_kind_stand_in_an_index() -> None:
    names = ["n01440764_1.JPEG", "n01440764", "ILSVRC2012_val_00000001.JPEG", "ünï.JPEG"]
    encoded = [b"\0_1.JPEG", b"\0", names[2].encode(), names[3].encode()]
    columns: dict[str, Any] = {
        "name": np.frombuffer(b"".join(encoded), np.uint8),
        "name_end": np.cumsum(list(map(len, encoded))),
        "class_index": np.zeros(4, np.uint16),
        "by_name": np.array(sorted(range(4), key=lambda row: names[row].encode())),
    }
    index = Index({"train": range(4)}, columns)
    assert [index.name(row) for row in range(4)] == names
    assert [index.find(name) for name in names] == [0, 1, 2, 3]
    assert index.find("n01440764_") is None


def test_an_index_of_another_version_is_refused() -> None:
    head = head_of({}, 0)
    assert open_index(io.BytesIO(head)).splits == {}
    with pytest.raises(ValueError, match="of another version"):
        open_index(io.BytesIO(head.replace(b'"version": 1', b'"version": 2')))


# What it refuses --------------------------------------------------------------------------------------------------


def refused(out: Any, kind: type[PrepError], **given: Any) -> PrepError:
    with pytest.raises(kind) as error:
        imagenet_prep.open(out, **given)
    return error.value


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "other files", "a file"])
def test_what_is_not_a_data_set(tmp_path: Path, there: str, sentence: Sentence) -> None:
    out = tmp_path / "OUT"
    if there == "a file":
        out.touch()
    elif there != "nothing":
        out.mkdir()
    if there == "other files":
        (out / "train").mkdir()
    sentence(refused(out, UsageError), alike=True)


def test_a_data_set_that_is_half_built(own: Path, sentence: Sentence) -> None:
    (own / "build.json").unlink()
    error = refused(own, AuditError)
    assert error.exit_code == 7
    sentence(error)


def test_a_damaged_document(own: Path, sentence: Sentence) -> None:
    document = (own / "build.json").read_text()
    (own / "build.json").write_text(document.replace("train", "drain", 1))
    sentence(refused(own, AuditError))


def test_a_data_set_of_another_version(own: Path, sentence: Sentence) -> None:
    document = unseal((own / "build.json").read_bytes())
    (own / "build.json").write_bytes(seal(document | {"format_version": 2}))
    error = refused(own, OtherBuildError)
    assert error.exit_code == 5
    sentence(error)


def test_a_data_set_of_before_there_was_an_index(own: Path, sentence: Sentence) -> None:
    document = unseal((own / "build.json").read_bytes())
    document["documents"] = [file for file in document["documents"] if not file["path"].startswith("index/")]
    (own / "build.json").write_bytes(seal(document))
    shutil.rmtree(own / "index")
    error = refused(own, OtherBuildError)
    assert error.exit_code == 5
    sentence(error)


def test_an_output_that_does_not_say_where_images_lie(
    own: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence
) -> None:
    monkeypatch.setattr(output_class("tfds"), "image_range", None)
    sentence(refused(own, UsageError, output="tfds"), "one")
    for output in FORMATS:
        monkeypatch.setattr(output_class(output), "image_range", None)
    sentence(refused(own, UsageError), "all")


def test_such_an_output_has_no_index(archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_class("tfds"), "image_range", None)
    build(archives, tmp_path, "tfds")
    assert not (tmp_path / "index").exists()
    imagenet_prep.audit(tmp_path, imagenet_prep.AuditOptions(jobs=1))


def spoilt(out: Path, how: str, path: str) -> None:
    """Do something to a file of a data set."""
    file = out / path
    data = file.read_bytes()
    file.unlink()
    if how == "folder":
        file.mkdir()
    elif how == "shorter":
        file.write_bytes(data[:-1])
    elif how == "link":
        file.symlink_to("nowhere")
    elif how == "link to another":
        file.with_name("other").write_bytes(bytes(len(data)))
        file.symlink_to("other")
    elif how == "pipe":
        os.mkfifo(file)
    elif how == "flipped":
        file.write_bytes(bytes(byte ^ 1 for byte in data))


HOW = ("removed", "folder", "shorter", "link", "link to another", "pipe", "flipped")


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("output", ["tfrecord", "folders"])
def test_a_damaged_file_is_named(
    own: Path, output: str, how: str, manifest: list[dict[str, Any]], sentence: Sentence
) -> None:
    [row] = of(manifest, "train")[:1]
    spoilt(own, how, row[f"{output}.{output_class(output).file_column}"])
    train = imagenet_prep.open(own, output=output)["train"]
    with pytest.raises(PrepError) as error:
        train[0]
    assert error.value.exit_code == (6 if how == "pipe" else 7)
    sentence(error.value)


def test_damage_that_no_digest_is_asked_of_comes_as_it_is(own: Path, manifest: list[dict[str, Any]]) -> None:
    [row] = of(manifest, "train")[:1]
    spoilt(own, "flipped", row["folders.path"])
    image = imagenet_prep.open(own, output="folders", verify=False)["train"][0]
    assert xxhash.xxh3_128_hexdigest(bytes(byte ^ 1 for byte in image.image)) == row["digest"]


@pytest.mark.parametrize("output", FORMATS)
def test_one_flipped_bit_of_any_image_is_found(own: Path, output: str, manifest: list[dict[str, Any]]) -> None:
    """Converted images as well, whose digest the manifest does not have."""
    data = imagenet_prep.open(own, output=output)
    for row in manifest:
        file = own / row[f"{output}.{output_class(output).file_column}"]
        at = data[row["split"]].index_of(row["name"])
        whole = file.read_bytes()
        at = whole.index(data[row["split"]][at].image)
        changed = bytearray(whole)
        changed[at + 20] ^= 4
        with file.open("r+b") as opened:
            opened.write(changed)
        with pytest.raises(AuditError, match=r"is not the image that was written|cannot be read"):
            data[row["split"]][data[row["split"]].index_of(row["name"])]
        with file.open("r+b") as opened:
            opened.write(whole)


def test_a_file_that_becomes_shorter_while_it_is_open(own: Path, sentence: Sentence) -> None:
    train = imagenet_prep.open(own, output="tfrecord")["train"]
    assert train[0]
    for shard in (own / "tfrecord").glob("train-*"):
        os.truncate(shard, 100)
    with pytest.raises(AuditError) as error:
        train[0]
    sentence(error.value)


class Forbidden(LocalStore):
    """A folder of which no file may be read by parts: root, as which tests may run, may read everything."""

    def reader(self, path: str) -> RangeReader:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def test_what_may_not_be_read_is_not_called_damaged(built: Path, sentence: Sentence) -> None:
    with pytest.raises(imagenet_prep.OutputError) as error:
        imagenet_prep.open(Forbidden(str(built), "data"), output="tfrecord")["train"][0]
    sentence(error.value)


def test_what_is_closed_gives_nothing(built: Path, sentence: Sentence) -> None:
    data = imagenet_prep.open(built)
    train = data["train"]
    data.close()
    data.close()
    for ask in (lambda: train[0], lambda: train.labels, lambda: data["train"], lambda: pickle.dumps(train)):
        with pytest.raises(UsageError) as error:
            ask()
        sentence(error.value)


def test_a_data_set_shows_what_is_in_it(built: Path) -> None:
    data = imagenet_prep.open(built)
    where, images, how = repr(data).splitlines()
    assert where == f"<DataSet {built}"
    assert images.startswith(f" images: train {len(data['train']):,}, validation ")
    assert how == ' data["train"][0] is an image, with its label>'
    assert repr(data["train"][:2]) == "<View of 2 images>"
    data.close()
    assert repr(data) == "<DataSet, closed>"

"""Each seam carries something else, made here in at most 60 lines: an output, a source and a store."""

import base64
import inspect
import io
import json
import os
import subprocess
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, TypeAlias

import pyarrow.parquet as pq
import pytest

import imagenet_prep
from imagenet_prep import (
    AuditError,
    AuditOptions,
    BuildOptions,
    MemoryStore,
    Output,
    Problem,
    Progress,
    Sample,
    SourceError,
    UsageError,
)
from imagenet_prep.codecs.tfrecord import digest_of
from imagenet_prep.imagenet.archives import TRAIN, VALIDATION
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Buffer
from imagenet_prep.outputs import base
from imagenet_prep.outputs.base import Contents, PlannedShard, Shards, StoredShard, Written, shards_option
from imagenet_prep.sources import base as sources
from imagenet_prep.sources.base import Input, Part, Pieces, Seen, Source, Walk, all_sources
from imagenet_prep.sources.found import Found
from imagenet_prep.sources.labels import classes_by_name, role_of
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.stores.base import Batch, Listing, Sink, Stat, Store
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.contracts import Known, OutputContract, SourceContract
from support.build import contents
from support.sentences import Sentence

MOST_LINES = 60
SOUND = AuditOptions(jobs=1)
INDEXED = imagenet_prep.IndexOptions(jobs=1)
WHERE_FROM = ["source", "source_container", "source_offset"]

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonLines(Output):
    shards: Shards = shards_option()

    name: ClassVar[str] = "jsonl"
    overhead: ClassVar[int] = 1 << 20
    columns: ClassVar[Mapping[str, str]] = {"line": "i"}
    document_paths: ClassVar[tuple[str, ...]] = ("jsonl/index.json",)

    def writer(self, batch: Batch, planned: PlannedShard) -> "JsonLinesWriter":
        return JsonLinesWriter(batch.create(f"jsonl/{planned.shard}.jsonl"))

    def documents(self, contents: Contents) -> Mapping[str, bytes]:
        shards = [shard for split in contents.splits.values() for shard in split.shards]
        index = {shard.files[0].path: [shard.rows, shard.files[0].digest] for shard in shards}
        return {"jsonl/index.json": json.dumps(index, indent=1).encode()}

    def describe(self, contents: Contents) -> Mapping[str, str]:  # noqa: ARG002
        return {"jsonl": "JSON lines with base64"}

    def files(self, stored: StoredShard) -> Sequence[str]:
        return (f"jsonl/{stored.shard}.jsonl",)

    def sample_files(self, stored: StoredShard) -> Sequence[str]:
        return [f"jsonl/{stored.shard}.jsonl"] * len(stored.names)

    def read(self, store: Store, stored: StoredShard, seen: list[FileFact] | None = None) -> Iterator[Sample]:
        (path,) = self.files(stored)
        data = store.read(path)
        for line in data.splitlines(keepends=True):
            try:
                row = json.loads(line)
                name, class_index, image = row["name"], row["class_index"], row["image"]
            except (ValueError, KeyError, TypeError):
                name, class_index, image = "", -1, ""
            if line_of(name, class_index, image) != line:
                raise AuditError("A shard is damaged:", (Problem(path, "a line is damaged"),))
            yield Sample(name, base64.b64decode(image), class_index, 0, 0)
        if seen is not None:
            seen.append(FileFact(path, len(data), digest_of(data)))


@dataclass
class JsonLinesWriter:
    sink: Sink
    lines: int = 0

    def add(self, sample: Sample) -> None:
        self.sink.write(line_of(sample.name, sample.class_index, base64.b64encode(sample.image).decode()))
        self.lines += 1

    def leave_out(self, sample: Sample) -> None: ...

    def flush(self) -> None:
        self.sink.flush()

    def finish(self) -> Written:
        fact = self.sink.fact()
        return Written((fact,), fact.size, {"line": array("i", range(self.lines))})


def line_of(name: str, class_index: int, image: str) -> bytes:
    row = {"name": name, "class_index": class_index, "image": image}
    return json.dumps({**row, "digest": digest_of(json.dumps(row).encode())}).encode() + b"\n"


ROW = f"{__name__}.JsonLines"
FLAT: dict[str, Any] = {"test_per_class": 1, "shards": {"train": 2}, "on_bad": "set-aside", "jobs": 1}
BOTH = BuildOptions.of(format=("tfrecord", "folders"), **FLAT)
SET_ASIDE = BuildOptions.of(format=("tfrecord", "tfds", "folders"), **FLAT)


@pytest.fixture
def jsonl(monkeypatch: pytest.MonkeyPatch) -> BuildOptions:
    """The new output as one row in the table, and what to build with it."""
    monkeypatch.setattr(base, "OUTPUTS", {**base.OUTPUTS, "jsonl": ROW})
    return BuildOptions.of(format="jsonl", **FLAT)


class TestJsonLines(OutputContract):
    output = JsonLines()
    stores_sizes = False

    def test_it_takes_at_most_sixty_lines(self) -> None:
        source = "".join(inspect.getsource(part) for part in (JsonLines, JsonLinesWriter, line_of))
        assert len([line for line in source.splitlines() if line.strip()]) <= MOST_LINES


class TestADataSetOfJsonLines:
    def test_it_has_shards_and_an_index_made_from_all_receipts(
        self, jsonl: BuildOptions, two_classes: Miniature, tmp_path: Path
    ) -> None:
        report = imagenet_prep.build(two_classes.root, tmp_path / "data", jsonl)
        found = contents(tmp_path / "data")
        index = json.loads(found["jsonl/index.json"])
        assert {path: rows for path, (rows, _) in index.items()} == {
            path: data.count(b"\n") for path, data in found.items() if path.endswith(".jsonl")
        }
        assert list(index) == [
            f"jsonl/{name}.jsonl"
            for name in (
                "train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001", "test-00000-of-00001"
            )
        ]  # fmt: skip
        assert report.outputs["jsonl"] == "JSON lines with base64"
        assert imagenet_prep.audit(tmp_path / "data", SOUND).records == report.images

    def test_its_columns_are_in_the_manifest(self, jsonl: BuildOptions, two_classes: Miniature, tmp_path: Path) -> None:
        imagenet_prep.build(two_classes.root, tmp_path / "data", jsonl)
        rows = pq.read_table(tmp_path / "data/manifest.parquet").to_pylist()
        for row in (row for row in rows if not row["set_aside"]):
            line = (tmp_path / "data" / row["jsonl.shard"]).read_bytes().splitlines()[row["jsonl.line"]]
            assert json.loads(line)["name"] == row["name"]

    def test_damage_is_found_and_repaired(self, jsonl: BuildOptions, two_classes: Miniature, tmp_path: Path) -> None:
        out = tmp_path / "data"
        imagenet_prep.build(two_classes.root, out, jsonl)
        before = contents(out)
        shard = out / "jsonl/train-00001-of-00002.jsonl"
        shard.write_bytes(shard.read_bytes().replace(b'"class_index": 0', b'"class_index": 1', 1))
        with pytest.raises(AuditError) as caught:
            imagenet_prep.audit(out, SOUND)
        assert {problem.archive for problem in caught.value.problems} == {"jsonl/train-00001-of-00002.jsonl"}
        assert imagenet_prep.repair(out, jobs=1).reused == 3
        assert contents(out) == before

    def test_a_data_set_grows_by_it_and_it_grows_by_others(
        self, jsonl: BuildOptions, two_classes: Miniature, tmp_path: Path
    ) -> None:
        every = BuildOptions.of(format=("tfrecord", "folders", "jsonl"), **FLAT)
        imagenet_prep.build(two_classes.root, tmp_path / "at once", every)
        for name, steps in (("by it", (BOTH, jsonl)), ("by others", (jsonl, BOTH))):
            for step in steps:
                imagenet_prep.build(two_classes.root, tmp_path / name, step)
            assert contents(tmp_path / name) == contents(tmp_path / "at once")
            assert imagenet_prep.audit(tmp_path / name, SOUND).records == 45

    def test_an_undo_leaves_nothing_of_it(self, jsonl: BuildOptions, two_classes: Miniature, tmp_path: Path) -> None:
        out = tmp_path / "data"
        imagenet_prep.build(two_classes.root, out, jsonl)
        (out / "jsonl/mine.jsonl").write_text("{}")
        assert imagenet_prep.undo(out).kept == ("jsonl",)
        assert contents(out) == {"jsonl/mine.jsonl": b"{}"}

    def test_the_command_line_offers_it_with_its_options(self, two_classes: Miniature, tmp_path: Path) -> None:
        out = tmp_path / "data"
        options = ("--format", "jsonl", "--set", "jsonl.shards=train=3", "--test-per-class", 1, "--on-bad", "set-aside")
        assert with_it("build", two_classes.root, out, *options) == 3  # an image was set aside
        assert len(list((out / "jsonl").glob("train-*"))) == 3
        (out / "jsonl/train-00001-of-00003.jsonl").unlink()
        assert [with_it(verb, out) for verb in ("resume", "audit", "undo")] == [3, 0, 0]
        assert not out.exists()


def with_it(*arguments: object, row: tuple[str, ...] = ("outputs", "OUTPUTS", "jsonl", "JsonLines")) -> int:
    """Run the command with one more row in the table of a room; give its exit code."""
    room, table, name, kind = row
    code = (
        f"from imagenet_prep.{room} import base\n"
        f"base.{table} = {{**base.{table}, '{name}': 'test_seams.{kind}'}}\n"
        "from imagenet_prep.__main__ import main\nmain()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", code, *map(str, arguments), "--quiet"]
    return subprocess.run(command, check=False, env=environment, timeout=120).returncode


InMemory: TypeAlias = "MemoryStore | Dictionary"
Kind: TypeAlias = "type[MemoryStore | Dictionary]"


class DictionarySink:
    def __init__(self, path: str) -> None:
        self.path, self.data, self.size = path, bytearray(), 0

    def write(self, *buffers: Buffer) -> None:
        self.data += b"".join(buffers)
        self.size = len(self.data)

    def flush(self) -> None:
        return

    def fact(self) -> FileFact:
        return FileFact(self.path, self.size, digest_of(bytes(self.data)))


class DictionaryBatch(Batch):
    def __init__(self, store: "Dictionary") -> None:
        self.store, self.sinks = store, list[DictionarySink]()

    def create(self, path: str) -> DictionarySink:
        self.sinks.append(DictionarySink(path))
        return self.sinks[-1]

    def place(self, path: str, data: Buffer, source: str = "") -> None:  # noqa: ARG002
        self.store.publish(path, bytes(data))

    def discard(self, path: str) -> None:
        self.store.remove(path)

    def commit(self) -> None:
        for sink in self.sinks:
            self.store.publish(sink.path, bytes(sink.data))

    def __exit__(self, *_: object) -> None:
        self.sinks.clear()


class Dictionary(Store):
    place = "a dictionary"

    def __init__(self) -> None:
        self.files, self.stats = dict[str, bytes](), dict[str, Stat]()

    def batch(self) -> DictionaryBatch:
        return DictionaryBatch(self)

    def publish(self, path: str, data: bytes) -> FileFact:
        written = 1 + max((stat.version for stat in self.stats.values()), default=0)
        self.files[path], self.stats[path] = data, Stat(len(data), written, written)
        return FileFact(path, len(data), digest_of(data))

    def touch(self, path: str, time: int) -> None:
        self.stats[path] = self.stats[path]._replace(time=time)

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def stat(self, path: str) -> Stat | None:
        return self.stats[path] if path in self.files else None

    def list(self, folder: str) -> Listing:
        below = [PurePosixPath(path).relative_to(folder).parts for path in self.files if path.startswith(folder)]
        names = [{parts[0] for parts in below if (len(parts) == 1) is wanted} for wanted in (True, False)]
        return Listing(*map(sorted, names))

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def turn(self) -> AbstractContextManager[None]:
        return nullcontext()

    def hold(self, *, alone: bool) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()


def test_a_store_takes_at_most_sixty_lines() -> None:
    source = "".join(map(inspect.getsource, (DictionarySink, DictionaryBatch, Dictionary)))
    assert len([line for line in source.splitlines() if line.strip()]) <= MOST_LINES


@pytest.fixture(params=[MemoryStore, Dictionary])
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


class TestADataSetInMemory:
    """A whole life of a data set, without a file."""

    @pytest.fixture
    def store(self, kind: Kind, two_classes: Miniature) -> InMemory:
        store = kind()
        imagenet_prep.build(two_classes.root, store, SET_ASIDE)
        return store

    def test_it_is_the_one_that_a_folder_has(self, store: InMemory, two_classes: Miniature, tmp_path: Path) -> None:
        imagenet_prep.build(two_classes.root, tmp_path / "data", SET_ASIDE)
        assert public(store) == contents(tmp_path / "data")
        assert any(path.startswith("set-aside/") for path in store.files)

    def test_the_same_build_again_writes_nothing(self, store: InMemory, two_classes: Miniature) -> None:
        before = dict(store.files)
        report = imagenet_prep.build(two_classes.root, store, SET_ASIDE)
        assert (report.bytes_read, report.bytes_written, store.files) == (0, 0, before)

    def test_it_is_resumed_from_wherever_it_was_stopped(
        self, kind: Kind, store: InMemory, two_classes: Miniature
    ) -> None:
        for stop in range(5):
            other, seen = kind(), list[object]()

            def stopping(event: object, seen: list[object] = seen, stop: int = stop) -> None:
                seen.append(event)
                if sum(isinstance(each, Progress) and each.stage == "write" for each in seen) > stop:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                imagenet_prep.build(two_classes.root, other, SET_ASIDE, watch=stopping)
            assert "build.json" not in other.files
            imagenet_prep.resume(other, jobs=1)
            assert public(other) == public(store)

    def test_it_grows(self, kind: Kind, two_classes: Miniature) -> None:
        at_once, grown = kind(), kind()
        imagenet_prep.build(two_classes.root, at_once, SET_ASIDE)
        for name in ("folders", "tfds", "tfrecord"):
            shards = {} if name == "folders" else {"shards": {"train": 2}}
            step = BuildOptions.of(format=name, test_per_class=1, on_bad="set-aside", jobs=1, **shards)
            imagenet_prep.build(two_classes.root, grown, step)
        assert public(grown) == public(at_once)

    def test_an_audit_passes_and_finds_a_flipped_bit_in_every_file(self, store: InMemory) -> None:
        assert imagenet_prep.audit(store, SOUND).records == 45
        for path, data in list(store.files.items()):
            store.publish(path, data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 4]) + data[len(data) // 2 + 1 :])
            with pytest.raises(AuditError):
                imagenet_prep.audit(store, SOUND)
            store.publish(path, data)
        assert imagenet_prep.audit(store, SOUND).records == 45

    def test_a_repair_writes_again_what_is_damaged(self, store: InMemory) -> None:
        before = public(store)
        for path in ("tfrecord/train-00001-of-00002", "folders/classes.csv", "manifest.parquet"):
            store.publish(path, store.read(path)[:-1])
        store.remove(next(path for path in before if path.startswith("set-aside/")))
        imagenet_prep.repair(store, jobs=1)
        assert public(store) == before

    def test_an_undo_leaves_what_others_put_there(self, store: InMemory) -> None:
        store.publish("notes.txt", b"mine")
        assert imagenet_prep.undo(store).kept == ("notes.txt",)
        assert store.files == {"notes.txt": b"mine"}

    def test_it_holds_no_links_and_says_so_before_anything_is_written(self, kind: Kind, tmp_path: Path) -> None:
        source = write_files(tmp_path)
        for transfer in ("hardlink", "symlink", "move"):
            store = kind()
            with pytest.raises(UsageError, match=f"{store.place} cannot hold links"):
                imagenet_prep.build(source, store, BuildOptions.of(format="folders", transfer=transfer, jobs=1))
            assert store.files == {}


def write_files(folder: Path) -> Path:
    """A source of files."""
    options = MiniatureOptions(classes=1, images_per_class=60, validation_per_class=1, layout="extracted", boxes=False)
    return write_miniature(folder / "source", options).root


def public(store: InMemory) -> dict[str, bytes]:
    return {path: data for path, data in store.files.items() if not path.startswith(".imagenet-prep/")}


class OneFile(Source):
    """Images one after the other in images.bin, and in images.jsonl the name, WNID, offset and size of each."""

    def claims(self, name: str) -> bool:
        return name in ("images.bin", "images.jsonl")

    def find(self, seen: Seen) -> Iterator[Input]:
        for path in (path for path in seen.files if path.name == "images.bin"):
            try:
                status, roles = path.stat(), {role_of(row["name"]) for row in rows_of(path)}
            except (OSError, SourceError) as error:
                seen.problems.append(Problem(str(path), str(error)))
                continue
            for role in (TRAIN, VALIDATION):
                if role in roles:
                    yield Input(role, path, status.st_size, status.st_mtime_ns, source=self)

    def form(self, found: Input) -> str:  # noqa: ARG002
        return "images in one file"

    def pieces(self, found: Input) -> Pieces:
        wnids = {row["wnid"]: row for row in rows_of(found.path) if role_of(row["name"]) == found.role}
        return Pieces([Part(wnid, (official().index_of(wnid),)) for wnid in sorted(wnids)])

    def walk(self, work: Walk) -> list[Found]:
        rows = [row for row in rows_of(Path(work.path)) if role_of(row["name"]) == work.role]
        with source_errors(work.path):
            end = Path(work.path).stat().st_size
        return [self._found(work, part, [row for row in rows if row["wnid"] == part.name], end) for part in work.pieces]

    def _found(self, work: Walk, part: Part, rows: list[dict[str, Any]], end: int) -> Found:
        found = Found(work.archive, part.name)
        class_of = classes_by_name(work.role, work.truth, part.classes, f"the list of {part.name}")
        for row in rows:
            of = class_of(row["name"]) if row["offset"] + row["size"] <= end else "ends after the end of the file"
            if isinstance(of, int):
                found.add(row["name"], of, row["offset"], row["size"])
            else:
                found.problems.append(Problem(Path(work.path).name, of, row["name"], row["offset"]))
        return found


def rows_of(path: Path) -> list[dict[str, Any]]:
    beside = path.with_name("images.jsonl")
    with source_errors(beside):
        try:
            return [json.loads(line) for line in beside.read_bytes().splitlines()]
        except ValueError as error:
            raise SourceError("The list cannot be read:", (Problem(beside.name, str(error)),), "Write it.") from error


SOURCE_ROW = f"{__name__}.OneFile"


@pytest.fixture
def one_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The new kind of source as one row in the table; the kinds that were made of the table are forgotten."""
    monkeypatch.setattr(sources, "SOURCES", {**sources.SOURCES, "one-file": SOURCE_ROW})
    all_sources.cache_clear()
    yield
    all_sources.cache_clear()


def write_one_file(folder: Path, images: Sequence[Known]) -> Path:
    """Write the images, the last name first."""
    folder.mkdir(exist_ok=True)
    offset, lines, data = 0, [], []
    for image in sorted(images, reverse=True):
        row = {"name": image.name, "wnid": image.wnid, "offset": offset, "size": len(image.data)}
        lines.append(json.dumps(row) + "\n")
        data.append(image.data)
        offset += len(image.data)
    (folder / "images.bin").write_bytes(b"".join(data))
    (folder / "images.jsonl").write_text("".join(lines))
    return folder


def images_of(miniature: Miniature) -> list[Known]:
    """The images of archives, from where their catalog has them."""
    catalog, found = imagenet_prep.index(miniature.root, imagenet_prep.IndexOptions(jobs=1)), []
    for row in catalog.table.to_pylist():
        archive = catalog.archives[row["archive"]]
        data = Path(archive.path).read_bytes()[row["offset"] : row["offset"] + row["size"]]
        found.append(Known(row["name"], official().classes[row["class_index"]].wnid, archive.role, data))
    return found


@pytest.mark.usefixtures("one_file")
class TestOneFile(SourceContract):
    source = OneFile()

    def write(self, folder: Path) -> list[Known]:
        names = ("n01440764_3.JPEG", "n01440764_20.JPEG", "n02012849_1.JPEG", "n02012849_2.JPEG")
        images = [Known(name, name[:9], "train", name.encode() * 9) for name in names]
        images.append(Known("ILSVRC2012_val_00000001.JPEG", "n01751748", "validation", b"of a sea snake"))
        write_one_file(folder, images)
        return images

    def test_it_takes_at_most_sixty_lines(self) -> None:
        source = "".join(inspect.getsource(part) for part in (OneFile, rows_of))
        assert len([line for line in source.splitlines() if line.strip()]) <= MOST_LINES


@pytest.mark.usefixtures("one_file")
class TestADataSetFromOneFile:
    """The same images from another kind of source are the same data set."""

    @pytest.fixture
    def source(self, two_classes: Miniature, tmp_path: Path) -> Path:
        return write_one_file(tmp_path / "one", images_of(two_classes))

    def test_its_index_has_the_images_that_the_archives_have(self, source: Path, two_classes: Miniature) -> None:
        found, usual = (imagenet_prep.index(place, INDEXED) for place in (source, two_classes.root))
        columns = ["name", "class_index", "size"]
        assert sorted(map(str, found.table.select(columns).to_pylist())) == sorted(
            map(str, usual.table.select(columns).to_pylist())
        )
        assert [(archive.name, archive.role) for archive in found.archives] == [
            ("images.bin", "train"), ("images.bin", "validation"),
        ]  # fmt: skip
        assert imagenet_prep.index(source, imagenet_prep.IndexOptions(jobs=2)).table == found.table

    def test_a_check_says_what_it_is_and_decodes_its_images(self, source: Path, two_classes: Miniature) -> None:
        found, usual = (
            imagenet_prep.check(place, imagenet_prep.CheckOptions(jobs=1, full=True))
            for place in (source, two_classes.root)
        )
        assert {(piece.role, piece.form) for piece in found.pieces} == {
            ("train", "images in one file"), ("validation", "images in one file"),
        }  # fmt: skip
        assert (found.origins, found.decoded) == (usual.origins, usual.decoded)
        assert {(each.archive, each.reason, Path(each.member).name) for each in found.problems} == {
            ("images.bin", each.reason, Path(each.member).name) for each in usual.problems
        }

    def test_all_bytes_are_those_that_the_archives_give(
        self, source: Path, two_classes: Miniature, tmp_path: Path
    ) -> None:
        for place, out in ((source, "one file"), (two_classes.root, "archives")):
            imagenet_prep.build(place, tmp_path / out, SET_ASIDE)
        found, usual = contents(tmp_path / "one file"), contents(tmp_path / "archives")
        tables = [pq.read_table(io.BytesIO(of.pop("manifest.parquet"))) for of in (found, usual)]
        for of in (found, usual):
            del of["build.json"]
        assert found == usual
        assert [table.drop(WHERE_FROM).to_pylist() for table in tables[:1]] == [tables[1].drop(WHERE_FROM).to_pylist()]
        assert {row["source"] for row in tables[0].to_pylist()} == {"images.bin"}

    def test_it_is_audited_resumed_and_repaired(self, source: Path, tmp_path: Path) -> None:
        for stop in range(3):
            out, written = tmp_path / str(stop), list[object]()

            def stopping(event: object, written: list[object] = written, stop: int = stop) -> None:
                written += [event] if isinstance(event, Progress) and event.stage == "write" else []
                if len(written) > stop:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                imagenet_prep.build(source, out, BOTH, watch=stopping)
            assert not (out / "build.json").exists()
            imagenet_prep.resume(out, jobs=1)
            assert contents(out) == contents(tmp_path / "0")
        assert imagenet_prep.audit(out, SOUND).records == 30
        for shard in ("tfrecord/train-00001-of-00002", "manifest.parquet"):
            (out / shard).write_bytes((out / shard).read_bytes()[:-1])
            with pytest.raises(AuditError):
                imagenet_prep.audit(out, SOUND)
        imagenet_prep.repair(out, jobs=1)
        assert contents(out) == contents(tmp_path / "0")

    def test_a_data_set_from_it_grows_from_the_archives(
        self, source: Path, two_classes: Miniature, tmp_path: Path
    ) -> None:
        imagenet_prep.build(source, tmp_path / "data", BuildOptions.of(format="tfrecord", **FLAT))
        usual = BuildOptions.of(format="folders", test_per_class=1, on_bad="set-aside", jobs=1)
        imagenet_prep.build(two_classes.root, tmp_path / "data", usual)
        assert imagenet_prep.audit(tmp_path / "data", SOUND).records == 30

    def test_its_images_and_flat_ones_of_the_other_split_may_lie_in_one_folder(
        self, two_classes: Miniature, tmp_path: Path
    ) -> None:
        images = images_of(two_classes)
        place = write_one_file(tmp_path / "both", [image for image in images if image.split == "train"])
        for image in images:
            if image.split == "validation":
                (place / image.name).write_bytes(image.data)
        catalog = imagenet_prep.index(place, INDEXED)
        assert [(archive.name, archive.role) for archive in catalog.archives] == [
            ("images.bin", "train"), ("both", "validation"),
        ]  # fmt: skip
        assert len(catalog) == len(images)

    def test_it_has_no_files_to_link(self, source: Path, tmp_path: Path, sentence: Sentence) -> None:
        options = BuildOptions.of(format="folders", transfer="hardlink", test_per_class=0, jobs=1)
        with pytest.raises(UsageError) as caught:
            imagenet_prep.build(source, tmp_path / "data", options)
        sentence(caught.value)

    def test_the_command_line_takes_it(self, source: Path, tmp_path: Path) -> None:
        out, row = tmp_path / "data", ("sources", "SOURCES", "one-file", "OneFile")
        assert with_it("build", source, out, "--test-per-class", 1, "--on-bad", "set-aside", "--jobs", 2, row=row) == 3
        assert [with_it(verb, out, row=row) for verb in ("audit", "undo")] == [0, 0]

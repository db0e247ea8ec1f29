"""Every parser of bytes that may come from anywhere: one function each, sound inputs to start from, and the errors it
may raise. Whatever else it raises, or does not end, or allocates because a header says so, is a bug.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from http.client import HTTPException, HTTPResponse
from pathlib import Path

import xxhash

from fuzz import sound
from imagenet_prep.cli.recipe import read_recipe
from imagenet_prep.codecs.example import parse
from imagenet_prep.codecs.jpeg import MOST_PIXELS, Kind, NotAnImageError, decode, inspect, repair
from imagenet_prep.codecs.outline import OutlineError, outlines
from imagenet_prep.codecs.parquet_file import LONGEST_HEADER, page_header, page_in
from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.codecs.tar import Member, TarRange, walk
from imagenet_prep.dataset.layout import FOLDERS_BEFORE_MOVE, STATE, receipt_path
from imagenet_prep.dataset.receipts import load_receipt
from imagenet_prep.dataset.state import load_state
from imagenet_prep.errors import AuditError, OtherBuildError, OutputError, PrepError, SourceError, UsageError
from imagenet_prep.imagenet.archives import TRAIN, VALIDATION
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.imagenet.lists import chosen_classes, listed_names
from imagenet_prep.options import Recipe
from imagenet_prep.outputs.base import StoredShard, output_from
from imagenet_prep.sources.base import Walk
from imagenet_prep.sources.boxes import read_box_folder, read_boxes
from imagenet_prep.sources.devkit import read_ground_truth
from imagenet_prep.sources.kaggle import read_validation_classes
from imagenet_prep.sources.labels import classes_by_name
from imagenet_prep.sources.plain import plain_form
from imagenet_prep.sources.search import recognise
from imagenet_prep.stores.memory import MemoryStore
from imagenet_prep.testing.output_contract import CLASS_NAMES
from imagenet_prep.verbs.build.relocate import times_before
from imagenet_prep.verbs.fetch.address import Address, address_of
from imagenet_prep.verbs.fetch.answer import TryAgain, read_answer
from imagenet_prep.verbs.fetch.credentials import read_cookies, read_headers
from imagenet_prep.verbs.fetch.part import load_origin, part_path
from support.records import framed

SMALL_PIXELS = 1 << 14  # what is larger is looked at, but not decoded: a fuzzer wants to be quick


@dataclass
class Target:
    """A parser. ``words`` are what its inputs are made of, ``fields`` what may stand where in a block of 512
    bytes."""

    read: Callable[[bytes], object]
    make_sound: Callable[[], list[bytes]] = field(repr=False)
    words: tuple[bytes, ...] = field(repr=False)
    declared: type[Exception] = PrepError
    fields: Mapping[int, tuple[bytes, ...]] = field(default_factory=dict, repr=False)

    def run(self, data: bytes) -> None:
        """Read any bytes: what the parser declares it raises is no finding, if a terminal survives its words."""
        try:
            self.read(data)
        except self.declared as error:
            said = str(error).split("\n")
            assert all(map(str.isprintable, said)), said

    @cached_property
    def sound(self) -> list[bytes]:
        """Inputs that are read without an error: a fuzzer that starts from refused bytes learns little."""
        return self.make_sound()


# --- Archives ---------------------------------------------------------------------------------------------------------


def mended(data: bytes) -> bytes:
    """A tar whose header checksums fit, as an attacker would make it: by chance they never would."""
    blocks = bytearray(data)
    for start in range(0, len(data) - 511, 512):
        if data[start + 257 : start + 262] == b"ustar":
            blocks[start + 148 : start + 156] = b" " * 8
            blocks[start + 148 : start + 156] = b"%06o\0 " % sum(blocks[start : start + 512])
    return bytes(blocks)


def walk_tar(data: bytes) -> None:
    """Members must lie in the archive, one behind another, and no more of them than fit."""
    data, most = mended(data), len(data) // 512 + 1
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        found = list(itertools.islice(walk(TarRange(file.fileno(), "a.tar", "", 0, len(data))), most + 1))
    assert len(found) <= most, "the walk is endless"
    places = [(each.offset, each.size) for each in found if isinstance(each, Member)]
    assert all(size >= 0 and offset + size <= len(data) for offset, size in places)
    assert all(offset + size < later for (offset, size), (later, _) in itertools.pairwise(places))


def search_archive(data: bytes, name: str = "archive") -> None:
    """Whatever an archive is, it is recognised, walked as what it is, and every image lies in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        for found in recognise([path]).values():
            if found.source:
                pieces = tuple(found.source.pieces(found).pieces)
                work = Walk(found.source, 0, str(path), found.origin, pieces, validation_truth())
                for part in found.source.walk(work):
                    ends = map(int.__add__, part.offsets, part.sizes)
                    if found.packed and part.problems:  # it may end early, and is not used
                        continue
                    size = sum(map(len, plain_form(path))) if found.packed else len(data)
                    assert all(0 <= offset <= end <= size for offset, end in zip(part.offsets, ends, strict=True))
                    assert all(map(str.isprintable, map(str, part.problems)))


def read_file(read: Callable[[Path], object], prepared: Callable[[bytes], bytes], data: bytes) -> object:
    """Give the bytes to a reader of files."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(prepared(data))
        file.flush()
        return read(Path(file.name))


def read_annotation(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "n01440764_18.xml").write_bytes(data)
        ((_, boxes),) = read_box_folder(Path(folder), [""])
    assert all(0 <= box.xmin < box.xmax <= 1 and 0 <= box.ymin < box.ymax <= 1 for box in boxes)


# --- Images -----------------------------------------------------------------------------------------------------------


def inspect_image(data: bytes) -> None:
    facts = inspect(data)
    assert 0 < facts.width * facts.height <= MOST_PIXELS
    assert 0 <= facts.orientation <= 8


def decode_image(data: bytes) -> None:
    facts = inspect(data)
    assert 0 < facts.width * facts.height <= MOST_PIXELS
    if facts.width * facts.height > SMALL_PIXELS:
        return
    with contextlib.suppress(NotAnImageError):  # what does not decode strictly may still be repaired
        decode(data, facts)
    if facts.needs_repair:
        assert inspect(repair(data)[0]).kind is Kind.JPEG


# --- Records, names ---------------------------------------------------------------------------------------------------


def summed(data: bytes) -> bytes:
    """Parquet whose pages have the checksums that fit."""
    start, parts = 4, [data[:4]]
    with contextlib.suppress(ValueError):
        while True:
            header, size = page_in(data[start : start + LONGEST_HEADER])
            page = data[start + header : start + header + size]
            rows = data[start + header - 9] // 2  # of a few
            parts += [page_header(size, rows, zlib.crc32(page)), page]
            start += header + size
    return b"".join(parts) + data[start:]


def read_shard(name: str, prepared: Callable[[bytes], bytes], data: bytes) -> None:
    store, output, of = MemoryStore(), output_from(name, {}), StoredShard(sound.SHARD, (), (), CLASS_NAMES)
    store.publish(output.files(of)[0], prepared(data))
    for sample in output.read(store, of):
        assert isinstance(sample.name, str)
        assert isinstance(sample.class_index, int)


def read_outlines(data: bytes) -> None:
    """All records of a file, by what is around their images."""
    keys = ("image/filename", "image/class/label", "file_name", "label")
    images = ("image/encoded", "image")
    for record in outlines(lambda size, offset: data[offset : offset + size], len(data), images, keys):
        assert all(0 < start <= start + size <= len(data) for start, size in record.images.values())


def read_name(data: bytes) -> None:
    name = data.decode("utf-8", "surrogateescape")
    for role in (TRAIN, VALIDATION):
        found = classes_by_name(role, validation_truth(), (0, 1), "a folder")(name)
        assert isinstance(found, str) or 0 <= found < 1000


def read_receipt(data: bytes) -> None:
    """A fuzzer sees what the digest is compared with, and forges it: whoever can do that need not send damage."""
    known = data in TARGETS["receipt"].sound
    if not known and xxhash.xxh3_128_digest(data[:-16]) == data[-16:]:
        return
    store = MemoryStore()
    store.publish(receipt_path("tfds", sound.SHARD), data)
    assert (load_receipt(store, "tfds", sound.SHARD) is not None) is known


def read_private(target: str, path: str, read: Callable[[MemoryStore], object], data: bytes) -> None:
    """A sealed document of a data set, which is believed as a whole or not at all."""
    known = data in TARGETS[target].sound
    with contextlib.suppress(ValueError):
        unseal(data)
        if not known:  # a fuzzer sees what the digest is compared with, and forges it
            return
    store = MemoryStore()
    store.publish(path, data)
    read(store)
    assert known


def read_recipe_file(suffix: str, data: bytes) -> None:
    """A recipe of somebody else: what is accepted is complete, and reads back as it is."""
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(data)
        file.flush()
        recipe = read_recipe(Path(file.name))
    assert Recipe.from_document(json.loads(json.dumps(recipe.document()))) == recipe


# --- What comes from elsewhere ----------------------------------------------------------------------------------------


def read_url(data: bytes) -> None:
    """The name must be one for a file in the folder, and nothing else of the URL may be shown."""
    address = address_of(data.decode("utf-8", "surrogateescape"))
    assert address.name not in ("", ".", "..")
    assert not set(address.name) & {"/", "\0"}
    assert address.url not in repr(address)


class _Wire:
    """What ``http.client`` wants of a socket that has these bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def read_server(data: bytes) -> None:
    """Bytes that a server sends, whatever they are: no byte may come of a part that was not asked for."""
    address = Address("http://example.org/x.tar", "x.tar", "example.org")
    response = HTTPResponse(_Wire(data))  # type: ignore[arg-type]
    with contextlib.suppress(TryAgain, HTTPException, ValueError), contextlib.closing(response):
        response.begin()
        answer = read_answer(address, response.status, dict(response.headers), 5, response.read1)
        assert answer.start in (0, 5)


def read_note(data: bytes) -> None:
    """A note beside a part that proves itself, whoever made it, is one, or none."""
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(data)
        data = seal(document) if isinstance(document, dict) else data
    with tempfile.TemporaryDirectory() as folder:
        final = Path(folder, "x")
        part_path(final).touch()
        Path(f"{part_path(final)}.json").write_bytes(data)
        load_origin(final)


def _file(read: Callable[[Path], object], prepared: Callable[[bytes], bytes] = bytes) -> Callable[[bytes], object]:
    return partial(read_file, read, prepared)


TARGETS = {
    "tar": Target(walk_tar, sound.tars, sound.TAR_WORDS, SourceError, sound.TAR_FIELDS),
    "archive": Target(
        lambda data: search_archive(mended(data)), sound.archives, sound.TAR_WORDS, SourceError, sound.TAR_FIELDS
    ),
    "packed": Target(search_archive, sound.packed, sound.ZIP_WORDS, SourceError),
    "zip": Target(search_archive, sound.zips, sound.ZIP_WORDS, SourceError),
    "parquet-source": Target(
        lambda data: search_archive(data, "train.parquet"), sound.tables, sound.PARQUET_WORDS, SourceError
    ),
    "devkit": Target(_file(read_ground_truth, mended), sound.devkits, sound.TAR_WORDS, SourceError, sound.TAR_FIELDS),
    "boxes": Target(
        _file(lambda path: list(read_boxes(path)), mended),
        sound.boxes,
        sound.TAR_WORDS + sound.XML_WORDS,
        SourceError,
        sound.TAR_FIELDS,
    ),
    "annotation": Target(read_annotation, lambda: [sound.ANNOTATION], sound.XML_WORDS, SourceError),
    "jpeg": Target(inspect_image, sound.jpegs, sound.JPEG_WORDS, NotAnImageError),
    "image": Target(decode_image, sound.images, sound.IMAGE_WORDS, NotAnImageError),
    "tfrecord": Target(
        partial(read_shard, "tfrecord", bytes), sound.shards("tfrecord"), sound.EXAMPLE_WORDS, AuditError
    ),
    "tfds": Target(partial(read_shard, "tfds", bytes), sound.shards("tfds"), sound.EXAMPLE_WORDS, AuditError),
    "mds": Target(partial(read_shard, "mds", bytes), sound.shards("mds"), sound.EXAMPLE_WORDS, AuditError),
    "litdata": Target(partial(read_shard, "litdata", bytes), sound.shards("litdata"), sound.EXAMPLE_WORDS, AuditError),
    "tfrecord-framed": Target(
        partial(read_shard, "tfrecord", framed), sound.examples("tfrecord"), sound.EXAMPLE_WORDS, AuditError
    ),
    "tfds-framed": Target(partial(read_shard, "tfds", framed), sound.examples("tfds"), sound.EXAMPLE_WORDS, AuditError),
    "parquet": Target(partial(read_shard, "parquet", summed), sound.shards("parquet"), sound.PARQUET_WORDS, AuditError),
    "outline": Target(read_outlines, sound.shards("tfrecord"), sound.EXAMPLE_WORDS, OutlineError),
    "example": Target(parse, sound.examples("tfrecord"), sound.EXAMPLE_WORDS, ValueError),
    "kaggle": Target(_file(read_validation_classes), sound.solutions, sound.LIST_WORDS, SourceError),
    "map": Target(lambda data: official().with_names(data), sound.maps, sound.LIST_WORDS, SourceError),
    "class-list": Target(lambda data: chosen_classes(data, "list"), sound.class_lists, sound.LIST_WORDS, UsageError),
    "image-list": Target(lambda data: listed_names(data, "list"), sound.image_lists, sound.LIST_WORDS, UsageError),
    "name": Target(read_name, sound.names, sound.LIST_WORDS),
    "receipt": Target(read_receipt, sound.receipts, sound.JSON_WORDS),
    "state": Target(partial(read_private, "state", STATE, load_state), sound.states, sound.JSON_WORDS, OtherBuildError),
    "moved-from": Target(
        partial(read_private, "moved-from", FOLDERS_BEFORE_MOVE, times_before),
        sound.moves,
        sound.JSON_WORDS,
        OutputError,
    ),
    "recipe": Target(partial(read_recipe_file, ".json"), sound.recipes, sound.JSON_WORDS + sound.RECIPE_WORDS),
    "recipe-toml": Target(partial(read_recipe_file, ".toml"), sound.toml_recipes, sound.RECIPE_WORDS),
    "url": Target(read_url, sound.urls, sound.URL_WORDS, UsageError),
    "cookies": Target(_file(read_cookies), sound.cookies, sound.CREDENTIAL_WORDS, UsageError),
    "headers": Target(_file(read_headers), sound.headers, sound.CREDENTIAL_WORDS, UsageError),
    "server": Target(read_server, sound.answers, sound.HTTP_WORDS, SourceError),
    "note": Target(read_note, sound.notes, sound.JSON_WORDS + sound.NOTE_WORDS),
    "document": Target(unseal, sound.documents, sound.JSON_WORDS, ValueError),
}

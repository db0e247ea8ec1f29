"""Parquet with the images in it, as Hugging Face wants them; pandas, Polars and DuckDB read it, too.

Nothing is converted: readers decode whatever an image is, and a column says what that is. Images are not compressed
again, so each lies in its file as a whole, and ``open`` reads it without Parquet. By the names of shards Hugging Face
knows the split.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO, ClassVar

from fastcrc.crc32 import iso_hdlc as crc32  # zlib's

from imagenet_prep.codecs.parquet_file import LONGEST_HEADER, MAGIC, RowGroup, page_header, page_in, rows_in
from imagenet_prep.codecs.parquet_schema import COLUMNS, ROWS, Row, before_image, decode, encode, ending
from imagenet_prep.errors import AuditError, Problem
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import (
    Contents,
    ImageRange,
    Output,
    PlannedShard,
    Reader,
    Shards,
    ShardWriter,
    StoredShard,
    Written,
    shards_option,
)
from imagenet_prep.outputs.shard_file import ShardFile
from imagenet_prep.stores.base import Batch, Store

FOLDER = "parquet"
_LAST = 4 + len(MAGIC)  # bytes that a file ends with: how long the footer before them is, and MAGIC
_FOOTER_START = 4096  # bytes, with the schema and the number of rows
_HUGGING_FACE = """\
from datasets import load_dataset

train = load_dataset("parquet", data_dir="DATA/parquet", split="train", streaming=True)
for row in train.shuffle(seed=1, buffer_size=1000).take(3):
    print(row["image"].size, row["label"], row["class_name"])
"""
_TIMM = """\
from timm.data import create_dataset

train = create_dataset("hfds/DATA/parquet", root="DATA-cache", split="train")  # copies the images to DATA-cache
image, label = train[0]
print(image.size, label)
"""
_PANDAS = """\
from glob import glob
from io import BytesIO

import pandas as pd
from PIL import Image

shard = pd.read_parquet(sorted(glob("DATA/parquet/train-*.parquet"))[0])
for row in shard.head(3).itertuples():
    print(Image.open(BytesIO(row.image["bytes"])).size, row.label, row.class_name)
"""
_POLARS = """\
from io import BytesIO

import polars as pl
from PIL import Image

train = pl.scan_parquet("DATA/parquet/train-*.parquet")
for row in train.head(3).collect().iter_rows(named=True):
    print(Image.open(BytesIO(row["image"]["bytes"])).size, row["label"], row["class_name"])
"""
_DUCKDB = """\
from io import BytesIO

import duckdb
from PIL import Image

train = "FROM 'DATA/parquet/train-*.parquet'"
print(duckdb.sql(f"SELECT class_name, count(*) {train} GROUP BY class_name"))
for image, label in duckdb.sql(f"SELECT image.bytes, label {train} LIMIT 3").fetchall():
    print(Image.open(BytesIO(image)).size, label)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parquet(Output):
    """``OUT/parquet/train-00000-of-01024.parquet`` and so on."""

    shards: Shards = shards_option()

    name: ClassVar[str] = FOLDER
    folder: ClassVar[str] = FOLDER
    overhead: ClassVar[int] = 1024  # some 300, and in each file 20 kB of class names
    columns: ClassVar[Mapping[str, str]] = MappingProxyType({"row": "i", "image_offset": "q", "image_length": "i"})
    image_range: ClassVar[ImageRange | None] = ImageRange("image_offset", "image_length")
    least_shards: ClassVar[int] = 64
    readers: ClassVar[tuple[Reader, ...]] = (
        Reader("huggingface", _HUGGING_FACE, "datasets pillow", meant_by=("huggingface",)),
        Reader("timm", _TIMM, "timm datasets"),
        Reader("pandas", _PANDAS, "pandas pyarrow pillow"),
        Reader("polars", _POLARS, "polars pillow"),
        Reader("duckdb", _DUCKDB, "duckdb pillow"),
    )

    def writer(self, batch: Batch, planned: PlannedShard) -> ShardWriter:
        """Open a shard."""
        return _Writer(batch, planned.shard, planned.class_names)

    def files(self, stored: StoredShard) -> Sequence[str]:
        """Give the shard."""
        return (_shard_path(stored.shard),)

    def sample_files(self, stored: StoredShard) -> Sequence[str]:
        """Every sample lies in the shard."""
        return [_shard_path(stored.shard)] * len(stored.names)

    def documents(self, contents: Contents) -> Mapping[str, bytes]:  # noqa: ARG002
        """Every shard describes itself."""
        return {}

    def describe(self, contents: Contents) -> Mapping[str, str]:  # noqa: ARG002
        """Name the folder."""
        return {FOLDER: "Parquet for Hugging Face, timm, pandas, Polars and DuckDB; label is 0…999 in WNID order"}

    def read(self, store: Store, stored: StoredShard, seen: list[FileFact] | None = None) -> Iterator[Sample]:
        """Read the samples back, in order, a row group at a time; all that is not an image must be, byte for byte, what
        the writer makes of the samples.
        """
        path = _shard_path(stored.shard)
        with store.open(path) as file:
            found = store.stat(path)
            shard = _Reader(file, path, found.size if found else 0, stored.class_names)
            yield from shard.samples()
        if seen is not None:
            seen.append(shard.fact())


def _shard_path(shard: ShardName) -> str:
    return f"{FOLDER}/{shard}.parquet"


class _Writer:
    def __init__(self, batch: Batch, shard: ShardName, class_names: Sequence[str]) -> None:
        self._out = batch.create(_shard_path(shard))
        self._class_names = class_names
        self._rows: list[Row] = []  # of the row group that is not complete
        self._groups: list[RowGroup] = []
        self._start = len(MAGIC)  # of that row group
        self._offsets, self._lengths = array("q"), array("i")
        self._out.write(MAGIC)

    def add(self, sample: Sample) -> None:
        """Take one sample, without copying its image."""
        image = sample.image
        before = before_image(image)
        before = page_header(len(before) + len(image), 1, crc32(image, crc32(before))) + before
        self._offsets.append(self._out.size + len(before))
        self._lengths.append(len(image))
        self._out.write(before, image)
        self._rows.append(Row(sample.name, sample.class_index, sample.width, sample.height, sample.kind))
        if len(self._rows) == ROWS:
            self._end_row_group()

    def leave_out(self, sample: Sample) -> None:
        """Nothing of it was ever written: a shard is written as a whole."""

    def flush(self) -> None:
        """Write what was taken."""
        self._out.flush()

    def finish(self) -> Written:
        """Complete the shard."""
        if self._rows:
            self._end_row_group()
        self._out.write(ending(self._groups, self._class_names))
        file = self._out.fact()
        rows = array("i", range(len(self._lengths)))
        columns = {"row": rows, "image_offset": self._offsets, "image_length": self._lengths}
        return Written((file,), file.size, columns)

    def _end_row_group(self) -> None:
        bounds = [self._start, self._out.size]
        for page in encode(self._rows, self._class_names):
            self._out.write(page_header(len(page), len(self._rows), crc32(page)), page)
            bounds.append(self._out.size)
        self._groups.append(RowGroup(len(self._rows), bounds))
        self._rows.clear()
        self._start = self._out.size


class _Reader(ShardFile):
    """One shard being read. What is wrong raises AuditError with the offset of the page it is in."""

    def __init__(self, file: BinaryIO, path: str, size: int, class_names: Sequence[str]) -> None:
        super().__init__(file, path, size)
        self._class_names = class_names
        self._start = 0  # of what is being read

    def samples(self) -> Iterator[Sample]:
        """Give all samples."""
        try:
            left, groups = self._count(), list[RowGroup]()
            self._expect(MAGIC, "the file does not begin as Parquet does")
            while left > 0:
                group, samples = self._row_group(min(left, ROWS))
                yield from samples
                groups.append(group)
                left -= group.rows
            end = ending(groups, self._class_names)
            self._expect(end, "the footer does not describe its pages", left=self.size - self.offset)
        except ValueError as error:
            raise AuditError("A shard is damaged:", (Problem(self.path, str(error), offset=self._start),)) from error

    def _count(self) -> int:
        """Look in the footer for the number of rows."""
        self._start = max(0, self.size - _LAST)
        self.file.seek(self._start)
        end = self.file.read(_LAST)
        footer = self._start - int.from_bytes(end[:4], "little")
        if end[4:] != MAGIC or footer < len(MAGIC):
            raise ValueError("the file does not end as Parquet does")
        self._start = self.file.seek(footer)
        count = rows_in(self.file.read(_FOOTER_START), COLUMNS)
        self.file.seek(0)
        return count

    def _row_group(self, rows: int) -> tuple[RowGroup, list[Sample]]:
        bounds = [self.offset]
        images = [self._image() for _ in range(rows)]
        pages = []
        for _ in COLUMNS[1:]:
            bounds.append(self.offset)
            pages.append(self._page(rows))
        self._start = bounds[0]
        found = decode(pages, rows)
        if encode(found, self._class_names) != pages:
            raise ValueError("the columns of a row group do not belong together")
        samples = [
            Sample(row.name, image, row.class_index, row.width, row.height, kind=row.kind)
            for row, image in zip(found, images, strict=True)
        ]
        return RowGroup(rows, (*bounds, self.offset)), samples

    def _image(self) -> memoryview:
        page = self._page(1)
        image = memoryview(page)[len(before_image(b"")) :]
        if not page.startswith(before_image(image)):
            raise ValueError("a page does not hold one image")
        return image

    def _page(self, rows: int) -> bytes:
        self._start = self.offset
        header, size = page_in(self.file.read(LONGEST_HEADER))
        self.file.seek(self.offset)
        start, data = self.take(header), self.take(size)
        if start != page_header(size, rows, crc32(data)):
            raise ValueError("a page does not match its checksum")
        return data

    def _expect(self, data: bytes, problem: str, left: int | None = None) -> None:
        """Take ``data``, of which, where it is the last, so many bytes are left."""
        self._start = self.offset
        if left not in (None, len(data)) or self.take(len(data)) != data:
            raise ValueError(problem)

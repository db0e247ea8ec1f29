"""The manifest: one row an image, as Parquet, made from plan and receipts. pandas, Polars and DuckDB read it.

The rows are in the order of the selection, whatever order outputs were written in: a data set that has grown has the
manifest that it would have had if it had been built at once. What was decided before an image was read comes from the
plan, what was learnt from its bytes from the receipts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from imagenet_prep.codecs.jpeg import Kind
from imagenet_prep.dataset.layout import MANIFEST
from imagenet_prep.errors import Problem, printable
from imagenet_prep.imagenet.classes import official
from imagenet_prep.imagenet.names import file_of
from imagenet_prep.model.receipt import UNREAD_KIND, FileFact, Receipt, SetAside
from imagenet_prep.outputs.base import StoredShard
from imagenet_prep.planning.plan import OutputPlan, Plan
from imagenet_prep.planning.splits import Rows
from imagenet_prep.stores.base import Sink, Store

_ROW_GROUP = 1 << 16  # rows: few enough for memory, and enough for a reader to skip what it does not want
_HEX_DIGITS = 32
_DIGEST_BYTES = 16
_NUMBERS = {
    "width": np.int32,
    "height": np.int32,
    "components": np.int8,
    "kind": np.int8,
    "orientation": np.int8,
    "converted": np.bool_,
}
_TYPES = {"i": pa.int32(), "q": pa.int64()}

Column = npt.NDArray[Any]


class _Placed(NamedTuple):
    """What the receipts of one output say of every image: number of its shard, and values of the output's columns."""

    shard: Column
    columns: dict[str, Column]


class Images:
    """What is known of every image of a plan, by place in the order of the selection, filled from receipts."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rows: Rows = np.concatenate(list(plan.members.values()))
        self._place = np.full(len(plan.catalog), -1, np.int32)  # by catalog row
        self._place[self.rows] = np.arange(len(self.rows), dtype=np.int32)
        count = len(self.rows)
        self._facts: dict[str, Column] = {name: np.zeros(count, kind) for name, kind in _NUMBERS.items()}
        self._facts["kind"][:] = UNREAD_KIND
        self._digests = np.zeros((count, _DIGEST_BYTES), np.uint8)
        self._stored: dict[int, int] = {}  # what converted images became: the lower half of its digest, by place
        self.set_aside: dict[int, SetAside] = {}
        self._outputs = {each.output.name: self._placed(each, count) for each in plan.outputs}

    def _placed(self, of: OutputPlan, count: int) -> _Placed:
        columns: dict[str, Column] = {name: np.zeros(count, code) for name, code in of.output.columns.items()}
        return _Placed(np.zeros(count, np.int32), columns)

    def add(self, of: OutputPlan, number: int, receipt: Receipt) -> None:
        """Take what a receipt of the shard ``number`` of an output says."""
        shard = of.shards[number]
        places = self._place[shard.rows]
        for image in receipt.set_aside:
            self.set_aside[int(places[image.place])] = image
            self._digests[places[image.place]] = np.frombuffer(bytes.fromhex(image.digest), np.uint8)
        if receipt.set_aside:
            places = np.delete(places, [image.place for image in receipt.set_aside])
        placed = self._outputs[of.output.name]
        placed.shard[places] = number
        for name, column in placed.columns.items():
            column[places] = np.frombuffer(receipt.columns[name], column.dtype)
        if "kind" in receipt.columns:
            self._add_facts(places, receipt)
        if "stored" in receipt.columns:
            stored = np.frombuffer(receipt.columns["stored"], np.uint64)
            converted = np.flatnonzero(stored)
            self._stored |= zip(places[converted].tolist(), stored[converted].tolist(), strict=True)

    def _add_facts(self, places: Column, receipt: Receipt) -> None:
        """Take what one output learnt of its images: of those that another has converted, that one knows more."""
        read = np.frombuffer(receipt.columns["kind"], np.int8) != UNREAD_KIND
        read &= ~self._facts["converted"][places] | np.frombuffer(receipt.columns["converted"], np.bool_)
        places = places[read]
        for name, column in self._facts.items():
            values = np.frombuffer(receipt.columns[name], column.dtype)[read]
            column[places] = column[places] | values if name == "converted" else values
        digests = np.frombuffer(receipt.columns["digest"], np.uint8).reshape(-1, _DIGEST_BYTES)
        self._digests[places] = digests[read]

    @property
    def converted(self) -> dict[str, int]:
        """Count the converted images by what they were."""
        kinds = np.bincount(self._facts["kind"][self._facts["converted"]], minlength=len(Kind))
        return {kind.name: int(count) for kind, count in zip(Kind, kinds, strict=True) if count}

    def set_aside_in(self, split: str) -> list[int]:
        """Give the catalog rows of the images of a split that were set aside, ascending."""
        start = 0
        for name, rows in self.plan.members.items():
            if name == split:
                return sorted(int(self.rows[place]) for place in self.set_aside if start <= place < start + len(rows))
            start += len(rows)
        return []

    @property
    def written(self) -> Column:
        """The places of the images that were not set aside, ascending."""
        kept = np.ones(len(self.rows), np.bool_)
        kept[list(self.set_aside)] = False
        return np.flatnonzero(kept).astype(np.uint32)

    def by_split(self, places: Column) -> Iterator[tuple[str, Column]]:
        """Yield each split, and which of the places are in it."""
        start = 0
        for split, rows in self.plan.members.items():
            yield split, (start <= places) & (places < start + len(rows))
            start += len(rows)

    def column(self, of: OutputPlan, name: str, places: Column) -> Column:
        """Give the values of a column of an output."""
        return self._outputs[of.output.name].columns[name][places]

    def stored_digests(self, of: OutputPlan, places: Column) -> Column:
        """Give the lower half of the digest of each image as an output has it; 0 where nothing was read of it."""
        digests: Column = self._digests.view(">u8")[places, 1].astype(np.uint64)
        if of.output.converts:
            for place, digest in self._stored.items():
                digests[places == place] = digest
        return digests

    def tables(self) -> Iterator[pa.Table]:
        """Give the rows of the manifest, in tables of bounded size."""
        start = 0
        for split, rows in self.plan.members.items():
            for first in range(start, start + len(rows), _ROW_GROUP):
                yield self._table(split, slice(first, min(first + _ROW_GROUP, start + len(rows))))
            start += len(rows)

    def _table(self, split: str, part: slice) -> pa.Table:
        source = self.plan.catalog.table.take(pa.array(self.rows[part]))
        count = len(source)
        reasons = [self.set_aside[place].reason if place in self.set_aside else None for place in _places(part)]
        gone = np.array([reason is not None for reason in reasons])
        archives = pa.array([archive.name for archive in self.plan.catalog.archives])
        wnids = pa.array([facts.wnid for facts in official().classes])
        columns = {
            "split": pa.repeat(split, count),
            "name": source.column("name"),
            "wnid": wnids.take(source.column("class_index").combine_chunks()),
            "class_index": source.column("class_index"),
            **self._learnt(part, gone),
            "size": source.column("size"),
        }
        for each in self.plan.outputs:
            columns |= self._output_columns(each, part, source, gone)
        columns |= {
            "source": archives.take(source.column("archive").combine_chunks()),
            "source_container": source.column("container").cast(pa.string()),
            "source_offset": source.column("offset"),
            "set_aside": pa.array(reasons, pa.string()),
        }
        return pa.table(columns)

    def _learnt(self, part: slice, gone: Column) -> dict[str, pa.Array]:
        """What was learnt of the images' bytes; null for files of which nothing was read. Of images that were set aside
        the digest alone is known.
        """
        unread = self._facts["kind"][part] == UNREAD_KIND
        facts = {name: pa.array(column[part], mask=unread) for name, column in self._facts.items()}
        facts["kind"] = pa.array([kind.name for kind in Kind]).take(facts["kind"])
        digests = _hex(self._digests[part])
        known = pa.array(~unread | gone)
        return {**facts, "digest": pa.compute.if_else(known, digests, None)}

    def _output_columns(self, of: OutputPlan, part: slice, source: pa.Table, gone: Column) -> dict[str, pa.Array]:
        placed, name = self._outputs[of.output.name], of.output.name
        columns = {f"{name}.{of.output.file_column}": self._files(of, placed.shard[part], source, gone)}
        for column, values in placed.columns.items():
            columns[f"{name}.{column}"] = pa.array(values[part], _TYPES[of.output.columns[column]], mask=gone)
        return columns

    def _files(self, of: OutputPlan, shards: Column, source: pa.Table, gone: Column) -> pa.Array:
        """Give the file that each image lies in."""
        names, classes = source.column("name").to_pylist(), source.column("class_index").to_pylist()
        files = np.empty(len(names), object)
        for number in np.unique(shards).tolist():
            rows = np.flatnonzero(shards == number)
            of_shard = [names[row] for row in rows], [classes[row] for row in rows]
            files[rows] = of.output.sample_files(StoredShard(of.shards[number].name, *of_shard, self.plan.class_names))
        return pa.array(files, pa.string(), mask=gone)


def _places(part: slice) -> range:
    return range(part.start, part.stop)


def write_manifest(store: Store, tables: Callable[[], Iterable[pa.Table]]) -> FileFact:
    """Write the tables one after the other: at no time are there more of them in memory than one. Gives what was
    written. ``tables`` is called again if another program disturbs the file.
    """

    def write(sink: Sink) -> None:
        writer: pq.ParquetWriter | None = None
        file = _File(sink)
        try:
            for table in tables():
                writer = writer or pq.ParquetWriter(file, table.schema)
                writer.write_table(table)
        finally:
            if writer:
                writer.close()

    return store.stream(MANIFEST, write)


class _File:
    """A sink as the file that Arrow wants."""

    closed = False

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, data: Any) -> int:
        """Write all of the data, which may be gone when this returns."""
        self._sink.write(memoryview(data).cast("B"))
        self._sink.flush()
        return len(data)

    def tell(self) -> int:
        """Give what was written so far."""
        return self._sink.size

    def flush(self) -> None:
        """What is written may wait: the batch syncs it."""


def read_manifest(store: Store, columns: Iterable[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Read those of the columns that the manifest of a finished build has, all by default, in the order of the rows.

    Nothing is read in threads: one of Arrow's that lets go of the file while Python ends aborts the process
    (apache/arrow#34314).
    """
    with store.open(MANIFEST) as opened, pq.ParquetFile(opened, pre_buffer=False) as file:
        there = file.schema_arrow.names
        wanted = None if columns is None else [name for name in columns if name in there]
        yield from file.iter_batches(_ROW_GROUP, columns=wanted, use_threads=False)


class LeftOut(NamedTuple):
    """An image that was set aside: the split it is missing in, its bytes, and why."""

    split: str
    size: int
    why: Problem


def set_aside_images(store: Store) -> list[LeftOut]:
    """Read from the manifest of a finished build what was set aside, in the order of the rows."""
    columns = ["split", "source", "source_container", "name", "source_offset", "size", "set_aside"]
    batches = [batch.filter(batch["set_aside"].is_valid()) for batch in read_manifest(store, columns)]
    return [LeftOut(row["split"], row["size"], _why(row)) for batch in batches for row in batch.to_pylist()]


def _why(row: dict[str, Any]) -> Problem:
    member = printable(file_of(row["source_container"], row["name"]))
    return Problem(printable(row["source"]), row["set_aside"], member, row["source_offset"] or None)


def _hex(digests: Column) -> pa.StringArray:
    text = digests.tobytes().hex().encode()
    offsets = np.arange(0, len(text) + 1, _HEX_DIGITS, dtype=np.int32)
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(text))

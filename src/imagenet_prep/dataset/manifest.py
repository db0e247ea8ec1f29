"""The manifest: one row an image, as Parquet, made from plan and receipts. pandas, Polars and DuckDB read it.

What was decided before an image was read comes from the plan, what was learnt from its bytes comes from the
receipt.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imagenet_prep.codecs.jpeg import Kind
from imagenet_prep.dataset.layout import MANIFEST
from imagenet_prep.errors import Problem, printable
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.task import FileFact, Receipt
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.planning.plan import Plan, Shard
from imagenet_prep.stores.publish import publish_stream

_ROW_GROUP = 1 << 16  # rows: little enough to hold, and enough for a reader to skip what it does not want
_HEX_DIGITS = 32
_LEARNT = {
    "width": pa.int32(),
    "height": pa.int32(),
    "components": pa.int8(),
    "kind": pa.string(),
    "orientation": pa.int8(),
    "repaired": pa.bool_(),
    "digest": pa.string(),
}


def write_manifest(path: Path, tables: Iterable[pa.Table]) -> FileFact:
    """Write the tables one after the other; at no time are there more of them in memory than a row group
    takes. Gives what was written. Raises OutputError, and DisturbedError.
    """
    return publish_stream(path, lambda file: _write(file, iter(tables)))


def _write(file: BinaryIO, tables: Iterator[pa.Table]) -> None:
    waiting = [table for table in [next(tables, None)] if table is not None]
    if not waiting:
        return
    with pq.ParquetWriter(file, waiting[0].schema) as writer:
        for table in tables:
            if sum(map(len, waiting)) >= _ROW_GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting.clear()
            waiting.append(table)
        writer.write_table(pa.concat_tables(waiting))


def manifest_rows(plan: Plan, shard: Shard, receipt: Receipt) -> pa.Table:
    """Give a row for each entry of one shard, in their order. ``digest`` is the xxh3_128 of the image as it was in the
    source, in hex; what only written images have is null for those that were set aside.
    """
    source = plan.catalog.table.take(pa.array(shard.rows))
    places = _places(receipt)
    archives = pa.array([archive.name for archive in plan.catalog.archives])
    wnids = pa.array([facts.wnid for facts in official().classes])
    columns = {
        "split": _repeated(shard.name.split, len(places)),
        "shard": _repeated(str(shard.name), len(places)),
        "row": places,
        "name": source.column("name"),
        "wnid": wnids.take(source.column("class_index").combine_chunks()),
        "class_index": source.column("class_index"),
        **_for_all(_learnt(receipt), places, receipt),
        "archive": archives.take(source.column("archive").combine_chunks()),
        "container": source.column("container").cast(pa.string()),
        "offset": source.column("offset"),
        "size": source.column("size"),
    }
    for name in sorted(set(receipt.files) - {FOLDERS}):
        lengths = np.frombuffer(receipt.columns[f"{name}.length"], np.int64)
        columns[f"{name}_offset"] = pa.array(np.cumsum(lengths) - lengths).take(places)
        columns[f"{name}_length"] = pa.array(lengths).take(places)
    if FOLDERS in receipt.files:
        paths = pa.array([f"{FOLDERS}/{path}" for path in plan.paths(shard)], pa.string())
        columns["folders_path"] = pc.if_else(places.is_valid(), paths, None)
    columns["set_aside"] = _reasons(receipt)
    return pa.table(columns)


class LeftOut(NamedTuple):
    """An image that was set aside: the split it is missing in, its bytes, and why."""

    split: str
    size: int
    why: Problem


def read_manifest(out: Path, columns: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """Read those of the columns that the manifest of a finished build has, in the order of the shards.

    Nothing is read in threads: one of Arrow's that lets go of the file while Python ends aborts the process
    (apache/arrow#34314).
    """
    with (out / MANIFEST).open("rb") as opened, pq.ParquetFile(opened, pre_buffer=False) as file:
        there = [name for name in columns if name in file.schema_arrow.names]
        yield from file.iter_batches(_ROW_GROUP, columns=there, use_threads=False)


def set_aside_images(out: Path) -> list[LeftOut]:
    """Read from the manifest of a finished build what was set aside, in the order of the shards."""
    columns = ["split", "archive", "container", "name", "offset", "size", "set_aside"]
    batches = [batch.filter(batch["set_aside"].is_valid()) for batch in read_manifest(out, columns)]
    return [LeftOut(row["split"], row["size"], _why(row)) for batch in batches for row in batch.to_pylist()]


def _why(row: dict[str, Any]) -> Problem:
    member = "/".join(filter(None, [row["container"], row["name"]]))
    return Problem(printable(row["archive"]), row["set_aside"], printable(member), row["offset"] or None)


def _places(receipt: Receipt) -> pa.Int32Array:
    """Give the place in the shard of each entry; null if it was set aside."""
    set_aside = np.zeros(receipt.rows + len(receipt.set_aside), np.bool_)
    set_aside[[image.place for image in receipt.set_aside]] = True
    return pa.array(np.cumsum(~set_aside, dtype=np.int32) - 1, mask=set_aside)


def _for_all(learnt: dict[str, pa.Array], places: pa.Int32Array, receipt: Receipt) -> dict[str, pa.Array]:
    """From values for written images to values for all; of those that were set aside the digest alone is known."""
    if not receipt.set_aside:
        return learnt
    columns = {name: values.take(places) for name, values in learnt.items()}
    of_theirs = pa.array([image.digest for image in receipt.set_aside], pa.string())
    columns["digest"] = pc.replace_with_mask(columns["digest"], places.is_null(), of_theirs)
    return columns


def _reasons(receipt: Receipt) -> pa.StringArray:
    reasons: list[str | None] = [None] * (receipt.rows + len(receipt.set_aside))
    for image in receipt.set_aside:
        reasons[image.place] = image.reason
    return pa.array(reasons, pa.string())


def _learnt(receipt: Receipt) -> dict[str, pa.Array]:
    """What was learnt of the images' bytes; nulls for files that were linked or moved without a look at them."""
    if not receipt.columns:
        return {name: pa.nulls(receipt.rows, kind) for name, kind in _LEARNT.items()}
    return {
        "width": _numbers(receipt, "width"),
        "height": _numbers(receipt, "height"),
        "components": _numbers(receipt, "components"),
        "kind": pa.array([kind.name for kind in Kind]).take(_numbers(receipt, "kind")),
        "orientation": _numbers(receipt, "orientation"),
        "repaired": _numbers(receipt, "repaired").cast(pa.bool_()),
        "digest": _hex(receipt.columns["digest"]),
    }


def _repeated(text: str, rows: int) -> pa.Array:
    return pa.repeat(text, rows)


def _numbers(receipt: Receipt, name: str) -> pa.Array:
    column = receipt.columns[name]
    assert isinstance(column, array)  # only the digests are bytes
    return pa.array(np.frombuffer(column, dtype=column.typecode))


def _hex(digests: bytes | array[int]) -> pa.StringArray:
    text = bytes(digests).hex().encode()
    offsets = np.arange(0, len(text) + 1, _HEX_DIGITS, dtype=np.int32)
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(text))

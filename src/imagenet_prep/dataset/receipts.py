"""Receipts on disk, one file a shard: a line of JSON that says what it is, then the columns as they lie in memory,
then a digest.

    {"check": "header", "columns": [["digest", "16s"], …], "files": […], "identity": "…", "rows": 1250, …} <newline>
    <column bytes, little-endian, in the order of the header> <xxh3_128 of all that precedes, 16 bytes>

Columns are binary because a thousand receipts with 1.28 million rows are read at every start; the header is text
because people read it.
"""

from __future__ import annotations

import json
import sys
from array import array

import xxhash

from imagenet_prep.dataset.layout import receipt_path
from imagenet_prep.model.receipt import FileFact, Receipt, SetAside
from imagenet_prep.model.shards import ShardName
from imagenet_prep.stores.base import Store

RECEIPT_VERSION = 4
_DIGEST_BYTES = 16
_BYTES_COLUMN = "16s"


def save_receipt(store: Store, receipt: Receipt) -> None:
    """Store a receipt durably. Called after its shard has its final name; may be repeated."""
    header = {
        "version": RECEIPT_VERSION,
        "output": receipt.output,
        "identity": receipt.identity,
        "shard": str(receipt.shard),
        "rows": receipt.rows,
        "check": receipt.check,
        "set_aside": receipt.set_aside,
        "files": [[file.path, file.size, file.digest] for file in receipt.files],
        "columns": [
            [name, _BYTES_COLUMN if isinstance(column, bytes) else column.typecode]
            for name, column in receipt.columns.items()
        ],
    }
    columns = b"".join(_little_endian(column) for column in receipt.columns.values())
    body = json.dumps(header, sort_keys=True).encode() + b"\n" + columns
    store.publish(receipt_path(receipt.output, receipt.shard), body + xxhash.xxh3_128_digest(body))


def load_receipt(store: Store, output: str, shard: ShardName) -> Receipt | None:
    """Read a receipt; None if there is none, or if it cannot be read, is damaged, of another version or under another
    shard's name: then its shard is not proved.
    """
    try:
        data = store.read(receipt_path(output, shard))
    except OSError:
        return None
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    line, newline, columns = body.partition(b"\n")
    if not newline or xxhash.xxh3_128_digest(body) != digest:
        return None
    try:
        receipt = _receipt(line, columns)
    except (ValueError, KeyError, TypeError, RecursionError):  # of another version, or another program's
        return None
    return receipt if (receipt.output, receipt.shard) == (output, shard) else None


def _receipt(line: bytes, columns: bytes) -> Receipt:
    header = json.loads(line)
    if header["version"] != RECEIPT_VERSION:
        raise ValueError("it is of another version")
    return Receipt(
        output=header["output"],
        identity=header["identity"],
        shard=ShardName.parse(header["shard"]),
        rows=header["rows"],
        files=tuple(FileFact(*file) for file in header["files"]),
        columns=_columns(header["columns"], header["rows"], columns),
        check=header["check"],
        set_aside=tuple(SetAside(*image) for image in header["set_aside"]),
    )


def _columns(kinds: list[tuple[str, str]], rows: int, data: bytes) -> dict[str, array[int] | bytes]:
    columns: dict[str, array[int] | bytes] = {}
    position = 0
    for name, kind in kinds:
        size = rows * (_DIGEST_BYTES if kind == _BYTES_COLUMN else array(kind).itemsize)
        part = data[position : position + size]
        columns[name] = part if kind == _BYTES_COLUMN else _from_little_endian(kind, part)
        position += size
    return columns


def _little_endian(column: array[int] | bytes) -> bytes:
    if isinstance(column, bytes):
        return column
    if sys.byteorder == "big":
        column = array(column.typecode, column)
        column.byteswap()
    return column.tobytes()


def _from_little_endian(kind: str, data: bytes) -> array[int]:
    column = array(kind, data)
    if sys.byteorder == "big":
        column.byteswap()
    return column

"""A catalog on disk: an Arrow IPC file, whose schema metadata says which archives it describes, and a digest of it.

No pickle: the file may come from another version, or from another user. Nothing of it is used before the digest
fits.
"""

from __future__ import annotations

import io
import json
import mmap
from dataclasses import asdict
from typing import Any, BinaryIO

import pyarrow as pa
import xxhash

from imagenet_prep.model.archive import Archive
from imagenet_prep.planning.catalog import SCHEMA, Catalog
from imagenet_prep.stores.base import Sink, Store

CATALOG_VERSION = 4
_DIGEST_BYTES = 16
_KEY = b"imagenet-prep"
_MAGIC = b"ARROW1"
_START_BYTES = 1 << 16  # the schema is first, and has the key


def save_catalog(store: Store, path: str, catalog: Catalog) -> None:
    """Store a catalog."""
    document = {
        "version": CATALOG_VERSION,
        "archives": [asdict(archive) for archive in catalog.archives],
        "notes": catalog.notes,
    }
    schema = catalog.table.schema.with_metadata({_KEY: json.dumps(document).encode()})

    def write(sink: Sink) -> None:
        hashing = _Hashing(sink)
        with pa.ipc.new_file(hashing, schema) as writer:
            writer.write_table(catalog.table)
        hashing.end()

    store.stream(path, write)


def may_be_replaced(store: Store, path: str) -> bool:
    """Whether a catalog may be written there: there is nothing yet, or a catalog, damaged or not. Raises
    OSError and OutputError for what cannot be read.
    """
    try:
        with store.open(path) as file:
            start = file.read(_START_BYTES)
    except FileNotFoundError:
        return True
    return not start or (start.startswith(_MAGIC) and _KEY in start)


class _Hashing:
    """A file, as Arrow wants one, that keeps the digest of what is written to it."""

    closed = False

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._digest = xxhash.xxh3_128()

    def write(self, data: Any) -> int:
        """Write all of the data, which may be gone when this returns."""
        self._digest.update(data)
        self._sink.write(memoryview(data).cast("B"))
        self._sink.flush()
        return len(data)

    def flush(self) -> None:
        """What is written may wait: the batch syncs it."""

    def end(self) -> None:
        """Write the digest after all else."""
        self._sink.write(self._digest.digest())
        self._sink.flush()


def _document(reader: pa.ipc.RecordBatchFileReader) -> dict[str, Any]:
    document = json.loads((reader.schema.metadata or {}).get(_KEY, b"{}"))
    return document if isinstance(document, dict) and document.get("version") == CATALOG_VERSION else {}


def _content(file: BinaryIO) -> pa.Buffer:
    """Map a file into memory, or read it, if it is not a file."""
    try:
        return pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, io.UnsupportedOperation):  # not a file, or its file system cannot map it
        return pa.py_buffer(file.read())


def _proved(data: pa.Buffer) -> pa.Buffer:
    """Give what precedes the digest; ValueError if that does not fit."""
    body = data.slice(0, max(0, data.size - _DIGEST_BYTES))
    if xxhash.xxh3_128_digest(body) != data.slice(body.size).to_pybytes():
        raise ValueError("the digest does not fit")
    return body


def load_catalog(store: Store, path: str, archives: tuple[Archive, ...] | None = None) -> Catalog | None:
    """Read a catalog back; None if there is none, if it describes other archives than ``archives`` (if any are given),
    or if a bit of it is wrong. Raises OutputError if it may not be read.
    """
    try:
        with store.open(path) as file:  # Arrow itself opens no path that is not UTF-8
            body = _proved(_content(file))
        with pa.ipc.open_file(body) as reader:
            document = _document(reader)
            stored = tuple(Archive(**archive) for archive in document["archives"])
            if archives not in (None, stored):
                return None
            table = reader.read_all().replace_schema_metadata(None)
        table.validate(full=True)
        return Catalog(table.cast(SCHEMA), archives or stored, tuple(document["notes"]))
    except (OSError, ValueError, TypeError, KeyError, pa.ArrowException):
        return None

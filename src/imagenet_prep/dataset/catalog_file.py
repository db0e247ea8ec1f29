"""A catalog on disk: an Arrow IPC file, whose schema metadata says which archives it describes, and a digest of it.

No pickle: the file may come from another version, or from another user. Nothing of it is believed before the digest
fits.
"""

from __future__ import annotations

import json
import mmap
from dataclasses import astuple
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import xxhash

from imagenet_prep.model.archive import Archive
from imagenet_prep.planning.catalog import SCHEMA, Catalog
from imagenet_prep.stores.draft import undisturbed
from imagenet_prep.stores.publish import publish_stream
from imagenet_prep.stores.temporary import output_errors

Buffer = bytes | memoryview

CATALOG_VERSION = 3
_DIGEST_BYTES = 16
_KEY = b"imagenet-prep"
_MAGIC = b"ARROW1"
_START_BYTES = 1 << 16  # the schema stands first, and the key in it


def save_catalog(path: Path, catalog: Catalog) -> None:
    """Store a catalog."""
    document = {
        "version": CATALOG_VERSION,
        "archives": [astuple(archive) for archive in catalog.archives],
        "notes": catalog.notes,
        "identity": catalog.identity,
    }
    schema = catalog.table.schema.with_metadata({_KEY: json.dumps(document).encode()})
    undisturbed(lambda: publish_stream(path, lambda file: _write(file, catalog.table, schema)))


def _write(file: BinaryIO, table: pa.Table, schema: pa.Schema) -> None:
    hashing = _Hashing(file)
    with pa.ipc.new_file(hashing, schema) as writer:
        writer.write_table(table)
    file.write(hashing.digest.digest())


def may_be_replaced(path: Path) -> bool:
    """Whether nothing is lost when a catalog is written there: there is none yet, or one, damaged or not. Raises
    OSError for what cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
    except FileNotFoundError:
        return True
    return not start or (start.startswith(_MAGIC) and _KEY in start)


class _Hashing:
    """A file that keeps the digest of what is written to it."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = xxhash.xxh3_128()

    def write(self, data: Buffer) -> int:
        """Write all of the data."""
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        """What is written may wait: the file is synced when it is finished."""


def _document(reader: pa.ipc.RecordBatchFileReader) -> dict[str, Any]:
    document = json.loads((reader.schema.metadata or {}).get(_KEY, b"{}"))
    return document if isinstance(document, dict) and document.get("version") == CATALOG_VERSION else {}


def _stored_archives(document: dict[str, Any]) -> tuple[Archive, ...]:
    return tuple(Archive(*archive) for archive in document.get("archives", ()))


def _proved(data: pa.Buffer) -> pa.Buffer:
    """Give what precedes the digest; ValueError if that does not fit."""
    body = data.slice(0, max(0, data.size - _DIGEST_BYTES))
    if xxhash.xxh3_128_digest(body) != data.slice(body.size).to_pybytes():
        raise ValueError("the digest does not fit")
    return body


def _contents(file: BinaryIO) -> pa.Buffer:
    try:
        return pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError:  # a file system in user space may have files that cannot be mapped
        return pa.py_buffer(file.read())


def load_catalog(path: Path, archives: tuple[Archive, ...] | None = None) -> Catalog | None:
    """Read a catalog back; None if there is none, if it describes other archives than ``archives`` (if any are given),
    or if a bit of it is wrong. Raises OutputError if the user may not read it.
    """
    try:
        with path.open("rb") as file:  # Arrow itself opens no path that is not UTF-8
            body = _proved(_contents(file))
        with pa.ipc.open_file(body) as reader:
            document = _document(reader)
            stored = _stored_archives(document)
            if archives not in (None, stored):
                return None
            table = reader.read_all().replace_schema_metadata(None)
        table.validate(full=True)
        catalog = Catalog(table.cast(SCHEMA), stored, tuple(document["notes"]))
    except PermissionError:
        with output_errors(path, "read"):
            raise
    except (OSError, ValueError, TypeError, KeyError, pa.ArrowException):
        return None
    return catalog if catalog.identity == document.get("identity") else None

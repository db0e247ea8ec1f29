"""A catalog on disk: an Arrow IPC file, whose schema metadata says which archives it describes.

No pickle: the file may come from another version, or from another user.
"""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path

import pyarrow as pa

from imagenet_prep.core.catalog import SCHEMA, Archive, Catalog
from imagenet_prep.storage.publish import Publication, output_errors

CATALOG_VERSION = 1
_KEY = b"imagenet-prep"


def save_catalog(path: Path, catalog: Catalog) -> None:
    """Store a catalog."""
    document = {
        "version": CATALOG_VERSION,
        "archives": [astuple(archive) for archive in catalog.archives],
        "notes": catalog.notes,
    }
    schema = catalog.table.schema.with_metadata({_KEY: json.dumps(document).encode()})
    with Publication(path.parent) as files:
        descriptor = files.create(path.name)
        with (
            output_errors(path),
            open(descriptor, "wb", closefd=False) as file,
            pa.ipc.new_file(file, schema) as writer,
        ):
            writer.write_table(catalog.table)
        files.finish()


def load_catalog(path: Path, archives: tuple[Archive, ...]) -> Catalog | None:
    """Read a catalog back; None if there is none, or if it describes other archives than these."""
    try:
        with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
            document = json.loads((reader.schema.metadata or {}).get(_KEY, b"{}"))
            stored = tuple(Archive(*archive) for archive in document.get("archives", ()))
            if document.get("version") != CATALOG_VERSION or stored != archives:
                return None
            table = reader.read_all().replace_schema_metadata(None)
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    return Catalog(table.cast(SCHEMA), archives, tuple(document["notes"]))

"""What a shard should hold, from its rows of the manifest: the work of reading it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.model.task import FileFact
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.verbs.audit.shard import ReadBackTask

COLUMNS = ["split", "shard", "name", "wnid", "class_index", "size", "digest", "repaired", "set_aside"]
PATH = "folders_path"
_USED = ("name", "class_index", "size", "digest", PATH)


def read_back_tasks(
    out: Path, shard: str, files: Mapping[str, tuple[FileFact, ...]], rows: pa.Table, *, decode: bool = False
) -> Iterator[ReadBackTask]:
    """Yield a task for each format of a shard. ``rows`` are those of all its entries, with COLUMNS and, if there are
    class folders, PATH; ``files`` are those of each format.
    """
    rows = rows.filter(rows["set_aside"].is_null())
    columns = {column: rows[column].to_pylist() for column in rows.column_names if column in _USED}
    stored = pc.if_else(rows["repaired"], "", rows["digest"]).to_pylist()
    for name, of_format in files.items():
        yield ReadBackTask(
            out=str(out.absolute()),
            format=name,
            shard=shard,
            files=of_format,
            paths=[path.removeprefix(f"{FOLDERS}/") for path in columns.get(PATH, ())],
            names=columns["name"],
            class_indexes=columns["class_index"],
            sizes=columns["size"],
            digests=columns["digest"] if name == FOLDERS else stored,
            decode=decode,
        )

"""Where the images of one output lie, and their bytes. Files stay open for the next image in them, the last 128 of
them: some systems let a process have no more than 256.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache, partial
from itertools import accumulate
from typing import Any

import xxhash

from imagenet_prep.dataset.index import Index
from imagenet_prep.errors import AuditError, OutputError, Problem, UsageError
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import Output, StoredShard
from imagenet_prep.stores.base import RangeReader, Store

_OPEN_FILES = 128
_LOWER_HALF = (1 << 64) - 1


class Places:
    """One output of a finished data set, whose ``document`` is ``build.json``. A row is the place of an image in the
    order of the selection.
    """

    def __init__(self, store: Store, output: Output, document: dict[str, Any], index: Index) -> None:
        self.store = store
        self.index = index
        class_map = document["selection"]["class_map"]
        table = official().with_names(class_map.encode(), "the class map") if class_map else official()
        self.table = table
        self._names = [facts.name for facts in table.classes]
        self._output = output
        shards = document["outputs"][output.name]["shards"]
        self._sizes = {file["path"]: file["size"] for shard in shards for file in shard["files"]}
        counts = {shard["name"]: shard["images"] for shard in shards}
        if not output.ordered:  # each image is a file, and belongs to no shard
            counts = {str(ShardName(split, 0, 1)): len(rows) for split, rows in index.splits.items()}
        self._shards = [ShardName.parse(name) for name in counts]
        self._ends = list(accumulate(counts.values()))
        self._reader = lru_cache(_OPEN_FILES)(partial(_opened, store, output))

    def close(self) -> None:
        """Close all files."""
        self._reader.cache_clear()

    def image(self, row: int, name: str, class_index: int, *, verify: bool) -> bytes:
        """Read the bytes of an image. Raises AuditError if they are not what was written, and OutputError."""
        columns = self.index.columns
        offset, length = int(columns["offset"][row]), int(columns["length"][row])
        path = self._path(row, name, class_index)
        try:
            reader = self._reader(path, self._sizes.get(path, length))
            data = reader.read(offset, length)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise _damaged(self.store, path, name, "is missing") from error
        except IsADirectoryError as error:
            raise _damaged(self.store, path, name, "is a folder") from error
        except OSError as error:
            remedy = f"See what else is wrong: imagenet-prep audit {self.store.place}"
            raise OutputError(f"Cannot read {path}: {error.strerror or error}.", remedy=remedy) from error
        if len(data) < length:
            raise _damaged(self.store, path, name, "ends before this image does", offset)
        digest = int(columns["digest"][row])
        if verify and digest and xxhash.xxh3_128_intdigest(data) & _LOWER_HALF != digest:
            raise _damaged(self.store, path, name, "is not the image that was written", offset)
        return data

    def _path(self, row: int, name: str, class_index: int) -> str:
        shard = self._shards[bisect_right(self._ends, row)]
        return self._output.sample_files(StoredShard(shard, (name,), (class_index,), self._names))[0]


def _opened(store: Store, output: Output, path: str, size: int) -> RangeReader:
    reader = output.image_reader(store, path)
    if reader.size != size:
        raise _damaged(store, path, "", f"has {reader.size:,} bytes instead of {size:,}")
    return reader


def _damaged(store: Store, path: str, name: str, reason: str, offset: int | None = None) -> AuditError:
    problem = Problem(path, reason, "" if path.endswith(f"/{name}") else name, offset or None)
    return AuditError(f"{store.place} is damaged:", (problem,), f"Repair it: imagenet-prep repair {store.place}")


def closed() -> UsageError:
    """Say that a data set was closed."""
    return UsageError("This data set is closed.", remedy="Open it again: imagenet_prep.open(OUT)")

"""What shards should hold, from the manifest: the work of reading them back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.dataset.finished import finished_document, unfinished_or_damaged
from imagenet_prep.dataset.layout import MANIFEST
from imagenet_prep.dataset.manifest import read_manifest
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import Output, StoredShard, output_from
from imagenet_prep.stores.base import Store
from imagenet_prep.stores.digests import fact_of_file
from imagenet_prep.verbs.audit.shard import ReadBackTask

_COMPARED = ("split", "name", "wnid", "class_index", "converted", "digest", "size", "set_aside")
_FILES_AT_ONCE = 1000  # images that are files of their own, in one task


@dataclass(frozen=True)
class Expected:
    """What ``build.json`` says, with its manifest, both proved. Of the manifest it has the columns that an audit
    compares: all of them would be half a gigabyte.
    """

    store: Store
    document: dict[str, Any]
    manifest: pa.Table

    @property
    def outputs(self) -> list[Output]:
        """The outputs, as they were built."""
        return outputs_of(self.document)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of all 1,000 classes."""
        class_map = self.document["selection"]["class_map"]
        table = official().with_names(class_map.encode(), "the class map") if class_map else official()
        return tuple(of.name for of in table.classes)

    def written(self, *columns: str) -> pa.Table:
        """Give some columns of the images that were written."""
        return self.manifest.select(columns).filter(self.manifest["set_aside"].is_null())

    def images_in(self, split: str) -> pa.Table:
        """Give what is known of the images of a split that were written."""
        images = self.written("split", "name", "converted", "digest")
        return images.filter(pc.equal(images["split"], split))


def read_expected(store: Store) -> Expected:
    """Read ``build.json`` and the manifest, both proved. Raises AuditError if one is missing or damaged."""
    document = finished_document(store)
    try:
        return Expected(store, document, _read_manifest(store, document))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unfinished_or_damaged(store, MANIFEST, error) from error


def _read_manifest(store: Store, document: dict[str, Any]) -> pa.Table:
    """Nothing of it is believed before its digest fits: a damaged one may be read as anything."""
    if fact_of_file(store, MANIFEST) not in map(fact_of, document["documents"]):
        raise ValueError("its digest does not fit")
    return pa.Table.from_batches(list(read_manifest(store, compared_columns(outputs_of(document)))))


def compared_columns(outputs: Iterable[Output]) -> tuple[str, ...]:
    """Give the columns of the manifest that an audit compares."""
    return (*_COMPARED, *(f"{output.name}.{output.file_column}" for output in outputs if not output.ordered))


def outputs_of(document: dict[str, Any]) -> list[Output]:
    """Give the outputs in ``build.json``, as they were built."""
    return [output_from(name, of["options"]) for name, of in document["outputs"].items()]


def fact_of(file: dict[str, Any]) -> FileFact:
    """Read what ``build.json`` says of a file."""
    return FileFact(file["path"], file["size"], file["xxh3_128"])


def shard_work(of: Expected) -> Iterator[ShardWork]:
    """Give what is to be read, shard by shard, in the order of the outputs."""
    for output in of.outputs:
        yield from _ordered(of, output) if output.ordered else _loose(of, output)


def _ordered(of: Expected, output: Output) -> Iterator[ShardWork]:
    start = 0
    for shard in of.document["outputs"][output.name]["shards"]:
        rows = of.manifest.slice(start, shard["images"] + shard["set_aside"])
        start += len(rows)
        yield ShardWork(of, output, ShardName.parse(shard["name"]), tuple(map(fact_of, shard["files"])), rows)


def _loose(of: Expected, output: Output) -> Iterator[ShardWork]:
    for split in of.document["splits"]:
        rows = of.manifest.filter(pc.equal(of.manifest["split"], split))
        for start in range(0, len(rows), _FILES_AT_ONCE):
            yield ShardWork(of, output, ShardName(split, 0, 1), (), rows.slice(start, _FILES_AT_ONCE))


@dataclass(frozen=True)
class ShardWork:
    """One shard, or some images that are files of their own, with their rows of the manifest."""

    of: Expected
    output: Output
    shard: ShardName
    files: tuple[FileFact, ...]
    rows: pa.Table

    @property
    def written(self) -> pa.Table:
        """The rows of the images that were written."""
        return self.rows.filter(self.rows["set_aside"].is_null())

    @property
    def images(self) -> int:
        """How many images were written."""
        return int(self.rows["set_aside"].null_count)

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(file.size for file in self.files) if self.files else pc.sum(self.written["size"]).as_py() or 0

    def task(self, place: int, *, decode: bool, sums: bool) -> ReadBackTask:
        """Give the work, which has a place among all, as plain data."""
        rows = self.written
        digests = pc.if_else(rows["converted"], "", rows["digest"]) if self.output.converts else rows["digest"]
        return ReadBackTask(
            store=self.of.store,
            output=self.output,
            stored=StoredShard(
                self.shard, rows["name"].to_pylist(), rows["class_index"].to_pylist(), self.of.class_names
            ),
            files=self.files,
            sizes=rows["size"].to_pylist(),
            digests=digests.to_pylist(),
            decode=decode,
            place=place,
            sums=sums,
        )

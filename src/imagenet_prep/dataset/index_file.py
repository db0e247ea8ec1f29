"""Writes the index of an output, of what its receipts say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.dataset.index import COLUMNS, Column, head_of, written_name
from imagenet_prep.dataset.layout import index_path
from imagenet_prep.dataset.manifest import Images
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.outputs.base import ImageRange
from imagenet_prep.planning.plan import OutputPlan
from imagenet_prep.stores.base import Sink, Store

_AT_ONCE = 1 << 14  # texts, which as Python objects cost about 100 bytes each


def write_index(store: Store, images: Images, of: OutputPlan, range_columns: ImageRange) -> FileFact:
    """Write where each image of an output lies that was not set aside."""
    places = images.written
    rows = images.plan.catalog.table.select(["name", "class_index", "size"]).take(pa.array(images.rows[places]))
    splits = {split: int(np.count_nonzero(each)) for split, each in images.by_split(places)}
    classes = rows["class_index"].to_numpy()
    names = np.array(list(map(len, _names(rows["name"], classes))), COLUMNS["name_end"])
    offsets, lengths = (images.column(of, name, places) for name in range_columns)
    columns: dict[str, Column] = {
        "offset": np.zeros(len(rows)) if offsets is None else offsets,
        "digest": images.stored_digests(of, places),
        "length": rows["size"].to_numpy() if lengths is None else lengths,
        "name_end": np.cumsum(names),
        "by_name": np.concatenate([*_by_name(rows["name"], splits), np.zeros(0, np.int64)]),
        "class_index": classes,
    }

    def write(sink: Sink) -> None:
        sink.write(head_of(splits, int(names.sum())))
        for name, column in columns.items():
            sink.write(np.ascontiguousarray(column, COLUMNS[name]).tobytes())
            sink.flush()
        for start in range(0, len(rows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            sink.write(b"".join(_names(rows["name"][part], classes[part])))
            sink.flush()

    return store.stream(index_path(of.output.name), write)


def _names(names: pa.ChunkedArray, classes: Column) -> Iterator[bytes]:
    wnids = [facts.wnid for facts in official().classes]
    for start in range(0, len(names), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        for name, class_index in zip(names[part].to_pylist(), classes[part].tolist(), strict=True):
            yield written_name(name, wnids[class_index])


def _by_name(names: pa.ChunkedArray, splits: dict[str, int]) -> Iterator[Column]:
    start = 0
    for count in splits.values():
        yield start + pc.sort_indices(names.slice(start, count)).to_numpy().astype(np.int64)
        start += count

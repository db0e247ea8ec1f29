"""Writes the index of an output, of what its receipts say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.dataset.index import COLUMNS, Column, head_of, written_name
from imagenet_prep.dataset.layout import index_path
from imagenet_prep.dataset.manifest import Images
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.outputs.base import WHOLE_FILE
from imagenet_prep.planning.plan import OutputPlan
from imagenet_prep.stores.base import Sink, Store

_AT_ONCE = 1 << 14  # texts, which as Python objects cost about 100 bytes each


def write_index(store: Store, images: Images, of: OutputPlan) -> FileFact:
    """Write where each image of an output lies that was not set aside. One column at a time is in memory."""
    places = images.written
    rows = images.plan.catalog.table.select(["name", "class_index", "size"]).take(pa.array(images.rows[places]))
    splits = {split: int(np.count_nonzero(each)) for split, each in images.by_split(places)}
    ends = np.cumsum([len(name) for part in _names(rows) for name in part], dtype=COLUMNS["name_end"])

    def columns() -> Iterator[Column]:
        offset, length = of.output.image_range or WHOLE_FILE
        yield images.column(of, offset, places) if offset else np.zeros(len(rows))
        yield images.stored_digests(of, places)
        yield images.column(of, length, places) if length else rows["size"].to_numpy()
        yield ends
        yield np.concatenate(_by_name(rows["name"], splits))
        yield rows["class_index"].to_numpy()

    def write(sink: Sink) -> None:
        sink.write(head_of(splits, int(ends[-1]) if len(ends) else 0))
        for kind, column in zip(COLUMNS.values(), columns(), strict=False):  # names, the last of them, follow
            sink.write(np.ascontiguousarray(column, kind).tobytes())
            sink.flush()
        for part in _names(rows):
            sink.write(b"".join(part))
            sink.flush()

    return store.stream(index_path(of.output.name), write)


def _names(rows: pa.Table) -> Iterator[list[bytes]]:
    """Yield the names as they stand in the index, a part of them at a time."""
    wnids = [facts.wnid for facts in official().classes]
    for part in rows.to_batches(_AT_ONCE):
        named = zip(part["name"].to_pylist(), part["class_index"].to_pylist(), strict=True)
        yield [written_name(name, wnids[class_index]) for name, class_index in named]


def _by_name(names: pa.ChunkedArray, splits: dict[str, int]) -> list[Column]:
    starts = accumulate(splits.values(), initial=0)
    parts = zip(starts, splits.values(), strict=False)
    return [start + pc.sort_indices(names.slice(start, count)).to_numpy() for start, count in parts]

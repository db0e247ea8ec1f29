"""Writes the index of an output, from its receipts."""

from __future__ import annotations

from collections.abc import Callable

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
    """Write where each image of an output lies that was not set aside. Columns are made in parts, as they are written,
    and of names there is never more than one split in memory.
    """
    places = images.written
    splits = {split: int(np.count_nonzero(each)) for split, each in images.by_split(places)}
    parts = [slice(start, start + _AT_ONCE) for start in range(0, len(places), _AT_ONCE)]
    lengths = (len(name) for part in parts for name in _names(images, places[part]))
    ends = np.cumsum(np.fromiter(lengths, np.uint32, len(places)), dtype=COLUMNS["name_end"])
    by_name = _by_name(images, places, splits)
    sizes, classes = images.plan.catalog.numbers("size"), images.plan.catalog.numbers("class_index")
    offset, length = of.output.image_range or WHOLE_FILE
    columns: tuple[Callable[[slice], Column], ...] = (  # in the order of COLUMNS; names, the last of them, follow
        lambda part: images.column(of, offset, places[part]) if offset else np.zeros(len(places[part])),
        lambda part: images.stored_digests(of, places[part]),
        lambda part: images.column(of, length, places[part]) if length else sizes[images.rows[places[part]]],
        lambda part: ends[part],
        lambda part: by_name[part],
        lambda part: classes[images.rows[places[part]]],
    )

    def write(sink: Sink) -> None:
        sink.write(head_of(splits, int(ends[-1]) if len(ends) else 0))
        for kind, column in zip(COLUMNS.values(), columns, strict=False):
            for part in parts:
                sink.write(np.ascontiguousarray(column(part), kind).tobytes())
                sink.flush()
        for part in parts:
            sink.write(b"".join(_names(images, places[part])))
            sink.flush()

    return store.stream(index_path(of.output.name), write)


def _names(images: Images, places: Column) -> list[bytes]:
    """Give the names of some images as they stand in the index."""
    wnids = [facts.wnid for facts in official().classes]
    rows = images.plan.catalog.table.select(["name", "class_index"]).take(pa.array(images.rows[places]))
    named = zip(rows["name"].to_pylist(), rows["class_index"].to_pylist(), strict=True)
    return [written_name(name, wnids[class_index]) for name, class_index in named]


def _by_name(images: Images, places: Column, splits: dict[str, int]) -> Column:
    """Give the numbers of the images, those of each split in the order of their names."""
    order, start = np.empty(len(places), COLUMNS["by_name"]), 0
    for count in splits.values():
        part = slice(start, start + count)
        names = images.plan.catalog.table["name"].take(pa.array(images.rows[places[part]]))
        order[part] = start + pc.sort_indices(names).to_numpy()
        start += count
    return order

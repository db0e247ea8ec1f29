"""The lists of the splits: which image is in which, as text that people, shell tools and another build can read.

One base name a line, sorted, so that two lists can be compared whatever order and format were written. The list of
the test split, given to another build as its test list, makes the same test split there.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from imagenet_prep.dataset.layout import EXCLUDED, SPLIT_LISTS
from imagenet_prep.model.task import FileFact
from imagenet_prep.planning.plan import Plan
from imagenet_prep.planning.splits import Rows
from imagenet_prep.stores.publish import publish_bytes

_ONE_A_LINE = csv.WriteOptions(include_header=False, quoting_style="none")


def write_split_lists(out: Path, plan: Plan, set_aside: Rows) -> list[FileFact]:
    """Write the list of each split of ``plan``, and of what it excludes, and give what was written.
    ``set_aside`` are catalog rows that are in no list.
    """
    rows = {f"{SPLIT_LISTS}{split}.txt": np.setdiff1d(_rows_of(plan, split), set_aside) for split in plan.splits}
    if len(plan.excluded):
        rows[EXCLUDED] = plan.excluded
    return [
        replace(publish_bytes(out / path, _sorted_names(plan, of_list)), path=path) for path, of_list in rows.items()
    ]


def _rows_of(plan: Plan, split: str) -> Rows:
    return np.concatenate([shard.rows for shard in plan.shards if shard.name.split == split])


def _sorted_names(plan: Plan, rows: Rows) -> bytes:
    names = plan.catalog.table.column("name").take(pa.array(rows))
    text = io.BytesIO()
    csv.write_csv(pa.table({"name": names.take(pc.sort_indices(names))}), text, _ONE_A_LINE)
    return text.getvalue()

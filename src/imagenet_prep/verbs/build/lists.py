"""The lists of the splits: which image is in which, as text that people, shell tools and another build can read.

One base name a line, sorted, so that two lists can be compared whatever order and format were written. The list of
the test split, given to another build as its test list, makes the same test split there.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from imagenet_prep.dataset.layout import EXCLUDED, split_list
from imagenet_prep.dataset.manifest import Images
from imagenet_prep.planning.plan import Plan
from imagenet_prep.planning.splits import Rows

_ONE_A_LINE = csv.WriteOptions(include_header=False, quoting_style="none")


def split_lists(plan: Plan, images: Images) -> Iterator[tuple[str, bytes]]:
    """Give path and text of the list of each split of ``plan``, and of what it excludes. What was set aside is in no
    list.
    """
    for split, rows in plan.members.items():
        yield split_list(split), _sorted_names(plan, np.setdiff1d(rows, images.set_aside_in(split)))
    if len(plan.excluded):
        yield EXCLUDED, _sorted_names(plan, plan.excluded)


def _sorted_names(plan: Plan, rows: Rows) -> bytes:
    names = plan.catalog.table.column("name").take(pa.array(rows))
    text = io.BytesIO()
    csv.write_csv(pa.table({"name": names.take(pc.sort_indices(names))}), text, _ONE_A_LINE)
    return text.getvalue()

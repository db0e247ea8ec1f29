"""Files that are too small to be images, found in the catalog before a byte of them is read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from imagenet_prep.codecs.smallest import SMALLEST, too_small
from imagenet_prep.errors import Problem
from imagenet_prep.planning.catalog import Catalog
from imagenet_prep.planning.plan import entries_of
from imagenet_prep.planning.splits import Rows


def condemned_rows(catalog: Catalog, rows: Rows | None = None) -> Rows:
    """Give the catalog rows, of ``rows`` or of all, whose size no image has, in their order."""
    among = np.arange(len(catalog)) if rows is None else rows
    return among[catalog.numbers("size")[among] < SMALLEST]


def condemned(catalog: Catalog, paths: Sequence[str], rows: Rows | None = None) -> tuple[Problem, ...]:
    """Name every image of ``condemned_rows``; ``paths`` are those of the archives."""
    entries = entries_of(catalog.table.take(pa.array(condemned_rows(catalog, rows))), catalog.archives)
    return tuple(entries.problem(row, paths, too_small(size)) for row, size in enumerate(entries.sizes))

"""Images that their size alone condemns: a full disk and a broken copy leave files of 0 bytes.

The bound is that of the formats. A JPEG without a table and without a byte of picture has 27 bytes: SOI 2, the frame
header 13, the scan header 10, EOI 2 (ITU-T T.81, annex B). The smallest of all the kinds that are taken is a lossless
WebP of 26; a GIF has 28 and more, a BMP 30, a PNG 67.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imagenet_prep.errors import Problem

if TYPE_CHECKING:
    from imagenet_prep.planning.catalog import Catalog
    from imagenet_prep.planning.splits import Rows

SMALLEST = 26  # bytes


def wrong_size(size: int) -> str:
    """Say why no image has this size in bytes; "" if one may."""
    if size >= SMALLEST:
        return ""
    return f"has {size} byte{'s' * (size > 1)}, fewer than any image" if size else "is empty"


def condemned_rows(catalog: Catalog, rows: Rows | None = None) -> Rows:
    """Give the catalog rows, of ``rows`` or of all, whose size no image has, in their order."""
    import numpy as np

    among = np.arange(len(catalog)) if rows is None else rows
    return among[catalog.numbers("size")[among] < SMALLEST]


def condemned(catalog: Catalog, paths: Sequence[str], rows: Rows | None = None) -> tuple[Problem, ...]:
    """Name every image of ``condemned_rows``; ``paths`` are those of the archives."""
    import pyarrow as pa

    from imagenet_prep.planning.plan import entries_of

    entries = entries_of(catalog.table.take(pa.array(condemned_rows(catalog, rows))))
    return tuple(entries.problem(row, paths, wrong_size(size)) for row, size in enumerate(entries.sizes))

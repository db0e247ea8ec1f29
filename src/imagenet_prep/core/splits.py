"""Which image is in which split, decided from names before a byte is written.

The official test images have no labels, so the labelled test split is held out of train: in each class the
images with the lowest ranks under the seed. A larger hold-out therefore contains a smaller one, and one class
never influences another.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from imagenet_prep.core.catalog import Catalog
from imagenet_prep.core.facts import TEST, TRAIN, VALIDATION
from imagenet_prep.core.keys import rank_keys
from imagenet_prep.core.taxonomy import official
from imagenet_prep.errors import Problem, UsageError

Rows = npt.NDArray[np.int64]
_NAMES_AT_ONCE = 1 << 16  # names as Python objects cost about 100 bytes each: never all 1.28 million together


def assign(catalog: Catalog, *, test_per_class: int, seed: int) -> dict[str, Rows]:
    """Give the catalog rows of each split, ascending. ``test`` is empty if ``test_per_class`` is 0.

    Raises UsageError if a class has not more than ``test_per_class`` train images.
    """
    train = catalog.rows_of(TRAIN)
    held_out = _hold_out(catalog, train, test_per_class, seed)
    return {
        TRAIN: np.setdiff1d(train, held_out, assume_unique=True),
        VALIDATION: catalog.rows_of(VALIDATION),
        TEST: held_out,
    }


def names_of(catalog: Catalog, rows: Rows) -> Iterator[list[bytes]]:
    """Give the file names of ``rows`` in their order, as UTF-8, in lists of bounded length."""
    import pyarrow as pa

    column = catalog.table.column("name").cast(pa.binary())
    for start in range(0, len(rows), _NAMES_AT_ONCE):
        yield column.take(pa.array(rows[start : start + _NAMES_AT_ONCE])).to_pylist()


def _hold_out(catalog: Catalog, train: Rows, per_class: int, seed: int) -> Rows:
    if not per_class or not len(train):
        return np.empty(0, np.int64)
    _check_large_enough(catalog, per_class)
    ranks = np.frombuffer(b"".join(rank_keys(seed, names) for names in names_of(catalog, train)), ">u8")
    classes = catalog.numbers("class_index")[train]
    order = np.lexsort((train, ranks, classes))  # by class, then rank; equal ranks keep catalog order
    first_of_class = np.searchsorted(classes[order], classes[order], side="left")
    place_in_class = np.arange(len(order)) - first_of_class
    return np.sort(train[order[place_in_class < per_class]])


def _check_large_enough(catalog: Catalog, per_class: int) -> None:
    counts = catalog.class_counts(TRAIN)
    problems = tuple(
        Problem(facts.wnid, f"{counts[facts.index]} train images ({facts.name})")
        for facts in official().classes
        if 0 < counts[facts.index] <= per_class
    )
    if problems:
        smallest = int(np.min(counts[counts > 0]))
        raise UsageError(
            f"Holding out {per_class} images per class leaves {len(problems)} of the classes without train images:",
            problems,
            f"Choose --test-per-class {smallest - 1} or less; 0 holds nothing out.",
        )

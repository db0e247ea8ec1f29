"""Where the classes of the validation images come from, and how far that agrees with the published truth.

A list of the user takes precedence over the built-in truth. But a list in another numbering, or of
another order, gives nearly every image a wrong class, and nothing that reads the data would ever show it. So one that
differs for more than a tenth of the images is refused unless it is trusted, and the result reports any difference.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.imagenet.archives import DEVKIT, VALIDATION, VALIDATION_CLASSES
from imagenet_prep.imagenet.classes import validation_truth
from imagenet_prep.model.validation_classes import ValidationClasses
from imagenet_prep.planning.catalog import Catalog
from imagenet_prep.planning.conventions import (
    CLASS_INDEX,
    DEVKIT_FROM_ZERO,
    DEVKIT_INTEGER,
    FROM_ONE,
    mixed_up,
)

BUILT_IN = "built-in"
# Who read the numbers of a list: the devkit's the program, those of a list of WNIDs the author of the list.
_READ_AS = {DEVKIT: (DEVKIT_INTEGER,), VALIDATION_CLASSES: (CLASS_INDEX, FROM_ONE, DEVKIT_INTEGER, DEVKIT_FROM_ZERO)}
_REMEDY = (
    "Remove it: the program knows the validation classes without it. --trust-labels follows it all the same. (A "
    "class index is the place of a class among the sorted WNIDs, from 0; a devkit integer is another number.)"
)


def compare_classes(
    source: str, role: str, numbers: npt.NDArray[np.int64], given: npt.NDArray[np.int16]
) -> ValidationClasses:
    """Compare the class indexes ``given`` to validation images with the published truth. ``role`` is that of the
    list, ``numbers`` are those in the names of the images.
    """
    truths = np.frombuffer(validation_truth(), np.uint16).astype(np.int16)[numbers - 1]
    classes = ValidationClasses(source, len(given), int(np.sum(truths != given)))
    if not classes.doubtful or role not in _READ_AS:
        return classes
    return replace(classes, seems=mixed_up(given, truths, _READ_AS[role]))


def validation_classes(catalog: Catalog, rows: npt.NDArray[np.int64] | None = None) -> ValidationClasses | None:
    """Compare the validation images of a catalog, or those in ``rows``; None if there are none."""
    rows = catalog.rows_of(VALIDATION) if rows is None else rows
    if not len(rows):
        return None
    names = {archive.role: archive.name for archive in catalog.archives}
    role = next((role for role in _READ_AS if role in names), "")
    numbers = numbers_in(catalog.table["name"].take(pa.array(rows)))
    return compare_classes(names.get(role, BUILT_IN), role, numbers, catalog.numbers("class_index")[rows])


def numbers_in(names: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Give the numbers in the names of validation images."""
    numbers: npt.NDArray[np.int64] = pc.utf8_slice_codeunits(names, 15, 23).cast(pa.int64()).to_numpy()
    return numbers


def refuse_doubtful(classes: ValidationClasses | None) -> None:
    """Raise SourceError if too many images have another class than the published one."""
    if classes and classes.doubtful:
        problem = Problem(classes.source, classes.difference)
        raise SourceError("The validation classes cannot be right:", (problem,), _REMEDY)

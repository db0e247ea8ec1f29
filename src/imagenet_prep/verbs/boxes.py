"""From annotations to the boxes of the images in a catalog, and whether they belong to these images: missing boxes
show only in training, if at all.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from imagenet_prep.errors import Problem, printable
from imagenet_prep.imagenet.archives import (
    BOXED_TRAIN_IMAGES,
    BOXED_VALIDATION_IMAGES,
    TRAIN,
    TRAIN_BOXES,
    TRAIN_IMAGES,
    VALIDATION,
    VALIDATION_BOXES,
    VALIDATION_IMAGES,
)
from imagenet_prep.imagenet.classes import official
from imagenet_prep.planning.catalog import SCHEMA, Catalog
from imagenet_prep.sources.labels import role_of
from imagenet_prep.verbs.annotations import Annotations

_AT_ONCE = 65_536  # names that are Python's at one time
_NAMED = 5  # classes, or files, of what an archive holds instead
_FEWEST = 100  # images for which a share is significant
_ROLES = {TRAIN: TRAIN_BOXES, VALIDATION: VALIDATION_BOXES}
_OFFICIAL = {TRAIN: (BOXED_TRAIN_IMAGES, TRAIN_IMAGES), VALIDATION: (BOXED_VALIDATION_IMAGES, VALIDATION_IMAGES)}


def box_column(names: pa.StringArray, annotations: Sequence[Annotations]) -> pa.Array:
    """Give the sides of the boxes of each image; where two archives have an image, those of the last."""
    if not any(each.boxes for each in annotations):
        return pa.nulls(len(names), SCHEMA.field("boxes").type)
    of_image = [array("f")] * len(names)
    for each in annotations:
        for row, stem in enumerate(_stems(names)):
            of_image[row] = each.boxes.get(stem, of_image[row])
    offsets = np.cumsum([0, *map(len, of_image)], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(np.frombuffer(b"".join(map(bytes, of_image)), np.float32)))


def _stems(names: pa.StringArray | pa.ChunkedArray) -> Iterator[str]:
    for start in range(0, len(names), _AT_ONCE):
        yield from (name.removesuffix(".JPEG") for name in names.slice(start, _AT_ONCE).to_pylist())


def without_use(catalog: Catalog, annotations: Sequence[Annotations]) -> tuple[list[Problem], list[str]]:
    """Name the archives that have nothing for any image of the catalog, as problems; as notes, where there are no
    images of their set at all.
    """
    absent = {_ROLES[origin] for origin in _ROLES if not len(catalog.rows_of(origin))}
    problems, notes = [], []
    for each in annotations:
        if any(stem in each.boxes for stem in _stems(catalog.table["name"])):
            continue
        roles = {role_of(f"{stem}.xml") for stem in each.boxes}
        if roles and roles <= absent:
            sets = " and ".join(origin for origin in _ROLES if _ROLES[origin] in roles)
            notes.append(
                f"{each.name} has bounding boxes of {sets} images, but there are no such images: it is not used."
            )
        else:
            remedy = "download it again, or remove it to build without these boxes"
            problems.append(Problem(each.name, f"has no bounding box for any image here: {_held(each)}; {remedy}"))
    return problems, notes


def _held(each: Annotations) -> str:
    """Say what an archive has instead."""
    if not each.boxes:
        more = f" and {len(each.others) - _NAMED:,} more" if len(each.others) > _NAMED else ""
        return f"it holds {', '.join(each.others[:_NAMED])}{more}" if each.others else "it is empty"
    wnids = {stem.partition("_")[0] for stem in each.boxes}
    classes = [facts for wnid in sorted(wnids) if (facts := official().find(wnid))]
    if not classes:
        return f"it holds {len(each.boxes):,} annotations, such as {printable(min(each.boxes))}"
    named = ", ".join(f"{facts.wnid} ({facts.name})" for facts in classes[:_NAMED])
    return f"it holds {len(each.boxes):,} annotations, of {named}{' …' if classes[_NAMED:] else ''}"


def few_boxes(catalog: Catalog) -> Iterator[str]:
    """Remark on a set that has annotations beside it, and boxes for none of its images, or for far fewer than usual."""
    read = {archive.role for archive in catalog.archives}
    for origin, (boxed, of_all) in _OFFICIAL.items():
        rows = catalog.rows_of(origin)
        if not len(rows) or _ROLES[origin] not in read:
            continue
        images, _ = catalog.box_counts(rows)
        if not images:
            yield f"None of the {len(rows):,} {origin} images has a bounding box."
        elif len(rows) >= _FEWEST and 2 * images * of_all < boxed * len(rows):
            yield (
                f"Of {len(rows):,} {origin} images {images:,} have bounding boxes, which are far fewer than of the "
                f"official ones: there {boxed:,} of {of_all:,} are said to have some (unverified)."
            )

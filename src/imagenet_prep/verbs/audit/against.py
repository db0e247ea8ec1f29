"""Whether two data sets have the same images, by their manifests: each is proved by its ``build.json``, and has a
digest of every image as it was in the source. So formats, shards and converted images do not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.dataset.layout import BUILD
from imagenet_prep.errors import Problem
from imagenet_prep.model.comparison import Comparison
from imagenet_prep.stores import store_at
from imagenet_prep.verbs.audit.expected import Expected, read_expected

_COLUMNS = ("name", "split", "class_index", "size", "digest")
_NAMED = 1_000  # images of each kind of difference: more are counted


def other_data_set(place: Path) -> Expected:
    """Read the documents of another data set, of which ``place`` is the folder or its ``build.json``. Raises AuditError
    if they are missing or damaged.
    """
    return read_expected(store_at(place.parent if place.name == BUILD else place))


def compare_images(here: Expected, there: Expected) -> Comparison:
    """Compare the images of two data sets by name."""
    both = _joined(here.written(*_COLUMNS), there.written(*_COLUMNS))
    only_here, only_there = both.filter(pc.is_null(both["there"])), both.filter(pc.is_null(both["split"]))
    both = both.filter(pc.and_(pc.is_valid(both["there"]), pc.is_valid(both["split"])))
    known = pc.and_(pc.is_valid(both["digest"]), pc.is_valid(both["there digest"]))
    other_digest = pc.fill_null(pc.not_equal(both["digest"], both["there digest"]), fill_value=False)
    other_bytes = pc.or_(pc.not_equal(both["size"], both["there size"]), other_digest)
    other_class = pc.not_equal(both["class_index"], both["there class_index"])
    same = pc.invert(pc.or_(other_bytes, other_class))
    kinds = {
        "is only here": only_here,
        f"is only in {there.store.place}": only_there,
        "has other bytes there": both.filter(other_bytes),
        "has another class there": both.filter(other_class),
    }
    return Comparison(
        other=f"{there.store.place}/{BUILD}",
        the_same=_count(same),
        only_here=len(only_here),
        only_there=len(only_there),
        other_bytes=_count(other_bytes),
        other_class=_count(other_class),
        elsewhere=_count(pc.and_(same, pc.not_equal(both["split"], both["there"]))),
        unread=_count(pc.and_(same, pc.invert(known))),
        differences=tuple(problem for reason, images in kinds.items() for problem in _named(images, reason)),
    )


def _joined(here: pa.Table, there: pa.Table) -> pa.Table:
    """Put the rows of one name beside each other; what one of the two does not have is null there."""
    there = there.rename_columns(["name", "there", *(f"there {name}" for name in _COLUMNS[2:])])
    return here.join(there, "name", join_type="full outer", use_threads=False)


def _count(mask: pa.ChunkedArray) -> int:
    return pc.sum(mask).as_py() or 0


def _named(images: pa.Table, reason: str) -> Iterator[Problem]:
    names = images["name"].take(pc.sort_indices(images["name"])[:_NAMED]).to_pylist()
    yield from (Problem(name, reason) for name in names)
    if len(images) > _NAMED:
        yield Problem(f"{len(images) - _NAMED:,} more", reason)

"""Look whether the images of a catalog are the original ones. Of a few hundred, the header is read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.model.events import Note, Watch
from imagenet_prep.model.original import AGREES, Original, Shape
from imagenet_prep.planning.catalog import Catalog
from imagenet_prep.planning.original import judge
from imagenet_prep.planning.plan import Plan, entries_of
from imagenet_prep.sources.shapes import shapes_of

Rows = npt.NDArray[np.int64]


def original_of(catalog: Catalog, paths: tuple[str, ...], samples: Mapping[str, Rows]) -> Original | None:
    """Judge the images of a catalog; ``samples`` are those of ``judge``, ``paths`` where the archives are. None if one
    of them cannot be read: who reads all of them names it, and the verdict waits for a run that can.
    """

    def read(rows: pa.Table) -> list[Shape]:
        return shapes_of(paths, entries_of(rows, catalog.archives))

    try:
        return judge(catalog, samples, read)
    except SourceError:
        return None


def original_of_plan(of: Plan, paths: tuple[str, ...]) -> Original | None:
    """Judge the source of a plan, as far as it is used. Of its images those are sampled that come first in a split:
    these are the same whatever they lie in, and as good as chosen by chance.
    """
    origins = of.catalog.numbers("archive")
    samples: dict[str, Rows] = {}
    for rows in of.members.values():
        if len(rows):
            samples.setdefault(of.catalog.archives[origins[rows[0]]].role, rows)
    return original_of(of.catalog, paths, samples)


def require_original(original: Original | None) -> None:
    """Raise SourceError unless the sizes agree."""
    if original is None or original.verdict != AGREES:
        seen = (
            f"{original.verdict} ({original.reason})"
            if original
            else "has gone or cannot be read, and nobody has looked"
        )
        raise SourceError(
            "These are not known to be the original images, which --require-original asks for:",
            (Problem("the source", seen),),
            "Give the official archives or all that was unpacked from them, or leave --require-original out.",
        )


def warn_of_copy(original: Original | None, watch: Watch) -> None:
    """Warn of what is not the original."""
    if original and original.is_copy:
        watch(Note(f"{original.sentence} They are taken as they are.", warning=True))

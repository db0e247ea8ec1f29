"""The numbers that people give to the classes, and how to tell which ones a data set has.

The convention is the one that more than half of the labels follow: two of them agree in at most a few of the 1,000
classes, so there is never a doubt, and the labels that do not follow are wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.classes import ClassFacts, official

CLASS_INDEX = "class index, 0…999"
FROM_ONE = "class index + 1, 1…1000 (0 is background)"
DEVKIT_INTEGER = "devkit integer, 1…1000"
DEVKIT_FROM_ZERO = "devkit integer - 1, 0…999"
NO_CONVENTION = "none of the known conventions"

_LABEL_OF: dict[str, Callable[[ClassFacts], int]] = {
    CLASS_INDEX: lambda facts: facts.index,
    FROM_ONE: lambda facts: facts.index + 1,
    DEVKIT_INTEGER: lambda facts: facts.devkit,
    DEVKIT_FROM_ZERO: lambda facts: facts.devkit - 1,
}
CONVENTIONS = tuple(_LABEL_OF)


@cache
def labels_of(convention: str) -> tuple[int, ...]:
    """Give the label of every class, by class index."""
    return tuple(map(_LABEL_OF[convention], official().classes))


def class_of(convention: str, label: int) -> ClassFacts | None:
    """Give the class that a label means; None if it means none."""
    labels = labels_of(convention)
    return official().classes[labels.index(label)] if label in labels else None


def convention_of(labels: npt.NDArray[np.int64], truths: npt.NDArray[np.int16], expected: Sequence[str]) -> str:
    """Tell which convention the labels of images of known class follow. Where two fit equally well, as they may with
    very few images, the ``expected`` ones win, in their order.
    """
    order = dict.fromkeys((*expected, *CONVENTIONS))
    hits = {convention: int(np.sum(_expected(convention)[truths] == labels)) for convention in order}
    best = max(hits, key=lambda convention: hits[convention])
    return best if 2 * hits[best] > len(labels) else NO_CONVENTION


def wrong_labels(
    convention: str, labels: npt.NDArray[np.int64], truths: npt.NDArray[np.int16]
) -> npt.NDArray[np.bool_]:
    """Mark the labels that do not follow the convention."""
    return np.asarray(_expected(convention)[truths] != labels)


@cache
def _expected(convention: str) -> npt.NDArray[np.int64]:
    labels = np.array(labels_of(convention), np.int64)
    assert len(labels) == CLASS_COUNT
    return labels

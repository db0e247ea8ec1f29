"""The numbers that people give to the classes, and which of them a data set or a list has.

The convention is the one that more than half of the labels follow: two of them agree in at most 12 of the 1,000
classes, so there is never a doubt, and the labels that do not follow are wrong.

Readers of class folders make the last three: they give each class the place of its folder's name among all, sorted as
text, where 10 comes before 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt

from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.classes import ClassFacts, official
from imagenet_prep.model.validation_classes import NO_CONVENTION

CLASS_INDEX = "class index, 0…999"
FROM_ONE = "class index + 1, 1…1000 (0 is background)"
DEVKIT_INTEGER = "devkit integer, 1…1000"
DEVKIT_FROM_ZERO = "devkit integer - 1, 0…999"
NAME_ORDER = "place of the name among all names sorted, 0…999"
TEXT_ORDER = "place of the class index among 0…999 sorted as text"
DEVKIT_TEXT_ORDER = "place of the devkit integer among 1…1000 sorted as text"


@cache
def _places(texts: tuple[str, ...]) -> dict[str, int]:
    return {text: place for place, text in enumerate(sorted(texts))}


_LABEL_OF: dict[str, Callable[[ClassFacts], int]] = {
    CLASS_INDEX: lambda facts: facts.index,
    FROM_ONE: lambda facts: facts.index + 1,
    DEVKIT_INTEGER: lambda facts: facts.devkit,
    DEVKIT_FROM_ZERO: lambda facts: facts.devkit - 1,
    NAME_ORDER: lambda facts: _places(tuple(each.name for each in official().classes))[facts.name],
    TEXT_ORDER: lambda facts: _places(tuple(map(str, range(CLASS_COUNT))))[str(facts.index)],
    DEVKIT_TEXT_ORDER: lambda facts: _places(tuple(map(str, range(1, CLASS_COUNT + 1))))[str(facts.devkit)],
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
    """Find the convention that the labels of images of known class follow. Where two fit equally well, as they may with
    very few images, the ``expected`` ones win, in their order.
    """
    best, hits = best_convention(labels, truths, expected)
    return best if 2 * hits > len(labels) else NO_CONVENTION


def best_convention(
    labels: npt.NDArray[np.int64], truths: npt.NDArray[np.int16], expected: Sequence[str] = ()
) -> tuple[str, int]:
    """Give the convention that fits most labels, and how many those are."""
    order = dict.fromkeys((*expected, *CONVENTIONS))
    hits = {convention: int(np.sum(_expected(convention)[truths] == labels)) for convention in order}
    best = max(hits, key=lambda convention: hits[convention])
    return best, hits[best]


def mixed_up(given: npt.NDArray[np.int16], truths: npt.NDArray[np.int16], read_as: Sequence[str]) -> str:
    """Say how a list came to give images the classes ``given``: which numbers it has, and for which of ``read_as``
    they were taken.
    """
    pairs = [(written, read) for written, read in product(CONVENTIONS, read_as) if written != read]
    hits = {pair: int(np.sum(_expected(pair[0])[truths] == _expected(pair[1])[given])) for pair in pairs}
    best = max(pairs, key=lambda pair: hits[pair])
    return f"{best[0]}, taken for {best[1]}" if 2 * hits[best] > len(given) else NO_CONVENTION


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

"""Judges the images of a data set that others made against the built-in truth: labels, doubles, and what is missing.

The class of an image is that of its name, or of its synset where there is no name. All is counted in NumPy columns;
a name is looked up only for a problem, and the number of problems is bounded.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import combinations, islice

import numpy as np
import numpy.typing as npt

from imagenet_prep.errors import Problem
from imagenet_prep.imagenet.archives import (
    CLASS_COUNT,
    SMALLEST_CLASS,
    TRAIN,
    TRAIN_IMAGES,
    VALIDATION,
    VALIDATION_IMAGES,
    VALIDATION_PER_CLASS,
)
from imagenet_prep.imagenet.classes import official
from imagenet_prep.imagenet.names import VALIDATION_STEM
from imagenet_prep.model.validation_classes import NO_CONVENTION
from imagenet_prep.planning.conventions import class_of, convention_of, labels_of, wrong_labels
from imagenet_prep.verbs.audit.others.observed import NO_CLASS, NO_LABEL, ORIGINS, Seen
from imagenet_prep.verbs.audit.others.report import ranges

MOST_NAMED = 300  # problems of one kind; the rest is counted
_VALIDATION = re.compile(VALIDATION_STEM, re.ASCII)
_MOST_CLASSES = 5
_COMPLETE = {TRAIN: TRAIN_IMAGES, VALIDATION: VALIDATION_IMAGES}
_LEAST = {TRAIN: SMALLEST_CLASS, VALIDATION: VALIDATION_PER_CLASS}

Column = npt.NDArray[np.generic]


class SplitColumns:
    """All parts of one split as columns; rows count through all parts."""

    def __init__(self, name: str, parts: Sequence[Seen]) -> None:
        self.name = name
        self.parts = parts
        self.keys = _joined([part.keys for part in parts], np.dtype(np.uint64))
        self.truths = _joined([part.truths for part in parts], np.dtype(np.int16))
        self.labels = _joined([part.labels for part in parts], np.dtype(np.int64))
        self.digests = _joined([part.digests for part in parts], np.dtype(np.uint64))
        told = _joined([part.origins for part in parts], np.dtype(np.int8))
        counts = np.bincount(told, minlength=len(ORIGINS))[1:]
        self.origin = ORIGINS[1 + int(np.argmax(counts))] if counts.any() else _by_split(name)
        self.origins = np.where(told == 0, ORIGINS.index(self.origin), told)
        self._starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return len(self.truths)

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """Images of each class."""
        return np.bincount(self.truths[self.truths != NO_CLASS], minlength=CLASS_COUNT)

    def at(self, row: int) -> tuple[Seen, int]:
        """Give the part of a row, and its place there."""
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.parts[part], row - int(self._starts[part])

    def problem(self, row: int, reason: str) -> Problem:
        """Say something of the image in a row."""
        part, place = self.at(row)
        return part.problem_of(place, reason)

    def name_of(self, row: int) -> str:
        """Give the name of the image in a row; of one without a name, its part."""
        part, place = self.at(row)
        return part.name(place) or part.place


def _joined(columns: Iterable[array[int]], dtype: np.dtype[np.generic]) -> npt.NDArray[np.int64]:
    return np.frombuffer(b"".join(columns), dtype)


def _by_split(name: str) -> str:
    return VALIDATION if name == VALIDATION else TRAIN


def judge_labels(split: SplitColumns, place: str, expected: Sequence[str]) -> tuple[str, list[Problem]]:
    """Tell which convention the labels of a split follow, "" if no image says its class, and name those that do not."""
    rows = np.flatnonzero((split.truths != NO_CLASS) & (split.labels != NO_LABEL))
    if not len(rows):
        return "", []
    labels, truths = split.labels[rows], split.truths[rows].astype(np.int16)
    convention = convention_of(labels, truths, expected)
    if convention == NO_CONVENTION:
        first = split.problem(int(rows[0]), "")
        reason = f"the labels of {split.name} follow none of the known conventions: the first is {labels[0]}, of "
        return convention, [Problem(place, f"{reason}{first.member or first.archive}, {_class(int(truths[0]))}")]
    wrong = rows[wrong_labels(convention, labels, truths)]
    return convention, list(
        _named(split, wrong, lambda row: _mislabelled(split, row, convention), f"labels of {split.name} are wrong")
    )


def _mislabelled(split: SplitColumns, row: int, convention: str) -> str:
    label, truth = int(split.labels[row]), int(split.truths[row])
    meant = class_of(convention, label)
    says = f"says {_class(meant.index)}" if meant else "says no class"
    return f"has the label {label}, which {says}; it is {_class(truth)}, label {labels_of(convention)[truth]}"


def _named(
    split: SplitColumns, rows: npt.NDArray[np.int64], reason: Callable[[int], str], what: str
) -> Iterator[Problem]:
    for row in rows[:MOST_NAMED]:
        yield split.problem(int(row), reason(int(row)))
    if len(rows) > MOST_NAMED:
        yield Problem(split.at(int(rows[-1]))[0].place, f"and {len(rows) - MOST_NAMED:,} more {what}")


def unknown_classes(split: SplitColumns) -> Problem | None:
    """Say how many images have nothing that says their class; None if all have, or none has."""
    rows = np.flatnonzero(split.truths == NO_CLASS)
    if not len(rows) or len(rows) == len(split):
        return None
    reason = f"{len(rows):,} images of {split.name} have no name or synset that says their class; this is the first"
    return split.problem(int(rows[0]), reason)


def strangers(split: SplitColumns) -> list[Problem]:
    """Name images whose names say that they come from another archive than most of the split."""
    rows = np.flatnonzero(split.origins != ORIGINS.index(split.origin))

    def reason(row: int) -> str:
        """Say where it comes from."""
        return f"is of the {ORIGINS[int(split.origins[row])]} set, among images of {split.origin}"

    return list(_named(split, rows, reason, f"images of {split.name} are of another set"))


def doubled_names(splits: Sequence[SplitColumns]) -> list[Problem]:
    """Name images whose name is there more than once, in one split or in several."""
    keys = np.concatenate([split.keys for split in splits])
    starts = np.cumsum([0, *map(len, splits)])
    count, groups = _groups(keys)
    problems = []
    for first, *others in groups:
        (split, row), *rest = (_place(splits, starts, number) for number in (first, *others[:_MOST_CLASSES]))
        where = ", ".join(f"{there.at(place)[0].place} ({there.name})" for there, place in rest)
        problems.append(split.problem(row, f"is there {1 + len(others)} times: here ({split.name}) and in {where}"))
    if count > len(groups):
        problems.append(Problem(problems[-1].archive, f"and {count - len(groups):,} more names are doubled"))
    return problems


def _place(splits: Sequence[SplitColumns], starts: npt.NDArray[np.int64], number: int) -> tuple[SplitColumns, int]:
    which = int(np.searchsorted(starts, number, side="right")) - 1
    return splits[which], number - int(starts[which])


def _sorted(keys: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give the order of the rows by key, and the places in it that have the key of the place before, unless it is 0."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    return order, np.flatnonzero((ordered[1:] == ordered[:-1]) & (ordered[1:] != 0)) + 1


def _groups(keys: npt.NDArray[np.int64]) -> tuple[int, list[list[int]]]:
    """Count the keys that are there more than once; give the rows of some of them, the first ones first."""
    order, again = _sorted(keys)
    starts = again[np.diff(again, prepend=-1) > 1] - 1  # the first of a group is never among ``again``
    ends = again[np.diff(again, append=len(keys) + 1) > 1] + 1
    first = np.argsort(order[starts])[:MOST_NAMED]
    return len(starts), [order[starts[group] : ends[group]].tolist() for group in first]


def same_images(split: SplitColumns, place: str) -> Iterator[Problem]:
    """Remark on images that have the bytes of another one under another name: ImageNet itself has some."""
    order, again = _sorted(split.digests)
    again = again[split.keys[order[again]] != split.keys[order[again - 1]]]
    if len(again):
        pair = again[np.argmin(order[again - 1])]
        names = f"{split.name_of(int(order[pair - 1]))} and {split.name_of(int(order[pair]))}"
        reason = f"images of {split.name} that have the bytes of another one: {len(again):,}, such as {names}"
        yield Problem(place, f"{reason}; ImageNet itself has some")


def shared_images(splits: Sequence[SplitColumns], place: str) -> Iterator[Problem]:
    """Remark on pairs of splits with the same bytes under two names: a test must not have train images."""
    found = (_shared(*pair) for pair in combinations(splits, 2))
    yield from islice((Problem(place, reason) for reason in found if reason), MOST_NAMED)


def _shared(one: SplitColumns, other: SplitColumns) -> str | None:
    doubled = (other.keys != 0) & np.isin(other.keys, one.keys)  # which is a problem of its own
    rows = np.flatnonzero((other.digests != 0) & np.isin(other.digests, one.digests) & ~doubled)
    if not len(rows):
        return None
    twin = np.flatnonzero(one.digests == other.digests[rows[0]])[0]
    names = f"{other.name_of(int(rows[0]))} and {one.name_of(int(twin))}"
    images = f"{len(rows):,} images of {other.name} have" if len(rows) > 1 else f"1 image of {other.name} has"
    return f"{images} the bytes of images of {one.name}, such as {names}"


def missing(splits: Sequence[SplitColumns], place: str) -> Iterator[Problem]:
    """Say what the official sets have more. What was held out of train counts as train; a doubled image counts once."""
    for origin in (TRAIN, VALIDATION):
        code = ORIGINS.index(origin)
        if not any((split.origins == code).any() for split in splits):
            continue
        keys = np.concatenate([split.keys[split.origins == code] for split in splits])
        truths = np.concatenate([split.truths[split.origins == code] for split in splits])
        once = np.ones(len(keys), bool)
        order, again = _sorted(keys)
        once[order[again]] = False
        if int(once.sum()) != _COMPLETE[origin]:
            yield Problem(place, f"has {int(once.sum()):,} {origin} images of {_COMPLETE[origin]:,}")
            yield from _missing_numbers(splits, place) if origin == VALIDATION else ()
        counts = np.bincount(truths[once & (truths != NO_CLASS)], minlength=CLASS_COUNT)
        yield from _gaps(counts, origin, place) if counts.any() else ()


def _gaps(counts: npt.NDArray[np.int64], origin: str, place: str) -> Iterator[Problem]:
    least = _LEAST[origin]
    for classes, what in (
        (np.flatnonzero(counts == 0), f"no {origin} image"),
        (np.flatnonzero((counts > 0) & (counts < least)), f"fewer {origin} images than any official class ({least})"),
    ):
        if len(classes):
            named = ", ".join(_class(int(each)) for each in classes[:_MOST_CLASSES])
            more = " …" if len(classes) > _MOST_CLASSES else ""
            verb = "classes have" if len(classes) > 1 else "class has"
            yield Problem(place, f"{len(classes):,} {verb} {what}: {named}{more}")


def _missing_numbers(splits: Sequence[SplitColumns], place: str) -> Iterator[Problem]:
    """Name the validation images that are not there, if those that are have names."""
    there = np.zeros(VALIDATION_IMAGES + 1, bool)
    for part in (part for split in splits for part in split.parts):
        there[[number for name in part.names.decode().split("\n") if (number := validation_number(name))]] = True
    if there.any():
        gone = (np.flatnonzero(~there[1:]) + 1).tolist()
        if gone:
            yield Problem(place, f"these validation images are missing: {ranges(gone)}")


def validation_number(name: str) -> int:
    """Give the number in the name of a validation image; 0 for any other name, and for numbers that are not given."""
    match = _VALIDATION.match(name)
    number = int(match[0][-8:]) if match else 0
    return number if number <= VALIDATION_IMAGES else 0


def _class(class_index: int) -> str:
    facts = official().classes[class_index]
    return f"{facts.wnid} ({facts.name})"

"""Which image is in which split, and which are kept at all, decided from names before a byte is written.

The official test images have no labels, so the labelled test split is held out of train: in each class the
images with the lowest ranks under the seed, or those of a list. A larger hold-out therefore contains a smaller
one, and one class never influences another. A subset is chosen after that, in each split by the same ranks, so
that 10 % contain 1 %, and no choice ever moves an image from one split to another.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.errors import Problem, UsageError, counted
from imagenet_prep.imagenet.archives import CLASS_COUNT, TEST, TRAIN, VALIDATION
from imagenet_prep.imagenet.classes import official
from imagenet_prep.options import Selection
from imagenet_prep.planning.catalog import Catalog
from imagenet_prep.planning.keys import rank_keys

Rows = npt.NDArray[np.int64]
_NAMES_AT_ONCE = 1 << 16  # names as Python objects cost about 100 bytes each: never all 1.28 million together
_NAMED = 10  # classes: as many as a miniature has


def assign(catalog: Catalog, options: Selection) -> dict[str, Rows]:
    """Give the catalog rows of each split, ascending. ``test`` is empty if nothing is held out of train.

    Raises UsageError if a class would be left without train images, if one of ``options.classes`` has no images
    at all, or if a name of ``options.test_list`` is not that of a train image.
    """
    _check_classes(catalog, options.classes)
    validation = _usable(catalog, VALIDATION, options)
    train = held_out = np.empty(0, np.int64)
    if not options.splits or {TRAIN, TEST} & set(options.splits):  # validation must not fail because of train
        train = _usable(catalog, TRAIN, options)
        held_out = _listed(catalog, train, options) if options.test_list else _ranked(catalog, train, options)
        _check_what_is_left(catalog, train, held_out, options)
    members = {TRAIN: np.setdiff1d(train, held_out, assume_unique=True), VALIDATION: validation, TEST: held_out}
    return {split: _kept(catalog, rows, options) for split, rows in members.items()}


def excluded(catalog: Catalog, options: Selection) -> Rows:
    """Give the catalog rows of the images that are excluded by name, ascending; names of other images do not matter."""
    if not options.exclude:
        return np.empty(0, np.int64)
    listed = pc.is_in(catalog.table.column("name"), value_set=pa.array(options.exclude, pa.string()))
    return np.flatnonzero(listed.to_numpy())


def names_of(catalog: Catalog, rows: Rows) -> Iterator[list[bytes]]:
    """Give the file names of ``rows`` in their order, as UTF-8, in lists of bounded length."""
    column = catalog.table.column("name").cast(pa.binary())
    for start in range(0, len(rows), _NAMES_AT_ONCE):
        yield column.take(pa.array(rows[start : start + _NAMES_AT_ONCE])).to_pylist()


def _usable(catalog: Catalog, origin: str, options: Selection) -> Rows:
    """The images of an origin, except excluded ones and those of classes that were not chosen."""
    rows = np.setdiff1d(catalog.rows_of(origin), excluded(catalog, options), assume_unique=True)
    return rows[np.isin(catalog.numbers("class_index")[rows], options.classes)] if options.classes else rows


def _ranked(catalog: Catalog, train: Rows, options: Selection) -> Rows:
    """The hold-out by number: of each class, the images of the lowest ranks."""
    if not options.test_per_class:
        return np.empty(0, np.int64)
    classes = catalog.numbers("class_index")[train]
    return train[_places(_ranks(catalog, train, options.seed), classes) < options.test_per_class]


def _listed(catalog: Catalog, train: Rows, options: Selection) -> Rows:
    """The hold-out by name; names of classes that are left out do not matter."""
    column, wanted = catalog.table.column("name"), pa.array(options.test_list, pa.string())
    unknown = wanted.filter(pc.invert(pc.is_in(wanted, value_set=column.take(pa.array(catalog.rows_of(TRAIN))))))
    left_out = {facts.wnid for facts in official().classes if options.classes and facts.index not in options.classes}
    problems = tuple(
        Problem("test list", "is not among the train images of the source", name)
        for name in unknown.to_pylist()
        if name.partition("_")[0] not in left_out
    )
    if problems:
        raise UsageError(
            f"Of {counted(len(wanted), 'image')} of the test list, these are not in train:",
            problems,
            "Remove them from the list, or add the sources that have them.",
        )
    is_listed: npt.NDArray[np.bool_] = pc.is_in(column.take(pa.array(train)), value_set=wanted).to_numpy()
    return train[is_listed]


def _kept(catalog: Catalog, rows: Rows, options: Selection) -> Rows:
    """The subset of one split: first so many of each class, then so many of all, each class giving its share of
    them. By rank alone, a class whose hold-out happened to reach far up its ranks would give nothing to a small
    subset.
    """
    if not len(rows) or not (options.images_per_class or options.limit):
        return rows
    ranks, classes = _ranks(catalog, rows, options.seed), catalog.numbers("class_index")[rows]
    places = _places(ranks, classes)
    if options.images_per_class:
        kept = places < options.images_per_class
        rows, ranks, classes, places = rows[kept], ranks[kept], classes[kept], places[kept]
    if options.limit:
        share = places / np.bincount(classes, minlength=CLASS_COUNT)[classes]
        rows = np.sort(rows[np.lexsort((ranks, share))[: _count(options.limit, len(rows))]])
    return rows


def _count(limit: float, images: int) -> int:
    """A number, or a share, which is never so small that a split disappears."""
    return limit if isinstance(limit, int) else max(1, round(limit * images))


def _ranks(catalog: Catalog, rows: Rows, seed: int) -> npt.NDArray[np.uint64]:
    return np.frombuffer(b"".join(rank_keys(seed, names) for names in names_of(catalog, rows)), ">u8").astype(np.uint64)


def _places(ranks: npt.NDArray[np.uint64], classes: npt.NDArray[np.int16]) -> Rows:
    """Number the images of each class from 0 in the order of their ranks; equal ranks keep catalog order."""
    order = np.lexsort((ranks, classes))
    first_of_class = np.searchsorted(classes[order], classes[order], side="left")
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order)) - first_of_class
    return places


def _check_classes(catalog: Catalog, classes: tuple[int, ...]) -> None:
    """A class without images was hardly meant: the list or the source is wrong."""
    counts = np.bincount(catalog.numbers("class_index"), minlength=CLASS_COUNT)
    missing = [official().classes[index] for index in classes if not counts[index]]
    if missing:
        raise UsageError(
            f"The source has no images of {len(missing):,} of the {counted(len(classes), 'class', 'classes')} chosen:",
            tuple(Problem(facts.wnid, f"no images ({facts.name})") for facts in missing),
            f"Choose classes that the source has (--classes): {_there(counts)}.",
        )


def _there(counts: npt.NDArray[np.int64]) -> str:
    """Name classes that have images: some, where there are many."""
    names = [facts.name for facts in official().classes if counts[facts.index]]
    return f"{', '.join(names[:_NAMED])}{' …' if names[_NAMED:] else ''}"


def _check_what_is_left(catalog: Catalog, train: Rows, held_out: Rows, options: Selection) -> None:
    classes = catalog.numbers("class_index")
    counts, held = (np.bincount(classes[rows], minlength=CLASS_COUNT) for rows in (train, held_out))
    problems = tuple(
        Problem(facts.wnid, f"{counts[facts.index]} train images ({facts.name})")
        for facts in official().classes
        if 0 < counts[facts.index] <= held[facts.index]
    )
    if not problems:
        return
    if options.test_list:
        remedy = "Shorten the list, or leave these classes out (--classes)."
        summary = f"Holding out the test list leaves {len(problems)} of the classes without train images:"
        raise UsageError(summary, problems, remedy)
    smallest = int(np.argmin(np.where(counts > 0, counts, np.iinfo(counts.dtype).max)))
    left = f"{counted(len(problems), 'class', 'classes')} without train images"
    example = f"{official().classes[smallest].name} has {counted(int(counts[smallest]), 'train image')}"
    most, wants_test = int(counts[smallest]) - 1, TEST in options.splits
    remedy = f"Add --test-per-class {most} (or less{'' if wants_test else '; 0 holds nothing out'})."
    if wants_test and not most:
        remedy = "Leave out --split test, and add --test-per-class 0: this class has no image to spare."
    raise UsageError(f"Holding out {options.test_per_class} images per class leaves {left}: {example}.", remedy=remedy)

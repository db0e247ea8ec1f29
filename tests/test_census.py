"""The census: an archive of the official size must hold the official images; any other is taken, and said so."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from imagenet_prep.model.archive import Archive
from imagenet_prep.planning.catalog import SCHEMA, Catalog
from imagenet_prep.planning.census import Census, check_counts
from support.sentences import Sentence, places

pytestmark = pytest.mark.quick

TRAIN_BYTES, VALIDATION_BYTES = 147_897_477_120, 6_744_924_160
LARGEST_CLASS, SMALLEST_CLASS = 1_300, 732

Counts = npt.NDArray[np.int64]


def train_counts() -> Counts:
    """1,281,167 images in 1,000 classes of 732 to 1,300, as in the official archive."""
    counts = np.full(1_000, LARGEST_CLASS)
    counts[:32] = SMALLEST_CLASS  # 32 x 568 less, and some of the rest
    counts[32] -= 1_300_000 - 32 * 568 - 1_281_167 - 300
    counts[33] -= 300
    return counts


def catalog(
    train: Counts | None = None,
    validation: Counts | None = None,
    *,
    train_bytes: int = TRAIN_BYTES,
    validation_bytes: int = VALIDATION_BYTES,
) -> Catalog:
    """A catalog with so many images of each class; all columns but class and archive are the same everywhere."""
    given = [("train", train, train_bytes), ("validation", validation, validation_bytes)]
    parts = [(role, counts, size) for role, counts, size in given if counts is not None]
    classes = np.concatenate([np.repeat(np.arange(1_000), counts) for _, counts, _ in parts]).astype(np.int16)
    archive_of_row = np.repeat(np.arange(len(parts), dtype=np.int8), [counts.sum() for _, counts, _ in parts])
    rows = len(classes)
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), ["an image"]).cast(pa.string()),
        pa.array(classes),
        pa.array(archive_of_row),
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int16)), [""]),
        pa.array(np.zeros(rows, np.int64)),
        pa.array(np.zeros(rows, np.int32)),
        pa.nulls(rows, pa.list_(pa.float32())),
    ]
    names = {"train": "ILSVRC2012_img_train.tar", "validation": "ILSVRC2012_img_val.tar"}
    archives = tuple(Archive(names[role], role, size, 0) for role, _, size in parts)
    return Catalog(pa.table(columns, schema=SCHEMA), archives)


def said(census: Census) -> list[str]:
    return [str(problem) for problem in census.problems]


FIFTY = np.full(1_000, 50)


def test_the_official_counts_are_complete() -> None:
    assert train_counts().sum() == 1_281_167

    census = check_counts(catalog(train_counts(), FIFTY))

    assert census == Census(complete=True, problems=(), notes=())


@pytest.mark.parametrize("part", ["train", "validation"])
def test_one_official_archive_alone_is_complete(part: str) -> None:
    official = catalog(train_counts()) if part == "train" else catalog(validation=FIFTY)

    assert check_counts(official).complete


def test_an_archive_of_the_official_size_must_have_all_1281167_images(sentence: Sentence) -> None:
    counts = train_counts()
    counts[999] -= 1

    census = check_counts(catalog(counts, FIFTY))

    assert places(census.problems) == ["ILSVRC2012_img_train.tar"]
    sentence(census.problems)
    assert not census.complete


def test_a_class_that_is_missing_is_named(sentence: Sentence) -> None:
    counts = train_counts()
    counts[1] += counts[0]  # the sum is right all the same
    counts[0] = 0

    found = check_counts(catalog(counts))
    assert places(found.problems) == ["ILSVRC2012_img_train.tar"]
    sentence(found.problems)


def test_every_class_has_50_validation_images(sentence: Sentence) -> None:
    counts = FIFTY.copy()
    counts[1] += 1
    counts[999] -= 1

    found = check_counts(catalog(validation=counts))
    assert places(found.problems) == ["ILSVRC2012_img_val.tar", "ILSVRC2012_img_val.tar"]
    sentence(found.problems)


def test_all_50000_validation_images_must_be_there(sentence: Sentence) -> None:
    counts = FIFTY.copy()
    counts[0] = 0

    found = check_counts(catalog(validation=counts))
    assert places(found.problems) == ["ILSVRC2012_img_val.tar", "ILSVRC2012_img_val.tar"]
    sentence(found.problems)


def test_the_problems_of_both_archives_are_said_at_once() -> None:
    census = check_counts(catalog(np.full(1_000, 1), np.full(1_000, 2)))

    assert len(census.problems) == 1 + 1 + 1_000
    assert said(census)[0] == "ILSVRC2012_img_train.tar: has 1,000 images; the official archive has 1,281,167"
    assert said(census)[1] == "ILSVRC2012_img_val.tar: has 2,000 images; the official archive has 50,000"


def test_an_archive_of_another_size_has_no_official_counts_and_that_is_said() -> None:
    few = np.zeros(1_000, np.int64)
    few[:2] = 60

    census = check_counts(catalog(few, FIFTY, train_bytes=10_240))

    assert census.problems == ()
    assert not census.complete
    assert census.notes == (
        (
            "ILSVRC2012_img_train.tar is not the official archive (10,240 bytes instead of 147,897,477,120): "
            "its 120 images in 2 of 1,000 classes are taken as they are."
        ),
    )


def test_one_byte_makes_another_archive_even_with_the_official_counts() -> None:
    census = check_counts(catalog(train_counts(), FIFTY, validation_bytes=VALIDATION_BYTES + 1))

    assert not census.complete
    assert census.problems == ()
    assert census.notes[0].startswith("ILSVRC2012_img_val.tar is not the official archive (6,744,924,161 bytes")


def test_other_archives_have_no_counts() -> None:
    official = catalog(train_counts())
    beside = Archive("ILSVRC2012_devkit_t12.tar.gz", "devkit", 1, 0)

    assert check_counts(Catalog(official.table, (*official.archives, beside))).complete


def test_a_catalog_without_images_is_counted_too() -> None:
    nothing = Catalog(SCHEMA.empty_table(), (Archive("ILSVRC2012_img_val.tar", "validation", VALIDATION_BYTES, 0),))

    assert said(check_counts(nothing))[0] == "ILSVRC2012_img_val.tar: has 0 images; the official archive has 50,000"

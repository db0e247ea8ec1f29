"""What Kaggle puts around the images: annotations as files, lists, and CSV files that hold the boxes again.

Paths, columns and the form of a line are those of the competition imagenet-object-localization-challenge, as public
readers take them: ``ILSVRC2012_val_00048981,n03995372 85 1 499 272`` has a WNID and four edges in pixels for each
box, ``n01440764/n01440764_10026 1`` a path without ``.JPEG`` and the line's number, LOC_synset_mapping.txt all 1,000
classes. The rows of the sample submission are placeholders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from imagenet_prep.imagenet.classes import official
from imagenet_prep.testing.annotations import annotated, annotation_file, in_folders
from imagenet_prep.testing.archives import TRAIN, VALIDATION, Member
from imagenet_prep.testing.layouts import KAGGLE_IMAGES
from imagenet_prep.testing.miniature import MiniatureEntry, MiniatureOptions
from imagenet_prep.testing.pictures import picture

Contents = Callable[[Sequence[MiniatureEntry], MiniatureOptions], Iterable[Member]]

_ANNOTATIONS = "ILSVRC/Annotations/CLS-LOC"
_LISTS = "ILSVRC/ImageSets/CLS-LOC"
_SYNSETS = "LOC_synset_mapping.txt"
_SOLUTIONS = {TRAIN: "LOC_train_solution.csv", VALIDATION: "LOC_val_solution.csv"}
_SAMPLE = "LOC_sample_submission.csv"
_HEADER = "ImageId,PredictionString"
_TEST_STEMS = tuple(f"ILSVRC2012_test_{number:08d}" for number in (1, 2, 3))


def parts(options: MiniatureOptions) -> Mapping[str, Contents]:
    """Return file or folder → its contents, made from entries and options, under names that begin with its own.

    Without boxes there are neither annotations nor solutions, which are lists of boxes.
    """
    sets = (TRAIN, VALIDATION) if options.validation_per_class else (TRAIN,)
    return {
        f"{KAGGLE_IMAGES}/test": _test_images,
        **({_ANNOTATIONS: _annotations} if options.boxes else {}),
        _LISTS: _lists,
        _SYNSETS: _synset_mapping,
        **({_SOLUTIONS[each]: partial(_solution, each) for each in sets} if options.boxes else {}),
        _SAMPLE: _sample_submission,
    }


def _test_images(_entries: Sequence[MiniatureEntry], options: MiniatureOptions) -> Iterator[Member]:
    for stem in _TEST_STEMS:
        yield Member(f"{KAGGLE_IMAGES}/test/{stem}.JPEG", picture(f"{options.seed}/{stem}.JPEG", options.size))


def _annotations(entries: Sequence[MiniatureEntry], options: MiniatureOptions) -> Iterator[Member]:
    files = (annotation_file(annotated(entry, options.seed)) for entry in entries if entry.boxes)
    for member in in_folders(files):
        folder = _ANNOTATIONS if member.name.startswith("val/") else f"{_ANNOTATIONS}/train"
        yield member._replace(name=f"{folder}/{member.name}")


def _lists(entries: Sequence[MiniatureEntry], _options: MiniatureOptions) -> Iterator[Member]:
    train = [entry for entry in entries if entry.archive == TRAIN]
    lists = {
        "train_cls": (f"{entry.wnid}/{_stem(entry)}" for entry in train),
        "train_loc": (f"{entry.wnid}/{_stem(entry)}" for entry in train if entry.boxes),
        "val": (_stem(entry) for entry in entries if entry.archive == VALIDATION),
        "test": _TEST_STEMS,
    }
    for name, images in lists.items():
        lines = (f"{image} {number}" for number, image in enumerate(sorted(images), 1))
        yield _text(f"{_LISTS}/{name}.txt", lines)


def _synset_mapping(_entries: Sequence[MiniatureEntry], _options: MiniatureOptions) -> Iterator[Member]:
    yield _text(_SYNSETS, (f"{facts.wnid} {facts.lemmas}" for facts in official().classes))


def _solution(archive: str, entries: Sequence[MiniatureEntry], options: MiniatureOptions) -> Iterator[Member]:
    """A row per image with boxes, in archive order: Kaggle's rows are in no order either."""
    rows = [annotated(entry, options.seed) for entry in entries if entry.archive == archive and entry.boxes]
    yield _text(_SOLUTIONS[archive], [_HEADER, *(f"{_stem(entry)},{_prediction(entry)}" for entry in rows)])


def _prediction(entry: MiniatureEntry) -> str:
    """One group for each box, and a space after each, also the last."""
    return "".join(f"{entry.wnid} {box.xmin} {box.ymin} {box.xmax} {box.ymax} " for box in entry.boxes)


def _sample_submission(_entries: Sequence[MiniatureEntry], _options: MiniatureOptions) -> Iterator[Member]:
    yield _text(_SAMPLE, [_HEADER, *(f"{stem},1 0 0 1 1" for stem in _TEST_STEMS)])


def _stem(entry: MiniatureEntry) -> str:
    return entry.name.removesuffix(".JPEG")


def _text(name: str, lines: Iterable[str]) -> Member:
    return Member(name, "".join(f"{line}\n" for line in lines).encode())

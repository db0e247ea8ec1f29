"""What Kaggle puts around the images: annotations as files, lists, and CSV files that hold the boxes again.

Paths, columns and the form of a line are those of the competition imagenet-object-localization-challenge, as public
readers take them: ``ILSVRC2012_val_00048981,n03995372 85 1 499 272`` has a WNID and four edges in pixels for each
box, ``n01440764/n01440764_10026 1`` a path without ``.JPEG`` and the line's number, LOC_synset_mapping.txt all 1,000
classes. The rows of the sample submission are placeholders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from imagenet_prep.imagenet.classes import official
from imagenet_prep.testing.annotations import annotated, annotation_files
from imagenet_prep.testing.archives import TRAIN, VALIDATION, Member
from imagenet_prep.testing.layouts import KAGGLE_IMAGES
from imagenet_prep.testing.miniature import MiniatureEntry, MiniatureOptions
from imagenet_prep.testing.pictures import picture

_SOLUTIONS = {TRAIN: "LOC_train_solution.csv", VALIDATION: "LOC_val_solution.csv"}
_HEADER = "ImageId,PredictionString"
_TEST_STEMS = tuple(f"ILSVRC2012_test_{number:08d}" for number in (1, 2, 3))


def parts(entries: Sequence[MiniatureEntry], options: MiniatureOptions) -> dict[str, Iterable[Member]]:
    """Return file or folder → members to write in its folder; they are made when they are read, from the entries then.

    Without boxes there are neither annotations nor solutions, which are lists of boxes.
    """
    sets = (TRAIN, VALIDATION) if options.validation_per_class else (TRAIN,)
    boxes = {"ILSVRC/Annotations/CLS-LOC": _annotations(entries, options.seed)} if options.boxes else {}
    solutions = {_SOLUTIONS[each]: _solution(each, entries, options.seed) for each in sets if options.boxes}
    return {
        f"{KAGGLE_IMAGES}/test": _test_images(options),
        **boxes,
        "ILSVRC/ImageSets/CLS-LOC": _lists(entries),
        "LOC_synset_mapping.txt": _table(
            "LOC_synset_mapping.txt", (f"{facts.wnid} {facts.lemmas}" for facts in official().classes)
        ),
        **solutions,
        "LOC_sample_submission.csv": _table(
            "LOC_sample_submission.csv", (_HEADER, *(f"{stem},1 0 0 1 1" for stem in _TEST_STEMS))
        ),
    }


def _test_images(options: MiniatureOptions) -> Iterator[Member]:
    for stem in _TEST_STEMS:
        yield Member(f"{stem}.JPEG", picture(f"{options.seed}/{stem}.JPEG", options.size))


def _annotations(entries: Iterable[MiniatureEntry], seed: int) -> Iterator[Member]:
    for member in annotation_files(entries, seed):
        yield member if member.name.startswith("val/") else member._replace(name=f"train/{member.name}")


def _lists(entries: Sequence[MiniatureEntry]) -> Iterator[Member]:
    train = [entry for entry in entries if entry.archive == TRAIN]
    lists = {
        "train_cls": (f"{entry.wnid}/{entry.stem}" for entry in train),
        "train_loc": (f"{entry.wnid}/{entry.stem}" for entry in train if entry.boxes),
        "val": (entry.stem for entry in entries if entry.archive == VALIDATION),
        "test": _TEST_STEMS,
    }
    for name, images in lists.items():
        yield from _table(f"{name}.txt", (f"{image} {number}" for number, image in enumerate(sorted(images), 1)))


def _solution(archive: str, entries: Iterable[MiniatureEntry], seed: int) -> Iterator[Member]:
    """A row per image with boxes, in archive order: Kaggle's rows are in no order either.

    One group for each box, and a space after each, also the last.
    """
    rows = [_HEADER]
    for entry in (annotated(entry, seed) for entry in entries if entry.archive == archive and entry.boxes):
        groups = (f"{entry.wnid} {box.xmin} {box.ymin} {box.xmax} {box.ymax} " for box in entry.boxes)
        rows.append(f"{entry.stem},{''.join(groups)}")
    yield from _table(_SOLUTIONS[archive], rows)


def _table(name: str, lines: Iterable[str]) -> Iterator[Member]:
    yield Member(name, "".join(f"{line}\n" for line in lines).encode())

"""The classes of validation images in Kaggle's ``LOC_val_solution.csv``, for those who have it instead of the devkit.

A line is ``ILSVRC2012_val_00048981,n03995372 85 1 499 272``: the image, and for each of its boxes WNID and four pixels
(Kaggle, "ImageNet Object Localization Challenge", data description). The boxes are taken from the annotations beside
the images, which also say the size of the image that the pixels refer to.
"""

from __future__ import annotations

import csv
import os
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.imagenet.archives import VALIDATION_IMAGES
from imagenet_prep.imagenet.classes import official
from imagenet_prep.imagenet.names import VALIDATION_STEM
from imagenet_prep.sources.labels import NO_CLASS
from imagenet_prep.sources.reader import source_errors

_LARGEST = 16 << 20  # bytes; 50,000 lines, most of them of 60 bytes, are 3 MB
_IMAGE = re.compile(VALIDATION_STEM, re.ASCII)
_REMEDY = "Unpack the file again, or remove it: the program knows the validation classes without it."


def read_validation_classes(path: Path) -> array[int]:
    """Give the class index of validation image number i + 1 at position i; NO_CLASS for images that are not listed.

    Raises SourceError if the file cannot be read or a line cannot be understood.
    """
    truth = array("H", [NO_CLASS]) * VALIDATION_IMAGES
    with source_errors(path), path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        size = os.fstat(file.fileno()).st_size
        too_large = Problem(path.name, f"has {size:,} bytes, too many for this list")
        problems = [too_large] if size > _LARGEST else list(_read(truth, path.name, csv.reader(file)))
    if problems:
        raise SourceError("The validation classes cannot be used:", tuple(problems), _REMEDY)
    return truth


def _read(truth: array[int], name: str, lines: Any) -> Iterator[Problem]:
    try:
        for line in lines:
            if line and line[0] != "ImageId" and (reason := _note(truth, line)):
                yield Problem(name, reason, f"line {lines.line_num}")
    except csv.Error as error:
        yield Problem(name, f"is not CSV: {error}", f"line {lines.line_num}")


def _note(truth: array[int], line: list[str]) -> str | None:
    image = _IMAGE.fullmatch(line[0])
    if len(line) < 2 or not image or not 1 <= int(image[0][-8:]) <= VALIDATION_IMAGES:
        return f"begins with {line[0][:40]!r}, which is not a validation image"
    wnid = line[1].partition(" ")[0]
    facts = official().find(wnid)
    if facts is None:
        return f"gives the class {wnid[:20]!r}, which is not one of the 1,000 WNIDs"
    place = int(image[0][-8:]) - 1
    if truth[place] not in (NO_CLASS, facts.index):
        return f"gives {line[0]} another class than an earlier line"
    truth[place] = facts.index
    return None

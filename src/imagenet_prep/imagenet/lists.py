"""Reads what users write: lists of classes and lists of images, in the forms that are in use.

A line means one thing or it is an error. All bad lines of a list are reported together, and an empty list is one too:
to the recipe no choice means everything, which nobody means who gives a list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from imagenet_prep.errors import Problem, UsageError, printable
from imagenet_prep.imagenet.archives import CLASS_COUNT, VALIDATION_IMAGES
from imagenet_prep.imagenet.classes import Taxonomy, official
from imagenet_prep.imagenet.names import VALIDATION_STEM, WNID, validation_image
from imagenet_prep.imagenet.presets import PRESETS

_COMMENT = re.compile(r"(?:^|\s)#.*")
_WNID = re.compile(rf"{WNID}\b", re.ASCII | re.IGNORECASE)
_ENDING = rf"(?:_{WNID})?(?:\.jpe?g)?(?=[\s,]|$)"
_TRAIN_IMAGE = re.compile(rf"(?:^|[/\\])({WNID})_(\d+){_ENDING}", re.ASCII | re.IGNORECASE)
_CLASS_REMEDY = "A line is a WNID, a class index or a name; `imagenet-prep classes` lists all. Presets: " + ", ".join(
    PRESETS
)
_VALIDATION_IMAGE = re.compile(rf"(?:^|[/\\])({VALIDATION_STEM}){_ENDING}", re.ASCII | re.IGNORECASE)
_TRAIN_REMEDY = "A line is the file name of a train image, such as n01440764_10026.JPEG; what follows it is ignored."
_IMAGE_REMEDY = (
    "A line is a file name, such as n01440764_10026.JPEG or ILSVRC2012_val_00000001.JPEG; what follows it is ignored."
)

_Meant = TypeVar("_Meant")


class _BadLineError(ValueError):
    """Why a line cannot be used."""


def chosen_classes(text: str | bytes, origin: str, table: Taxonomy | None = None) -> tuple[int, ...]:
    """Read a list of classes, one a line, and give their class indexes in ascending order, each once.

    A line is a class index, 0 to 999, or what ``table`` (the built-in one unless given) takes for a class: see
    ``Taxonomy.called``. ``#`` begins a comment. ``origin`` is what messages call the list; bytes are UTF-8.

    Raises UsageError with every line that does not name one class.
    """
    return tuple(sorted(set(_read(text, origin, partial(_class_of, table or official()), _CLASS_REMEDY))))


def listed_train_names(text: str | bytes, origin: str) -> tuple[str, ...]:
    """Read a list of train images, one a line, and give their file names in the order of the list, each once.

    Of a path the last part counts; ``.JPEG`` may be missing; what stands after white space or a comma, such as a
    label, is ignored; ``#`` begins a comment. ``origin`` is what messages call the list; bytes are UTF-8.

    Raises UsageError with every line that is not the file name of an ImageNet train image.
    """
    return tuple(dict.fromkeys(_read(text, origin, _train_image_of, _TRAIN_REMEDY)))


def listed_names(text: str | bytes, origin: str) -> tuple[str, ...]:
    """The same for a list of train and validation images."""
    return tuple(dict.fromkeys(_read(text, origin, _image_of, _IMAGE_REMEDY)))


def preset_classes(name: str) -> tuple[int, ...]:
    """Give the class indexes of a preset in ascending order; KeyError if there is none of this name."""
    return tuple(official().index_of(wnid) for wnid in PRESETS[name].wnids)


def _read(text: str | bytes, origin: str, meaning: Callable[[str], _Meant], remedy: str) -> list[_Meant]:
    """Give what the lines mean; UsageError with all that mean nothing."""
    found, problems = [], []
    for number, line in _lines(text, origin):
        try:
            found.append(meaning(line))
        except _BadLineError as error:
            problems.append(Problem(origin, printable(str(error)), f"line {number}"))
    if not found and not problems:
        problems.append(Problem(origin, "is empty"))
    if problems:
        raise UsageError("The list cannot be used:", tuple(problems), remedy)
    return found


def _lines(text: str | bytes, origin: str) -> Iterator[tuple[int, str]]:
    """Give the lines that say something, with their numbers from 1."""
    try:
        text = text if isinstance(text, str) else text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            "The list cannot be read:", (Problem(origin, "not UTF-8 text", offset=error.start),)
        ) from error
    for number, line in enumerate(text.split("\n"), 1):
        if said := _COMMENT.sub("", line).strip():
            yield number, said


def _class_of(table: Taxonomy, line: str) -> int:
    if line.isascii() and line.isdecimal():
        return _index(line)
    candidates = table.called(line)
    if len(candidates) > 1:
        classes = (table.classes[index] for index in candidates)
        choice = " or ".join(f"{facts.wnid} ({facts.lemmas})" for facts in classes)
        raise _BadLineError(f"{line} may be {choice}: write the WNID")
    if not candidates:
        wnid = _WNID.match(line)
        like = f": did you mean {table.like(line)}?" if table.like(line) else ""
        raise _unknown(wnid[0].lower()) if wnid else _BadLineError(f"{line} is not the name of a class{like}")
    return candidates[0]


def _index(digits: str) -> int:
    if len(digits.lstrip("0")) > len(str(CLASS_COUNT - 1)):  # Python refuses a number of thousands of digits
        raise _BadLineError(f"{digits} is not a class index: these are 0 to {CLASS_COUNT - 1}")
    return int(digits)


def _image_of(line: str) -> str:
    match = _VALIDATION_IMAGE.search(line)
    number = int(match[1][-8:]) if match else 0
    if 1 <= number <= VALIDATION_IMAGES:
        return validation_image(number)
    if not _TRAIN_IMAGE.search(line):
        raise _BadLineError(f"{line} is not the file name of a train or validation image")
    return _train_image_of(line)


def _train_image_of(line: str) -> str:
    match = _TRAIN_IMAGE.search(line)
    if not match:
        raise _BadLineError(f"{line} is not the file name of a train image")
    wnid = match[1].lower()
    if not official().find(wnid):
        raise _unknown(wnid)
    return f"{wnid}_{match[2]}.JPEG"


def _unknown(wnid: str) -> _BadLineError:
    return _BadLineError(f"{wnid} is not one of the {CLASS_COUNT:,} WNIDs")

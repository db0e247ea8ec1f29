"""Bounding boxes from the annotation archives, as fractions of the image.

Boxes are given in pixels of the picture as the annotator saw it, whose size is beside them: only the
fractions fit the image. The same rules as in the Inception scripts (tensorflow/models,
``process_bounding_boxes.py``), which every TFRecord data set with boxes follows: an annotation belongs to the
image its file is named after; sides are put in order and kept within the image; a box without area is
dropped, and so is one that names another of the 1,000 classes (other names count as noise: some dogs are
called by a word).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.imagenet.archives import TRAIN_BOXES, VALIDATION_BOXES
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.sample import Box
from imagenet_prep.sources.base import LARGEST_ANNOTATION, Input
from imagenet_prep.sources.labels import role_of
from imagenet_prep.sources.packed import each_file, packed_archive
from imagenet_prep.sources.reader import source_errors

_REMEDY = "Download the archive again, or remove it to build without these boxes."


def read_boxes(path: Path, others: list[str] | None = None) -> Iterator[tuple[str, tuple[Box, ...]]]:
    """Yield the stem of an image's name (``n01440764_18``) and its boxes, for every annotation in the
    archive. ``others`` takes the names of files that are not annotations.

    Raises SourceError for a damaged archive or an annotation that cannot be understood.
    """
    with packed_archive(path, _REMEDY) as archive:
        for member in each_file(archive):
            name = PurePosixPath(member.name)
            if name.suffix == ".xml" and not name.name.startswith("._"):
                annotation = archive.read(min(member.size, LARGEST_ANNOTATION), member.offset)
                yield name.stem, _boxes(annotation, Problem(path.name, "", member.name, member.offset))
            elif others is not None:
                others.append(printable(member.name))


def read_box_folder(path: Path, folders: Iterable[str]) -> Iterator[tuple[str, tuple[Box, ...]]]:
    """The same from annotations that are files of their own, in ``folders`` below ``path`` ("" for ``path`` itself)."""
    for folder in folders:
        with source_errors(path / folder):
            names = sorted(os.listdir(path / folder))
        for name in names:
            if role_of(name) in (TRAIN_BOXES, VALIDATION_BOXES):
                file, place = path / folder / name, Problem(str(path), "", f"{folder}/{name}".lstrip("/"))
                with source_errors(file), open(file, "rb", opener=_open_at_once) as annotation:
                    yield file.stem, _boxes(annotation.read(LARGEST_ANNOTATION), place)


def read_tree_boxes(found: Input) -> Iterator[tuple[str, tuple[Box, ...]]]:
    """The same from annotations that lie in one archive with images."""
    for path, offset, data in found.source.annotations(found) if found.source else ():
        yield PurePosixPath(path).stem, _boxes(data, Problem(found.path.name, "", path, offset))


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for the other end of what may be a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _boxes(data: bytes, place: Problem) -> tuple[Box, ...]:
    try:
        annotation = ET.fromstring(data)  # noqa: S314 — bounded, and expat refuses entity bombs
        width, height = _number(annotation, "size/width"), _number(annotation, "size/height")
        own = PurePosixPath(place.member).stem.partition("_")[0]
        found = (_box(thing, width, height) for thing in annotation.iter("object") if _is_of(thing, own))
        return tuple(box for box in found if box.xmin < box.xmax and box.ymin < box.ymax)
    except (ET.ParseError, ValueError, LookupError, ZeroDivisionError) as error:
        reason = printable(f"is not a usable annotation: {error}")
        problem = replace(place, member=printable(place.member), reason=reason)
        raise SourceError("Bounding boxes cannot be used:", (problem,), _REMEDY) from error


def _is_of(thing: ET.Element, own: str) -> bool:
    named = thing.findtext("name", "")
    return named == own or not own.startswith("n") or official().find(named) is None


def _box(thing: ET.Element, width: float, height: float) -> Box:
    across = sorted(_within(_number(thing, f"bndbox/{side}") / width) for side in ("xmin", "xmax"))
    down = sorted(_within(_number(thing, f"bndbox/{side}") / height) for side in ("ymin", "ymax"))
    return Box(across[0], down[0], across[1], down[1])


def _within(fraction: float) -> float:
    return min(max(fraction, 0.0), 1.0)


def _number(element: ET.Element, path: str) -> float:
    """Read a number of pixels; a few annotations have fractions of one."""
    number = float(element.findtext(path, "nan"))
    if not math.isfinite(number):
        raise ValueError(f"{path} is missing or not a number")
    return number

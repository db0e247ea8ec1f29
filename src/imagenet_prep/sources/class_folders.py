"""Images that lie in folders as files of their own: found by listing, never opened.

Files are sorted by the names that the images have in ImageNet, because the order of a directory is not defined. The
class is that of the file name; the folder's name is compared with it, and a file in the wrong class folder is an error.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import ClassVar

from imagenet_prep.errors import Problem, printable
from imagenet_prep.imagenet.archives import TRAIN, VALIDATION
from imagenet_prep.imagenet.names import official_name
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.sources.base import (
    TEST_FOLDERS,
    Input,
    Part,
    Pieces,
    Seen,
    Source,
    Walk,
    form_of_folders,
    is_claimed,
)
from imagenet_prep.sources.found import LARGEST, Found, is_litter
from imagenet_prep.sources.labels import ClassOf, classes_by_name, is_annotation, is_of_another_set
from imagenet_prep.sources.survey import is_folder
from imagenet_prep.sources.together import joined


class ClassFolders(Source):
    """Class folders, and flat folders of images under their official names."""

    joins_folders: ClassVar[bool] = True
    may_be_split: ClassVar[bool] = True

    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield the folders of train and validation images; several that add up as one."""
        for role in (TRAIN, VALIDATION):
            sets = [of for of in seen.sets if of.role == role and not of.tars]
            held_out = [of for of in sets if of.path.name in TEST_FOLDERS]
            others = [of for of in seen.sets if of.role != role]
            found = (*joined([of for of in sets if of not in held_out], others), *held_out)
            for of in sorted(found, key=lambda of: str(of.path)):
                yield Input(role, of.path, parts=of.parts, example=of.example, source=self)

    def form(self, found: Input) -> str:
        """Count the folders."""
        return form_of_folders(found.parts)

    def pieces(self, found: Input) -> Pieces:
        """Give the folders."""
        return Pieces(found.parts)

    def walk(self, work: Walk) -> list[Found]:
        """List folders."""
        return [_list(work, part) for part in work.pieces]


def _list(work: Walk, part: Part) -> Found:
    found = Found(work.archive, part.name)
    class_of = classes_by_name(work.role, work.truth, part.classes, f"the folder {printable(part.name)}")
    try:
        with os.scandir(os.path.join(work.path, part.name)) as listed:
            entries = sorted(listed, key=lambda entry: (official_name(entry.name), entry.name))
    except OSError as error:
        found.problems.append(_problem(work, f"cannot be read: {error.strerror or error}", part.name))
        return found
    for entry in entries:
        if is_litter(entry.name) or _is_build(entry):
            found.ignored += 1
        elif part.name or not (is_folder(entry) or is_of_another_set(entry.name, work.role)):
            _note(found, work, entry, class_of)  # what else lies beside flat images was searched
    return found


def _is_build(entry: os.DirEntry[str]) -> bool:
    """Whether it is an output folder, which is ignored wherever it lies."""
    return "." not in entry.name and os.path.isdir(f"{entry.path}/{PRIVATE}")


def _problem(work: Walk, reason: str, *place: str) -> Problem:
    return Problem(printable(work.path), reason, printable("/".join(filter(None, place))))


def _note(found: Found, work: Walk, entry: os.DirEntry[str], class_of: ClassOf) -> None:
    class_index = class_of(entry.name)
    if isinstance(class_index, str) and not found.container and is_claimed(entry.name):
        return  # another kind of source, which lies beside flat images
    try:
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode):
            class_index = "is a folder or a device, not a file"
        elif isinstance(class_index, str) and is_annotation(entry.name):
            found.annotations += 1
            return
        elif status.st_size > LARGEST:
            class_index = f"has {status.st_size:,} bytes, too many for an image"
    except FileNotFoundError:
        class_index = "is a symbolic link that leads nowhere"
    except OSError as error:  # among them links that lead to each other
        class_index = f"cannot be read: {error.strerror or error}"
    if isinstance(class_index, str):
        found.problems.append(_problem(work, class_index, found.container, entry.name))
        return
    found.add(entry.name, class_index, 0, status.st_size)

"""What the name of a file says: which set an image belongs to, and which class.

The name of a train image has its class; that of a validation image has a number, which gives the class through
the built-in truth or the user's. Where a file lies never gives it a class: a folder's name is only compared, because
folders get renamed, mixed up and half sorted, and file names do not.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Collection
from functools import cache

from imagenet_prep.errors import printable
from imagenet_prep.imagenet.archives import (
    OFFICIAL_ARCHIVES,
    TRAIN,
    TRAIN_BOXES,
    UNLABELLED,
    VALIDATION,
    VALIDATION_BOXES,
    VALIDATION_IMAGES,
)
from imagenet_prep.imagenet.classes import official
from imagenet_prep.imagenet.names import CLASS_TAR_NAME, ENDING, STEM

KAGGLE_CLASSES = "LOC_val_solution.csv"
CLASS_TAR = re.compile(CLASS_TAR_NAME, re.ASCII)
NO_CLASS = 0xFFFF  # in a list of classes by image number: the list does not have this image
ClassOf = Callable[[str], int | str]  # from a base name to a class index, or to a sentence that says why there is none

_NAME = re.compile(rf"{STEM}(?:{ENDING}|(\.xml))", re.ASCII)  # 4: a WNID at the end; 5: an annotation
ARCHIVE_NAMES = {KAGGLE_CLASSES, *(name for archive in OFFICIAL_ARCHIVES for name in archive.names)}
_ROLES = {
    (None, None): TRAIN,
    ("val", None): VALIDATION,
    ("test", None): UNLABELLED,
    (None, ".xml"): TRAIN_BOXES,
    ("val", ".xml"): VALIDATION_BOXES,
}


def role_of(name: str) -> str | None:
    """Give the role of the archive that a file of this base name comes from; None if the name is not ImageNet's."""
    match = _NAME.fullmatch(name)
    return _ROLES.get((match[2], match[5])) if match else None


def is_annotation(name: str) -> bool:
    """Whether a file of this base name has the boxes of an image."""
    return role_of(name) in (TRAIN_BOXES, VALIDATION_BOXES)


def is_of_another_set(name: str, role: str) -> bool:
    """Whether a file that lies beside images of ``role`` is known as something else: an archive, or another set's."""
    return role_of(name) not in (None, role) or name in ARCHIVE_NAMES or CLASS_TAR.fullmatch(name) is not None


def classes_by_name(role: str, truth: array[int], possible: Collection[int] | None = None, place: str = "") -> ClassOf:
    """Give the rule that finds the class of an image of ``role``, which is train or validation.

    ``truth`` has the class index of validation image number i + 1 at position i. ``possible`` are the class indexes
    that ``place``, a class tar or folder, may hold; None means any.
    """
    class_of = _train_class if role == TRAIN else _validation_class(truth)
    if possible is None:
        return class_of

    def compared(name: str) -> int | str:
        """The class of the name, if the place says the same."""
        found = class_of(name)
        if isinstance(found, str) or found in possible:
            return found
        facts = official().classes[found]
        return f"is in {place}, but its name says {facts.wnid} ({facts.name})"

    return compared


def base_name(path: str) -> str:
    """Give the name of a file from its path in an archive; all of the path, which is no name, if it leads elsewhere."""
    folder, _, name = path.rpartition("/")
    return path if path.startswith("/") or ".." in folder.split("/") else name


def classes_by_path(role: str, truth: array[int]) -> ClassOf:
    """Give the same rule for paths in an archive: what lies in a folder called after a class must be of that class."""

    @cache
    def rule_in(folder: str) -> ClassOf:
        return classes_by_name(role, truth, official().called(folder) or None, f"the folder {printable(folder)}")

    def class_of(path: str) -> int | str:
        """The class of the name, if the folder says the same."""
        return rule_in(path.rpartition("/")[0].rpartition("/")[2])(base_name(path))

    return class_of


def other_label(label: object, class_index: int) -> str:
    """Say that a label beside an image is not that of the class that its name has."""
    facts = official().classes[class_index]
    return f"has the label {label}, but its name is of class {class_index} ({facts.wnid}, {facts.name})"


def _train_class(name: str) -> int | str:
    match = _NAME.fullmatch(name)
    if match and match[2]:
        return f"is a {'validation' if match[2] == 'val' else match[2]} image among train images"
    if not match or match[5]:
        return "is not named like an ImageNet train image"
    if match[4] not in (None, match[1]):
        return f"begins with {match[1]} and ends in {match[4]}, which is another class"
    facts = official().find(match[1])
    return facts.index if facts else f"is of {match[1]}, which is not one of the 1,000 classes"


def _validation_class(truth: array[int]) -> ClassOf:
    def class_of(name: str) -> int | str:
        """The class of the number in the name."""
        match = _NAME.fullmatch(name)
        if match and match[1]:
            return "is a train image among validation images"
        if match and match[2] == "test":
            return "is an image of the official test set, which has no labels, among validation images"
        if not match or match[2] != "val" or match[5] or not 1 <= int(match[3]) <= VALIDATION_IMAGES:
            return "is not named like an ImageNet validation image"
        place = int(match[3]) - 1
        if place >= len(truth) or truth[place] == NO_CLASS:
            return "has no class: the list of validation classes in the source does not have it"
        facts = official().classes[truth[place]]
        if match[4] not in (None, facts.wnid):
            return f"ends in {match[4]}, but the list of validation classes says {facts.wnid} ({facts.name})"
        return truth[place]

    return class_of

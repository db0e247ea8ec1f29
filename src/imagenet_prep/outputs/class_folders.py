"""Where an image goes in a tree of class folders: ``train/tench/n01440764_10026.JPEG``.

Readers of such trees number the classes by the sorted names of the folders, and there are two ways to sort: by code
points, and in natural order (timm). Readable names sort otherwise than WNIDs, and otherwise in each way, so there the
number is not the class index; WNIDs and names with the class index in front keep it in both.

Hugging Face's ``imagefolder`` takes every word of a path that is the name of a split for that split, and would read
the test images of ``bullet_train`` as train images, too. It tells capitals apart, so that class's folder is
``bullet_Train`` (``datasets`` ``data_files.py``: keywords and separators).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from imagenet_prep.imagenet.archives import VALIDATION
from imagenet_prep.imagenet.classes import ClassFacts, official

ValidationFolder = Literal["validation", "val"]
Names = Literal[
    "name",  # readable, unique on every file system: tench
    "wnid",  # n01440764
    "indexed",  # the class index in front, so that sorted folders keep its order: 000_tench
]

_BETWEEN = "-._ 0-9"
_SPLIT_WORD = re.compile(
    rf"(?<![^{_BETWEEN}])(train|training|validation|valid|val|dev|test|testing|eval|evaluation)(?![^{_BETWEEN}])"
)


@dataclass(frozen=True, slots=True)
class ClassFolders:
    """The names of all folders below ``top``: ``classes`` by class index, ``validation`` for that split; other splits
    keep their name.
    """

    top: str
    classes: tuple[str, ...]
    validation: str = VALIDATION

    def split(self, split: str) -> str:
        """Give the name of the folder of a split."""
        return self.validation if split == VALIDATION else split

    def path(self, split: str, class_index: int, name: str) -> str:
        """Give the path of an image below the data set."""
        return f"{self.top}/{self.split(split)}/{self.classes[class_index]}/{name}"

    def sorted_indexes(self, classes: tuple[int, ...]) -> tuple[int, ...]:
        """Give the class indexes of ``classes`` in the order of their folders' names, as most readers sort them: by
        code points.
        """
        return tuple(sorted(classes, key=lambda index: self.classes[index]))

    def naturally_sorted_indexes(self, classes: tuple[int, ...]) -> tuple[int, ...]:
        """Give them as timm sorts them: capitals do not count, and digits count as numbers (timm 1.0.31,
        ``utils/misc.py``). What is the same to it stays in the order of code points.
        """
        return tuple(sorted(self.sorted_indexes(classes), key=lambda index: _natural(self.classes[index])))


def _natural(name: str) -> list[int | str]:
    parts = re.split(r"(\d+)", name.lower())  # digits are every second part, whatever the name begins with
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


@cache
def class_folders(top: str, class_names: tuple[str, ...], names: str, validation: str) -> ClassFolders:
    """Name the folders of all 1,000 classes, whose names are ``class_names``, in one of the three ways of Names."""
    classes = zip(official().classes, class_names, strict=True)
    return ClassFolders(top, tuple(_folder(facts, name, names) for facts, name in classes), validation)


def _folder(facts: ClassFacts, class_name: str, names: str) -> str:
    if names == "wnid":
        return facts.wnid
    name = _SPLIT_WORD.sub(lambda word: word[0].capitalize(), class_name)
    return f"{facts.index:03d}_{name}" if names == "indexed" else name

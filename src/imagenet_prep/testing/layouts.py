"""The layouts in which people have ImageNet: a layout is a row of a table that says where an image lies.

A place that ends in ``.tar`` is an archive, any other a folder; braces stand for what the class is called. The
pictures, the labels and the truth of a miniature are the same in every layout, and the files are written where they
belong: no archive is made to be unpacked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.testing.archives import DEVKIT, TRAIN, VALIDATION
from imagenet_prep.testing.quirks import UNKNOWN_NAME

KAGGLE_IMAGES = "ILSVRC/Data/CLS-LOC"


class Place(NamedTuple):
    """A tar or folder, as a path below the miniature's folder, and a path inside it ("" for the whole of it)."""

    container: str
    member: str

    def __str__(self) -> str:
        """The place in one line, as a person would write it."""
        between = ": " if self.container.endswith(".tar") else "/"
        return f"{self.container}{between}{self.member}" if self.member else self.container


class Layout(NamedTuple):
    """Where train and validation images lie. ``official``: devkit and boxes stand beside them, as archives."""

    about: str
    train: str = TRAIN
    validation: str = VALIDATION
    official: bool = True

    def where(self, archive: str, member: str) -> Place:
        """Return where this layout has what the official ``archive`` has as ``member``."""
        if archive == TRAIN and self.train != TRAIN:
            class_tar, _, name = member.partition("/")
            return Place(of_class(self.train, class_tar.removesuffix(".tar")), name)
        if archive == VALIDATION and self.validation != VALIDATION:
            number = int(member.removesuffix(".JPEG").rpartition("_")[2])
            return Place(of_class(self.validation, official().classes[validation_truth()[number - 1]].wnid), member)
        return Place(archive, member)

    @property
    def archives(self) -> set[str]:
        """Those of the official archives that quirks damage, if this layout has them."""
        return {self.train} | ({DEVKIT} if self.official else set())


TABLE: Mapping[str, Layout] = {
    "archives": Layout("the official archives"),
    "class-tars": Layout("the train archive unpacked once: a tar per class", "train/{wnid}.tar"),
    "extracted": Layout("class folders by WNID for train, one folder for validation", "train/{wnid}", "val"),
    "sorted": Layout("class folders by WNID for both", "train/{wnid}", "val/{wnid}"),
    "renamed": Layout("class folders by the unique names of the class table", "train/{name}", "validation/{name}"),
    "clashing": Layout(
        "class folders by the names of map_clsloc.txt, two of which (crane, maillot) stand for two classes each",
        "train/{map_name}",
        "validation/{map_name}",
    ),
    "kaggle": Layout(
        "Kaggle's tree: class folders, one validation folder, an unlabelled test, annotations, lists and CSV files",
        f"{KAGGLE_IMAGES}/train/{{wnid}}",
        f"{KAGGLE_IMAGES}/val",
        official=False,
    ),
    "mixed": Layout("the train archive, and one folder for validation", validation="val"),
}
LAYOUTS: Mapping[str, str] = {name: layout.about for name, layout in TABLE.items()}


def of_class(place: str, wnid: str) -> str:
    """Return the place where a class lies."""
    facts = official().find(wnid)
    names = (facts.name, facts.map_name) if facts else (UNKNOWN_NAME, UNKNOWN_NAME)
    return place.format(wnid=wnid, name=names[0], map_name=names[1])

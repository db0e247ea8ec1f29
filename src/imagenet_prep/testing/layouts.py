"""The layouts in which people have ImageNet: a layout is a row of a table that says where an image lies.

A place that ends in ``.tar`` is an archive, any other a folder; braces stand for what the class is called. The
pictures, the labels and the truth of a miniature are the same in every layout, and the files are written where they
belong: no archive is made to be unpacked.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.testing import archives
from imagenet_prep.testing.archives import DEVKIT, TRAIN, VALIDATION, Member, Members
from imagenet_prep.testing.faults import ARCHIVE_FAULTS
from imagenet_prep.testing.oddities import UNKNOWN_NAME

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
            return Place(_filled(self.train, class_tar.removesuffix(".tar")), name)
        if archive == VALIDATION and self.validation != VALIDATION:
            return Place(_filled(self.validation, _validation_wnid(member)), member)
        return Place(archive, member)

    def has_place_for(self, quirk: str) -> bool:
        """Whether there is the archive that the quirk damages, or a tar for its members to hide in."""
        if quirk == "hostile-names":
            return self.train.endswith(".tar")
        damaged = ARCHIVE_FAULTS[quirk][0] if quirk in ARCHIVE_FAULTS else ""
        return not (damaged == TRAIN != self.train or (damaged == DEVKIT and not self.official))


TABLE: Mapping[str, Layout] = MappingProxyType(
    {
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
)
LAYOUTS: Mapping[str, str] = MappingProxyType({name: layout.about for name, layout in TABLE.items()})


def top_of(place: str) -> str:
    """Return the archive or folder that holds a whole set: what stands before the part that names a class."""
    return str(PurePosixPath(place.partition("{")[0]))


def write_train(out: Path, layout: Layout, classes: Iterable[tuple[str, Members]]) -> None:
    """Write the train images below ``out`` from (WNID, members), in the order given."""
    if layout.train == TRAIN:
        archives.write_train_archive(out / TRAIN, classes)
        return
    for wnid, members in classes:
        place = out / _filled(layout.train, wnid)
        place.parent.mkdir(parents=True, exist_ok=True)
        write = archives.write_flat_archive if place.suffix == ".tar" else write_folder
        write(place, members)


def write_validation(out: Path, layout: Layout, members: Iterable[Member]) -> None:
    """Write the validation images below ``out``, in the order given."""
    if layout.validation == VALIDATION:
        archives.write_flat_archive(out / VALIDATION, members)
        return
    for member in members:
        write_folder(out / layout.where(VALIDATION, member.name).container, [member])


def write_folder(folder: Path, members: Members) -> None:
    """Write files and folders below ``folder``, whose names must be harmless; FileExistsError if a file is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for item in members:
        member = Member(*item)
        path = folder / member.name
        (path if member.kind == tarfile.DIRTYPE else path.parent).mkdir(parents=True, exist_ok=True)
        if member.kind != tarfile.DIRTYPE:
            with path.open("xb") as file:
                file.write(member.data)


def _filled(place: str, wnid: str) -> str:
    facts = official().find(wnid)
    names = (facts.name, facts.map_name) if facts else (UNKNOWN_NAME, UNKNOWN_NAME)
    return place.format(wnid=wnid, name=names[0], map_name=names[1])


def _validation_wnid(name: str) -> str:
    number = int(name.removesuffix(".JPEG").rpartition("_")[2])
    return official().classes[validation_truth()[number - 1]].wnid

"""What is inside a file that may be an archive, told by its first members.

Browsers, mirrors and people call archives as they like. So the inside counts first, and the official name only where
the inside says nothing: then the file is damaged, or is something else, and the walk or ``disguise`` says what.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from imagenet_prep.codecs.tar import Member, TarRange, walk
from imagenet_prep.errors import SourceError
from imagenet_prep.imagenet.archives import (
    DEVKIT,
    OFFICIAL_ARCHIVES,
    TRAIN,
    TRAIN_BOXES,
    UNLABELLED,
    VALIDATION,
    VALIDATION_BOXES,
    VALIDATION_CLASSES,
)
from imagenet_prep.imagenet.classes import official
from imagenet_prep.imagenet.names import STEM
from imagenet_prep.sources.disguise import START_BYTES, is_archive
from imagenet_prep.sources.downloads import tool_of
from imagenet_prep.sources.found import LITTER
from imagenet_prep.sources.labels import CLASS_TAR, KAGGLE_CLASSES, base_name, role_of
from imagenet_prep.sources.unpacking import ENDLESS, PACKED, TAR_IN_ZIP, UnpackingError, packing_of, unpacked

_PACKED_TAR = r"tar(?:\.(?:gz|xz|bz2|zst))?|tgz|txz|tbz2?|tzst"
_ARCHIVE = re.compile(
    rf"(?P<whole>[^.].*\.(?:{_PACKED_TAR}|zip)(?: ?\(\d+\))?)"
    r"(?P<part>\.(?:\d{1,3}|part(?:\d+|[a-z]{2})|[a-d][a-z]))?",
    re.IGNORECASE | re.DOTALL,
)
_OF_ANOTHER_TASK = re.compile(r"ILSVRC2012_img_train_t3\b")  # the dogs of train once more, in tars of the same names
_DEVKIT_FOLDER = "ILSVRC2012_devkit_t12/"
_BY_NAME = {name: archive.role for archive in OFFICIAL_ARCHIVES for name in archive.names} | {
    KAGGLE_CLASSES: VALIDATION_CLASSES
}
_LABEL = re.compile(rf"{STEM}\.(?:cls|json)", re.ASCII)
_FILES_OF_SAMPLE = 3  # in a WebDataset shard, among which is the label
_MOST_MEMBERS = 5_000  # that may precede the first one that tells
_UNPACKED_BYTES, _PIECE_BYTES = 1 << 16, 1 << 10
ALSO_PLAIN = PACKED | {""}
_COPIES = {f".{number}" for number in range(1, 10)}


class Contents(NamedTuple):
    """What a file holds: ``known`` is the first of its files that tells, ``role`` that of the official archive that has
    such files, "" for none; ``first`` is the first of all files; ``packed`` says by what the whole is compressed, ""
    for a plain tar, ``damage`` what is wrong with it before any file. A WebDataset ``shard`` has labels beside its
    images.
    """

    role: str = ""
    known: str = ""
    first: str = ""
    packed: str = ""
    damage: str = ""
    shard: bool = False

    @property
    def lies_in_folder(self) -> bool:
        """Whether what tells lies in a folder."""
        return "/" in self.known.removeprefix("./")


def may_be_archive(name: str) -> bool:
    """Whether a file is called like an archive, or a part of one."""
    return _ARCHIVE.fullmatch(name) is not None


def is_archive_name(name: str) -> bool:
    """Whether a file is called like an archive, or has the name of an official one or of Kaggle's list."""
    return may_be_archive(name) or name in _BY_NAME


def is_of_another_task(name: str) -> bool:
    """Whether a file is called like the images of task 3, which has tars of the same names as train."""
    return _OF_ANOTHER_TASK.match(name) is not None


def whole_of(path: Path) -> Path | None:
    """Give the archive that a file is a part of; None if it is none. ``val.tar.1`` may also be a second copy, as wget
    calls it: it is a part if there are others.
    """
    match = _ARCHIVE.fullmatch(path.name)
    if not match or not match["part"]:
        return None
    whole = path.with_name(match["whole"])
    others = (f"{whole}.{int(match['part'][1:]) + step}" for step in (-1, 1)) if match["part"] in _COPIES else ()
    return whole if match["part"] not in _COPIES or any(map(os.path.lexists, others)) else None


def _is_no_archive(path: Path) -> bool:
    return is_of_another_task(path.name) or whole_of(path) is not None or bool(tool_of(path.name))


def role_of_archive(path: Path, contents: Contents) -> str:
    """Give the role of the official archive that a file is, "" if it is none that can be used, or ought to be."""
    named = _BY_NAME.get(path.name, "")
    if named not in ("", TRAIN, VALIDATION) or _is_no_archive(path):
        return named
    if contents.packed and contents.role == UNLABELLED:
        return named
    return "" if may_be_tree(path, contents) else contents.role or named


def may_be_tree(path: Path, contents: Contents) -> bool:
    """Whether a file is a tar that may have images of any kind anywhere, and no official archive."""
    if contents.packed not in ALSO_PLAIN or _is_no_archive(path):
        return False
    named = _BY_NAME.get(path.name, "")
    if contents.role == TRAIN:
        return not CLASS_TAR.fullmatch(base_name(contents.known))
    if contents.role == VALIDATION:
        return named != VALIDATION and contents.lies_in_folder
    if contents.role in (TRAIN_BOXES, VALIDATION_BOXES):  # as Kaggle's tree begins
        return not named
    return not named and contents.role == UNLABELLED and (contents.lies_in_folder or not contents.packed)


def contents_at(path: Path) -> Contents:
    """Look into a file; one that is not an archive, or cannot be read, says nothing."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait forever
            return Contents()
        with path.open("rb") as file:
            packed = packing_of(file)
            size = os.fstat(file.fileno()).st_size
            tar = TarRange(file.fileno(), path.name, "", 0, size)
            if packed in PACKED:
                file.seek(0)
                first, damage = _start_of(unpacked(file, size, packed, _PIECE_BYTES))
                known = _contents(tar._replace(end=ENDLESS, stream=io.BytesIO(first)), packed)
                if packed == TAR_IN_ZIP and not known.role:  # its tar says nothing: it is a zip like others
                    return Contents(packed="zip")
                return known if known.first else known._replace(damage=damage)
            return Contents(packed=packed) if packed else _contents(tar, packed)
    except OSError:
        return Contents()


def _start_of(pieces: Iterator[bytes]) -> tuple[bytes, str]:
    """Give what a packed file begins with, and what is wrong there, which matters if nothing else is known."""
    start = b""
    try:
        while len(start) < _UNPACKED_BYTES and (piece := next(pieces, None)) is not None:
            start += piece
    except UnpackingError as error:
        return start, str(error)
    return start, ""


def _contents(tar: TarRange, packed: str) -> Contents:
    first, damage, still = "", "", _FILES_OF_SAMPLE
    found: Contents | None = None
    try:
        for name in islice(_file_names(tar), _MOST_MEMBERS):
            if _LABEL.fullmatch(base_name(name)):
                return Contents(first=name, packed=packed, shard=True)
            first = first or name
            if found is None and (role := _role_of_member(name)):
                found = Contents(role, name, first, packed)
            if found and (still == 0 or not role_of(base_name(found.known))):
                return found
            still -= 1 if found else 0
    except SourceError as error:  # what follows is said where all of it is walked
        damage = error.problems[0].reason if not first and is_archive(tar.read(START_BYTES, 0)) else ""
    return found or Contents(first=first, packed=packed, damage=damage)


def _file_names(tar: TarRange) -> Iterator[str]:
    for member in walk(tar):
        if isinstance(member, Member) and member.is_file and not LITTER.fullmatch(member.name):
            yield member.name


def _role_of_member(member: str) -> str:
    name = base_name(member)
    if CLASS_TAR.fullmatch(name):
        return TRAIN if official().find(name.removesuffix(".tar")) else ""
    return role_of(name) or (DEVKIT if _DEVKIT_FOLDER in member else "")

"""The official archives as work for the index: which parts to walk, and what each part says of its images.

A class tar's images belong to the class its name says. A validation image's class follows from the number in
its name, through the built-in truth or the devkit's, never from its position: the order inside the archive is
not the order of names.
"""

from __future__ import annotations

import contextlib
import os
import re
import tarfile
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from imagenet_prep.core.facts import VALIDATION, VALIDATION_IMAGES
from imagenet_prep.core.taxonomy import official
from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.sources.base import source_errors
from imagenet_prep.sources.tar import Member, Missing, TarRange, walk

_CLASS_TAR = re.compile(r"(?:\./)?(n\d{8})\.tar", re.ASCII)
_TRAIN_IMAGE = re.compile(r"(?:\./)?(n\d{8})_\d+\.JPEG", re.ASCII)
_VALIDATION_IMAGE = re.compile(r"(?:\./)?(?:val/)?ILSVRC2012_val_(\d{8})\.JPEG", re.ASCII)
_LITTER = re.compile(r"(?:.*/)?(?:\._[^/]*|\.DS_Store|__MACOSX(?:/.*)?)")


@dataclass(frozen=True, slots=True)
class ClassTar:
    """A class tar inside the train archive: its place in bytes."""

    wnid: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class IndexTask:
    """Parts of one archive for one worker: class tars of the train archive, or the whole validation archive.

    ``truth`` has the class index of validation image number i + 1 at position i.
    """

    path: str
    archive: str
    role: str
    class_tars: tuple[ClassTar, ...] = ()
    truth: array[int] = field(default_factory=lambda: array("H"))


@dataclass(slots=True)
class Found:
    """The images of one container, column by column, in archive order, in a form that costs no object per
    image.

    ``names`` are the names one after the other in UTF-8, ``lengths`` their lengths in bytes. ``unended`` is
    the place where an end-of-archive block is missing; ``ignored`` counts folders and litter.
    """

    container: str
    names: bytearray = field(default_factory=bytearray)
    lengths: array[int] = field(default_factory=lambda: array("i"))
    class_indexes: array[int] = field(default_factory=lambda: array("h"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("i"))
    problems: list[Problem] = field(default_factory=list)
    unended: Problem | None = None
    ignored: int = 0


def class_tars(path: Path) -> tuple[list[ClassTar], Found]:
    """Walk the train archive itself, one header a class. The second value has its problems, and no images."""
    tars: dict[str, ClassTar] = {}
    outside = Found("")
    with open_range(path) as tar:
        for member in _files(tar, outside):
            match = _CLASS_TAR.fullmatch(member.name)
            if not match or official().find(match[1]) is None:
                reason = "is not one of the 1,000 class tars of ILSVRC2012"
                outside.problems.append(Problem(path.name, reason, _printable(member.name), member.offset))
            elif match[1] in tars:
                outside.problems.append(Problem(path.name, "is there twice", member.name, member.offset))
            else:
                tars[match[1]] = ClassTar(match[1], member.offset, member.size)
    if not tars and not outside.problems:
        outside.problems.append(Problem(path.name, "has no class tars in it"))
    return list(tars.values()), outside


def run_index_task(task: IndexTask) -> list[Found]:
    """Walk the parts of a task; one ``Found`` for each container, with what is wrong there. Raises SourceError if the
    archive cannot be opened or read.
    """
    with open_range(Path(task.path)) as whole:
        if task.role == VALIDATION:
            return [_walk_images(whole, _validation_class(task.truth))]
        return [_walk_class_tar(whole, tar) for tar in task.class_tars]


def _walk_class_tar(whole: TarRange, tar: ClassTar) -> Found:
    part = whole._replace(container=f"{tar.wnid}.tar", start=tar.offset, end=tar.offset + tar.size)
    facts = official().find(tar.wnid)
    assert facts is not None  # class_tars gives known classes only

    def class_of(name: str) -> int | str:
        """The class of the tar, if the name says the same."""
        match = _TRAIN_IMAGE.fullmatch(name)
        if not match:
            return "is not named like an ImageNet train image"
        return facts.index if match[1] == tar.wnid else f"is in the tar of {tar.wnid}, but its name says {match[1]}"

    return _walk_images(part, class_of)


def _validation_class(truth: array[int]) -> Callable[[str], int | str]:
    def class_of(name: str) -> int | str:
        """The class of the number in the name."""
        match = _VALIDATION_IMAGE.fullmatch(name)
        if not match or not 1 <= int(match[1]) <= VALIDATION_IMAGES:
            return "is not named like an ImageNet validation image"
        if int(match[1]) > len(truth):
            return f"has no class: the devkit's list ends with image {len(truth):,}"
        return truth[int(match[1]) - 1]

    return class_of


def _walk_images(tar: TarRange, class_of: Callable[[str], int | str]) -> Found:
    """``class_of`` gives the class index of an image from its name, or a sentence that says why it has none."""
    found = Found(tar.container)
    seen: set[str] = set()
    for member in _files(tar, found):
        class_index = class_of(member.name)
        name = member.name.rpartition("/")[2]
        if name in seen:
            class_index = "is there twice"
        if member.size >= 1 << 31:
            class_index = f"claims {member.size:,} bytes, which no image has"
        if isinstance(class_index, str):
            place = f"{tar.container}/" if tar.container else ""
            found.problems.append(Problem(tar.archive, class_index, place + _printable(member.name), member.offset))
            continue
        seen.add(name)
        found.names += name.encode()
        found.lengths.append(len(name))  # ASCII: the pattern says so
        found.class_indexes.append(class_index)
        found.offsets.append(member.offset)
        found.sizes.append(member.size)
    if not found.lengths and not found.problems:
        found.problems.append(Problem(tar.archive, "has no images", tar.container, tar.start))
    return found


def _files(tar: TarRange, found: Found) -> Iterator[Member]:
    """Yield the regular files of a tar; note the rest in ``found``, and damage, which ends the walk."""
    try:
        for member in walk(tar):
            if isinstance(member, Missing):
                found.unended = Problem(tar.archive, member.reason, tar.container, member.offset)
            elif _LITTER.fullmatch(member.name) or member.type == tarfile.DIRTYPE:
                found.ignored += 1
            elif member.is_file:
                yield member
            else:
                place = "/".join(part for part in (tar.container, _printable(member.name)) if part)
                found.problems.append(Problem(tar.archive, "is a link or a device, not a file", place, member.offset))
    except SourceError as error:  # as many class tars may be damaged as there are: all of them are reported
        found.problems += error.problems


def _printable(name: str) -> str:
    """A hostile name must not reach a terminal as it is."""
    return name if name.isprintable() else repr(name)


@contextlib.contextmanager
def open_range(path: Path) -> Iterator[TarRange]:
    """Open a whole tar file as a range, and close it at the end of the context. OSErrors become SourceErrors."""
    with source_errors(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with source_errors(path):
            yield TarRange(descriptor, path.name, "", 0, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)

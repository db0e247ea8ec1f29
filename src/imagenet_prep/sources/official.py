"""The official archives as work for the index: which parts to walk, and what each part says of its images.

A class tar's images belong to the class its name says, and the name of each image must say the same. The order of
validation images inside their archive is not the order of names: only the number in the name counts.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tarfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from imagenet_prep.codecs.tar import Member, Missing, TarRange, walk
from imagenet_prep.errors import Problem, SourceError, counted, printable
from imagenet_prep.imagenet.archives import TRAIN, VALIDATION
from imagenet_prep.imagenet.classes import official
from imagenet_prep.imagenet.names import official_name
from imagenet_prep.sources.archive_file import archive_at
from imagenet_prep.sources.base import Input, Part, Pieces, Seen, Source, Walk
from imagenet_prep.sources.contents import may_be_archive
from imagenet_prep.sources.disguise import START_BYTES, packed_by, unpacker
from imagenet_prep.sources.found import LARGEST, LITTER, Found
from imagenet_prep.sources.labels import CLASS_TAR, ClassOf, base_name, classes_by_name, classes_by_path, is_annotation
from imagenet_prep.sources.plain import unpacking_errors
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.sources.salvage import CLASS_TARS, IMAGES, walk_on
from imagenet_prep.sources.unpacking import ENDLESS, PACKED, Forwards, packing_of


@dataclass(frozen=True, slots=True)
class ClassTar:
    """A class tar: its place in bytes inside the train archive; 0 and 0 for a file of its own."""

    wnid: str
    offset: int
    size: int

    @property
    def container(self) -> str:
        """Its name."""
        return f"{self.wnid}.tar"


@dataclass(frozen=True, slots=True)
class TarTask:
    """Parts of one archive for one worker: class tars, or without any of them the whole validation archive.

    ``separate``: ``path`` is a folder, and the class tars are files in it. ``truth`` has the class index of validation
    image number i + 1 at position i. ``salvage``: after damage go on, as far as anything can be read.
    """

    archive: int
    path: str
    role: str
    truth: array[int]
    class_tars: tuple[ClassTar, ...] = ()
    separate: bool = False
    salvage: bool = False
    plain: str = ""


class TrainArchive(Source):
    """The official train archive: a tar of class tars."""

    def claims(self, name: str) -> bool:
        """Archives may be called as people like."""
        return may_be_archive(name)

    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield the tars of class tars, and what has its name and nothing else inside."""
        return _archives(seen, TRAIN, self)

    def form(self, found: Input) -> str:  # noqa: ARG002
        """It is an archive."""
        return "archive"

    def pieces(self, found: Input) -> Pieces:
        """Walk the archive itself, one header a class."""
        tars, outside = class_tars(found.path, found.plain)
        return Pieces(tars, (outside,))

    def walk(self, work: Walk) -> list[Found]:
        """Walk class tars inside it."""
        return run_tar_task(TarTask(work.archive, work.path, TRAIN, work.truth, work.pieces, plain=work.plain))


class ClassTarFolder(Source):
    """A folder of class tars, as unpacking the train archive leaves it."""

    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield the folders that hold any."""
        return (Input(of.role, of.path, parts=of.parts, example=of.example, source=self) for of in seen.sets if of.tars)

    def form(self, found: Input) -> str:
        """Count the tars."""
        return f"folder of {counted(len(found.parts), 'class tar')}"

    def pieces(self, found: Input) -> Pieces:
        """Give the class tars."""
        tars, outside = separate_class_tars(found.path, [part.name for part in found.parts])
        return Pieces(tars, (outside,))

    def walk(self, work: Walk) -> list[Found]:
        """Walk class tars that are files."""
        return run_tar_task(TarTask(work.archive, work.path, TRAIN, work.truth, work.pieces, separate=True))


class ValidationArchive(Source):
    """The official validation archive: a flat tar, in one piece."""

    def claims(self, name: str) -> bool:
        """Archives may be called as people like."""
        return may_be_archive(name)

    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield the tars whose images have no folder, or that have its name."""
        return _archives(seen, VALIDATION, self)

    def form(self, found: Input) -> str:  # noqa: ARG002
        """It is an archive."""
        return "archive"

    def pieces(self, found: Input) -> Pieces:  # noqa: ARG002
        """It is walked from its start to its end."""
        return Pieces([Part("", None)])

    def walk(self, work: Walk) -> list[Found]:
        """Walk it."""
        return run_tar_task(TarTask(work.archive, work.path, VALIDATION, work.truth, plain=work.plain))


def _archives(seen: Seen, role: str, source: Source) -> Iterator[Input]:
    for path in seen.archives(role):
        if found := archive_at(path, role, seen.problems, source, _packed(seen, path)):
            yield found


def _packed(seen: Seen, path: Path) -> str:
    contents = seen.contents(path)
    return contents.packed if contents.role and contents.packed in PACKED else ""


def class_tars(path: Path, plain: str = "", *, salvage: bool = False) -> tuple[list[ClassTar], Found]:
    """Walk the train archive itself, one header a class. The second value has its problems, and no images. ``salvage``
    is that of a task.
    """
    tars: dict[str, ClassTar] = {}
    outside = Found(0, "")
    with open_range(path, plain) as tar:
        for member in files_of(tar, outside, CLASS_TARS if salvage else None):
            name = base_name(member.name)
            wnid = name.removesuffix(".tar")
            if not CLASS_TAR.fullmatch(name) or official().find(wnid) is None:
                reason = "is not one of the 1,000 class tars of ILSVRC2012"
                outside.problems.append(Problem(path.name, reason, printable(member.name), member.offset))
            elif wnid in tars:
                outside.problems.append(Problem(path.name, "is there twice", member.name, member.offset))
            else:
                tars[wnid] = ClassTar(wnid, member.offset, member.size)
    if not tars and not outside.problems:
        outside.problems.append(Problem(path.name, "has no class tars in it"))
    return list(tars.values()), outside


def separate_class_tars(path: Path, names: list[str]) -> tuple[list[ClassTar], Found]:
    """The same for class tars that lie as files in the folder ``path``."""
    outside = Found(0, "")
    tars = []
    for name in names:
        wnid = name.removesuffix(".tar")
        if official().find(wnid) is None:
            reason = "is not one of the 1,000 class tars of ILSVRC2012"
            outside.problems.append(Problem(printable(str(path)), reason, name))
        else:
            tars.append(ClassTar(wnid, 0, 0))
    return tars, outside


def run_tar_task(task: TarTask) -> list[Found]:
    """Walk the parts of a task; one ``Found`` for each container, with what is wrong there. Raises SourceError if the
    archive cannot be opened or read.
    """
    if task.separate:
        return [_walk_separate(task, tar) for tar in task.class_tars]
    with open_range(Path(task.path), task.plain) as whole:
        if task.role == TRAIN:
            return [_walk_class_tar(task, whole, tar) for tar in task.class_tars]
        return [_walk_images(task, whole, classes_by_path(task.role, task.truth))]


def _walk_separate(task: TarTask, tar: ClassTar) -> Found:
    with open_range(Path(task.path, tar.container)) as whole:
        named = whole._replace(archive=printable(os.path.basename(os.path.abspath(task.path))))
        return _walk_class_tar(task, named, replace(tar, size=whole.end))


def _walk_class_tar(task: TarTask, whole: TarRange, tar: ClassTar) -> Found:
    part = whole._replace(container=tar.container, start=tar.offset, end=tar.offset + tar.size)
    start = b""
    with contextlib.suppress(OSError):  # a bad place on the disk, which the walk names
        start = whole.read(START_BYTES, tar.offset) if tar.offset else os.pread(whole.descriptor, START_BYTES, 0)
    if packed := packed_by(start):
        reason = f"is {packed}-compressed: unpack it with {unpacker(packed)}"
        return Found(task.archive, tar.container, problems=[Problem(part.archive, reason, tar.container, tar.offset)])
    own = official().index_of(tar.wnid)
    class_of = classes_by_name(TRAIN, task.truth, (own,), f"the tar of {tar.wnid}")
    return _walk_images(task, part, lambda path: class_of(base_name(path)))


def _walk_images(task: TarTask, tar: TarRange, class_of: ClassOf) -> Found:
    found = Found(task.archive, tar.container)
    seen: dict[str, str] = {}
    for member in files_of(tar, found, IMAGES if task.salvage else None):
        name = base_name(member.name)
        class_index = class_of(member.name)
        if isinstance(class_index, str) and is_annotation(name):
            found.annotations += 1
            continue
        other = seen.get(official_name(name)[0])
        if other is not None:
            class_index = "is there twice" if other == name else f"is the same image as {other}"
        if member.size > LARGEST:
            class_index = f"claims {member.size:,} bytes, too many for an image"
        if isinstance(class_index, str):
            place = f"{tar.container}/" if tar.container else ""
            found.problems.append(Problem(tar.archive, class_index, place + printable(member.name), member.offset))
            continue
        seen[official_name(name)[0]] = name
        found.add(name, class_index, member.offset, member.size)
    if not found.lengths and not found.problems:
        found.problems.append(Problem(tar.archive, "has no images", tar.container, tar.start))
    return found


def files_of(tar: TarRange, found: Found, salvage: re.Pattern[bytes] | None = None) -> Iterator[Member]:
    """Yield the regular files of a tar; note the rest in ``found``, and damage, which ends the walk, unless it goes on
    at the next name that ``salvage`` finds.
    """
    try:
        for member in walk_on(tar, salvage, found.problems) if salvage else walk(tar):
            if isinstance(member, Missing):
                missing = Problem(tar.archive, member.reason, tar.container, member.offset)
                found.unended = found.unended or missing  # a walk that continues may find another
            elif LITTER.fullmatch(member.name) or member.type == tarfile.DIRTYPE:
                found.ignored += 1
            elif member.is_file:
                yield member
            else:
                place = "/".join(part for part in (tar.container, printable(member.name)) if part)
                found.problems.append(Problem(tar.archive, "is a link or a device, not a file", place, member.offset))
    except SourceError as error:  # as many class tars may be damaged as there are: all of them are reported
        found.problems += error.problems
    except OSError as error:  # a bad place on the disk
        if salvage is None:
            raise
        found.problems.append(Problem(tar.archive, error.strerror or str(error), tar.container))


@contextlib.contextmanager
def open_range(path: Path, plain: str = "") -> Iterator[TarRange]:
    """Open a whole tar file as a range, and close it at the end of the context. One that is compressed is unpacked
    while it is read, to its end, unless it lies ``plain`` somewhere. What is wrong becomes a SourceError.
    """
    with source_errors(path):
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe would let us wait forever
        descriptor = os.open(plain or path, flags)
    try:
        with source_errors(path):
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError("it is not a file")
            tar = TarRange(descriptor, path.name, "", 0, status.st_size)
            with open(descriptor, "rb", closefd=False) as file, unpacking_errors(path):
                if (packed := packing_of(file)) not in PACKED:
                    yield tar
                    return
                stream = Forwards(file, status.st_size, packed)
                yield tar._replace(end=ENDLESS, stream=cast("BinaryIO", stream))
                stream.finish()
    finally:
        os.close(descriptor)

"""What did the user give us? Finds archives and folders of images.

An archive is recognised by its official name, a folder by the names of the files in it. What is inside an archive is
looked at before anything is believed (``disguise``). Two sources of one thing are never chosen between: the user is
asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from imagenet_prep.errors import Problem, SourceError, UsageError, printable
from imagenet_prep.imagenet.archives import (
    DEVKIT,
    HELD_OUT,
    OFFICIAL_ARCHIVES,
    TRAIN,
    TRAIN_BOXES,
    UNLABELLED,
    VALIDATION,
    VALIDATION_BOXES,
    VALIDATION_CLASSES,
)
from imagenet_prep.imagenet.classes import Taxonomy, official
from imagenet_prep.model.given import given
from imagenet_prep.sources.disguise import disguise_at
from imagenet_prep.sources.downloads import first_hole, interrupted, tool_of
from imagenet_prep.sources.labels import ARCHIVE_NAMES, KAGGLE_CLASSES
from imagenet_prep.sources.survey import ImageSet, Part, Survey, survey

_ORDER = (TRAIN, HELD_OUT, VALIDATION, DEVKIT, VALIDATION_CLASSES, TRAIN_BOXES, VALIDATION_BOXES, UNLABELLED)
_NAMED = 5  # of unfinished downloads
_TEST_FOLDERS = ("test", "held-out", "held_out", "holdout", "hold-out")  # where people put what they take out of train

Source = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class FoundArchive:
    """A file that bears an official name, or a folder, which has ``parts``. ``modified`` is in nanoseconds; of a folder
    it is 0, and so is ``size``.
    """

    role: str
    path: Path
    size: int = 0
    modified: int = 0
    parts: tuple[Part, ...] = ()
    tars: bool = False  # the parts are class tars
    example: str = ""  # one of the files that lie in the folder itself

    @property
    def folder(self) -> bool:
        """Whether it is a folder and no file."""
        return bool(self.parts)

    @property
    def origin(self) -> str:
        """The split its images come from: what was held out of train comes from train."""
        return TRAIN if self.role == HELD_OUT else self.role

    @property
    def form(self) -> str:
        """Say in a few words what it is."""
        if not self.folder:
            return "archive" if self.role != VALIDATION_CLASSES else "Kaggle's CSV file"
        if self.tars:
            return f"folder of {_counted(self.parts, 'class tar')}"
        folders = [part for part in self.parts if part.name]
        flat = len(folders) < len(self.parts)
        if not folders:
            return "flat folder"
        return _counted(folders, "class folder") + (", and files beside them" if flat else "")


def _counted(parts: Sequence[Part], what: str) -> str:
    return f"{len(parts):,} {what}{'' if len(parts) == 1 else 's'}"


def source_paths(source: Source | Iterable[Source]) -> list[Path]:
    """Give one source or several as a list of paths. Raises UsageError for what is no path, and for none at all."""
    paths = given("source", source, Path | tuple[Path, ...])
    if not paths:
        raise UsageError("source is a path or several, and there is none.")
    return [paths] if isinstance(paths, Path) else list(paths)


def recognise(
    sources: Iterable[Path], taxonomy: Taxonomy | None = None, tell: Callable[[str], object] = str
) -> dict[str, FoundArchive]:
    """Find archives and folders of images in ``sources``, which are folders or files, by role, in a fixed order.

    ``taxonomy`` is a class table whose names class folders may have, beside the built-in ones. ``tell`` gets remarks
    for the user, a sentence each. Raises SourceError if
    neither train nor validation images are there, if two things claim one role, or if something is not what its name
    says. Nothing but the first bytes of each file and the names in each folder are read.
    """
    sources = tuple(sources)
    tables = [official(), taxonomy or official()]
    found = survey(sources, lambda folder: tuple(sorted({c for table in tables for c in table.called(folder)})))
    if found.problems:
        raise SourceError(
            "The source cannot be searched:",
            tuple(found.problems),
            "Put each right, or name the folders and files to use one by one.",
        )
    if remark := _unfinished(found.unfinished):
        tell(remark)
    by_role: dict[str, list[FoundArchive]] = {}
    for each in [*_archives(found.files), *_sets(found)]:
        others = by_role.setdefault(each.role, [])
        if each.folder or not any(each.path.samefile(other.path) for other in others):  # found twice is still one
            others.append(each)
    _name_held_out(by_role)
    _refuse_two(by_role)
    if TRAIN not in by_role and VALIDATION not in by_role:
        raise _nothing(sources, found)
    _refuse_unused(sources, found)
    chosen = {role: by_role[role][0] for role in _ORDER if role in by_role}
    for each in chosen.values():
        if each.role in (TRAIN, VALIDATION) and not each.folder and (hole := first_hole(each.path)):
            tell(_with_hole(each.path, *hole))
    return chosen


def _unfinished(paths: list[Path]) -> str:
    """Name the downloads that are passed over; "" for none. What lies beside its archive is that archive's problem."""
    lone = [path for path in paths if not (interrupted(path.with_suffix("")) and path.with_suffix("").exists())]
    named = ", ".join(f"{printable(str(path))} ({tool_of(path.name)})" for path in lone[:_NAMED])
    more = f" and {len(lone) - _NAMED:,} more" if len(lone) > _NAMED else ""
    return f"Not used, because these downloads are not finished: {named}{more}." if lone else ""


def _with_hole(path: Path, place: int, size: int) -> str:
    return (
        f"{printable(path.name)} has a hole: {size:,} bytes from byte {place:,} on were never written, and read as "
        "zeros. Its download may be unfinished; imagenet-prep fetch --check compares the published checksum."
    )


def _archives(files: Iterable[Path]) -> list[FoundArchive]:
    problems: list[Problem] = []
    found = [archive for path in files if (archive := _look_at(path, problems))]
    if problems:
        raise SourceError(
            "The source cannot be used:",
            tuple(problems),
            "Put each file right, or name the files to use one by one.",
        )
    return found


def _look_at(path: Path, problems: list[Problem]) -> FoundArchive | None:
    archive = next((archive for archive in OFFICIAL_ARCHIVES if path.name in archive.names), None)
    role = VALIDATION_CLASSES if path.name == KAGGLE_CLASSES else archive.role if archive else None
    if role is None:
        return None
    try:
        status = path.stat()
    except OSError as error:
        problems.append(Problem(printable(str(path)), f"cannot be read: {error.strerror}"))
        return None
    # What is not used stands in nobody's way, whatever it is.
    wrong = "" if role == UNLABELLED else disguise_at(path, plain_tar=role in (TRAIN, VALIDATION)) or interrupted(path)
    if wrong:
        problems.append(Problem(printable(str(path)), wrong))
    return FoundArchive(role, path, status.st_size, status.st_mtime_ns)


def _sets(found: Survey) -> list[FoundArchive]:
    _refuse_unknown_classes(found.sets)
    return [
        FoundArchive(each.role, each.path, parts=each.parts, tars=each.tars, example=each.example)
        for each in found.sets
    ]


def _refuse_unknown_classes(sets: list[ImageSet]) -> None:
    """Several flat folders of train images side by side are class folders whose names nobody knows."""
    flat = [each.path for each in sets if each.role == TRAIN and not each.tars and not any(p.name for p in each.parts)]
    problems = [
        Problem(printable(str(path)), "is not called after one of the 1,000 classes")
        for path in flat
        if path.name not in _TEST_FOLDERS
        and not official().called(path.name)
        and any(other.parent == path.parent for other in flat if other is not path)
    ]
    if len(problems) > 1:
        raise SourceError(
            "There are folders of train images with names that are no classes:",
            tuple(problems),
            "A class folder is called by WNID or by name (see `imagenet-prep classes`); names of your own are taken "
            "with --class-map.",
        )


def _name_held_out(by_role: dict[str, list[FoundArchive]]) -> None:
    """Train images in a test folder beside a train folder were held out by somebody: both together are train."""
    train = by_role.get(TRAIN, [])
    out = [each for each in train if each.folder and not each.tars and each.path.name in _TEST_FOLDERS]
    if len(train) == 2 and len(out) == 1:
        train.remove(out[0])
        by_role[HELD_OUT] = [FoundArchive(HELD_OUT, out[0].path, parts=out[0].parts)]


def _refuse_two(by_role: dict[str, list[FoundArchive]]) -> None:
    doubled = [
        each for role in _ORDER if role != UNLABELLED and len(by_role.get(role, ())) > 1 for each in by_role[role]
    ]
    if not doubled:
        return
    one_folder = len({each.path for each in doubled}) < len(doubled)
    raise SourceError(
        "There is more than one source of the same thing:",
        tuple(
            Problem(
                printable(str(each.path)),
                f"{each.role}: {each.form}" + (f", such as {each.example}" if each.example else ""),
            )
            for each in doubled
        ),
        "Name those to use, in place of the folder that has them all: "
        "imagenet-prep build /data/train /data/ILSVRC2012_img_val.tar OUT"
        + ("\nOf two in one folder, move one to a folder of its own." if one_folder else ""),
    )


def _refuse_unused(sources: tuple[Path, ...], found: Survey) -> None:
    """A source that gives nothing may be a name that was mistyped: its absence must not pass unseen."""
    places = [*(each.path for each in found.sets), *(path for path in found.files if path.name in ARCHIVE_NAMES)]
    unused = [source for source in sources if not any(place.is_relative_to(source) for place in places)]
    unused = [source for source in unused if not any(_is_same(source, place) for place in places)]
    if unused:
        raise SourceError(
            "There are sources that nothing is used of:",
            tuple(Problem(printable(str(source)), _why_unused(source)) for source in unused),
            "Leave them out, or see to their names: archives are known by the official ones.",
        )


def _why_unused(source: Path) -> str:
    tool = tool_of(source.name)
    return f"is a download that is not finished ({tool})" if tool else "has nothing in it that is known"


def _is_same(source: Path, place: Path) -> bool:
    return any(os.path.samefile(source, each) for each in (place, *place.parents) if each.exists())


def _nothing(sources: tuple[Path, ...], found: Survey) -> SourceError:
    wanted = " and ".join(archive.names[0] for archive in OFFICIAL_ARCHIVES if archive.role in (TRAIN, VALIDATION))
    there = sorted(printable(path.name) for source in sources if source.is_dir() for path in source.iterdir())
    seen = f" Seen there: {', '.join(there[:10])}{' …' if len(there) > 10 else ''}." if there else ""
    places = ", ".join(map(str, sources))
    remedy = (
        f"Looked for {wanted}, for class folders, and for files such as n01440764_10026.JPEG and "
        "ILSVRC2012_val_00000001.JPEG."
    )
    if any(each.role == UNLABELLED for each in found.sets):
        remedy += " The images called ILSVRC2012_test_… have no labels."
    remedy += f" {_unfinished(found.unfinished)}".rstrip()
    if found.builds:
        remedy += (
            f" {printable(str(found.builds[0]))} is a build, and passed over; what it has moved, `imagenet-prep undo` "
            "puts back."
        )
    if found.unnamed:
        remedy += (
            f" There are folders called after classes, such as {printable(str(found.unnamed[0]))}, but the files in "
            "them do not have the names they have in ImageNet, which say what they are."
        )
    return SourceError(f"There are no ILSVRC2012 archives or images with classes in {places}.{seen}", remedy=remedy)

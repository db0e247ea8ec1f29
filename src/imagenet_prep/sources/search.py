"""What did the user give us? The only search, which asks every kind of source.

An archive is recognised by what is inside, a folder by the names of the files in it. An archive that is not used is
named with the reason. The program never chooses between two sources of one thing: it asks the user.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path

from imagenet_prep.errors import MissingSourceError, Problem, SourceError, UsageError, printable
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
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.given import given
from imagenet_prep.sources.archive_file import archive_at
from imagenet_prep.sources.base import TEST_FOLDERS, ImageSet, Input, Seen, all_sources, form_of_folders
from imagenet_prep.sources.downloads import first_hole, interrupted, tool_of
from imagenet_prep.sources.labels import role_of
from imagenet_prep.sources.others import around, class_tars_of_others, others_in
from imagenet_prep.sources.survey import survey
from imagenet_prep.sources.together import add_up
from imagenet_prep.sources.unused import not_used, why_unused

_ORDER = (TRAIN, HELD_OUT, VALIDATION, DEVKIT, VALIDATION_CLASSES, TRAIN_BOXES, VALIDATION_BOXES, UNLABELLED)
_BOXES = (TRAIN_BOXES, VALIDATION_BOXES)
_SEVERAL = (TRAIN, VALIDATION, *_BOXES)
_NAMED = 5  # of unfinished downloads

SourcePath = str | PathLike[str]


def form_of(found: Input) -> str:
    """Say in a few words what an input is."""
    if found.source:
        return found.source.form(found)
    if found.folder:
        return form_of_folders(found.parts)
    return "Kaggle's CSV file" if found.role == VALIDATION_CLASSES else "archive"


def source_paths(source: SourcePath | Iterable[SourcePath]) -> list[Path]:
    """Give one source or several as a list of paths. Raises UsageError for anything else, and for an empty list."""
    paths = given("source", source, Path | tuple[Path, ...])
    if not paths:
        raise UsageError("source is a path or several, and there is none.")
    return [paths] if isinstance(paths, Path) else list(paths)


def recognise(
    sources: Iterable[Path], taxonomy: Taxonomy | None = None, tell: Callable[[str], object] = str
) -> dict[str, Input]:
    """Find archives and folders of images in ``sources``, which are folders or files, by role, in a fixed order. Those
    of one role that have different images add up; the second has the role and " 2".

    ``taxonomy`` is a class table whose names class folders may have, beside the built-in ones. ``tell`` gets remarks
    for the user, a sentence each. Raises SourceError if
    neither train nor validation images are there, if two things claim one role, or if something is not what its name
    says. Nothing but the first bytes of each file and the names in each folder are read.
    """
    sources = tuple(sources)
    try:
        chosen = _recognised(sources, taxonomy, tell)
    except MissingSourceError:
        raise
    except _NothingError as error:
        others = others_in(sources, nothing=True)
        raise SourceError(error.summary, others, error.remedy if others else error.with_unused) from error
    except SourceError as error:
        others = others_in(sources)
        if not others:
            raise
        raise _beside_others(error, others) from error
    if not {TRAIN, VALIDATION} <= chosen.keys():
        for other in others_in(sources, [each.path for each in chosen.values()]):
            tell(f"Not used: {other.archive} {other.reason}.")
    return chosen


def _beside_others(error: SourceError, others: tuple[Problem, ...]) -> SourceError:
    """Say what is wrong with the rest, if anything is: of what is something else, nothing but its name."""
    within = tuple(f"{other.archive}/" for other in others)
    rest = tuple(problem for problem in error.problems if not f"{problem.archive}/".startswith(within))
    summary = f"What lies there is not ILSVRC2012{', or not alone' if rest else ''}:"
    return SourceError(summary, (*others, *rest), error.remedy if rest else "")


class _NothingError(SourceError):
    """Neither train nor validation is there. ``with_unused`` is the remedy with the files that are not used."""

    with_unused: str = ""


def _recognised(
    sources: tuple[Path, ...], taxonomy: Taxonomy | None, tell: Callable[[str], object]
) -> dict[str, Input]:
    tables = [official(), taxonomy or official()]
    found = survey(sources, lambda folder: tuple(sorted({c for table in tables for c in table.called(folder)})))
    if found.problems:
        raise SourceError(
            "The source cannot be searched:",
            tuple(found.problems),
            "Fix each, or name the folders and files to use one by one.",
        )
    if remark := _unfinished(found.unfinished):
        tell(remark)
    by_role: dict[str, list[Input]] = {}
    _refuse_unknown_classes(found.sets)
    _refuse_tars_of_others(found.sets)
    inputs = _inputs(found)
    for each in inputs:
        others = by_role.setdefault(each.role, [])
        if each.folder or not any(each.path.samefile(other.path) for other in others):  # found twice, but one
            others.append(each)
    _name_held_out(by_role)
    _prefer_apart(by_role)
    _prefer_images(by_role, found)
    _prefer_unpacked(by_role, found)
    inputs = [each for each in inputs if found.unused.keys().isdisjoint(_first_files(each))]
    _refuse_two(by_role)
    if TRAIN not in by_role and VALIDATION not in by_role:
        raise _nothing(sources, found, inputs)
    chosen = _chosen(by_role)
    _refuse_others(chosen)
    if not {TRAIN, VALIDATION} <= by_role.keys() and (remark := _unnamed(found)):
        tell(remark)
    _refuse_unused(sources, found, _files_of(inputs))
    if remark := not_used(found, _files_of(inputs)):
        tell(remark)
    for each in chosen.values():
        if each.role in (TRAIN, VALIDATION) and not each.folder and (hole := first_hole(each.path)):
            tell(_with_hole(each.path, *hole))
    return chosen


def _chosen(by_role: dict[str, list[Input]]) -> dict[str, Input]:
    """Take one input of each role, and of images and of annotations among them all that add up."""
    return {
        f"{role} {number}" if number > 1 else role: each
        for role in _ORDER
        for number, each in enumerate(by_role.get(role, ())[: None if role in _SEVERAL else 1], start=1)
    }


def _refuse_others(chosen: dict[str, Input]) -> None:
    """Refuse images of another data set, whose names cannot be told from ImageNet's."""
    others = [other for each in chosen.values() if (other := around(each.path.absolute()))]
    if others:
        raise SourceError("What lies there is not ILSVRC2012:", tuple(dict.fromkeys(others)))


def _unfinished(paths: list[Path]) -> str:
    """Name the ignored downloads; "" for none. What lies beside its archive is that archive's problem."""
    lone = [path for path in paths if not (interrupted(path.with_suffix("")) and path.with_suffix("").exists())]
    named = ", ".join(f"{printable(str(path))} ({tool_of(path.name)})" for path in lone[:_NAMED])
    more = f" and {len(lone) - _NAMED:,} more" if len(lone) > _NAMED else ""
    return f"Not used, because these downloads are not finished: {named}{more}." if lone else ""


def _with_hole(path: Path, place: int, size: int) -> str:
    return (
        f"{printable(path.name)} has a hole: {size:,} bytes from byte {place:,} on were never written, and read as "
        "zeros. Its download may be unfinished; imagenet-prep fetch --check compares the published checksum."
    )


def _inputs(found: Seen) -> list[Input]:
    """Ask every kind of source for what it finds, and add what lies beside images. All problems are said at once."""
    inputs = [each for source in all_sources() for each in source.find(found)] + list(_beside_images(found))
    if found.problems:
        remedy = "Put each file right, or name the files to use one by one."
        raise SourceError(
            "The source cannot be used:", tuple(sorted(found.problems, key=lambda problem: problem.archive)), remedy
        )
    return inputs


def _beside_images(found: Seen) -> Iterator[Input]:
    """Yield lists of classes, annotations, and what has no labels."""
    for role in (role for role in _ORDER if role not in (TRAIN, VALIDATION)):
        for path in found.archives(role):
            if each := archive_at(path, role, found.problems, None):
                yield each
    for of in found.sets:
        if of.role not in (TRAIN, VALIDATION):
            yield Input(of.role, of.path, parts=of.parts, example=of.example)


def _refuse_unknown_classes(sets: list[ImageSet]) -> None:
    """Refuse several flat folders of train images side by side: they are class folders with unknown names."""
    flat = [each.path for each in sets if each.role == TRAIN and not each.tars and not any(p.name for p in each.parts)]
    problems = [
        Problem(printable(str(path)), "is not named after one of the 1,000 classes")
        for path in flat
        if path.name not in TEST_FOLDERS
        and not official().called(path.name)
        and not path.name.isdigit()
        and len({name[:9] for name in os.listdir(path) if role_of(name) == TRAIN}) < 2
        and any(other.parent == path.parent for other in flat if other is not path)
    ]
    if len(problems) > 1:
        raise SourceError(
            "There are folders of train images whose names are not classes:",
            tuple(problems),
            "A class folder is named by WNID or by class name (see `imagenet-prep classes`); --class-map takes names "
            "of your own.",
        )


def _refuse_tars_of_others(sets: list[ImageSet]) -> None:
    strange = ((each.path, sum(not part.classes for part in each.parts)) for each in sets if each.tars)
    others = [other for path, count in strange if (other := class_tars_of_others(path, count))]
    if others:
        raise SourceError("There are class tars of other classes than the 1,000:", tuple(others))


def _name_held_out(by_role: dict[str, list[Input]]) -> None:
    """Train images in a test folder beside a train folder were held out by somebody: both together are train."""
    train = by_role.get(TRAIN, [])
    out = [each for each in train if each.source and each.source.may_be_split and each.path.name in TEST_FOLDERS]
    if len(train) == 2 and len(out) == 1:
        train.remove(out[0])
        by_role[HELD_OUT] = [replace(out[0], role=HELD_OUT)]


def _prefer_apart(by_role: dict[str, list[Input]]) -> None:
    """Leave out annotations that lie among images, where the same are there apart."""
    for role in _BOXES:
        if apart := [each for each in by_role.get(role, ()) if not each.source]:
            by_role[role] = apart


def _prefer_unpacked(by_role: dict[str, list[Input]], found: Seen) -> None:
    """Leave out what is packed where the same is unpacked: people keep both."""
    for role, inputs in by_role.items():
        plain = [each for each in inputs if not each.packed]
        for each in inputs if plain else ():
            if each.packed:
                place = printable(str(plain[0].path))
                found.unused[each.path] = f"is {each.packed}-compressed, and {role} is there unpacked: {place}"
        by_role[role] = plain or inputs
    for each in (each for inputs in by_role.values() for each in inputs):
        found.unused.pop(each.path, None)  # it has another split, too


def _prefer_images(by_role: dict[str, list[Input]], found: Seen) -> None:
    """Leave out shards where the images are that they were made of, and all but one of several kinds of shards."""
    for role, inputs in list(by_role.items()):
        all_of_it = by_role.get(TRAIN if role == HELD_OUT else role, inputs)
        first = next((each for each in all_of_it if not _gives_way(each)), all_of_it[0])
        kept = [each for each in inputs if not _gives_way(each) or each.source is first.source]
        why = f"is a shard of {inputs[0].origin}, which is there: {printable(str(first.path))}"
        found.unused |= {file: why for each in inputs if each not in kept for file in each.files}
        by_role[role] = kept
    for role in [role for role, kept in by_role.items() if not kept]:
        del by_role[role]


def _first_files(of: Input) -> set[Path]:
    """Give the file that an input is, or the folder and the first of its parts."""
    return {of.path, of.files[0]}


def _gives_way(found: Input) -> bool:
    return bool(found.source and found.source.gives_way)


def _refuse_two(by_role: dict[str, list[Input]]) -> None:
    several = [inputs for role in _ORDER if role != UNLABELLED and len(inputs := by_role.get(role, [])) > 1]
    doubled = [each for inputs in several if _are_of_others(inputs) or not add_up(inputs) for each in inputs]
    if not doubled:
        return
    one_folder = len({each.path for each in doubled}) < len(doubled)
    raise SourceError(
        "There is more than one source of the same thing:",
        tuple(
            Problem(
                printable(str(each.path)),
                f"{each.role}: {form_of(each)}" + (f", such as {each.example}" if each.example else ""),
            )
            for each in doubled
        ),
        "Two lie in one folder: move one to a folder of its own, and name the one to use."
        if one_folder
        else f"Name those to use, in place of the folder that has them all: {_one_of_each(by_role)}",
    )


def _one_of_each(by_role: dict[str, list[Input]]) -> str:
    """Give a command that names one input of each role."""
    paths = dict.fromkeys(str(by_role[role][0].path) for role in _ORDER if by_role.get(role))
    return f"imagenet-prep build {' '.join(shlex.quote(printable(path)) for path in paths)} OUT"


def _are_of_others(inputs: list[Input]) -> bool:
    """Whether one of them may be another data set: with what is not, it never adds up."""
    return any(around(each.path.absolute(), never=False) for each in inputs)


def _files_of(inputs: list[Input]) -> set[Path]:
    return {file for each in inputs for file in (each.path, *each.files)}


def _refuse_unused(sources: tuple[Path, ...], found: Seen, used: set[Path]) -> None:
    """Refuse a source that contributes nothing: its name may be mistyped."""
    places = [*(each.path for each in found.sets), *used]
    unused = [source for source in sources if not any(place.is_relative_to(source) for place in places)]
    unused = [source for source in unused if not any(_is_same(source, place) for place in places)]
    if unused:
        raise SourceError(
            "Nothing in these sources is used:",
            tuple(Problem(printable(str(source)), _why_unused(source, found)) for source in unused),
            "Leave them out, or see what is in them: archives are recognised by that, images by their names.",
        )


def _why_unused(source: Path, found: Seen) -> str:
    if tool := tool_of(source.name):
        return f"is a download that is not finished ({tool})"
    return why_unused(source, found) if source in found.files else "has nothing in it that is known"


def _is_same(source: Path, place: Path) -> bool:
    return any(os.path.samefile(source, each) for each in (place, *place.parents) if each.exists())


def _nothing(sources: tuple[Path, ...], found: Seen, inputs: list[Input]) -> _NothingError:
    wanted = " and ".join(archive.names[0] for archive in OFFICIAL_ARCHIVES if archive.role in (TRAIN, VALIDATION))
    there = sorted(printable(path.name) for source in sources if source.is_dir() for path in source.iterdir())
    seen = f" Seen there: {', '.join(there[:10])}{' …' if len(there) > 10 else ''}." if there else ""
    places = ", ".join(map(str, sources))
    remedy = (
        f"Looked for {wanted}, for class folders, and for files such as n01440764_10026.JPEG and "
        "ILSVRC2012_val_00000001.JPEG."
    )
    if any(each.role == UNLABELLED for each in inputs):
        remedy += " The images called ILSVRC2012_test_… have no labels."
    more = [_unfinished(found.unfinished)]
    if found.builds:
        more.append(
            f"{printable(str(found.builds[0]))} is a build, and passed over; what it has moved, `imagenet-prep undo` "
            "puts back."
        )
    more += [*own_data_sets(sources), _unnamed(found)]
    summary = f"There are no ILSVRC2012 archives or images with classes in {places}.{seen}"
    error = _NothingError(summary, remedy=" ".join(filter(None, (remedy, *more))))
    error.with_unused = " ".join(filter(None, (remedy, not_used(found, _files_of(inputs)), *more)))
    return error


def is_own_data_set(path: Path) -> bool:
    """Whether a folder is a data set of this program; not where one may not look, which the search says."""
    return os.path.isdir(path / PRIVATE)


def own_data_sets(sources: Iterable[Path]) -> list[str]:
    """Say of each source that is a data set of this program what it is; none where one may not look."""
    own = [printable(str(path)) for path in sources if is_own_data_set(path)]
    return [
        f"{path} is a data set of this program: `imagenet-prep audit {path}` reads it back, "
        f"and `imagenet-prep build {path} OUT` makes another of it."
        for path in own
    ]


def _unnamed(found: Seen) -> str:
    """Name a class folder whose files have other names than ImageNet's; "" for none."""
    if not found.unnamed:
        return ""
    return (
        f"There are folders called after classes, such as {printable(str(found.unnamed[0]))}, but the files in them do "
        "not have the names they have in ImageNet, which say what they are."
    )

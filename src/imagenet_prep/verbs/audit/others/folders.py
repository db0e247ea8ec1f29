"""Finds trees of class folders that others made, and which numbers their readers give the classes.

Readers of such trees sort the names of all folders and count. So the labels of a split depend on every folder that lies
there: a class that is missing, or a folder that is not of a class, moves the number of each class after it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from imagenet_prep.errors import Problem, printable
from imagenet_prep.imagenet.archives import CLASS_COUNT, TRAIN, VALIDATION
from imagenet_prep.imagenet.classes import official
from imagenet_prep.imagenet.names import WNID
from imagenet_prep.sources.base import ImageSet, Part
from imagenet_prep.sources.base import Seen as Found
from imagenet_prep.sources.contents import is_archive_name
from imagenet_prep.sources.survey import is_folder
from imagenet_prep.verbs.audit.others.dataset import FoundSet
from imagenet_prep.verbs.audit.others.look import FolderLook
from imagenet_prep.verbs.audit.others.numbered import is_number
from imagenet_prep.verbs.audit.others.observed import NO_CLASS, Seen

_WNID = re.compile(WNID, re.ASCII)
_INDEXED = re.compile(r"\d{3}[-_ ].*", re.ASCII)
_BESIDE = "readers such as torchvision take it for a class, and number all classes after it differently"
_FLAT = "holds images without class folders: readers take it for one class"


def find_folder_set(out: Path, found: Found) -> tuple[FoundSet | None, bool]:
    """Give the class folders that a search of ``out`` has found, and whether there are archives."""
    sets = _with_numbered([each for each in found.sets if each.role in (TRAIN, VALIDATION) and not each.tars])
    archives = any(is_archive_name(path.name) for path in found.files) or any(each.tars for each in found.sets)
    if not sets or (archives and not any(part.name for each in sets for part in each.parts)):
        return None, archives
    root = Path(os.path.commonpath([out if each.path == out else each.path.parent for each in sets]))
    result = FoundSet(_layout(sets), root, [])
    for each in sets:
        split = _split_name(root, each, sets)
        result.problems += _beside(each, found.problems)
        for part in each.parts:
            result.looks.append(FolderLook(0, split, len(result.looks), each.path, each.role, part))
    return result, archives


def _with_numbered(sets: Sequence[ImageSet]) -> list[ImageSet]:
    """Take flat folders with numbers for names, side by side, for the class folders of one set."""
    groups: dict[tuple[str, Path], list[ImageSet]] = {}
    for each in sets:
        if is_number(each.path.name) and not any(part.name for part in each.parts):
            groups.setdefault((each.role, each.path.parent), []).append(each)
    groups = {place: group for place, group in groups.items() if len(group) > 1}
    taken = {(each.role, each.path) for group in groups.values() for each in group} | groups.keys()
    result = [each for each in sets if (each.role, each.path) not in taken]
    for (role, path), group in groups.items():
        beside = [part for each in sets if (each.role, each.path) == (role, path) for part in each.parts]
        parts = sorted([*beside, *(Part(each.path.name, None) for each in group)], key=lambda part: part.name)
        result.append(ImageSet(role, path, tuple(parts), example=group[0].example))
    return result


def _layout(sets: Sequence[ImageSet]) -> str:
    names = [part.name for each in sets for part in each.parts if part.name]
    if not names:
        return "flat folder"
    if any(map(is_number, names)):
        return f"class folders, {'' if all(map(is_number, names)) else 'some of them '}called by number"
    if all(map(_WNID.fullmatch, names)):
        return "class folders, called by WNID"
    if all(map(_INDEXED.fullmatch, names)):
        return "class folders, with the class index in front"
    return "class folders, called by name"


def _split_name(root: Path, each: ImageSet, sets: Sequence[ImageSet]) -> str:
    """Call a split like its folder, or by its images if that is the root, or holds another set, too."""
    if each.path == root:
        return each.role
    name = printable(str(each.path.relative_to(root)))
    return f"{name} ({each.role})" if sum(other.path == each.path for other in sets) > 1 else name


def _beside(each: ImageSet, known: Sequence[Problem]) -> Iterator[Problem]:
    """Name what lies beside the class folders of a set, or in their place."""
    place = printable(str(each.path))
    if not any(part.name for part in each.parts):
        yield Problem(place, _FLAT)
        return
    if any(not part.name for part in each.parts):
        yield Problem(place, "has images beside the class folders, which readers pass over", printable(each.example))
    told = {problem.member for problem in known if problem.archive == place}
    classes = {part.name for part in each.parts}
    with os.scandir(each.path) as listed:
        others = sorted(entry.name for entry in listed if entry.name not in classes and is_folder(entry))
    for name in others:
        if printable(name) not in told:
            yield Problem(place, f"is not a class folder: {_BESIDE}", printable(name))


def numbering(looks: Sequence[FolderLook], parts: Sequence[Seen]) -> list[int]:
    """Give the class indexes of a split in the order in which readers number them: sorted by folder name."""
    named = [(look.part.name, _class(look, part)) for look, part in zip(looks, parts, strict=True) if look.part.name]
    return [class_index for _, class_index in sorted(named)]


def _class(look: FolderLook, part: Seen) -> int:
    """Give the class of a folder; if its name does not say, the class of most of its images."""
    possible = look.part.classes
    seen = Counter(truth for truth in part.truths if possible is None or truth in possible)
    if seen:
        return seen.most_common(1)[0][0]
    return possible[0] if possible else NO_CLASS


def described(classes: Sequence[int]) -> str:
    """Say which numbers the classes of a split get."""
    if not classes:
        return "one label for all"
    last = f"0…{len(classes) - 1}"
    if list(classes) == list(range(CLASS_COUNT)):
        return "class index, 0…999"
    if sorted(set(classes)) == list(classes):
        return f"{last} in class index order, but not the class index"
    return f"{last} in the order of the folder names, not the class index"


def judge_numbering(place: str, splits: Mapping[str, Sequence[int]]) -> Iterator[Problem]:
    """Name classes with two folders, and splits whose readers would number the classes differently from another's."""
    for split, classes in splits.items():
        for class_index, count in sorted(Counter(classes).items()):
            if count > 1:
                reason = f"{split} has {count} folders of {_named(class_index)}: readers take them for {count} classes"
                yield Problem(place, reason)
    (first, order), *others = splits.items()
    for split, classes in others:
        if list(classes) != list(order):
            pairs = enumerate(zip_longest(order, classes, fillvalue=NO_CLASS))
            number, (one, other) = next(pair for pair in pairs if pair[1][0] != pair[1][1])
            reason = f"{first} and {split} number the classes otherwise: number {number} is {_named(one)} in {first}"
            yield Problem(place, f"{reason} and {_named(other)} in {split}")


def _named(class_index: int) -> str:
    if class_index == NO_CLASS:
        return "no class"
    facts = official().classes[class_index]
    return f"{facts.wnid} ({facts.name})"

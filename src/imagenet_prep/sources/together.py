"""Several places with images of one split, which add up: class folders in parts (``train.X1`` … ``train.X4``), folders
called by numbers (``0`` … ``999``), nested once more, or a split of train that somebody made; several archives, or half
of the classes as tars and half as folders.

They add up if they have different images; folders of one tree are one source. Places that share most of their images
are copies of each other, and the user is asked which is meant. An image that is in two places all the same is named by
the index.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate
from pathlib import Path

from imagenet_prep.errors import SourceError
from imagenet_prep.imagenet.archives import TRAIN_BOXES, VALIDATION_BOXES
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.imagenet.names import official_name
from imagenet_prep.sources.base import ImageSet, Input, Part, Walk
from imagenet_prep.sources.labels import classes_by_name, role_of
from imagenet_prep.sources.reader import source_errors

_MOST_INPUTS = 100  # that add up: one more place in the catalog each, which has 127
_MOST = 10  # of so many folders one may hold images of several classes


def joined(sets: Sequence[ImageSet], others: Sequence[ImageSet]) -> Sequence[ImageSet]:
    """Join sets of one role into one; give them as they are, if they do not add up. ``others`` are the sets of other
    roles: what is mixed with them is not joined, because one of both may have strayed there.
    """
    if len(sets) < 2 or not (root := _root_of(sets)) or _are_mixed(sets, others):
        return sets
    if _are_copies(sets):
        return sets
    parts = [_below(root, each.path, part) for each in sets for part in each.parts]
    parts = _compared_by_number(root, sets[0].role, parts)
    return [ImageSet(sets[0].role, root, tuple(sorted(parts, key=lambda part: part.name)))]


def add_up(inputs: Sequence[Input]) -> bool:
    """Whether inputs of one role have different images. Those that are not packed are walked for that; a packed one
    would have to be unpacked, and is believed. Folders that could not be joined do not add up.
    """
    if all(each.source and each.role in (TRAIN_BOXES, VALIDATION_BOXES) for each in inputs):
        return True  # annotations that lie among images
    plain = [each for each in inputs if not each.packed]
    folders = [each for each in plain if each.source and each.source.joins_folders]
    if len(inputs) > _MOST_INPUTS or len(folders) > 1 or not all(each.source for each in inputs):
        return False
    try:
        return len(plain) < 2 or not _share_half([_names_of(each) for each in plain])
    except SourceError:  # the user is asked, and the walk of what is meant says what is wrong
        return False


def _names_of(found: Input) -> set[bytes]:
    """Walk an input for the names of its images."""
    names: set[bytes] = set()
    if not (source := found.source):
        return names
    pieces = tuple(source.pieces(found).pieces)
    for part in source.walk(Walk(source, 0, str(found.path), found.origin, pieces, validation_truth())):
        ends = accumulate(part.lengths)
        names |= {bytes(part.names[end - size : end]) for end, size in zip(ends, part.lengths, strict=True)}
    return names


def _root_of(sets: Sequence[ImageSet]) -> Path | None:
    """Give the folder that all lie in; None if that is the root of the file system, or none is known."""
    try:
        root = os.path.commonpath([each.path for each in sets])
    except ValueError:  # some are absolute, some are not
        return None
    return Path(root) if root.strip("/") else None


def _are_mixed(sets: Sequence[ImageSet], others: Sequence[ImageSet]) -> bool:
    """Whether a flat folder has others in it, or is one of another role, too."""
    within = {above for each in (*sets, *others) for above in each.path.parents} | {each.path for each in others}
    return any(each.parts[0].name == "" and each.path in within for each in sets)


def _are_copies(sets: Sequence[ImageSet]) -> bool:
    """Whether half of the images of the smallest set, or more, are in another one too."""
    return _share_half([set(_names(each)) for each in sets])


def _share_half(names: Sequence[AbstractSet[str] | AbstractSet[bytes]]) -> bool:
    doubled = sum(map(len, names)) - len(set[str | bytes]().union(*names))
    return 2 * doubled >= min(map(len, names))


def _names(of: ImageSet) -> Iterator[str]:
    for part in of.parts:
        yield from _names_in(of.path / part.name, of.role)


def _names_in(folder: Path, role: str) -> Iterator[str]:
    with source_errors(folder):
        files = os.listdir(folder)
    return (official_name(file)[0] for file in files if role_of(file) == role)


def _below(root: Path, folder: Path, part: Part) -> Part:
    """Name a part from ``root``. A folder in a class folder is compared with that."""
    place = (folder / part.name).relative_to(root)
    classes = part.classes
    for above in reversed(place.parts):
        classes = classes or official().called(above) or None
    return Part("" if place == Path() else place.as_posix(), classes)


def _compared_by_number(root: Path, role: str, parts: Sequence[Part]) -> list[Part]:
    """Say which class each folder may hold that is called by a number, if nearly all of these hold one class: that of
    most of its images. So an image that strayed into another one is found, whatever the numbers mean.
    """
    class_of = classes_by_name(role, validation_truth())
    counts = {
        part: Counter(of for name in _names_in(root / part.name, role) if isinstance(of := class_of(name), int))
        for part in parts
        if part.classes is None and part.name.rpartition("/")[2].isdigit()
    }
    if _MOST * sum(len(count) > 1 for count in counts.values()) > len(counts):
        return list(parts)
    return [part._replace(classes=(counts[part].most_common(1)[0][0],)) if counts.get(part) else part for part in parts]

"""What lies in class folders and is not of the build: readers would take it for an image, or for a class, which would
give all classes behind it another number.

Hidden files pass, and what systems and network disks leave: readers take files by the endings of images, or
pass over hidden ones. Not so torchvision's ``ImageFolder``: a hidden file with such an ending is an image to it, and a
hidden folder beside the class folders a class; the images of a folder inside a class folder count for that class
(torchvision ``datasets/folder.py``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.errors import Problem
from imagenet_prep.outputs.folders import CLASSES, META
from imagenet_prep.sources.found import is_of_system, is_read_though_hidden
from imagenet_prep.verbs.audit.shard import unreadable

_AT_ONCE = 1 << 14  # texts, which as Python objects cost about 100 bytes each
_IMAGE, _CLASS, _SPLIT = "an image", "a class folder", "a part"


def strays(out: Path, paths: pa.ChunkedArray) -> Iterator[Problem]:
    """Yield what the tree of a build, its splits and its class folders have beside its images, whose ``paths`` are
    below ``out``. At the top even a folder of another name misleads: Hugging Face finds splits by any word of a path.
    """
    splits: dict[str, set[str]] = {}
    top: dict[str, set[str]] = {}
    for folder, images in _by_folder(paths):
        split, _, name = folder.rpartition("/")
        splits.setdefault(split, set()).add(name)
        yield from _others(out, folder, images, _IMAGE)
    for split, classes in splits.items():
        top.setdefault(os.path.dirname(split), set()).add(os.path.basename(split))
        yield from _others(out, split, classes, _CLASS)
    for tree, own in top.items():
        yield from _others(out, tree, own | {os.path.basename(CLASSES), os.path.basename(META)}, _SPLIT)


def in_order(texts: pa.ChunkedArray) -> Iterator[str]:
    """Yield the texts of a column sorted; at no time are many of them Python objects."""
    order = pc.sort_indices(texts)
    for start in range(0, len(order), _AT_ONCE):
        yield from texts.take(order.slice(start, _AT_ONCE)).to_pylist()


def _by_folder(paths: pa.ChunkedArray) -> Iterator[tuple[str, set[str]]]:
    """Give each class folder with the names of its images."""
    for folder, inside in groupby(in_order(paths), key=lambda path: path.rpartition("/")[0]):
        yield folder, {path[len(folder) + 1 :] for path in inside}


def _others(out: Path, folder: str, own: set[str], what: str) -> Iterator[Problem]:
    try:
        with os.scandir(out / folder) as entries:
            others = sorted(entry.name for entry in entries if entry.name not in own and _misleads(entry, what))
    except (FileNotFoundError, NotADirectoryError):  # of which every missing image is said
        return
    except OSError as error:
        yield unreadable(out, folder, error)
        return
    for name in others:
        yield Problem(f"{folder}/{name}", f"is not {what} of this build")


def _misleads(entry: os.DirEntry[str], what: str) -> bool:
    if not (entry.name.startswith(".") or is_of_system(entry.name)):
        return True
    if what == _IMAGE:
        return is_read_though_hidden(entry)
    return os.path.isdir(entry) and (what == _CLASS or bool(os.listdir(entry)))

"""What lies in an output folder beside the build: readers that take files by a pattern would take it for data.

Hidden files pass, and what systems and network disks leave. Class folders, with their million names, are
looked at by ``strays``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from imagenet_prep.errors import Problem
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.sources.found import is_of_system
from imagenet_prep.verbs.audit.shard import unreadable


def beside(out: Path, own: Iterable[str]) -> Iterator[Problem]:
    """Yield every file below ``out``, but in class folders, that is none of ``own``, which are paths below it. A folder
    in which nothing is the build's is named as a whole.
    """
    files = set(own)
    folders = {folder for path in files for folder in _above(path)}
    unlisted: list[OSError] = []
    for folder, inner, names in os.walk(
        out, onerror=unlisted.append, followlinks=True
    ):  # a folder of the build may be put elsewhere
        below = os.path.relpath(folder, out).removeprefix(".")
        for name in sorted((*names, *inner)):
            path = f"{below}/{name}".lstrip("/")
            if path not in files and path not in folders and not (name.startswith(".") or is_of_system(name)):
                yield Problem(path, "is not of this build")
        inner[:] = [name for name in inner if f"{below}/{name}".lstrip("/") in folders - {FOLDERS}]
    yield from (unreadable(out, os.path.relpath(error.filename, out), error) for error in unlisted)


def _above(path: str) -> Iterator[str]:
    while path := os.path.dirname(path):
        yield path

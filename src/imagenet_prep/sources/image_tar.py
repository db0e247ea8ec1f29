"""One plain tar of images: class folders, flat images, or the whole official tree, with any folders on top.

It may hold both splits, which only its last header tells. So it is walked once to see what it has, and then for each
split, which takes those that are its own. Nothing of it is extracted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from imagenet_prep.codecs.tar import Missing, walk
from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.imagenet.archives import TRAIN, TRAIN_BOXES, VALIDATION, VALIDATION_BOXES
from imagenet_prep.sources.archive_file import archive_at
from imagenet_prep.sources.base import Input, Part, Pieces, Seen, Source, Walk, is_claimed
from imagenet_prep.sources.contents import may_be_archive, may_be_tree
from imagenet_prep.sources.found import LARGEST, Found, is_litter, is_of_system
from imagenet_prep.sources.labels import base_name, classes_by_path, role_of
from imagenet_prep.sources.official import files_of, open_range
from imagenet_prep.sources.reader import source_errors

_BOXES = {TRAIN: TRAIN_BOXES, VALIDATION: VALIDATION_BOXES}
_ODD = re.compile(r"[/\0]")  # in a name that would lead elsewhere, or end earlier than it seems to
_MOST_PLACES = 10_000  # folders in one tar: what the catalog has room for, and ten times as many as there are classes


class ImageTar(Source):
    """A tar that is no official archive, and has images."""

    def claims(self, name: str) -> bool:
        """It may be called as people like."""
        return may_be_archive(name)

    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield what a tar has of train and of validation; one that turns out to have none of either for what it is."""
        for path in (path for path in seen.files if may_be_tree(path, seen.contents(path))):
            with source_errors(path):
                status = path.stat()
            roles = _splits(path, status.st_size, status.st_mtime_ns)
            for role in roles or (seen.contents(path).role,):
                if found := archive_at(path, role, seen.problems, self if roles else None):
                    yield found

    def form(self, found: Input) -> str:  # noqa: ARG002
        """It is not the official archive."""
        return "tar of images"

    def pieces(self, found: Input) -> Pieces:  # noqa: ARG002
        """It is walked from its start to its end."""
        return Pieces([Part("", None)])

    def walk(self, work: Walk) -> list[Found]:
        """Walk it, once for each piece, of which there is one."""
        return [_walk(work) for _ in work.pieces]


@lru_cache(maxsize=16)
def _splits(path: Path, size: int, modified: int) -> tuple[str, ...]:  # noqa: ARG001 — a changed file is another one
    """Give the splits of which a tar has images. A damaged one has those before the damage: the walk names it."""
    roles: set[str | None] = set()
    try:
        with open_range(path) as tar:
            for member in walk(tar):
                if not isinstance(member, Missing) and member.is_file:
                    roles.add(role_of(base_name(member.name)))
    except SourceError:
        pass
    return tuple(role for role in (TRAIN, VALIDATION) if role in roles)


def _folder_of(path: str) -> str:
    folder = path.rpartition("/")[0]
    return "" if folder == "." else folder.removeprefix("./")


@lru_cache(maxsize=_MOST_PLACES)
def _is_passed_over(folder: str) -> bool:
    """Whether a folder is hidden or a system's own, as in a search of folders."""
    return any(part.startswith(".") or is_of_system(part) for part in folder.split("/") if part not in (".", ".."))


def _walk(work: Walk) -> Found:
    found = Found(work.archive, "")
    class_of = classes_by_path(work.role, work.truth)
    with open_range(Path(work.path)) as tar:
        for member in files_of(tar, found):
            name = base_name(member.name)
            role = role_of(name)
            if _is_passed_over(_folder_of(member.name)):
                continue
            if role == work.role:
                class_index = class_of(member.name)
                if member.size > LARGEST:
                    class_index = f"claims {member.size:,} bytes, too many for an image"
            elif role == _BOXES[work.role]:
                found.annotations += 1
                continue
            elif role or (_ODD.search(name) is None and (is_litter(name) or is_claimed(name))):
                continue
            else:
                class_index = "is not named like an image of ImageNet's"
            if isinstance(class_index, str):
                found.problems.append(Problem(tar.archive, class_index, printable(member.name), member.offset))
                continue
            found.add(name, class_index, member.offset, member.size, _folder_of(member.name))
            if len(found.places) > _MOST_PLACES:
                many = Problem(tar.archive, f"has images in more than {_MOST_PLACES:,} folders")
                raise SourceError("An archive cannot be used:", (many,), "Unpack it, and give the folder.")
    found.ignored = 0  # folders are in every such tar
    return found

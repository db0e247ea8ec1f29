"""One plain tar of images: class folders, flat images, or the whole official tree, with any folders on top.

It may hold both splits, which only its last header tells. So it is walked once to see what it has, and then for each
split, which takes those that are its own. Nothing of it is extracted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from imagenet_prep.codecs.tar import Member, TarRange, walk
from imagenet_prep.errors import SourceError
from imagenet_prep.imagenet.archives import TRAIN, VALIDATION
from imagenet_prep.imagenet.names import WNID
from imagenet_prep.sources.archive_file import archive_at
from imagenet_prep.sources.base import LARGEST_ANNOTATION, Annotation, Input, Part, Pieces, Seen, Source, Walk
from imagenet_prep.sources.contents import Contents, may_be_archive, may_be_tree
from imagenet_prep.sources.found import Found
from imagenet_prep.sources.labels import classes_by_path
from imagenet_prep.sources.official import files_of, open_range
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.sources.tree import is_annotation_of, note_images, roles_among

_CLASS_TAR = re.compile(rf"{WNID}\.t", re.ASCII)


class ImageTar(Source):
    """A tar that is no official archive, and has images."""

    def claims(self, name: str) -> bool:
        """It may be called as people like."""
        return may_be_archive(name)

    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield what a tar has of train and of validation; one that turns out to have none of either for what it is."""
        for path in (path for path in seen.files if may_be_tree(path, seen.contents(path))):
            contents = seen.contents(path)
            if contents.packed and _CLASS_TAR.match(path.name):
                continue  # one of a thousand, which are not unpacked one by one
            roles = _roles_of(path, contents)
            for role in roles or (contents.role,):
                source, packed = (self, contents.packed) if roles else (None, "")
                if found := archive_at(path, role, seen.problems, source, packed):
                    yield found

    def annotations(self, found: Input) -> Iterator[Annotation]:
        """Read those of the role in the order of the tar."""
        with open_range(found.path, found.plain) as tar:
            for member in walk(tar):
                if isinstance(member, Member) and member.is_file and is_annotation_of(member.name, found.role):
                    data = tar.read(min(member.size, LARGEST_ANNOTATION), member.offset)
                    yield Annotation(member.name, member.offset, data)

    def form(self, found: Input) -> str:
        """It is not the official archive."""
        return "tar of images" if found.role in (TRAIN, VALIDATION) else "in the tar of images"

    def pieces(self, found: Input) -> Pieces:  # noqa: ARG002
        """It is walked from its start to its end."""
        return Pieces([Part("", None)])

    def walk(self, work: Walk) -> list[Found]:
        """Walk it, once for each piece, of which there is one."""
        return [_walk(work) for _ in work.pieces]


def _roles_of(path: Path, contents: Contents) -> tuple[str, ...]:
    """A packed one without any folder is of one split, as Hugging Face's are: to unpack it would take minutes."""
    if contents.packed and not contents.lies_in_folder:
        return (contents.role,)
    with source_errors(path):
        status = path.stat()
    return _roles(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _roles(path: Path, size: int, modified: int) -> tuple[str, ...]:  # noqa: ARG001 — a changed file is another one
    with open_range(path) as tar:
        return roles_among(member.name for member in _files_before_damage(tar))


def _files_before_damage(tar: TarRange) -> Iterator[Member]:
    try:
        for member in walk(tar):
            if isinstance(member, Member) and member.is_file:
                yield member
    except SourceError:  # the walk for a split names it
        return


def _walk(work: Walk) -> Found:
    found = Found(work.archive, "")
    with open_range(Path(work.path), work.plain) as tar:
        class_of = classes_by_path(work.role, work.truth)
        note_images(found, files_of(tar, found), work.role, tar.archive, class_of)
    found.ignored = 0  # folders, which are in every such tar
    return found

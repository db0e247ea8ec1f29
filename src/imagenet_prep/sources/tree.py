"""A tree of folders inside one archive, tar or zip: which files in it are images of a split, and what is passed over.

The rules are those of folders on a disk: names of files decide, a folder called after a class is compared, hidden
folders and what is plainly no image do not count, and everything else must be an image of ImageNet's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from imagenet_prep.codecs.tar import Member
from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.imagenet.archives import TRAIN, TRAIN_BOXES, VALIDATION, VALIDATION_BOXES
from imagenet_prep.sources.base import is_claimed
from imagenet_prep.sources.found import LARGEST, Found, is_litter, is_of_system
from imagenet_prep.sources.labels import ClassOf, base_name, role_of

MOST_PLACES = 10_000  # folders in one archive: what the catalog has room for, and ten times as many as classes
_ODD = re.compile(r"[/\0]")  # in a name that would lead elsewhere, or end earlier than it seems to


def roles_among(paths: Iterable[str]) -> tuple[str, ...]:
    """Give the splits of which there are images, and the roles of annotations beside these; nothing without images."""
    roles = {role_of(base_name(path)) for path in paths if not _is_passed_over(_folder_of(path))}
    found = tuple(role for role in (TRAIN, VALIDATION, TRAIN_BOXES, VALIDATION_BOXES) if role in roles)
    return found if roles & {TRAIN, VALIDATION} else ()


def note_images(found: Found, members: Iterable[Member], split: str, archive: str, class_of: ClassOf) -> None:
    """Note the images of one split among files; all else that is wrong is noted in the same words for both splits.
    Folders are noted, unless the container is an archive itself.
    """
    for member in members:
        name, folder = base_name(member.name), _folder_of(member.name)
        role = role_of(name)
        if role not in (None, split) or _is_passed_over(folder):
            continue
        if role is None:
            if _ODD.search(name) is None and (is_litter(name) or is_claimed(name)):
                continue
            class_index: int | str = "is not named like an image of ImageNet's"
        elif member.size > LARGEST:
            class_index = f"claims {member.size:,} bytes, too many for an image"
        else:
            class_index = class_of(member.name)
        if isinstance(class_index, str):
            place = "/".join(filter(None, (found.container, printable(member.name))))
            found.problems.append(Problem(archive, class_index, place, member.offset))
            continue
        found.add(name, class_index, member.offset, member.size, "" if found.container else folder)
        if len(found.places) > MOST_PLACES:
            many = Problem(archive, f"has images in more than {MOST_PLACES:,} folders")
            raise SourceError("An archive cannot be used:", (many,), "Unpack it, and give the folder.")


def is_annotation_of(path: str, role: str) -> bool:
    """Whether a path in an archive is that of an annotation for a role."""
    return role_of(base_name(path)) == role and not _is_passed_over(_folder_of(path))


def _folder_of(path: str) -> str:
    folder = path.rpartition("/")[0]
    return "" if folder == "." else folder.removeprefix("./")


@lru_cache(maxsize=MOST_PLACES)
def _is_passed_over(folder: str) -> bool:
    return any(part.startswith(".") or is_of_system(part) for part in folder.split("/") if part not in (".", ".."))

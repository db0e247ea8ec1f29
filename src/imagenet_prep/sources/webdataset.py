"""Shards of WebDataset: tars in which an image has its label beside it, under one key, which is its name in ImageNet.

timm's shards, those of this program, and any whose keys are ImageNet's names. The label is compared with the class that
the name has, so a numbering of somebody's own is noticed. timm's were made from TensorFlow Datasets, which had
converted 23 images (https://huggingface.co/datasets/timm/imagenet-1k-wds): of these, other bytes come out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from imagenet_prep.codecs.tar import Member, TarRange
from imagenet_prep.errors import Problem, counted, printable
from imagenet_prep.imagenet.archives import TRAIN, VALIDATION
from imagenet_prep.imagenet.classes import official
from imagenet_prep.sources.base import Input, Part, Pieces, Seen, Source, Walk
from imagenet_prep.sources.contents import may_be_archive, whole_of
from imagenet_prep.sources.downloads import interrupted
from imagenet_prep.sources.found import LARGEST, Found
from imagenet_prep.sources.labels import ClassOf, base_name, classes_by_name, role_of
from imagenet_prep.sources.official import files_of, open_range
from imagenet_prep.sources.shard_names import missing_shards, role_of_shard

_OF_TIMM = re.compile(r"imagenet1k-(?:train|validation)-\d+\.tar", re.ASCII)
_IMAGES = ("jpg", "jpeg")
_LABEL = "cls"
_LABEL_BYTES = 16  # and more is no label


class WebDatasetShards(Source):
    """Shards of one split in one folder."""

    gives_way = True

    def claims(self, name: str) -> bool:
        """They may be called as people like."""
        return may_be_archive(name)

    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield the shards of a folder, for each split."""
        for (folder, role), paths in _shards(seen):
            seen.problems.extend(missing_shards(folder, [path.name for path in paths]))
            halves = ((path, why) for path in paths if (why := interrupted(path)))
            seen.problems.extend(Problem(printable(str(path)), why) for path, why in halves)
            yield Input(role, folder, parts=tuple(Part(path.name, None) for path in paths), source=self)

    def form(self, found: Input) -> str:
        """Count the shards, and say where their bytes come from."""
        timm = all(_OF_TIMM.fullmatch(part.name) for part in found.parts)
        return counted(len(found.parts), "WebDataset shard") + " with the bytes of TFDS" * timm

    def pieces(self, found: Input) -> Pieces:
        """Give the shards."""
        return Pieces(found.parts)

    def walk(self, work: Walk) -> list[Found]:
        """Walk shards."""
        return [_walk(work, part.name) for part in work.pieces]


def _shards(seen: Seen) -> Iterator[tuple[tuple[Path, str], list[Path]]]:
    """Yield folder and role, and the shards of these by name."""
    role_of_shard = {path: role for path in seen.files if (role := _role(seen, path))}
    by_place = sorted(role_of_shard, key=lambda path: (path.parent, role_of_shard[path], path.name))
    for place, paths in groupby(by_place, lambda path: (path.parent, role_of_shard[path])):
        yield place, list(dict.fromkeys(paths))


def _role(seen: Seen, path: Path) -> str:
    """Give the role of a shard by the key of its first sample; "" for what is none that can be used."""
    contents = seen.contents(path)
    if not contents.shard or contents.packed or whole_of(path):
        return ""
    role = role_of(_name_of(contents.first))
    return role_of_shard(path.name, role) if role in (TRAIN, VALIDATION) else ""


def _name_of(member: str) -> str:
    """Give the name in ImageNet of what has the key of a member."""
    return base_name(member).partition(".")[0] + ".JPEG"


def _walk(work: Walk, shard: str) -> Found:
    found = Found(work.archive, shard)
    class_of = classes_by_name(work.role, work.truth)
    with open_range(Path(work.path, shard)) as tar:
        for _, members in groupby(files_of(tar, found), lambda member: _name_of(member.name)):
            sample: dict[str, Member] = {}
            for member in members:
                if sample.setdefault(member.name.rpartition(".")[2].lower(), member) is not member:
                    found.problems.append(Problem(tar.archive, "is there twice", printable(member.name), member.offset))
            _note(found, tar, sample, class_of)
    found.ignored = 0
    if not found.lengths and not found.problems:
        found.problems.append(Problem(tar.archive, "has no images"))
    return found


def _note(found: Found, tar: TarRange, sample: dict[str, Member], class_of: ClassOf) -> None:
    """Note the image of a sample, or what is wrong with it."""
    image = next((sample[ending] for ending in _IMAGES if ending in sample), None)
    first = image or next(iter(sample.values()))
    name = _name_of(first.name)
    class_index = class_of(name) if image else "has no image beside it"
    if image and image.size > LARGEST:
        class_index = f"claims {image.size:,} bytes, too many for an image"
    if isinstance(class_index, int) and _LABEL in sample:
        class_index = _compared(tar, sample[_LABEL], class_index)
    if isinstance(class_index, str):
        found.problems.append(Problem(tar.archive, class_index, printable(first.name), first.offset))
    else:
        found.add(name, class_index, first.offset, first.size)


def _compared(tar: TarRange, label: Member, class_index: int) -> int | str:
    """Give the class index, if the label is the same."""
    text = tar.read(min(label.size, _LABEL_BYTES), label.offset).strip()
    if text.isdigit() and int(text) == class_index:
        return class_index
    facts = official().classes[class_index]
    said = printable(text.decode("utf-8", "replace"))
    return f"has the label {said}, but its name is of class {class_index} ({facts.wnid}, {facts.name})"

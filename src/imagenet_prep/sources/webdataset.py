"""Shards of WebDataset: tars in which an image has its label beside it, under one key, which is its name in ImageNet.

timm's shards, those of this program, and any whose keys are ImageNet's names. The label is compared with the class that
the name has, so a numbering of somebody's own is noticed. timm's were made from TensorFlow Datasets, which had
converted 23 images (https://huggingface.co/datasets/timm/imagenet-1k-wds): of these, other bytes come out.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from imagenet_prep.codecs.tar import Member, TarRange
from imagenet_prep.errors import Problem, counted, printable
from imagenet_prep.sources.base import Input, Seen
from imagenet_prep.sources.contents import may_be_archive, whole_of
from imagenet_prep.sources.found import LARGEST, Found
from imagenet_prep.sources.labels import ClassOf, base_name, other_label
from imagenet_prep.sources.official import files_of, open_range
from imagenet_prep.sources.shards import Shards

_OF_TIMM = re.compile(r"imagenet1k-(?:train|validation)-\d+\.tar", re.ASCII)
_IMAGES = ("jpg", "jpeg")
_LABEL = "cls"
_LABEL_BYTES = 16  # and more is no label


class WebDatasetShards(Shards):
    """Tars whose keys are names of ImageNet."""

    def claims(self, name: str) -> bool:
        """They may be called as people like."""
        return may_be_archive(name)

    def form(self, found: Input) -> str:
        """Count the shards, and say where their bytes come from."""
        timm = all(_OF_TIMM.fullmatch(part.name) for part in found.parts)
        return counted(len(found.parts), "WebDataset shard") + " with the bytes of TFDS" * timm

    def first_image(self, seen: Seen, path: Path) -> str:
        """Give that of the first key."""
        contents = seen.contents(path)
        return _name_of(contents.first) if contents.shard and not contents.packed and not whole_of(path) else ""

    def walk_shard(self, path: Path, class_of: ClassOf, found: Found) -> None:
        """Walk its headers, and read its labels."""
        with open_range(path) as tar:
            for _, members in groupby(files_of(tar, found), lambda member: _name_of(member.name)):
                sample: dict[str, Member] = {}
                for member in members:
                    if sample.setdefault(member.name.rpartition(".")[2].lower(), member) is not member:
                        twice = Problem(tar.archive, "is there twice", printable(member.name), member.offset)
                        found.problems.append(twice)
                _note(found, tar, sample, class_of)


def _name_of(member: str) -> str:
    """Give the name in ImageNet of what has the key of a member."""
    return base_name(member).partition(".")[0] + ".JPEG"


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
    return other_label(printable(text.decode("utf-8", "replace")), class_index)

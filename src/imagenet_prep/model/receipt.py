"""The receipt: the proof that one shard of one output is finished, with all of its images."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from imagenet_prep.model.shards import ShardName

UNREAD: Final = "none"
HEADER: Final = "header"
DECODE: Final = "decode"
CHECKS = (UNREAD, HEADER, DECODE)  # how closely every image is examined, ascending
UNREAD_KIND = -1  # in the column ``kind``: this image was not read


@dataclass(frozen=True, slots=True)
class FileFact:
    """A finished file: path below the data set with forward slashes, size in bytes, xxh3_128 digest in hex."""

    path: str
    size: int
    digest: str


class SetAside(NamedTuple):
    """An image that is not in its shard: its place among the shard's entries, why, and its name, size in bytes and
    xxh3_128 in hex.
    """

    place: int
    reason: str
    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """``rows`` images of the shard were written, those of ``set_aside`` were not. ``output`` is the name of the output,
    ``identity`` that of its part of the plan. ``check`` says how closely the images were examined.

    ``columns`` has one value for each written image, in the order of the shard: ``digest`` is the xxh3_128 of the
    source's bytes (16 bytes each), ``width`` and ``height`` are pixels, ``components`` counts colour components,
    ``kind`` (UNREAD_KIND where the image was not read) and ``orientation`` are those of ``codecs.jpeg``, ``converted``
    is 0 or 1, and ``stored`` the lower half of the xxh3_128 of what a converted image became (0 for others; only where
    the output converts). The output adds columns of its own. A shard of which no image was read has those alone.
    """

    output: str
    identity: str
    shard: ShardName
    rows: int
    files: tuple[FileFact, ...]
    columns: Mapping[str, array[int] | bytes]
    check: str = HEADER
    set_aside: tuple[SetAside, ...] = ()

    def without_columns(self) -> Receipt:
        """Give the same receipt without what it says of single images."""
        return replace(self, columns={})

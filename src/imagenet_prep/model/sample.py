"""What an output writes, the same for every output. No Arrow and no NumPy here: workers import this module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Buffer = bytes | memoryview


class Box(NamedTuple):
    """A bounding box as fractions of the image's width and height, 0…1, origin at the upper left."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(slots=True)
class Sample:
    """One image with everything an output may want to know of it.

    ``original`` has the bytes as they are in the source; ``image`` is the same, or, for an output that converts, an RGB
    or grey JPEG made of it if it is neither. As memoryviews both are valid only until the writers are flushed.
    ``kind`` is what the original is, one of ``codecs.jpeg.Kind``; 0, an RGB or grey JPEG, where it was not read.
    ``class_index`` counts from 0 in WNID order. ``width`` and ``height`` are pixels as stored, before any EXIF
    rotation: the frame boxes refer to.

    ``file`` is the path of the source's file that has these bytes alone, "" for an image in an archive. Where every
    output links such files, nothing is read: ``image`` and ``original`` are empty, width and height 0.
    """

    name: str
    image: bytes | memoryview
    class_index: int
    width: int
    height: int
    boxes: tuple[Box, ...] = ()
    original: bytes | memoryview = b""
    file: str = ""
    kind: int = 0

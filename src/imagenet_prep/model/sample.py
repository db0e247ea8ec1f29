"""What a format writes, the same for every format. No Arrow and no NumPy here: workers import this module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Box(NamedTuple):
    """A bounding box as fractions of the image's width and height, 0…1, origin at the upper left."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(slots=True)
class Sample:
    """One image with everything a format may want to know of it.

    ``image`` is a JPEG; as a memoryview it is valid only until the writers were flushed. ``class_index``
    counts from 0 in WNID order. ``width`` and ``height`` are pixels as stored, before any EXIF rotation: the
    frame boxes refer to.

    For class folders: ``path`` is where the image belongs in the tree, ``original`` its bytes as they are in the
    source, and ``file`` the path of the source's file that has these bytes alone, "" for an image in an archive.
    """

    name: str
    image: bytes | memoryview
    class_index: int
    width: int
    height: int
    boxes: tuple[Box, ...] = ()
    path: str = ""
    original: bytes | memoryview = b""
    file: str = ""

"""Bounding boxes as the official archives hold them: PASCAL VOC XML, one file per image.

Paths and elements follow what public readers expect: ``nXXXXXXXX/nXXXXXXXX_YYYY.xml`` for train
(tensorflow/models, research/inception, ``process_bounding_boxes.py``) and
``val/ILSVRC2012_val_00000001.xml``. The size in the XML is that of the image shown to the annotator, which
need not be the size of the image; boxes refer to the size in the XML.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from html import escape

from imagenet_prep.testing.archives import TRAIN, Member
from imagenet_prep.testing.chance import Chance
from imagenet_prep.testing.miniature import MiniatureEntry
from imagenet_prep.testing.pictures import PixelBox

_RESCALED_SHARE = 8  # one annotation in so many was made on the image at double size
_FILE = """<annotation>
\t<folder>{folder}</folder>
\t<filename>{stem}</filename>
\t<source>
\t\t<database>ILSVRC_2012</database>
\t</source>
\t<size>
\t\t<width>{size[0]}</width>
\t\t<height>{size[1]}</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
{objects}</annotation>
"""
_OBJECT = """\t<object>
\t\t<name>{wnid}</name>
\t\t<pose>Unspecified</pose>
\t\t<truncated>0</truncated>
\t\t<difficult>0</difficult>
\t\t<bndbox>
\t\t\t<xmin>{box.xmin}</xmin>
\t\t\t<ymin>{box.ymin}</ymin>
\t\t\t<xmax>{box.xmax}</xmax>
\t\t\t<ymax>{box.ymax}</ymax>
\t\t</bndbox>
\t</object>
"""


def annotation_xml(folder: str, stem: str, wnid: str, size: tuple[int, int], boxes: Iterable[PixelBox]) -> bytes:
    """Return one annotation; ``stem`` lacks ``.JPEG``, ``size`` is width and height in pixels."""
    objects = "".join(_OBJECT.format(wnid=escape(wnid), box=box) for box in boxes)
    return _FILE.format(folder=escape(folder), stem=escape(stem), size=size, objects=objects).encode()


def annotated(entry: MiniatureEntry, seed: int) -> MiniatureEntry:
    """Return the entry with the size, and the boxes, of the picture the annotator saw: sometimes twice the image."""
    scale = 2 if Chance(f"{seed}/scale/{entry.name}").one_in(_RESCALED_SHARE) else 1
    boxes = tuple(PixelBox(*(edge * scale for edge in box)) for box in entry.boxes)
    return entry._replace(width=entry.width * scale, height=entry.height * scale, boxes=boxes)


def annotation_files(entries: Iterable[MiniatureEntry], seed: int) -> Iterator[Member]:
    """Yield members ``folder/stem.xml`` of the entries with boxes; a folder comes before its files."""
    seen: set[str] = set()
    for entry in (annotated(entry, seed) for entry in entries if entry.boxes):
        folder = entry.wnid if entry.archive == TRAIN else "val"
        if folder not in seen:
            seen.add(folder)
            yield Member(f"{folder}/", kind=tarfile.DIRTYPE)
        xml = annotation_xml(folder, entry.stem, entry.wnid, (entry.width, entry.height), entry.boxes)
        yield Member(f"{folder}/{entry.stem}.xml", xml)

"""Reads every annotation of a source, archive by archive: which boxes there are, for which images. No Arrow here: it is
loaded while the workers walk.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from imagenet_prep.errors import printable
from imagenet_prep.imagenet.archives import TRAIN_BOXES, VALIDATION_BOXES
from imagenet_prep.model.events import Progress, Stage, Watch
from imagenet_prep.sources.base import Input

BOX_ROLES = (TRAIN_BOXES, VALIDATION_BOXES)
_STEP = 10_000  # annotations between two progress reports


@dataclass(slots=True)
class Annotations:
    """What one archive or folder of annotations holds: the sides of the boxes of each image, by the stem of its name.
    ``others`` are files that are not annotations; ``name`` is what messages call it.
    """

    name: str
    boxes: dict[str, array[float]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def read_annotations(found: Iterable[Input], watch: Watch) -> list[Annotations]:
    """Read all there are. Raises SourceError for a damaged archive or an annotation that cannot be understood."""
    from imagenet_prep.sources.boxes import read_box_folder, read_boxes, read_tree_boxes  # which loads an XML parser

    read: list[Annotations] = []
    done = 0
    for each in found:
        if each.role not in BOX_ROLES:
            continue
        of_archive = Annotations(printable(str(each.path) if each.folder else each.path.name))
        if each.source:
            every = read_tree_boxes(each)
        elif each.folder:
            every = read_box_folder(each.path, [part.name for part in each.parts])
        else:
            every = read_boxes(each.path, of_archive.others)
        for stem, of_image in every:
            of_archive.boxes[stem] = array("f", (side for box in of_image for side in box))
            done += 1
            if done % _STEP == 0:
                watch(Progress(Stage.BOXES, done, 0))
        read.append(of_archive)
    return read

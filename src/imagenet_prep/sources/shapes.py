"""Width and height of a few images of a source, from their headers."""

from __future__ import annotations

import contextlib

from imagenet_prep.codecs.jpeg import NotAnImageError, inspect
from imagenet_prep.model.original import Shape
from imagenet_prep.model.task import Entries
from imagenet_prep.sources.plain import packed_at
from imagenet_prep.sources.reader import ArchiveReader


def shapes_of(archives: tuple[str, ...], some: Entries) -> list[Shape]:
    """Read ``some`` images; ``archives`` are the paths of the archives. What is not an image is left out: others
    name it, and so are those of packed archives, for which one would read for minutes. Raises SourceError if one cannot
    be read.
    """
    if any(packed_at(archives[place]) for place in set(some.archives)):
        return []
    shapes: list[Shape] = []
    with ArchiveReader(archives) as reader:
        for _, buffer, start, end in reader.images(some, [True] * len(some), before_reuse=lambda: None):
            with contextlib.suppress(NotAnImageError):
                facts = inspect(buffer, start, end)
                shapes.append(Shape(facts.width, facts.height, end - start))
    return shapes

"""How long a source takes to give single images in a build's order, measured with a few dozen of them before hours are
spent: on a hard disk or over a network an image can cost a hundred times what it costs on a solid-state disk.
"""

from __future__ import annotations

import contextlib
from time import perf_counter

from imagenet_prep.errors import SourceError
from imagenet_prep.model.task import Entries
from imagenet_prep.sources.plain import packed_at
from imagenet_prep.sources.reader import ArchiveReader

MEASURED = 48  # images: half a second on a hard disk
_MOST_SECONDS = 2.0  # after which no more images are read
_SLOW_SECONDS = 3600.0  # of a whole build: shorter estimates are noise


def slow_reads(archives: tuple[str, ...], some: Entries, images: int) -> str | None:
    """Read ``some`` of the ``images`` of a source, in the order in which they are to be read. Say in a sentence or two
    how long all of them will take, if that is an hour or more; of packed archives nothing is known.
    """
    if any(packed_at(archives[place]) for place in set(some.archives)):
        return None
    count, size, seconds = _read(archives, some)
    whole = seconds / count * images if count else 0.0
    if whole < _SLOW_SECONDS:
        return None
    each = seconds / count
    return (
        f"Reading single images is slow here: {count:,} of them took {1000 * each:,.1f} ms each "
        f"({size / seconds / 1e6:,.1f} MB/s). At this rate a build reads for about {whole / 3600:,.1f} hours. "
        "If the source is on a hard disk or a network, a copy of it on a solid-state disk is faster."
    )


def _read(archives: tuple[str, ...], some: Entries) -> tuple[int, int, float]:
    """Give the number of images read, their bytes, and the seconds that they took. What memory has of them does not
    count: the kernel forgets it first. An image that cannot be read ends the measurement; the build names it.
    """
    count, size, seconds = 0, 0, 0.0
    with contextlib.suppress(SourceError), ArchiveReader(archives) as reader:
        reader.forget(some)
        began = perf_counter()
        for _, _, start, end in reader.images(some, [True] * len(some), before_reuse=lambda: None):
            count, size, seconds = count + 1, size + end - start, perf_counter() - began
            if seconds >= _MOST_SECONDS:
                break
    return count, size, seconds

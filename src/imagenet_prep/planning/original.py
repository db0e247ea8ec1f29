"""Are these the original images? Judged by what costs nothing: sizes, names of folders, and headers of a few images.

The size of a tar follows from those of its members: 512 bytes a header, contents padded to 512, two empty blocks at the
end, and all of it padded to GNU tar's record of 10,240. So a folder of images has the size of the archive that it came
from, without one. The official sizes are published, and whole numbers of such records; that the official archives were
made so, without anything else in them, has not been seen: a size that agrees says much, one that does not little.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.imagenet.archives import (
    MEAN_TRAIN_SIZE,
    OFFICIAL_BY_ROLE,
    TRAIN,
    TRAIN_IMAGES,
    VALIDATION_IMAGES,
)
from imagenet_prep.imagenet.names import CORRUPTIONS
from imagenet_prep.model.original import (
    AGREES,
    BLURRED,
    DISTORTED,
    RECODED,
    RESIZED,
    UNKNOWN,
    VERDICTS,
    Look,
    Original,
    Shape,
)
from imagenet_prep.planning.catalog import Catalog
from imagenet_prep.planning.census import is_complete

SAMPLED = 256  # images of train or validation whose header is read
_BLOCK, _RECORD = 512, 10_240
# Of 213 photographs of ImageNet none has one of these as its short side; 375 and 333 are the usual ones.
_SHORT_SIDES = (32, 64, 128, 160, 224, 256, 320, 384, 512)
_MOST = 0.8  # a share of images that cannot be chance: some copies leave alone what was small already
_FEWEST = 4  # images that say anything
_NEAR = 0.01  # by so much a complete set may miss the official size without being another encoding for certain
_NAMES = {  # of folders, with forward slashes, in lower case
    DISTORTED: re.compile(rf"(?:^|/)(?:{CORRUPTIONS})/[1-5](?=/|$)"),
    BLURRED: re.compile(r"[^/]*(?<![a-z])(?:blurred|obfuscated)(?![a-z])[^/]*"),
    RESIZED: re.compile(r"[^/]*(?<![a-z0-9])(?:resized?|downsampled?|(\d{2,3})x\1)(?![a-z0-9])[^/]*"),
}
_NAMES_BELOW = 2  # parts of a path, from its end: what lies further above was not called after the images

ReadShapes = Callable[[pa.Table], Sequence[Shape]]


def judge(catalog: Catalog, samples: Mapping[str, npt.NDArray[np.int64]], read: ReadShapes) -> Original:
    """Judge the images of each origin in ``samples``, which has some of its rows, as they are to be sampled. ``read``
    gives shapes of some rows of the catalog; it is not asked where sizes agree.
    """
    looks = {origin: _look(catalog, origin) for origin in samples}
    for origin, rows in samples.items():
        if not _agrees(catalog, origin, looks[origin]):
            looks[origin] = _with_shapes(looks[origin], read(catalog.table.take(pa.array(rows[:SAMPLED]))))
    verdicts = {origin: _verdict(catalog, origin, look) for origin, look in looks.items()}
    verdict = min((of for of, _ in verdicts.values()), key=VERDICTS.index, default=UNKNOWN)
    reasons = [f"{origin}: {reason}" for origin, (of, reason) in verdicts.items() if of == verdict]
    return Original(verdict, "; ".join(reasons), looks)


def archive_size(catalog: Catalog, origin: str) -> int:
    """Compute the size of the archive that the images of an origin fill: a tar of them, or of train a tar of tars."""
    rows = catalog.rows_of(origin)
    blocks = _BLOCK + -(-catalog.numbers("size")[rows].astype(np.int64) // _BLOCK) * _BLOCK
    if origin != TRAIN:
        return _tar(int(blocks.sum()))
    classes = catalog.numbers("class_index")[rows]
    of_class = np.bincount(classes, blocks).astype(np.int64)  # as floats, which are exact up to 2^53
    return _tar(sum(_BLOCK + _tar(int(size)) for size in of_class[of_class > 0]))


def _tar(members: int) -> int:
    """The size of a tar whose members fill so many bytes, headers included."""
    return -(-(members + 2 * _BLOCK) // _RECORD) * _RECORD


def _look(catalog: Catalog, origin: str) -> Look:
    sizes = catalog.numbers("size")[catalog.rows_of(origin)].astype(np.int64)
    return Look(
        images=len(sizes),
        mean_size=round(float(sizes.mean())) if len(sizes) else 0,
        archive_size=archive_size(catalog, origin) if is_complete(catalog, origin) else 0,
        folder=next((name for place in _places(catalog, origin) if (name := _telling(place)[1])), ""),
    )


def _places(catalog: Catalog, origin: str) -> list[str]:
    """Where the images are: the ends of the paths of archives and folders, and what containers lie in, inside these."""
    places = []
    for position, archive in enumerate(catalog.archives):
        if archive.role == origin:
            of = catalog.table["container"].filter(pc.equal(catalog.table["archive"], position))
            below = sorted({container.rpartition("/")[0] for container in pc.unique(of).to_pylist()})
            end = "/".join(PurePath(archive.path).parts[-_NAMES_BELOW:])
            places += [f"{end}/{each}".rstrip("/").lower() for each in below]
    return places


def _telling(place: str) -> tuple[str, str]:
    """Give the verdict that a name in a path is, and that name; nothing for most."""
    for verdict, name in _NAMES.items():
        if found := name.search(place):
            return verdict, found[0].strip("/")
    return "", ""


def _with_shapes(look: Look, shapes: Sequence[Shape]) -> Look:
    if not shapes:
        return look
    sides = Counter(min(shape.width, shape.height) for shape in shapes)
    side = max(_SHORT_SIDES, key=lambda each: sides[each])
    pixels = sum(shape.width * shape.height for shape in shapes)
    return replace(
        look,
        sampled=len(shapes),
        short_side=side if sides[side] else 0,
        share=round(sides[side] / len(shapes), 3),
        bytes_per_pixel=round(sum(shape.size for shape in shapes) / pixels, 3),
    )


def _agrees(catalog: Catalog, origin: str, look: Look) -> bool:
    """An archive of the official size is one, whatever its members add up to."""
    official = OFFICIAL_BY_ROLE[origin].size
    return bool(look.archive_size) and official in (look.archive_size, *_file_sizes(catalog, origin))


def _file_sizes(catalog: Catalog, origin: str) -> list[int]:
    return [archive.size for archive in catalog.archives if archive.role == origin and not archive.folder]


def _verdict(catalog: Catalog, origin: str, look: Look) -> tuple[str, str]:
    official, images = OFFICIAL_BY_ROLE[origin].size or 0, TRAIN_IMAGES if origin == TRAIN else VALIDATION_IMAGES
    if _agrees(catalog, origin, look):
        if official in _file_sizes(catalog, origin):
            return AGREES, f"{official:,} bytes"
        return AGREES, f"{official:,} bytes, as computed from the sizes of all images"
    if look.folder:
        return _telling(look.folder)[0], f"called {look.folder}{_mean(origin, look)}"
    if look.sampled >= _FEWEST and look.share >= _MOST:
        return RESIZED, f"short side {look.short_side} in {100 * look.share:.0f} % of {look.sampled:,} images" + _mean(
            origin, look
        )
    if not look.archive_size:
        return UNKNOWN, f"{look.images:,} of {images:,} images{_mean(origin, look)}"
    off = f"fills an archive of {look.archive_size:,} bytes, as computed (officially {official:,})"
    return (RECODED if abs(look.archive_size - official) > _NEAR * official else UNKNOWN), off + _mean(origin, look)


def _mean(origin: str, look: Look) -> str:
    official = f" (officially {MEAN_TRAIN_SIZE:,})" if origin == TRAIN else ""
    pixels = f", {look.bytes_per_pixel:.2f} bytes a pixel" if look.sampled else ""
    return f", {look.mean_size:,} bytes an image{official}{pixels}"

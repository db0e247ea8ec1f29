"""The images of one container, as the index finds them: columns that cost no object for an image."""

from __future__ import annotations

import os
import re
from array import array
from dataclasses import dataclass, field

from imagenet_prep.engines.reports import report
from imagenet_prep.errors import Problem
from imagenet_prep.imagenet.names import container_of, official_name

LITTER = re.compile(r"(?:.*/)?(?:\._[^/]*|\.DS_Store|__MACOSX(?:/.*)?)")  # what macOS leaves everywhere
# What file systems, desktops, network disks and notebooks leave in a folder on their own.
_OF_SYSTEMS = re.compile(
    r"lost\+found|\._.*|\.DS_Store|\.Trashes|\.Trash-\d+|\.Spotlight-V100|\.fseventsd|\.TemporaryItems|\.apdisk"
    r"|\.DocumentRevisions-V100|\.VolumeIcon\.icns|\.directory|\.localized|\.nfs[0-9a-f]+|\.fuse_hidden[0-9a-f]+"
    r"|\.smbdelete.*|\.snapshots?|\.zfs|\.stfolder|\.ipynb_checkpoints|Thumbs\.db|desktop\.ini|\$RECYCLE\.BIN"
    r"|System Volume Information|@eaDir|#recycle|#snapshot|\.@__thumb|@Recycle|__MACOSX",
    re.IGNORECASE,
)
# What torchvision's ``ImageFolder`` takes for images (``datasets/folder.py``).
_READ_AS_IMAGES = (".jpg", ".jpeg", ".png", ".gif", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
_NO_IMAGES = (".sh", ".py", ".m", ".mat", ".txt", ".csv", ".json", ".cls", ".md", ".html", ".log")
_REPORTED = 16  # images at once
LARGEST = (1 << 31) - 1  # bytes: what the catalog has room for, and a hundred times any image


@dataclass(slots=True)
class Found:
    """The images of a container (a class tar, a class folder, or "" for a flat place), in a fixed order.

    ``names`` are the names one after the other in UTF-8, ``lengths`` their lengths in bytes. ``unended`` is the place
    where an end-of-archive block is missing; ``ignored`` counts folders and litter, ``annotations`` those that lie
    beside the images. ``archive`` is the place of the archive among those that were found. ``places`` are folders in
    the container and endings that files have in place of ``.JPEG``, each with its number, by which ``placed`` has one
    for each image.
    """

    archive: int
    container: str
    names: bytearray = field(default_factory=bytearray)
    lengths: array[int] = field(default_factory=lambda: array("i"))
    class_indexes: array[int] = field(default_factory=lambda: array("h"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("i"))
    places: dict[str, int] = field(default_factory=dict)
    placed: array[int] = field(default_factory=lambda: array("h"))
    problems: list[Problem] = field(default_factory=list)
    unended: Problem | None = None
    ignored: int = 0
    annotations: int = 0

    @property
    def containers(self) -> list[str]:
        """What the catalog calls the ``places``."""
        return ["/".join(filter(None, (self.container, place))) for place in self.places]

    def add(self, file: str, class_index: int, offset: int, size: int, folder: str = "") -> None:
        """Note one image; ``file`` is its file's name, in ASCII, and may end otherwise than in ImageNet; it lies in
        ``folder`` in the container.
        """
        name, ending = official_name(file)
        place = container_of(folder, ending) if folder or ending else ""
        self.placed.append(self.places.setdefault(place, len(self.places)))
        self.names += name.encode()
        self.lengths.append(len(name))
        self.class_indexes.append(class_index)
        self.offsets.append(offset)
        self.sizes.append(size)
        if not len(self.sizes) % _REPORTED:
            report(_REPORTED)


def is_of_system(name: str) -> bool:
    """Whether a file or folder is one that systems leave on their own."""
    return bool(_OF_SYSTEMS.fullmatch(name))


def is_litter(name: str) -> bool:
    """Whether a file in a folder is plainly not an image: hidden, a system's own, a script, a list."""
    return name.startswith(".") or is_of_system(name) or name.lower().endswith(_NO_IMAGES)


def looks_like_an_image(name: str) -> bool:
    """Whether readers such as torchvision's ``ImageFolder``, which do not skip hidden files, take it for an image."""
    return name.lower().endswith(_READ_AS_IMAGES)


def is_read_though_hidden(entry: os.DirEntry[str]) -> bool:
    """Whether readers such as torchvision's ``ImageFolder``, which do not skip hidden files, find images in a
    hidden file or folder inside a class folder. Raises OSError for a folder that cannot be read.
    """
    return bool(os.listdir(entry)) if os.path.isdir(entry) else entry.name.lower().endswith(_READ_AS_IMAGES)

"""What a miniature ILSVRC2012 is: the options that ask for it, and the expected truth that comes back.

A test compares with that truth, and need not read the archives a second time to know what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from imagenet_prep.errors import UsageError
from imagenet_prep.imagenet.archives import CLASS_COUNT, VALIDATION_PER_CLASS
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.given import check_fields
from imagenet_prep.testing.archives import DEVKIT, TRAIN, TRAIN_BOXES, VALIDATION, VALIDATION_BOXES
from imagenet_prep.testing.layouts import LAYOUTS, TABLE, Place
from imagenet_prep.testing.pictures import PixelBox, Size
from imagenet_prep.testing.quirks import ARCHIVE_QUIRKS, QUIRKS

_OFFICIAL = (TRAIN, VALIDATION, DEVKIT, TRAIN_BOXES, VALIDATION_BOXES)


@dataclass(frozen=True, kw_only=True)
class MiniatureOptions:
    """What to write; UsageError if that is impossible.

    ``wnids`` names the classes; without it, ``classes`` of them are taken, spread evenly over the class
    indexes. ``images_per_class`` is enough for the usual hold-out of 50. ``quirks`` are names from `QUIRKS`,
    ``layout`` is one from `LAYOUTS`; that of Kaggle has no devkit.
    """

    classes: int = 10
    wnids: tuple[str, ...] = ()
    images_per_class: int = 60
    validation_per_class: int = 10
    seed: int = 0
    size: Size = "small"
    quirks: tuple[str, ...] = ()
    boxes: bool = True
    devkit: bool = True
    layout: str = "archives"

    def __post_init__(self) -> None:
        check_fields(self)
        if not 1 <= self.classes <= CLASS_COUNT or self.images_per_class < 1:
            raise UsageError(f"A miniature has 1 to {CLASS_COUNT:,} classes, and at least one image in each.")
        if not 0 <= self.validation_per_class <= VALIDATION_PER_CLASS:
            raise UsageError(f"ILSVRC2012 has {VALIDATION_PER_CLASS} validation images in a class, and no more.")
        if strange := sorted(wnid for wnid in self.wnids if official().find(wnid) is None):
            raise UsageError(f"Not among the {CLASS_COUNT:,} classes: {', '.join(strange)}.")
        if self.layout not in LAYOUTS:
            raise UsageError(f"Unknown layout: {self.layout}.", remedy=f"Known are {', '.join(LAYOUTS)}.")
        self._check_quirks()

    def _check_quirks(self) -> None:
        if unknown := sorted(set(self.quirks) - set(QUIRKS)):
            raise UsageError(f"Unknown quirk: {', '.join(unknown)}.", remedy=f"Known are {', '.join(QUIRKS)}.")
        damaged = {quirk: ARCHIVE_QUIRKS[quirk][1] for quirk in self.quirks if quirk in ARCHIVE_QUIRKS}
        if len(damaged) > len(set(damaged.values())):
            raise UsageError("An archive can be damaged in one way at a time.")
        if "cut-on-boundary" in self.quirks and len(self.class_wnids) < 2:
            raise UsageError("Cut before its only class, an archive is empty: cut-on-boundary needs two classes.")
        if "gunzipped-devkit" in self.quirks and not self.devkit:
            raise UsageError("Without a devkit there is nothing to unpack: gunzipped-devkit needs it.")
        layout = TABLE[self.layout]
        homeless = {quirk for quirk, archive in damaged.items() if archive not in layout.archives}
        if "hostile-names" in self.quirks and not layout.train.endswith(".tar"):
            homeless.add("hostile-names")  # these members exist only in tars
        if homeless:
            raise UsageError(
                f"The layout {self.layout} has no archive for {', '.join(sorted(homeless))}.",
                remedy="Use the layout archives, or leave the quirk out.",
            )

    @property
    def class_wnids(self) -> tuple[str, ...]:
        """The WNIDs of the classes, each once, in class index order."""
        if self.wnids:
            return tuple(sorted(set(self.wnids)))
        return tuple(official().classes[rank * CLASS_COUNT // self.classes].wnid for rank in range(self.classes))


class MiniatureEntry(NamedTuple):
    """One image as it was written: where it is, what it is, and the quirk it carries, if any.

    ``archive`` and ``member``, the path inside with the class tar first, are those of the official archives in
    every layout; `Miniature.where` gives the place in the layout that was written. ``size`` is in bytes. ``width`` and
    ``height`` are pixels as drawn, also where the bytes are not a picture any more. ``boxes`` are empty without
    an annotation.
    """

    archive: str
    member: str
    name: str
    wnid: str
    class_index: int
    size: int
    sha256: str
    width: int
    height: int
    boxes: tuple[PixelBox, ...] = ()
    quirk: str = ""

    @property
    def stem(self) -> str:
        """The name without ``.JPEG``."""
        return self.name.removesuffix(".JPEG")


class Planted(NamedTuple):
    """Where a quirk is, in terms of the official archives. ``offset``, in bytes, is where damage to one begins."""

    quirk: str
    archive: str
    member: str = ""
    offset: int | None = None


@dataclass(frozen=True)
class Miniature:
    """What was written. ``entries`` are in archive order, train first, as before any damage to an archive.

    Members that hostile-names, macos-litter and unknown-class add are not entries; ``planted`` says where
    they are. Kaggle's test images are not entries either. ``paths`` are archives, tables, and folders that hold one
    set of images or lists, in the order they were written.
    """

    root: Path
    options: MiniatureOptions
    paths: tuple[Path, ...]
    entries: tuple[MiniatureEntry, ...]
    planted: tuple[Planted, ...]

    @property
    def archives(self) -> tuple[Path, ...]:
        """Those of ``paths`` that are official archives."""
        return tuple(path for path in self.paths if path.name in _OFFICIAL)

    def where(self, item: MiniatureEntry | Planted) -> Place:
        """Return where the layout has an image or a quirk: below ``root``, as all of its paths."""
        return TABLE[self.options.layout].where(item.archive, item.member)

    @property
    def train(self) -> tuple[MiniatureEntry, ...]:
        """The train images, in archive order."""
        return tuple(entry for entry in self.entries if entry.archive == TRAIN)

    @property
    def validation(self) -> tuple[MiniatureEntry, ...]:
        """The validation images, in archive order."""
        return tuple(entry for entry in self.entries if entry.archive == VALIDATION)

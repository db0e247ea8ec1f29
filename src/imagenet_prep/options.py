"""The recipe: everything but the sources that decides which bytes come out.

A prepared data set is a pure function of its sources and a recipe. No NumPy and no Arrow here, so that a command can
check its options, and start its workers, before it loads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import xxhash

from imagenet_prep.errors import UsageError
from imagenet_prep.imagenet.archives import CLASS_COUNT, SPLITS, TEST, VALIDATION
from imagenet_prep.imagenet.classes import Taxonomy, official, to_map
from imagenet_prep.model.given import Count, Seed, Share, check_fields
from imagenet_prep.outputs.class_folders import FOLDERS, NAMES, VALIDATION_FOLDERS

COPY, HARDLINK, SYMLINK, MOVE = TRANSFERS = ("copy", "hardlink", "symlink", "move")
TEST_PER_CLASS = 50  # unless the user says otherwise: as many as validation has
PLAN_VERSION = 1  # goes up when equal catalogs and recipes give other bytes; the changelog says why


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanOptions:
    """The recipe: everything but the source that decides which bytes come out.

    ``formats``: names from ``FORMATS``, in any order. ``test_per_class``: labelled images per class that
    leave train and become the test split; 0 gives the standard full train set. ``seed`` chooses which.
    ``splits``: what to write; empty means all there are. ``shards``: number of shards for some splits; the
    others get the default. ``taxonomy`` gives the readable names of classes.

    A subset: ``classes`` by class index, empty for all; ``images_per_class`` is the most that a class of a split
    keeps; ``limit`` is the most that a split keeps, or as a fraction between 0 and 1 its share; 0 is no limit.
    Labels stay those of the 1,000. ``test_list`` has the file names of the test split, which then replace the
    hold-out by number. Images of ``exclude``, by file name, are taken out before anything else is decided. Classes and
    names are kept sorted, each once.

    For class folders: ``names`` is one of NAMES, ``validation_folder`` one of VALIDATION_FOLDERS, and ``transfer`` one
    of TRANSFERS: how images get there that are files of their own in the source.
    """

    formats: tuple[str, ...] = ("tfrecord",)
    test_per_class: Count = TEST_PER_CLASS
    seed: Seed = 0
    splits: tuple[str, ...] = ()
    shards: Mapping[str, int] = field(default_factory=dict)
    taxonomy: Taxonomy = field(default_factory=official)
    classes: tuple[int, ...] = ()
    images_per_class: Count = 0
    limit: Count | Share = 0
    test_list: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    names: str = "name"
    validation_folder: str = VALIDATION
    transfer: str = COPY

    def __post_init__(self) -> None:
        """Raise UsageError for what no catalog could satisfy."""
        check_fields(self)
        if not self.formats:
            raise UsageError("formats has none: a build writes at least one.")
        for split in (*self.splits, *self.shards):
            if split not in SPLITS:
                raise UsageError(f"There is no split {split!r}; the splits are {', '.join(SPLITS)}.")
        if TEST in self.splits and not self.test_per_class and not self.test_list:
            raise UsageError("The test split is what is held out of train, and nothing is held out.")
        if any(count < 1 or count > 99_999 for count in self.shards.values()):
            raise UsageError("A split has between 1 and 99,999 shards: shard names have five digits.")
        self._check_subset()
        self._check_folders()

    @property
    def is_subset(self) -> bool:
        """Whether images of the source are left out on purpose."""
        return bool(self.classes or self.images_per_class or self.limit)

    @property
    def shuffled(self) -> bool:
        """Whether a format has its images in shuffled order; class folders have none, and read fastest in order."""
        return set(self.formats) != {FOLDERS}

    def document(self) -> dict[str, object]:
        """Give the recipe as plain JSON values in a fixed order: equal recipes give equal documents."""
        return {
            "version": PLAN_VERSION,
            "formats": sorted(set(self.formats)),
            "test_per_class": None if self.test_list else self.test_per_class,
            "seed": self.seed,
            "splits": [split for split in SPLITS if split in self.splits] or "all",
            "shards": {split: self.shards[split] for split in SPLITS if split in self.shards},
            "names": "built-in"
            if self.taxonomy == official()
            else xxhash.xxh3_128_hexdigest(to_map(self.taxonomy).encode()),
            **self._subset(),
            **self._tree(),
        }

    def _check_subset(self) -> None:
        if any(index not in range(CLASS_COUNT) for index in self.classes):
            raise UsageError(f"Classes are given as class indexes from 0 to {CLASS_COUNT - 1}.")
        if not isinstance(self.limit, int) and self.limit == 1:  # of an image or of all of them?
            raise UsageError("A limit is a whole number of images, or a share between 0 and 1.")
        if self.test_list and self.test_per_class != TEST_PER_CLASS:
            raise UsageError("A test list takes the place of a number of test images per class: give one of the two.")
        for what, names in (("test_list", self.test_list), ("exclude", self.exclude)):
            if not _is_text("".join(names)):
                raise UsageError(f"{what} has a name that is no text (UTF-8).")
        object.__setattr__(self, "classes", tuple(sorted(set(self.classes))))
        object.__setattr__(self, "test_list", tuple(sorted(set(self.test_list))))
        object.__setattr__(self, "exclude", tuple(sorted(set(self.exclude))))

    def _check_folders(self) -> None:
        for what, given, known in (
            ("way of naming class folders", self.names, NAMES),
            ("name of the validation folder", self.validation_folder, VALIDATION_FOLDERS),
            ("transfer", self.transfer, TRANSFERS),
        ):
            if given not in known:
                raise UsageError(f"There is no {what} {given!r}; there are {', '.join(known)}.")
        if FOLDERS not in self.formats and (self.names, self.validation_folder) != ("name", VALIDATION):
            raise UsageError("Names of folders are for the format folders.", remedy="Add --format folders.")
        if self.transfer != COPY and self.shuffled:
            raise UsageError(
                f"With the transfer {self.transfer} no image is read: it is for the format folders alone.",
                remedy="Build the other formats into a folder of their own.",
            )

    def _tree(self) -> dict[str, object]:
        if FOLDERS not in self.formats:
            return {}
        return {"folders": {"names": self.names, "validation": self.validation_folder, "transfer": self.transfer}}

    def _subset(self) -> dict[str, object]:
        """What was chosen, and nothing else: the document of a plain build, and so its plan, is what it always was."""
        chosen: dict[str, object] = {
            "classes": [official().classes[index].wnid for index in self.classes],
            "images_per_class": self.images_per_class,
            "limit": self.limit,
            "test_list": _digest(self.test_list) if self.test_list else None,
            "exclude": _digest(self.exclude) if self.exclude else None,
        }
        return {name: value for name, value in chosen.items() if value}


def _is_text(names: str) -> bool:
    try:
        names.encode()
    except UnicodeEncodeError:
        return False
    return True


def _digest(names: tuple[str, ...]) -> dict[str, object]:
    return {"names": len(names), "xxh3_128": xxhash.xxh3_128_hexdigest("\n".join(names).encode())}

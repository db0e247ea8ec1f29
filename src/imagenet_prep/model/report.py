"""What a build did, in numbers: what its closing summary shows and what a caller of the library gets."""

from __future__ import annotations

from dataclasses import dataclass, field

from imagenet_prep.errors import Problem
from imagenet_prep.imagenet.class_map import ClassNames
from imagenet_prep.model.original import Original
from imagenet_prep.model.validation_classes import ValidationClasses


@dataclass(frozen=True, slots=True)
class SplitReport:
    """One split: images, shards, and bytes of the images as they were in the source."""

    images: int = 0
    shards: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Accounts:
    """Where every image of the source went. ``entries`` are all there are; ``not_chosen`` are those of other splits or
    outside the subset; ``converted`` counts written ones by what they were. ``boxed`` counts written images that have
    bounding boxes, and ``boxes`` these; None if no annotations were read.
    """

    entries: int = 0
    written: int = 0
    set_aside: int = 0
    excluded: int = 0
    not_chosen: int = 0
    converted: dict[str, int] = field(default_factory=dict)
    boxed: int | None = None
    boxes: int | None = None

    @property
    def balanced(self) -> bool:
        """Whether the sum is right."""
        return self.entries == self.written + self.set_aside + self.excluded + self.not_chosen


@dataclass(frozen=True, slots=True)
class Report:
    """The numbers of one run.

    ``outputs`` says what each file or folder of the output is. ``bytes_read`` and ``bytes_written`` are those of images
    and shards in this run; ``linked`` counts files that were linked or moved instead; ``shards`` counts those that this
    run wrote, ``reused`` all others; ``documents`` says whether it wrote manifest and the like. ``accounts`` are those
    of the whole build; ``set_aside`` names each image that was set aside, in this run or before, with the reason.
    ``validation_classes`` says what the classes of the validation images were taken from, ``class_names`` whether names
    that the user gave are those of other classes, ``original`` whether the source seems to be the original, None where
    an earlier version has moved it away. ``seconds`` is the wall time of the run.
    """

    splits: dict[str, SplitReport] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    accounts: Accounts = field(default_factory=Accounts)
    set_aside: tuple[Problem, ...] = ()
    validation_classes: ValidationClasses | None = None
    class_names: ClassNames | None = None
    original: Original | None = None
    bytes_read: int = 0
    bytes_written: int = 0
    linked: int = 0
    shards: int = 0
    reused: int = 0
    documents: bool = False
    seconds: float = 0.0

    @property
    def images(self) -> int:
        """Images in all splits."""
        return sum(split.images for split in self.splits.values())

    def __repr__(self) -> str:
        """Say the most important in three lines: all of it would be pages."""
        of = ", ".join(f"{name} {split.images:,}" for name, split in self.splits.items())
        return (
            f"<Report: {self.images:,} images ({of}), {len(self.set_aside):,} set aside\n"
            f" shards: {self.shards:,} written, {self.reused:,} there before\n"
            f" bytes: {self.bytes_read:,} read, {self.bytes_written:,} written, in {self.seconds:.1f} s>"
        )

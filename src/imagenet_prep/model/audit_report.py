"""The options of an audit, and its report on a sound data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imagenet_prep.errors import UsageError
from imagenet_prep.imagenet.class_map import ClassNames
from imagenet_prep.model.comparison import Comparison, Fingerprint
from imagenet_prep.model.given import Jobs, check_fields
from imagenet_prep.model.original import Original
from imagenet_prep.model.validation_classes import ValidationClasses


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditOptions:
    """``jobs``: processes; 0 means two for each processor. ``decode``: decode every image that is read, strictly.
    ``sample``: the share of the shards to read, above 0 and at most 1, chosen at random. Everything else
    is always compared. ``fingerprint``: take a fingerprint of each split, for which all is read. ``against``: compare
    with the images of another data set, of which this is the folder or its ``build.json``.
    """

    jobs: Jobs = 0
    decode: bool = False
    sample: float = 1
    fingerprint: bool = False
    against: Path | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be done."""
        check_fields(self)
        if not 0 < self.sample <= 1:
            raise UsageError("A sample is a share of the shards above 0, and at most 1.")
        if self.fingerprint and self.sample < 1:
            raise UsageError("A fingerprint needs all images, and no sample of the shards.")


@dataclass(frozen=True, slots=True)
class SplitAudit:
    """One split: its images, each counted once, and how many the classes have that have any."""

    images: int
    classes: int
    smallest: int
    largest: int


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was read: records in all formats and bytes of all files, in ``shards_read`` of ``shards``.

    ``set_aside`` images are not in the data. The original bytes of ``undigested`` images are unknown: they were
    linked or moved without being read. ``decoded``: every image that was read was decoded, too.
    ``resumable``: what resuming, repairing and undoing need is there. ``validation_classes`` says what the classes of
    the validation images were taken from, and how many are not the published ones; ``class_names`` whether names that
    the user gave are those of other classes; ``original`` whether the source seemed to be the original one.
    ``fingerprints`` are those of the splits, and ``against`` is the comparison with another data set, if they were
    asked for.
    """

    splits: dict[str, SplitAudit]
    records: int
    size: int
    shards: int
    shards_read: int
    set_aside: int = 0
    undigested: int = 0
    decoded: bool = False
    resumable: bool = True
    validation_classes: ValidationClasses | None = None
    class_names: ClassNames | None = None
    original: Original | None = None
    fingerprints: Mapping[str, Fingerprint] = field(default_factory=dict)
    against: Comparison | None = None

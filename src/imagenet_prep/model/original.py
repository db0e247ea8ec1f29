"""Are these the original images? What a look at sizes, headers and names of folders says, as a value.

A copy that was made smaller, blurred or encoded again has the official names and counts, and nothing that reads it
would ever show what it is. So every result says it. Only a published checksum could prove that images are the
original ones: what is said here is likely, and never the reason for a refusal unless the user asks for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

AGREES = "sizes agree with the official archives"
BLURRED = "face-blurred"
DISTORTED = "distorted as in ImageNet-C"
RESIZED = "looks like a resized copy"
RECODED = "looks like a copy that was encoded again"
UNKNOWN = "cannot tell"
VERDICTS = (BLURRED, DISTORTED, RESIZED, RECODED, UNKNOWN, AGREES)  # what counts of two sets comes first


class Shape(NamedTuple):
    """What the header of one image says, in pixels, and its size in bytes."""

    width: int
    height: int
    size: int


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of train or validation: number of images and their mean size in bytes; ``archive_size`` is the
    computed size of the archive that they fill, 0 of a subset; ``folder`` is a name that says what they are.

    Of ``sampled`` images the header was read: ``share`` of them have the short side ``short_side``, the one of the
    usual sizes of copies that most of them have. All 0 where nothing was sampled.
    """

    images: int
    mean_size: int
    archive_size: int = 0
    folder: str = ""
    sampled: int = 0
    short_side: int = 0
    share: float = 0.0
    bytes_per_pixel: float = 0.0


@dataclass(frozen=True, slots=True)
class Original:
    """The verdict, one of VERDICTS, and why; ``looks`` has what was seen of train and validation."""

    verdict: str
    reason: str
    looks: Mapping[str, Look] = field(default_factory=dict)

    @property
    def is_copy(self) -> bool:
        """Whether something says that these are not the original images."""
        return self.verdict not in (AGREES, UNKNOWN)

    @property
    def sentence(self) -> str:
        """Say all of it."""
        return f"{'Not the original images' if self.is_copy else 'Original images'}: {self.verdict} ({self.reason})."


def original_from(document: Mapping[str, Any] | None) -> Original | None:
    """Read back what ``asdict`` made of one; None for none. Raises TypeError, ValueError or KeyError for anything
    else.
    """
    if document is None:
        return None
    looks = {origin: Look(**look) for origin, look in document["looks"].items()}
    return Original(document["verdict"], document["reason"], looks)

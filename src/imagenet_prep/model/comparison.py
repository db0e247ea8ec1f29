"""By what two people know whether they have the same images: a fingerprint to send by mail, and a comparison."""

from __future__ import annotations

from dataclasses import dataclass

from imagenet_prep.errors import Problem


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of one split: the SHA-256, in hex, of the lines that ``sha256sum`` writes for its images, with the bytes they
    had in the source, sorted by name. It is "" if some were ``converted`` and no output has their original bytes.
    ``unread`` images were linked or moved, and nobody knows whether they had these bytes when the data set was built.
    """

    images: int
    sha256: str
    converted: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """With the data set of the document ``other``: how many images are ``the_same`` in both, how many only in one, and
    how many have other bytes or another class. Of the same ones, ``elsewhere`` counts those in another split,
    ``unread`` those of which only the size was compared, because in one of the two they were linked or moved.
    ``differences`` names images that differ, the first of each kind.
    """

    other: str
    the_same: int
    only_here: int = 0
    only_there: int = 0
    other_bytes: int = 0
    other_class: int = 0
    elsewhere: int = 0
    unread: int = 0
    differences: tuple[Problem, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether both data sets have the same images."""
        return not self.differences

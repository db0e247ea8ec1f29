"""Class folders called by number, as ``val/0`` to ``val/999``: which numbers these are, and what readers make of them.

The number of a folder is compared with the classes of the images in it, like the label of a record. Readers do not look
at it: most sort the names as text, where 10 comes before 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from imagenet_prep.errors import Problem, printable
from imagenet_prep.planning.conventions import CLASS_INDEX, best_convention, wrong_labels
from imagenet_prep.verbs.audit.others.judgement import SplitColumns
from imagenet_prep.verbs.audit.others.look import FolderLook
from imagenet_prep.verbs.audit.others.observed import NO_CLASS

_NUMBER = re.compile(r"\d{1,4}", re.ASCII)
_NAMED = 5  # folders with images of other classes; the rest is counted


def is_number(name: str) -> bool:
    """Whether a folder is called by number."""
    return _NUMBER.fullmatch(name) is not None


class Numbers:
    """The numbers of the folders of a split. ``fits`` says whether they agree with a numbering that is known."""

    def __init__(self, split: SplitColumns, looks: Sequence[FolderLook]) -> None:
        self._split = split
        self._folders = [look.part.name for look in looks]  # "" of images that lie beside the folders
        numbers = np.array([int(name or -1) for name in self._folders], np.int64)
        of_image = np.repeat(np.arange(len(looks)), [len(part) for part in split.parts])
        known = (split.truths != NO_CLASS) & (numbers[of_image] >= 0)
        self._of_image, self._truths = of_image[known], split.truths[known].astype(np.int16)
        self._labels = numbers[self._of_image]
        self._convention, self._hits = best_convention(self._labels, self._truths)

    @property
    def fits(self) -> bool:
        """Whether more than half of the images are in the folder of their number."""
        return 2 * self._hits > len(self._labels)

    @property
    def sentence(self) -> str:
        """Say which numbers they are."""
        agree = f"{self._convention} ({self._hits:,} of {len(self._labels):,} images agree)"
        if self.fits:
            return f"the folders of {self._split.name} are called by number: {agree}"
        mixed = sum(len(set(part.truths) - {NO_CLASS}) > 1 for part in self._split.parts)
        several = f"; {mixed:,} of {len(self._folders):,} hold images of several classes" if mixed else ""
        unknown = f"in no known numbering: the nearest is {agree}{several}"
        return f"the folders of {self._split.name} are called by number, {unknown}"

    @property
    def is_class_index(self) -> bool:
        """Whether they are what most people mean."""
        return self.fits and self._convention == CLASS_INDEX

    def problems(self, place: str) -> Iterator[Problem]:
        """Name what is wrong with them, and images that are in another folder than their number says."""
        if not self.is_class_index:
            yield Problem(place, self.sentence)
        if not self.fits:
            return
        if sorted(self._folders) != sorted(self._folders, key=lambda name: int(name or -1)):
            reason = (
                f"most readers, torchvision among them, sort the folders of {self._split.name} as text, 10 before 2: "
                "the number that they give to a class is not that of its folder"
            )
            yield Problem(place, reason)
        yield from self._astray(place)

    def _astray(self, place: str) -> Iterator[Problem]:
        wrong = self._of_image[wrong_labels(self._convention, self._labels, self._truths)]
        if len(wrong):
            folders, counts = np.unique(wrong, return_counts=True)
            named = [f"{self._folders[folder]} ({count:,})" for folder, count in zip(folders, counts, strict=True)]
            more = " …" if len(named) > _NAMED else ""
            reason = f"{len(wrong):,} images of {self._split.name} are in the folder of another number: in "
            yield Problem(place, printable(f"{reason}{', '.join(named[:_NAMED])}{more}"))

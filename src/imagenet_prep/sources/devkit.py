"""The development kit's ground truth of the validation images, for those who have it: it then counts before
the built-in truth.

``ILSVRC2012_validation_ground_truth.txt`` has the devkit integer of image number n on line n.
"""

from __future__ import annotations

from array import array
from pathlib import Path

from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.imagenet.archives import CLASS_COUNT, VALIDATION_IMAGES
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.model.validation_classes import NO_CONVENTION
from imagenet_prep.sources.packed import each_file, packed_archive

GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_LARGEST = 1 << 20  # bytes; the real file has 200 kB
_REMEDY = "Download the devkit again, or remove it: the program knows the validation classes without it."


def read_ground_truth(path: Path) -> array[int]:
    """Give the class index of validation image number i + 1 at position i. The archive may be compressed or,
    by a browser, unpacked.

    Raises SourceError if the archive or the file inside is damaged or missing.
    """
    lines = _ground_truth_text(path).split()
    truth = array("H")
    for number, line in enumerate(lines, 1):
        if not (_is_number(line) and 1 <= int(line) <= CLASS_COUNT):
            reason = f"line {number} is {line[:20]!r}, not a number from 1 to 1,000"
            raise _unusable(path, reason + _other_numbers(lines))
        truth.append(official().by_devkit(int(line)).index)
    return truth


def _is_number(line: str) -> bool:
    return line.isascii() and line.isdigit() and len(line) < 10


def _other_numbers(lines: list[str]) -> str:
    """Say which numbers a list has, if these are known, that cannot be the devkit's."""
    if not all(_is_number(line) and int(line) <= CLASS_COUNT for line in lines) or len(lines) > VALIDATION_IMAGES:
        return ""
    import numpy as np  # to compare the list with; a sound list needs neither

    from imagenet_prep.planning.conventions import convention_of

    truths = np.array(validation_truth()[: len(lines)], np.int16)
    seems = convention_of(np.array(lines, np.int64), truths, ())
    return "" if seems == NO_CONVENTION else f"; the numbers in it seem to be: {seems}"


def _ground_truth_text(path: Path) -> str:
    text: str | None = None
    with packed_archive(path, _REMEDY) as archive:
        for member in each_file(archive):
            if member.name.endswith(f"/{GROUND_TRUTH}"):
                if member.size > _LARGEST:
                    raise _unusable(path, f"claims {member.size:,} bytes")
                text = archive.read(member.size, member.offset).decode("ascii", "replace")
    if text is None:
        raise _unusable(path, "is not in the archive")
    return text


def _unusable(path: Path, reason: str) -> SourceError:
    return SourceError("The devkit cannot be used:", (Problem(path.name, reason, GROUND_TRUTH),), _REMEDY)

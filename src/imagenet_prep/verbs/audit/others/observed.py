"""What was seen of a data set that others made: columns, as small as 1.28 million images need.

A part is a shard or a class folder. Workers fill the columns; ``judgement`` reads them when all parts are there, as
only then it is known which numbers the labels are, and what is there twice. No NumPy here: workers import this.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from imagenet_prep.errors import Problem
from imagenet_prep.imagenet.archives import TRAIN, UNLABELLED, VALIDATION

ORIGINS = ("", TRAIN, VALIDATION, UNLABELLED)  # which official archive an image comes from; "" if its name does not say
NO_CLASS = -1
NO_LABEL = -(1 << 63)
_MOST_PROBLEMS = 100  # of one part; the rest is counted


@dataclass(slots=True)
class Seen:
    """The images of one part, in its order. ``place`` is what messages call it, ``within`` what stands before a name.

    ``names`` are base names, each ended by a newline, empty where there is none. ``keys`` are hashes of the names, 0
    without one; ``origins`` are positions in ORIGINS; ``truths`` are class indexes, ``labels`` what the record says;
    ``offsets`` are bytes; ``digests`` are hashes of the images, 0 where they were not read. ``index`` is the number of
    the shard. ``unparsed`` counts bad records, which have no row; ``whole`` is false if the part could not be
    read to its end, ``lost`` true if the process that read it died. ``astray`` has the images of other places.
    """

    data_set: int
    split: str
    position: int
    place: str
    index: int = 0
    within: str = ""
    size: int = 0
    whole: bool = True
    lost: bool = False
    unparsed: int = 0
    names: bytearray = field(default_factory=bytearray)
    keys: array[int] = field(default_factory=lambda: array("Q"))
    origins: array[int] = field(default_factory=lambda: array("b"))
    truths: array[int] = field(default_factory=lambda: array("h"))
    labels: array[int] = field(default_factory=lambda: array("q"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    digests: array[int] = field(default_factory=lambda: array("Q"))
    problems: list[Problem] = field(default_factory=list)
    remarks: list[Problem] = field(default_factory=list)
    unlisted: int = 0
    astray: Seen | None = None

    def __len__(self) -> int:
        return len(self.truths)

    def name(self, row: int) -> str:
        """Give the name of an image, "" if it has none."""
        return self.names.split(b"\n")[row].decode()

    def problem_of(self, row: int, reason: str) -> Problem:
        """Say something of the image in a row."""
        return Problem(self.place, reason, self.within + self.name(row), self.offsets[row] if self.offsets else None)

    def add_problem(self, problem: Problem) -> None:
        """Keep a problem, or count it: a part in which nothing is right must not fill the memory."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)
        else:
            self.unlisted += 1

    def add_remark(self, remark: Problem) -> None:
        """Keep a remark, if there are not very many."""
        if len(self.remarks) < _MOST_PROBLEMS:
            self.remarks.append(remark)

"""What long work reports to a watcher: plain values, so that a terminal, a log and a test can each show them
their own way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """What is being done; the values are what ``--json`` says."""

    INDEX = "index"
    BOXES = "boxes"
    UNPACK = "unpack"
    WRITE = "write"
    FINISH = "finish"
    AUDIT = "audit"
    MOVE = "move"
    UNDO = "undo"
    CHECKSUMS = "checksums"
    DECODE = "decode"
    FETCH = "fetch"
    TORRENT = "torrent"
    RECHECK = "recheck"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one stage is. ``done`` and ``total`` count images, 0 where there are none to count; the byte counts are
    image bytes, or those of the file ``subject``; 0 where they do not matter. No event of a
    stage says less than the one before.
    """

    stage: Stage
    done: int
    total: int
    bytes_done: int = 0
    bytes_total: int = 0
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know, in one sentence; the work goes on. A ``warning`` is of what may be wrong in the
    result, and is shown even with ``--quiet``.
    """

    text: str
    warning: bool = False


Watch = Callable[[Progress | Note], None]


class Tally:
    """Counts what a stage has done, and reports it to a watcher. Finished tasks count in full; workers report the
    progress of running ones. What a dead worker had done is reported until it is done again, and never counted twice.
    """

    def __init__(self, watch: Watch, stage: Stage, total: int = 0, bytes_total: int = 0) -> None:
        self._watch = watch
        self._stage = stage
        self._totals = total, bytes_total
        self.done = self.bytes_done = 0
        self._told = 0, 0

    def finished(self, done: int, bytes_done: int = 0) -> None:
        """Count what a task has done."""
        self.done += done
        self.bytes_done += bytes_done
        self.running()

    def running(self, done: int = 0, bytes_done: int = 0) -> None:
        """Report how far the stage is, if the running tasks have done so much."""
        self._told = max(self._told[0], self.done + done), max(self._told[1], self.bytes_done + bytes_done)
        self._watch(Progress(self._stage, self._told[0], self._totals[0], self._told[1], self._totals[1]))


def unwatched(_event: Progress | Note) -> None:
    """Do nothing."""

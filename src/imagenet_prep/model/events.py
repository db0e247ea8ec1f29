"""What long work tells whoever watches: plain values, so that a terminal, a log and a test can each show them
their own way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one stage is. ``done`` and ``total`` count images, 0 where there are none to count; the byte counts are
    image bytes, or those of the file ``subject``; 0 where they do not matter.
    """

    stage: str
    done: int
    total: int
    bytes_done: int = 0
    bytes_total: int = 0
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know, in one sentence; the work goes on. A ``warning`` is of what may be wrong in the
    result, and is shown even to who wants to see nothing.
    """

    text: str
    warning: bool = False


Watch = Callable[[Progress | Note], None]


def unwatched(_event: Progress | Note) -> None:
    """Tell nobody."""

"""What is known of a file the user gave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Archive:
    """One file the user gave. ``modified`` is its modification time in nanoseconds, which tells a changed
    file from the same one.
    """

    name: str
    role: str
    size: int
    modified: int

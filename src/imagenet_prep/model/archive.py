"""What is known of a file or folder the user gave."""

from __future__ import annotations

from dataclasses import dataclass, field

PRIVATE = ".imagenet-prep"  # what resuming needs; a folder that has it is a data set, not an archive


@dataclass(frozen=True, slots=True)
class Archive:
    """One file or folder the user gave. ``size`` is in bytes; that of a folder is the sum of its images.

    ``modified`` is the modification time in nanoseconds, by which a changed file is recognised; 0 for a folder,
    where it says nothing. ``path`` is absolute, and part of no identity: where bytes lie decides nothing.
    """

    name: str
    role: str
    size: int
    modified: int
    folder: bool = False
    path: str = field(default="", compare=False)

"""What is known of a file or folder the user gave."""

from __future__ import annotations

from dataclasses import dataclass, field

PRIVATE = ".imagenet-prep"  # a folder with this one in it is a build: what resuming needs, and no archive


@dataclass(frozen=True, slots=True)
class Archive:
    """One file or folder the user gave. ``size`` is in bytes; that of a folder is the sum of its images.

    ``modified`` is the modification time in nanoseconds, which tells a changed file from the same one; 0 for a folder,
    which has none that would tell. ``path`` is absolute, and part of no identity: where bytes lie decides nothing.
    """

    name: str
    role: str
    size: int
    modified: int
    folder: bool = False
    path: str = field(default="", compare=False)

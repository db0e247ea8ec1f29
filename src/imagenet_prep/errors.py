"""Every way the program can fail, and the exit code of each.

    PrepError                      1   a bug, if nothing more precise was raised
    ├── UsageError                 2   the request makes no sense
    ├── SourceError                4   the source is missing, damaged or ambiguous
    ├── OtherBuildError            5   the output folder holds another build
    ├── OutputError                6   out of space, or not writable
    └── AuditError                 7   what was read back is not what was written

0 is success, 3 is success with images set aside, 130 is an interruption by the user. The codes are a
published promise (docs/exit-codes.md): scripts depend on them, so a code never changes its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

SHOWN_PROBLEMS = 20  # lines of a message; the rest is counted, and stays in ``problems``


def printable(name: str) -> str:
    """Escape a name with control characters, which could harm a terminal."""
    return name if name.isprintable() else repr(name)


def counted(number: int, one: str, many: str = "") -> str:
    """Say how many there are of something: ``1 file``, ``2 files``; ``many`` is an irregular plural."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, with the place where it is.

    ``offset`` is in bytes from the start of the archive; ``member`` is the path inside the archive, with the
    inner archive first (``n01440764.tar/n01440764_10026.JPEG``).
    """

    archive: str
    reason: str
    member: str = ""
    offset: int | None = None

    def __str__(self) -> str:
        place = self.archive
        if self.member:
            place += f": {self.member}"
        if self.offset is not None:
            place += f" at byte {self.offset:,}"
        return f"{place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Forbidden(Problem):
    """A place that the user may not read: it is not known to be damaged."""


class PrepError(Exception):
    """Base of all declared errors: one sentence, what it concerns, and what to do.

    ``summary`` says what is wrong, ``problems`` lists every place (all of them, collected before raising),
    ``remedy`` says what the user can do. Instances survive pickling, so a worker may raise them.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, summary: str, problems: tuple[Problem, ...] = (), remedy: str = "") -> None:
        super().__init__(summary, problems, remedy)
        self.summary = summary
        self.problems = problems
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [self.summary]
        lines += [f"  {problem}" for problem in self.problems[:SHOWN_PROBLEMS]]
        if len(self.problems) > SHOWN_PROBLEMS:
            lines.append(f"  … and {len(self.problems) - SHOWN_PROBLEMS:,} more")
        if self.remedy:
            lines.append(self.remedy)
        return "\n".join(lines)


class UsageError(PrepError):
    """The request itself makes no sense: an unknown split, a hold-out larger than a class."""

    exit_code = 2


class SourceError(PrepError):
    """An archive is missing, damaged, ambiguous, or holds something that is not an image."""

    exit_code = 4


class MissingSourceError(SourceError):
    """There is nothing at the path of a source."""


class OtherBuildError(PrepError):
    """The output folder holds a build of another recipe or of other sources."""

    exit_code = 5


class OutputError(PrepError):
    """The output cannot be written, or may not be read: no space, no permission, a read-only file system."""

    exit_code = 6


class ForbiddenError(OutputError):
    """Something may not be read. ``problems`` are Forbidden: where, and which permission is missing."""


class AuditError(PrepError):
    """What was read back differs from what the receipts promise."""

    exit_code = 7

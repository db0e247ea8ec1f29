"""What kept shards from being written, collected over a run and raised once: shards without a fault are finished."""

from __future__ import annotations

from collections.abc import Iterable

from imagenet_prep.errors import PrepError, Problem, SourceError
from imagenet_prep.model.task import ShardOutcome, ShardTask

_SHARDS_MISSING = "their shards were not written, all others are finished:"
_AGAIN = "run the same command again"
_LEAVE_OUT = "Or continue without them: --on-bad set-aside leaves bad images out, and keeps their bytes."
_TOGETHER = (
    "The finished outputs contain them: to leave them out, build all outputs together in another folder with "
    "--on-bad set-aside."
)
_FILES_REMEDY = (
    "Put sound files in their place, and build into another folder: what a build is made of must not change."
)
_ARCHIVE_REMEDY = (
    "If the archive does not have the published checksum (imagenet-prep check --full), download it again, and "
    f"{_AGAIN}."
)
_UNREADABLE_REMEDY = (
    f"Fix it, and {_AGAIN}. A build in another folder can do without images that are lost: --exclude FILE."
)
_LOST_REMEDY = (
    "Run the same command again; fewer --jobs need less memory. If it dies again, one of these images may be the "
    "cause: a build in another folder can do without it (--exclude FILE)."
)


class Failures:
    """All that went wrong with shards in one run; ``grows``: of outputs that are added to a finished data set."""

    def __init__(self, *, grows: bool) -> None:
        self._grows = grows
        self._bad: list[Problem] = []  # images that cannot be used
        self._unreadable: list[Problem] = []
        self._lost: list[Problem] = []  # shards over which a worker died twice, and their images

    def note(self, outcome: ShardOutcome) -> None:
        """Take the outcome of one shard."""
        self._bad += outcome.bad
        self._unreadable += outcome.failure

    def lost(self, task: ShardTask) -> ShardOutcome:
        """Take a shard whose worker died twice."""
        reason = f"the process that wrote its {len(task.entries):,} images died twice"
        self._lost.append(Problem(task.name, reason))
        rows = range(len(task.entries))
        self._lost += [task.entries.problem(row, task.archives, f"is one of {task.name}") for row in rows]
        return ShardOutcome(len(task.entries))

    def raise_any(self, images: int) -> None:
        """Raise SourceError or PrepError with everything, if there is anything; ``images`` are all of the plan."""
        bad = _in_order(self._bad)
        unreadable = _in_order(dict.fromkeys(self._unreadable))  # a missing archive is one problem
        if bad:
            summary = f"{len(bad):,} of {images:,} images cannot be used; {_SHARDS_MISSING}"
            without = _TOGETHER if self._grows else _LEAVE_OUT
            raise SourceError(summary, (*bad, *unreadable, *self._lost), f"{_remedy(bad)}\n{without}")
        if unreadable:
            summary = "There are shards whose images cannot be read; all others are finished:"
            raise SourceError(summary, (*unreadable, *self._lost), _UNREADABLE_REMEDY)
        if self._lost:
            summary = "A worker process died, and again in a second attempt; all other shards are finished:"
            raise PrepError(summary, tuple(self._lost), _LOST_REMEDY)


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.archive, problem.offset or 0, problem.member))


def _remedy(problems: Iterable[Problem]) -> str:
    of_their_own = all(problem.offset is None for problem in problems)
    return _FILES_REMEDY if of_their_own else _ARCHIVE_REMEDY

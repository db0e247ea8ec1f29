"""Compare archives with their published checksums, one after another, and tell how far all of them are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from imagenet_prep.model.events import Progress, Stage, Watch
from imagenet_prep.sources.base import Input
from imagenet_prep.sources.checksum import compare_checksum, is_comparable, verdict_unread


def comparer(archives: Iterable[Input], watch: Watch) -> Callable[[Input], str]:
    """Give what reads one of ``archives`` from end to end and says how its checksum compares; one that no published
    checksum fits is not read. It raises SourceError if one cannot be read.
    """
    total, done = sum(each.size for each in archives if is_comparable(each.role, each.path, each.size)), 0

    def read(size: int) -> None:
        """Count what was read."""
        nonlocal done
        done += size
        watch(Progress(Stage.CHECKSUMS, 0, 0, done, total))

    def compare(archive: Input) -> str:
        """Give one of the verdicts of `sources.checksum`."""
        if not is_comparable(archive.role, archive.path, archive.size):
            return verdict_unread(archive.role)
        return compare_checksum(archive.role, archive.path, read)

    return compare

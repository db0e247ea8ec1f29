"""How far a task is, said by the task itself: ``report`` is called for every image, and costs next to nothing.

Whoever runs a task sets with ``reporting`` where its reports go; without that they go nowhere. In a worker they are
sent at most ten times a second. Where several workers report, ``Gauge`` adds up what is still running.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

from imagenet_prep.engines.base import Advance

_SECONDS = 0.1  # between two reports


class _Meter:
    """Adds up the reports of one task, and sends the sum now and then."""

    __slots__ = ("_count", "_due", "_send", "_size")

    def __init__(self, send: Advance) -> None:
        self._send = send
        self._count = self._size = 0
        self._due = monotonic() + _SECONDS

    def add(self, count: int, size: int) -> None:
        self._count += count
        self._size += size
        if (now := monotonic()) >= self._due:
            self._due = now + _SECONDS
            self._send(self._count, self._size)


_METER: ContextVar[_Meter | None] = ContextVar("meter", default=None)


def report(count: int, size: int = 0) -> None:
    """Say that the task which runs here has done so much more: images, and their bytes."""
    meter = _METER.get()
    if meter is not None:
        meter.add(count, size)


@contextmanager
def reporting(send: Advance | None) -> Iterator[None]:
    """Send what is reported within the context, as the sums of all reports up to then."""
    before = _METER.set(_Meter(send) if send else None)
    try:
        yield
    finally:
        _METER.reset(before)


class Gauge:
    """Adds up how far the tasks that run are, by any name that a task has."""

    def __init__(self, progress: Advance | None) -> None:
        self._progress = progress
        self._running: dict[Hashable, tuple[int, int]] = {}
        self._due = 0.0

    def moved(self, task: Hashable, count: int, size: int) -> None:
        """Note how far a task is, and pass the sum of all on, if the last one was passed on long enough ago."""
        self._running[task] = count, size
        if self._progress and (now := monotonic()) >= self._due:
            self._due = now + _SECONDS
            self._progress(*map(sum, zip(*self._running.values(), strict=True)))

    def ended(self, task: Hashable) -> None:
        """Forget a task: its result is there, or its worker is dead."""
        self._running.pop(task, None)

"""What runs work: a function and many tasks go in, results come out as they are finished, in any order.

The results' order carries no meaning anywhere, so an engine may be as parallel as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar, runtime_checkable

Task = TypeVar("Task")
Result = TypeVar("Result")


@runtime_checkable
class Engine(Protocol):
    """Runs tasks. ``work`` must be importable by name, tasks and results must survive pickling."""

    @property
    def width(self) -> int:
        """How many tasks run at once."""

    def run(
        self, work: Callable[[Task], Result], tasks: Iterable[Task], lost: Callable[[Task], Result] | None = None
    ) -> Iterator[Result]:
        """Start the work, and yield results as they are finished. What ``work`` raises is raised here, and the tasks
        not yet started are dropped. A new run ends the one before.

        A task whose process dies is tried once more in a new process. If that dies as well, ``lost(task)``, called
        here, is the result; without ``lost`` a PrepError is raised.
        """

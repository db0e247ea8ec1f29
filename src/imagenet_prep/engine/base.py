"""What runs work: a function and many tasks go in, results come out as they are finished, in any order.

The results' order carries no meaning anywhere, so an engine may be as parallel as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """Runs tasks. ``work`` must be importable by name, tasks and results must survive pickling."""

    @property
    def width(self) -> int:
        """How many tasks run at once."""

    def run(self, work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Start the work, and yield results as they are finished. What ``work`` raises is raised here, and the tasks
        not yet started are dropped.
        """

"""What an engine is: a function and many tasks go in, results come out as they are finished, in any order.

The order of the results carries no meaning anywhere, so an engine may be as parallel as it likes. Here stand the
protocol and a table of all engines that is read without loading any of them: a new one is a module of its own, a row in
the table, and a test class that inherits ``imagenet_prep.testing.contracts.EngineContract``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from imagenet_prep.errors import PrepError

Task = TypeVar("Task")
Result = TypeVar("Result")

Advance = Callable[[int, int], None]
"""Is called with a count and a size: what is done of the tasks that run now and have no result yet. A task that is
tried again, or has its result, is not in them any more.
"""


@runtime_checkable
class Engine(Protocol):
    """Runs tasks. ``work`` must be importable by name, tasks and results must survive pickling."""

    @property
    def width(self) -> int:
        """How many tasks run at once: a measure for cutting work into tasks, which may change as workers come."""

    @property
    def shares_files(self) -> bool:
        """Whether every worker certainly has the files of this process under the same paths."""

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        lost: Callable[[Task], Result] | None = None,
        progress: Advance | None = None,
    ) -> Iterator[Result]:
        """Start the work, and yield results as they are finished. What ``work`` raises is raised here, and the tasks
        that have not started are dropped; so they are when the results are closed, as those of a generator can be. A
        new run ends the one before.

        A task whose worker dies is tried once more. If that worker dies as well, ``lost(task)``, called here, is the
        result; without ``lost`` a PrepError is raised.

        ``progress`` gets what workers ``report``, at most ten times a second. It is called here, while a result is
        waited for. An engine that cannot know how far its workers are does not call it.
        """


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of engine. ``module`` has ``opened(value)``, a context manager that gives an engine.

    ``value`` is what stands after the name and "=", "" where nothing does. ``extra`` of this package installs what the
    module needs. Objects of the library ``adapts`` are taken as engines: the module has ``adapted(given)`` for them.
    """

    module: str
    value: str = ""
    extra: str = ""
    adapts: str = ""


ENGINES = {
    "here": Kind("imagenet_prep.engines.here"),
    "processes": Kind("imagenet_prep.engines.processes", value="N"),
    "dask": Kind("imagenet_prep.engines.dask", value="tcp://HOST:PORT", extra="dask", adapts="distributed"),
}
"""All engines that have a name; ``engines.executor`` has none, because it takes an object."""


def written(name: str) -> str:
    """Give the form in which an engine is named, such as ``dask=tcp://HOST:PORT``."""
    value = ENGINES[name].value
    return f"{name}={value}" if value else name


def raise_lost(_task: object) -> Any:
    """Treat a lost task as an error, unless the caller says otherwise. Raises PrepError."""
    raise PrepError(
        "A worker process was killed twice on the same task, perhaps because memory ran out.",
        remedy="Run the same command again. Fewer --jobs need less memory.",
    )

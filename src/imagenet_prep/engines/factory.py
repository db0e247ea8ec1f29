"""Makes an engine of what the caller gave: an engine, an executor, the name of an engine, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from types import ModuleType
from typing import cast

from imagenet_prep.engines.base import ENGINES, Engine, Kind, written
from imagenet_prep.errors import UsageError

AnyEngine = Engine | Executor | str
"""What ``engine=`` takes: an engine, any executor whose workers see the same paths, or a name and what goes with it,
such as ``dask=tcp://HOST:PORT``.
"""


def engine_for(given: AnyEngine | None, jobs: int) -> AbstractContextManager[Engine]:
    """Give the engine; without any, ``jobs`` processes. What the caller made stays the caller's to shut down. Raises
    UsageError.
    """
    if given is None:
        from imagenet_prep.engines.processes import local_engine

        return local_engine(jobs)
    if jobs:
        raise UsageError("An engine has its own number of workers: give the engine or the number of jobs.")
    if isinstance(given, str):
        return _named(given)
    if isinstance(given, Engine):
        return nullcontext(given)
    return nullcontext(_adapted(given))


def _adapted(given: object) -> Engine:
    library = type(given).__module__.partition(".")[0]
    for kind in ENGINES.values():
        if kind.adapts == library:
            return cast("Engine", import_module(kind.module).adapted(given))
    if isinstance(given, Executor):
        from imagenet_prep.engines.executor import OnExecutor

        return OnExecutor(given)
    raise UsageError(
        f"engine is an Engine, a concurrent.futures.Executor, or one of {_known()}, not {type(given).__qualname__}."
    )


@contextmanager
def _named(text: str) -> Iterator[Engine]:
    name, _, value = text.partition("=")
    kind = ENGINES.get(name)
    if kind is None or bool(value) != bool(kind.value):
        what = f"{text} is not an engine" if kind is None else f"{text} is not of the form {written(name)}"
        raise UsageError(f"{what}. Engines are: {_known()}.")
    with _module(name, kind).opened(value) as engine:
        yield engine


def _module(name: str, kind: Kind) -> ModuleType:
    try:
        return import_module(kind.module)
    except ModuleNotFoundError as error:
        if not kind.extra or (error.name or "").startswith("imagenet_prep"):
            raise
        raise UsageError(
            f"The engine {name} needs {error.name}, which is not installed.",
            remedy=f"Install it: pip install 'imagenet-prep[{kind.extra}]'",
        ) from error


def _known() -> str:
    return ", ".join(map(written, ENGINES))

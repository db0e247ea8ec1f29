"""Work on its way to a worker and back, as bytes: an order is a function and a task, an answer is what came of it."""

from __future__ import annotations

import contextlib
import pickle
import traceback
from collections.abc import Callable
from typing import Any

from imagenet_prep.errors import PrepError


def order(work: Callable[[Any], Any], task: Any) -> bytes:
    """Put a function and its task into bytes."""
    return pickle.dumps((work, task), pickle.HIGHEST_PROTOCOL)


def answer(
    message: bytes,
    call: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    let_through: tuple[type[BaseException], ...] = (),
) -> bytes:
    """Carry an order out, with ``call`` if it is given, and put the result or the error into bytes."""
    try:
        work, task = pickle.loads(message)  # noqa: S301 — from the parent
        return pickle.dumps((False, call(work, task) if call else work(task), ""), pickle.HIGHEST_PROTOCOL)
    except let_through:
        raise
    except BaseException as error:  # whatever it is, the parent decides
        return pickle.dumps((True, _portable(error), "".join(traceback.format_exception(error))))


def outcome(message: bytes) -> Any:
    """Give the result that a worker sent, or raise what its work raised there."""
    raised, value, trace = pickle.loads(message)  # noqa: S301 — from a worker of our own
    if raised:
        value.add_note(f"In a worker process:\n{trace}")
        raise value
    return value


def _portable(error: BaseException) -> BaseException:
    """Give the error, or what can be said of it if it does not survive pickling."""
    with contextlib.suppress(Exception):  # pickling runs the error's own code, which can raise anything
        if type(pickle.loads(pickle.dumps(error))) is type(error):  # noqa: S301 — our own
            return error
    return PrepError(f"A worker raised {type(error).__qualname__}: {error}")

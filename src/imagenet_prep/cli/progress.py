"""How progress is shown: a board on a terminal, a plain line now and then elsewhere, JSON lines for programs. All of it
goes to standard error; standard output has results only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict

import click

from imagenet_prep.cli.invocation import Invocation
from imagenet_prep.cli.pace import Pace, counts, name_of, noted
from imagenet_prep.cli.screen import is_screen, say
from imagenet_prep.model.events import Note, Progress, Watch

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def watching(*, as_json: bool = False, quiet: bool = False) -> Iterator[Watch]:
    """Give what shows progress in the way that fits where standard error goes; a board is gone at the end of the
    context. How far the work came is noted for the message of an interrupt.
    """
    if quiet:
        yield _noting(_warnings_alone(_json_line if as_json else _Lines()))
    elif as_json:
        yield _noting(_json_line)
    elif is_screen(sys.stderr):
        from rich.console import Console

        from imagenet_prep.cli.board import live

        with live(Console(stderr=True), time.monotonic) as watch:
            yield _noting(watch)
    else:
        yield _noting(_Lines())


def _noting(watch: Watch) -> Watch:
    """Note what was reached. Continue when progress cannot be written: the disk of a log is full, or its reader is
    gone.
    """
    context = click.get_current_context(silent=True)
    last: Progress | None = None

    def tell(event: Progress | Note) -> None:
        nonlocal last
        if isinstance(event, Progress):
            last = event
        with suppress(OSError):
            watch(event)

    if context:
        context.ensure_object(Invocation).reached = lambda: reached(last)
    return tell


def reached(event: Progress | None) -> str:
    """Say in the middle of a sentence how far the work came; nothing where it had not started."""
    if event is None:
        return ""
    name, count = name_of(event), counts(event)
    return f" while {name[0].lower()}{name[1:]}{count and f', after {count}'}"


def _warnings_alone(watch: Watch) -> Watch:
    def watch_warnings(event: Progress | Note) -> None:
        """Show only warnings."""
        if isinstance(event, Note) and event.warning:
            watch(event)

    return watch_warnings


def _json_line(event: Progress | Note) -> None:
    click.echo(json.dumps({"event": type(event).__name__.lower(), **asdict(event)}), err=True)


class _Lines:
    """A line when a stage starts, and one every ten seconds: a log stays readable. Stages may run side by side."""

    def __init__(self) -> None:
        self._paces: dict[str, Pace] = {}
        self._spoke: dict[str, float] = {}

    def __call__(self, event: Progress | Note) -> None:
        if isinstance(event, Note):
            say(noted(event), err=True)
            return
        now, name = time.monotonic(), name_of(event)
        if name not in self._paces:
            self._paces[name], self._spoke[name] = Pace(event, now), now
            say(f"{name} …", err=True)
            return
        self._paces[name].heard(event, now)
        if now - self._spoke[name] >= _SECONDS_BETWEEN_LINES:
            self._spoke[name] = now
            say(f"{name}: {self._paces[name].words(now)}", err=True)

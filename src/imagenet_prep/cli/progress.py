"""How progress is shown: a bar on a terminal, a plain line now and then elsewhere, JSON lines for programs. All of it
goes to standard error; standard output has results only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click

from imagenet_prep.cli import show
from imagenet_prep.core.progress import Note, Progress, Watch

_SECONDS_BETWEEN_LINES = 10.0
_NAMES = {
    "index": "Indexing",
    "boxes": "Reading bounding boxes",
    "remove": "Taking the earlier build away",
    "write": "Writing shards",
    "finish": "Writing the manifest",
    "audit": "Reading back",
    "undo": "Putting files back",
    "checksums": "Computing checksums",
    "decode": "Decoding images",
}


@contextmanager
def watching(*, as_json: bool = False, quiet: bool = False) -> Iterator[Watch]:
    """Give what shows progress in the way that fits where standard error goes; a bar is gone at the end of the
    context.
    """
    if quiet:
        yield lambda _event: None
    elif as_json:
        yield _json_line
    elif sys.stderr.isatty():
        with _bar() as watch:
            yield watch
    else:
        yield _Lines()


def _json_line(event: Progress | Note) -> None:
    click.echo(json.dumps({"event": type(event).__name__.lower(), **asdict(event)}), err=True)


class _Lines:
    """A line when a stage begins, and one every ten seconds: a log stays readable. Stages may go side by side."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._spoke: dict[str, float] = {}

    def __call__(self, event: Progress | Note) -> None:
        if isinstance(event, Note):
            click.echo(f"Note: {event.text}", err=True)
            return
        now = time.monotonic()
        if event.stage not in self._began:
            self._began[event.stage] = self._spoke[event.stage] = now
            click.echo(f"{_NAMES[event.stage]} …", err=True)
        elif now - self._spoke[event.stage] >= _SECONDS_BETWEEN_LINES:
            self._spoke[event.stage] = now
            click.echo(f"{_NAMES[event.stage]}: {_state(event, now - self._began[event.stage])}", err=True)


def _state(event: Progress, seconds: float) -> str:
    """Say how far a stage is: images, speed, time left."""
    if not event.total:
        if not event.bytes_total:
            return f"{event.done:,} images"
        return f"{show.size(event.bytes_done)} of {show.size(event.bytes_total)}"
    parts = [f"{event.done:,} of {event.total:,} images", f"{event.done / seconds:,.0f} images/s"]
    if event.bytes_done and event.bytes_total:
        parts.append(f"{event.bytes_done / seconds / 1e6:,.0f} MB/s")
        left = seconds * (event.bytes_total - event.bytes_done) / event.bytes_done
        parts.append(f"{show.duration(left)} left")
    return ", ".join(parts)


@contextmanager
def _bar() -> Iterator[Watch]:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    bars = Bars(*columns, console=Console(stderr=True), transient=True)
    began: dict[str, float] = {}
    tasks = {}

    def watch(event: Progress | Note) -> None:
        bars.start()  # at the first event and not before: it starts a thread, and workers start quicker without one
        if isinstance(event, Note):
            bars.console.print(f"Note: {event.text}", highlight=False, markup=False)
            return
        now = time.monotonic()
        if event.stage not in tasks:
            began[event.stage] = now
            tasks[event.stage] = bars.add_task(_NAMES[event.stage], total=None, state="")
        seconds = max(now - began[event.stage], 1e-3)
        total, done = (event.bytes_total, event.bytes_done) if event.bytes_total else (event.total, event.done)
        bars.update(tasks[event.stage], total=total or None, completed=done, state=_state(event, seconds))

    try:
        yield watch
    finally:
        bars.stop()

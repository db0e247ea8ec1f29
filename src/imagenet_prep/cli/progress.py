"""How progress is shown: a bar on a terminal, a plain line now and then elsewhere, JSON lines for programs. All of it
goes to standard error; standard output has results only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from imagenet_prep.cli import show
from imagenet_prep.model.events import Note, Progress, Stage, Watch

if TYPE_CHECKING:
    import rich.progress
    from rich.console import Console

_SECONDS_BETWEEN_LINES = 10.0
_WITHOUT_BAR = 90  # columns that the figures and a name need
_SHORTEST_BAR, _LONGEST_BAR = 10, 40
_NAMES = {
    Stage.INDEX: "Indexing",
    Stage.BOXES: "Reading bounding boxes",
    Stage.UNPACK: "Unpacking",
    Stage.WRITE: "Writing shards",
    Stage.FINISH: "Writing the manifest",
    Stage.AUDIT: "Reading back",
    Stage.MOVE: "Taking names in the source away",
    Stage.UNDO: "Taking the data set away",
    Stage.CHECKSUMS: "Computing checksums",
    Stage.DECODE: "Decoding images",
    Stage.FETCH: "Fetching",
    Stage.TORRENT: "Fetching",
    Stage.RECHECK: "Comparing pieces of",
}


@contextmanager
def watching(*, as_json: bool = False, quiet: bool = False) -> Iterator[Watch]:
    """Give what shows progress in the way that fits where standard error goes; a bar is gone at the end of the
    context.
    """
    if quiet:
        yield _warnings_alone(_json_line if as_json else _Lines())
    elif as_json:
        yield _never_in_the_way(_json_line)
    elif sys.stderr.isatty():
        with _bar() as watch:
            yield _never_in_the_way(watch)
    else:
        yield _never_in_the_way(_Lines())


def _never_in_the_way(watch: Watch) -> Watch:
    """Continue when progress cannot be written: the disk of a log is full, or its reader is gone."""

    def tell(event: Progress | Note) -> None:
        with suppress(OSError):
            watch(event)

    return tell


def _warnings_alone(watch: Watch) -> Watch:
    def watch_warnings(event: Progress | Note) -> None:
        """Show only warnings."""
        if isinstance(event, Note) and event.warning:
            watch(event)

    return watch_warnings


def _noted(note: Note) -> str:
    return f"{'Warning' if note.warning else 'Note'}: {note.text}"


def _json_line(event: Progress | Note) -> None:
    click.echo(json.dumps({"event": type(event).__name__.lower(), **asdict(event)}), err=True)


class _Lines:
    """A line when a stage starts, and one every ten seconds: a log stays readable. Stages may run side by side."""

    def __init__(self) -> None:
        self._first: dict[str, _Begun] = {}
        self._spoke: dict[str, float] = {}

    def __call__(self, event: Progress | Note) -> None:
        if isinstance(event, Note):
            click.echo(_noted(event), err=True)
            return
        now, name = time.monotonic(), _name(event)
        if name not in self._first:
            self._first[name], self._spoke[name] = _Begun(event, now), now
            click.echo(f"{name} …", err=True)
        elif now - self._spoke[name] >= _SECONDS_BETWEEN_LINES:
            self._spoke[name] = now
            click.echo(f"{name}: {self._first[name].state(event, now)}", err=True)


def _name(event: Progress) -> str:
    return f"{_NAMES[event.stage]} {event.subject}".rstrip()


class _Begun:
    """The first event of a stage: its speed counts what was done since, not what was there before."""

    def __init__(self, first: Progress, now: float) -> None:
        self._first = first
        self._time = now

    def state(self, event: Progress, now: float) -> str:
        """Say how far the stage is at the time ``now``."""
        return _state(event, max(now - self._time, 1e-3), self._first)


def _state(event: Progress, seconds: float, first: Progress) -> str:
    """Say how far a stage is, ``seconds`` after it was at ``first``: images or bytes, speed, time left."""
    came = event.bytes_done - first.bytes_done
    if event.total:
        rate = (event.done - first.done) / seconds
        parts = [f"{event.done:,} of {event.total:,} images", f"{rate:,.0f} images/s"]
    elif event.bytes_total:
        parts = [f"{show.size(event.bytes_done)} of {show.size(event.bytes_total)}"]
    else:
        parts = [show.size(event.bytes_done) if event.subject else f"{event.done:,} images"]
    if came > 0 and (event.bytes_total or event.subject):
        parts.append(f"{show.size(came / seconds)}/s")
    if came > 0 and event.bytes_total:
        parts.append(f"{show.duration(seconds * (event.bytes_total - event.bytes_done) / came)} left")
    return ", ".join(parts)


def bars_on(console: Console) -> rich.progress.Progress:
    """Give a line for each task: its name, a bar, and its field ``state``.

    On a narrow terminal the figures stay whole: the bar goes first, then the end of the name.
    """
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    room, unicode = min(console.width - _WITHOUT_BAR, _LONGEST_BAR), console.encoding.startswith("utf")
    # Rich cuts with a sign that other encodings lack, and draws a spinner of such signs.
    name = Column(ratio=1, no_wrap=True, overflow="ellipsis" if unicode else "crop")
    return Bars(
        SpinnerColumn("dots" if unicode else "line"),
        TextColumn("{task.description}", markup=False, table_column=name),
        *([BarColumn(room)] if room >= _SHORTEST_BAR else []),
        TextColumn("{task.fields[state]}", markup=False),
        console=console,
        transient=True,
        expand=True,
    )


@contextmanager
def _bar() -> Iterator[Watch]:
    from rich.console import Console

    bars = bars_on(Console(stderr=True))
    first: dict[str, _Begun] = {}
    tasks = {}

    def watch(event: Progress | Note) -> None:
        bars.start()  # at the first event and not before: it starts a thread, and workers start quicker without one
        if isinstance(event, Note):
            bars.console.print(_noted(event), highlight=False, markup=False)
            return
        now, name = time.monotonic(), _name(event)
        if name not in tasks:
            first[name] = _Begun(event, now)
            tasks[name] = bars.add_task(name, total=None, state="")
        total, done = (event.bytes_total, event.bytes_done) if event.bytes_total else (event.total, event.done)
        bars.update(tasks[name], total=total or None, completed=done, state=first[name].state(event, now))

    try:
        yield watch
    finally:
        with suppress(OSError):  # a terminal that is gone
            bars.stop()

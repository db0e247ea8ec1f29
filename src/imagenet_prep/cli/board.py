"""The stages of a run on a terminal, a line each, drawn again ten times a second until the run ends.

A line is made to measure: what matters most is taken first (how much, how long, the bar), and every figure has a place
of fixed width, so nothing jumps and nothing is cut. A module of its own, because nobody else loads rich.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.text import Text

from imagenet_prep.cli import show
from imagenet_prep.cli.pace import Pace, counts, name_of, noted, share
from imagenet_prep.cli.screen import fitted
from imagenet_prep.errors import counted
from imagenet_prep.model.events import Note, Progress, Watch

_SHORTEST_BAR, _LONGEST_BAR = 10, 40
_GAP = 2
_ECHO = 2  # columns in which a terminal shows ^C: in the next line it would leave a part of the board standing
_BESIDE_NAMES = 25  # columns for percentage and time left
_PERCENT, _LEFT, _IMAGES_A_SECOND, _BYTES_A_SECOND, _BYTES = 5, 16, 15, 10, 20
_SIGNS = ("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "✓", "━", "─")  # the spinner, the tick, the bar, and what is left of it
_PLAIN_SIGNS = ("-\\|/", "*", "#", "-")


class Board:
    """All stages up to now. ``clock`` gives seconds."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._paces: dict[str, Pace] = {}
        self._signs = _SIGNS if console.encoding.startswith("utf") else _PLAIN_SIGNS

    def heard(self, event: Progress) -> None:
        """Note how far a stage is."""
        now, name = self._clock(), name_of(event)
        if name in self._paces:
            self._paces[name].heard(event, now)
        else:
            for pace in list(self._paces.values()):  # `check` reports from two threads
                pace.passed(now)
            self._paces[name] = Pace(event, now)

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Draw the lines, all names in one column."""
        now, width = self._clock(), options.max_width
        paces = list(self._paces.items())  # the thread that draws is not the one that hears
        names = [_shortened(name, width - _GAP) for name, _ in paces]
        column = min(max(map(len, names), default=0), max(width - _GAP - _BESIDE_NAMES, 0))
        for name, (_, pace) in zip(names, paces, strict=True):
            line = self._running if pace.over is None else self._ended
            yield line(name.ljust(column), pace, width, now)

    def _running(self, name: str, pace: Pace, width: int, now: float) -> Text:
        spinner, _, done, rest = self._signs
        head, room = f"{spinner[int(now * 10) % len(spinner)]} {name}", width - len(name) - _GAP
        done_share = share(pace.last)
        if done_share is None:
            return _line(head, _chosen([counts(pace.last), pace.bytes_a_second(now)], room))
        figures = [f"{int(100 * done_share)} %".rjust(_PERCENT), pace.left(now).ljust(_LEFT)]
        taken = _chosen(figures, room)
        room -= sum(len(each) + _GAP for each in taken) + _ECHO
        if room < _SHORTEST_BAR + _GAP:
            return _line(head, taken)
        more = _chosen(self._more(pace, now), room - _SHORTEST_BAR - _GAP)
        bar = min(room - sum(len(each) + _GAP for each in more) - _GAP, _LONGEST_BAR)
        full = int(bar * done_share)
        return _line(head, [*taken, *more], Text.assemble((done * full, "green"), (rest * (bar - full), "dim")))

    @staticmethod
    def _more(pace: Pace, now: float) -> list[str]:
        """Give what is said where there is room, each as wide as it ever gets."""
        total = pace.last.total
        widest = len(f"{total:,} of {total:,} images") if total else _BYTES
        images = pace.images_a_second(now).ljust(_IMAGES_A_SECOND) if total else ""
        speed = pace.bytes_a_second(now).ljust(_BYTES_A_SECOND) if pace.last.bytes_total else ""
        return [images or speed, counts(pace.last).rjust(widest), speed if images else ""]

    def _ended(self, name: str, pace: Pace, width: int, now: float) -> Text:
        last = pace.last
        done = counted(last.done, "image") if last.done else show.size(last.bytes_done) if last.bytes_done else ""
        figures = [f"{done} in {show.duration(pace.seconds(now))}" if done else ""]
        return _line(f"{self._signs[1]} {name}", _chosen(figures, width - len(name) - _GAP), sign="green")


def _shortened(name: str, width: int) -> str:
    """Leave out words at the end until the rest fits."""
    words = name.split(" ")
    while len(words) > 1 and len(" ".join(words)) > width - _BESIDE_NAMES:
        words.pop()
    kept = " ".join(words)
    return kept if kept == name else f"{kept} …"


def _chosen(figures: list[str], room: int) -> list[str]:
    """Take figures while they fit."""
    taken: list[str] = []
    for each in filter(None, figures):
        room -= len(each) + _GAP
        if room < 0:
            break
        taken.append(each)
    return taken


def _line(head: str, figures: list[str], bar: Text | None = None, sign: str = "") -> Text:
    text = Text(head, no_wrap=True, overflow="crop")
    if sign:
        text.stylize(sign, 0, 1)
    for each in ([bar] if bar else []) + [Text(figure) for figure in figures]:
        text.append(" " * _GAP).append_text(each)
    text.rstrip()
    return text


@contextmanager
def live(console: Console, clock: Callable[[], float]) -> Iterator[Watch]:
    """Keep the board in sight; notes are printed above it. At the end it is gone."""
    board = Board(console, clock)
    drawn = Live(board, console=console, transient=True, refresh_per_second=10)

    def watch(event: Progress | Note) -> None:
        drawn.start()  # at the first event and not before: it starts a thread, and workers start quicker without one
        if isinstance(event, Progress):
            board.heard(event)
        else:
            style = "yellow" if event.warning else ""
            console.print(Text(fitted(noted(event), console.width), style), soft_wrap=True)

    try:
        yield watch
    finally:
        with suppress(OSError):  # a terminal that is gone
            drawn.stop()

"""The bar on a terminal. On a narrow one the figures stay whole: the bar goes first, then the middle of the name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

_LONGEST_BAR, _SHORTEST_BAR = 40, 10
_WITHOUT_BAR = 90  # columns that the figures and a name need


def bars_on(console: Console) -> Progress:
    """Give a line for each task: its description, a bar if there is room, and its field ``state``."""
    room = min(console.width - _WITHOUT_BAR, _LONGEST_BAR)
    bar = (BarColumn(room, table_column=Column(no_wrap=True)),) if room >= _SHORTEST_BAR else ()
    spinner = "dots" if console.encoding.startswith("utf") else "line"  # whose signs every encoding has
    columns = (
        SpinnerColumn(spinner, table_column=Column(no_wrap=True)),
        _Names(),
        *bar,
        TextColumn("{task.fields[state]}"),
    )
    return Progress(*columns, console=console, transient=True)


class _Names(ProgressColumn):
    """The descriptions: the one column that may be narrowed, because all others have ``no_wrap``."""

    def render(self, task: Task) -> _Name:
        return _Name(task.description)


@dataclass(frozen=True, slots=True)
class _Name:
    text: str

    def __rich_measure__(self, _console: Console, _options: ConsoleOptions) -> Measurement:
        return Measurement(1, len(self.text))

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield Text(_shortened(self.text, options.max_width, "~" if options.ascii_only else "…"), no_wrap=True)


def _shortened(text: str, width: int, gap: str = "…") -> str:
    """Leave the middle out of what is wider: the ends of names tell files apart."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}{gap}{text[len(text) - end :]}"

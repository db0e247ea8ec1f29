"""The options that several commands share: each has one name and one explanation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from imagenet_prep.cli.invocation import note_json
from imagenet_prep.errors import UsageError, printable
from imagenet_prep.model.given import nearest
from imagenet_prep.platform import lacking, local_path, neighbour

if TYPE_CHECKING:
    from imagenet_prep.imagenet.classes import Taxonomy

_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


class LocalPath(click.Path):
    """A path on this machine, not a URL. ~ is the home, whether or not the shell has expanded it."""

    def __init__(self, **rules: Any) -> None:
        super().__init__(path_type=Path, **rules)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give the path. Raises UsageError, and what click raises."""
        path = local_path(value)
        try:
            if self.exists:
                path.stat()
        except FileNotFoundError as error:  # the same words as for a source that does not exist
            raise UsageError(f"{printable(str(path))} does not exist.", remedy=neighbour(path)) from error
        except PermissionError as error:  # click says that there is no such path
            place, what = map(str, lacking(path))
            raise UsageError(f"{printable(str(path))} cannot be found: {printable(place)} {what}.") from error
        except (OSError, ValueError):
            pass
        return super().convert(path, param, ctx)


class OneOf(click.Choice[str]):
    """One of a few words, in whatever case. ``others`` are what people also call some of them. Its message asks for the
    one that was probably meant.
    """

    def __init__(self, words: Sequence[str], others: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(words)
        self._others = others

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give the word. Raises what click raises."""
        word = str(value).lower()
        word = self._others.get(word, word)
        if word not in self.choices:
            self.fail(f"{printable(repr(value))} is unknown. {nearest(word, self.choices)}", param, ctx)
        return word


class Whole(click.IntRange):
    """A whole number from ``least`` up. Its message has words, where click has formulas."""

    def __init__(self, least: int) -> None:
        super().__init__(min=least)
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give the number. Raises what click raises."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{printable(str(value))} is not a whole number from {self._least} up.", param, ctx)

    def _describe_range(self) -> str:
        return ""


class LocalFile(click.File):
    """A file with such a path, opened; ``-`` is standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Open the file. Raises UsageError, and what click raises."""
        return super().convert(str(local_path(value)), param, ctx)


class_map_option = click.option(
    "--class-map",
    type=LocalPath(exists=True, dir_okay=False),
    is_eager=True,  # --classes may use its names
    help="Your own class names, in the form of map_clsloc.txt; class folders in SOURCE may have them.",
)
trust_labels_option = click.option(
    "--trust-labels",
    is_flag=True,
    help="Follow the devkit, Kaggle's CSV file or the class map even if it contradicts the published classes for more "
    "than a tenth of the validation images or names.",
)
jobs_option = click.option(
    "--jobs",
    type=Whole(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Number of processes; 0: two for each processor, at most 32; 1: only this process.",
)
engine_option = click.option(
    "--engine",
    metavar="NAME[=…]",
    help="Run the work elsewhere, in place of --jobs: dask=tcp://HOST:PORT is the scheduler of a cluster.",
)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json and --quiet, which decide what goes to standard output and standard error."""
    command = click.option("--quiet", is_flag=True, help="Only errors and warnings on standard error.")(command)
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        is_eager=True,  # an error in another option is then JSON, too
        callback=note_json,
        help="For programs: the result as JSON on standard output, events as JSON lines on standard error.",
    )(command)


def share(text: str | None, option: str) -> float:
    """Read a share such as ``2.5%``; without a text it is all. Raises UsageError."""
    percent = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", text or "100%")
    if not percent or not 0 < float(percent[1]) <= 100:
        raise UsageError(f"{option} {text} is not a share above 0% and at most 100%, such as 2.5%.")
    return float(percent[1]) / 100


def rate(_context: click.Context, _option: click.Parameter, text: str | None) -> int:
    """Read bytes a second, such as ``20MB``, ``500 kB``, ``1.5m`` or ``1000``; 0 without a text. Raises UsageError."""
    if text is None:
        return 0
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]+)?) ?([kmg]?)b?(?:/s)?", text.lower(), re.ASCII)
    number = float(found[1]) * _UNITS[found[2]] if found else 1e15
    if number >= 1e15:
        raise UsageError(f"{printable(text)} is not a rate, such as 500kB, 20MB or 1GB (a second).")
    if number < 1_000:
        raise UsageError(f"{text} is too small a rate: 1kB a second is the least.")
    return round(number)


@cache  # a path is read once: it may be that of a pipe
def class_names(path: Path | None) -> Taxonomy:
    """Read what --class-map names, if anything. Raises SourceError."""
    from imagenet_prep.imagenet.classes import official

    return official().with_names(path.read_bytes(), path.name) if path else official()

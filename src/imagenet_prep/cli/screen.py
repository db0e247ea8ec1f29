"""What is printed fits where it goes: on a terminal, lines break at words and the verdict has a colour; anywhere else
the text stays as it is, for whoever reads it next.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from textwrap import wrap
from typing import TextIO

import click

_COLUMN = re.compile(r"(?<=\S) {2,}(?=[^\s#])")  # the gap before a cell of a table; code has such before a comment
_ITEM = re.compile(r"\d+\. ")
_USUAL = 80  # columns
_CODE = 4  # spaces before code and commands, which are copied
_COMMAND = re.compile(r"( {4,}|Next: )(imagenet-prep [^'\"]*?)( {2,}\(.*)?$")  # and what explains it
_GOES_ON = " \\"  # of a command, as shells write it
_COLOURS = (
    (re.compile(r"Error: |[\d,]+ (problem|difference)s?:$"), "red"),
    (re.compile(r"Warning: |Interrupted|[\d,]+ images? set aside:$"), "yellow"),
    (re.compile(r"Built |Sound: |.* is sound: |.* is complete, with "), "green"),
)


def say(text: str, *, err: bool = False, whole: bool = False) -> None:
    """Print a text, on standard error if it is an ``err``; ``whole`` is for programs, and is never touched."""
    stream = sys.stderr if err else sys.stdout
    if not whole and stream.isatty():
        width, paint = _width(stream), has_colours(stream)
        lines = ((line, fitted(line, width)) for line in text.split("\n"))
        text = "\n".join(_painted(shown, line) if paint else shown for line, shown in lines)
    click.echo(text, err=err)


def is_screen(stream: TextIO) -> bool:
    """Whether a line that was printed can be drawn again."""
    return stream.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


def has_colours(stream: TextIO) -> bool:
    """Whether colours are wanted; see https://no-color.org."""
    return is_screen(stream) and not os.environ.get("NO_COLOR")


def prose_width(stream: TextIO) -> int:
    """Give the columns that prose fills well."""
    return min(_width(stream), _USUAL) if stream.isatty() else _USUAL


def _width(stream: TextIO) -> int:
    said = os.environ.get("COLUMNS", "")
    try:
        return int(said) if said.isdecimal() else os.get_terminal_size(stream.fileno()).columns or _USUAL
    except OSError:  # a terminal that is gone
        return _USUAL


def _painted(shown: str, line: str) -> str:
    colour = next((colour for begins, colour in _COLOURS if begins.match(line)), None)
    return click.style(shown, fg=colour) if colour else shown


def fitted(text: str, width: int) -> str:
    """Break lines at words so that they fit; commands so that they can be copied. Code, and a word that is too long,
    stay whole.
    """
    return "\n".join(part for line in text.split("\n") for part in _broken(line, width))


def _broken(line: str, width: int) -> Iterator[str]:
    indent, gaps = len(line) - len(line.lstrip()), list(_COLUMN.finditer(line))
    item = _ITEM.match(line)
    if len(line) <= width:
        yield line
    elif command := _COMMAND.match(line):
        yield from _command(command, width)
    elif (indent >= _CODE and not gaps) or line.startswith("Next: imagenet-prep "):
        yield line
    elif gaps and gaps[-1].end() > width // 2:  # too little room under the last column: it gets a line of its own
        yield from _broken(line[: gaps[-1].start()], width)
        yield from _wrapped(" " * (indent + _CODE) + line[gaps[-1].end() :], width, indent + _CODE)
    else:
        yield from _wrapped(line, width, gaps[-1].end() if gaps else item.end() if item else indent)


def _command(found: re.Match[str], width: int) -> Iterator[str]:
    before, command, about = found.groups("")
    indent = len(before) - len(before.lstrip()) + _CODE
    *lines, last = _wrapped(before + command, width - len(_GOES_ON), indent)
    yield from (line + _GOES_ON for line in lines)
    yield last
    if about:
        yield " " * indent + about.lstrip()


def _wrapped(line: str, width: int, indent: int) -> list[str]:
    return wrap(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)

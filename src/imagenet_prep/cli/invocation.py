"""What this run of the program was asked for, so that its last message fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import click


@dataclass(slots=True)
class Invocation:
    """``words`` are all of the command line. ``json`` is what --json says, once the options were read.

    ``resumes``: the same command resumes where this one stops; the verb says so itself, and whether its words may be
    ``repeated`` on a screen. ``reached`` says how far the work came.
    """

    words: tuple[str, ...] = ()
    json: bool | None = None
    resumes: bool = False
    repeated: bool = False
    reached: Callable[[], str] = str

    @property
    def as_json(self) -> bool:
        """Whether programs read the messages. Until the options are read, the word ``--json`` counts."""
        return "--json" in self.words if self.json is None else self.json


def note_json(context: click.Context, _option: click.Parameter, value: bool) -> bool:
    """Note what --json says."""
    context.ensure_object(Invocation).json = value
    return value


def note_resuming(context: click.Context, *, repeated: bool = True) -> None:
    """Note that the same command resumes where this one stops. Words that may be secret are not ``repeated``."""
    this = context.ensure_object(Invocation)
    this.resumes, this.repeated = True, repeated

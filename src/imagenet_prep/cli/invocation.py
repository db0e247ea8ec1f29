"""What this run of the program was asked for, as far as it is known: what ends it is said accordingly."""

from __future__ import annotations

from dataclasses import dataclass

import click


@dataclass(slots=True)
class Invocation:
    """``words`` are all of the command line. ``json`` is what --json says, once the options were read.

    ``resumes``: the same command again goes on where this one stops; the verb says so itself.
    """

    words: tuple[str, ...] = ()
    json: bool | None = None
    resumes: bool = False

    @property
    def as_json(self) -> bool:
        """Whether programs read what is said. Until the options were read, the word counts."""
        return "--json" in self.words if self.json is None else self.json


def note_json(context: click.Context, _option: click.Parameter, value: bool) -> bool:
    """Note what --json says."""
    context.ensure_object(Invocation).json = value
    return value


def note_resuming(context: click.Context) -> None:
    """Note that the same command again goes on where this one stops."""
    context.ensure_object(Invocation).resumes = True

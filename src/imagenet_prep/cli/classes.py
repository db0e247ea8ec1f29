"""``imagenet-prep classes``: the class table, to read, to search, and to export."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import BinaryIO

import click

from imagenet_prep.cli.options import LocalFile
from imagenet_prep.errors import UsageError
from imagenet_prep.imagenet.classes import Taxonomy, official, to_csv, to_map

EXPORTS = {"csv": to_csv, "map": to_map}


@click.command()
@click.argument("query", default="")
@click.option("--class-map", type=LocalFile("rb"), help="Your own class names, as lines of `WNID devkit-integer name`.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", *EXPORTS]),
    default="table",
    show_default=True,
    help="For people, as CSV, or in the form of map_clsloc.txt.",
)
@click.option("--renamed", is_flag=True, help="Only the classes whose name had to change, and why.")
def classes(query: str, class_map: BinaryIO | None, form: str, *, renamed: bool) -> None:
    """List the 1,000 classes, or those that QUERY finds: a WNID, a class index, or a part of a name."""
    table = official()
    if class_map is not None:
        table = table.with_names(class_map.read(), class_map.name)
    table = _chosen(table, query, renamed=renamed)
    if form in EXPORTS:
        click.echo(EXPORTS[form](table), nl=False)
        if class_map is not None:  # beside the export, so that a changed name is seen and the export stays clean
            _echo_renamings(table, err=True)
        return
    if not renamed:
        _echo_classes(table)
        click.echo()
    _echo_renamings(table)


def _chosen(table: Taxonomy, query: str, *, renamed: bool) -> Taxonomy:
    """Narrow the table to what was asked for. Raises UsageError if a query finds no class."""
    found = table.search(query) if query else table.classes
    if not found:
        remedy = "A query is a WNID, a class index (0 to 999), or part of a name or lemma."
        raise UsageError(f"No class matches {query!r}.", remedy=remedy)
    wnids = {facts.wnid for facts in found}
    renamings = tuple(renaming for renaming in table.renamings if renaming.wnid in wnids)
    if renamed:
        changed = {renaming.wnid for renaming in renamings}
        found = tuple(facts for facts in found if facts.wnid in changed)
    return replace(table, classes=found, renamings=renamings)


def _echo_classes(table: Taxonomy) -> None:
    rows = [(str(facts.index), facts.wnid, str(facts.devkit), facts.name, facts.lemmas) for facts in table.classes]
    _echo_columns([("class index", "WNID", "devkit integer", "name", "lemmas"), *rows])


def _echo_renamings(table: Taxonomy, *, err: bool = False) -> None:
    if not table.renamings:
        click.echo("No class was renamed.", err=err)
        return
    click.echo(f"{len(table.renamings)} renamed:", err=err)
    rows = [(one.wnid, one.before, "→", one.after, one.reason) for one in table.renamings]
    _echo_columns(rows, err=err)


def _echo_columns(rows: Iterable[Sequence[str]], *, err: bool = False) -> None:
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(map(str.ljust, line, widths)).rstrip(), err=err)

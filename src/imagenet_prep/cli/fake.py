"""`imagenet-prep fake`: flags into `MiniatureOptions`, and a summary of what was written."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from imagenet_prep.cli.options import LocalPath
from imagenet_prep.cli.screen import say
from imagenet_prep.options import TEST_PER_CLASS
from imagenet_prep.testing import LAYOUTS, QUIRKS, Miniature, MiniatureOptions, write_miniature


def _listing(names: str, table: Mapping[str, str], about: str) -> Callable[..., Any]:
    """Return an option that prints a table of names and sentences, and exits."""

    def print_and_exit(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
        if not wanted:
            return
        width = max(map(len, table))
        for name, about in table.items():
            click.echo(f"{name:<{width}}  {about}")
        context.exit()

    return click.option(
        f"--list-{names}", is_flag=True, is_eager=True, expose_value=False, callback=print_and_exit, help=about
    )


@click.command()
@click.argument("out", type=LocalPath(file_okay=False))
@click.option("--classes", type=int, default=10, show_default=True, help="Number of classes, spread over the 1,000.")
@click.option("--wnid", "wnids", multiple=True, help="A class by its WNID, instead of --classes; repeatable.")
@click.option("--images-per-class", type=int, default=60, show_default=True, help="Train images of each class.")
@click.option(
    "--validation-per-class",
    type=int,
    default=10,
    show_default=True,
    help="Validation images of each class, 0 to 50.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed draws other pictures.")
@click.option(
    "--size",
    type=click.Choice(["small", "photo"]),
    default="small",
    show_default=True,
    help="Pictures of 24 to 96 pixels a side, or of about 500 x 375 and 110 KB.",
)
@click.option(
    "--layout",
    type=click.Choice(list(LAYOUTS)),
    default="archives",
    show_default=True,
    metavar="NAME",
    help="Write the same images in another layout in which people have ImageNet.",
)
@_listing("layouts", LAYOUTS, "List the layouts, and exit.")
@click.option(
    "--quirk",
    "quirks",
    multiple=True,
    type=click.Choice(list(QUIRKS)),
    metavar="NAME",
    help="A fault or oddity to include; repeatable.",
)
@_listing("quirks", QUIRKS, "List the quirks, and exit.")
@click.option("--boxes/--no-boxes", default=True, help="Write the bounding boxes (the default), or not.")
@click.option("--devkit/--no-devkit", default=True, help="Write the devkit archive (the default), or not.")
def fake(out: Path, **options: Any) -> None:
    """Write a miniature ILSVRC2012 into the folder OUT.

    The archives have the official names and layout, and contain drawn pictures with true labels. The same options
    write the same bytes. Nothing is overwritten.
    """
    miniature = write_miniature(out, MiniatureOptions(**options))
    for line in _summary(miniature):
        say(line)


def _summary(miniature: Miniature) -> Iterator[str]:
    """Say what was written, what is wrong with it, and what to do next."""
    count = len(miniature.options.class_wnids)
    yield (
        f"{miniature.root}: {count:,} {'class' if count == 1 else 'classes'}, "
        f"{len(miniature.train):,} train and {len(miniature.validation):,} validation images"
    )
    for path in miniature.paths:
        yield f"  {_written(path, miniature.root)}"
    if miniature.planted:
        yield "Quirks:"
    for planted in miniature.planted:
        damage = f" at byte {planted.offset:,}" if planted.offset is not None else ""
        yield f"  {planted.quirk:<20}{miniature.where(planted)}{damage}"
    yield f"Next: {_next_command(miniature)}"


def _written(path: Path, root: Path) -> str:
    """Return a line about an archive or table with its size, or about a folder with the number of its files."""
    name = path.relative_to(root).as_posix()
    if path.is_dir():
        count = sum(len(files) for _, _, files in os.walk(path))
        return f"{name + '/':<32}{count:>16,} {'file' if count == 1 else 'files'}"
    return f"{name:<32}{path.stat().st_size:>16,} bytes"


def _next_command(miniature: Miniature) -> str:
    """Return a command that can be pasted, with a smaller hold-out if there are few images per class."""
    out, images = miniature.root, miniature.options.images_per_class
    words = ["imagenet-prep", "build", str(out), str(out.with_name(f"{out.resolve().name}-data"))]
    if images <= TEST_PER_CLASS:
        words += ["--test-per-class", str(images // 5)]
    return shlex.join(words)

"""``imagenet-prep build SOURCE… OUT``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from shlex import quote
from textwrap import indent
from typing import TYPE_CHECKING, Any

import click

from imagenet_prep.cli.groups import InGroups
from imagenet_prep.cli.invocation import note_resuming
from imagenet_prep.cli.options import (
    LocalPath,
    class_map_option,
    class_names,
    engine_option,
    jobs_option,
    output_options,
    trust_labels_option,
)
from imagenet_prep.cli.progress import watching
from imagenet_prep.cli.recipe import given_recipe, recipe_options
from imagenet_prep.cli.screen import say
from imagenet_prep.errors import UsageError
from imagenet_prep.imagenet.archives import TRAIN
from imagenet_prep.model.events import Note
from imagenet_prep.model.receipt import DECODE, HEADER
from imagenet_prep.model.task import FAIL, ON_BAD
from imagenet_prep.options import BuildOptions, Recipe
from imagenet_prep.outputs.base import options_of, reader_for

if TYPE_CHECKING:
    from imagenet_prep.model.events import Watch
    from imagenet_prep.model.report import Report

_HOW = ("jobs", "on_bad", "check", "trust_labels", "require_original", "resplit")  # to work: all that is not the recipe
_SET_ASIDE = 3  # the exit code of a build that is done, but without some images


def _out(context: click.Context, _argument: click.Parameter, out: Path) -> Path:
    """A single path is the source, and OUT is missing."""
    if not context.params["sources"]:
        raise UsageError("OUT is missing, the folder to build in.", remedy=f"imagenet-prep build {quote(str(out))} OUT")
    return out


@click.command(cls=InGroups)
@click.argument("sources", nargs=-1, metavar="SOURCE…", type=LocalPath(readable=False))
@click.argument("out", type=LocalPath(readable=False), callback=_out)
@recipe_options
@click.option(
    "--on-bad",
    type=click.Choice(ON_BAD),
    default=FAIL,
    show_default=True,
    help="If images cannot be used: finish all other shards, then fail; or leave them out, keep their bytes in "
    "set-aside/, and end with code 3.",
)
@click.option(
    "--check",
    type=click.Choice((HEADER, DECODE)),
    default=HEADER,
    show_default=True,
    help="How closely to examine every image: its header and end, or every pixel (much slower).",
)
@class_map_option
@trust_labels_option
@click.option(
    "--require-original",
    is_flag=True,
    help="Refuse a source of which the sizes do not agree with the official archives.",
)
@click.option(
    "--resplit",
    is_flag=True,
    help="If SOURCE is a data set of this program: put its test images back into train, and hold out again.",
)
@jobs_option
@engine_option
@click.option("--dry-run", is_flag=True, help="Show the plan, and write nothing.")
@output_options
@click.pass_context
def build(
    context: click.Context,
    /,
    sources: tuple[Path, ...],
    out: Path,
    class_map: Path | None,
    engine: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Make a data set in the folder OUT from SOURCE: a folder with the archives or with images, or several of them.

    Images are split into train, validation and test, and written to shuffled shards or class folders. By default 50
    labelled images of each class leave train and become test; --test-per-class 0 gives the standard train set. Nothing
    in the source changes, except with --transfer move. The same command resumes; with another --format it adds that.

    A subset (--classes, --images-per-class, --limit) keeps the labels of the whole set, the class indexes 0 to 999.

    \b
    imagenet-prep build ~/archives ~/imagenet --dry-run
    imagenet-prep build ~/archives ~/imagenet --format tfrecord --format tfds
    imagenet-prep build ~/archives ~/imagenet --split validation
    imagenet-prep build ~/archives ~/imagenette --classes imagenette
    imagenet-prep build ~/archives ~/folders --format folders
    imagenet-prep build ~/ILSVRC ~/sorted --format folders --transfer move
    """  # noqa: D301 — the backslash is click's mark for lines to leave as they are
    if not dry_run:
        note_resuming(context)
    how = {name: given.pop(name) for name in _HOW}
    options = BuildOptions(recipe=given_recipe(context, given, class_names(class_map)), **how)
    with watching(as_json=as_json, quiet=quiet) as watch:
        for name in given["readers"]:
            watch(Note(_stands_for(name, options.recipe)))
        work = _planned if dry_run else partial(_built, what_next=_what_next(out, given["readers"], options.recipe))
        result, code = work(sources, out, options, watch, engine, as_json)
    say(result, whole=as_json)  # when the bar is gone: it would erase what is printed beside it
    context.exit(code)


def summed_up(report: Report, out: Path, show: Callable[[Report, str], str], *, as_json: bool) -> tuple[str, int]:
    """Give what to print of a build, and the exit code."""
    text = json.dumps(asdict(report)) if as_json else show(report, str(out))
    return text, _SET_ASIDE if report.set_aside else 0


def _stands_for(reader: str, recipe: Recipe) -> str:
    """Say which options ``--for`` stands for, and whether train is the standard set."""
    output, _ = reader_for(reader)
    made = next(each for each in recipe.outputs if each.name == output.name)
    own = {name: value for name, value in options_of(made).items() if value != options_of(output())[name]}
    flags = [f"--format {output.name}", *(f"--{key.replace('_', '-')} {own[key]}" for key in own if key != "shards")]
    chosen, standard = recipe.selection, "Train is the standard set."
    if chosen.is_subset or chosen.exclude:
        standard = "Train is not the standard set: images are left out."
    elif chosen.holds_out:
        standard = "Train is not the standard set: --test-per-class 0 holds nothing out of it."
    return f"--for {reader} stands for {' '.join(flags)}. {standard}"


def _what_next(out: Path, readers: tuple[str, ...], recipe: Recipe) -> Iterator[str]:
    """Give the code that reads the data set, and the command that proves it."""
    if not recipe.selection.splits or TRAIN in recipe.selection.splits:
        for name in readers:
            _, reader = reader_for(name)
            yield f"\nTo read it with {name}, after pip install {reader.install}:\n"
            yield indent(reader.example(str(out.absolute())), "    ")
    yield f"Next: imagenet-prep audit {quote(str(out))}   (reads every record back)"


def _built(
    sources: tuple[Path, ...],
    out: Path,
    options: BuildOptions,
    watch: Watch,
    engine: str | None,
    as_json: bool,
    what_next: Iterator[str],
) -> tuple[str, int]:
    from imagenet_prep.cli import show
    from imagenet_prep.verbs.build.run import build as build_step

    report = build_step(sources, out, options, watch=watch, engine=engine)
    return summed_up(report, out, partial(show.summary, what_next=what_next), as_json=as_json)


def _planned(
    sources: tuple[Path, ...], out: Path, options: BuildOptions, watch: Watch, engine: str | None, as_json: bool
) -> tuple[str, int]:
    from imagenet_prep.cli import show
    from imagenet_prep.verbs.build.run import preview

    the_plan = preview(sources, out, options, watch=watch, engine=engine)
    from imagenet_prep.planning.remarks import remarks  # with Arrow, which the index has loaded meanwhile

    if as_json:
        return json.dumps(the_plan.document()), 0
    names = " and ".join(each.output.name for each in the_plan.outputs)
    lines = [f"This would be written to {out}, as {names}:", show.planned(the_plan)]
    return "\n".join([*lines, *remarks(the_plan), "Nothing was written."]), 0

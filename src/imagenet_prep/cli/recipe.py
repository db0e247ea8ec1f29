"""The options of a build that make its recipe. Those of outputs are the fields that outputs declare: a flag sets the
field of every chosen output that has it, and ``--set OUTPUT.FIELD=VALUE`` sets that of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from imagenet_prep.cli.options import LocalPath, OneOf, Whole
from imagenet_prep.errors import UsageError
from imagenet_prep.imagenet.archives import SPLITS
from imagenet_prep.imagenet.classes import Taxonomy, official
from imagenet_prep.imagenet.presets import PRESETS
from imagenet_prep.model.given import choices_of
from imagenet_prep.options import TEST_PER_CLASS, BuildOptions, Recipe
from imagenet_prep.outputs.base import DEFAULT_OUTPUT, OUTPUTS, output_class, reader_for, readers_by_name


def _complete_classes(_: click.Context, __: click.Parameter, typed: str) -> list[CompletionItem]:
    """Give what a shell may complete --classes with: presets, names of classes after each comma, and files."""
    before, comma, last = typed.rpartition(",")
    names = [*(() if comma else PRESETS), *(facts.name for facts in official().classes)]
    found = [CompletionItem(f"{before}{comma}{name}") for name in names if name.startswith(last)]
    return found if comma else [*found, CompletionItem(typed, type="file")]


_SELECTION = (
    click.option(
        "--format",
        "format_",
        multiple=True,
        type=OneOf(list(OUTPUTS)),
        default=(DEFAULT_OUTPUT,),
        show_default=True,
        help="What to write; repeatable. Several formats share one read of the source.",
    ),
    click.option(
        "--for",
        "readers",
        multiple=True,
        type=OneOf(list(readers_by_name())),
        help="Write what this framework reads, in place of --format and its options; options beside it win. "
        "Repeatable. It changes no split, and the summary ends with the code that reads the result.",
    ),
    click.option(
        "--test-per-class",
        type=Whole(0),
        default=TEST_PER_CLASS,
        show_default=True,
        metavar="N",
        help="Hold out N labelled train images of each class as the test split; 0 keeps the standard train set.",
    ),
    click.option(
        "--seed", type=int, default=0, show_default=True, help="Choose other images for the test split and for subsets."
    ),
    click.option(
        "--exclude",
        type=LocalPath(exists=True, dir_okay=False),
        help="Leave these images out: a file with a file name on each line.",
    ),
    click.option(
        "--test-list",
        type=LocalPath(exists=True, dir_okay=False),
        help="Take the test split from a list instead: a train image on each line, as in splits/test.txt of any build.",
    ),
    click.option(
        "--classes",
        metavar="CLASSES",
        shell_complete=_complete_classes,
        help="Only these classes: names, WNIDs or class indexes with commas between them; a file with one on each "
        "line; or the preset imagenette, imagewoof or imagenet100 (write ./imagenette for a file of that name).",
    ),
    click.option(
        "--images-per-class",
        type=Whole(1),
        metavar="N",
        help="At most N images of each class in each split.",
    ),
    click.option("--limit", metavar="N|P%", help="At most N images of each split, or P percent of it."),
    click.option(
        "--split",
        "splits",
        multiple=True,
        type=OneOf(SPLITS, {"val": "validation"}),
        help="Write only this split; repeatable.",
    ),
    click.option(
        "--recipe",
        "recipe_file",
        type=LocalPath(exists=True, dir_okay=False),
        help="Repeat a build: take images, splits and formats from its build.json, or from a TOML file of the same "
        "form, in place of options.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="FORMAT.OPTION=VALUE",
        help="Set an option of one format, such as folders.names=wnid or tfds.shards=train=64.",
    ),
)
_FLAGS = {"format_": "format", "readers": "for", "splits": "split"}  # that have another name here


def _output_fields() -> dict[str, tuple[Any, tuple[str, ...]]]:
    """Give every field that an output declares, by name, with its choices."""
    kinds: list[Any] = [output_class(name) for name in OUTPUTS]
    return {each.name: (each, choices_of(kind, each.name)) for kind in kinds for each in fields(kind)}


def _flags() -> Iterator[Callable[..., Any]]:
    for name, (each, choices) in _output_fields().items():
        yield click.option(
            f"--{name.replace('_', '-')}",
            name,
            type=OneOf(choices) if choices else str,
            multiple=not choices,
            metavar=each.metadata["form"] or None,
            default=each.default if choices else (),
            show_default=bool(choices),
            help=each.metadata["help"],
        )


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    for option in reversed([*_SELECTION, *_flags()]):
        command = option(command)
    return command


def given_recipe(context: click.Context, given: dict[str, Any], taxonomy: Taxonomy) -> Recipe:
    """Make a recipe of what was given. Raises UsageError and SourceError."""
    chosen = {
        name: value
        for name, value in given.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    path, settings = chosen.pop("recipe_file", None), chosen.pop("settings", ())
    if path:
        if context.get_parameter_source("class_map") is not ParameterSource.DEFAULT:
            chosen["class_map"] = None
        if chosen or settings:
            flag = f"--{_FLAGS.get(name := next(iter(chosen), 'set'), name).replace('_', '-')}"
            raise UsageError(f"--recipe says everything: {flag} cannot be beside it.")
        return read_recipe(path)
    if "test_list" in chosen and "test_per_class" in chosen:
        raise UsageError("--test-list replaces --test-per-class: give only one of them.")
    readers = chosen.get("readers", ())
    formats = chosen.pop("format_", () if readers else (DEFAULT_OUTPUT,))
    written = {*formats, *(reader_for(name)[0].name for name in readers)}
    values = {name: _value(name, value) for name, value in chosen.items() if name != "readers"}
    for text in settings:
        key, equals, value = text.partition("=")
        output, dot, name = key.partition(".")
        if not equals or not dot:
            raise UsageError(f"--set {text!r} is not of the form folders.names=wnid.")
        if output not in written:
            raise UsageError(
                f"--set {text}: {output} is not among the formats to write ({', '.join(sorted(written))}).",
                remedy=f"Formats are {', '.join(OUTPUTS)}; each that is to be written is given with --format.",
            )
        values[key] = _value(name, (value,) if name == "shards" else value)
    return BuildOptions.of(format=formats, reader=readers, taxonomy=taxonomy, **values).recipe


def _value(name: str, value: Any) -> Any:
    return _shards(value) if name == "shards" else value


def _shards(texts: tuple[str, ...]) -> dict[str, int]:
    shards = {}
    for text in texts:
        split, equals, number = text.partition("=")
        if not equals or not number.isascii() or not number.isdigit():
            raise UsageError(f"--shards {text!r} is not of the form train=64.")
        shards[split] = int(number)
    return shards


def read_recipe(path: Path) -> Recipe:
    """Read a ``build.json``, or a TOML file. Raises UsageError and OtherBuildError."""
    from imagenet_prep.verbs.recipe import recipe_from

    try:
        return recipe_from(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read as a recipe: {error.strerror}.") from error

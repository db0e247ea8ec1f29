"""The options of a build that choose classes and images: read into what the recipe has, errors and all."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from imagenet_prep.cli.options import LocalPath, class_names
from imagenet_prep.errors import UsageError
from imagenet_prep.platform import local_path


def _classes(context: click.Context, _option: click.Parameter, text: str | None) -> tuple[int, ...]:
    from imagenet_prep.imagenet.lists import chosen_classes, preset_classes
    from imagenet_prep.imagenet.presets import PRESETS

    if not text:
        return ()
    if text in PRESETS:
        return preset_classes(text)
    try:
        content = local_path(text).read_bytes()
    except FileNotFoundError as error:
        presets = ", ".join(PRESETS)
        raise UsageError(f"--classes {text} is neither a file nor a preset; the presets are {presets}.") from error
    except OSError as error:
        raise UsageError(f"--classes {text} cannot be read: {error.strerror}.") from error
    return chosen_classes(content, text, class_names(context.params["class_map"]))


def _limit(_context: click.Context, _option: click.Parameter, text: str | None) -> float:
    """Read ``500`` or ``2.5%``; all of a split is no limit."""
    if text is None:
        return 0
    percent = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", text)
    if percent and 0 < float(percent[1]) <= 100:
        return float(percent[1]) / 100 if float(percent[1]) < 100 else 0
    if re.fullmatch("0*[1-9][0-9]*", text):
        return int(text)
    raise UsageError(f"--limit {text} is neither a number of images, such as 500, nor a share, such as 10%.")


def _test_list(_context: click.Context, _option: click.Parameter, path: Path | None) -> tuple[str, ...]:
    from imagenet_prep.imagenet.lists import listed_train_names

    return listed_train_names(path.read_bytes(), path.name) if path else ()


def _exclude(_context: click.Context, _option: click.Parameter, path: Path | None) -> tuple[str, ...]:
    from imagenet_prep.imagenet.lists import listed_names

    return listed_names(path.read_bytes(), path.name) if path else ()


def check_one_hold_out(context: click.Context) -> None:
    """Refuse --test-list beside --test-per-class: each says alone what the test split is."""
    if context.params["test_list"] and context.get_parameter_source("test_per_class") is not ParameterSource.DEFAULT:
        raise UsageError("--test-list takes the place of --test-per-class: give one of the two.")


_OPTIONS = (
    click.option(
        "--exclude",
        type=LocalPath(exists=True, dir_okay=False),
        callback=_exclude,
        help="Leave these images out: a file name on each line. They are counted, and listed in splits/excluded.txt.",
    ),
    click.option(
        "--test-list",
        type=LocalPath(exists=True, dir_okay=False),
        callback=_test_list,
        help="The test split by name instead: a train image on each line, as in the splits/test.txt of any build.",
    ),
    click.option(
        "--classes",
        metavar="FILE|PRESET",
        callback=_classes,
        help="These classes alone: a file with a WNID, class index or name on each line; or imagenette, imagewoof or "
        "imagenet100 (a file of that name is ./imagenette).",
    ),
    click.option(
        "--images-per-class",
        type=click.IntRange(min=1),
        callback=lambda _context, _option, number: number or 0,
        metavar="N",
        help="At most N images of each class in each split.",
    ),
    click.option(
        "--limit",
        metavar="N|P%",
        callback=_limit,
        help="At most N images of each split, or P percent of it; 10% contains 1%.",
    ),
)


def subset_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, whose parameters are then named as in PlanOptions."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command

"""``imagenet-prep resume OUT [SOURCE…]``, and what it has in common with repair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_prep.cli.build import summed_up
from imagenet_prep.cli.invocation import note_resuming
from imagenet_prep.cli.options import LocalPath, engine_option, jobs_option, output_options
from imagenet_prep.cli.progress import watching
from imagenet_prep.cli.screen import say

if TYPE_CHECKING:
    from imagenet_prep.model.report import Report


def going_on(command: Callable[..., Any]) -> click.Command:
    """Make a command that works on an existing data set."""
    out = click.argument("out", type=LocalPath(exists=True, file_okay=False))
    sources = click.argument("sources", nargs=-1, metavar="[SOURCE…]", type=LocalPath(readable=False))
    options = jobs_option(engine_option(output_options(click.pass_context(command))))
    return click.command()(out(sources(options)))


def run(
    context: click.Context,
    step: Callable[..., Report],
    show: Callable[[Report, str], str],
    *,
    out: Path,
    sources: tuple[Path, ...],
    as_json: bool,
    quiet: bool,
    **how: Any,
) -> None:
    """Run the verb on a data set, and print its report."""
    note_resuming(context)
    with watching(as_json=as_json, quiet=quiet) as watch:
        report = step(out, sources, watch=watch, **how)
    result, code = summed_up(report, out, show, as_json=as_json)
    say(result, whole=as_json)
    context.exit(code)


@going_on
def resume(context: click.Context, /, **given: Any) -> None:
    """Finish the data set in OUT as it was started, without typing anything again.

    Its recipe and sources are remembered. Give SOURCE if the sources were moved.
    """
    from imagenet_prep.cli import show
    from imagenet_prep.verbs.resume import resume as resume_step

    run(context, resume_step, show.resumed, **given)

"""``imagenet-prep resume OUT [SOURCE…]``."""

from __future__ import annotations

from pathlib import Path

import click

from imagenet_prep.cli.build import summed_up
from imagenet_prep.cli.invocation import note_resuming
from imagenet_prep.cli.options import LocalPath, engine_option, jobs_option, output_options
from imagenet_prep.cli.progress import watching


@click.command()
@click.argument("out", type=LocalPath(exists=True, file_okay=False))
@click.argument("sources", nargs=-1, metavar="[SOURCE…]", type=LocalPath(readable=False))
@jobs_option
@engine_option
@output_options
@click.pass_context
def resume(
    context: click.Context,
    out: Path,
    sources: tuple[Path, ...],
    jobs: int,
    engine: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Finish the data set in OUT as it was begun, without typing anything again.

    Its recipe and its sources are remembered; SOURCE replaces these where they were moved.
    """
    from imagenet_prep.verbs.resume import resume as resume_step

    note_resuming(context)
    with watching(as_json=as_json, quiet=quiet) as watch:
        report = resume_step(out, sources, jobs=jobs, watch=watch, engine=engine)
    result, code = summed_up(report, out, as_json=as_json)
    click.echo(result)
    context.exit(code)

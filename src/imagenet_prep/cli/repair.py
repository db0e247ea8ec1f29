"""``imagenet-prep repair OUT [SOURCE…]``."""

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
def repair(
    context: click.Context,
    out: Path,
    sources: tuple[Path, ...],
    jobs: int,
    engine: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Read the data set in OUT back, and write again what is damaged or missing.

    Everything is compared with its receipt. The sources are those of the build, or SOURCE where they were moved.
    """
    from imagenet_prep.verbs.resume import repair as repair_step

    note_resuming(context)
    with watching(as_json=as_json, quiet=quiet) as watch:
        report = repair_step(out, sources, jobs=jobs, watch=watch, engine=engine)
    result, code = summed_up(report, out, as_json=as_json)
    click.echo(result)
    context.exit(code)

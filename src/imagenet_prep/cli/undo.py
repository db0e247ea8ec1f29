"""``imagenet-prep undo OUT``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from imagenet_prep.cli.invocation import note_resuming
from imagenet_prep.cli.options import LocalPath, output_options
from imagenet_prep.cli.progress import watching
from imagenet_prep.cli.screen import say


@click.command()
@click.argument("out", type=LocalPath(exists=True, file_okay=False, readable=False))
@output_options
@click.pass_context
def undo(context: click.Context, out: Path, as_json: bool, quiet: bool) -> None:
    """Remove the data set in OUT, finished or not, and put files back that --transfer move has moved.

    Files in OUT that the build did not make are kept. The same command resumes.
    """
    note_resuming(context)
    from imagenet_prep.cli import show
    from imagenet_prep.verbs.undo import undo as undo_step

    with watching(as_json=as_json, quiet=quiet) as watch:
        report = undo_step(out, watch=watch)
    say(json.dumps(asdict(report)) if as_json else show.undone(report, str(out)), whole=as_json)

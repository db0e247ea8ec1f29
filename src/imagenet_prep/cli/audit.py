"""``imagenet-prep audit OUT``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_prep.cli import show
from imagenet_prep.cli.options import LocalPath, engine_option, jobs_option, output_options, share
from imagenet_prep.cli.progress import watching
from imagenet_prep.cli.screen import say
from imagenet_prep.errors import AuditError, UsageError
from imagenet_prep.model.audit_report import AuditOptions
from imagenet_prep.model.events import Watch

if TYPE_CHECKING:
    from imagenet_prep.verbs.audit.others.report import ForeignReport, ForeignSet, ForeignSplit


@click.command()
@click.argument("out", type=LocalPath(exists=True, file_okay=False, readable=False))
@click.option("--decode", is_flag=True, help="Also decode every image (much slower).")
@click.option(
    "--sample",
    metavar="P%",
    callback=lambda _context, _option, text: share(text, "--sample"),
    help="Read only this share of the shards, chosen at random; everything else is compared in full.",
)
@click.option("--fingerprint", is_flag=True, help="Say by what others know whether they have the same images.")
@click.option(
    "--against",
    type=LocalPath(exists=True),
    metavar="OTHER/build.json",
    help="Say whether another data set has the same images, and which differ.",
)
@jobs_option
@engine_option
@output_options
@click.pass_context
def audit(
    context: click.Context,
    /,
    out: Path,
    engine: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Read every record of the data set in OUT back, and compare it with what it should be.

    A data set of this program is compared with its manifest; the source is not needed, except for symbolic links into
    it. Any other data set (class folders, classic TFRecords, TFDS) is compared with the built-in class table and
    validation classes; the report says what it is and what its labels mean. With differences the exit code is 7.
    """
    from imagenet_prep.verbs.audit.run import is_own

    options = AuditOptions(**given)
    with watching(as_json=as_json, quiet=quiet) as watch:
        result, sound = (_own if is_own(out) else _foreign)(out, options, watch, engine, as_json)
    say(result, whole=as_json)
    if not sound:
        context.exit(AuditError.exit_code)


def _own(out: Path, options: AuditOptions, watch: Watch, engine: str | None, as_json: bool) -> tuple[str, bool]:
    """Audit a data set of this program; give what to print. Raises AuditError for what differs."""
    from imagenet_prep.verbs.audit.run import audit as audit_step

    report = audit_step(out, options, watch=watch, engine=engine)
    same = report.against is None or report.against.equal
    return json.dumps(asdict(report)) if as_json else show.audited(report, str(out)), same


def _foreign(out: Path, options: AuditOptions, watch: Watch, engine: str | None, as_json: bool) -> tuple[str, bool]:
    """Look at a data set that others made; give what to print, and whether it is sound."""
    from imagenet_prep.verbs.audit.others.run import audit_foreign

    if options.fingerprint or options.against:
        raise UsageError(f"{out} is not a data set of this program, which alone has fingerprints and is compared.")
    report = audit_foreign(out, options, watch=watch, engine=engine)
    return json.dumps(asdict(report)) if as_json else looked_at(report, str(out)), not report.problems


def looked_at(report: ForeignReport, out: str) -> str:
    """Show what a data set is, remarks, and the verdict: sound, or what is wrong with it."""
    lines = [
        f"{out} is not a build of imagenet-prep. It was compared with the built-in class table and validation truth."
    ]
    for each in report.sets:
        lines += ["", *_set(each)]
    if report.sample < 1:
        share = f"{100 * report.sample:g} % of the shards or class folders of each split"
        lines += ["", f"Only {share} were read: it is not known what is missing."]
    lines += show.listed(report.remarks, "remark", "remarks")
    lines += show.listed(report.problems, "problem", "problems")
    if not report.problems:
        how = "decoded in full" if report.decoded else "read"
        lines += ["", f"Sound: {report.images:,} images {how}, each with the class it should have."]
    return "\n".join(lines)


def _set(each: ForeignSet) -> list[str]:
    rows = [("split", "images", "classes", "in a class", "parts", "bytes"), *map(_row, each.splits)]
    labels = [(split.name, split.labels) for split in each.splits]
    return [
        f"{each.layout}, in {each.path}:",
        show.table(rows),
        "labels:",
        show.table(labels, flush_right=False),
    ]


def _row(split: ForeignSplit) -> tuple[str, ...]:
    in_a_class = show.span(split.smallest, split.largest)
    return split.name, f"{split.images:,}", f"{split.classes:,}", in_a_class, f"{split.parts:,}", show.size(split.size)

"""``imagenet-prep build SOURCE… OUT``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imagenet_prep.cli.invocation import note_resuming
from imagenet_prep.cli.options import class_map_option, class_names, engine_option, jobs_option, output_options
from imagenet_prep.cli.progress import watching
from imagenet_prep.cli.subset import check_one_hold_out, subset_options
from imagenet_prep.errors import UsageError
from imagenet_prep.imagenet.archives import SPLITS, VALIDATION
from imagenet_prep.model.task import DECODE, FAIL, HEADER, ON_BAD
from imagenet_prep.options import COPY, TEST_PER_CLASS, TRANSFERS
from imagenet_prep.outputs.class_folders import NAMES, VALIDATION_FOLDERS

if TYPE_CHECKING:
    from imagenet_prep.model.events import Watch
    from imagenet_prep.verbs.build.run import BuildOptions

_SET_ASIDE = 3  # the exit code of a build that is done, but without some images
_FORMATS = ("tfrecord", "tfds", "folders")  # the keys of FORMATS, here without loading the formats: a test compares


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…", type=click.Path(readable=False, path_type=Path))
@click.argument("out", type=click.Path(readable=False, path_type=Path))
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(_FORMATS),
    default=("tfrecord",),
    show_default=True,
    help="What to write; may be given several times, which costs one read of the source all the same.",
)
@click.option(
    "--test-per-class",
    type=click.IntRange(min=0),
    default=TEST_PER_CLASS,
    show_default=True,
    metavar="N",
    help="Labelled images per class that leave train and become the test split; 0 keeps the standard train set.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses which images are held out and kept.")
@subset_options
@click.option(
    "--names",
    type=click.Choice(list(NAMES)),
    default="name",
    show_default=True,
    help="How class folders are called: tench, n01440764, or 000_tench, which sorts in the order of the class index.",
)
@click.option(
    "--validation-folder",
    type=click.Choice(VALIDATION_FOLDERS),
    default=VALIDATION,
    show_default=True,
    help="What validation's folder is called; with val and --names wnid, torchvision's ImageNet reads the folders.",
)
@click.option(
    "--transfer",
    type=click.Choice(TRANSFERS),
    default=COPY,
    show_default=True,
    help="How images that are files get into class folders (with --format folders alone). A move can be undone.",
)
@click.option(
    "--split", "splits", multiple=True, type=click.Choice(SPLITS), help="Write this split alone; may be given twice."
)
@click.option(
    "--shards",
    multiple=True,
    metavar="SPLIT=N",
    callback=lambda _context, _option, texts: _shards(texts),
    help="Number of shards of a split, such as train=64.",
)
@click.option(
    "--on-bad",
    type=click.Choice(ON_BAD),
    default=FAIL,
    show_default=True,
    help="Of an image that cannot be used: finish the shards that have none, and fail; or leave it out, keep its bytes "
    "in set-aside/, and end with code 3.",
)
@click.option(
    "--check",
    type=click.Choice((HEADER, DECODE)),
    default=HEADER,
    show_default=True,
    help="How closely every image is looked at: its header and end, or decoded to its last pixel (much slower).",
)
@click.option("--repair", is_flag=True, help="Read finished shards back, and write those anew that are damaged.")
@click.option("--fresh", is_flag=True, help="Take away what an earlier build made in OUT, and begin anew.")
@class_map_option
@jobs_option
@engine_option
@click.option("--dry-run", is_flag=True, help="Show the plan and write nothing.")
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
    **recipe: Any,
) -> None:
    """Make a data set in the folder OUT from SOURCE: a folder with the archives or with images, or several such.

    Images become the splits train, validation and test (labelled images held out of train), shuffled, in shards, or in
    class folders. Nothing of the source is changed, but by --transfer move. The same command again goes on where it
    stopped.

    A subset (--classes, --images-per-class, --limit) keeps the labels, class indexes 0 to 999, of the whole.

    \b
    imagenet-prep build ~/archives ~/imagenet --dry-run
    imagenet-prep build ~/archives ~/imagenet --format tfrecord --format tfds
    imagenet-prep build ~/archives ~/imagenet --split validation
    imagenet-prep build ~/archives ~/imagenette --classes imagenette
    imagenet-prep build ~/archives ~/folders --format folders
    imagenet-prep build ~/ILSVRC ~/sorted --format folders --transfer move
    """  # noqa: D301 — the backslash is click's mark for lines to leave as they are
    from imagenet_prep.verbs.build.run import BuildOptions

    check_one_hold_out(context)
    if not dry_run:
        note_resuming(context)
    options = BuildOptions(taxonomy=class_names(class_map), **recipe)
    with watching(as_json=as_json, quiet=quiet) as watch:
        result, code = (_planned if dry_run else _built)(sources, out, options, watch, engine, as_json)
    click.echo(result)  # when the bar is gone: it would erase what is printed beside it
    context.exit(code)


def _built(
    sources: tuple[Path, ...], out: Path, options: BuildOptions, watch: Watch, engine: str | None, as_json: bool
) -> tuple[str, int]:
    """Build; give what to print, and the exit code."""
    from imagenet_prep.cli import show
    from imagenet_prep.verbs.build.run import build as build_step

    report = build_step(sources, out, options, watch=watch, engine=engine)
    text = json.dumps(asdict(report)) if as_json else show.summary(report, str(out))
    return text, _SET_ASIDE if report.set_aside else 0


def _planned(
    sources: tuple[Path, ...], out: Path, options: BuildOptions, watch: Watch, engine: str | None, as_json: bool
) -> tuple[str, int]:
    from imagenet_prep.cli import show
    from imagenet_prep.verbs.build.run import preview

    the_plan = preview(sources, out, options, watch=watch, engine=engine)
    from imagenet_prep.planning.remarks import remarks  # with Arrow, which the index has loaded meanwhile

    if as_json:
        shards = [[str(shard.name), len(shard.rows), shard.size] for shard in the_plan.shards]
        return json.dumps({**the_plan.document(), "shards": shards}), 0
    lines = [f"This would be written to {out}, as {' and '.join(the_plan.formats)}:", show.planned(the_plan)]
    return "\n".join([*lines, *remarks(the_plan), "Nothing was written."]), 0


def _shards(texts: tuple[str, ...]) -> dict[str, int]:
    shards = {}
    for text in texts:
        split, equals, number = text.partition("=")
        if not equals or not number.isascii() or not number.isdigit():
            raise UsageError(f"--shards {text!r} is not of the form train=64.")
        shards[split] = int(number)
    return shards

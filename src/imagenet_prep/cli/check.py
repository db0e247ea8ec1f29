"""``imagenet-prep check SOURCE…``."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagenet_prep.cli import show
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
from imagenet_prep.cli.screen import say
from imagenet_prep.errors import SourceError, counted
from imagenet_prep.imagenet.archives import CLASS_COUNT, SPLITS, TEST, TRAIN, UNLABELLED, VALIDATION
from imagenet_prep.imagenet.classes import official
from imagenet_prep.options import TEST_PER_CLASS

if TYPE_CHECKING:
    from imagenet_prep.planning.holdings import Holdings, OriginFacts, Piece

_NAMED_CLASSES = 5  # of the missing ones; the rest is counted


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…", type=LocalPath(readable=False))
@click.option("--full", is_flag=True, help="Verify the published checksums, and decode every image (slow).")
@class_map_option
@trust_labels_option
@jobs_option
@engine_option
@output_options
@click.pass_context
def check(
    context: click.Context,
    sources: tuple[Path, ...],
    full: bool,
    class_map: Path | None,
    trust_labels: bool,
    jobs: int,
    engine: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Report what is in SOURCE, what is wrong with it, and what can be built from it. Nothing is written.

    SOURCE is a folder with the archives, with class tars, or with images in folders (by WNID, by class name, flat;
    Kaggle's tree), or several folders and files. With a problem (something damaged, ambiguous or of no use) the exit
    code is 4. Missing or short classes are not a problem: a part of ImageNet can be built, too.
    """
    from imagenet_prep.verbs.check import CheckOptions
    from imagenet_prep.verbs.check import check as check_step

    options = CheckOptions(full=full, jobs=jobs, taxonomy=class_names(class_map), trust_labels=trust_labels)
    with watching(as_json=as_json, quiet=quiet) as watch:
        holdings = check_step(sources, options, watch=watch, engine=engine)
    if as_json:
        say(json.dumps(asdict(holdings)), whole=True)
    else:
        say(_text(holdings, _next(holdings, sources, class_map, trust_labels=trust_labels)))
    if holdings.problems:
        context.exit(SourceError.exit_code)


def _text(holdings: Holdings, next_command: str) -> str:
    lines = [show.table([("what", "form", "bytes", "", "path"), *map(_row, holdings.pieces)], flush_right=False)]
    if holdings.origins:
        rows = [_counts(origin, facts) for origin, facts in holdings.origins.items()]
        lines += ["", show.table([("images of", "images", "classes", "in a class", "image bytes"), *rows])]
        lines += [line for origin, facts in holdings.origins.items() for line in _gaps(origin, facts)]
        lines += _boxes(holdings)
    if holdings.decoded:
        lines.append(f"Decoded in full: {counted(holdings.decoded, 'image')}.")
    lines += show.original(holdings.original)
    lines += [f"Note: {note}" for note in holdings.notes]
    lines += show.listed(holdings.remarks, "remark", "remarks")
    if holdings.problems:
        return "\n".join([*lines, *show.listed(holdings.problems, "problem", "problems")])
    space = ", ".join(f"{name} {show.size(size)}" for name, size in holdings.space.items())
    held_out = " (test is held out of train)" if _test_per_class(holdings) else ""
    lines += ["", f"Can be built: {', '.join(_splits(holdings))}{held_out}."]
    return "\n".join([*lines, f"Space needed: {space}.", f"Next: {next_command}"])


def _row(piece: Piece) -> tuple[str, ...]:
    if piece.role == UNLABELLED:
        about = "not used: these images have no labels"
    elif piece.official_size is None:
        about = ""
    else:
        about = "the official size" if piece.size == piece.official_size else f"officially {piece.official_size:,}"
    if piece.checksum:
        about = ", ".join(filter(None, [about, f"checksum: {piece.checksum}"]))
    return piece.role, piece.form, f"{piece.size:,}" if piece.size else "", about, piece.path


def _counts(origin: str, facts: OriginFacts) -> tuple[str, ...]:
    in_a_class = show.span(facts.smallest, facts.largest)
    return origin, f"{facts.images:,}", f"{CLASS_COUNT - len(facts.missing):,}", in_a_class, show.size(facts.size)


def _boxes(holdings: Holdings) -> list[str]:
    counted = [
        f"{of.boxes:,} in {of.boxed:,} of {of.images:,} {origin} images"
        for origin, of in holdings.origins.items()
        if of.boxes is not None
    ]
    return [f"Bounding boxes: {', '.join(counted)}."] if counted else []


def _gaps(origin: str, facts: OriginFacts) -> list[str]:
    lines = []
    for wnids, what in ((facts.missing, "no image"), (facts.short, "fewer images than any official class")):
        if wnids:
            named = ", ".join(f"{wnid} ({of.name})" for wnid in wnids[:_NAMED_CLASSES] if (of := official().find(wnid)))
            classes = f"{counted(len(wnids), 'class', 'classes')} of {origin} {'has' if len(wnids) == 1 else 'have'}"
            lines.append(f"{classes} {what}: {named}{' …' if wnids[_NAMED_CLASSES:] else ''}")
    return lines


def _test_per_class(holdings: Holdings) -> int:
    """Images of each class that train can spare: as many as usual, or half of its smallest class."""
    train = holdings.origins.get(TRAIN)
    if train is None:
        return 0
    return TEST_PER_CLASS if train.smallest > TEST_PER_CLASS else train.smallest // 2


def _splits(holdings: Holdings) -> list[str]:
    return [split for split in SPLITS if split in holdings.origins or (split == TEST and _test_per_class(holdings))]


def _next(holdings: Holdings, sources: tuple[Path, ...], class_map: Path | None, *, trust_labels: bool) -> str:
    """A command that can be pasted."""
    words = ["imagenet-prep", "build", *map(str, sources), "DATA"]
    if class_map:
        words += ["--class-map", str(class_map)]
    if trust_labels:
        words.append("--trust-labels")
    if not {TRAIN, VALIDATION} <= holdings.origins.keys():  # a build without --split wants both
        words += [word for split in _splits(holdings) for word in ("--split", split)]
    if TRAIN in holdings.origins and _test_per_class(holdings) != TEST_PER_CLASS:
        words += ["--test-per-class", str(_test_per_class(holdings))]
    return shlex.join(words)

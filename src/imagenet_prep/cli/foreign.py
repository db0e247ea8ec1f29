"""How the look at a data set that others made is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagenet_prep.cli import show

if TYPE_CHECKING:
    from imagenet_prep.verbs.audit.others.report import ForeignReport, ForeignSet, ForeignSplit


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
    several = split.smallest != split.largest
    in_a_class = f"{split.smallest:,} to {split.largest:,}" if several else f"{split.smallest:,}"
    return split.name, f"{split.images:,}", f"{split.classes:,}", in_a_class, f"{split.parts:,}", show.size(split.size)

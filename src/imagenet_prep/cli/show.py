"""How values are shown to people: sizes, counts, times, tables, and what was made where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_prep.errors import SHOWN_PROBLEMS, Problem, counted
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.validation_classes import ValidationClasses
from imagenet_prep.outputs.base import OUTPUTS, output_class

if TYPE_CHECKING:
    from imagenet_prep.imagenet.class_map import ClassNames
    from imagenet_prep.model.audit_report import AuditReport
    from imagenet_prep.model.comparison import Comparison, Fingerprint
    from imagenet_prep.model.original import Original
    from imagenet_prep.model.report import Report
    from imagenet_prep.planning.plan import Plan
    from imagenet_prep.verbs.undo import UndoReport

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def size(number: float) -> str:
    """Say a number of bytes in decimal units, as disks are sold and transfers are measured."""
    for unit, name in _UNITS:
        if number >= unit:
            return f"{number / unit:,.1f} {name}"
    return f"{number:,.0f} bytes"


def duration(seconds: float) -> str:
    """Say a time: ``8.4 s``, ``3 min 20 s``, ``1 h 12 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def span(smallest: int, largest: int) -> str:
    """Give the range of some numbers."""
    return f"{smallest:,}" if smallest == largest else f"{smallest:,} to {largest:,}"


def table(rows: Sequence[Sequence[str]], *, flush_right: bool = True) -> str:
    """Set rows in columns: the first flush left, the others too, or for numbers flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        for cell, width in zip(others, widths[1:], strict=True):
            cells.append(cell.rjust(width) if flush_right else cell.ljust(width))
        lines.append(f"  {'  '.join(cells)}".rstrip())
    return "\n".join(lines)


def planned(plan: Plan) -> str:
    """Show a plan: images, bytes, and shards of each split."""
    rows = [("split", "images", "image bytes", *(f"{each.output.name} shards" for each in plan.outputs))]
    for split in plan.splits:
        counts = (sum(shard.name.split == split for shard in each.shards) for each in plan.outputs)
        rows.append((split, f"{plan.images_of(split):,}", size(plan.size_of(split)), *(f"{n:,}" for n in counts)))
    rows.append(("together", f"{plan.images:,}", size(plan.size), *(f"{len(each.shards):,}" for each in plan.outputs)))
    return table(rows)


def summary(report: Report, out: str, what_next: Iterable[str] = ()) -> str:
    """Show what a build made: what went where, how many, what was converted, how fast; and what comes next."""
    rows = [("split", "images", "shards", "image bytes")]
    rows += [
        (name, f"{split.images:,}", f"{split.shards:,}", size(split.size)) for name, split in report.splits.items()
    ]
    lines = [f"Built {counted(report.images, 'image')} in {out}:", table(rows)]
    lines += ["", branches(out, report.outputs), ""]
    lines += _accounts(report)
    if report.linked:
        lines.append(f"Linked or moved {counted(report.linked, 'file')}, and read none of these.")
    seen = original(report.original)
    last = bool(report.original and report.original.is_copy)  # where nobody can miss it
    return "\n".join([*lines, *([] if last else seen), _speed(report), *what_next, *(seen if last else [])])


def _speed(report: Report) -> str:
    if report.bytes_read:
        rate = f"{report.bytes_read / report.seconds / 1e6:,.0f} MB/s"
        speed = f"{size(report.bytes_read)} read once and {size(report.bytes_written)} written once, {rate}"
    elif report.linked:
        speed = f"{report.linked / report.seconds:,.0f} files/s"
    elif report.documents:
        speed = "all shards were there already; the documents beside them were written again"
    else:
        speed = "everything was there already"
    return f"{duration(report.seconds)}: {speed}."


def resumed(report: Report, out: str) -> str:
    """Show what a run finished, or that all was finished before."""
    return summary(report, out) if report.documents else _complete(report, out, "nothing was left to do")


def repaired(report: Report, out: str) -> str:
    """Say what was written again; the rest is as it was."""
    again = [counted(report.shards, "shard")] * bool(report.shards)
    again += ["the documents beside the shards"] * report.documents
    if not again:
        return _complete(report, out, "nothing is damaged")
    were = "was" if again == ["1 shard"] else "were"
    return "\n".join([_complete(report, out, f"{' and '.join(again)} {were} written again"), _speed(report)])


def _complete(report: Report, out: str, what: str) -> str:
    lines = [f"{out} is complete, with {counted(report.images, 'image')}: {what}."]
    return "\n".join(lines + listed(report.set_aside, "image set aside", "images set aside"))


def _accounts(report: Report) -> list[str]:
    """Say what became of images that are not simply written."""
    accounts, lines = report.accounts, []
    if accounts.converted:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(accounts.converted.items()))
        lines.append(f"Converted, as RGB JPEG of quality 100: {kinds}.")
    if accounts.boxes is not None:
        lines.append(f"Bounding boxes: {accounts.boxes:,} in {accounts.boxed:,} of {accounts.written:,} images.")
    if classes := report.validation_classes:
        lines.append(f"Classes of validation: {_followed(classes)}")
    lines += _misnamed(report.class_names)
    rest = {"excluded by name": accounts.excluded, "of other splits or outside the subset": accounts.not_chosen}
    parts = [f"{accounts.written:,} written", f"{accounts.set_aside:,} set aside"]
    parts += [f"{count:,} {what}" for what, count in rest.items() if count]
    lines.append(f"Of {accounts.entries:,} images in the source: {', '.join(parts)}.")
    return lines + listed(report.set_aside, "image set aside", "images set aside")


def _misnamed(names: ClassNames | None) -> list[str]:
    return [f"Class names: the class map {names.difference}."] if names and names.of_others else []


def _followed(classes: ValidationClasses) -> str:
    said = classes.difference if classes.different else "has the published ones"
    return f"{classes.source}{'' if classes.different else ', which'} {said}."


def original(seen: Original | None) -> list[str]:
    """Say whether images seem to be the original ones."""
    return [f"Warning: {seen.sentence}" if seen.is_copy else seen.sentence] if seen else []


def listed(problems: Sequence[Problem], one: str, many: str) -> list[str]:
    """List problems under a line that counts them; a long list is cut."""
    if not problems:
        return []
    lines = ["", f"{len(problems):,} {one if len(problems) == 1 else many}:"]
    lines += [f"  {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"  … and {len(problems) - SHOWN_PROBLEMS:,} more (--json has all)")
    return lines


def audited(report: AuditReport, out: str) -> str:
    """Show the verdict of an audit that found nothing wrong."""
    decoded = ", and each image decoded" if report.decoded else ""
    rows = [("split", "images", "classes", "in a class")]
    for split, of in report.splits.items():
        rows.append((split, f"{of.images:,}", f"{of.classes:,}", span(of.smallest, of.largest)))
    read = f"{report.records:,} records in {size(report.size)} read back"
    sample = report.shards_read < report.shards
    what = f"What was read of {out}, {report.shards_read:,} of {report.shards:,} shards," if sample else out
    lines = [f"{what} is sound: {read}, each as the manifest says{decoded}.", table(rows)]
    if report.set_aside:
        lines.append(f"Set aside when it was built, and not in the data: {report.set_aside:,}.")
    if (classes := report.validation_classes) and classes.different:
        lines.append(f"Classes of validation, as the build took them: {_followed(classes)}")
    lines += _misnamed(report.class_names)
    lines += original(report.original)
    if not report.resumable:
        lines.append(f"{PRIVATE} is missing: this build can neither be resumed nor repaired.")
    if report.undigested:
        lines.append(
            f"Of {report.undigested:,} images that were linked or moved, name, class and size were compared, but not "
            "the bytes: they were not read when the build was made. `imagenet-prep check --full` decodes them."
        )
    lines += _fingerprints(report.fingerprints)
    return "\n".join([*lines, *(_against(report.against) if report.against else [])])


def _fingerprints(of: Mapping[str, Fingerprint]) -> Iterator[str]:
    for split, each in of.items():
        if each.sha256:
            how = "SHA-256 of its sha256sum lines sorted by name"
            yield f"Fingerprint of {split}, {each.images:,} images, {how}: {each.sha256}"
        else:
            keeps = next(name for name in OUTPUTS if not output_class(name).converts)
            yield (
                f"No fingerprint of {split}: images of it were converted ({each.converted:,}), and no format here has "
                f"the bytes of the source, as {keeps} would."
            )
    if unread := sum(each.unread for each in of.values()):
        yield f"Of {unread:,} linked or moved images it is of the bytes of now: the build did not read them."


def _against(found: Comparison) -> Iterator[str]:
    if found.equal:
        yield f"The same {found.the_same:,} images are in {found.other}."
    else:
        yield (
            f"Other images are in {found.other}: only here {found.only_here:,}, only there {found.only_there:,}, "
            f"with other bytes {found.other_bytes:,}, with another class {found.other_class:,}, the same "
            f"{found.the_same:,}."
        )
    if found.elsewhere:
        yield f"In another split there: {found.elsewhere:,} of the same images."
    if found.unread:
        yield (
            f"Of {found.unread:,} of the same images only the size was compared: they were linked or moved, and the "
            "build did not read them."
        )
    yield from listed(found.differences, "difference", "differences")


def branches(out: str, outputs: Mapping[str, str]) -> str:
    """Show what lies in an output folder as a short tree; ``outputs`` says what each path below it is."""
    rows = [(f"{out.rstrip('/')}/", "")]
    for path, what in outputs.items():
        *above, name = path.rstrip("/").split("/")
        rows.append(("  " * (len(above) + 1) + name + ("" if "." in name else "/"), what))
    return table(rows, flush_right=False)


def undone(report: UndoReport, out: str) -> str:
    """Say what an undo put back, and what it left alone."""
    lines = [f"Removed {counted(report.removed, 'file')} that the build had put into {out}."]
    if report.moved:
        are = "is where it was" if report.moved == 1 else "are where they were"
        lines.append(f"{counted(report.moved, 'file')} {are} before it was built.")
    if report.kept:
        lines.append(f"Kept in {out}, because the build did not make it: {', '.join(report.kept)}")
    return "\n".join(lines)


def tree(folder: Path) -> str:
    """Show the files of a folder with their sizes, below the folders they are in; hidden ones are left out."""
    every = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    shown = sorted((path.parent, path.name) for path in every if not path.parts[0].startswith("."))
    rows = []
    for parent, files in groupby(shown, itemgetter(0)):
        rows += [(f"{parent}/", "")] * bool(parent.parts)
        indent = "  " * bool(parent.parts)
        rows += [(indent + name, size((folder / parent / name).stat().st_size)) for _, name in files]
    return table(rows)

"""What the parts of one data set mean together: the facts of every split, what is wrong, and what is worth a remark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imagenet_prep.errors import Problem, printable
from imagenet_prep.model.validation_classes import NO_CONVENTION
from imagenet_prep.planning.conventions import CLASS_INDEX, FROM_ONE
from imagenet_prep.verbs.audit.others.dataset import FoundSet
from imagenet_prep.verbs.audit.others.documents import compare_lengths
from imagenet_prep.verbs.audit.others.folders import described, judge_numbering, numbering
from imagenet_prep.verbs.audit.others.judgement import (
    SplitColumns,
    doubled_names,
    judge_labels,
    missing,
    same_images,
    shared_images,
    strangers,
    unknown_classes,
)
from imagenet_prep.verbs.audit.others.look import FolderLook
from imagenet_prep.verbs.audit.others.numbered import Numbers, is_number
from imagenet_prep.verbs.audit.others.observed import Seen
from imagenet_prep.verbs.audit.others.report import ForeignSet, ForeignSplit

_MOST_PROBLEMS = 500  # of single images; the rest is counted
_ORDER = ("train", "validation", "val")  # of splits in a report; others follow
_CLASSIC_LABELS, _TFDS_LABELS = (FROM_ONE, CLASS_INDEX), (CLASS_INDEX,)  # what readers expect, the usual one first
_UNTOLD = "unknown: the records do not say the class"


@dataclass(slots=True)
class Judged:
    """One data set."""

    facts: ForeignSet
    problems: list[Problem]
    remarks: list[Problem]


def judge(found: FoundSet, parts: Sequence[Seen], *, complete: bool) -> Judged:
    """Judge a data set by all its parts, in order. If they are not ``complete``, or a process died over one, nothing is
    said to be missing.
    """
    by_split: dict[str, list[Seen]] = {}
    for part in parts:
        by_split.setdefault(part.split, []).append(part)
    splits = [SplitColumns(name, by_split[name]) for name in sorted(by_split, key=_rank)]
    place = printable(str(found.path))
    result = Judged(ForeignSet(found.layout, place, ()), [*found.problems, *_of_parts(parts)], list(found.remarks))
    result.remarks += [remark for part in parts for remark in part.remarks][:_MOST_PROBLEMS]
    labels = _records(found, splits, place, result) if found.records else _folders(found, splits, place, result)
    for split in splits:
        result.problems += strangers(split)
        result.remarks += same_images(split, place)
    result.remarks += shared_images(splits, place)
    result.problems += doubled_names([*splits, *_astray(splits)])
    if complete and not any(part.lost for part in parts):
        result.problems += missing(splits, place)
    facts = tuple(_facts(split, labels[split.name]) for split in splits)
    result.facts = ForeignSet(found.layout, place, facts)
    return result


def _rank(name: str) -> tuple[int, str]:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER), name


def _astray(splits: Sequence[SplitColumns]) -> Iterator[SplitColumns]:
    for split in splits:
        parts = [part.astray for part in split.parts if part.astray]
        if parts:
            yield SplitColumns(split.name, parts)


def _facts(split: SplitColumns, labels: str) -> ForeignSplit:
    counts = split.counts[split.counts > 0].tolist()
    return ForeignSplit(
        name=split.name,
        origin=split.origin,
        images=len(split),
        parts=len(split.parts),
        size=sum(part.size for part in split.parts),
        classes=len(counts),
        smallest=min(counts, default=0),
        largest=max(counts, default=0),
        labels=labels,
    )


def _of_parts(parts: Sequence[Seen]) -> Iterator[Problem]:
    """Yield what the workers found, up to a bound, and how much more there is."""
    problems = [problem for part in parts for problem in part.problems]
    yield from problems[:_MOST_PROBLEMS]
    more = max(0, len(problems) - _MOST_PROBLEMS) + sum(part.unlisted for part in parts)
    if more:
        yield Problem(problems[-1].archive, f"and {more:,} more problems with single images, up to here")


def _records(found: FoundSet, splits: Sequence[SplitColumns], place: str, result: Judged) -> dict[str, str]:
    """Judge the labels of records, and compare their number with what was promised; give the convention by split."""
    expected = _CLASSIC_LABELS if found.labels_from_one else _TFDS_LABELS
    conventions = {}
    for split in splits:
        convention, problems = judge_labels(split, place, expected)
        conventions[split.name] = convention or _UNTOLD
        result.problems += problems
        result.problems += filter(None, [unknown_classes(split)])
        if found.promised:
            promised = found.promised.get(split.name, [])
            result.problems += compare_lengths(found.path, promised, split.name, split.parts)
        if convention not in (*expected, NO_CONVENTION, ""):
            reason = f"the labels of {split.name} are the {convention}; readers of this layout expect {expected[0]}"
            result.problems.append(Problem(place, reason))
        elif convention in expected[1:]:
            reason = (
                f"the labels of {split.name} are the {convention}; most readers of this layout expect {expected[0]}"
            )
            result.remarks.append(Problem(place, reason))
    result.problems += _differing(conventions, place)
    return conventions


def _differing(conventions: dict[str, str], place: str) -> Iterator[Problem]:
    known = {split: what for split, what in conventions.items() if what not in (NO_CONVENTION, _UNTOLD)}
    if len(set(known.values())) > 1:
        listed = "; ".join(f"{split}: {what}" for split, what in known.items())
        yield Problem(place, f"the splits have different labels: {listed}")


def _folders(found: FoundSet, splits: Sequence[SplitColumns], place: str, result: Judged) -> dict[str, str]:
    """Judge which numbers readers give to class folders; give what they are by split."""
    orders, labels = {}, {}
    for split in splits:
        looks = [look for look in found.looks if isinstance(look, FolderLook) and look.split == split.name]
        orders[split.name] = numbering(looks, split.parts)
        labels[split.name] = described(orders[split.name])
        names = [look.part.name for look in looks if look.part.name]
        if names and all(map(is_number, names)):
            numbers = Numbers(split, looks)
            result.problems += numbers.problems(place)
            if numbers.is_class_index:
                result.remarks.append(Problem(place, numbers.sentence))
            if not numbers.fits:
                orders[split.name], labels[split.name] = [], NO_CONVENTION
    numbered = {name: order for name, order in orders.items() if order}
    if numbered:
        result.problems += judge_numbering(place, numbered)
    return labels

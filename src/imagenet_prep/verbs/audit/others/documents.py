"""What the documents of TensorFlow Datasets promise of the shards beside them: how many records, which class names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from imagenet_prep.codecs.features import FEATURES, INFO, LABELS, shard_lengths
from imagenet_prep.errors import Problem, printable
from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.classes import official
from imagenet_prep.verbs.audit.others.dataset import FoundSet
from imagenet_prep.verbs.audit.others.observed import Seen


def promised_lengths(root: Path, found: FoundSet, *, needed: bool) -> dict[str, list[int]]:
    """Give the records of every shard by split, as ``dataset_info.json`` has them; what is wrong with it goes to
    ``found``.
    """
    place = printable(str(root / INFO))
    try:
        lengths = shard_lengths((root / INFO).read_bytes())
    except FileNotFoundError:
        if needed:
            found.problems.append(Problem(place, "is missing: TensorFlow Datasets cannot load the data without it"))
        return {}
    except (OSError, ValueError) as error:
        found.problems.append(Problem(place, f"cannot be read: {error}"))
        return {}
    if needed and not (root / FEATURES).exists():
        found.remarks.append(Problem(printable(str(root / FEATURES)), "is missing: newer readers need it"))
    there = {look.split for look in found.looks}
    for split in sorted(lengths.keys() - there):
        if lengths[split]:
            found.problems.append(Problem(place, f"promises {sum(lengths[split]):,} records of {split}: not one shard"))
    return lengths


def compare_labels(root: Path, found: FoundSet) -> None:
    """Compare the names of the labels, if there are any, with the classes in class index order."""
    path = root / LABELS
    try:
        names = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        found.problems.append(Problem(printable(str(path)), f"cannot be read: {error}"))
        return
    wrong = [place for place, name in enumerate(names[:CLASS_COUNT]) if place not in official().called(name)]
    if len(names) != CLASS_COUNT:
        found.problems.append(Problem(printable(str(path)), f"names {len(names):,} classes of {CLASS_COUNT:,}"))
    if wrong:
        first = wrong[0]
        reason = f"{len(wrong):,} names are not in class index order: label {first} is {printable(names[first])}"
        found.problems.append(Problem(printable(str(path)), f"{reason} instead of {official().classes[first].wnid}"))


def compare_lengths(root: Path, promised: Sequence[int], split: str, parts: Sequence[Seen]) -> Iterator[Problem]:
    """Compare the records that were read with those that were promised, except for shards that could not be read."""
    place = printable(str(root / INFO))
    for part in parts:
        if not part.whole:
            continue
        if part.index >= len(promised):
            yield Problem(place, f"knows {len(promised):,} shards of {split}, and not {part.place}")
            return
        records = len(part) + part.unparsed
        if records != promised[part.index]:
            yield Problem(part.place, f"has {records:,} records; {INFO} promises {promised[part.index]:,}")

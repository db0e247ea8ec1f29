"""Finds data sets of TFRecords that others made, and what the documents beside them promise.

Names show only candidates: shards with the usual numbers, beside each other or in a folder for each split.
The keys of a first record decide; names decide only where no record can be read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from imagenet_prep.codecs.classic_schema import CLASSIC
from imagenet_prep.codecs.example import parse
from imagenet_prep.codecs.record_schema import RecordSchema
from imagenet_prep.codecs.tfds_schema import TFDS
from imagenet_prep.codecs.tfrecord import read_records
from imagenet_prep.errors import AuditError, Problem, printable
from imagenet_prep.imagenet.archives import TEST, TRAIN, VALIDATION
from imagenet_prep.sources.survey import is_folder
from imagenet_prep.verbs.audit.others.dataset import FoundSet
from imagenet_prep.verbs.audit.others.documents import compare_labels, promised_lengths
from imagenet_prep.verbs.audit.others.look import ShardLook
from imagenet_prep.verbs.audit.others.report import ranges

_MOST_KEYS = 10  # in a message
_MOST_NAMED = 100  # files of one series that are not shards
_NUMBERED = re.compile(r"(?P<before>.*?)-?(?P<index>\d{5,9})-of-(?P<count>\d{5,9})(?P<ending>\.tfrecords?|)", re.ASCII)
_PLAIN = re.compile(r"(?P<before>.*)\.tfrecords?")
_SPLIT = re.compile(r"(?<![a-z])(train|training|validation|valid|val|dev|eval|test|testing)(?![a-z])")
_SPLIT_OF = {"train": TRAIN, "training": TRAIN, "test": TEST, "testing": TEST}  # all others are validation


@dataclass(slots=True)
class _Series:
    """Shards that belong together: same folder, same name, same ``count``, which is 0 of a file without a number."""

    folder: Path
    before: str
    count: int
    shards: dict[int, Path] = field(default_factory=dict)

    @property
    def split(self) -> str:
        """The split that the name says, or else the folder's; "all" if neither does."""
        return _split_in(self.before) or _split_in(self.folder.name) or "all"

    @property
    def name(self) -> str:
        """As in a message: ``train-…-of-01024``."""
        return f"{self.before}-…-of-{self.count:05d}" if self.count else self.before


def _split_in(text: str) -> str:
    found = _SPLIT.findall(text.lower())
    return _SPLIT_OF.get(found[-1], VALIDATION) if found else ""


def find_record_sets(out: Path, files: Iterable[Path]) -> tuple[list[FoundSet], list[Problem]]:
    """Find the data sets of TFRecords among the files in ``out``, and what else looks like one by its names."""
    sets: dict[tuple[Path, RecordSchema], list[_Series]] = {}
    strange = []
    for series in _all_series(files):
        keys = _keys(series)
        schema = _schema(series, keys)
        if schema is None and keys:
            place = printable(str(series.folder / series.name))
            named = ", ".join(map(printable, sorted(keys)[:_MOST_KEYS]))
            strange.append(Problem(place, f"its records have keys that are not known: {named}"))
        elif schema:
            in_split_folder = series.folder != out and _SPLIT.fullmatch(series.folder.name.lower())
            root = series.folder.parent if in_split_folder else series.folder
            sets.setdefault((root, schema), []).append(series)
    return [_found_set(out, root, schema, several) for (root, schema), several in sets.items()], strange


def _all_series(files: Iterable[Path]) -> list[_Series]:
    found: dict[tuple[Path, str, int, str], _Series] = {}
    for path in sorted(files):
        if path.name.startswith(".") or not path.is_file():  # patterns do not match it; a pipe would wait forever
            continue
        numbered, plain = _NUMBERED.fullmatch(path.name), _PLAIN.fullmatch(path.name)
        match = numbered or plain
        if match:
            count, index = (int(numbered["count"]), int(numbered["index"])) if numbered else (0, 0)
            series = _Series(path.parent, match["before"], count)
            key = path.parent, match["before"], count, numbered["ending"] if numbered else ""
            found.setdefault(key, series).shards[index] = path
    return sorted(found.values(), key=lambda series: (str(series.folder), series.before, series.count))


def _keys(series: _Series) -> set[str]:
    """Give the keys of the first record that can be read."""
    for _, path in sorted(series.shards.items()):
        try:
            with path.open("rb") as file:
                for _, data in read_records(file, path.name, path.stat().st_size):
                    return set(parse(data))
        except (AuditError, OSError, ValueError):
            continue
    return set()


def _schema(series: _Series, keys: set[str]) -> RecordSchema | None:
    """Give the schema of the records of a series; without a readable record, the one that its name suggests."""
    if CLASSIC.image in keys:
        return CLASSIC
    if {TFDS.image, TFDS.label} <= keys:
        return TFDS
    if keys or series.split == "all":
        return None
    return TFDS if ".tfrecord" in series.before else CLASSIC


def _found_set(out: Path, root: Path, schema: RecordSchema, several: list[_Series]) -> FoundSet:
    found = FoundSet(schema.layout, root, [], labels_from_one=schema.first_label == 1)
    for series in several:
        found.problems += _missing_shards(series)
        for index, path in sorted(series.shards.items()):
            place = printable(str(path.relative_to(out)))
            position = len(found.looks)
            found.looks.append(ShardLook(0, series.split, position, path, place, index, path.stat().st_size, schema))
    for folder, before in dict.fromkeys((series.folder, series.before) for series in several if series.count):
        found.problems += _no_shards(folder, before)
    found.problems += _doubled_splits(root, several)
    found.promised = promised_lengths(root, found, needed=schema is TFDS)
    compare_labels(root, found)
    return found


def _missing_shards(series: _Series) -> Iterator[Problem]:
    if not series.count:
        return
    place = printable(str(series.folder / series.name))
    lost = [index for index in range(min(series.count, 1 << 20)) if index not in series.shards]
    if lost:
        yield Problem(place, f"{len(lost):,} of {series.count:,} shards are missing: {ranges(lost)}")
    beyond = sorted(index for index in series.shards if index >= series.count)
    if beyond:
        yield Problem(place, f"there are shards with numbers that are too high: {ranges(beyond)}")


def _no_shards(folder: Path, before: str) -> Iterator[Problem]:
    """Name files beside shards whose names begin like theirs: readers are given patterns."""
    place, pattern = printable(str(folder)), printable(f"{before}-*")
    with os.scandir(folder) as listed:
        names = (entry.name for entry in listed if entry.name.startswith(f"{before}-") and not is_folder(entry))
        others = sorted(name for name in names if not (_NUMBERED.fullmatch(name) or _PLAIN.fullmatch(name)))
    for name in others[:_MOST_NAMED]:
        yield Problem(place, f"is not a shard, but a pattern such as {pattern} matches it", printable(name))
    if len(others) > _MOST_NAMED:
        more = len(others) - _MOST_NAMED
        yield Problem(place, f"and {more:,} more files that are not shards, but match {pattern}")


def _doubled_splits(root: Path, several: list[_Series]) -> Iterator[Problem]:
    by_split: dict[str, list[_Series]] = {}
    for series in several:
        by_split.setdefault(series.split, []).append(series)
    for split, same in by_split.items():
        if sum(series.count > 0 for series in same) > 1:
            names = " and ".join(printable(series.name) for series in same)
            yield Problem(printable(str(root)), f"{split} is there more than once: {names}; readers may take both")

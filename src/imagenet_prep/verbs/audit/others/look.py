"""Look at one shard or one class folder of a data set that others made: every image, in a worker.

Here are the problems of a single image: a record that is not an Example, bytes that are not an image, a name against a
synset. What takes all images is judged later. Free of Arrow and NumPy, like everything that workers import.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import xxhash

from imagenet_prep.codecs.example import Value, parse
from imagenet_prep.codecs.jpeg import NotAnImageError, decode, inspect
from imagenet_prep.codecs.record_schema import RecordSchema
from imagenet_prep.codecs.tfrecord import read_records
from imagenet_prep.engines.reports import report
from imagenet_prep.errors import AuditError, Problem, printable
from imagenet_prep.imagenet.archives import TRAIN, UNLABELLED, VALIDATION, VALIDATION_IMAGES
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.imagenet.names import STEM, WNID
from imagenet_prep.sources.base import Part, Walk
from imagenet_prep.sources.class_folders import ClassFolders
from imagenet_prep.sources.found import is_read_though_hidden
from imagenet_prep.verbs.audit.others.observed import NO_CLASS, NO_LABEL, ORIGINS, Seen

# As ImageNet names them, with any ending, and with the WNID after the name, as in Hugging Face's archives.
_UNKNOWN_CLASS = -2  # a name of ImageNet's form with a class or a number that ImageNet does not have
_NAME = re.compile(rf"{STEM}(?:_{WNID})?(?:\.[A-Za-z]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ShardLook:
    """One shard; ``place`` is what messages call it, ``index`` its number."""

    data_set: int
    split: str
    position: int
    path: Path
    place: str
    index: int
    size: int
    schema: RecordSchema
    decode: bool = False


@dataclass(frozen=True, slots=True)
class FolderLook:
    """One part of a folder of images, which are read unless only their names count."""

    data_set: int
    split: str
    position: int
    path: Path
    role: str
    part: Part
    read: bool = True
    decode: bool = False


Look = ShardLook | FolderLook


def look(task: Look) -> Seen:
    """Look at a part; whatever is wrong in it is in what was seen."""
    return _shard(task) if isinstance(task, ShardLook) else _folder(task)


def look_in_vain(task: Look) -> Seen:
    """Say that the process that looked at a part died, and the next one, too."""
    place = task.place if isinstance(task, ShardLook) else printable(str(task.path / task.part.name))
    seen = Seen(task.data_set, task.split, task.position, place, whole=False, lost=True)
    seen.problems.append(Problem(place, "was not read: the process that read it died twice"))
    return seen


def _shard(task: ShardLook) -> Seen:
    seen = Seen(task.data_set, task.split, task.position, task.place, task.index, size=task.size)
    try:
        with open(task.path, "rb", buffering=1 << 20) as file:
            for offset, data in read_records(file, task.place, os.fstat(file.fileno()).st_size):
                _record(seen, task, offset, data)
    except AuditError as error:
        seen.whole = False
        for problem in error.problems:
            reason = f"{problem.reason}; what follows was not read"
            seen.problems.append(Problem(task.place, reason, offset=problem.offset))
    except OSError as error:
        seen.whole = False
        seen.problems.append(Problem(task.place, f"cannot be read: {error.strerror or error}"))
    if seen.whole and not len(seen) + seen.unparsed:
        seen.problems.append(Problem(task.place, "is empty: it holds no record"))
    return seen


def _record(seen: Seen, task: ShardLook, offset: int, data: bytes) -> None:
    try:
        features = parse(data)
    except ValueError as error:
        seen.unparsed += 1
        seen.add_problem(Problem(task.place, str(error), offset=offset))
        return
    name = printable(os.path.basename(_text(features, task.schema.name)))
    origin, truth = _origin_and_class(name)
    truth, wrong = _compared(truth, _text(features, task.schema.synset))
    label = _number(features, task.schema.label)
    image = _bytes(features, task.schema.image)
    reason, remark = _judge_image(image, decoding=task.decode)
    _add(seen, name, origin, truth, NO_LABEL if label is None else label, image)
    seen.offsets.append(offset)
    for each in filter(None, (wrong, "has no label" if label is None else "", reason)):
        seen.add_problem(Problem(task.place, each, name, offset))
    if remark:
        seen.add_remark(Problem(task.place, remark, name, offset))


def _compared(by_name: int, synset: str) -> tuple[int, str]:
    """Give the class of a record, and what is wrong with what it says of it: the name counts, then the synset."""
    facts = official().find(synset)
    if by_name == NO_CLASS:
        return (facts.index, "") if facts else (NO_CLASS, "")
    if by_name == _UNKNOWN_CLASS:
        return NO_CLASS, "has a name that no image of ImageNet has"
    if synset and (facts is None or facts.index != by_name):
        return by_name, f"has the synset {printable(synset)}; it is {official().classes[by_name].wnid}"
    return by_name, ""


def _origin_and_class(name: str) -> tuple[int, int]:
    """Give the archive that an image of this name comes from, and its class index."""
    match = _NAME.fullmatch(name)
    if not match:
        return 0, NO_CLASS
    if match[1]:
        facts = official().find(match[1])
        return ORIGINS.index(TRAIN), facts.index if facts else _UNKNOWN_CLASS
    number = int(match[3])
    if match[2] == "test":
        return ORIGINS.index(UNLABELLED), NO_CLASS
    known = 1 <= number <= VALIDATION_IMAGES
    return ORIGINS.index(VALIDATION), validation_truth()[number - 1] if known else _UNKNOWN_CLASS


def _text(features: Mapping[str, Value], key: str) -> str:
    return _bytes(features, key).decode(errors="replace")


def _bytes(features: Mapping[str, Value], key: str) -> bytes:
    """Give the first byte string of a feature, b"" if there is none; a copy, which inspecting and decoding want."""
    values = features.get(key)
    return b"" if not values or isinstance(values[0], int | float) else bytes(values[0])


def _number(features: Mapping[str, Value], key: str) -> int | None:
    values = features.get(key)
    return values[0] if values and isinstance(values[0], int) else None


def _judge_image(data: bytes, *, decoding: bool) -> tuple[str | None, str | None]:
    """Say what is wrong with an image, and what its decoder remarks."""
    try:
        facts = inspect(data)
        return None, decode(data, facts) if decoding else None
    except NotAnImageError as error:
        return str(error), None


def _add(seen: Seen, name: str, origin: int, truth: int, label: int, image: bytes) -> None:
    encoded = name.encode()
    seen.names += encoded + b"\n"
    seen.keys.append(xxhash.xxh3_64_intdigest(encoded) if encoded else 0)
    seen.origins.append(origin)
    seen.truths.append(truth)
    seen.labels.append(label)
    seen.digests.append(xxhash.xxh3_64_intdigest(image) if image else 0)
    report(1, len(image))


def _folder(task: FolderLook) -> Seen:
    within = f"{printable(task.part.name)}/" if task.part.name else ""
    seen = Seen(task.data_set, task.split, task.position, printable(str(task.path)), within=within)
    folders = ClassFolders()
    (found,) = folders.walk(Walk(folders, 0, str(task.path), task.role, (task.part,), validation_truth()))
    for problem in found.problems:
        seen.add_problem(problem)
    seen.astray = _astray(task, seen, found.problems)
    if found.ignored and task.part.name:
        _add_hidden(seen, task)
    start = 0
    for row, length in enumerate(found.lengths):
        name = found.names[start : start + length].decode()
        start += length
        image = _file(seen, task, name) if task.read else b""
        _add(seen, name, ORIGINS.index(task.role), found.class_indexes[row], NO_LABEL, image)
        seen.size += found.sizes[row]
    return seen


def _astray(task: FolderLook, seen: Seen, problems: Iterable[Problem]) -> Seen | None:
    """Give the images that are reported as out of place: they count nowhere, but their names may be there twice."""
    astray = Seen(task.data_set, task.split, task.position, seen.place, within=seen.within)
    for name in (os.path.basename(problem.member or "") for problem in problems):
        if _NAME.fullmatch(name):
            _add(astray, name, *_origin_and_class(name), NO_LABEL, b"")
    return astray if len(astray) else None


def _add_hidden(seen: Seen, task: FolderLook) -> None:
    reason = "is hidden, but readers such as torchvision do not pass it over"
    try:
        with os.scandir(task.path / task.part.name) as listed:
            hidden = sorted(each.name for each in listed if each.name.startswith(".") and is_read_though_hidden(each))
    except OSError as error:
        place = printable(str(error.filename or task.path / task.part.name))
        seen.add_problem(Problem(place, f"cannot be read: {error.strerror or error}"))
        return
    for name in hidden:
        seen.add_problem(Problem(seen.place, reason, seen.within + printable(name)))


def _file(seen: Seen, task: FolderLook, name: str) -> bytes:
    try:
        data = (task.path / task.part.name / name).read_bytes()
        reason, remark = _judge_image(data, decoding=task.decode)
    except OSError as error:
        data, reason, remark = b"", f"cannot be read: {error.strerror or error}", None
    if reason:
        seen.add_problem(Problem(seen.place, reason, seen.within + name))
    if remark:
        seen.add_remark(Problem(seen.place, remark, seen.within + name))
    return data

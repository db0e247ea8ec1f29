"""TFRecord files as a source: those of Inception's and the TPU's scripts, and those of TensorFlow Datasets, by anyone.

An image lies in its record in one piece, so it is read where it lies. Its name, its label and its WNID are compared
with each other and with the published classes. Whoever wrote the records has converted the few images that are not RGB
JPEGs, and the boxes in them are not read: of these other bytes come out than from the archives.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path

from imagenet_prep.codecs.classic_schema import CLASSIC
from imagenet_prep.codecs.example import Value, number_in, text_in
from imagenet_prep.codecs.outline import Outline, OutlineError, outlines
from imagenet_prep.codecs.record_schema import RecordSchema
from imagenet_prep.codecs.tfds_schema import TFDS
from imagenet_prep.errors import Problem, SourceError, counted, printable
from imagenet_prep.imagenet.archives import TRAIN, VALIDATION
from imagenet_prep.imagenet.classes import official
from imagenet_prep.sources.base import Input, Part, Pieces, Seen, Source, Walk
from imagenet_prep.sources.disguise import START_BYTES, packed_by, unpacker
from imagenet_prep.sources.found import LARGEST, Found
from imagenet_prep.sources.labels import ClassOf, base_name, classes_by_name, role_of
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.sources.shard_names import missing_shards, role_of_shard

_NAME = re.compile(
    r"[^.].*\.tfrecords?(?:-\d{1,6}-of-\d{1,6})?|(?:train|validation|val|test)-\d{1,6}-of-\d{1,6}", re.ASCII
)
_SCHEMAS = (CLASSIC, TFDS)
_IMAGES = tuple(schema.image for schema in _SCHEMAS)


class TFRecordShards(Source):
    """TFRecord files of one split in one folder."""

    gives_way = True

    def claims(self, name: str) -> bool:
        """Their names say what they are."""
        return _NAME.fullmatch(name) is not None

    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield the shards of a folder, for each split."""
        roles = {path: role for path in seen.files if self.claims(path.name) and (role := _role(path, seen))}
        ordered = sorted(roles, key=lambda path: (path.parent, roles[path], path.name))
        for (folder, role), paths in groupby(ordered, lambda path: (path.parent, roles[path])):
            names = list(dict.fromkeys(path.name for path in paths))
            seen.problems.extend(missing_shards(folder, names))
            yield Input(role, folder, parts=tuple(Part(name, None) for name in names), source=self)

    def form(self, found: Input) -> str:
        """Count the files."""
        return counted(len(found.parts), "TFRecord file")

    def pieces(self, found: Input) -> Pieces:
        """Give the files."""
        return Pieces(found.parts)

    def walk(self, work: Walk) -> list[Found]:
        """Walk files."""
        return [_walk(work, part.name) for part in work.pieces]


def _role(path: Path, seen: Seen) -> str:
    """Give the role of a file by its first record; "" for what has none that can be used. One that cannot be read is
    noted: it may be all of train.
    """
    name = ""
    try:
        if first := next(_records(path), None):
            name = _said(first)[0]
        else:
            seen.unused[path] = "is empty"
    except (OutlineError, SourceError) as error:
        packed = _packed(path)
        seen.unused[path] = (
            f"is {packed}-compressed: `{unpacker(packed)}` unpacks it" if packed else f"is damaged: {error}"
        )
    except ValueError:  # it has records of something else
        return ""
    role = role_of_shard(path.name, role_of(name) or "")
    return role if role_of(name) in (TRAIN, VALIDATION) else ""


def _packed(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return packed_by(file.read(START_BYTES))
    except OSError:
        return ""


def _records(path: Path) -> Iterator[Outline]:
    with source_errors(path), path.open("rb", buffering=0) as file:
        read = partial(_pread, file.fileno())
        yield from outlines(read, os.fstat(file.fileno()).st_size, _IMAGES)


def _pread(descriptor: int, size: int, offset: int) -> bytes:
    return os.pread(descriptor, size, offset)


def _said(record: Outline) -> tuple[str, RecordSchema]:
    """Give the name of an image, and the schema of its record. Raises ValueError for a record of neither."""
    schema = next((schema for schema in _SCHEMAS if schema.image in record.images), None)
    if schema is None:
        raise ValueError("it has no image")
    return base_name(text_in(record.features, schema.name)), schema


def _walk(work: Walk, shard: str) -> Found:
    found = Found(work.archive, shard)
    class_of = classes_by_name(work.role, work.truth)
    try:
        for record in _records(Path(work.path, shard)):
            _note(found, shard, record, class_of)
    except OutlineError as error:
        found.problems.append(Problem(shard, str(error), offset=error.offset))
    if not found.lengths and not found.problems:
        found.problems.append(Problem(shard, "has no images"))
    return found


def _note(found: Found, shard: str, record: Outline, class_of: ClassOf) -> None:
    """Note the image of a record, or what is wrong with it."""
    name = ""
    try:
        name, schema = _said(record)
        start, size = record.images[schema.image]
        class_index = class_of(name)
        if isinstance(class_index, int):
            class_index = _compared(record.features, schema, class_index)
        if size > LARGEST:
            class_index = f"claims {size:,} bytes, too many for an image"
    except ValueError as error:
        class_index = f"cannot be used: {error}"
    if isinstance(class_index, str):
        found.problems.append(Problem(shard, class_index, printable(name), record.offset))
    else:
        found.add(name, class_index, start, size)


def _compared(features: Mapping[str, Value], schema: RecordSchema, class_index: int) -> int | str:
    """Give the class index, if label and WNID are the same. Raises ValueError if they are not there."""
    facts = official().classes[class_index]
    label = number_in(features, schema.label)
    if label != class_index + schema.first_label:
        return (
            f"has the label {label}, but its name is of class {class_index} ({facts.wnid}, {facts.name}), "
            f"which would be {class_index + schema.first_label}"
        )
    if schema.synset in features and text_in(features, schema.synset) != facts.wnid:
        return f"has the WNID {printable(text_in(features, schema.synset))}, but its name is of {facts.wnid}"
    return class_index

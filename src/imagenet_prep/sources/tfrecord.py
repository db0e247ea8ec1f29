"""TFRecord files as a source: those of Inception's and the TPU's scripts, and those of TensorFlow Datasets, by anyone.

An image lies in its record in one piece, so it is read where it lies. Its name, its label and its WNID are compared
with each other and with the published classes. Whoever wrote the records has converted the few images that are not RGB
JPEGs, and the boxes in them are not read: of these other bytes come out than from the archives.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from imagenet_prep.codecs.classic_schema import CLASSIC
from imagenet_prep.codecs.example import Value, number_in, text_in
from imagenet_prep.codecs.outline import Outline, OutlineError, outlines
from imagenet_prep.codecs.record_schema import RecordSchema
from imagenet_prep.codecs.tfds_schema import TFDS
from imagenet_prep.errors import Problem, SourceError, counted, printable
from imagenet_prep.imagenet.classes import official
from imagenet_prep.sources.base import Input, Seen
from imagenet_prep.sources.disguise import START_BYTES, packed_by, unpacker
from imagenet_prep.sources.found import LARGEST, Found
from imagenet_prep.sources.labels import ClassOf, base_name, other_label
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.sources.shards import Shards

_NAME = re.compile(r"[^.].*\.tfrecords?|[^.].*-\d{1,6}-of-\d{1,6}", re.ASCII)
_SCHEMAS = (CLASSIC, TFDS)
_IMAGES = tuple(schema.image for schema in _SCHEMAS)
_SAID = {key for schema in _SCHEMAS for key in (schema.name, schema.label, schema.synset)}


class TFRecordShards(Shards):
    """TFRecord files whose records have an image, its name and its label."""

    def claims(self, name: str) -> bool:
        """Their names say what they are."""
        return _NAME.fullmatch(name) is not None

    def form(self, found: Input) -> str:
        """Count the files."""
        return counted(len(found.parts), "TFRecord file")

    def first_image(self, seen: Seen, path: Path) -> str:
        """Give that of the first record. A file that cannot be read is noted: it may be all of train."""
        if not self.claims(path.name):
            return ""
        try:
            if first := next(_records(path), None):
                return _said(first)[0]
            seen.unused[path] = "is empty"
        except (OutlineError, SourceError) as error:
            packed = _packed(path)
            unpack = f"is {packed}-compressed: `{unpacker(packed)}` unpacks it" if packed else ""
            seen.unused[path] = unpack or f"is damaged: {error}"
        except ValueError:  # it has records of something else
            pass
        return ""

    def walk_shard(self, path: Path, class_of: ClassOf, found: Found) -> None:
        """Walk its records."""
        try:
            for record in _records(path):
                _note(found, path.name, record, class_of)
        except OutlineError as error:
            found.problems.append(Problem(path.name, str(error), offset=error.offset))


def _packed(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return packed_by(file.read(START_BYTES))
    except OSError:
        return ""


def _records(path: Path) -> Iterator[Outline]:
    with source_errors(path), path.open("rb", buffering=0) as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        yield from outlines(lambda count, offset: os.pread(descriptor, count, offset), size, _IMAGES, _SAID)


def _said(record: Outline) -> tuple[str, RecordSchema]:
    """Give the name of an image, and the schema of its record. Raises ValueError for a record of neither."""
    schema = next((schema for schema in _SCHEMAS if schema.image in record.images), None)
    if schema is None:
        raise ValueError("it has no image")
    return base_name(text_in(record.features, schema.name)), schema


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
        return f"{other_label(label, class_index)}, which would be {class_index + schema.first_label}"
    if schema.synset in features and text_in(features, schema.synset) != facts.wnid:
        return f"has the WNID {printable(text_in(features, schema.synset))}, but its name is of {facts.wnid}"
    return class_index

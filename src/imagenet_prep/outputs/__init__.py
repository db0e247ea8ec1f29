"""Bytes out and back: one module per format, and the table of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from imagenet_prep.errors import UsageError
from imagenet_prep.outputs.base import Format
from imagenet_prep.outputs.folders import FoldersFormat
from imagenet_prep.outputs.tfds import TfdsFormat
from imagenet_prep.outputs.tfrecord import TFRecordFormat

FORMATS: Mapping[str, Format] = MappingProxyType(
    {"tfrecord": TFRecordFormat(), "tfds": TfdsFormat(), "folders": FoldersFormat()}
)


def format_named(name: str) -> Format:
    """Give a format; UsageError lists the names there are."""
    if name not in FORMATS:
        raise UsageError(f"There is no format {name!r}; the formats are {', '.join(FORMATS)}.")
    return FORMATS[name]

"""The columns of a Parquet shard: the image, in the form of Hugging Face, its class, its name, and what it is.

``image.bytes`` comes first: the images of a row group, a page each, and then the other columns, a page each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from imagenet_prep.codecs.jpeg import Kind
from imagenet_prep.codecs.parquet_file import (
    BYTES,
    INT32,
    INT64,
    Column,
    RowGroup,
    footer,
    length_of,
    numbers_in,
    plain_numbers,
    plain_texts,
    present,
    texts_in,
)
from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.sample import Buffer

ROWS = 64  # of a row group, except the last of a file
_CREATED_BY = "imagenet-prep version 1 (build 0)"  # the version of this layout: another program's may write the same
COLUMNS = (
    Column(("image", "bytes"), BYTES),
    Column(("image", "path"), BYTES, text=True),
    Column(("label",), INT64),
    Column(("name",), BYTES, text=True),
    Column(("wnid",), BYTES, text=True),
    Column(("class_name",), BYTES, text=True),
    Column(("lemmas",), BYTES, text=True),
    Column(("width",), INT32),
    Column(("height",), INT32),
    Column(("kind",), BYTES, text=True),
)


class Row(NamedTuple):
    """A sample without its image."""

    name: str
    class_index: int
    width: int
    height: int
    kind: int


_PRESENT = present(COLUMNS[0], 1)


def before_image(image: Buffer) -> bytes:
    """Give what precedes an image in its page."""
    return _PRESENT + length_of(image)


def encode(rows: Sequence[Row], class_names: Sequence[str]) -> list[bytes]:
    """Give the page of each column after the first."""
    classes = official().classes
    names, labels, widths, heights, kinds = zip(*rows, strict=True)
    values = (
        plain_texts(names),
        plain_numbers(INT64, labels),
        plain_texts(names),
        plain_texts([classes[label].wnid for label in labels]),
        plain_texts([class_names[label] for label in labels]),
        plain_texts([classes[label].lemmas for label in labels]),
        plain_numbers(INT32, widths),
        plain_numbers(INT32, heights),
        plain_texts([Kind(kind).name for kind in kinds]),
    )
    return [present(column, len(rows)) + cells for column, cells in zip(COLUMNS[1:], values, strict=True)]


def decode(pages: Sequence[bytes], rows: int) -> list[Row]:
    """Give the rows of which ``encode`` made these pages. Raises ValueError if there are none such."""
    _, label, name, _, _, _, width, height, kind = (
        page[len(present(column, rows)) :] for column, page in zip(COLUMNS[1:], pages, strict=True)
    )
    names, labels, kinds = texts_in(name), numbers_in(INT64, label), texts_in(kind)
    widths, heights = numbers_in(INT32, width), numbers_in(INT32, height)
    if {len(column) for column in (names, labels, kinds, widths, heights)} != {rows}:
        raise ValueError("a column has not one value for each row")
    if any(not 0 <= label < CLASS_COUNT for label in labels):
        raise ValueError(f"a label is none of 0…{CLASS_COUNT - 1}")
    if unknown := set(kinds) - set(Kind.__members__):
        raise ValueError(f"there is no kind {min(unknown)!r}")
    return list(map(Row, names, labels, widths, heights, (Kind[each] for each in kinds)))


def ending(groups: Sequence[RowGroup], class_names: Sequence[str]) -> bytes:
    """Give the end of a shard."""
    return footer(COLUMNS, groups, {"huggingface": _features(tuple(class_names))}, _CREATED_BY)


@cache
def _features(class_names: tuple[str, ...]) -> str:
    """What each column is to Hugging Face: images are decoded, labels have names."""
    types = {INT32: "int32", INT64: "int64", BYTES: "string"}
    features: dict[str, Any] = {column.path[0]: {"dtype": types[column.type], "_type": "Value"} for column in COLUMNS}
    features["image"] = {"_type": "Image"}
    features["label"] = {"names": class_names, "_type": "ClassLabel"}
    return json.dumps({"info": {"features": features}})

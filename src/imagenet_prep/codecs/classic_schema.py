"""The classic record: fifteen ``image/…`` keys, as the Inception scripts wrote them and TPU, MLPerf, DALI and Keras
code reads them. The one home of this schema: what writes such records, what reads them and what judges other people's
go by it.

``image/class/label`` counts from 1 in WNID order (0 meant "background" in that code); format, colour space
and channels always say JPEG, RGB and 3, because that is what readers decode to. Box keys are written even
when empty: DALI invents a box for a missing key.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import cast

from imagenet_prep.codecs import features as spec
from imagenet_prep.codecs.example import (
    Value,
    bytes_entry,
    bytes_in,
    float_entry,
    head_of,
    int64_entry,
    number_in,
    text_in,
)
from imagenet_prep.codecs.record_schema import RecordSchema
from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.sample import Box, Sample

FIRST_LABEL = 1
SIDES = ("xmin", "ymin", "xmax", "ymax")
CLASSIC = RecordSchema(
    layout="TFRecord with the classic image/… keys",
    image="image/encoded",
    label="image/class/label",
    name="image/filename",
    synset="image/class/synset",
    first_label=FIRST_LABEL,
)

_COLORSPACE = bytes_entry("image/colorspace", b"RGB")
_CHANNELS = int64_entry("image/channels", 3)
_FORMAT = bytes_entry("image/format", b"JPEG")
_CONSTANTS = {"image/channels": (3,), "image/colorspace": (b"RGB",), "image/format": (b"JPEG",)}
_BOX_KEYS = ("image/object/bbox/label", *(f"image/object/bbox/{side}" for side in SIDES))


def encode(sample: Sample) -> tuple[bytes, bytes]:
    """Give the bytes before and after the image in the Example of a sample."""
    before = _before(sample.class_index)
    after = (
        bytes_entry("image/filename", sample.name.encode())
        + _FORMAT
        + _pixels("image/height", sample.height)
        + (_boxes(sample) if sample.boxes else _NO_BOXES)
        + _pixels("image/width", sample.width)
    )
    return head_of(before, b"image/encoded", len(sample.image), len(after)), after


@cache
def _before(class_index: int) -> bytes:
    """Encode all entries that sort before ``image/encoded``: they depend on the class alone."""
    facts = official().classes[class_index]
    return (
        _CHANNELS
        + int64_entry("image/class/label", class_index + FIRST_LABEL)
        + bytes_entry("image/class/synset", facts.wnid.encode())
        + bytes_entry("image/class/text", facts.lemmas.encode())
        + _COLORSPACE
    )


_pixels = cache(int64_entry)  # heights and widths repeat: 500 and 375 make up most of them


def _boxes(sample: Sample) -> bytes:
    labels = [sample.class_index + FIRST_LABEL] * len(sample.boxes)
    return int64_entry("image/object/bbox/label", *labels) + b"".join(
        float_entry(f"image/object/bbox/{side}", [getattr(box, side) for box in sample.boxes])
        for side in ("xmax", "xmin", "ymax", "ymin")  # sorted, as all keys are
    )


_NO_BOXES = _boxes(Sample("", b"", 0, 0, 0))


def decode(features: Mapping[str, Value]) -> Sample:
    """Give the sample of a record; lemmas and boxes may be missing, as in the records of the TPU script.

    Raises ValueError that says which key is wrong.
    """
    label, wnid = number_in(features, "image/class/label"), text_in(features, "image/class/synset")
    if not FIRST_LABEL <= label < FIRST_LABEL + CLASS_COUNT:
        raise ValueError(f"image/class/label is {label}, none of {FIRST_LABEL}…{FIRST_LABEL + CLASS_COUNT - 1}")
    if wnid != official().classes[label - FIRST_LABEL].wnid:
        raise ValueError(f"image/class/synset is {wnid!r}, which is not the WNID of label {label}")
    for key, values in _CONSTANTS.items():
        if features.get(key) != values:
            raise ValueError(f"{key} is not {values[0]!r}")
    return Sample(
        name=text_in(features, "image/filename"),
        image=bytes_in(features, "image/encoded"),
        class_index=label - FIRST_LABEL,
        width=number_in(features, "image/width"),
        height=number_in(features, "image/height"),
        boxes=_boxes_in(features, label),
    )


def _boxes_in(features: Mapping[str, Value], label: int) -> tuple[Box, ...]:
    labels, *sides = (features.get(key, ()) for key in _BOX_KEYS)
    if labels != (label,) * len(labels) or {len(side) for side in sides} != {len(labels)}:
        raise ValueError("image/object/bbox has lists of unequal lengths, or a label other than the image's")
    if not all(isinstance(value, float) for side in sides for value in side):
        raise ValueError("image/object/bbox has sides that are not floats")
    return tuple(Box(*box) for box in zip(*cast("list[tuple[float, ...]]", sides), strict=True))


FEATURES = spec.features_dict(
    {
        "image": spec.features_dict(
            {
                "encoded": spec.jpeg(),
                "filename": spec.text(),
                "format": spec.text(),
                "colorspace": spec.text(),
                "channels": spec.scalar("int64"),
                "height": spec.scalar("int64"),
                "width": spec.scalar("int64"),
                "class": spec.features_dict(
                    {"label": spec.scalar("int64"), "synset": spec.text(), "text": spec.text()},
                ),
                "object": spec.features_dict(
                    {
                        "bbox": spec.features_dict(
                            {side: spec.sequence(spec.scalar("float32")) for side in SIDES}
                            | {"label": spec.sequence(spec.scalar("int64"))},
                        )
                    },
                ),
            },
        )
    },
)

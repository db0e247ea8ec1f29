"""One sample of a WebDataset: members ``KEY.jpg``, ``KEY.cls`` and ``KEY.json``, one after the other.

Readers take a member's name up to its first dot for the key of its sample, so a key has no dot; and DALI's index has
spaces between its fields, so it has no space. A tar has no checksums except those of its headers. Here the JSON has
them: that of the image, and last that of all before it. A sample has one form in bytes: what differs from it is damage.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, NamedTuple

import xxhash

from imagenet_prep.codecs.jpeg import Kind
from imagenet_prep.codecs.ustar import BLOCK, header, padding
from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.sample import Sample

_USUAL = re.compile(r"([A-Za-z0-9_-]{1,90})\.JPEG")  # what ImageNet's own names are


class Encoded(NamedTuple):
    """What precedes an image in its shard, and what follows it; and all members: name, where its data begins after the
    start of the sample, and size.
    """

    head: bytes
    tail: bytes
    members: tuple[tuple[str, int, int], ...]


def key_of(name: str) -> str:
    """Give the key of an image: its file name without ``.JPEG``, or for any unusual name a digest of it."""
    usual = _USUAL.fullmatch(name)
    return usual[1] if usual else xxhash.xxh3_128_hexdigest(name.encode("utf-8", "surrogatepass"))


def encode(sample: Sample, class_name: str) -> Encoded:
    """Encode everything of a sample except its image, which lies between head and tail. ``class_name`` is unique."""
    key, size = key_of(sample.name), len(sample.image)
    label, text = b"%d" % sample.class_index, _json(sample, class_name)
    of_class = BLOCK + size + len(padding(size)) + BLOCK
    tail = (
        padding(size)
        + header(f"{key}.cls".encode(), len(label))
        + label
        + padding(len(label))
        + header(f"{key}.json".encode(), len(text))
        + text
        + padding(len(text))
    )
    members = (
        (f"{key}.jpg", BLOCK, size),
        (f"{key}.cls", of_class, len(label)),
        (f"{key}.json", of_class + 2 * BLOCK, len(text)),
    )
    return Encoded(header(f"{key}.jpg".encode(), size), tail, members)


def _json(sample: Sample, class_name: str) -> bytes:
    text = (
        f'{{"filename": {json.dumps(sample.name)}, {_of_class(sample.class_index, class_name)}, '
        f'"width": {sample.width}, "height": {sample.height}, "kind": "{Kind(sample.kind).name}", '
        f'"xxh3_128": "{xxhash.xxh3_128_hexdigest(sample.image)}"'
    )
    return f'{text}, "seal": "{xxhash.xxh3_64_hexdigest(text.encode())}"}}'.encode()


@cache
def _of_class(class_index: int, class_name: str) -> str:
    facts = official().classes[class_index]
    fields = {"label": class_index, "wnid": facts.wnid, "class_name": class_name, "lemmas": facts.lemmas}
    return json.dumps(fields)[1:-1]


def between(image: int) -> int:
    """Give the bytes from the end of an image of so many to the JSON of its sample."""
    return len(padding(image)) + 3 * BLOCK  # header and data of the class index, and the header of the JSON


def decode(image: bytes, text: bytes) -> Sample:
    """Give the sample of an image and its JSON. Raises ValueError for what is not such a JSON."""
    try:
        document: Any = json.loads(text)
        name, label, width, height = (document[key] for key in ("filename", "label", "width", "height"))
        kind = Kind[document["kind"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"the JSON of a sample is not of this schema: {error}") from error
    if not isinstance(name, str) or not all(isinstance(number, int) for number in (label, width, height)):
        raise ValueError("the JSON of a sample has a value of another type")
    if not 0 <= label < CLASS_COUNT:
        raise ValueError(f"the label of a sample is {label}, none of 0…{CLASS_COUNT - 1}")
    return Sample(name, image, label, width, height, kind=kind)

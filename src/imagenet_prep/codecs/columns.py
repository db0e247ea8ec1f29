"""A sample as a row of columns, as MDS and LitData store it: sizes of columns, and then their bytes.

    uint32 sizes · class_name · height · kind · lemmas · name · seal · width · wnid · image · xxh3_128 · label

Numbers are int64, little-endian; texts are UTF-8. The order is the one of MDS, which sorts its columns: there the image
is called ``x`` and the label ``y``. Neither format has checksums in a sample. Here ``xxh3_128`` is that of the image,
and ``seal`` that of all the rest. A sample has one form in bytes: what differs from it is damage.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise

import xxhash

from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.sample import Sample

INT, STR, IMAGE = "int", "str", "image"
COLUMNS = {
    "class_name": STR,
    "height": INT,
    "kind": INT,
    "lemmas": STR,
    "name": STR,
    "seal": STR,
    "width": INT,
    "wnid": STR,
    "image": IMAGE,
    "xxh3_128": STR,
    "label": INT,
}
_NUMBERS_AND_DIGESTS = 4 * 8 + 16 + 32  # bytes: those of which every sample has the same
_ONE, _TWO = struct.Struct("<q"), struct.Struct("<qq")


@dataclass(frozen=True, slots=True)
class Row:
    """How a format stores a row: ``sized`` are the places of the columns whose sizes it writes."""

    sized: tuple[int, ...]

    def encode(self, sample: Sample, class_name: str) -> tuple[bytes, bytes]:
        """Give what precedes and what follows the image of a sample. ``class_name`` is unique."""
        name, (title, lemmas, wnid) = sample.name.encode(), _of_class(sample.class_index, class_name)
        sizes = (len(title), 8, 8, len(lemmas), len(name), 16, 8, len(wnid), len(sample.image), 32, 8)
        stored = struct.pack(f"<{len(self.sized)}I", *(sizes[place] for place in self.sized))
        first = stored + title + _TWO.pack(sample.height, sample.kind) + lemmas + name
        second = _ONE.pack(sample.width) + wnid
        tail = xxhash.xxh3_128_hexdigest(sample.image).encode() + _ONE.pack(sample.class_index)
        seal = xxhash.xxh3_64_hexdigest(first + second + tail).encode()
        return first + seal + second, tail

    def size(self, name: str, class_index: int, class_name: str, image: int) -> int:
        """Give the bytes of a sample, whose image has ``image`` bytes, before anything of the image was read."""
        return (
            4 * len(self.sized)
            + _NUMBERS_AND_DIGESTS
            + len(name.encode())
            + _size_of_class(class_index, class_name)
            + image
        )

    def decode(self, data: bytes, class_names: Sequence[str]) -> Sample:
        """Give the sample of such bytes. Raises ValueError for what this class does not encode."""
        parts = self._parts(data)
        try:
            name = parts["name"].decode()
            label, width, height, kind = (_ONE.unpack(parts[key])[0] for key in ("label", "width", "height", "kind"))
        except (UnicodeDecodeError, struct.error) as error:
            raise ValueError(f"the columns of a sample are not of this schema: {error}") from error
        if not 0 <= label < CLASS_COUNT:
            raise ValueError(f"the label of a sample is {label}, none of 0…{CLASS_COUNT - 1}")
        sample = Sample(name, parts["image"], label, width, height, kind=kind)
        head, tail = self.encode(sample, class_names[label])
        if not (data.startswith(head) and data.endswith(tail)):
            raise ValueError("a sample is not what its columns say")
        return sample

    def _parts(self, data: bytes) -> dict[str, bytes]:
        """Cut a sample into its columns."""
        sizes = [8] * len(COLUMNS)
        start = 4 * len(self.sized)
        if len(data) < start:
            raise ValueError("a sample is too short for the sizes of its columns")
        for place, size in zip(self.sized, struct.unpack_from(f"<{len(self.sized)}I", data), strict=True):
            sizes[place] = size
        ends = list(accumulate(sizes, initial=start))
        if ends[-1] != len(data):
            raise ValueError("the columns of a sample are longer or shorter than the sample")
        return {column: data[a:b] for column, (a, b) in zip(COLUMNS, pairwise(ends), strict=True)}


@cache
def _of_class(class_index: int, class_name: str) -> tuple[bytes, bytes, bytes]:
    facts = official().classes[class_index]
    return class_name.encode(), facts.lemmas.encode(), facts.wnid.encode()


@cache
def _size_of_class(class_index: int, class_name: str) -> int:
    return sum(map(len, _of_class(class_index, class_name)))

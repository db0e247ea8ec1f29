"""The classic schema: fifteen ``image/…`` keys, as the Inception scripts wrote them and TPU, MLPerf, DALI and
Keras code reads them.

``image/class/label`` counts from 1 in WNID order (0 meant "background" in that code); format, colour space
and channels always say JPEG, RGB and 3, because that is what readers decode to. Box keys are written even
when empty: DALI invents a box for a missing key. DALI's indexes lie in a folder of their own, where no
``train-*`` pattern catches them, and two documents beside the shards let TensorFlow Datasets read the same
files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import ClassVar, cast

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
from imagenet_prep.codecs.tfrecord import RecordWriter
from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Box, Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import Contents, Output, Shards, ShardWriter, StoredShard, Written, shards_option
from imagenet_prep.outputs.records import RECORD_COLUMNS, read_shard, record_shards, written_records
from imagenet_prep.stores.base import Batch, Store

FOLDER = "tfrecord"
INDEX_FOLDER = "dali-index"
FIRST_LABEL = 1
SIDES = ("xmin", "ymin", "xmax", "ymax")

_COLORSPACE = bytes_entry("image/colorspace", b"RGB")
_CHANNELS = int64_entry("image/channels", 3)
_FORMAT = bytes_entry("image/format", b"JPEG")
_CONSTANTS = {"image/channels": (3,), "image/colorspace": (b"RGB",), "image/format": (b"JPEG",)}
_BOX_KEYS = ("image/object/bbox/label", *(f"image/object/bbox/{side}" for side in SIDES))


@dataclass(frozen=True, kw_only=True, slots=True)
class TFRecord(Output):
    """``OUT/tfrecord/train-00000-of-01024`` and so on."""

    shards: Shards = shards_option()

    name: ClassVar[str] = "tfrecord"
    folder: ClassVar[str] = FOLDER
    converts: ClassVar[bool] = True
    stores_boxes: ClassVar[bool] = True
    overhead: ClassVar[int] = 1024  # 460 bytes for a long class name, and 20 for each box
    columns: ClassVar[Mapping[str, str]] = RECORD_COLUMNS
    document_paths: ClassVar[tuple[str, ...]] = (f"{FOLDER}/features.json", f"{FOLDER}/dataset_info.json")

    def writer(self, batch: Batch, shard: ShardName, class_names: Sequence[str]) -> ShardWriter:  # noqa: ARG002
        """Open a shard, which will have a DALI index."""
        return _Writer(batch, shard)

    def files(self, stored: StoredShard) -> Sequence[str]:
        """Give the shard, under the name that the field's readers hard-code, and its index."""
        return (_shard_path(stored.shard), _index_path(stored.shard))

    def sample_files(self, stored: StoredShard) -> Sequence[str]:
        """Every sample lies in the shard."""
        return [_shard_path(stored.shard)] * len(stored.names)

    def documents(self, contents: Contents) -> Mapping[str, bytes]:
        """Describe the classic records to TensorFlow Datasets: ``tfds.builder_from_directory("OUT/tfrecord")``."""
        info = spec.dataset_info(
            "imagenet2012_classic", "1.0.0", "{SPLIT}-{SHARD_X_OF_Y}", record_shards(contents), None
        )
        documents = (spec.as_bytes(_FEATURES), spec.as_bytes(info))
        return dict(zip(self.document_paths, documents, strict=True))

    def describe(self, contents: Contents) -> Mapping[str, str]:  # noqa: ARG002
        """Name the two folders."""
        return {
            FOLDER: "TFRecord, classic image/… keys; image/class/label is 1…1000 in WNID order",
            INDEX_FOLDER: "an index of each classic shard, for DALI",
        }

    def read(self, store: Store, stored: StoredShard, seen: list[FileFact] | None = None) -> Iterator[Sample]:
        """Read a shard back; the label becomes a class index again. Lemmas and boxes may be missing, as in the records
        of the TPU script.
        """
        return read_shard(store, _shard_path(stored.shard), _decode, seen)


def _shard_path(shard: ShardName) -> str:
    return f"{FOLDER}/{shard}"


def _index_path(shard: ShardName) -> str:
    return f"{INDEX_FOLDER}/{shard}.idx"


class _Writer(RecordWriter):
    def __init__(self, batch: Batch, shard: ShardName) -> None:
        super().__init__(batch.create(_shard_path(shard)), _encode)
        self._index = batch.create(_index_path(shard))

    def finish(self) -> Written:
        """Complete the shard, and write its index."""
        shard = self.close()
        offsets = accumulate(self.lengths, initial=0)
        self._index.write("".join(f"{o} {n}\n" for o, n in zip(offsets, self.lengths, strict=False)).encode())
        return written_records((shard, self._index.fact()), self.lengths)


def _encode(sample: Sample) -> tuple[bytes, bytes]:
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


def _decode(features: Mapping[str, Value]) -> Sample:
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
        raise ValueError("image/object/bbox has lists of unequal lengths, or another label than the image")
    if not all(isinstance(value, float) for side in sides for value in side):
        raise ValueError("image/object/bbox has sides that are no floats")
    return tuple(Box(*box) for box in zip(*cast("list[tuple[float, ...]]", sides), strict=True))


_FEATURES = spec.features_dict(
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

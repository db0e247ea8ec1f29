"""MDS: shards and an ``index.json`` for mosaicml-streaming, the image as it was in the source.

The columns are those of streaming's own ``StreamingImageNet``, and more: ``x`` is the image, ``y`` the class index. The
encoding of ``x`` is ``jpeg``, so readers get a picture, opened and not decoded; Pillow opens it by its content,
whatever it is. Shards and index have the bytes that streaming's ``MDSWriter`` makes of the same samples. The hash in
the index is ``xxh128``: the digest that a build takes of every file anyway.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from imagenet_prep.codecs.columns import COLUMNS, IMAGE, INT, STR, Row
from imagenet_prep.imagenet.archives import SPLITS
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import Contents, Reader, ShardFacts
from imagenet_prep.outputs.tables import TableOutput

FOLDER = "mds"
HASH = "xxh128"
NAMES = {"image": "x", "label": "y"}  # of columns, where streaming has others
ENCODINGS = {IMAGE: "jpeg", INT: "int", STR: "str"}
_SIZES = [8 if kind == INT else None for kind in COLUMNS.values()]
_CONFIG = {
    "column_encodings": [ENCODINGS[kind] for kind in COLUMNS.values()],
    "column_names": [NAMES.get(name, name) for name in COLUMNS],
    "column_sizes": _SIZES,
    "compression": None,
    "format": "mds",
    "hashes": [HASH],
    "size_limit": None,
    "version": 2,
}
_STREAMING = """\
from streaming.vision import StreamingImageNet
from torchvision.transforms import v2

crop = v2.Compose([v2.RGB(), v2.RandomResizedCrop(224), v2.PILToTensor()])
train = StreamingImageNet(local="DATA/mds", split="train", shuffle=True, batch_size=3, transform=crop)
for image, label in train:
    print(image.shape, label)
    break
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mds(TableOutput):
    """``OUT/mds/train/shard.00000.mds`` and so on, and ``OUT/mds/train/index.json``."""

    name: ClassVar[str] = FOLDER
    folder: ClassVar[str] = FOLDER
    document_paths: ClassVar[tuple[str, ...]] = tuple(f"{FOLDER}/{split}/index.json" for split in SPLITS)
    row: ClassVar[Row] = Row(tuple(place for place, size in enumerate(_SIZES) if size is None))
    fixed: ClassVar[bytes] = json.dumps(_CONFIG, sort_keys=True).encode()
    readers: ClassVar[tuple[Reader, ...]] = (
        Reader("mosaicml", _STREAMING, "mosaicml-streaming", meant_by=("mosaic",)),
    )

    def path(self, shard: ShardName) -> str:
        """Give the name that streaming's writer gives."""
        return f"{FOLDER}/{shard.split}/shard.{shard.index:05d}.mds"

    def index(self, shards: Sequence[ShardFacts]) -> bytes:
        """Say of each shard what is in it, and which hash it has."""
        documents = [{**_CONFIG, "raw_data": _file(of), "samples": of.rows, "zip_data": None} for of in shards]
        return json.dumps({"shards": documents, "version": 2}, sort_keys=True).encode()

    def describe(self, contents: Contents) -> Mapping[str, str]:  # noqa: ARG002
        """Name the folder that readers are given."""
        return {FOLDER: "MDS for mosaicml-streaming; y is 0…999 in WNID order"}


def _file(of: ShardFacts) -> dict[str, object]:
    (file,) = of.files
    return {"basename": file.path.rpartition("/")[2], "bytes": file.size, "hashes": {HASH: file.digest}}

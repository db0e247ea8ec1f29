"""LitData: chunks and an ``index.json`` for litdata's ``StreamingDataset``, the image as it was in the source.

A sample is a dictionary in litdata's own layout, a leaf for each column. ``image`` is ``bytes`` there, not ``jpeg``:
that litdata decodes by itself, with torchvision, and turns it by EXIF, as neither boxes nor sizes expect. There are no
checksums; the digests in each sample are its proof. Chunks have the bytes that litdata's ``BinaryWriter`` makes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import xxhash

from imagenet_prep.codecs.columns import COLUMNS, IMAGE, Row
from imagenet_prep.imagenet.archives import SPLITS
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import Contents, Reader, ShardFacts
from imagenet_prep.outputs.tables import TableOutput

FOLDER = "litdata"
TYPES = {name: "bytes" if kind == IMAGE else kind for name, kind in COLUMNS.items()}
_LEAF: dict[str, object] = {"type": None, "context": None, "children_spec": []}
_TREE = {"type": "builtins.dict", "context": json.dumps(list(COLUMNS)), "children_spec": [_LEAF] * len(COLUMNS)}
_CONFIG = {
    "chunk_bytes": None,
    "chunk_size": None,
    "compression": None,
    "compression_batch_size": None,
    "compression_level": None,
    "data_format": list(TYPES.values()),
    "data_spec": json.dumps([1, _TREE]),
    "encryption": None,
    "ipc_compression": None,
    "item_loader": "PyTreeLoader",
    "types": TYPES,
}
_LITDATA = """\
import io

from litdata import StreamingDataset
from PIL import Image


def decoded(row):
    return Image.open(io.BytesIO(row["image"])).convert("RGB"), row["label"]


for image, label in StreamingDataset("DATA/litdata/train", shuffle=True, transform=decoded):
    print(image.size, label)
    break
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class LitData(TableOutput):
    """``OUT/litdata/train/chunk-0-0.bin`` and so on, and ``OUT/litdata/train/index.json``."""

    name: ClassVar[str] = FOLDER
    folder: ClassVar[str] = FOLDER
    document_paths: ClassVar[tuple[str, ...]] = tuple(f"{FOLDER}/{split}/index.json" for split in SPLITS)
    row: ClassVar[Row] = Row(tuple(range(len(COLUMNS))))
    least_shards: ClassVar[int] = 64  # on shared file systems litdata gives whole chunks to its workers
    readers: ClassVar[tuple[Reader, ...]] = (Reader("litdata", _LITDATA, "litdata pillow", meant_by=("litdata",)),)

    def path(self, shard: ShardName) -> str:
        """Give the name that litdata's writer gives, if there is only one."""
        return f"{FOLDER}/{shard.split}/chunk-0-{shard.index}.bin"

    def index(self, shards: Sequence[ShardFacts]) -> bytes:
        """Say of each chunk what is in it. What litdata has cached of a data set that was another one, it forgets when
        ``updated_at`` changes.
        """
        contents = xxhash.xxh3_128_hexdigest("".join(of.files[0].digest for of in shards).encode())
        return json.dumps(
            {"chunks": [_chunk(of) for of in shards], "config": _CONFIG, "updated_at": contents}, sort_keys=True
        ).encode()

    def describe(self, contents: Contents) -> Mapping[str, str]:  # noqa: ARG002
        """Name the folder that readers are given."""
        return {FOLDER: "chunks for litdata; label is 0…999 in WNID order"}


def _chunk(of: ShardFacts) -> dict[str, object]:
    (file,) = of.files
    return {
        "chunk_bytes": file.size,
        "chunk_size": of.rows,
        "dim": None,
        "filename": file.path.rpartition("/")[2],
    }

"""WebDataset: tar files with three members for each sample, the image as it was in the source.

Nothing is converted: what reads a WebDataset decodes whatever an image is, and the JSON of a sample says what that is.
By the names of shards Hugging Face knows the split; ``_info.json`` is what timm asks for. Indexes for DALI lie in a
folder of their own, where no pattern for shards catches them. A shard of which every image was set aside has no files:
Hugging Face and DALI fail on one without samples.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from imagenet_prep.codecs.features import as_bytes
from imagenet_prep.codecs.ustar import BLOCK, END, padding, size_in
from imagenet_prep.codecs.webdataset_schema import between, decode, encode
from imagenet_prep.errors import AuditError, Problem
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import (
    Contents,
    ImageRange,
    Output,
    PlannedShard,
    Reader,
    Shards,
    ShardWriter,
    SplitFacts,
    StoredShard,
    Written,
    shards_option,
)
from imagenet_prep.outputs.shard_file import ShardFile
from imagenet_prep.stores.base import Batch, Sink, Store

FOLDER = "webdataset"
INDEX_FOLDER = "dali-index-webdataset"
INFO = f"{FOLDER}/_info.json"
_INDEX_VERSION = "v1.2"
_WEBDATASET = """\
from glob import glob

import webdataset as wds

files = sorted(glob("DATA/webdataset/train-*.tar"))
for image, label in wds.WebDataset(files, shardshuffle=100).shuffle(1000).decode("pil").to_tuple("jpg", "cls"):
    print(image.size, label)
    break
"""
_TIMM = """\
from timm.data import create_dataset

train = create_dataset("wds/", root="DATA/webdataset", split="train", is_training=True, batch_size=3)
image, label = next(iter(train))
print(image.size, label)
"""
_HUGGING_FACE = """\
from datasets import load_dataset

for row in load_dataset("webdataset", data_dir="DATA/webdataset", split="train", streaming=True).take(3):
    print(row["jpg"].size, row["cls"], row["json"]["class_name"])
"""
_DALI = """\
from glob import glob

from nvidia.dali import fn, pipeline_def, types


@pipeline_def(batch_size=3, num_threads=2, device_id=None)  # no GPU: the images are decoded on the processor
def train():
    image, label = fn.readers.webdataset(
        paths=sorted(glob("DATA/webdataset/train-*.tar")),
        index_paths=sorted(glob("DATA/dali-index-webdataset/train-*.idx")),
        ext=["jpg", "cls"],
    )
    image = fn.decoders.image(image, output_type=types.RGB, adjust_orientation=False)  # as others do
    return fn.resize(image, size=[224, 224]), label


pipeline = train()
pipeline.build()
images, labels = pipeline.run()
print(images.shape(), [int(bytes(labels.at(row))) for row in range(3)])  # a label comes as its digits
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class WebDataset(Output):
    """``OUT/webdataset/train-00000-of-01024.tar`` and so on."""

    shards: Shards = shards_option()

    name: ClassVar[str] = FOLDER
    folder: ClassVar[str] = FOLDER
    overhead: ClassVar[int] = 8 * BLOCK  # six or seven, with what fills the last block of the image, and the index
    columns: ClassVar[Mapping[str, str]] = MappingProxyType({"row": "i", "image_offset": "q", "image_length": "i"})
    image_range: ClassVar[ImageRange | None] = ImageRange("image_offset", "image_length")
    document_paths: ClassVar[tuple[str, ...]] = (INFO,)
    least_shards: ClassVar[int] = 64
    readers: ClassVar[tuple[Reader, ...]] = (
        Reader("webdataset", _WEBDATASET, "webdataset torch pillow", meant_by=("webdataset",)),
        Reader("timm", _TIMM, "timm webdataset"),
        Reader("huggingface", _HUGGING_FACE, "datasets pillow"),
        Reader("dali", _DALI, "nvidia-dali-cuda130"),
    )

    def writer(self, batch: Batch, planned: PlannedShard) -> ShardWriter:
        """Open a shard, which will have a DALI index."""
        return _Writer(batch, planned.shard, planned.class_names)

    def files(self, stored: StoredShard) -> Sequence[str]:
        """Give the shard and its index, if there is anything in it."""
        return _paths(stored.shard) if stored.names else ()

    def sample_files(self, stored: StoredShard) -> Sequence[str]:
        """Every sample lies in the shard."""
        return [_shard_path(stored.shard)] * len(stored.names)

    def documents(self, contents: Contents) -> Mapping[str, bytes]:
        """Tell timm the files of each split, and the samples in each of them."""
        return {INFO: as_bytes({"splits": {split: _info(split, facts) for split, facts in contents.splits.items()}})}

    def describe(self, contents: Contents) -> Mapping[str, str]:  # noqa: ARG002
        """Name the two folders."""
        return {
            FOLDER: "tar files for WebDataset, timm and Hugging Face; cls is 0…999 in WNID order",
            INDEX_FOLDER: "an index of each of these tar files, for DALI",
        }

    def read(self, store: Store, stored: StoredShard, seen: list[FileFact] | None = None) -> Iterator[Sample]:
        """Read the samples back, in order; each must be, byte for byte, what its JSON makes of its image."""
        if not stored.names:
            return
        path = _shard_path(stored.shard)
        with store.open(path) as file:
            found = store.stat(path)
            tar = _Tar(file, path, found.size if found else 0)
            while sample := tar.sample(stored.class_names):
                yield sample
        if seen is not None:
            seen.append(tar.fact())


def _paths(shard: ShardName) -> tuple[str, str]:
    return f"{FOLDER}/{shard}.tar", f"{INDEX_FOLDER}/{shard}.idx"


def _shard_path(shard: ShardName) -> str:
    return _paths(shard)[0]


def _info(split: str, facts: SplitFacts) -> dict[str, Any]:
    shards = [each for each in facts.shards if each.rows]
    return {
        "name": split,
        "num_samples": sum(each.rows for each in shards),
        "filenames": [_shard_path(each.shard).removeprefix(f"{FOLDER}/") for each in shards],
        "shard_lengths": [each.rows for each in shards],
    }


class _Writer:
    def __init__(self, batch: Batch, shard: ShardName, class_names: Sequence[str]) -> None:
        self._batch = batch
        self._paths = _paths(shard)
        self._out: Sink | None = None
        self._class_names = class_names
        self._lines: list[str] = []
        self._offsets, self._lengths = array("q"), array("i")

    def add(self, sample: Sample) -> None:
        """Take one sample, without copying its image."""
        if self._out is None:
            self._out = self._batch.create(self._paths[0])
        head, tail, members = encode(sample, self._class_names[sample.class_index])
        start = self._out.size
        places = (f"{name.partition('.')[2]} {start + offset} {size} {name}" for name, offset, size in members)
        self._lines.append(" ".join(places))
        self._offsets.append(start + len(head))
        self._lengths.append(len(sample.image))
        self._out.write(head, sample.image, tail)

    def leave_out(self, sample: Sample) -> None:
        """Nothing of it was ever written: a shard is written as a whole."""

    def flush(self) -> None:
        """Write what was taken."""
        if self._out:
            self._out.flush()

    def finish(self) -> Written:
        """Complete the shard, and write its index; or see to it that neither is there."""
        rows = array("i", range(len(self._lines)))
        columns = {"row": rows, "image_offset": self._offsets, "image_length": self._lengths}
        if self._out is None:
            for path in self._paths:
                self._batch.discard(path)
            return Written((), 0, columns)
        self._out.write(END)
        lines = (f"{_INDEX_VERSION} {len(self._lines)}", *self._lines)
        index = self._batch.create(self._paths[1])
        index.write("".join(f"{line}\n" for line in lines).encode())
        files = (self._out.fact(), index.fact())
        return Written(files, sum(file.size for file in files), columns)


class _Tar(ShardFile):
    """One shard being read. What is wrong raises AuditError with the offset of the sample."""

    def sample(self, class_names: Sequence[str]) -> Sample | None:
        """Read the next sample; None at the end."""
        start = self.offset
        try:
            head = self.take(BLOCK)
            if any(head):
                return self._rest(head, class_names)
            self._check_end()
        except ValueError as error:
            raise AuditError("A shard is damaged:", (Problem(self.path, str(error), offset=start),)) from error
        return None

    def _rest(self, head: bytes, class_names: Sequence[str]) -> Sample:
        image = self.take(size_in(head))
        before = self.take(between(len(image)))
        text = self.take(size_in(before[-BLOCK:]))
        after = self.take(len(padding(len(text))))
        sample = decode(image, text)
        expected = encode(sample, class_names[sample.class_index])
        if head != expected.head or before + text + after != expected.tail:
            raise ValueError("a sample is not what its JSON says")
        return sample

    def _check_end(self) -> None:
        if self.offset + BLOCK != self.size or any(self.take(BLOCK)):
            raise ValueError("there are zeros where the header of a member should be")

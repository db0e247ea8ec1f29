"""ArrayRecord in the layout of TensorFlow Datasets: the records of ``tfds``, each to be had by its number, without
TensorFlow.

The library array_record, an extra, writes and reads it. A record is a group of its own, as random reads want it, and
not compressed: JPEGs do not shrink, and without zstd the bytes depend on no version of that. The library opens the file
itself, writes wherever it stands in it, and knows of a full disk only at the end; so what it wrote is read back before
the shard is finished.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from imagenet_prep.codecs.example import Value, parse
from imagenet_prep.codecs.tfds_schema import DOCUMENTS, NAME, VERSION, decode, documents, encode, shard_name
from imagenet_prep.errors import AuditError, Problem, UsageError
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import Contents, ImageRange, PlannedShard, Reader, ShardWriter, StoredShard, Written
from imagenet_prep.outputs.records import RecordOutput, record_shards
from imagenet_prep.stores.base import Batch, RangeReader, Store
from imagenet_prep.stores.digests import fact_of_file

FOLDER = f"arrayrecord/{NAME}/{VERSION}"
_FORMAT = "array_record"  # what the library and TensorFlow Datasets call it
_WRITING = "group_size:1,uncompressed"
_READING = "readahead_buffer_size:0,max_parallelism:0"  # a record at a time: a worker is one of many
_TFDS = """\
import tensorflow_datasets as tfds

for row in tfds.data_source("imagenet2012", split="train[:3]", data_dir="DATA/arrayrecord"):  # without TensorFlow
    print(row["image"].shape, row["label"])
"""
_GRAIN = """\
import grain
import tensorflow_datasets as tfds


def main():
    source = tfds.data_source("imagenet2012", split="train", data_dir="DATA/arrayrecord")  # without TensorFlow
    sampler = grain.samplers.IndexSampler(len(source), num_epochs=1, shuffle=True, seed=0)
    for row in grain.DataLoader(data_source=source, sampler=sampler, worker_count=2):
        print(row["image"].shape, row["label"])
        break


if __name__ == "__main__":  # workers import this script
    main()
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayRecord(RecordOutput):
    """``OUT/arrayrecord/imagenet2012/5.1.0/imagenet2012-train.array_record-00000-of-01024`` and so on."""

    name: ClassVar[str] = "arrayrecord"
    folder: ClassVar[str] = "arrayrecord"
    overhead: ClassVar[int] = 512  # with what the library puts into the image every 64 KiB, and its 128 KiB a shard
    columns: ClassVar[Mapping[str, str]] = MappingProxyType({"row": "i", "image_length": "i"})
    image_range: ClassVar[ImageRange | None] = ImageRange("row", "image_length")  # no bytes: see ``_Images``
    document_paths: ClassVar[tuple[str, ...]] = tuple(f"{FOLDER}/{name}" for name in DOCUMENTS)
    readers: ClassVar[tuple[Reader, ...]] = (
        Reader("tfds-data-source", _TFDS, "tensorflow-datasets pillow"),
        Reader("grain", _GRAIN, "grain tensorflow-datasets pillow", meant_by=("jax",)),
    )

    def check_installed(self) -> None:
        """Load the library."""
        _library()

    def writer(self, batch: Batch, planned: PlannedShard) -> ShardWriter:
        """Open a shard."""
        return _Writer(batch, planned.shard)

    def files(self, stored: StoredShard) -> Sequence[str]:
        """Give the shard."""
        return (_shard_path(stored.shard),)

    def documents(self, contents: Contents) -> Mapping[str, bytes]:
        """Give the feature spec, the dataset info and the class names."""
        made = documents(_FORMAT, record_shards(contents, framing=0))  # which only the library knows
        return {f"{FOLDER}/{name}": data for name, data in made.items()}

    def describe(self, contents: Contents) -> Mapping[str, str]:  # noqa: ARG002
        """Name the folder that readers are given."""
        use = 'tfds.data_source("imagenet2012", data_dir=".../arrayrecord")'
        return {self.folder: f"ArrayRecord for {use} and grain, without TensorFlow; label is 0…999 in WNID order"}

    def decode(self, features: Mapping[str, Value]) -> Sample:
        """The schema stores neither sizes nor boxes."""
        return decode(features)

    def image_reader(self, store: Store, path: str) -> RangeReader:
        """Open a shard for images by their records' numbers."""
        return _Images(store, path)

    def read(self, store: Store, stored: StoredShard, seen: list[FileFact] | None = None) -> Iterator[Sample]:
        """Read the records back, in order. Raises AuditError and OSError. The library verifies records and their list;
        what fills the file between and after them, only the digest proves.
        """
        path = _shard_path(stored.shard)
        with store.lend(path) as local:
            with _damage(path, 0):
                reader = _reader(local)
            for row in range(reader.num_records()):
                with _damage(path, row):
                    sample = self.decode(parse(reader.read()))
                yield sample
        if seen is not None:
            seen.append(fact_of_file(store, path))


class _Writer:
    def __init__(self, batch: Batch, shard: ShardName) -> None:
        self._scratch = batch.scratch(_shard_path(shard))
        self._lengths = array("i")
        with self._scratch.errors():
            self._out = _library().ArrayRecordWriter(self._scratch.path, _WRITING)

    def add(self, sample: Sample) -> None:
        """Write one sample: the library copies it."""
        head, tail = encode(sample)
        with self._scratch.errors():
            self._out.write(b"".join((head, sample.image, tail)))
        self._lengths.append(len(sample.image))

    def leave_out(self, sample: Sample) -> None:
        """Nothing of it was ever written: a shard is written as a whole."""

    def flush(self) -> None:
        """Nothing on loan is kept; the disk may begin."""
        self._scratch.flush()

    def finish(self) -> Written:
        """Complete the shard, and read it back."""
        with self._scratch.errors():
            self._out.close()
            reader = _reader(self._scratch.path)
            if reader.num_records() != len(self._lengths):
                raise RuntimeError("records are missing")
            for _ in self._lengths:
                reader.read()
        file = self._scratch.fact()
        rows = array("i", range(len(self._lengths)))
        return Written((file,), file.size, {"row": rows, "image_length": self._lengths})


class _Images:
    """A shard whose images are read by number: every 64 KiB the library puts bytes of its own between theirs. Threads
    and forked processes share one, because the library reads without a position.
    """

    def __init__(self, store: Store, path: str) -> None:
        self.size = store.reader(path).size
        self._path = path
        with store.lend(path) as local, _damage(path, 0):
            self._reader = _reader(local)

    def read(self, offset: int, length: int) -> bytes:
        """Give the image of a record."""
        with _damage(self._path, offset):
            [data] = self._reader.read([offset])
            return bytes(decode(parse(data)).image[:length])


def _reader(path: bytes) -> Any:
    """Open a file. Raises RuntimeError for damage."""
    reader = _library().ArrayRecordReader(path, _READING)
    if not reader.ok():  # it says of such a file that it has no records
        reader.close()  # which raises the reason
    return reader


@contextmanager
def _damage(path: str, row: int) -> Iterator[None]:
    """Name file and record of what is damaged."""
    try:
        yield
    except (RuntimeError, ValueError) as error:  # of the library, of the schema
        said = str(error).partition("; ")[0]  # the rest is how the library came there
        verb = "does not follow the schema" if isinstance(error, ValueError) else "cannot be read"
        raise AuditError("A shard is damaged:", (Problem(path, f"record {row:,} {verb}: {said}"),)) from error


def _shard_path(shard: ShardName) -> str:
    return f"{FOLDER}/{shard_name(_FORMAT, shard)}"


def _library() -> Any:
    """Give the library. Raises UsageError where it is not installed: it is an extra, and loaded here alone."""
    try:
        from array_record.python import array_record_module
    except ImportError as error:
        remedy = "Install it: pip install 'imagenet-prep[arrayrecord]', or pip install array_record"
        raise UsageError("The format arrayrecord needs array_record, which is not installed.", remedy=remedy) from error
    return array_record_module

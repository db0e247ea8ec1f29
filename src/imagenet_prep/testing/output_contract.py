"""The contract of outputs as a test suite: see ``contracts``. It writes into a store in memory, which takes memory on
loan as strictly as the protocol says.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from typing import Any, ClassVar

import xxhash

from imagenet_prep.errors import AuditError
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Box, Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import (
    Contents,
    Output,
    PlannedShard,
    ShardFacts,
    SplitFacts,
    StoredShard,
    Written,
    options_of,
)
from imagenet_prep.stores.base import Store
from imagenet_prep.stores.memory import MemoryStore

SHARD = ShardName("train", 3, 16)
CLASS_NAMES = tuple(of.name for of in official().classes)


def sample_of(name: str, image: bytes | memoryview, class_index: int = 0, **more: Any) -> Sample:
    """Give a sample whose image needs no conversion."""
    return Sample(name, image, class_index, **({"width": 8, "height": 8} | more), original=image)


def stored(samples: Sequence[Sample]) -> StoredShard:
    """Say what a shard of these samples holds."""
    return StoredShard(SHARD, [each.name for each in samples], [each.class_index for each in samples], CLASS_NAMES)


def planned(samples: Sequence[Sample]) -> PlannedShard:
    """Plan a shard of these samples."""
    of = stored(samples)
    return PlannedShard(of.shard, of.names, of.class_indexes, of.class_names, [len(each.image) for each in samples])


def write_shard(output: Output, store: Store, samples: Sequence[Sample]) -> Written:
    """Write a shard, and the documents beside it."""
    with store.batch() as batch:
        writer = output.writer(batch, planned(samples))
        for sample in samples:
            writer.add(sample)
        written = writer.finish()
        batch.commit()
    for path, data in output.documents(contents_of(samples, written)).items():
        store.publish(path, data)
    return written


def contents_of(samples: Sequence[Sample], written: Written) -> Contents:
    """Say what a data set with only this shard holds. A split without images has a class, too."""
    classes = tuple(sorted({each.class_index for each in samples})) or (0,)
    facts = ShardFacts(SHARD, len(samples), written.files)
    return Contents({SHARD.split: SplitFacts(len(samples), classes, (facts,))}, CLASS_NAMES)


class OutputContract:
    """What every output promises. ``stores_sizes`` says whether its schema has room for width and height,
    ``has_checksums`` whether its reader finds damage without the manifest.
    """

    output: ClassVar[Output]
    stores_sizes: ClassVar[bool] = True
    has_checksums: ClassVar[bool] = True

    def test_samples_read_back_in_order(self) -> None:
        """Name, image and class of every sample survive; sizes and boxes where the schema has them."""
        store, samples = MemoryStore(), _samples()
        self.write(store, samples)
        self.assert_holds(store, samples)

    def test_an_empty_shard_reads_back(self) -> None:
        """Every image of a shard may have been set aside."""
        store = MemoryStore()
        written = self.write(store, [])
        assert self.read(store, []) == []
        assert all(len(column) == 0 for column in written.columns.values())

    def test_a_huge_sample_reads_back(self) -> None:
        """An image may be larger than anything that is read or written at once."""
        store, samples = MemoryStore(), [sample_of("n01440764_1.JPEG", bytes(range(256)) * (5 << 12))]
        self.write(store, samples)
        self.assert_holds(store, samples)

    def test_odd_names_read_back(self) -> None:
        """A name is any text without a slash."""
        names = ["n01440764_" + "7" * 200 + ".JPEG", "a b 'c' \"d\".JPEG", "ünï.JPEG", "{[,;%]}.jpeg", "x"]
        store, samples = MemoryStore(), [sample_of(name, b"an image") for name in names]
        self.write(store, samples)
        self.assert_holds(store, samples)

    def test_equal_samples_give_equal_bytes(self) -> None:
        """Only the samples and the options decide the bytes."""
        first, second = MemoryStore(), MemoryStore()
        assert self.write(first, _samples()) == self.write(second, _samples())
        assert first.files == second.files

    def test_every_file_is_reported_with_its_size(self) -> None:
        """``finish`` gives the facts of all files of the shard; or else every sample is a file of its own."""
        store, samples = MemoryStore(), _samples()
        written = self.write(store, samples)
        there = self._shard_files(store)
        facts = written.files or tuple(_fact(store, path) for path in self.output.files(stored(samples)))
        assert sorted(facts, key=lambda fact: fact.path) == [_fact(store, path) for path in sorted(there)]
        assert written.size == sum(map(len, there.values()))

    def test_files_names_everything_that_a_shard_consists_of(self) -> None:
        """``files`` is the inventory: it is known before the first byte is written."""
        store, samples = MemoryStore(), _samples()
        written = self.write(store, samples)
        assert sorted(self.output.files(stored(samples))) == sorted(self._shard_files(store))
        assert [file.path for file in written.files] in ([], list(self.output.files(stored(samples))))

    def test_every_sample_has_a_file(self) -> None:
        """``sample_files`` has one of the shard's files for each sample."""
        of = stored(_samples())
        places = self.output.sample_files(of)
        assert len(places) == len(of.names)
        assert set(places) <= set(self.output.files(of))

    def test_an_image_lies_where_the_columns_say(self) -> None:
        """So that it can be read without its shard; an output of which only ``read`` finds an image says so."""
        if self.output.image_range is None:
            return
        store, samples = MemoryStore(), _samples()
        columns = self.write(store, samples).columns
        for row, (path, sample) in enumerate(zip(self.output.sample_files(stored(samples)), samples, strict=True)):
            reader = self.output.image_reader(store, path)
            offset, length = (columns[name][row] if name else None for name in self.output.image_range)
            assert reader.read(offset or 0, reader.size if length is None else length) == bytes(sample.image)

    def test_every_column_has_a_value_for_each_sample(self) -> None:
        """The writer fills the columns of the manifest that the output declares, and no others."""
        written = self.write(MemoryStore(), _samples())
        assert {name: column.typecode for name, column in written.columns.items()} == dict(self.output.columns)
        assert {len(column) for column in written.columns.values()} <= {len(_samples())}

    def test_memory_may_be_reused_after_a_flush(self) -> None:
        """An image on loan is not needed any more once ``flush`` has returned."""
        store, memory = MemoryStore(), bytearray(b"\xff\xd8 the first image \xff\xd9")
        lent = sample_of("n01440764_1.JPEG", memoryview(memory))
        with store.batch() as batch:
            writer = self.output.writer(batch, planned([lent]))
            writer.add(lent)
            writer.flush()
            memory[:] = bytes(len(memory))
            written = writer.finish()
            batch.commit()
        for path, data in self.output.documents(contents_of([lent], written)).items():
            store.publish(path, data)
        assert [each.image for each in self.read(store, [lent])] == [b"\xff\xd8 the first image \xff\xd9"]

    def test_what_is_left_out_is_gone(self) -> None:
        """A sample that an earlier run wrote and this one sets aside is in no file."""
        store, (first, *others) = MemoryStore(), _samples()
        self.write(store, [first, *others])
        with store.batch() as batch:
            writer = self.output.writer(batch, planned(others))
            writer.leave_out(first)
            for sample in others:
                writer.add(sample)
            writer.finish()
            batch.commit()
        self.assert_holds(store, others)
        assert sorted(self._shard_files(store)) == sorted(self.output.files(stored(others)))

    def test_a_flipped_byte_anywhere_is_found(self) -> None:
        """No byte of a shard can change unseen by the reader, if the format has checksums."""
        store, path, sound = self._small_shard()
        for position in range(len(sound)):
            store.publish(path, sound[:position] + bytes([sound[position] ^ 0x10]) + sound[position + 1 :])
            assert self._differs(store), f"byte {position}"

    def test_a_shard_cut_short_is_found(self) -> None:
        """Wherever a shard is cut, inside a sample or between two, it gives an error or too few samples."""
        store, path, sound = self._small_shard()
        for length in range(len(sound)):
            store.publish(path, sound[:length])
            assert self._differs(store, cut=True), f"{length} bytes"

    def test_a_missing_file_is_an_error_of_the_system(self) -> None:
        """A reader does not take a missing file for an empty one."""
        store, samples = MemoryStore(), _samples()
        self.write(store, samples)
        store.remove(self.output.sample_files(stored(samples))[0])
        try:
            self.read(store, samples)
        except FileNotFoundError:
            return
        raise AssertionError("a missing file was read")

    def test_files_that_were_read_are_seen_with_size_and_digest(self) -> None:
        """Whoever reads a shard to its end need not read its files again to compare them."""
        store, samples, seen = MemoryStore(), _samples(), list[FileFact]()
        self.write(store, samples)
        for _ in self.output.read(store, stored(samples), seen):
            pass
        assert seen == [_fact(store, path) for path in dict.fromkeys(self.output.sample_files(stored(samples)))]

    def test_documents_are_among_those_it_names(self) -> None:
        """Documents are known beforehand, and lie in folders in which the output has shards."""
        documents = self.output.documents(contents_of(_samples(), self.write(MemoryStore(), _samples())))
        folders = {path.partition("/")[0] for path in self.output.files(stored(_samples()))}
        assert set(documents) <= set(self.output.document_paths)
        assert {path.partition("/")[0] for path in self.output.document_paths} <= folders
        every = (*self.output.document_paths, *self.output.files(stored(_samples())))
        assert all(part not in ("", ".", "..") for path in every for part in path.split("/"))

    def test_it_describes_what_it_leaves(self) -> None:
        """Every path that ``describe`` names is one of a file or folder of the output."""
        samples = _samples()
        store = MemoryStore()
        contents = contents_of(samples, self.write(store, samples))
        there = [f"{path}/" for path in store.files]
        for path, text in self.output.describe(contents).items():
            assert any(each.startswith(f"{path}/") for each in there), path
            assert text

    def test_it_is_a_value(self) -> None:
        """It survives pickling, and its options survive JSON."""
        options = options_of(self.output)
        kind: Any = type(self.output)
        assert pickle.loads(pickle.dumps(self.output)) == self.output  # noqa: S301 — it was made a moment ago
        assert kind(**json.loads(json.dumps(options))) == self.output

    def write(self, store: Store, samples: Sequence[Sample]) -> Written:
        """Write one shard and its documents."""
        return write_shard(self.output, store, samples)

    def read(self, store: Store, samples: Sequence[Sample]) -> list[Sample]:
        """Read it back."""
        return list(self.output.read(store, stored(samples)))

    def assert_holds(self, store: Store, samples: Sequence[Sample]) -> None:
        """What is read is what was written, as far as the schema has room for it."""
        read = self.read(store, samples)
        assert [_known(each) for each in read] == [_known(each) for each in samples]
        if self.stores_sizes:
            sizes = [(each.width, each.height) for each in samples]
            assert [(each.width, each.height) for each in read] == sizes
        assert [each.boxes for each in read] == [each.boxes if self.output.stores_boxes else () for each in samples]

    def _small_shard(self) -> tuple[MemoryStore, str, bytes]:
        """Write two samples; give the file with them, b"" for a format without checksums."""
        store = MemoryStore()
        self.write(store, _samples()[:2])
        path = self.output.sample_files(stored(_samples()))[0]
        return store, path, store.read(path) if self.has_checksums else b""

    def _differs(self, store: Store, *, cut: bool = False) -> bool:
        try:
            read = self.read(store, _samples()[:2])
        except AuditError:
            return True
        return cut and len(read) < 2

    def _shard_files(self, store: MemoryStore) -> dict[str, bytes]:
        return {path: data for path, data in store.files.items() if path not in self.output.document_paths}


def _samples() -> list[Sample]:
    """Samples at the edges of what an output meets: no box and two, both ends of the class table, no byte at all."""
    two = (Box(0.0, 0.25, 0.5, 1.0), Box(0.125, 0.0, 1.0, 0.75))
    return [
        sample_of("n01440764_1.JPEG", b"\xff\xd8 small \xff\xd9", width=500, height=375),
        sample_of("n15075141_9.JPEG", b"\xff\xd8" + bytes(200) + b"\xff\xd9", 999, width=1, height=65_535, boxes=two),
        sample_of("ILSVRC2012_val_00000001.JPEG", bytes(range(256)) * 1024, 65, boxes=two[:1]),
        sample_of("n01440764_2.JPEG", b"", 500, width=127, height=128),
    ]


def _known(sample: Sample) -> tuple[str, bytes, int]:
    return sample.name, bytes(sample.image), sample.class_index


def _fact(store: Store, path: str) -> FileFact:
    data = store.read(path)
    return FileFact(path, len(data), xxhash.xxh3_128_hexdigest(data))

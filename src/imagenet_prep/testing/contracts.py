"""The contract of a format as a test suite: a new format inherits it, in five lines, and so does one made elsewhere.

    class TestMyFormat(FormatContract):
        format = MyFormat()

The suite writes into a target of its own, so that a format is tested without the storage of the program.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import xxhash

from imagenet_prep.errors import AuditError
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Box, Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.outputs.base import BuildFacts, Format, SplitFacts, Written
from imagenet_prep.outputs.class_folders import class_folders

SHARD = ShardName("train", 3, 16)
TREE = class_folders(official(), "name", "validation")
FACTS = BuildFacts({"train": SplitFacts((3, 2), 1000)}, official(), TREE, tuple(range(1000)))


class FolderTarget:
    """A target that writes files under their final names at once; ``close`` ends it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._descriptors: list[int] = []

    def create(self, path: str) -> int:
        """Open a file below the folder."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        self._descriptors.append(os.open(self.folder / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        return self._descriptors[-1]

    def place(self, path: str, data: bytes | memoryview, source: str = "") -> None:  # noqa: ARG002
        """Write a file below the folder."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(data)

    def close(self) -> None:
        """Close all files."""
        while self._descriptors:
            os.close(self._descriptors.pop())


class FormatContract:
    """What every format promises. ``stores_sizes`` says what its schema has room for, ``has_checksums`` whether a
    reader can find damage without the manifest.
    """

    format: ClassVar[Format]
    stores_sizes: ClassVar[bool] = True
    has_checksums: ClassVar[bool] = True

    def test_samples_read_back_in_order(self, tmp_path: Path) -> None:
        """Name, image and class of every sample survive; sizes and boxes where the schema has them."""
        samples = _samples()
        self.write(tmp_path, samples)
        self.write_documents(tmp_path)
        assert self.read(tmp_path) == [self._stored(sample) for sample in samples]

    def test_equal_samples_give_equal_bytes(self, tmp_path: Path) -> None:
        """Nothing but the samples reaches a file."""
        first = self.write(tmp_path / "first", _samples())
        assert first == self.write(tmp_path / "second", _samples())
        for file in first.files:
            assert (tmp_path / "first" / file.path).read_bytes() == (tmp_path / "second" / file.path).read_bytes()

    def test_every_file_is_reported_with_its_size(self, tmp_path: Path) -> None:
        """The facts that ``finish`` gives are those of all files there are, the one with the samples first; or else
        every sample is a file, and as long as its length.
        """
        written = self.write(tmp_path, _samples())
        there = {str(path.relative_to(tmp_path)): path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()}
        if written.files:
            assert {file.path: file.size for file in written.files} == there
            assert [written.files[0].path] == list(self.files())
        else:
            assert dict(zip(self.files(), written.lengths, strict=True)) == there
        assert written.size == sum(there.values())

    def test_lengths_cover_the_shard(self, tmp_path: Path) -> None:
        """Every image has a length, and together they are not longer than the shard."""
        written = self.write(tmp_path, _samples())
        assert len(written.lengths) == len(_samples())
        assert sum(written.lengths) <= written.size

    def test_memory_may_be_reused_after_a_flush(self, tmp_path: Path) -> None:
        """An image on loan is not needed any more once ``flush`` returned."""
        memory = bytearray(b"\xff\xd8 the first image \xff\xd9")
        with _target(tmp_path) as target:
            writer = self.format.writer(target, SHARD)
            writer.add(_in_tree(Sample("n01440764_1.JPEG", memoryview(memory), 0, 8, 8)))
            writer.flush()
            memory[:] = bytes(len(memory))
            writer.finish()
        self.write_documents(tmp_path)
        assert [sample.image for sample in self.read(tmp_path)[:1]] == [b"\xff\xd8 the first image \xff\xd9"]

    def test_a_flipped_byte_anywhere_is_found(self, tmp_path: Path) -> None:
        """No byte of a shard can change without the reader's noticing, if the format has checksums."""
        if not self.has_checksums:
            return
        self.write(tmp_path, _samples()[:2])
        path = tmp_path / self.files()[0]
        sound = path.read_bytes()
        for position in range(len(sound)):
            path.write_bytes(sound[:position] + bytes([sound[position] ^ 0x10]) + sound[position + 1 :])
            assert self._is_refused(tmp_path), f"byte {position}"

    def test_a_shard_cut_short_is_found(self, tmp_path: Path) -> None:
        """Wherever a shard is cut, inside a record or between two, it gives an error or too few samples."""
        if not self.has_checksums:
            return
        self.write(tmp_path, _samples()[:2])
        path = tmp_path / self.files()[0]
        sound = path.read_bytes()
        for length in range(len(sound)):
            path.write_bytes(sound[:length])
            assert self._is_refused(tmp_path) or len(self.read(tmp_path)) < 2, f"{length} bytes"

    def test_files_that_were_read_are_seen_with_size_and_digest(self, tmp_path: Path) -> None:
        """Whoever reads a shard to its end need not read its files again to compare them."""
        self.write(tmp_path, _samples())
        seen: list[FileFact] = []
        for _ in self.format.read(tmp_path, self.files(), seen):
            pass
        assert seen == [_fact(tmp_path, path) for path in self.files()]

    def test_documents_are_below_the_folder_of_the_shards(self) -> None:
        """Documents never leave the output folder."""
        documents = self.format.documents(FACTS)
        top = self.files()[0].split("/")[0]
        assert all(path.startswith(f"{top}/") and ".." not in path for path in documents)

    def files(self) -> Sequence[str]:
        """The files with the samples."""
        return self.format.sample_files(SHARD, [_in_tree(sample).path for sample in _samples()])

    def write(self, folder: Path, samples: list[Sample]) -> Written:
        """Write one shard."""
        with _target(folder) as target:
            writer = self.format.writer(target, SHARD)
            for sample in samples:
                writer.add(_in_tree(sample))
            return writer.finish()

    def write_documents(self, folder: Path) -> None:
        """Write what stands beside the samples."""
        for path, data in self.format.documents(FACTS).items():
            (folder / path).write_bytes(data)

    def read(self, folder: Path) -> list[Sample]:
        """Read it back."""
        return list(self.format.read(folder, [file for file in self.files() if (folder / file).exists()]))

    def _is_refused(self, folder: Path) -> bool:
        try:
            self.read(folder)
        except AuditError:
            return True
        return False

    def _stored(self, sample: Sample) -> Sample:
        width, height = (sample.width, sample.height) if self.stores_sizes else (0, 0)
        boxes = sample.boxes if self.format.stores_boxes else ()
        return Sample(sample.name, sample.image, sample.class_index, width, height, boxes)


@contextmanager
def _target(folder: Path) -> Iterator[FolderTarget]:
    target = FolderTarget(folder)
    try:
        yield target
    finally:
        target.close()


def _fact(folder: Path, path: str) -> FileFact:
    data = (folder / path).read_bytes()
    return FileFact(path, len(data), str(xxhash.xxh3_128_hexdigest(data)))


def _in_tree(sample: Sample) -> Sample:
    """The sample with what class folders want to know of it."""
    path = TREE.path(SHARD.split, sample.class_index, sample.name)
    return replace(sample, path=path, original=sample.image)


def _samples() -> list[Sample]:
    """Samples at the edges of what a format meets: no box and two, both ends of the class table, odd names."""
    two = (Box(0.0, 0.25, 0.5, 1.0), Box(0.125, 0.0, 1.0, 0.75))
    return [
        Sample("n01440764_1.JPEG", b"\xff\xd8 small \xff\xd9", 0, 500, 375),
        Sample("n15075141_999999.JPEG", b"\xff\xd8" + bytes(200) + b"\xff\xd9", 999, 1, 65_535, two),
        Sample("ILSVRC2012_val_00000001.JPEG", bytes(range(256)) * 1024, 65, 300, 200, two[:1]),
        Sample("n01440764_" + "7" * 200 + ".JPEG", b"", 500, 127, 128),
    ]

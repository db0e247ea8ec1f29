"""Files that begin with a table of where each of their items lies, as MDS shards and LitData chunks do.

    uint32 number · uint32 offsets[number + 1] · what every file of a kind has here · items         (little-endian)

Offsets count from the start of the file; an item ends where the next one begins, and the last one at the end of the
file. So all sizes must be known before the first item is written, and a file has fewer than 4 GiB.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import BinaryIO

import xxhash

from imagenet_prep.codecs.tfrecord import Out
from imagenet_prep.errors import AuditError, Problem
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Sample

LARGEST = (1 << 32) - 1  # bytes of a file
_NUMBER = struct.Struct("<I")


def table(sizes: Sequence[int], fixed: bytes) -> bytes:
    """Give all that stands before items of these sizes; ``fixed`` is what every file of the kind has there."""
    offsets = accumulate(sizes, initial=_NUMBER.size * (len(sizes) + 2) + len(fixed))
    return struct.pack(f"<{len(sizes) + 2}I", len(sizes), *offsets) + fixed


class TableWriter:
    """One such file being written. ``sizes`` are those of its items; ``encode`` gives what precedes and what follows an
    image in its item.
    """

    def __init__(
        self, out: Out, sizes: Sequence[int], fixed: bytes, encode: Callable[[Sample], tuple[bytes, bytes]]
    ) -> None:
        self._out = out
        self._encode = encode
        self._sizes = sizes
        before = table(sizes, fixed)
        out.write(before)
        self._end = len(before)
        self.image_offsets, self.image_lengths = array("q"), array("i")

    def add(self, sample: Sample) -> None:
        """Take one sample, without copying its image. Raises ValueError if it has not the size that was announced."""
        head, tail = self._encode(sample)
        size = len(head) + len(sample.image) + len(tail)
        row = len(self.image_offsets)
        if row == len(self._sizes) or size != self._sizes[row]:
            raise ValueError(f"{sample.name}: the table of the shard has another sample at place {row}")
        self.image_offsets.append(self._end + len(head))
        self.image_lengths.append(len(sample.image))
        self._out.write(head, sample.image, tail)
        self._end += size

    def leave_out(self, sample: Sample) -> None:
        """Nothing of it was ever written: a shard is written as a whole."""

    def flush(self) -> None:
        """Write what was taken; the images of it are no longer needed afterwards."""
        self._out.flush()

    def close(self) -> FileFact:
        """Flush; give the file's size and digest. Raises ValueError if samples are missing."""
        if len(self.image_offsets) < len(self._sizes):
            raise ValueError(f"{len(self._sizes)} samples were announced, and {len(self.image_offsets)} came")
        return self._out.fact()


def read_items(
    file: BinaryIO,
    name: str,
    size: int,
    fixed: bytes,
    decode: Callable[[bytes], Sample],
    seen: list[FileFact] | None = None,
) -> Iterator[Sample]:
    """Yield the samples of an open file of ``size`` bytes; ``decode`` makes one of an item. ``name`` is how a message
    calls the file; ``seen`` takes its size and digest once it was read to its end.

    Raises AuditError with the offset of the table, or of the first item, that is not as it must be.
    """
    digest = xxhash.xxh3_128()
    start = 0
    try:
        offsets = _offsets(file, size, fixed, digest)
        for start, end in pairwise(offsets):
            data = file.read(end - start)
            digest.update(data)
            yield decode(data)
    except ValueError as error:
        raise AuditError("A shard is damaged:", (Problem(name, str(error), offset=start),)) from error
    if seen is not None:
        seen.append(FileFact(name, size, digest.hexdigest()))


def _offsets(file: BinaryIO, size: int, fixed: bytes, digest: xxhash.xxh3_128) -> tuple[int, ...]:
    """Read the table, which follows from the sizes of the items. Raises ValueError if it does not."""
    number = file.read(_NUMBER.size)
    (count,) = _NUMBER.unpack(number.ljust(_NUMBER.size, b"\0"))
    length = _NUMBER.size * (count + 2) + len(fixed)
    if length > size:  # before memory is taken for it
        raise ValueError(f"a table of so many samples ({count:,}) reaches beyond the end of the file")
    before = number + file.read(length - len(number))
    if len(before) < length:
        raise ValueError("the file has become shorter")
    digest.update(before)
    offsets: tuple[int, ...] = struct.unpack_from(f"<{count + 1}I", before, _NUMBER.size)
    sizes = [end - start for start, end in pairwise(offsets)]
    if offsets[-1] != size or min(sizes, default=0) < 0 or before != table(sizes, fixed):
        raise ValueError("the table of the samples is damaged, or the file has another length")
    return offsets

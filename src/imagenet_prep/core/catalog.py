"""All entries of a source as one Arrow table: what is known of the images before one of them is read.

The order of the rows is the order in the archives, train before validation: a fixed order that no worker and
no clock can change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # base name, which is the key of the image: n01440764_10026.JPEG
        ("class_index", pa.int16()),  # 0…999 in WNID order
        ("origin", pa.dictionary(pa.int8(), pa.string())),  # the split it comes from: train or validation
        ("archive", pa.int8()),  # position in Catalog.archives
        (
            "container",
            pa.dictionary(pa.int16(), pa.string()),
        ),  # path inside the archive up to the name: n01440764.tar
        ("offset", pa.int64()),  # bytes from the start of the archive to the first byte of the image
        ("size", pa.int32()),  # bytes
        ("boxes", pa.list_(pa.float32())),  # xmin, ymin, xmax, ymax of each box in turn, as fractions 0…1
    ]
)


@dataclass(frozen=True, slots=True)
class Archive:
    """One file the user gave. ``modified`` is its modification time in nanoseconds, which tells a changed
    file from the same one.
    """

    name: str
    role: str
    size: int
    modified: int


@dataclass(frozen=True)
class Catalog:
    """All entries of a source. ``table`` has the columns of ``SCHEMA``; ``notes`` are remarks of the index
    for the user.
    """

    table: pa.Table
    archives: tuple[Archive, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def identity(self) -> str:
        """Hash of all that can reach an output: entries, places, labels and boxes, but no time and no folder
        of this machine.
        """
        digest = xxhash.xxh3_128()
        for archive in self.archives:
            digest.update(f"{archive.role}\0{archive.name}\0{archive.size}\n".encode())
        for name in self.table.column_names:
            _hash_column(digest, name, self.table.column(name))
        return digest.hexdigest()

    def numbers(self, column: str) -> npt.NDArray[Any]:
        """Give a numeric column as a NumPy array."""
        values: npt.NDArray[Any] = self.table.column(column).to_numpy()
        return values

    def rows_of(self, origin: str) -> npt.NDArray[np.int64]:
        """Give the row numbers of the entries that come from the split ``origin``, ascending."""
        if not len(self):
            return np.empty(0, np.int64)
        mask = pc.equal(self.table.column("origin").cast(pa.string()), origin)
        return np.flatnonzero(mask.to_numpy())

    def class_counts(self, origin: str) -> npt.NDArray[np.int64]:
        """Count the images of each of the 1,000 classes in ``origin``; shape (1000,)."""
        return np.bincount(self.numbers("class_index")[self.rows_of(origin)], minlength=1000)


def _hash_column(digest: Any, name: str, column: pa.ChunkedArray) -> None:
    """Hash values rather than buffers where buffers may differ for equal values (dictionaries, unused bits)."""
    digest.update(name.encode())
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # what combine_chunks gives for a column without chunks
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_list(array.type):
        digest.update(np.ascontiguousarray(array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)))
        array = array.flatten()
    if pa.types.is_string(array.type):
        digest.update(np.ascontiguousarray(pc.binary_length(array).to_numpy(zero_copy_only=False)))
        array = pa.concat_arrays([array])  # offsets from zero, so that the data buffer holds just these values
        digest.update(array.buffers()[2] or b"")
    else:
        digest.update(np.ascontiguousarray(array.to_numpy(zero_copy_only=False)))

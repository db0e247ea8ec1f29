"""All entries of a source as one Arrow table: what is known of the images before one of them is read.

The order of the rows is the order in the archives, train before validation: a fixed order that no worker and
no clock can change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.imagenet.archives import TRAIN_BOXES, VALIDATION_BOXES
from imagenet_prep.model.archive import Archive

SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # base name, which is the key of the image: n01440764_10026.JPEG
        ("class_index", pa.int16()),  # 0…999 in WNID order
        ("archive", pa.int8()),  # position in Catalog.archives, whose role is the split the image comes from
        (
            "container",
            pa.dictionary(pa.int16(), pa.string()),
        ),  # path inside the archive up to the name: n01440764.tar
        ("offset", pa.int64()),  # bytes from the start of the archive to the first byte of the image
        ("size", pa.int32()),  # bytes
        ("boxes", pa.list_(pa.float32())),  # xmin, ymin, xmax, ymax of each box in turn, as fractions 0…1
    ]
)


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

    def box_counts(self, rows: npt.NDArray[np.int64]) -> tuple[int, int]:
        """Count the entries in ``rows`` that have bounding boxes, and their boxes."""
        sides = pc.list_value_length(self.table["boxes"].take(pa.array(rows))).fill_null(0).to_numpy()
        return int(np.count_nonzero(sides)), int(sides.sum()) // 4

    @property
    def boxes_read(self) -> bool:
        """Whether annotations were read, if only to find that they have no boxes."""
        return any(archive.role in (TRAIN_BOXES, VALIDATION_BOXES) for archive in self.archives)

    def numbers(self, column: str) -> npt.NDArray[Any]:
        """Give a numeric column as a NumPy array."""
        values: npt.NDArray[Any] = self.table.column(column).to_numpy()
        return values

    def own_files(self) -> npt.NDArray[np.bool_]:
        """Say of each entry whether it is a file of its own: in a folder, at the start of its file."""
        in_folder = np.array([archive.folder for archive in self.archives], bool)[self.numbers("archive")]
        own: npt.NDArray[np.bool_] = in_folder & (self.numbers("offset") == 0)
        return own

    def rows_of(self, origin: str) -> npt.NDArray[np.int64]:
        """Give the row numbers of the entries that come from the split ``origin``, ascending."""
        archives = [position for position, archive in enumerate(self.archives) if archive.role == origin]
        return np.flatnonzero(np.isin(self.numbers("archive"), archives))

    def class_counts(self, origin: str) -> npt.NDArray[np.int64]:
        """Count the images of each of the 1,000 classes in ``origin``; shape (1000,)."""
        return np.bincount(self.numbers("class_index")[self.rows_of(origin)], minlength=1000)


def hash_array(digest: Any, column: pa.ChunkedArray) -> None:
    """Hash the values of a column, whatever the buffers they lie in."""
    _hash(digest, _whole(column))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """The same values in one piece, copied only if they are in several."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _hash(digest: Any, array: pa.Array) -> None:
    """Hash values and not buffers, which may differ for equal values in the bytes beside these."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        _hash(digest, array.indices)
        _hash(digest, array.dictionary)
    elif pa.types.is_list(kind):
        digest.update(np.ascontiguousarray(array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)))
        _hash(digest, array.flatten())
    elif pa.types.is_string(kind):
        bounds = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
        digest.update(np.diff(bounds))
        digest.update(memoryview(array.buffers()[2] or b"")[bounds[0] : bounds[-1]])
    else:
        digest.update(np.ascontiguousarray(array.to_numpy(zero_copy_only=False)))

"""The index of an output: where each image lies, in columns that NumPy maps from the file as they are (docs/format.md).

It is small, so that every worker of a training can have it: 38 bytes an image of train. Names of train images begin
with their WNID, which the class index says already. No Arrow here: a training worker has none.
"""

from __future__ import annotations

import io
import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from imagenet_prep.imagenet.classes import official

INDEX_VERSION = 1
ALIGNED = 64  # bytes: the columns begin at a multiple of it
COLUMNS: Mapping[str, str] = {  # in the order of the file: the widest first, so that each is aligned
    "offset": "<u8",
    "digest": "<u8",
    "length": "<u4",
    "name_end": "<u4",
    "by_name": "<u4",
    "class_index": "<u2",
    "name": "|u1",
}
OF_WNID = b"\0"  # replaces the WNID of its class in a name; no file name has it

Column = npt.NDArray[Any]


def written_name(name: str, wnid: str) -> bytes:
    """Give a name as it stands in the index."""
    return OF_WNID + name[len(wnid) :].encode() if name.startswith(wnid) else name.encode()


@dataclass(frozen=True, slots=True)
class Index:
    """Columns of all images, in the order of the selection, and the rows of each split. ``by_name`` has the rows of a
    split in the order of their names.
    """

    splits: Mapping[str, range]
    columns: Mapping[str, Column]

    def name(self, row: int) -> str:
        """Give the name of an image."""
        ends = self.columns["name_end"]
        name: bytes = self.columns["name"][ends[row - 1] if row else 0 : ends[row]].tobytes()
        if name.startswith(OF_WNID):
            name = official().classes[self.columns["class_index"][row]].wnid.encode() + name[1:]
        return name.decode()

    def find(self, name: str) -> int | None:
        """Give the row of an image; None if there is none of this name."""
        by_name, wanted = self.columns["by_name"], name.encode()
        for rows in self.splits.values():
            low, high = rows.start, rows.stop
            while low < high:
                middle = (low + high) // 2
                if self.name(int(by_name[middle])).encode() < wanted:
                    low = middle + 1
                else:
                    high = middle
            if low < rows.stop and self.name(row := int(by_name[low])) == name:
                return row
        return None


def head_of(splits: Mapping[str, int], name_bytes: int) -> bytes:
    """Give what precedes the columns: a line of JSON, padded with spaces."""
    document = {"columns": list(COLUMNS.items()), "names": name_bytes, "splits": list(splits.items())}
    line = json.dumps({**document, "version": INDEX_VERSION}, sort_keys=True)
    return line.encode() + b" " * (-(len(line) + 1) % ALIGNED) + b"\n"


def open_index(file: BinaryIO) -> Index:
    """Map an index into memory, or read it, if it is not a file. Its digest was compared before: ValueError for one of
    another version alone.
    """
    try:
        data: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, io.UnsupportedOperation):
        data = file.read()
    line = bytes(data[: data.find(b"\n") + 1])
    document = json.loads(line)
    if document["version"] != INDEX_VERSION:
        raise ValueError("it is of another version")
    splits, start, place, columns = {}, 0, len(line), {}
    for split, count in document["splits"]:
        splits[split] = range(start, start + count)
        start += count
    for name, kind in document["columns"]:
        columns[name] = np.frombuffer(data, kind, document["names"] if name == "name" else start, place)
        place += columns[name].nbytes
    return Index(splits, columns)

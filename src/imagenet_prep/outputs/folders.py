"""Class folders: every image a file of its own, ``OUT/folders/train/tench/n01440764_10026.JPEG``.

The files are those of the source, byte for byte: what reads class folders decodes whatever an image is, and a copy, a
link and a moved file must be the same thing. So nothing is repaired here, and nothing is shuffled: readers of folders
sort and shuffle for themselves.

``folders/meta.bin`` lets torchvision's ``ImageNet`` accept the tree, where its names are those it expects (WNIDs, and
``val``). It holds what torchvision would extract from the devkit: lemmas by WNID, and the WNIDs of the validation
images by number, in PyTorch's file form, a zip archive with a pickle (torchvision ``datasets/imagenet.py``).
"""

from __future__ import annotations

import csv
import io
import pickle
import zipfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import xxhash

from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.model.task import FileFact
from imagenet_prep.outputs.base import BuildFacts, ShardWriter, Target, Written
from imagenet_prep.outputs.class_folders import FOLDERS, class_folders

CLASSES = f"{FOLDERS}/classes.csv"
META = f"{FOLDERS}/meta.bin"
_PICKLE_PROTOCOL = 2  # what torch.load accepts without being told to trust the file
_OLDEST_TIME = (1980, 1, 1, 0, 0, 0)  # of a zip member: a clock would make equal builds differ


class FoldersFormat:
    """``OUT/folders/{train,validation,test}/CLASS/FILE``."""

    outputs: Mapping[str, str] = MappingProxyType(
        {FOLDERS: "class folders for ImageFolder and the like; folders/classes.csv has their orders and class indexes"}
    )
    made = rf"{FOLDERS}/(?:classes\.csv|meta\.bin|[^/]+/[^/]+/(?:n\d{{8}}_\d+|ILSVRC2012_val_\d{{8}})\.JPEG)"
    stores_boxes = False
    record_overhead = 4096  # a file system gives out whole blocks, half of the last one unused, and needs an inode

    def writer(self, target: Target, shard: ShardName) -> ShardWriter:  # noqa: ARG002 — a sample knows its path
        """Open a part of the tree."""
        return _Writer(target)

    def sample_files(self, shard: ShardName, paths: Sequence[str]) -> Sequence[str]:  # noqa: ARG002
        """Give the path of each image."""
        return [f"{FOLDERS}/{path}" for path in paths]

    def documents(self, facts: BuildFacts) -> Mapping[str, bytes]:
        """Give the class table of the folders, and torchvision's ``meta.bin`` for a tree it would accept."""
        documents = {CLASSES: _class_table(facts)}
        if facts.folders == class_folders(official(), "wnid", "val"):
            documents[META] = _meta()
        return documents

    def read(self, out: Path, files: Sequence[str], seen: list[FileFact] | None = None) -> Iterator[Sample]:
        """Read images back; the class is that of the folder, through ``classes.csv``, or −1 if that does not tell.
        Width and height are 0.
        """
        classes = _class_indexes(out)
        for file in files:
            path, image = PurePosixPath(file), (out / file).read_bytes()
            if seen is not None:
                seen.append(FileFact(file, len(image), str(xxhash.xxh3_128_hexdigest(image))))
            yield Sample(path.name, image, classes.get(path.parent.name, -1), 0, 0)


class _Writer:
    def __init__(self, target: Target) -> None:
        self._target = target
        self._lengths = array("q")

    def add(self, sample: Sample) -> None:
        """Write one image as it was in the source."""
        self._target.place(f"{FOLDERS}/{sample.path}", sample.original, sample.file)
        self._lengths.append(len(sample.original))

    def flush(self) -> None:
        """Every image is written at once."""

    def finish(self) -> Written:
        """Tell the size of every image; there are no files beside them."""
        return Written((), self._lengths)


def _class_table(facts: BuildFacts) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["class_index", "folder_index", "wnid", "folder", "name", "natural_index"])
    folders = facts.folders
    folder_indexes = {index: place for place, index in enumerate(folders.sorted_indexes(facts.classes))}
    natural = {index: place for place, index in enumerate(folders.naturally_sorted_indexes(facts.classes))}
    for index in facts.classes:
        of = facts.taxonomy.classes[index]
        rows.writerow([index, folder_indexes[index], of.wnid, folders.classes[index], of.name, natural[index]])
    return text.getvalue().encode()


def _class_indexes(out: Path) -> dict[str, int]:
    """Read the class table of the folders; one that cannot be read tells of no folder, and is itself compared."""
    try:
        with (out / CLASSES).open(encoding="utf-8", newline="") as file:
            return {row["folder"]: int(row["class_index"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError, TypeError, csv.Error):
        return {}


def _meta() -> bytes:
    classes = official().classes
    lemmas = {of.wnid: tuple(of.lemmas.split(", ")) for of in classes}
    content = pickle.dumps((lemmas, [classes[index].wnid for index in validation_truth()]), _PICKLE_PROTOCOL)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, member in (("data.pkl", content), ("version", b"3\n")):
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", _OLDEST_TIME), member)
    return data.getvalue()

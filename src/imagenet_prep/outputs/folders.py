"""Class folders: every image a file of its own, ``OUT/folders/train/tench/n01440764_10026.JPEG``.

The files are those of the source, byte for byte: what reads class folders decodes whatever an image is, and a copy, a
link and a moved file must be the same thing. So nothing is converted here, and nothing is shuffled: readers of folders
sort and shuffle for themselves.

``folders/meta.bin`` lets torchvision's ``ImageNet`` accept the tree, where its names are those it expects (WNIDs, and
``val``). It holds what torchvision would extract from the devkit: lemmas by WNID, and the WNIDs of the validation
images by number, in PyTorch's file form, a zip archive with a pickle (torchvision ``datasets/imagenet.py``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import ClassVar, Final, Literal

from imagenet_prep.errors import counted
from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Sample
from imagenet_prep.outputs.base import (
    WHOLE_FILE,
    Contents,
    ImageRange,
    Output,
    PlannedShard,
    Reader,
    ShardWriter,
    StoredShard,
    Written,
    option,
)
from imagenet_prep.outputs.class_folders import ClassFolders, Names, ValidationFolder, class_folders
from imagenet_prep.stores.base import Batch, Store

FOLDER = "folders"
Transfer = Literal["copy", "hardlink", "symlink", "move"]
COPY: Final = "copy"
HARDLINK: Final = "hardlink"
SYMLINK: Final = "symlink"
MOVE: Final = "move"
CLASSES = f"{FOLDER}/classes.csv"
META = f"{FOLDER}/meta.bin"
_PICKLE_PROTOCOL = 2  # what torch.load accepts without being told to trust the file
_OLDEST_TIME = (1980, 1, 1, 0, 0, 0)  # of a zip member: a clock would make equal builds differ
_UNKNOWN = -1
_TORCHVISION = """\
from torchvision.datasets import ImageFolder

for image, label in ImageFolder("DATA/folders/train"):
    print(image.size, label)
    break
"""
_TIMM = """\
from timm.data import create_dataset

image, label = create_dataset("", root="DATA/folders", split="train")[0]
print(image.size, label)
"""
_IMAGEFOLDER = """\
from datasets import load_dataset

row = load_dataset("imagefolder", data_dir="DATA/folders", split="train")[0]
print(row["image"].size, row["label"])
"""
_KERAS = """\
import keras

for images, labels in keras.utils.image_dataset_from_directory("DATA/folders/train", batch_size=3).take(1):
    print(images.shape, labels.numpy())
"""
_AS_WNIDS: Final = MappingProxyType({"names": "wnid"})
_AS_TORCHVISION: Final = MappingProxyType({"names": "wnid", "validation_folder": "val"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders(Output):
    """``OUT/folders/{train,validation,test}/CLASS/FILE``."""

    names: Names = option("name", "How class folders are called: tench, n01440764, or 000_tench.")
    validation_folder: ValidationFolder = option(
        "validation",
        "What validation's folder is called; with val and --names wnid, torchvision's ImageNet reads the folders.",
    )
    transfer: Transfer = option(
        COPY,
        "How images that are files get into class folders. A move takes the names in the source away at the very end.",
    )

    name: ClassVar[str] = FOLDER
    folder: ClassVar[str] = FOLDER
    ordered: ClassVar[bool] = False
    overhead: ClassVar[int] = 4096  # a file system gives out whole blocks, half of the last one unused, and an inode
    file_column: ClassVar[str] = "path"
    image_range: ClassVar[ImageRange | None] = WHOLE_FILE
    document_paths: ClassVar[tuple[str, ...]] = (CLASSES, META)
    readers: ClassVar[tuple[Reader, ...]] = (
        Reader("torchvision", _TORCHVISION, "torchvision", _AS_TORCHVISION, meant_by=("pytorch", "torchvision")),
        Reader("timm", _TIMM, "timm", _AS_TORCHVISION, meant_by=("timm",)),
        Reader("imagefolder", _IMAGEFOLDER, "datasets pillow", _AS_WNIDS, meant_by=("imagefolder",)),
        Reader("keras", _KERAS, "keras tensorflow", _AS_WNIDS, meant_by=("keras",)),
    )
    links: ClassVar[bool] = True
    shards = MappingProxyType({})

    @property
    def moves(self) -> bool:
        """Whether the names in the source go at the end."""
        return self.transfer == MOVE

    @property
    def symbolic(self) -> bool:
        """Whether links lead to the source."""
        return self.transfer == SYMLINK

    def reads(self, *, own_file: bool) -> bool:
        """Files are only read to be copied; images inside archives always are."""
        return self.transfer == COPY or not own_file

    def writer(self, batch: Batch, planned: PlannedShard) -> ShardWriter:
        """Open a part of the tree."""
        return _Writer(batch, planned.shard.split, self._tree(planned.class_names), self.transfer)

    def files(self, stored: StoredShard) -> Sequence[str]:
        """Give the path of each image."""
        return self.sample_files(stored)

    def sample_files(self, stored: StoredShard) -> Sequence[str]:
        """Give the path of each image."""
        tree, split = self._tree(stored.class_names), stored.shard.split
        images = zip(stored.class_indexes, stored.names, strict=True)
        return [tree.path(split, class_index, name) for class_index, name in images]

    def documents(self, contents: Contents) -> Mapping[str, bytes]:
        """Give the class table of the folders, and torchvision's ``meta.bin`` for a tree it would accept."""
        tree = self._tree(contents.class_names)
        documents = {CLASSES: _class_table(contents, tree)}
        if tree.classes == tuple(of.wnid for of in official().classes) and self.validation_folder == "val":
            documents[META] = _meta()
        return documents

    def describe(self, contents: Contents) -> Mapping[str, str]:
        """Name the tree, and the folder of each split."""
        tree = self._tree(contents.class_names)
        text = "class folders for ImageFolder and the like; folders/classes.csv has their orders and class indexes"
        return {FOLDER: text} | {
            f"{FOLDER}/{tree.split(split)}": f"{counted(facts.images, 'image')} in "
            f"{counted(len(facts.classes), 'class folder')}, {tree.classes[facts.classes[0]]} and so on"
            for split, facts in contents.splits.items()
        }

    def remarks(self, contents: Contents) -> Iterator[str]:
        """Readers of class folders number the classes by the sorted names of the folders: say where that misleads."""
        every, tree = contents.classes, self._tree(contents.class_names)
        if len(every) > 1 and tree.sorted_indexes(every) != every:
            yield (
                "Sorted by name, these class folders have another order than the class index, and readers such as "
                "ImageFolder number them in that order, timm in yet another: folders/classes.csv has all three. "
                "--names wnid or indexed (000_tench) makes them agree."
            )
        elif len(every) < CLASS_COUNT:
            yield (
                f"With {len(every):,} class folders, readers such as ImageFolder number the classes 0 to "
                f"{len(every) - 1:,}: folders/classes.csv has their numbers and the class index."
            )
        if any(facts.classes != every for facts in contents.splits.values()):
            yield (
                "The splits do not have the same classes: readers such as ImageFolder would number them otherwise in "
                "each split."
            )

    def read(self, store: Store, stored: StoredShard, seen: list[FileFact] | None = None) -> Iterator[Sample]:
        """Read images back; the class is that of the folder, through ``classes.csv``, or −1 if that does not tell."""
        from imagenet_prep.codecs.tfrecord import digest_of

        classes = _class_indexes(store)
        for file in self.sample_files(stored):
            path, image = PurePosixPath(file), store.read(file)
            if seen is not None:
                seen.append(FileFact(file, len(image), digest_of(image)))
            yield Sample(path.name, image, classes.get(path.parent.name, _UNKNOWN), 0, 0, original=image)

    def _tree(self, class_names: Sequence[str]) -> ClassFolders:
        return class_folders(FOLDER, tuple(class_names), self.names, self.validation_folder)


class _Writer:
    def __init__(self, batch: Batch, split: str, tree: ClassFolders, transfer: str) -> None:
        self._batch = batch
        self._split = split
        self._tree = tree
        self._transfer = transfer
        self._size = 0

    def add(self, sample: Sample) -> None:
        """Write one image as it was in the source, or link its file."""
        path = self._tree.path(self._split, sample.class_index, sample.name)
        if sample.file and self._transfer != COPY:
            self._batch.link(path, sample.file, symbolic=self._transfer == SYMLINK)
            return
        self._batch.place(path, sample.original, sample.file)
        self._size += len(sample.original)

    def leave_out(self, sample: Sample) -> None:
        """Remove an image that an earlier run, which looked less closely, has written."""
        self._batch.discard(self._tree.path(self._split, sample.class_index, sample.name))

    def flush(self) -> None:
        """Every image is written at once."""

    def finish(self) -> Written:
        """Tell the bytes; there are no files beside the images."""
        return Written((), self._size, {})


def _class_table(contents: Contents, tree: ClassFolders) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["class_index", "folder_index", "wnid", "folder", "name", "natural_index"])
    folder_indexes = {index: place for place, index in enumerate(tree.sorted_indexes(contents.classes))}
    natural = {index: place for place, index in enumerate(tree.naturally_sorted_indexes(contents.classes))}
    for index in contents.classes:
        wnid, name = official().classes[index].wnid, contents.class_names[index]
        rows.writerow([index, folder_indexes[index], wnid, tree.classes[index], name, natural[index]])
    return text.getvalue().encode()


def _class_indexes(store: Store) -> dict[str, int]:
    """Read the class table of the folders; one that cannot be read tells of no folder, and is itself compared."""
    try:
        text = io.StringIO(store.read(CLASSES).decode(), newline="")
        return {row["folder"]: int(row["class_index"]) for row in csv.DictReader(text)}
    except (OSError, KeyError, ValueError, TypeError, csv.Error):
        return {}


def _meta() -> bytes:
    import pickle
    import zipfile

    classes = official().classes
    lemmas = {of.wnid: tuple(of.lemmas.split(", ")) for of in classes}
    content = pickle.dumps((lemmas, [classes[index].wnid for index in validation_truth()]), _PICKLE_PROTOCOL)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, member in (("data.pkl", content), ("version", b"3\n")):
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", _OLDEST_TIME), member)
    return data.getvalue()

"""Every kind of source keeps the contract, in the layouts in which people have it."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from imagenet_prep.sources.base import all_sources
from imagenet_prep.sources.class_folders import ClassFolders
from imagenet_prep.sources.image_tar import ImageTar
from imagenet_prep.sources.image_zip import ClassZips, ImageZip
from imagenet_prep.sources.official import ClassTarFolder, TrainArchive, ValidationArchive
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.archives import TRAIN, VALIDATION
from imagenet_prep.testing.contracts import Known, SourceContract
from support.tools import gnu_tar, zipped


def small(folder: Path, layout: str, *, validation: int = 2) -> Miniature:
    """A miniature of images alone; two of its three classes are both called crane."""
    wnids = ("n01440764", "n02012849", "n03126707")
    options = MiniatureOptions(
        wnids=wnids, images_per_class=3, validation_per_class=validation, boxes=False, devkit=False, layout=layout
    )
    return write_miniature(folder, options)


@cache
def images() -> tuple[Known, ...]:
    """Its images, which are the same in every layout; with bytes that are taken from plain files."""
    with tempfile.TemporaryDirectory() as folder:
        plain = small(Path(folder), "extracted")
        splits = {TRAIN: "train", VALIDATION: "validation"}
        files = [(plain.root / plain.where(entry).container / plain.where(entry).member) for entry in plain.entries]
        return tuple(
            Known(entry.name, entry.wnid, splits[entry.archive], file.read_bytes())
            for entry, file in zip(plain.entries, files, strict=True)
        )


def of_train() -> list[Known]:
    return [image for image in images() if image.split == "train"]


class TestTrainArchive(SourceContract):
    source = TrainArchive()

    def write(self, folder: Path) -> list[Known]:
        small(folder, "archives", validation=0)
        return of_train()


class TestValidationArchive(SourceContract):
    source = ValidationArchive()

    def write(self, folder: Path) -> list[Known]:
        small(folder, "archives")
        (folder / TRAIN).unlink()
        return [image for image in images() if image.split == "validation"]


class TestATarOfClassFolders(SourceContract):
    """Of both splits, packed by GNU tar."""

    source = ImageTar()

    def write(self, folder: Path) -> tuple[Known, ...]:
        with tempfile.TemporaryDirectory() as place:
            small(Path(place) / "imagenet", "sorted")
            gnu_tar(folder / "imagenet.tar", "--sort=name", "--mtime=@0", "imagenet", here=Path(place))
        return images()


class TestATarOfFlatTrainImages(SourceContract):
    source = ImageTar()

    def write(self, folder: Path) -> list[Known]:
        with tempfile.TemporaryDirectory() as place:
            for image in of_train():
                Path(place, image.name).write_bytes(image.data)
            gnu_tar(folder / "train.tar", "--sort=name", "--mtime=@0", ".", here=Path(place))
        return of_train()


class TestAZipOfClassFolders(SourceContract):
    """Of both splits, packed by Info-ZIP."""

    source = ImageZip()

    def write(self, folder: Path) -> tuple[Known, ...]:
        with tempfile.TemporaryDirectory() as place:
            small(Path(place) / "imagenet", "sorted")
            zipped(folder / "imagenet.zip", "-0", "-r", "-X", "imagenet", here=Path(place))
        return images()


class TestAFolderOfClassZips(SourceContract):
    source = ClassZips()

    def write(self, folder: Path) -> list[Known]:
        with tempfile.TemporaryDirectory() as place:
            small(Path(place), "extracted", validation=0)
            for path in sorted(Path(place, "train").iterdir()):
                zipped(folder / f"{path.name}.zip", "-0", "-r", "-X", path.name, here=path.parent)
        return of_train()


class TestClassTarFolder(SourceContract):
    source = ClassTarFolder()

    def write(self, folder: Path) -> list[Known]:
        small(folder, "class-tars", validation=0)
        return of_train()


class OfFolders(SourceContract):
    source = ClassFolders()
    layout: str

    def write(self, folder: Path) -> tuple[Known, ...]:
        small(folder, self.layout)
        return images()


class TestClassFoldersAndAFlatFolder(OfFolders):
    layout = "extracted"


class TestClassFoldersOfBothSplits(OfFolders):
    layout = "sorted"


class TestClassFoldersCalledByNames(OfFolders):
    layout = "renamed"


class TestClassFoldersWhoseNamesClash(OfFolders):
    layout = "clashing"


class TestClassFoldersOfOtherNames(SourceContract):
    """As Hugging Face has them, half of them in another spelling of .JPEG."""

    source = ClassFolders()

    def write(self, folder: Path) -> tuple[Known, ...]:
        for place, image in enumerate(images()):
            file = folder / image.split / image.wnid / image.name.replace(".JPEG", f"_{image.wnid}.JPEG")
            file.parent.mkdir(parents=True, exist_ok=True)
            (file.with_suffix(".jpg") if place % 2 else file).write_bytes(image.data)
        return images()


class TestAFlatFolder(SourceContract):
    source = ClassFolders()

    def write(self, folder: Path) -> list[Known]:
        for image in of_train():
            (folder / image.name).write_bytes(image.data)
        return of_train()


def test_every_kind_of_source_keeps_the_contract() -> None:
    kept = {type(test.source) for test in _subclasses(SourceContract) if "source" in vars(test)}
    assert {type(source) for source in all_sources()} <= kept


def _subclasses(of: type[SourceContract]) -> list[type[SourceContract]]:
    return [each for one in of.__subclasses__() for each in (one, *_subclasses(one))]

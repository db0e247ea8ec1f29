"""Class folders, read by the readers that people have: torchvision's ImageFolder and ImageNet, `imagefolder` of Hugging
Face, the file reader of DALI. Their class numbers are the order of the folder names; `classes.csv` leads from there to
the class index.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import datasets as hugging_face
import numpy as np
import pytest
import torch
from nvidia.dali import fn, pipeline_def, types

from imagenet_prep import BuildOptions, build
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from readers import truth
from readers.conftest import HOLD_OUT, Built
from readers.torch_vision import CATEGORIES, ImageFolder, ImageNet

SPLITS = ("train", "validation", "test")
NEAR = 3.0  # mean difference of a pixel, 0…255, between two decoders
VALIDATION_FOLDER = {"name": "validation", "indexed": "validation", "wnid": "val"}  # by the way classes are named


@dataclass(frozen=True)
class Folders:
    """The class folders of a build, and what was in its archives."""

    root: Path
    validation_folder: str
    archives: Built

    def of(self, split: str) -> Path:
        return self.root / (self.validation_folder if split == "validation" else split)

    @cached_property
    def expected(self) -> dict[str, int]:
        """The number of images in each split."""
        train, validation = self.archives.truth
        held_out = HOLD_OUT * len({picture.wnid for picture in train.values()})
        return {"train": len(train) - held_out, "validation": len(validation), "test": held_out}

    @cached_property
    def classes(self) -> list[dict[str, str]]:
        """The rows of classes.csv, by folder index."""
        with (self.root / "classes.csv").open(newline="", encoding="utf-8") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: int(row["folder_index"]))
        assert [int(row["folder_index"]) for row in rows] == list(range(len(rows)))
        return rows

    def class_index(self, folder_index: int) -> int:
        return int(self.classes[folder_index]["class_index"])


@pytest.fixture(scope="module")
def folders_named(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Folders]:
    """Build, once for each way to name the classes."""

    @cache
    def named(names: str) -> Folders:
        return _folders(built, tmp_path_factory.mktemp(names) / "data", names)

    return named


@pytest.fixture(params=VALIDATION_FOLDER)
def folders(request: pytest.FixtureRequest, folders_named: Callable[[str], Folders]) -> Folders:
    return folders_named(request.param)


@pytest.fixture(scope="module")
def odd_folders(built_miniature: Built, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Folders of the miniature, whatever archives are tested."""
    return _folders(built_miniature, tmp_path_factory.mktemp("odd") / "data", "name")


def _folders(archives: Built, out: Path, names: str) -> Folders:
    validation = VALIDATION_FOLDER[names]
    options = BuildOptions.of(
        format=("folders",), names=names, validation_folder=validation, test_per_class=HOLD_OUT, jobs=1
    )
    build(archives.archives, out, options)
    return Folders(out / "folders", validation, archives)


def load(folders: Folders, cache_dir: Path) -> Any:
    """What Hugging Face makes of the folder, images undecoded. It looks for the splits itself."""
    loaded = hugging_face.load_dataset("imagefolder", data_dir=str(folders.root), cache_dir=str(cache_dir))
    return loaded.cast_column("image", hugging_face.Image(decode=False))


def names_in(rows: Any) -> list[str]:
    return [Path(row["image"]["path"]).name for row in rows]


@pipeline_def(batch_size=1, num_threads=1, device_id=None)  # type: ignore[untyped-decorator]
def reading(folder: Path) -> tuple[Any, ...]:
    """The images of a folder, with their labels, decoded in their stored frame."""
    encoded, label = fn.readers.file(file_root=str(folder), name="reader")
    return encoded, label, fn.decoders.image(encoded, output_type=types.RGB, adjust_orientation=False)


def dali_rows(folder: Path) -> Iterator[tuple[Path, int, Any]]:
    """Yield path, label and pixels of every image."""
    pipeline = reading(folder)
    pipeline.build()
    for _ in range(pipeline.epoch_size("reader")):
        encoded, label, decoded = pipeline.run()
        yield Path(encoded[0].source_info()), int(label.at(0)[0]), np.array(decoded.at(0))


def test_splits_hold_every_image_of_the_archives_once_byte_for_byte(folders: Folders) -> None:
    train, validation = folders.archives.truth
    found = {split: {Path(path).name: path for path, _ in ImageFolder(folders.of(split)).samples} for split in SPLITS}

    assert {split: len(ImageFolder(folders.of(split))) for split in SPLITS} == folders.expected
    assert sorted([*found["train"], *found["test"]]) == sorted(train)
    assert sorted(found["validation"]) == sorted(validation)
    assert Counter(train[name].wnid for name in found["test"]) == dict.fromkeys(
        {picture.wnid for picture in train.values()}, HOLD_OUT
    )
    for name, path in {name: path for files in found.values() for name, path in files.items()}.items():
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == folders.archives.pictures[name].sha256, name


@pytest.mark.parametrize("split", SPLITS)
def test_image_folder_gives_every_image_its_class(folders: Folders, split: str) -> None:
    reader = ImageFolder(folders.of(split))

    assert reader.class_to_idx == {row["folder"]: int(row["folder_index"]) for row in folders.classes}
    for path, folder_index in reader.samples:
        assert folders.class_index(folder_index) == folders.archives.pictures[Path(path).name].class_index, path


@pytest.mark.parametrize("split", SPLITS)
def test_image_folder_decodes_every_image_to_its_size(folders: Folders, split: str) -> None:
    reader = ImageFolder(folders.of(split))

    for (path, _), (image, _) in zip(reader.samples, reader, strict=True):
        picture = folders.archives.pictures[Path(path).name]
        assert (image.mode, *image.size) == ("RGB", picture.width, picture.height), path


@pytest.mark.parametrize("names", ["indexed", "wnid"])
def test_folders_with_index_or_wnid_are_in_the_order_of_class_indexes(
    folders_named: Callable[[str], Folders], names: str
) -> None:
    indexes = [int(row["class_index"]) for row in folders_named(names).classes]

    assert indexes == sorted({picture.class_index for picture in folders_named(names).archives.pictures.values()})


def test_folders_with_readable_names_are_not(odd_folders: Folders) -> None:
    """Or the tests above would prove little."""
    indexes = [int(row["class_index"]) for row in odd_folders.classes]

    assert indexes != sorted(indexes)


@pytest.mark.parametrize(("split", "theirs"), [("train", "train"), ("validation", "val")])
def test_torchvision_s_imagenet_takes_the_folders_for_its_own(
    folders_named: Callable[[str], Folders], split: str, theirs: str
) -> None:
    folders = folders_named("wnid")
    reader = ImageNet(folders.root, split=theirs)

    assert reader.samples == ImageFolder(folders.of(split)).samples
    assert len(reader) == folders.expected[split]
    assert reader.wnids == [row["folder"] for row in folders.classes] == [row["wnid"] for row in folders.classes]
    for lemmas, row in zip(reader.classes, folders.classes, strict=True):
        assert isinstance(lemmas, tuple)
        assert CATEGORIES[int(row["class_index"])].startswith(lemmas[0])  # where two classes have one, it adds to it


def test_meta_bin_holds_what_torchvision_takes_from_the_devkit(folders_named: Callable[[str], Folders]) -> None:
    lemmas, validation = torch.load(folders_named("wnid").root / "meta.bin", weights_only=True)

    assert sorted(lemmas) == truth.wnids()
    assert lemmas["n01440764"] == ("tench", "Tinca tinca")
    assert validation == truth.validation_wnids()


def test_hugging_face_gives_every_image_its_class(folders: Folders, tmp_path: Path) -> None:
    loaded = load(folders, tmp_path)

    assert {split: len(rows) for split, rows in loaded.items()} == folders.expected
    for rows in loaded.values():
        assert sorted(rows.features) == ["image", "label"]
        assert rows.features["label"].names == [row["folder"] for row in folders.classes]
        for name, row in zip(names_in(rows), rows, strict=True):
            assert folders.class_index(row["label"]) == folders.archives.pictures[name].class_index, name


@pytest.mark.parametrize("names", ["name", "indexed"])
def test_hugging_face_does_not_take_a_bullet_train_for_a_train_image(names: str, tmp_path: Path) -> None:
    """It takes the words of a class folder for names of splits, too, but tells capitals apart: bullet_Train."""
    options = MiniatureOptions(wnids=("n01440764", "n02917067"), images_per_class=8, validation_per_class=2)
    write_miniature(tmp_path / "archives", options)
    folders = _folders(Built(tmp_path / "archives", tmp_path), tmp_path / "data", names)

    found = load(folders, tmp_path / "found")

    assert folders.expected == {"train": 12, "validation": 4, "test": 4}
    assert {split: len(rows) for split, rows in found.items()} == folders.expected
    assert not set(names_in(found["train"])) & set(names_in(found["test"]))


def test_hugging_face_would_take_it_under_its_own_name(tmp_path: Path) -> None:
    """Why the folder is not called bullet_train: with another version that minds no longer, this fails."""
    options = MiniatureOptions(wnids=("n01440764", "n02917067"), images_per_class=8, validation_per_class=2)
    write_miniature(tmp_path / "archives", options)
    folders = _folders(Built(tmp_path / "archives", tmp_path), tmp_path / "data", "name")
    for split in SPLITS:
        (folders.root / split / "bullet_Train").rename(folders.root / split / "bullet_train")

    assert len(load(folders, tmp_path / "found")["train"]) > folders.expected["train"]


def test_hugging_face_decodes_every_image_to_its_size(folders: Folders, tmp_path: Path) -> None:
    for rows in load(folders, tmp_path).values():
        for name, row in zip(names_in(rows), rows.cast_column("image", hugging_face.Image()), strict=True):
            picture = folders.archives.pictures[name]
            row["image"].load()
            # It turns images by their rotation tag, as no other reader here does unless told to.
            assert sorted(row["image"].size) == sorted((picture.width, picture.height)), name


def test_hugging_face_leaves_it_to_the_caller_to_make_all_images_rgb(odd_folders: Folders, tmp_path: Path) -> None:
    loaded = load(odd_folders, tmp_path).cast_column("image", hugging_face.Image())

    assert {row["image"].mode for rows in loaded.values() for row in rows} == {"RGB", "L", "CMYK"}


@pytest.mark.parametrize("split", SPLITS)
def test_dali_gives_every_image_its_class_and_its_size(folders: Folders, split: str) -> None:
    rows = list(dali_rows(folders.of(split)))

    assert len({path for path, _, _ in rows}) == len(rows) == folders.expected[split]
    for path, folder_index, pixels in rows:
        picture = folders.archives.pictures[path.name]
        assert folders.class_index(folder_index) == picture.class_index, path
        assert pixels.shape == (picture.height, picture.width, 3), path


@pytest.mark.parametrize("quirk", ["cmyk", "png", "greyscale"])
def test_dali_and_torchvision_see_the_same_picture_in_what_is_no_rgb_jpeg(
    odd_folders: Folders, miniature: Miniature, quirk: str
) -> None:
    name, _ = odd_folders.archives.the_one_with(miniature, quirk)
    folder = next(odd_folders.root.glob(f"*/*/{name}")).parent.parent
    reader = ImageFolder(folder)

    theirs = next(
        image for (path, _), (image, _) in zip(reader.samples, reader, strict=True) if Path(path).name == name
    )
    pixels = next(pixels for path, _, pixels in dali_rows(folder) if path.name == name)

    assert np.abs(np.asarray(theirs, float) - pixels).mean() < NEAR

"""Which number each reader gives to each of the 1,000 classes, in each way of naming the folders: `classes.csv` has a
column for every order that a reader sorts by, and all readers agree with the class index where docs/formats/folders.md
says so.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, get_args

import datasets as hugging_face
import pytest
from keras.utils import image_dataset_from_directory
from nvidia.dali import fn, pipeline_def

from imagenet_prep import BuildOptions, build
from imagenet_prep.outputs.class_folders import Names
from imagenet_prep.testing import MiniatureOptions, write_miniature
from readers.torch_vision import ImageFolder, ReaderImageFolder

Numbers = dict[str, int]  # from the name of a folder to the number of its class
NUMBER_OF = {  # the column of classes.csv that has the numbers of a reader
    "torchvision": "folder_index",
    "timm": "natural_index",
    "hugging_face": "folder_index",
    "keras": "folder_index",
    "dali": "folder_index",
}
AGREED = {"wnid": True, "indexed": True, "name": False}  # whether every reader gives every class its class index


@pytest.fixture(scope="module")
def every_class(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = MiniatureOptions(classes=1000, images_per_class=1, validation_per_class=1, boxes=False, devkit=False)
    return write_miniature(tmp_path_factory.mktemp("every-class"), options).root


@pytest.fixture(scope="module")
def folders_named(every_class: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Build, once for each way to name the classes; one image of each of the 1,000."""

    @cache
    def named(names: str) -> Path:
        out = tmp_path_factory.mktemp(names) / "data"
        build(every_class, out, BuildOptions.of(format=("folders",), names=names, test_per_class=0, splits=("train",)))
        return out / "folders"

    return named


def torchvision(folder: Path) -> Numbers:
    reader = ImageFolder(folder)
    return {Path(path).parent.name: number for path, number in reader.samples}


def timm(folder: Path) -> Numbers:
    return {Path(path).parent.name: number for path, number in ReaderImageFolder(str(folder)).samples}


def hugging_face_(folder: Path, cache_dir: Path) -> Numbers:
    loaded = hugging_face.load_dataset("imagefolder", data_dir=str(folder), split="train", cache_dir=str(cache_dir))
    rows = loaded.cast_column("image", hugging_face.Image(decode=False))
    return {Path(row["image"]["path"]).parent.name: row["label"] for row in rows}


def keras(folder: Path) -> Numbers:
    reader = image_dataset_from_directory(folder, labels="inferred", batch_size=None, shuffle=False, verbose=False)
    numbers = [int(label) for _, label in reader]
    return {Path(path).parent.name: number for path, number in zip(reader.file_paths, numbers, strict=True)}


@pipeline_def(batch_size=1, num_threads=1, device_id=None)  # type: ignore[untyped-decorator]
def files_of(folder: Path) -> tuple[Any, ...]:
    image, label = fn.readers.file(file_root=str(folder), name="reader")
    return image, label


def dali(folder: Path) -> Numbers:
    pipeline = files_of(folder)
    pipeline.build()
    numbers = {}
    for _ in range(pipeline.epoch_size("reader")):
        image, label = pipeline.run()
        numbers[Path(image[0].source_info()).parent.name] = int(label.at(0)[0])
    return numbers


def numbers_of(reader: str, folder: Path, tmp_path: Path) -> Numbers:
    if reader == "hugging_face":
        return hugging_face_(folder, tmp_path)
    return {"torchvision": torchvision, "timm": timm, "keras": keras, "dali": dali}[reader](folder)


def column(folders: Path, name: str) -> Numbers:
    with (folders / "classes.csv").open(newline="", encoding="utf-8") as file:
        return {row["folder"]: int(row[name]) for row in csv.DictReader(file)}


def test_every_way_of_naming_is_looked_at() -> None:
    assert AGREED.keys() == set(get_args(Names))


@pytest.mark.parametrize("names", AGREED)
@pytest.mark.parametrize("reader", NUMBER_OF)
def test_a_reader_gives_each_class_the_number_in_its_column(
    reader: str, names: str, folders_named: Callable[[str], Path], tmp_path: Path
) -> None:
    numbers = numbers_of(reader, folders_named(names) / "train", tmp_path)

    assert len(numbers) == 1000
    assert numbers == column(folders_named(names), NUMBER_OF[reader])


@pytest.mark.parametrize("names", AGREED)
def test_all_readers_agree_with_the_class_index_by_wnid_and_index_but_not_by_name(
    names: str, folders_named: Callable[[str], Path]
) -> None:
    class_index = column(folders_named(names), "class_index")

    for order in sorted(set(NUMBER_OF.values())):
        assert (column(folders_named(names), order) == class_index) is AGREED[names], order


def test_by_name_timm_numbers_nearly_all_classes_otherwise_than_the_others(
    folders_named: Callable[[str], Path],
) -> None:
    folder_index, natural_index = (column(folders_named("name"), order) for order in ("folder_index", "natural_index"))

    assert sum(folder_index[folder] != natural_index[folder] for folder in folder_index) == 997
    assert (folder_index["tench"], natural_index["tench"]) == (890, 882)

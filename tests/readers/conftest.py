"""One build of one miniature, in both schemas, for all readers.

    python -m pytest -c tests/readers/pytest.ini tests/readers --archives DIR

runs the same tests on a build of the archives in DIR instead: any in the official layout, with more than two train
images in each class. What concerns the oddities of the miniature is tested on the miniature all the same.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is loaded: it is talkative
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("NO_GCE_CHECK", "true")  # TensorFlow Datasets looks for a cloud's metadata server otherwise
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before datasets is loaded: all it needs is on this disk
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pytest

from imagenet_prep import BuildOptions, build, official
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from readers.truth import Picture, Pictures, pictures

HOLD_OUT = 2  # images per class
SHARDS = {"train": 4, "validation": 3, "test": 2}
QUIRKS = ("cmyk", "greyscale", "png", "exif-orientation", "exif-malformed", "progressive", "duplicate")


class Row(NamedTuple):
    """What a reader is to find of an image, whatever the format."""

    name: str
    sha256: str
    label: int
    class_name: str


@dataclass(frozen=True)
class Built:
    """A finished build, and what was in its archives."""

    archives: Path
    out: Path

    @cached_property
    def truth(self) -> tuple[Pictures, Pictures]:
        """The train and the validation images."""
        return pictures(self.archives)

    @cached_property
    def pictures(self) -> Pictures:
        """All images by file name."""
        train, validation = self.truth
        return train | validation

    def rows(self, split: str) -> list[Row]:
        """What the shards of a split hold, in order: that of the keyed digest of its images."""
        names = (self.out / f"splits/{split}.txt").read_text().split()
        names.sort(key=lambda name: hashlib.md5(f"{split}{name}".encode()).digest())
        classes = official().classes
        pictures = [(name, self.pictures[name]) for name in names]
        return [Row(name, each.sha256, each.class_index, classes[each.class_index].name) for name, each in pictures]

    @property
    def tfds(self) -> Path:
        """What TensorFlow Datasets calls the data_dir."""
        return self.out / "tfds"

    def classic(self, split: str) -> list[str]:
        """The shards of a split in the classic schema, in order."""
        return _files(self.out / "tfrecord", f"{split}-*")

    def indexes(self, split: str) -> list[str]:
        """DALI's indexes of these shards."""
        return _files(self.out / "dali-index", f"{split}-*")

    def drop_in(self, split: str) -> list[str]:
        """The shards of a split in the schema of TensorFlow Datasets, in order."""
        return _files(self.tfds / "imagenet2012/5.1.0", f"imagenet2012-{split}.*")

    def the_one_with(self, miniature: Miniature, quirk: str) -> tuple[str, Picture]:
        """Name and truth of the image that carries a quirk."""
        name = next(planted.member for planted in miniature.planted if planted.quirk == quirk).partition("/")[2]
        return name, self.pictures[name]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--archives", type=Path, metavar="DIR", help="test a build of these archives, not of a miniature")


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    options = MiniatureOptions(classes=6, images_per_class=8, validation_per_class=2, quirks=QUIRKS)
    return write_miniature(tmp_path_factory.mktemp("miniature") / "archives", options)


@pytest.fixture(scope="session")
def built_miniature(miniature: Miniature) -> Built:
    return _build(miniature.root, miniature.root.with_name("data"))


@pytest.fixture(scope="session")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    given: Path | None = request.config.getoption("--archives")
    if given is None:
        of_miniature: Built = request.getfixturevalue("built_miniature")
        return of_miniature
    return _build(given, tmp_path_factory.mktemp("archives") / "data")


def _files(folder: Path, pattern: str) -> list[str]:
    found = [str(path) for path in sorted(folder.glob(pattern))]
    assert found, f"no {pattern} in {folder}"  # a test that reads nothing must not pass
    return found


def _build(archives: Path, out: Path) -> Built:
    build(archives, out, BuildOptions.of(format=("tfrecord", "tfds"), test_per_class=HOLD_OUT, shards=SHARDS))
    return Built(archives, out)

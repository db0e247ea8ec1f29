"""Annotations that lie in one archive with the images: the boxes are those of the official archives."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, IndexOptions, SourceError
from imagenet_prep.sources.search import form_of, recognise
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.build import is_the_same
from support.sentences import Sentence
from support.tools import gnu_tar, run_tool, zipped

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

HERE = IndexOptions(jobs=1)
SHAPE = MiniatureOptions(wnids=("n01440764", "n02012849"), images_per_class=4, validation_per_class=3, devkit=False)
BUILT = BuildOptions.of(format="tfrecord", test_per_class=1, jobs=1)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """The official archives, with boxes in archives of their own."""
    return write_miniature(tmp_path_factory.mktemp("usual"), SHAPE)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Kaggle's tree, with annotations beside the images."""
    return write_miniature(tmp_path / "tree", replace(SHAPE, layout="kaggle")).root


def as_a_tar(tree: Path, folder: Path) -> None:
    gnu_tar(folder / "kaggle.tar", ".", here=tree)


def as_a_compressed_tar(tree: Path, folder: Path) -> None:
    as_a_tar(tree, folder)
    run_tool("gzip", "kaggle.tar", here=folder)


def as_a_zip(tree: Path, folder: Path) -> None:
    """Compressed, as Kaggle's is."""
    zipped(folder / "kaggle.zip", "-r", ".", here=tree)


def as_a_zip_that_stores(tree: Path, folder: Path) -> None:
    zipped(folder / "kaggle.zip", "-0", "-r", ".", here=tree)


@pytest.mark.parametrize("pack", [as_a_tar, as_a_compressed_tar, as_a_zip, as_a_zip_that_stores])
def test_all_bytes_are_those_of_the_official_archives(
    pack: Callable[[Path, Path], None], tree: Path, usual: Miniature, tmp_path: Path
) -> None:
    (tmp_path / "source").mkdir()
    pack(tree, tmp_path / "source")
    catalog = imagenet_prep.index(tmp_path / "source", HERE)
    assert catalog.boxes_read
    assert catalog.table["boxes"].null_count < len(catalog)
    is_the_same(tmp_path / "source", usual.root, tmp_path, BUILT)


def test_it_says_where_they_lie(tree: Path, tmp_path: Path) -> None:
    as_a_zip(tree, tmp_path)
    found = recognise([tmp_path / "kaggle.zip"])
    assert [(name, form_of(each)) for name, each in found.items()] == [
        ("train", "zip of images"),
        ("validation", "zip of images"),
        ("train boxes", "in the zip of images"),
        ("validation boxes", "in the zip of images"),
    ]


def test_annotations_in_archives_of_their_own_are_preferred(tree: Path, usual: Miniature, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    as_a_tar(tree, tmp_path / "source")
    for path in usual.root.glob("*bbox*"):
        shutil.copy(path, tmp_path / "source")
    paths = {name: each.path.name for name, each in recognise([tmp_path / "source"]).items()}
    assert (paths["train"], paths["train boxes"]) == ("kaggle.tar", "ILSVRC2012_bbox_train_v2.tar.gz")


@pytest.mark.parametrize("pack", [as_a_tar, as_a_zip])
def test_a_damaged_annotation_is_named(
    pack: Callable[[Path, Path], None], tree: Path, tmp_path: Path, sentence: Sentence
) -> None:
    annotation = min((tree / "ILSVRC/Annotations").rglob("n*.xml"))
    annotation.write_text("<annotation>")
    pack(tree, tmp_path)
    with pytest.raises(SourceError) as caught:
        imagenet_prep.index(next(tmp_path.glob("kaggle.*")), HERE)
    sentence(caught.value)

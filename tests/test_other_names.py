"""Images whose files do not have the names they have in ImageNet, but names that say as much."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import imagenet_prep
from imagenet_prep import AuditOptions, BuildOptions, IndexOptions, SourceError
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.imagenet.names import container_of, file_of, folder_of, official_name
from imagenet_prep.sources.labels import classes_by_name, role_of
from imagenet_prep.testing import Miniature
from imagenet_prep.testing.archives import write_devkit
from support.build import contents, refused
from support.sentences import Sentence, places

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

TENCH, GOLDFISH = "n01440764", "n01443537"
SNAKE = "ILSVRC2012_val_00000001"  # n01751748
HERE = IndexOptions(jobs=1)
EVERY = BuildOptions.of(
    format=("tfrecord", "tfds", "webdataset", "folders"), test_per_class=1, on_bad="set-aside", jobs=1
)
WHERE_FROM = ["source", "source_container", "source_offset"]


def tree(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"an image")
    return root


def where(source: Path) -> dict[str, tuple[str, int]]:
    """Container and class of every image, by name."""
    columns = [imagenet_prep.index(source, HERE).table.column(name) for name in ("name", "container", "class_index")]
    return {name: (container, of) for name, container, of in zip(*(c.to_pylist() for c in columns), strict=True)}


def renamed(images: Miniature, folder: Path, layout: str) -> Path:
    """Write the images of archives as files of other names, and links to all else that lies beside the archives."""
    catalog = imagenet_prep.index(images.root, HERE)
    of_train, of_validation = LAYOUTS[layout]
    for row in catalog.table.to_pylist():
        archive, stem = catalog.archives[row["archive"]], row["name"].removesuffix(".JPEG")
        names = of_train if archive.role == "train" else of_validation
        name = names[int(stem[-2:].strip("_")) % 2].format(stem=stem, wnid=official().classes[row["class_index"]].wnid)
        path = folder / archive.role / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Path(archive.path).read_bytes()[row["offset"] : row["offset"] + row["size"]])
    for path in images.root.iterdir():
        if "_img_" not in path.name:
            (folder / path.name).symlink_to(path)
    return folder


# How the files of train and of validation images are called, of odd and of even numbers.
LAYOUTS = {
    "Hugging Face, class folders": (["{wnid}/{stem}_{wnid}.JPEG"] * 2, ["{wnid}/{stem}_{wnid}.JPEG"] * 2),
    "Hugging Face, flat": (["{stem}_{wnid}.JPEG"] * 2, ["{stem}_{wnid}.JPEG"] * 2),
    "Hugging Face, half sorted": (
        ["{wnid}/{stem}.JPEG", "{wnid}/{stem}_{wnid}.JPEG"],
        ["{stem}_{wnid}.JPEG", "{wnid}/{stem}_{wnid}.JPEG"],
    ),
    ".jpg": (["{wnid}/{stem}.jpg"] * 2, ["{stem}.jpg"] * 2),
    "each of its own": (["{wnid}/{stem}.JPG", "{wnid}/{stem}.jpeg"], ["{stem}.JPEG", "{stem}_{wnid}.jpg"]),
}


class TestADataSetFromFilesOfOtherNames:
    """The same images under other names are the same data set."""

    @pytest.fixture(params=LAYOUTS)
    def source(self, request: pytest.FixtureRequest, two_classes: Miniature, tmp_path: Path) -> Path:
        return renamed(two_classes, tmp_path / "source", request.param)

    def test_all_bytes_are_those_that_the_archives_give(
        self, source: Path, two_classes: Miniature, tmp_path: Path
    ) -> None:
        for place, out in ((source, "files"), (two_classes.root, "archives")):
            imagenet_prep.build(place, tmp_path / out, EVERY)
        found, usual = contents(tmp_path / "files"), contents(tmp_path / "archives")
        tables = [pq.read_table(io.BytesIO(of.pop("manifest.parquet"))) for of in (found, usual)]
        for of in (found, usual):
            del of["build.json"]
        assert found == usual
        assert tables[0].drop(WHERE_FROM).to_pylist() == tables[1].drop(WHERE_FROM).to_pylist()
        assert imagenet_prep.audit(tmp_path / "files", AuditOptions(jobs=1)).records > 0

    def test_the_manifest_says_which_file_an_image_came_from(self, source: Path, tmp_path: Path) -> None:
        imagenet_prep.build(source, tmp_path / "out", EVERY)
        columns = ["source", "source_container", "name", "size"]
        for row in pq.read_table(tmp_path / "out/manifest.parquet", columns=columns).to_pylist():
            file = source / row["source"] / file_of(row["source_container"], row["name"])
            assert file.stat().st_size == row["size"]

    @pytest.mark.parametrize("transfer", ["hardlink", "move"])
    def test_links_and_moves_give_files_their_names_in_imagenet(
        self, transfer: str, source: Path, tmp_path: Path
    ) -> None:
        before = {path: path.stat().st_ino for path in source.rglob("*") if not path.is_symlink() and path.is_file()}
        options = BuildOptions.of(format="folders", transfer=transfer, test_per_class=0, jobs=1)
        imagenet_prep.build(source, tmp_path / "out", options)
        made = {path.stat().st_ino: path.name for path in (tmp_path / "out/folders").rglob("*.JPEG")}
        assert {made[inode] for inode in before.values()} == {official_name(path.name)[0] for path in before}
        imagenet_prep.undo(tmp_path / "out")
        assert {path: path.stat().st_ino for path in before} == before


def test_the_place_of_an_image_says_how_its_file_ends(tmp_path: Path) -> None:
    tree(tmp_path, f"train/tench/{TENCH}_2.jpg", f"train/tench/{TENCH}_1_{TENCH}.JPEG", f"train/tench/{TENCH}_10.JPEG")
    tree(tmp_path, f"val/{SNAKE}_n01751748.JPEG")

    assert where(tmp_path) == {
        f"{TENCH}_1.JPEG": (f"tench/*_{TENCH}.JPEG", 0),
        f"{TENCH}_10.JPEG": ("tench", 0),
        f"{TENCH}_2.JPEG": ("tench/*.jpg", 0),
        f"{SNAKE}.JPEG": ("*_n01751748.JPEG", 65),
    }


def test_the_catalog_is_that_of_the_same_files_under_their_names_in_imagenet(tmp_path: Path) -> None:
    """Also in its order, which is that of the names in ImageNet."""
    stems = [f"{TENCH}_{number}" for number in (1, 10, 2, 300)]
    tree(tmp_path / "a", *(f"{TENCH}/{stem}.JPEG" for stem in stems))
    tree(tmp_path / "b", *(f"{TENCH}/{stem}_{TENCH}.JPEG" for stem in stems))

    found, usual = (imagenet_prep.index(tmp_path / place, HERE).table for place in "ba")

    assert found.drop(["container"]) == usual.drop(["container"])


@pytest.mark.parametrize(
    ("file", "other"),
    [
        (f"train/{TENCH}/{TENCH}_1.jpg", f"train/{TENCH}/{TENCH}_1.JPEG"),
        (f"train/{TENCH}/{TENCH}_1_{TENCH}.JPEG", f"train/tench/{TENCH}_1.JPEG"),
        (f"train/{TENCH}/{TENCH}_1.jpg", f"test/tench/{TENCH}_1.JPG"),
        (f"val/{SNAKE}_n01751748.JPEG", f"val/{SNAKE}.JPEG"),
    ],
)
def test_two_files_of_one_image_are_named_with_both_places(
    file: str, other: str, tmp_path: Path, sentence: Sentence
) -> None:
    tree(tmp_path, file, other, f"train/{GOLDFISH}/{GOLDFISH}_1.JPEG")

    error = refused(tmp_path)
    (problem,) = error.problems
    assert {f"{problem.archive}/{problem.member}", problem.reason.removeprefix("is the same image as ")} == {
        f"{tmp_path}/{file}", f"{tmp_path}/{other}",
    }  # fmt: skip
    sentence(error)


@pytest.mark.parametrize(
    "file",
    [
        f"train/{TENCH}/{TENCH}_1_{GOLDFISH}.JPEG",
        f"train/{TENCH}/{GOLDFISH}_1_{TENCH}.JPEG",
        f"train/{TENCH}/{GOLDFISH}_1_{GOLDFISH}.JPEG",
        f"val/{SNAKE}_{TENCH}.JPEG",
        f"val/{TENCH}/{SNAKE}_n01751748.JPEG",
    ],
)
def test_a_wnid_at_the_end_that_is_not_that_of_the_image_is_named(
    file: str, tmp_path: Path, sentence: Sentence
) -> None:
    tree(tmp_path, f"train/{TENCH}/{TENCH}_2.JPEG", f"val/{TENCH}/ILSVRC2012_val_00000293.JPEG", file)

    error = refused(tmp_path)
    assert places(error.problems) == [f"{tmp_path}/{file.replace('/', ': ', 1)}"]
    sentence(error)


def test_a_wnid_at_the_end_is_compared_with_the_list_that_counts(tmp_path: Path, sentence: Sentence) -> None:
    tree(tmp_path, f"val/{SNAKE}_n01751748.JPEG")
    write_devkit(tmp_path / "ILSVRC2012_devkit_t12.tar.gz", [1] * 10)

    with pytest.raises(SourceError) as caught:
        imagenet_prep.index(tmp_path, IndexOptions(jobs=1, trust_labels=True))
    sentence(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        f"{TENCH}_1.Jpeg", f"{TENCH}_1.png", f"{TENCH}_1.jpg.JPEG", f"{TENCH}_1_{TENCH}", f"{TENCH}_1_tench.JPEG",
        f"{TENCH}_1_{TENCH}_{TENCH}.JPEG", f"{TENCH}_1__{TENCH}.JPEG", f"{TENCH}_1_{TENCH}.xml", "1.jpg",
        f"{TENCH}_1_n0144076.JPEG", f"{TENCH}_1_n٠١٤٤٠٧٦٤.JPEG", f"{TENCH}_1.jpg\n", f"*_{TENCH}.JPEG", "*.jpg",
    ],
)  # fmt: skip
def test_a_name_that_only_resembles_these_is_refused(name: str, tmp_path: Path) -> None:
    tree(tmp_path, f"{TENCH}/{TENCH}_2.JPEG", f"{TENCH}/{name}")

    (problem,) = refused(tmp_path).problems
    assert problem.reason == "is not named like an ImageNet train image"


def test_an_image_that_cannot_be_used_is_called_by_the_name_of_its_file(tmp_path: Path, sentence: Sentence) -> None:
    tree(tmp_path / "source", f"train/{TENCH}/{TENCH}_1_{TENCH}.jpg")

    with pytest.raises(SourceError) as caught:
        imagenet_prep.build(
            tmp_path / "source", tmp_path / "out", BuildOptions.of(splits=("train",), test_per_class=0, jobs=1)
        )
    sentence(caught.value)


ENDINGS = ["", ".jpg", ".jpeg", ".JPG", f"_{TENCH}.JPEG", f"_{TENCH}.jpg"]


@given(st.integers(0, 10**7), st.sampled_from(ENDINGS), st.sampled_from(["", "tench", "a/b", "*", "train/*x"]))
def test_a_file_is_found_again_from_name_and_place(number: int, ending: str, folder: str) -> None:
    file = f"{TENCH}_{number}{ending or '.JPEG'}"
    name, ends = official_name(file)
    container = container_of(folder, ends)

    assert (name, ends) == (f"{TENCH}_{number}.JPEG", ending)
    assert (folder_of(container), file_of(container, name)) == (folder, "/".join(filter(None, (folder, file))))


@given(st.integers(0, 999), st.integers(0, 10**9), st.sampled_from([".JPEG", ".jpeg", ".JPG", ".jpg"]))
def test_any_image_has_its_class_under_these_names(class_index: int, number: int, suffix: str) -> None:
    wnid = official().classes[class_index].wnid
    truth = validation_truth()
    of_truth = official().classes[truth[number % 50_000]].wnid
    for role, stem, ends, of in (
        ("train", f"{wnid}_{number}", wnid, class_index),
        ("validation", f"ILSVRC2012_val_{number % 50_000 + 1:08}", of_truth, truth[number % 50_000]),
    ):
        for file in (f"{stem}{suffix}", f"{stem}_{ends}{suffix}"):
            assert (role_of(file), classes_by_name(role, truth)(file)) == (role, of)
            assert official_name(file)[0] == f"{stem}.JPEG"

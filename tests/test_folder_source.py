"""Images that lie in folders: the same catalog as from the archives, and no class that comes from where a file lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_prep.errors import SourceError
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.model.events import Note
from imagenet_prep.planning.catalog import Catalog
from imagenet_prep.sources.base import Part, Walk
from imagenet_prep.sources.class_folders import ClassFolders
from imagenet_prep.sources.kaggle import read_validation_classes
from imagenet_prep.sources.labels import NO_CLASS, classes_by_name, role_of
from imagenet_prep.testing import LAYOUTS, Miniature, MiniatureOptions, write_miniature
from imagenet_prep.testing.archives import TRAIN, write_devkit
from imagenet_prep.verbs.index import IndexOptions, index
from support.sentences import Sentence, places

HERE = IndexOptions(jobs=1)
TRUSTING = IndexOptions(jobs=1, trust_labels=True)
WNIDS = ("n01440764", "n02012849", "n03126707", "n03710637", "n03710721")  # tench, both cranes and both maillots
TENCH, GOLDFISH = "n01440764", "n01443537"
SNAKE = "ILSVRC2012_val_00000001.JPEG"
SEA_SNAKE = 65


def miniature(out: Path, layout: str, **options: Any) -> Miniature:
    chosen: dict[str, Any] = {"wnids": WNIDS, "images_per_class": 4, "validation_per_class": 2} | options
    return write_miniature(out, MiniatureOptions(layout=layout, **chosen))


def tree(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"an image")
    return root


def rows(catalog: Catalog, *columns: str) -> list[Any]:
    return list(zip(*(catalog.table.column(name).to_pylist() for name in columns), strict=True))


def labels(catalog: Catalog) -> dict[str, int]:
    return dict(rows(catalog, "name", "class_index"))


def refused(*sources: Path, options: IndexOptions = HERE) -> list[str]:
    with pytest.raises(SourceError) as caught:
        index(sources, options)
    assert caught.value.remedy
    return [str(problem) for problem in caught.value.problems]


# --- The same catalog -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_the_names_classes_and_sizes_of_the_archives(layout: str, tmp_path: Path) -> None:
    mini = miniature(tmp_path, layout)

    catalog = index(tmp_path, HERE)

    roles = [archive.role for archive in catalog.archives]
    found = [(name, label, size, roles[archive])
             for name, label, size, archive in rows(catalog, "name", "class_index", "size", "archive")]  # fmt: skip
    expected = [(entry.name, entry.class_index, entry.size, "train" if entry.archive == TRAIN else "validation")
                for entry in mini.entries]  # fmt: skip
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_the_boxes_of_the_archives(layout: str, tmp_path: Path) -> None:
    miniature(tmp_path / "official", "archives")
    miniature(tmp_path / "other", layout)

    expected = {name: boxes for name, boxes in rows(index(tmp_path / "official", HERE), "name", "boxes") if boxes}
    found = {name: boxes for name, boxes in rows(index(tmp_path / "other", HERE), "name", "boxes") if boxes}

    assert found == expected
    assert any(name.startswith("n") for name in found)
    assert any(name.startswith("ILSVRC2012_val") for name in found)


@pytest.mark.parametrize("layout", ["extracted", "sorted", "renamed", "clashing", "kaggle"])
def test_a_file_is_where_folder_and_container_say_from_its_first_byte(layout: str, tmp_path: Path) -> None:
    mini = miniature(tmp_path, layout)

    catalog = index(tmp_path, HERE)

    where = {entry.name: str(mini.where(entry)) for entry in mini.entries}
    for name, archive, container, offset in rows(catalog, "name", "archive", "container", "offset"):
        assert offset == 0
        assert where[name].endswith(str(Path(catalog.archives[archive].name, container, name)))


def test_the_size_of_a_folder_is_that_of_its_images(tmp_path: Path) -> None:
    mini = miniature(tmp_path, "sorted")

    train = next(archive for archive in index(tmp_path, HERE).archives if archive.role == "train")

    assert (train.name, train.size, train.modified, train.folder) == (
        "train", sum(entry.size for entry in mini.train), 0, True
    )  # fmt: skip


def test_any_number_of_processes_gives_the_same_catalog(tmp_path: Path) -> None:
    miniature(tmp_path, "kaggle")

    alone, together = index(tmp_path, HERE), index(tmp_path, IndexOptions(jobs=2))

    assert (together.table, together.archives) == (alone.table, alone.archives)


def test_a_folder_is_the_same_source_by_whatever_path_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, f"train/tench/{TENCH}_1.JPEG")
    from_outside = index(tmp_path / "train", HERE)

    monkeypatch.chdir(tmp_path / "train")

    assert index(".", HERE).archives == from_outside.archives
    assert index(".", HERE).table == from_outside.table


def test_files_come_out_by_name_whatever_the_order_of_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = (1, 10, 2, 300)
    tree(tmp_path, *(f"tench/{TENCH}_{number}.JPEG" for number in numbers))
    real = os.scandir

    class Backwards:
        def __init__(self, path: Any) -> None:
            with real(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return iter(self.entries)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    work = Walk(ClassFolders(), 0, str(tmp_path), "train", (Part("tench", (0,)),), validation_truth())
    (listed,) = work.source.walk(work)
    catalog = index(tmp_path, HERE)

    assert listed.names == b"".join(b"n01440764_%d.JPEG" % number for number in numbers)
    assert [name for (name,) in rows(catalog, "name")] == [f"{TENCH}_{number}.JPEG" for number in numbers]


def test_folders_come_out_by_name_train_before_what_was_held_out_before_validation(tmp_path: Path) -> None:
    tree(tmp_path, f"train/tench/{TENCH}_2.JPEG", f"train/goldfish/{GOLDFISH}_1.JPEG", f"test/tench/{TENCH}_1.JPEG")
    tree(tmp_path, f"validation/sea_snake/{SNAKE}", "validation/ILSVRC2012_val_00000002.JPEG")

    catalog = index(tmp_path, HERE)

    assert rows(catalog, "archive", "container", "name") == [
        (0, "goldfish", f"{GOLDFISH}_1.JPEG"),
        (0, "tench", f"{TENCH}_2.JPEG"),
        (1, "tench", f"{TENCH}_1.JPEG"),
        (2, "", "ILSVRC2012_val_00000002.JPEG"),
        (2, "sea_snake", SNAKE),
    ]
    assert [(archive.name, archive.role) for archive in catalog.archives] == [
        ("train", "train"),
        ("test", "train"),
        ("validation", "validation"),
    ]


# --- Where the class comes from ---------------------------------------------------------------------------------------


def test_a_flat_validation_folder_is_labelled_by_the_truth_and_never_one_class(tmp_path: Path) -> None:
    published = {1: 65, 2: 970, 3: 230, 4: 809, 5: 516, 50_000: 355}
    names = {f"ILSVRC2012_val_{number:08d}.JPEG": index for number, index in published.items()}
    tree(tmp_path, *(f"val/{name}" for name in names))

    assert labels(index(tmp_path, HERE)) == names


def test_a_folder_whose_name_two_classes_have_holds_both(tmp_path: Path) -> None:
    mini = miniature(tmp_path, "clashing")

    catalog = index(tmp_path, HERE)

    assert set(catalog.table.column("container").to_pylist()) == {"tench", "crane", "maillot"}
    assert labels(catalog) == {entry.name: entry.class_index for entry in mini.entries}


@pytest.mark.parametrize(
    "folder",
    [
        TENCH, "n01440764-tench", "n01440764 tench, Tinca tinca", "n01440764_tench", "n01440764.tench", "tench",
        "Tench",
        "TENCH", "Tinca tinca", "tinca_tinca", "000_tench", "000_n01440764", "000-Tench", "000 tinca tinca",
    ],
)  # fmt: skip
def test_what_the_folder_of_a_class_may_be_called(folder: str, tmp_path: Path) -> None:
    tree(tmp_path, f"{folder}/{TENCH}_1.JPEG", f"{GOLDFISH}/{GOLDFISH}_1.JPEG")

    assert labels(index(tmp_path, HERE)) == {f"{TENCH}_1.JPEG": 0, f"{GOLDFISH}_1.JPEG": 1}


@pytest.mark.parametrize("folder", ["crane_bird", "crane", "134_crane_bird", "134_crane", "n02012849"])
def test_what_the_folder_of_a_class_with_an_ambiguous_name_may_be_called(folder: str, tmp_path: Path) -> None:
    tree(tmp_path, f"{folder}/n02012849_1.JPEG")

    assert labels(index(tmp_path, HERE)) == {"n02012849_1.JPEG": 134}


@pytest.mark.parametrize("folder", ["001_tench", "n01443537-tench", "crane_bird", "517_crane"])
def test_a_folder_that_means_another_class_is_contradicted_by_the_file_name(folder: str, tmp_path: Path) -> None:
    tree(tmp_path, f"{folder}/{TENCH}_1.JPEG", f"{GOLDFISH}/{GOLDFISH}_1.JPEG")

    assert len(refused(tmp_path)) == 1


def test_names_of_a_class_map_are_known_beside_the_built_in_ones(tmp_path: Path) -> None:
    tree(tmp_path, f"Schleie/{TENCH}_1.JPEG", f"goldfish/{GOLDFISH}_1.JPEG", f"tench/{TENCH}_2.JPEG")
    mine = official().with_names(f"{TENCH} {official().classes[0].devkit} Schleie\n")

    catalog = index(tmp_path, IndexOptions(jobs=1, taxonomy=mine))

    assert rows(catalog, "container", "class_index") == [("Schleie", 0), ("goldfish", 1), ("tench", 0)]


def test_a_class_map_that_swaps_two_names_mislabels_nothing(tmp_path: Path) -> None:
    tree(tmp_path, f"goldfish/{TENCH}_1.JPEG", f"tench/{GOLDFISH}_1.JPEG")
    devkit = [facts.devkit for facts in official().classes[:2]]
    swapped = official().with_names(f"{TENCH} {devkit[0]} goldfish\n{GOLDFISH} {devkit[1]} tench\n")

    assert labels(index(tmp_path, IndexOptions(jobs=1, taxonomy=swapped, trust_labels=True))) == {
        f"{TENCH}_1.JPEG": 0,
        f"{GOLDFISH}_1.JPEG": 1,
    }


def test_half_sorted_validation_images_all_get_their_classes(tmp_path: Path) -> None:
    tree(tmp_path, f"val/sea_snake/{SNAKE}", "val/ILSVRC2012_val_00000002.JPEG", "val/ILSVRC2012_val_00000003.JPEG")

    assert list(labels(index(tmp_path, HERE)).values()) == [970, 230, 65]


def test_flat_images_of_both_sets_in_one_folder_with_archives_beside_them_are_told_apart(tmp_path: Path) -> None:
    """As ``tar xf`` in the folder of the downloads leaves them."""
    tree(tmp_path, f"{TENCH}_1.JPEG", SNAKE, "ILSVRC2012_test_00000001.JPEG")
    write_devkit(tmp_path / "ILSVRC2012_devkit_t12.tar.gz", [1] * 10)

    catalog = index(tmp_path, TRUSTING)

    kit_fox = official().index_of("n02119789")
    assert rows(catalog, "archive", "name", "class_index") == [(0, f"{TENCH}_1.JPEG", 0), (1, SNAKE, kit_fox)]


def test_validation_images_may_lie_beside_class_tars_and_class_folders(tmp_path: Path) -> None:
    mini = miniature(tmp_path, "class-tars", boxes=False)
    (tmp_path / "ILSVRC2012_img_val.tar").unlink()
    tree(tmp_path, f"train/{SNAKE}")

    catalog = index(tmp_path, HERE)

    assert len(catalog) == len(mini.train) + 1
    assert labels(catalog)[SNAKE] == SEA_SNAKE


# --- Properties of names ----------------------------------------------------------------------------------------------


@given(st.integers(0, 999), st.integers(0, 10**9))
def test_the_name_of_a_train_image_gives_its_class_wherever_it_lies(class_index: int, number: int) -> None:
    wnid = official().classes[class_index].wnid
    name = f"{wnid}_{number}.JPEG"

    assert role_of(name) == "train"
    assert classes_by_name("train", validation_truth())(name) == class_index
    assert classes_by_name("train", validation_truth(), (class_index,), "x")(name) == class_index
    elsewhere = classes_by_name("train", validation_truth(), ((class_index + 1) % 1000,), "the folder x")(name)
    assert str(elsewhere).startswith(f"is in the folder x, but its name says {wnid} (")


@given(st.integers(0, 10**8 - 1))
def test_the_number_of_a_validation_image_gives_its_class_or_a_sentence(number: int) -> None:
    found = classes_by_name("validation", validation_truth())(f"ILSVRC2012_val_{number:08d}.JPEG")

    if 1 <= number <= 50_000:
        assert found == validation_truth()[number - 1]
    else:
        assert found == "is not named like an ImageNet validation image"


@given(st.text())
def test_no_other_name_has_a_class(name: str) -> None:
    assert role_of(name) is None
    for role in ("train", "validation"):
        assert isinstance(classes_by_name(role, validation_truth())(name), str)


@given(st.integers(0, 999))
def test_a_class_folder_may_have_every_name_we_would_give_it(class_index: int) -> None:
    facts = official().classes[class_index]

    for name in (facts.wnid, f"{class_index:03d}_{facts.name}", f"{class_index:03d}_{facts.map_name}"):
        assert official().called(name) == (class_index,)
    for name in (facts.name, facts.name.upper(), facts.map_name, facts.lemmas):
        assert class_index in official().called(name)


# --- Kaggle's list ----------------------------------------------------------------------------------------------------

HEADER = "ImageId,PredictionString\n"


def solution(root: Path, *lines: str) -> Path:
    (root / "LOC_val_solution.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines))
    return root / "LOC_val_solution.csv"


def test_kaggles_list_gives_classes_by_image_number(tmp_path: Path) -> None:
    path = solution(
        tmp_path, f"ILSVRC2012_val_00000003,{TENCH} 85 1 499 272 ", f"ILSVRC2012_val_00000001,{GOLDFISH} 1 2 3 4"
    )

    truth = read_validation_classes(path)

    assert len(truth) == 50_000
    assert list(truth[:4]) == [1, NO_CLASS, 0, NO_CLASS]


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{HEADER}ILSVRC2012_val_00000001,{TENCH} 1 2 3 4\n",
        f"{HEADER}ILSVRC2012_val_00000001,{TENCH} 1 2 3 4\n".replace("\n", "\r\n"),
        f'{HEADER}\n"ILSVRC2012_val_00000001","{TENCH} 1 2 3 4"\n',
        f"ILSVRC2012_val_00000001,{TENCH}",
        f"{HEADER}ILSVRC2012_val_00000001,{TENCH} 1 2 3 4\nILSVRC2012_val_00000001,{TENCH} 5 6 7 8\n",
    ],
    ids=["BOM", "CRLF", "quoted", "bare", "twice the same"],
)
def test_what_other_programs_make_of_the_list_is_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "LOC_val_solution.csv").write_bytes(text.encode())

    assert read_validation_classes(tmp_path / "LOC_val_solution.csv")[0] == 0


@pytest.mark.parametrize(
    "line",
    [
        "ILSVRC2012_val_00000001",
        "ILSVRC2012_val_1,n01440764 1 2 3 4",
        f"{SNAKE},n01440764",
        "ILSVRC2012_val_00000000,n01440764",
        "ILSVRC2012_val_00050001,n01440764",
        "ILSVRC2012_val_٠٠٠٠٠٠٠١,n01440764",
        "n01440764_1,n01440764 1 2 3 4",
        ",n01440764",
        "\x1b[2J,n01440764",
        pytest.param("x" * 300, id="long"),
        "ILSVRC2012_val_00000001,",
        "ILSVRC2012_val_00000001,tench 1 2 3 4",
        "ILSVRC2012_val_00000001,n00007846 1",
        "ILSVRC2012_val_00000002,n01443537",
    ],
)
def test_a_line_that_cannot_be_understood_is_named_with_its_number(
    line: str, tmp_path: Path, sentence: Sentence
) -> None:
    path = solution(tmp_path, f"ILSVRC2012_val_00000002,{TENCH} 1 2 3 4", line)

    with pytest.raises(SourceError) as caught:
        read_validation_classes(path)

    assert places(caught.value.problems) == ["LOC_val_solution.csv: line 3"]
    assert len(str(caught.value)) < 300
    sentence(caught.value)


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    path = solution(tmp_path, "a", "", "b")

    with pytest.raises(SourceError) as caught:
        read_validation_classes(path)

    assert [problem.member for problem in caught.value.problems] == ["line 2", "line 4"]


@pytest.mark.parametrize(
    "content", [b'"' + b"x" * 200_000, bytes(5000), b"PK\x03\x04\xff\xfe", HEADER.encode("utf-16")]
)
def test_what_is_no_csv_at_all_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "LOC_val_solution.csv").write_bytes(content)

    with pytest.raises(SourceError) as caught:
        read_validation_classes(tmp_path / "LOC_val_solution.csv")
    assert all(line.isprintable() for line in str(caught.value).splitlines())


def test_a_list_of_a_gigabyte_is_not_read(tmp_path: Path, sentence: Sentence) -> None:
    path = tmp_path / "LOC_val_solution.csv"
    path.touch()
    os.truncate(path, 1 << 30)

    with pytest.raises(SourceError) as caught:
        read_validation_classes(path)
    sentence(caught.value)


def test_kaggles_list_decides_and_that_it_differs_is_noted(tmp_path: Path) -> None:
    tree(tmp_path, f"val/{SNAKE}", "val/ILSVRC2012_val_00000002.JPEG")
    solution(tmp_path, f"ILSVRC2012_val_00000001,{TENCH} 1 2 3 4", "ILSVRC2012_val_00000002,n04355338 1 2 3 4")

    events: list[object] = []
    catalog = index(tmp_path, TRUSTING, watch=events.append)

    assert labels(catalog)[SNAKE] == 0
    (warning,) = (event for event in events if isinstance(event, Note) and event.warning)
    assert warning.text.startswith("LOC_val_solution.csv gives 2 of 2 validation images another class")


def test_kaggles_list_of_the_published_classes_is_not_mentioned(tmp_path: Path) -> None:
    miniature(tmp_path, "kaggle")

    assert not [note for note in index(tmp_path, HERE).notes if "LOC_val_solution" in note]


def test_an_image_that_kaggles_list_leaves_out_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, f"val/{SNAKE}")
    solution(tmp_path, "ILSVRC2012_val_00000002,n09193705 1 2 3 4")

    assert refused(tmp_path) == [
        f"{tmp_path}/val: {SNAKE}: has no class: the list of validation classes in the source does not have it"
    ]


# --- What is passed over, with a word ---------------------------------------------------------------------------------


def test_litter_is_ignored_and_counted(tmp_path: Path) -> None:
    tree(tmp_path, f"train/tench/{TENCH}_1.JPEG", "train/tench/.DS_Store", f"train/tench/._{TENCH}_1.JPEG")
    tree(tmp_path, "train/tench/Thumbs.db", "train/tench/desktop.ini", f"val/{SNAKE}", "val/.DS_Store", ".DS_Store")

    catalog = index(tmp_path, HERE)

    assert set(labels(catalog)) == {f"{TENCH}_1.JPEG", SNAKE}
    assert "Ignored 5 folders and files that are not images, such as .DS_Store or a script." in catalog.notes


def test_folders_with_other_counts_than_the_official_ones_are_taken_with_a_word(tmp_path: Path) -> None:
    miniature(tmp_path, "sorted", boxes=False)

    assert index(tmp_path, HERE).notes == (
        (
            "The folders hold 20 train images of 5 classes; the official set has 1,281,167 of 1,000. "
            "They are taken as they are."
        ),
        (
            "The folders hold 10 validation images of 5 classes; the official set has 50,000 of 1,000. "
            "They are taken as they are."
        ),
    )

"""The index: from archives to a catalog by headers alone, each image with its class and its place, or a sentence."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from imagenet_prep import Progress
from imagenet_prep.dataset.catalog_file import load_catalog, save_catalog
from imagenet_prep.errors import SourceError, UsageError
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.imagenet.names import validation_image
from imagenet_prep.model.archive import Archive
from imagenet_prep.model.events import Note
from imagenet_prep.planning.catalog import SCHEMA, Catalog
from imagenet_prep.stores import store_at
from imagenet_prep.testing import Miniature, MiniatureOptions, faults, write_miniature
from imagenet_prep.testing.archives import (
    Member,
    Members,
    tar_of,
    write_devkit,
    write_flat_archive,
    write_train_archive,
)
from imagenet_prep.verbs.index import IndexOptions, index

pytestmark = pytest.mark.quick

TRAIN, VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
HERE = IndexOptions(jobs=1)
SMALL = MiniatureOptions(classes=4, images_per_class=5, validation_per_class=2)
PLAIN = MiniatureOptions(classes=3, images_per_class=2, validation_per_class=1, boxes=False, devkit=False)
TENCH, GOLDFISH = "n01440764", "n01443537"


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    return write_miniature(tmp_path_factory.mktemp("miniature"), SMALL)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write_miniature(tmp_path / "archives", PLAIN).root


def train(folder: Path, *classes: tuple[str, Members]) -> Path:
    write_train_archive(folder / TRAIN, classes)
    return folder


def validation(folder: Path, members: Members) -> Path:
    write_flat_archive(folder / VALIDATION, members)
    return folder


def rows(catalog: Catalog, *columns: str) -> list[Any]:
    return list(zip(*(catalog.table.column(name).to_pylist() for name in columns), strict=True))


def refusal(source: Path) -> list[str]:
    """The lines of the message between its summary and its remedy."""
    with pytest.raises(SourceError) as caught:
        index(source, HERE)
    assert caught.value.remedy
    return [str(problem) for problem in caught.value.problems]


# --- What is found ----------------------------------------------------------------------------------------------------


def test_every_image_is_in_the_catalog_in_archive_order_train_first(miniature: Miniature) -> None:
    catalog = index(miniature.root, HERE)

    archives = [(archive.role, archive.name) for archive in catalog.archives]
    found = rows(catalog, "name", "class_index", "archive", "container", "size")
    assert [(name, label, *archives[archive], f"{container}/{name}".lstrip("/"), size)
            for name, label, archive, container, size in found] == [
        (entry.name, entry.class_index, "train" if entry.archive == TRAIN else "validation", entry.archive,
         entry.member, entry.size)
        for entry in miniature.entries
    ]  # fmt: skip


def test_offset_and_size_are_where_the_image_lies_in_the_archive(miniature: Miniature) -> None:
    catalog = index(miniature.root, HERE)

    digests = []
    for archive, offset, size in rows(catalog, "archive", "offset", "size"):
        data = (miniature.root / catalog.archives[archive].name).read_bytes()[offset : offset + size]
        digests.append(hashlib.sha256(data).hexdigest())
    assert digests == [entry.sha256 for entry in miniature.entries]


def test_the_catalog_is_an_arrow_table_of_the_documented_columns(miniature: Miniature) -> None:
    table = index(miniature.root, HERE).table

    assert isinstance(table, pa.Table)
    assert table.schema == SCHEMA
    table.validate(full=True)


def test_any_number_of_processes_gives_the_same_catalog(miniature: Miniature) -> None:
    alone, together = index(miniature.root, HERE), index(miniature.root, IndexOptions(jobs=2))

    assert (together.table, together.archives) == (alone.table, alone.archives)


def test_the_catalog_is_the_same_in_whatever_order_the_archives_are_named(miniature: Miniature) -> None:
    one = index([miniature.root / TRAIN, miniature.root / VALIDATION], HERE)
    other = index([miniature.root / VALIDATION, miniature.root / TRAIN], HERE)

    assert (other.table, other.archives) == (one.table, one.archives)


def test_archives_made_with_paths_before_the_names_are_the_same_data_set(tmp_path: Path) -> None:
    """As ``tar cf x.tar ./*.tar`` and ``tar cf x.tar val/`` write them."""
    inner = tar_of([(f"./{TENCH}_1.JPEG", b"tench")])
    write_flat_archive(tmp_path / TRAIN, [(f"./{TENCH}.tar", inner)])
    validation(tmp_path, [Member("val/", kind=b"5"), (f"val/{validation_image(1)}", b"snake")])

    assert rows(index(tmp_path, HERE), "name", "container", "class_index") == [
        ("n01440764_1.JPEG", "n01440764.tar", 0),
        ("ILSVRC2012_val_00000001.JPEG", "", 65),
    ]


@pytest.mark.parametrize("dialect", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_every_dialect_are_read(dialect: int, tmp_path: Path) -> None:
    (tmp_path / f"{TENCH}_7.JPEG").write_bytes(b"tench")
    for outer, inner in ((f"{TENCH}.tar", f"{TENCH}_7.JPEG"), (TRAIN, f"{TENCH}.tar")):
        with tarfile.open(tmp_path / outer, "w", format=dialect) as archive:
            archive.add(tmp_path / inner, inner)

    ((name, offset, size),) = rows(index(tmp_path / TRAIN, HERE), "name", "offset", "size")

    assert (name, size) == ("n01440764_7.JPEG", 5)
    assert (tmp_path / TRAIN).read_bytes()[offset : offset + size] == b"tench"


def test_the_source_is_not_touched(plain: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in plain.iterdir()}

    index(plain, HERE)

    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in plain.iterdir()} == before


# --- Labels of the validation images ----------------------------------------------------------------------------------


def labels(catalog: Catalog) -> dict[str, int]:
    return dict(rows(catalog, "name", "class_index"))


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 5), (5, 4, 3, 2, 1), (3, 50_000, 1)])
def test_a_validation_label_follows_from_the_file_name_never_from_its_position(
    order: tuple[int, ...], tmp_path: Path
) -> None:
    published = {1: 65, 2: 970, 3: 230, 4: 809, 5: 516, 50_000: 355}
    validation(tmp_path, [(validation_image(number), b"an image") for number in order])

    assert labels(index(tmp_path, HERE)) == {validation_image(number): published[number] for number in order}


def test_all_50000_validation_labels_are_the_built_in_truth(tmp_path: Path) -> None:
    validation(tmp_path, ((validation_image(number), b"") for number in range(50_000, 0, -1)))

    assert index(tmp_path, HERE).table.column("class_index").to_pylist() == list(reversed(validation_truth()))


def test_a_devkit_that_agrees_changes_nothing_and_is_not_mentioned(tmp_path: Path) -> None:
    validation(tmp_path, [(validation_image(1), b"")])
    write_devkit(tmp_path / DEVKIT, (official().classes[each].devkit for each in validation_truth()))

    catalog = index(tmp_path, HERE)

    assert labels(catalog) == {"ILSVRC2012_val_00000001.JPEG": 65}
    assert not [note for note in catalog.notes if "devkit" in note]


def test_the_devkit_given_counts_before_the_built_in_truth_and_that_is_said(tmp_path: Path) -> None:
    validation(tmp_path, [(validation_image(3), b""), (validation_image(1), b"")])
    write_devkit(tmp_path / DEVKIT, [1, 361, 1])  # the devkit's first class is the kit fox

    events: list[object] = []
    catalog = index(tmp_path, IndexOptions(jobs=1, trust_labels=True), watch=events.append)

    kit_fox = official().index_of("n02119789")
    assert labels(catalog) == {validation_image(3): kit_fox, validation_image(1): kit_fox}
    (warning,) = (event for event in events if isinstance(event, Note) and event.warning)
    assert warning.text.startswith("ILSVRC2012_devkit_t12.tar.gz gives 2 of 2 validation images another class")


def test_an_image_the_devkit_has_no_line_for_is_refused(tmp_path: Path) -> None:
    validation(tmp_path, [(validation_image(number), b"") for number in (1, 2)])
    write_devkit(tmp_path / DEVKIT, [490])

    (line,) = refusal(tmp_path)

    assert line.startswith("ILSVRC2012_img_val.tar: ILSVRC2012_val_00000002.JPEG at byte 1,024: ")


# --- What is passed over, with a word ---------------------------------------------------------------------------------


def test_macos_litter_and_folders_are_ignored_with_a_word_about_it(tmp_path: Path) -> None:
    root = write_miniature(tmp_path, MiniatureOptions(classes=2, images_per_class=3, quirks=("macos-litter",))).root

    catalog = index(root, HERE)

    assert len(catalog) == 2 * 3 + 2 * 10
    assert "Ignored 5 folders and files that are not images, such as .DS_Store or a script." in catalog.notes


def test_litter_beside_the_class_tars_and_the_validation_images_is_ignored_too(tmp_path: Path) -> None:
    inner = tar_of([(f"{TENCH}_1.JPEG", b"")])
    write_flat_archive(
        tmp_path / TRAIN, [Member("./", kind=b"5"), (f"._{TENCH}.tar", b"\0\5\x16\7"), (f"{TENCH}.tar", inner)]
    )
    name = validation_image(1)
    validation(tmp_path, [("val/.DS_Store", b""), (name, b""), (f"__MACOSX/._{name}", b"")])

    catalog = index(tmp_path, HERE)

    assert len(catalog) == 2
    assert "Ignored 4 folders and files that are not images, such as .DS_Store or a script." in catalog.notes


def test_notes_reach_the_one_who_watches(tmp_path: Path) -> None:
    validation(tmp_path, [(".DS_Store", b""), (validation_image(1), b"")])
    seen: list[object] = []

    catalog = index(tmp_path, HERE, watch=seen.append)

    assert [event.text for event in seen if hasattr(event, "text")] == list(catalog.notes)
    assert len(catalog.notes) == 2


# --- What is refused --------------------------------------------------------------------------------------------------


def test_a_class_tar_that_is_not_one_of_the_1000_is_named_with_its_place(tmp_path: Path) -> None:
    train(tmp_path, (TENCH, [(f"{TENCH}_1.JPEG", b"")]), ("n00007846", [("n00007846_1.JPEG", b"")]))

    outer = 512 + 10_240 + 512
    assert refusal(tmp_path) == [
        f"ILSVRC2012_img_train.tar: n00007846.tar at byte {outer:,}: is not one of the 1,000 class tars of ILSVRC2012"
    ]


@pytest.mark.parametrize(
    "name", ["n01440764.zip", "n01440764.tar.gz", "N01440764.tar", "../n01440764.tar", "n١٢٣٤٥٦٧٨.tar", "n01440764"]
)
def test_what_is_no_class_tar_by_name_is_refused(name: str, tmp_path: Path) -> None:
    write_flat_archive(tmp_path / TRAIN, [(name, tar_of([(f"{TENCH}_1.JPEG", b"")]))])

    assert [line.partition("at byte ")[2] for line in refusal(tmp_path)] == [
        "512: is not one of the 1,000 class tars of ILSVRC2012"
    ]


def test_a_class_tar_twice_is_refused(tmp_path: Path) -> None:
    train(tmp_path, (TENCH, [(f"{TENCH}_1.JPEG", b"")]), (TENCH, [(f"{TENCH}_2.JPEG", b"")]))

    assert refusal(tmp_path) == ["ILSVRC2012_img_train.tar: n01440764.tar at byte 11,264: is there twice"]


def test_an_image_twice_is_refused(tmp_path: Path) -> None:
    train(tmp_path, (TENCH, [(f"{TENCH}_1.JPEG", b"one"), (f"{TENCH}_1.JPEG", b"other")]))

    assert refusal(tmp_path) == [
        "ILSVRC2012_img_train.tar: n01440764.tar/n01440764_1.JPEG at byte 2,048: is there twice"
    ]


@pytest.mark.parametrize("path", ["./", "val/", "./val/"])
def test_two_images_of_one_name_are_refused_whatever_their_folder(path: str, tmp_path: Path) -> None:
    """The name is the key of an image: two of one name could not be told apart."""
    validation(tmp_path, [(validation_image(1), b"one"), (path + validation_image(1), b"other")])

    assert [line.partition("at byte ")[2] for line in refusal(tmp_path)] == ["1,536: is there twice"]


def test_an_image_in_the_tar_of_another_class_is_refused(tmp_path: Path) -> None:
    train(tmp_path, (TENCH, [(f"{GOLDFISH}_1.JPEG", b"")]))

    assert refusal(tmp_path) == [
        (
            "ILSVRC2012_img_train.tar: n01440764.tar/n01443537_1.JPEG at byte 1,024: "
            "is in the tar of n01440764, but its name says n01443537 (goldfish)"
        )
    ]


@pytest.mark.parametrize(
    "name",
    [
        "n01440764_1.png", "n01440764_1.JPEG.part", "n01440764_.JPEG", "n01440764_-1.JPEG", "n01440764_1.JPEG\n",
        "n01440764/../n01440764_1.JPEG", "../n01440764_1.JPEG", "/n01440764_1.JPEG", "n01440764_1.JPEG\0.txt",
        "n01440764_١.JPEG", "readme.txt",
    ],
)  # fmt: skip
def test_a_train_image_has_the_name_of_one(name: str, tmp_path: Path) -> None:
    train(tmp_path, (TENCH, [(name, b"an image")]))

    (line,) = refusal(tmp_path)

    assert line.startswith("ILSVRC2012_img_train.tar: n01440764.tar/")
    assert line.endswith(": is not named like an ImageNet train image")
    assert line.isprintable()


@pytest.mark.parametrize(
    "name",
    [
        "ILSVRC2012_val_00000000.JPEG", "ILSVRC2012_val_00050001.JPEG", "ILSVRC2012_val_1.JPEG",
        "../ILSVRC2012_val_00000001.JPEG", "/ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_٠٠٠٠٠٠٠١.JPEG",
        "\x1b[2JILSVRC2012_val_00000001.JPEG", "val/../../ILSVRC2012_val_00000001.JPEG",
    ],
)  # fmt: skip
def test_a_validation_image_has_the_name_of_one(name: str, tmp_path: Path) -> None:
    validation(tmp_path, [(name, b"an image")])

    (line,) = refusal(tmp_path)

    assert line.endswith(": is not named like an ImageNet validation image")
    assert line.isprintable()


def test_a_test_image_among_validation_images_is_named_for_what_it_is(tmp_path: Path) -> None:
    validation(tmp_path, [(validation_image(1), b""), ("ILSVRC2012_test_00000001.JPEG", b"")])

    (line,) = refusal(tmp_path)

    assert line.endswith(": is an image of the official test set, which has no labels, among validation images")


def test_a_folder_inside_an_archive_that_is_called_after_another_class_is_named(tmp_path: Path) -> None:
    validation(tmp_path, [(validation_image(2), b""), (f"val/{TENCH}/{validation_image(1)}", b"")])

    (line,) = refusal(tmp_path)

    assert line.endswith(": is in the folder n01440764, but its name says n01751748 (sea_snake)")


def test_hostile_members_are_refused_one_by_one_and_leave_nothing_behind(tmp_path: Path) -> None:
    options = MiniatureOptions(classes=2, images_per_class=3, quirks=("hostile-names",))
    root = write_miniature(tmp_path / "a" / "b", options).root
    before = sorted(tmp_path.rglob("*"))

    lines = refusal(root)

    assert len(lines) == 10
    assert sum(line.endswith(": is a link or a device, not a file") for line in lines) == 4
    assert sum(line.endswith(": is not named like an ImageNet train image") for line in lines) == 6
    assert all(line.startswith("ILSVRC2012_img_train.tar: n01440764.tar/") for line in lines if "'" not in line)
    assert all(line.isprintable() for line in lines)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_link_to_an_image_is_not_followed(kind: bytes, tmp_path: Path) -> None:
    train(tmp_path, (TENCH, [(f"{TENCH}_1.JPEG", b"x"), Member(f"{TENCH}_2.JPEG", kind=kind, link=f"{TENCH}_1.JPEG")]))

    assert refusal(tmp_path) == [
        "ILSVRC2012_img_train.tar: n01440764.tar/n01440764_2.JPEG at byte 2,048: is a link or a device, not a file"
    ]


def test_an_image_of_2_gib_is_refused(tmp_path: Path) -> None:
    block = bytearray(tar_of([(validation_image(1), b"")])[:512])
    block[124:136] = b"%011o\0" % (1 << 31)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    (tmp_path / VALIDATION).write_bytes(block)
    os.truncate(tmp_path / VALIDATION, 512 + (1 << 31) + 10_240)  # sparse: no byte of it lies on the disk

    assert refusal(tmp_path) == [
        (
            "ILSVRC2012_img_val.tar: ILSVRC2012_val_00000001.JPEG at byte 512: "
            "claims 2,147,483,648 bytes, too many for an image"
        )
    ]


def test_a_class_tar_without_images_is_named_with_its_archive(tmp_path: Path) -> None:
    train(tmp_path, (TENCH, [(f"{TENCH}_1.JPEG", b"")]), (GOLDFISH, []))

    (line,) = refusal(tmp_path)

    assert line.startswith("ILSVRC2012_img_train.tar: n01443537.tar")
    assert line.endswith(": has no images")


def test_all_problems_of_all_class_tars_and_archives_are_said_at_once(tmp_path: Path) -> None:
    train(tmp_path, (TENCH, [("a", b""), ("b", b"")]), (GOLDFISH, [("c", b"")]), ("n00007846", [("d", b"")]))
    validation(tmp_path, [("e", b"")])

    places = [line.split(" ")[1] for line in refusal(tmp_path)]

    assert places == ["n00007846.tar", "n01440764.tar/a", "n01440764.tar/b", "n01443537.tar/c", "e"]


# --- Damaged archives -------------------------------------------------------------------------------------------------


def test_an_archive_cut_inside_a_member_is_named_with_member_and_offset(plain: Path) -> None:
    cut = faults.cut_inside_member(plain / VALIDATION)

    (line,) = refusal(plain)

    assert line.startswith("ILSVRC2012_img_val.tar: ILSVRC2012_val_")
    assert line.endswith(": the archive was cut short")
    offset = int(line.partition("at byte ")[2].partition(":")[0].replace(",", ""))
    assert offset < cut
    assert f"but only {cut - offset:,} are left" in line


def test_a_train_archive_cut_inside_a_class_tar_names_the_class_tar(plain: Path) -> None:
    faults.cut_inside_member(plain / TRAIN)

    (line,) = refusal(plain)

    assert line.startswith("ILSVRC2012_img_train.tar: n")
    assert ".tar at byte " in line


@pytest.mark.parametrize("name", [TRAIN, VALIDATION])
def test_an_archive_cut_between_two_members_is_given_away_by_its_missing_end(name: str, plain: Path) -> None:
    cut = faults.cut_on_boundary(plain / name)

    assert refusal(plain) == [
        f"{name} at byte {cut:,}: the end-of-archive block is missing: the archive was cut between two members"
    ]


def test_a_class_tar_that_was_cut_before_it_was_packed_is_found_too(tmp_path: Path) -> None:
    whole = tar_of([(f"{TENCH}_1.JPEG", b"x"), (f"{TENCH}_2.JPEG", b"y")])
    write_flat_archive(tmp_path / TRAIN, [(f"{TENCH}.tar", whole[:1024])])

    assert refusal(tmp_path) == [
        (
            "ILSVRC2012_img_train.tar: n01440764.tar at byte 1,536: "
            "the end-of-archive block is missing: the archive was cut between two members"
        )
    ]


def test_a_changed_header_is_found_by_its_checksum(plain: Path) -> None:
    changed = faults.flip_header(plain / TRAIN)

    (line,) = refusal(plain)

    assert line.startswith("ILSVRC2012_img_train.tar: n")
    assert line.endswith(f".tar at byte {changed - 131:,}: this is not a tar header (bad checksum)")


@pytest.mark.parametrize(("name", "size"), [(TRAIN, 147_897_477_120), (VALIDATION, 6_744_924_160)])
def test_a_download_that_only_reserved_its_space_is_unfinished(name: str, size: int, plain: Path) -> None:
    whole = (plain / name).stat().st_size
    os.truncate(plain / name, size)  # sparse: no byte of it lies on the disk

    (line,) = refusal(plain)

    assert line.startswith(f"{name} at byte ")
    assert "bytes before its end: the download is unfinished" in line
    assert whole - 10_240 <= int(line.partition("at byte ")[2].partition(":")[0].replace(",", "")) < whole


def test_an_archive_of_the_official_size_must_hold_the_official_number_of_images(tmp_path: Path) -> None:
    """A hole in an ignored file makes up the size: only the counts tell."""
    size = 6_744_924_160
    filler = bytearray(tar_of([(".DS_Store", b"")])[:512])
    filler[124:136] = b"%011o\0" % (size - 512 - 10_240)
    filler[148:156] = b" " * 8
    filler[148:156] = b"%06o\0 " % sum(filler)
    tail = tar_of([(validation_image(1), b"")])
    with (tmp_path / VALIDATION).open("wb") as file:
        file.write(filler)
        file.seek(size - 10_240)
        file.write(tail)
    assert (tmp_path / VALIDATION).stat().st_size == size

    lines = refusal(tmp_path)

    assert lines[0] == "ILSVRC2012_img_val.tar: has 1 images; the official archive has 50,000"
    assert len(lines) == 1 + 1_000


# --- The catalog that is kept -----------------------------------------------------------------------------------------


def test_a_catalog_is_saved_and_read_back_the_same(miniature: Miniature, tmp_path: Path) -> None:
    catalog, store = index(miniature.root, HERE), store_at(tmp_path)

    save_catalog(store, "catalog.arrow", catalog)
    loaded = load_catalog(store, "catalog.arrow", catalog.archives)

    assert loaded is not None
    assert loaded.table == catalog.table
    assert (loaded.archives, loaded.notes) == (catalog.archives, catalog.notes)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_a_catalog_is_a_file_that_arrow_reads(miniature: Miniature, tmp_path: Path) -> None:
    save_catalog(store_at(tmp_path), "catalog.arrow", index(miniature.root, HERE))

    body = (tmp_path / "catalog.arrow").read_bytes()[:-16]  # a digest is last
    with pa.ipc.open_file(body) as reader:
        assert reader.read_all().column("name").to_pylist() == [entry.name for entry in miniature.entries]


def is_walked(source: Path, options: IndexOptions) -> bool:
    """Index a source; give whether its archives were walked for that, as progress says."""
    events: list[object] = []
    index(source, options, watch=events.append)
    return any(isinstance(event, Progress) for event in events)


def test_archives_that_have_not_changed_are_not_walked_again(plain: Path, tmp_path: Path) -> None:
    options = IndexOptions(jobs=1, cache=tmp_path / "catalog.arrow")
    first = index(plain, options)

    assert not is_walked(plain, options)
    second = index(plain, options)
    assert second.table == first.table
    assert second.notes == first.notes


def changed_time(folder: Path) -> None:
    os.utime(folder / TRAIN, ns=(0, (folder / TRAIN).stat().st_mtime_ns + 1))


def changed_size(folder: Path) -> None:
    os.truncate(folder / VALIDATION, (folder / VALIDATION).stat().st_size + 10_240)


def added_archive(folder: Path) -> None:
    write_devkit(folder / DEVKIT, [490])
    (folder / VALIDATION).unlink()


def removed_archive(folder: Path) -> None:
    (folder / VALIDATION).unlink()


@pytest.mark.parametrize("change", [changed_time, changed_size, added_archive, removed_archive])
def test_archives_that_have_changed_are_walked_again(change: Any, plain: Path, tmp_path: Path) -> None:
    options = IndexOptions(jobs=1, cache=tmp_path / "catalog.arrow")
    assert is_walked(plain, options)

    change(plain)

    assert is_walked(plain, options)
    assert not is_walked(plain, options)
    assert index(plain, options).table == index(plain, HERE).table


def damages(whole: bytes) -> Iterable[bytes]:
    yield from (whole[:size] for size in range(0, len(whole), 211))
    yield from (b"", b"not Arrow at all", bytes(len(whole)))
    for place in range(3, len(whole), 13):
        yield whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :]


def test_a_damaged_catalog_is_made_again_and_never_believed(plain: Path, tmp_path: Path) -> None:
    options = IndexOptions(jobs=1, cache=tmp_path / "catalog.arrow")
    catalog = index(plain, options)
    whole = (tmp_path / "catalog.arrow").read_bytes()

    made_again = 0
    for damaged in damages(whole):
        (tmp_path / "catalog.arrow").write_bytes(damaged)
        try:
            assert index(plain, options).table == catalog.table
            made_again += 1
        except UsageError:  # what no longer looks like a catalog may be anything of the user's
            assert (tmp_path / "catalog.arrow").read_bytes() == damaged
            assert not damaged.startswith(b"ARROW1") or b"imagenet-prep" not in damaged
    assert made_again > len(whole) // 20


def test_a_catalog_of_another_version_is_made_again(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = index(plain, HERE)
    save_catalog(store_at(tmp_path), "catalog.arrow", catalog)

    monkeypatch.setattr("imagenet_prep.dataset.catalog_file.CATALOG_VERSION", 99)

    assert load_catalog(store_at(tmp_path), "catalog.arrow", catalog.archives) is None


def test_a_catalog_is_bound_to_name_role_size_and_time_of_its_archives(tmp_path: Path) -> None:
    archive = Archive("ILSVRC2012_img_val.tar", "validation", 10, 20)
    store, path = store_at(tmp_path), "catalog.arrow"
    save_catalog(store, path, Catalog(SCHEMA.empty_table(), (archive,)))

    assert load_catalog(store, path, (archive,)) is not None
    assert load_catalog(store, path, ()) is None
    for other in (
        Archive("val.tar", "validation", 10, 20),
        Archive("ILSVRC2012_img_val.tar", "train", 10, 20),
        Archive("ILSVRC2012_img_val.tar", "validation", 11, 20),
        Archive("ILSVRC2012_img_val.tar", "validation", 10, 21),
    ):
        assert load_catalog(store, path, (other,)) is None


# --- Boxes ------------------------------------------------------------------------------------------------------------


def test_boxes_stand_beside_their_images(miniature: Miniature) -> None:
    catalog = index(miniature.root, HERE)

    for entry, sides in zip(miniature.entries, catalog.table.column("boxes").to_pylist(), strict=True):
        expected = [
            side / length
            for box in entry.boxes
            for side, length in zip(box, (entry.width, entry.height) * 2, strict=True)
        ]
        assert sides == pytest.approx(expected, abs=1e-6)
    assert any(entry.boxes for entry in miniature.train)
    assert not all(entry.boxes for entry in miniature.train)


def test_without_box_archives_there_are_no_boxes(plain: Path) -> None:
    assert set(index(plain, HERE).table.column("boxes").to_pylist()) == {None}

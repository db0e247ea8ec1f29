"""A data set of this program as a source: it grows from its own files, and another keeps its splits."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import imagenet_prep
from imagenet_prep import BuildOptions, Note, Progress, SourceError, UsageError
from imagenet_prep.model.events import Stage
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.build import contents, files
from support.sentences import Sentence

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

TENCH, CRANE, MAILLOT = "n01440764", "n02012849", "n03126707"
OUTPUTS = ("tfrecord", "webdataset", "parquet", "mds", "litdata", "folders")
HOLD_OUT = {"test_per_class": 2, "seed": 3, "jobs": 1}


def source_of(folder: Path, **more: Any) -> Miniature:
    options = MiniatureOptions(
        wnids=(TENCH, CRANE, MAILLOT), images_per_class=6, validation_per_class=2, devkit=False, **more
    )
    return write_miniature(folder, options)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """Archives with boxes, and no image that is converted."""
    return source_of(tmp_path_factory.mktemp("usual"))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """Archives with images that the record formats convert, and without boxes, which tfds would not have kept."""
    return source_of(tmp_path_factory.mktemp("odd"), quirks=("cmyk", "png"), boxes=False)


def built(source: Path | list[Path], out: Path, *formats: str, watch: Any = None, **given: Any) -> Path:
    options = BuildOptions.of(format=formats, **{"jobs": 1, **given})
    imagenet_prep.build(source, out, options, **({"watch": watch} if watch else {}))
    return out


def splits(data: Path) -> dict[str, str]:
    table = pq.read_table(data / "manifest.parquet", columns=["name", "split"])
    return dict(zip(table["name"].to_pylist(), table["split"].to_pylist(), strict=True))


def without_origin(data: Path) -> dict[str, bytes]:
    """All files of a data set but those that say where each image came from."""
    return {name: of for name, of in contents(data).items() if name not in ("manifest.parquet", "build.json")}


# --- Growth -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", OUTPUTS)
def test_from_its_own_files_it_grows_as_if_it_had_been_built_at_once(
    first: str, usual: Miniature, tmp_path: Path
) -> None:
    shutil.copytree(usual.root, tmp_path / "source")
    second = next(name for name in ("tfds", "tfrecord") if name != first)
    at_once = built(usual.root, tmp_path / "at once", first, second, **HOLD_OUT)
    data = built(tmp_path / "source", tmp_path / "data", first, **HOLD_OUT)
    boxes = first in ("tfrecord", "tfds")
    (tmp_path / "source").rename(tmp_path / "gone")
    built(data, data, second)
    if not boxes:  # then nobody has read them
        at_once = built(
            source_of(tmp_path / "boxless", boxes=False).root, tmp_path / "other", first, second, **HOLD_OUT
        )
    assert contents(data) == contents(at_once)
    imagenet_prep.audit(data)


def test_a_subset_grows_by_what_it_has(usual: Miniature, tmp_path: Path) -> None:
    subset = {"classes": (0, 134), "images_per_class": 2, "exclude": (f"{TENCH}_3.JPEG",), **HOLD_OUT}
    at_once = built(usual.root, tmp_path / "at once", "tfrecord", "webdataset", **subset)
    data = built(usual.root, tmp_path / "data", "tfrecord", **subset)
    built(data, data, "webdataset")
    assert contents(data) == contents(at_once)


def test_after_growth_each_shard_is_repaired_from_where_images_came_from(usual: Miniature, tmp_path: Path) -> None:
    data = built(usual.root, tmp_path / "data", "webdataset", **HOLD_OUT)
    built(data, data, "mds")
    before = contents(data)
    for name in ("webdataset", "mds"):
        shard = next(path for path in sorted((data / name).rglob("*")) if path.suffix in (".tar", ".mds"))
        shard.write_bytes(shard.read_bytes()[:-1])
    imagenet_prep.repair(data, jobs=1)
    assert contents(data) == before


def test_growth_that_was_stopped_goes_on_with_the_same_command(usual: Miniature, tmp_path: Path) -> None:
    shards = {"train": 4}
    at_once = built(usual.root, tmp_path / "at once", "tfrecord", "webdataset", shards=shards, **HOLD_OUT)
    data = built(usual.root, tmp_path / "data", "tfrecord", shards=shards, **HOLD_OUT)

    def stop(event: Progress | Note) -> None:
        if isinstance(event, Progress) and event.stage is Stage.WRITE and event.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        built(data, data, "webdataset", shards=shards, watch=stop)
    assert files(data / "webdataset")
    built(data, data, "webdataset", shards=shards)
    assert contents(data) == contents(at_once)


def test_what_was_set_aside_stays_so(tmp_path: Path) -> None:
    source = source_of(tmp_path / "source", quirks=("truncated",)).root
    options = {"on_bad": "set-aside", **HOLD_OUT}
    at_once = built(source, tmp_path / "at once", "tfrecord", "webdataset", **options)
    data = built(source, tmp_path / "data", "tfrecord", **options)
    built(data, data, "webdataset")
    assert contents(data) == contents(at_once)


def test_links_to_files_that_are_not_there_are_refused(usual: Miniature, tmp_path: Path, sentence: Sentence) -> None:
    data = built(usual.root, tmp_path / "data", "webdataset", **HOLD_OUT)
    with pytest.raises(UsageError) as caught:
        built(data, data, "folders", transfer="hardlink")
    sentence(caught.value)


# --- Another data set -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", OUTPUTS)
def test_another_has_the_same_images_in_the_same_splits(first: str, usual: Miniature, tmp_path: Path) -> None:
    data = built(usual.root, tmp_path / "data", first, **HOLD_OUT)
    other = built(data, tmp_path / "other", "tfds", "webdataset")
    assert splits(other) == splits(data)
    assert without_origin(other) == without_origin(
        built(usual.root, tmp_path / "expected", "tfds", "webdataset", **HOLD_OUT)
    )


def test_nothing_is_held_out_of_one_that_holds_nothing_out(usual: Miniature, tmp_path: Path) -> None:
    data = built(usual.root, tmp_path / "data", "webdataset", test_per_class=0)
    assert set(splits(built(data, tmp_path / "other", "tfds")).values()) == {"train", "validation"}


@pytest.mark.parametrize("options", [{"test_per_class": 1}, {"test_per_class": 0}, {"test_list": (f"{TENCH}_1.JPEG",)}])
def test_another_hold_out_is_refused(options: dict[str, Any], usual: Miniature, tmp_path: Path) -> None:
    data = built(usual.root, tmp_path / "data", "webdataset", **HOLD_OUT)
    with pytest.raises(UsageError, match="add --resplit"):
        built(data, tmp_path / "other", "tfds", **options)
    assert not (tmp_path / "other").exists()


def test_another_of_one_split_has_that_split_alone(usual: Miniature, tmp_path: Path) -> None:
    data = built(usual.root, tmp_path / "data", "webdataset", splits="validation")
    assert set(splits(built(data, tmp_path / "other", "mds")).values()) == {"validation"}


def test_to_resplit_puts_test_back_and_holds_out_again(usual: Miniature, tmp_path: Path) -> None:
    data = built(usual.root, tmp_path / "data", "webdataset", **HOLD_OUT)
    other = built(data, tmp_path / "other", "tfds", resplit=True, test_per_class=1)
    assert without_origin(other) == without_origin(built(usual.root, tmp_path / "expected", "tfds", test_per_class=1))
    assert imagenet_prep.resume(other).shards == 0


def test_options_may_narrow(usual: Miniature, tmp_path: Path) -> None:
    data = built(usual.root, tmp_path / "data", "webdataset", **HOLD_OUT)
    other = built(data, tmp_path / "other", "tfds", classes="tench", images_per_class=3)
    kept = splits(other)
    assert {name for name, split in kept.items() if split == "test"} == {
        name for name, split in splits(data).items() if split == "test" and name.startswith(TENCH)
    }
    assert sorted(kept.values()) == ["test"] * 2 + ["train"] * 3 + ["validation"] * 2


def test_one_of_a_subset_has_no_more_than_that(usual: Miniature, tmp_path: Path) -> None:
    data = built(usual.root, tmp_path / "data", "webdataset", images_per_class=1, **HOLD_OUT)
    for number, others in enumerate(([], [usual.root])):
        other = built([data, *others], tmp_path / f"other {number}", "mds")
        assert splits(other) == splits(data)
        assert imagenet_prep.resume(other).shards == 0


def test_it_is_repaired_from_the_first(usual: Miniature, tmp_path: Path) -> None:
    data = built(usual.root, tmp_path / "data", "webdataset", **HOLD_OUT)
    other = built(data, tmp_path / "other", "mds")
    before = contents(other)
    shard = min((other / "mds").rglob("*.mds"))
    shard.write_bytes(b"")
    imagenet_prep.repair(other, jobs=1)
    assert contents(other) == before


def test_files_can_be_linked_and_are_never_moved(usual: Miniature, tmp_path: Path, sentence: Sentence) -> None:
    data = built(usual.root, tmp_path / "data", "webdataset", "folders", **HOLD_OUT)
    other = built(data, tmp_path / "other", "folders", names="wnid", transfer="hardlink")
    assert all(path.stat().st_nlink == 2 for path in (other / "folders").rglob("*.JPEG"))
    with pytest.raises(UsageError) as caught:
        built(data, tmp_path / "moved", "folders", transfer="move")
    sentence(caught.value)


# --- Images that were converted ---------------------------------------------------------------------------------------


def test_originals_come_from_the_output_that_has_them(odd: Miniature, tmp_path: Path) -> None:
    data = built(odd.root, tmp_path / "data", "tfrecord", "webdataset", **HOLD_OUT)
    other = built(data, tmp_path / "other", "mds", "tfds")
    expected = built(odd.root, tmp_path / "expected", "mds", "tfds", **HOLD_OUT)
    assert without_origin(other) == without_origin(expected)


def test_where_no_output_has_them_each_is_named(odd: Miniature, tmp_path: Path, sentence: Sentence) -> None:
    data = built(odd.root, tmp_path / "data", "tfrecord", **HOLD_OUT)
    with pytest.raises(SourceError) as caught:
        built(data, tmp_path / "other", "webdataset")
    sentence(caught.value)
    assert not (tmp_path / "other").exists()
    other = built([data, odd.root], tmp_path / "other", "webdataset")
    expected = built(odd.root, tmp_path / "expected", "webdataset", **HOLD_OUT)
    assert without_origin(other) == without_origin(expected)


@pytest.mark.parametrize("itself", [True, False])
@pytest.mark.parametrize(("first", "second"), [("tfrecord", "tfds"), ("tfds", "tfrecord")])
def test_an_output_that_would_convert_them_takes_them_converted(
    first: str, second: str, itself: bool, odd: Miniature, tmp_path: Path, sentence: Sentence
) -> None:
    data = built(odd.root, tmp_path / "data", first, **HOLD_OUT)
    said: list[Note] = []
    other = data if itself else tmp_path / "other"
    built(data, other, second, watch=lambda event: said.append(event) if isinstance(event, Note) else None)
    sentence(next(note.text for note in said if note.warning and "converted" in note.text), alike=True)
    at_once = built(odd.root, tmp_path / "expected", "tfrecord", "tfds", **HOLD_OUT)
    images = {name: of for name, of in contents(at_once).items() if name.startswith(f"{second}/")}
    assert {name: of for name, of in contents(other).items() if name.startswith(f"{second}/")} == images
    if itself:
        assert contents(data) == contents(at_once)
    imagenet_prep.audit(other)


# --- What cannot be read ----------------------------------------------------------------------------------------------


def test_one_flipped_byte_of_an_image_is_found(usual: Miniature, tmp_path: Path, sentence: Sentence) -> None:
    data = built(usual.root, tmp_path / "data", "webdataset", **HOLD_OUT)
    row = pq.read_table(data / "manifest.parquet").slice(0, 1).to_pylist()[0]
    shard = data / row["webdataset.shard"]
    damaged = bytearray(shard.read_bytes())
    damaged[row["webdataset.image_offset"] + row["size"] // 2] ^= 1
    shard.write_bytes(damaged)
    with pytest.raises(SourceError) as caught:
        built(data, tmp_path / "other", "tfds")
    sentence(caught.value)


def test_one_that_is_not_finished_is_not_a_source(usual: Miniature, tmp_path: Path, sentence: Sentence) -> None:
    data = built(usual.root, tmp_path / "data", "webdataset", **HOLD_OUT)
    (data / "build.json").unlink()
    with pytest.raises(SourceError) as caught:
        built(data, tmp_path / "other", "tfds")
    sentence(caught.value)

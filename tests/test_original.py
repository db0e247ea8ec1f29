"""Whether images are the original ones is said in every result: by the computed size of the official archives, by the
headers of some images, by names of folders. A copy is built with a warning first and last; ``--require-original``
refuses whatever does not agree, before a byte is written.
"""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import imagenet_prep
from imagenet_prep import Archive, BuildOptions, Catalog, IndexOptions
from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.imagenet.archives import TRAIN, TRAIN_IMAGES, VALIDATION, VALIDATION_IMAGES
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.original import Original, Shape
from imagenet_prep.planning.catalog import SCHEMA
from imagenet_prep.planning.original import archive_size, judge
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.build import contents
from support.command import run
from support.sentences import Sentence, lines

WNIDS = ("n01440764", "n02917067")
OFFICIAL = {TRAIN: 147_897_477_120, VALIDATION: 6_744_924_160}
IMAGES = {TRAIN: TRAIN_IMAGES, VALIDATION: VALIDATION_IMAGES}
IS_GNU = "GNU tar" in subprocess.run(["tar", "--version"], capture_output=True, text=True, check=False).stdout


def write(root: Path, wnid: str, sizes: Iterable[int]) -> None:
    """Write files with the names of train images, of some sizes, into a class folder."""
    (root / wnid).mkdir(parents=True)
    for number, size in enumerate(sizes):
        (root / wnid / f"{wnid}_{number}.JPEG").write_bytes(bytes(size))


def computed(source: Path, origin: str) -> int:
    return archive_size(imagenet_prep.index(source, IndexOptions(jobs=1)), origin)


@pytest.mark.skipif(not IS_GNU, reason="tar is not GNU tar")
class TestTheComputedSizeIsThatOfGnuTar:
    @pytest.mark.parametrize(
        "sizes",
        [
            (100,),
            (0, 1, 511, 512, 513),
            (8_192,),  # with its header and the end, 9,728 bytes
            (8_704,),  # 10,240 with the end
            (9_216,),  # the end begins in the last block of a record
            (9_728,),  # the end is a record of its own
            tuple(range(1, 100_000, 2_711)),
        ],
    )
    def test_for_train(self, tmp_path: Path, sizes: tuple[int, ...]) -> None:
        write(tmp_path / "train", WNIDS[0], sizes)
        write(tmp_path / "train", WNIDS[1], (70_000, *sizes))
        for wnid in WNIDS:
            names = sorted(path.name for path in (tmp_path / "train" / wnid).iterdir())
            tar(tmp_path / f"{wnid}.tar", tmp_path / "train" / wnid, names)
        tar(tmp_path / "ILSVRC2012_img_train.tar", tmp_path, [f"{wnid}.tar" for wnid in WNIDS])

        assert computed(tmp_path / "train", TRAIN) == (tmp_path / "ILSVRC2012_img_train.tar").stat().st_size

    def test_for_train_of_many_classes(self, tmp_path: Path) -> None:
        wnids = [facts.wnid for facts in official().classes[:25]]  # whose headers alone fill a record
        for wnid in wnids:
            write(tmp_path / "train", wnid, (100,))
            tar(tmp_path / f"{wnid}.tar", tmp_path / "train" / wnid, [f"{wnid}_0.JPEG"])
        tar(tmp_path / "ILSVRC2012_img_train.tar", tmp_path, [f"{wnid}.tar" for wnid in wnids])

        assert computed(tmp_path / "train", TRAIN) == (tmp_path / "ILSVRC2012_img_train.tar").stat().st_size

    @pytest.mark.parametrize("count", [1, 19, 20, 25])
    def test_for_validation(self, tmp_path: Path, count: int) -> None:
        val = tmp_path / "val"
        val.mkdir()
        for number in range(count):
            (val / f"ILSVRC2012_val_{number + 1:08d}.JPEG").write_bytes(bytes(37 * number))
        tar(tmp_path / "ILSVRC2012_img_val.tar", val, sorted(path.name for path in val.iterdir()))

        assert computed(val, VALIDATION) == (tmp_path / "ILSVRC2012_img_val.tar").stat().st_size

    def test_whatever_the_images_lie_in(self, tmp_path: Path) -> None:
        sizes = set()
        for layout in ("archives", "class-tars", "extracted", "kaggle"):
            source = write_miniature(tmp_path / layout, MiniatureOptions(classes=3, layout=layout, boxes=False)).root
            sizes.add((computed(source, TRAIN), computed(source, VALIDATION)))

        assert len(sizes) == 1


def tar(archive: Path, folder: Path, names: list[str]) -> None:
    subprocess.run(["tar", "-C", folder, "-cf", archive, *names], check=True)


def complete(origin: str, missed: int = 0, *, archive: Archive | None = None) -> Catalog:
    """Make the catalog of a complete set, whose archive misses the official size by so many records of tar."""
    images, wanted = IMAGES[origin], OFFICIAL[origin] + missed * 10_240
    classes = np.arange(images) % 1000
    sizes = np.full(images, (wanted // images - 1_800) // 512 * 512)
    records = (wanted - archive_size(catalog_of(origin, classes, sizes), origin)) // 10_240
    sizes[:1000] += records // 1000 * 10_240  # of each class one image
    sizes[0] += records % 1000 * 10_240
    return catalog_of(origin, classes, sizes, archive)


def catalog_of(origin: str, classes: Any, sizes: Any, archive: Archive | None = None) -> Catalog:
    count = len(classes)
    columns = [
        pa.repeat("image", count),
        pa.array(classes, pa.int16()),
        pa.array(np.zeros(count), pa.int8()),
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(count), pa.int16()), [""]),
        pa.array(np.zeros(count), pa.int64()),
        pa.array(sizes, pa.int32()),
        pa.nulls(count, pa.list_(pa.float32())),
    ]
    place = archive or Archive(origin, origin, 0, 0, folder=True, path=f"/data/{origin}")
    return Catalog(pa.table(columns, schema=SCHEMA), (place,))


def judged(catalog: Catalog, side: int = 375) -> Original:
    """Judge a catalog whose images all have one short side."""
    origin = catalog.archives[0].role

    def shapes(rows: pa.Table) -> list[Shape]:
        return [Shape(500, side, size) for size in rows["size"].to_pylist()]

    return judge(catalog, {origin: catalog.rows_of(origin)}, shapes)


@pytest.mark.parametrize("origin", [TRAIN, VALIDATION])
class TestACompleteSet:
    def test_of_the_official_size_agrees_and_is_not_read(self, origin: str, sentence: Sentence) -> None:
        catalog = complete(origin)
        assert archive_size(catalog, origin) == OFFICIAL[origin]

        found = judge(catalog, {origin: catalog.rows_of(origin)}, unread)

        assert (found.verdict, found.is_copy) == ("sizes agree with the official archives", False)
        sentence(found.sentence)

    def test_that_misses_it_by_a_record_is_not_known_to_be_a_copy(self, origin: str, sentence: Sentence) -> None:
        found = judged(complete(origin, 1))

        assert (found.verdict, found.is_copy) == ("cannot tell", False)
        sentence(found.sentence)

    def test_that_misses_it_by_far_was_encoded_again(self, origin: str, sentence: Sentence) -> None:
        found = judged(complete(origin, -OFFICIAL[origin] // 10_240 // 3))

        assert (found.verdict, found.is_copy) == ("looks like a copy that was encoded again", True)
        sentence(found.sentence)

    def test_is_a_resized_copy_whatever_it_adds_up_to(self, origin: str) -> None:
        assert judged(complete(origin, -1_000), 256).verdict == "looks like a resized copy"

    def test_in_an_archive_of_the_official_size_agrees(self, origin: str) -> None:
        archive = Archive("archive.tar", origin, OFFICIAL[origin], 0, path="/data/archive.tar")

        assert judged(complete(origin, 1, archive=archive)).verdict == "sizes agree with the official archives"

    def test_of_one_image_less_does_not_agree(self, origin: str) -> None:
        whole = complete(origin)
        found = judged(Catalog(whole.table.slice(1), whole.archives))

        assert found.verdict == "cannot tell"


def unread(_rows: pa.Table) -> list[Shape]:
    raise AssertionError("sizes that agree need no look at an image")


@pytest.mark.parametrize(
    ("place", "verdict"),
    [
        ("/data/train_blurred", "face-blurred"),
        ("/data/ILSVRC2012_blurred/train", "face-blurred"),
        ("/data/imagenet_1k_resized_256/train", "looks like a resized copy"),
        ("/data/imagenet-1k-256x256/train", "looks like a resized copy"),
        ("/data/fog/3", "distorted as in ImageNet-C"),
        ("/data/ImageNet-C/gaussian_blur/5", "distorted as in ImageNet-C"),
        ("/data/resized/ILSVRC/Data/CLS-LOC/train", "cannot tell"),  # who knows what was called so
        ("/data/unblurred/train", "cannot tell"),
        ("/data/fog/train", "cannot tell"),
        ("/data/train_640x480", "cannot tell"),
    ],
)
def test_names_of_folders_say_what_images_are(place: str, verdict: str) -> None:
    archive = Archive("train", TRAIN, 0, 0, folder=True, path=place)
    few = catalog_of(TRAIN, np.zeros(20), np.full(20, 100_000), archive)

    assert judged(few).verdict == verdict


def test_a_few_images_of_one_size_are_no_proof() -> None:
    assert judged(catalog_of(TRAIN, np.zeros(3), np.full(3, 20_000)), 256).verdict == "cannot tell"


def picture(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(out, "JPEG")
    return out.getvalue()


def copy(root: Path, side: int = 256) -> Path:
    """Write a copy of some images whose short side is always the same, as folders."""
    for wnid in WNIDS:
        (root / "train" / wnid).mkdir(parents=True)
        for number in range(6):
            frame = (side, side + 10 * number) if number % 2 else (side + number, side)
            (root / "train" / wnid / f"{wnid}_{number}.JPEG").write_bytes(picture(*frame))
    (root / "val").mkdir()
    for number in range(4):
        (root / "val" / f"ILSVRC2012_val_{number + 1:08d}.JPEG").write_bytes(picture(side, side + number))
    return root


@pytest.fixture
def resized(tmp_path: Path) -> Path:
    return copy(tmp_path / "source")


BUILD = ("--test-per-class", "1", "--jobs", "1")


def noted(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "build.json").read_text())["original"]
    return found


def test_check_names_a_copy(resized: Path, sentence: Sentence) -> None:
    done = run("check", resized)

    assert done.returncode == 0
    sentence(lines(done.stdout, "original images"))


def test_check_says_of_a_subset_that_it_cannot_tell(tmp_path: Path, sentence: Sentence) -> None:
    source = write_miniature(tmp_path / "source", MiniatureOptions(classes=3)).root

    sentence(lines(run("check", source).stdout, "Original images"))


def test_check_gives_programs_the_verdict_and_what_was_seen(resized: Path) -> None:
    found = json.loads(run("check", resized, "--json").stdout)["original"]

    assert found["verdict"] == "looks like a resized copy"
    assert found["looks"]["validation"]["sampled"] == 4
    assert found["looks"]["train"]["short_side"] == 256
    assert found["looks"]["train"]["share"] == 1.0


def test_check_looks_at_every_image_of_a_few_and_at_some_of_many(tmp_path: Path) -> None:
    sampled = []
    for images in (60, 400):
        source = tmp_path / f"{images}"
        write_miniature(source, MiniatureOptions(classes=2, images_per_class=images, boxes=False))
        found = json.loads(run("check", source, "--json").stdout)["original"]["looks"]
        sampled.append((found["train"]["sampled"], found["validation"]["sampled"]))

    assert sampled[0] == (120, 20)
    assert 200 < sampled[1][0] <= 256


def test_check_has_no_verdict_where_the_images_cannot_be_counted(resized: Path) -> None:
    (resized / "val/cat.jpg").touch()

    assert json.loads(run("check", resized, "--json").stdout)["original"] is None


def test_a_copy_is_built_with_a_warning_first_and_last(resized: Path, tmp_path: Path, sentence: Sentence) -> None:
    done = run("build", resized, tmp_path / "data", *BUILD, "--quiet")

    assert done.returncode == 0
    sentence(done.stderr, "first")
    sentence(done.stdout.splitlines()[-1], "last")


def test_a_plan_warns_of_a_copy(resized: Path, tmp_path: Path) -> None:
    done = run("build", resized, tmp_path / "data", *BUILD, "--quiet", "--dry-run")

    assert "Warning: Not the original images" in done.stderr


def test_documents_and_reports_say_what_was_built(resized: Path, tmp_path: Path) -> None:
    done = run("build", resized, tmp_path / "data", *BUILD, "--json")

    assert noted(tmp_path / "data")["verdict"] == "looks like a resized copy"
    assert json.loads(done.stdout)["original"] == noted(tmp_path / "data")
    assert json.loads(run("audit", tmp_path / "data", "--json").stdout)["original"] == noted(tmp_path / "data")
    assert "Warning: Not the original images" in run("audit", tmp_path / "data").stdout


def test_only_what_is_built_of_the_source_is_judged(resized: Path, tmp_path: Path) -> None:
    run("build", resized, tmp_path / "data", "--jobs", "1", "--split", "validation")

    assert list(noted(tmp_path / "data")["looks"]) == ["validation"]


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
def test_what_does_not_agree_is_refused_where_the_original_is_required(
    resized: Path, tmp_path: Path, sentence: Sentence, dry_run: tuple[str, ...]
) -> None:
    done = run("build", resized, tmp_path / "data", *BUILD, *dry_run, "--require-original")

    assert done.returncode == 4
    sentence(done.stderr, alike=True)
    assert not (tmp_path / "data").exists()


def test_a_subset_is_refused_where_the_original_is_required(tmp_path: Path) -> None:
    source = write_miniature(tmp_path / "source", MiniatureOptions(classes=2, images_per_class=4)).root

    done = run("build", source, tmp_path / "data", *BUILD, "--require-original")

    assert done.returncode == 4
    assert "cannot tell" in done.stderr


def test_the_original_is_built_where_it_is_required(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_miniature(tmp_path / "source", MiniatureOptions(classes=2, images_per_class=4)).root
    agrees = Original("sizes agree with the official archives", "a miniature of them")
    monkeypatch.setattr("imagenet_prep.verbs.build.job.original_of_plan", lambda _plan, _places: agrees)

    done = run("build", source, tmp_path / "data", *BUILD, "--require-original", "--quiet")

    assert (done.returncode, done.stderr) == (0, "")
    assert noted(tmp_path / "data")["verdict"] == agrees.verdict


def test_a_data_set_that_grows_keeps_its_verdict_whatever_the_source_is_called_then(
    resized: Path, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    resized.rename(tmp_path / "blurred")
    run("build", tmp_path / "blurred", out, *BUILD)
    assert noted(out)["verdict"] == "face-blurred"
    (tmp_path / "blurred").rename(tmp_path / "images")

    done = run("build", tmp_path / "images", out, *BUILD, "--format", "webdataset")

    assert done.returncode == 0
    assert "face-blurred" in done.stderr
    assert (out / "webdataset").exists()
    assert noted(out)["verdict"] == "face-blurred"


def test_a_data_set_that_grew_has_the_document_of_one_built_at_once(resized: Path, tmp_path: Path) -> None:
    run("build", resized, tmp_path / "grown", *BUILD)
    run("build", resized, tmp_path / "grown", *BUILD, "--format", "tfds")
    run("build", resized, tmp_path / "whole", *BUILD, "--format", "tfds", "--format", "tfrecord")

    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")


def test_the_verdict_is_the_same_whatever_the_images_lie_in(tmp_path: Path) -> None:
    for layout in ("archives", "class-tars", "extracted"):
        source = write_miniature(tmp_path / layout, MiniatureOptions(classes=2, layout=layout, boxes=False)).root
        run("build", source, tmp_path / f"data-{layout}", *BUILD)

    assert noted(tmp_path / "data-archives") == noted(tmp_path / "data-extracted")
    assert noted(tmp_path / "data-archives") == noted(tmp_path / "data-class-tars")


def test_moved_images_keep_their_verdict_and_links_have_one(resized: Path, tmp_path: Path) -> None:
    for transfer in ("symlink", "move"):
        run("build", resized, tmp_path / transfer, *BUILD, "--format", "folders", "--transfer", transfer)
        done = run("resume", tmp_path / transfer)

        assert done.returncode == 0
        assert noted(tmp_path / transfer)["verdict"] == "looks like a resized copy"


def test_a_data_set_of_before_the_verdict_is_read_and_gets_one_when_it_grows(resized: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    run("build", resized, out, *BUILD)
    for path in (out / "build.json", out / ".imagenet-prep/state.json"):
        document = unseal(path.read_bytes())
        del document["original"]
        path.write_bytes(seal(document))

    assert "original" not in run("audit", out).stdout
    assert run("resume", out).returncode == 0
    assert run("build", resized, out, *BUILD, "--format", "tfds").returncode == 0
    assert noted(out)["verdict"] == "looks like a resized copy"


def test_images_that_cannot_be_read_are_named_by_others(resized: Path, tmp_path: Path) -> None:
    for path in (resized / "val").iterdir():
        path.write_bytes(b"not a picture at all, and far from one")

    done = run("build", resized, tmp_path / "data", *BUILD)

    assert done.returncode == 4
    assert "ILSVRC2012_val_00000001.JPEG" in done.stderr


def test_the_library_refuses_it_too(resized: Path, tmp_path: Path) -> None:
    options = BuildOptions.of(test_per_class=1, jobs=1, require_original=True)

    with pytest.raises(imagenet_prep.SourceError):
        imagenet_prep.build(resized, tmp_path / "data", options)

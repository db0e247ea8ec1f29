"""Time of index and plan, and memory of every process, with as many images as ILSVRC2012 has.

    python benchmarks/memory.py SCRATCH [--jobs 2]

The images are one tiny JPEG under 1,281,167 + 50,000 names (2 GB of archives), because time and memory here depend on
their number alone. Everything is done twice, first with a tenth of the images: what grows between the two rows is what
depends on their number. Index and plan are library calls in this process, the index repeated until the archive's
headers are in the page cache; memory is that of ``imagenet-prep build``, for the process itself and for the largest of
its workers.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import PREP, machine, run
from PIL import Image

from imagenet_prep import IndexOptions, Plan, index, official, plan
from imagenet_prep.imagenet.archives import TRAIN_IMAGES, VALIDATION_IMAGES
from imagenet_prep.imagenet.names import validation_image
from imagenet_prep.testing.archives import (
    TRAIN,
    VALIDATION,
    write_flat_archive,
    write_train_archive,
)


def main() -> None:
    """Measure with a tenth of the images and with all, a row for each."""
    options = _options()
    options.scratch.mkdir(parents=True, exist_ok=True)
    print(machine(options.scratch), end="\n\n")
    print("| images | shards | index | plan | build | parent | Arrow columns | largest worker |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for part in (10, 1):
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            archives = Path(folder) / "in"
            make(archives, TRAIN_IMAGES // part, VALIDATION_IMAGES // part)
            print(_row(archives, Path(folder) / "out", options.jobs), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args()


def make(folder: Path, train: int, validation: int) -> None:
    """Write archives with so many images, which are all the same."""
    folder.mkdir()
    image = io.BytesIO()
    Image.new("RGB", (8, 8), "green").save(image, "JPEG", optimize=True)
    data = image.getvalue()
    write_train_archive(folder / TRAIN, _classes(data, train))
    write_flat_archive(folder / VALIDATION, ((validation_image(1 + at), data) for at in range(validation)))


def _classes(data: bytes, images: int) -> Iterator[tuple[str, Iterator[tuple[str, bytes]]]]:
    classes = official().classes
    for facts in classes:
        numbers = range(facts.index, images, len(classes))
        yield facts.wnid, ((f"{wnid}_{number}.JPEG", data) for wnid in (facts.wnid,) for number in numbers)


def _row(archives: Path, out: Path, jobs: int) -> str:
    index(archives, IndexOptions(jobs=jobs))  # not counted: it warms the page cache
    began = time.perf_counter()
    catalog = index(archives, IndexOptions(jobs=jobs))
    indexed = time.perf_counter()
    the_plan: Plan = plan(catalog)
    planned = time.perf_counter()
    cost = run((*PREP, "build", "--quiet", f"--jobs={jobs}", archives, out), memory=True)
    cells = (
        f"{the_plan.images:,}",
        f"{len(the_plan.shards):,}",
        f"{indexed - began:.1f} s",
        f"{planned - indexed:.2f} s",
        f"{cost.wall:.0f} s",
        _megabytes(cost.parent),
        _megabytes(catalog.table.nbytes),
        _megabytes(max(cost.workers.values())),
    )
    return f"| {' | '.join(cells)} |"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


if __name__ == "__main__":
    main()

"""What the same command costs when there is nothing left to do, or one shard, with as many images as ILSVRC2012 has.

    python benchmarks/resume.py SCRATCH [--images 1331167] [--repeat 5] [--jobs 2]

The images are one tiny JPEG under 1,281,167 + 50,000 names, because the overhead depends on their number alone; with
``--test-per-class 0``, as here, they are 1,152 shards. Everything counts, from the start of the command to its end.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from measure import PREP, Cost, machine, run
from memory import make

from imagenet_prep.imagenet.archives import TRAIN_IMAGES, VALIDATION_IMAGES

_ALL = TRAIN_IMAGES + VALIDATION_IMAGES
_LEFT = {"nothing": "", "one shard": "tfrecord/train-00007-*", "the documents": "build.json"}


def main() -> None:
    """Build once, then repeat the command over the finished build, over one without a shard, and over one without its
    last documents.
    """
    options = _options()
    options.scratch.mkdir(parents=True, exist_ok=True)
    print(machine(options.scratch), end="\n\n")
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        archives, out = Path(folder) / "in", Path(folder) / "out"
        validation = options.images * VALIDATION_IMAGES // _ALL
        make(archives, options.images - validation, validation)
        command = (*PREP, "build", "--quiet", f"--jobs={options.jobs}", "--test-per-class", "0", archives, out)
        wall = run(command).wall
        shards = len(list((out / ".imagenet-prep/receipts").iterdir()))
        print(f"{options.images:,} images in {shards:,} shards, built in {wall:.1f} s\n")
        print("| what is left to do | wall | processor | most memory |\n|---|---|---|---|")
        for what, path in _LEFT.items():
            costs = []
            for _ in range(options.repeat):
                if path:
                    next(out.glob(path)).unlink()
                costs.append(run(command, memory=True))
            print(_row(what, costs), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--images", type=int, default=_ALL)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args()


def _row(what: str, costs: list[Cost]) -> str:
    wall, cpu = (statistics.median(values) for values in zip(*((cost.wall, cost.cpu) for cost in costs), strict=True))
    return f"| {what} | {wall:.2f} s | {cpu:.2f} s | {max(cost.parent for cost in costs) / 1e6:,.0f} MB |"


if __name__ == "__main__":
    main()

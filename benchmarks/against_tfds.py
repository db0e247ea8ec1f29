"""TensorFlow Datasets' own ``imagenet2012`` builder against ours, same archives, same records out.

    python benchmarks/make_input.py IN --bytes 2e9 --validation 1000
    python benchmarks/against_tfds.py IN SCRATCH --python .venv-readers/bin/python [--pairs 3] [--jobs 2]

The two alternate, each a fresh process from start to end: their builder's ``download_and_prepare``, and
``imagenet-prep build --format tfds --test-per-class 0``, which writes the same records in the same order. Their time
contains the import of TensorFlow, as a user's does; the time without it is told too. Their builder does not sync what
it writes and ours does: to both, a ``sync`` is added at the end. It needs a validation archive, even a small one.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

from measure import PREP, Cost, machine, run, settle

IMPORT = "import tensorflow, tensorflow_datasets; tensorflow_datasets.core, tensorflow.io.gfile"
BUILDER = """
import sys
import tensorflow_datasets as tfds
tfds.disable_progress_bar()
builder = tfds.builder("imagenet2012", data_dir=sys.argv[2])
builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=sys.argv[1]))
"""
SYNC = 'export TF_CPP_MIN_LOG_LEVEL=3; "$@" && sync'


def main() -> None:
    """Measure, and print every pair and then the medians."""
    options = _options()
    options.scratch.mkdir(parents=True, exist_ok=True)
    size = sum(path.stat().st_size for path in options.archives.glob("*.tar"))
    print(machine(options.archives, options.scratch), f"· {size / 1e9:.2f} GB", flush=True)
    theirs = (options.python, "-c", BUILDER, options.archives)
    ours = (
        *PREP,
        "build",
        "--quiet",
        "--format=tfds",
        "--test-per-class=0",
        f"--jobs={options.jobs}",
        options.archives,
    )
    start = run((options.python, "-c", IMPORT)).wall  # once for the page cache
    start = run((options.python, "-c", IMPORT)).wall
    pairs = []
    for _ in range(options.pairs):
        pair = _measured(theirs, options), _measured(ours, options)
        print(_line(*pair), flush=True)
        pairs.append(pair)
    _summary(pairs, start, size)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", type=Path, metavar="IN")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--python", required=True, help="an interpreter that has tensorflow-datasets and tensorflow")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args()


def _measured(command: tuple[str | Path, ...], options: argparse.Namespace) -> Cost:
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        settle(sorted(options.archives.glob("*.tar")), options.scratch)
        return run(("bash", "-c", SYNC, "bash", *command, Path(folder) / "out"))


def _line(theirs: Cost, ours: Cost) -> str:
    return (
        f"TFDS {theirs.wall:6.2f} s (processor {theirs.cpu:6.2f} s)   ours {ours.wall:6.2f} s"
        f" (processor {ours.cpu:5.2f} s)   {theirs.wall / ours.wall:.1f} times as fast"
    )


def _summary(pairs: list[tuple[Cost, Cost]], start: float, size: int) -> None:
    theirs, ours = pairs[0]
    times = median(pair[0].wall / pair[1].wall for pair in pairs)
    bare = median((pair[0].wall - start) / pair[1].wall for pair in pairs)
    print(f"\nMedian of {len(pairs)}: {times:.1f} times as fast; {bare:.1f} without their {start:.1f} s of imports")
    for name, cost in (("TFDS", theirs), ("ours", ours)):
        print(f"{name} read {cost.read / size:.2f} and wrote {cost.written / size:.2f} times the archives' bytes")
    cells = (
        f"{size / 1e9:.1f} GB",
        f"{median(pair[0].wall for pair in pairs):.1f} s",
        f"{median(pair[1].wall for pair in pairs):.2f} s",
        f"{times:.1f}",
        f"{bare:.1f}",
    )
    print(f"\n| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

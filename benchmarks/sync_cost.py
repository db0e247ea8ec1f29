"""The cost of safety: the whole build against the same build without a single sync.

    python benchmarks/sync_cost.py IN SCRATCH [--pairs 5] [--jobs 2] [--format tfrecord]

IN holds the archives (see make_input.py), SCRATCH is a folder on the file system to write to. The other command is the
program with ``fsync`` and ``syncfs`` doing nothing, in all of its processes; after a power cut its output could be
anything. It is timed alone, and once more with a ``sync`` of all at its end, which is what ``cp`` and ``sync`` would
promise. The three alternate; disk and memory are made equal before each (see ``settle``).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

from against_cp import recipe, timed_build
from measure import PREP, Cost, machine

WITHOUT = (
    "import os; from imagenet_prep.stores import tree; os.fsync = lambda _: None; "
    "tree._sync_file_system = lambda _: None; from imagenet_prep.__main__ import main; main()"
)
SYNCED_ONCE = '"$@" && sync --file-system -- "${@: -1}"'


def main() -> None:
    """Measure, and print every round and then the medians."""
    options = _options()
    archives = sorted(options.archives.glob("*.tar"))
    options.scratch.mkdir(parents=True, exist_ok=True)
    print(machine(options.archives, options.scratch), f"· {options.format}", flush=True)
    work = ("build", "--quiet", f"--jobs={options.jobs}", "--format", options.format, *recipe(archives, 2), *archives)
    safe, without = (*PREP, *work), (sys.executable, "-c", WITHOUT, *work)
    commands = (safe, without, ("bash", "-c", SYNCED_ONCE, "bash", *without))
    ratios = []
    for number in range(options.pairs + 1):
        costs = [timed_build(command, archives, options.scratch) for command in commands]
        print(_line(costs), "" if number else "(not counted)", flush=True)
        ratios += [(costs[0].wall / costs[1].wall, costs[0].wall / costs[2].wall)] if number else []
    alone, synced = (median(values) for values in zip(*ratios, strict=True))
    print(f"\nMedians of {len(ratios)} rounds: {alone:.2f} x without any sync, {synced:.2f} x with one sync at the end")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", type=Path, metavar="IN")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--format", choices=("tfrecord", "folders"), default="tfrecord")
    return parser.parse_args()


def _line(costs: list[Cost]) -> str:
    safe, without, synced = (cost.wall for cost in costs)
    return f"build {safe:6.2f} s   without syncs {without:6.2f} s   with one at the end {synced:6.2f} s"


if __name__ == "__main__":
    main()

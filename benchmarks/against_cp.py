"""The whole build against ``cp`` of the same archives: wall time, processor time, bytes read and written.

    python benchmarks/against_cp.py IN SCRATCH [--pairs 5] [--jobs 2]

IN holds the archives (see make_input.py), SCRATCH is a folder on the file system to write to. The two commands
alternate, each timed from its start until its output is on the disk: ``cp`` with a ``sync`` of the copies, the build
with the syncs it makes itself, manifest included. Before each, the last output is deleted, and disk and memory are made
equal for both (see ``settle``). One pair is run first and not counted. The archives are in the page cache, for both,
when they fit there.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from measure import PREP, Cost, machine, run, settle

COPY = 'cp -- "$@" && sync -- "${@: -1}"/*'  # all archives, then the folder they go to


class Pair(NamedTuple):
    """One copy and one build, run one after the other."""

    copy: Cost
    build: Cost


def main() -> None:
    """Measure, and print every pair and then the medians."""
    options = _options()
    archives = sorted(options.archives.glob("*.tar"))
    size = sum(path.stat().st_size for path in archives)
    options.scratch.mkdir(parents=True, exist_ok=True)
    print(machine(options.archives, options.scratch), f"· {size / 1e9:.2f} GB", flush=True)
    build = (*PREP, "build", "--quiet", "--jobs", str(options.jobs), *_recipe(archives, options.hold_out), *archives)
    pairs = []
    for number in range(options.pairs + 1):
        pair = Pair(_copy(archives, options.scratch), _build(build, archives, options.scratch))
        print(_line(pair), "" if number else "(not counted)", flush=True)
        pairs += [pair] if number else []
    _summary(pairs, size)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", type=Path, metavar="IN")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--hold-out", type=int, default=2, help="test images per class; the input has few per class")
    return parser.parse_args()


def _recipe(archives: list[Path], hold_out: int) -> list[str]:
    """Build every split that the archives have images for."""
    splits = ["train", "test"] if len(archives) == 1 else ["train", "test", "validation"]
    return [f"--test-per-class={hold_out}", *(f"--split={split}" for split in splits)]


def _copy(archives: list[Path], scratch: Path) -> Cost:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        settle(archives, scratch)
        return run(("bash", "-c", COPY, "bash", *archives, folder))


def _build(command: tuple[str | Path, ...], archives: list[Path], scratch: Path) -> Cost:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        settle(archives, scratch)
        return run((*command, Path(folder) / "out"))


def _line(pair: Pair) -> str:
    copy, build = pair
    return (
        f"cp {copy.wall:6.2f} s (processor {copy.cpu:5.2f} s)   "
        f"build {build.wall:6.2f} s (processor {build.cpu:5.2f} s)   "
        f"{build.wall / copy.wall:.2f} x wall, {build.cpu / copy.cpu:.2f} x processor"
    )


def _summary(pairs: list[Pair], size: int) -> None:
    wall = median(pair.build.wall / pair.copy.wall for pair in pairs)
    cpu = median(pair.build.cpu / pair.copy.cpu for pair in pairs)
    middle = Pair(_middle([pair.copy for pair in pairs]), _middle([pair.build for pair in pairs]))
    print(f"\nMedian of the ratios of {len(pairs)} pairs: {wall:.2f} x wall, {cpu:.2f} x processor")
    print(f"Medians: {_line(middle)}")
    for name, cost in (("cp", middle.copy), ("build", middle.build)):
        print(
            f"{name:5} read {cost.read:,} bytes ({cost.read / size:.3f}), wrote {cost.written:,}"
            f" ({cost.written / size:.3f} of the archives)"
        )
    print(
        f"\n| {size / 1e9:.1f} GB | {middle.copy.wall:.2f} s | {middle.build.wall:.2f} s | {wall:.2f} | {cpu:.2f} |"
        f" {middle.build.read / size:.3f} | {middle.build.written / size:.3f} |"
    )


def _middle(costs: list[Cost]) -> Cost:
    return Cost(
        median(cost.wall for cost in costs),
        median(cost.cpu for cost in costs),
        int(median(cost.read for cost in costs)),
        int(median(cost.written for cost in costs)),
    )


if __name__ == "__main__":
    main()

"""The audit against ``cat`` of the same bytes into a hash (xxh3): wall time, processor time, bytes read.

    python benchmarks/audit_rate.py OUT [--pairs 5] [--jobs 2] [--cold]

OUT is a finished build; its files are all that the audit reads. Three commands alternate, each timed from its start to
its end: ``cat FILES`` piped into a program that hashes, the same program reading the files itself (one process, no
pipe), and ``imagenet-prep audit``. One round is run first and not counted. The files are in the page cache, if they fit
there; with ``--cold`` the kernel is told before each command to forget them, so that a disk has to give them (that does
nothing on tmpfs).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from measure import PREP, Cost, machine, run

HASH = """
import sys, xxhash
digest, buffer = xxhash.xxh3_128(), memoryview(bytearray(1 << 20))
for name in open(sys.argv[1]).read().split("\\0") if len(sys.argv) > 1 else ["/dev/stdin"]:
    with open(name, "rb", buffering=0) as file:
        while read := file.readinto(buffer):
            digest.update(buffer[:read])
print(digest.hexdigest())
"""
CAT = 'xargs -0 cat -- < "$1" | "$2" -c "$3"'
NAMES = ("cat | xxh3", "xxh3", "audit")


def main() -> None:
    """Measure, and print every round and then the medians of what the rounds gave."""
    options = _options()
    files = sorted(path for path in options.out.rglob("*") if path.is_file() and _is_audited(path, options.out))
    size = sum(path.stat().st_size for path in files)
    print(machine(options.out), f"· {size / 1e9:.2f} GB in {len(files):,} files", flush=True)
    with tempfile.NamedTemporaryFile("w") as names:
        names.write("\0".join(map(str, files)))
        names.flush()
        commands = (
            ("bash", "-c", CAT, "bash", names.name, sys.executable, HASH),
            (sys.executable, "-c", HASH, names.name),
            (*PREP, "audit", "--quiet", "--jobs", str(options.jobs), options.out),
        )
        rounds = []
        for number in range(options.pairs + 1):
            costs = tuple(_measured(command, files, cold=options.cold) for command in commands)
            print(_line(costs), "" if number else "(not counted)", flush=True)
            rounds += [costs] if number else []
    _summary(rounds, size)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cold", action="store_true", help="have the files read from the disk")
    return parser.parse_args()


def _is_audited(path: Path, out: Path) -> bool:
    return not path.relative_to(out).parts[0].startswith(".")


def _measured(command: tuple[str | Path, ...], files: list[Path], *, cold: bool) -> Cost:
    if cold:
        for path in files:
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
    return run(command)


def _line(costs: tuple[Cost, ...]) -> str:
    times = [
        f"{name} {cost.wall:5.2f} s (processor {cost.cpu:5.2f} s)" for name, cost in zip(NAMES, costs, strict=True)
    ]
    ratios = [f"{costs[-1].wall / other.wall:.2f} x {name}" for name, other in zip(NAMES[:-1], costs, strict=False)]
    return "   ".join(times) + "   audit: " + ", ".join(ratios)


def _summary(rounds: list[tuple[Cost, ...]], size: int) -> None:
    print(f"\nMedians of {len(rounds)} rounds:")
    for place, name in enumerate(NAMES):
        costs = [costs[place] for costs in rounds]
        wall, cpu = (median(getattr(cost, field) for cost in costs) for field in ("wall", "cpu"))
        read = median(cost.read for cost in costs)
        rate = f"{size / wall / 1e6:,.0f} MB/s"
        print(f"{name:10} {wall:6.2f} s   processor {cpu:6.2f} s   {rate:>11}   read {read / size:.3f}")
    for place, name in enumerate(NAMES[:-1]):
        wall = median(costs[-1].wall / costs[place].wall for costs in rounds)
        cpu = median(costs[-1].cpu / costs[place].cpu for costs in rounds)
        print(f"audit against {name}: {wall:.2f} x wall, {cpu:.2f} x processor (medians of the rounds' ratios)")


if __name__ == "__main__":
    main()

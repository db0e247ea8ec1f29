"""The whole build against ``cp`` of the same archives: wall time, processor time, bytes read and written.

    python benchmarks/against_cp.py IN SCRATCH [--format NAME]... [--pairs 5] [--jobs N] [--cold]

IN holds the archives (see make_input.py), SCRATCH is a folder on the file system to write to. The two commands
alternate, each timed from its start until its output is on the disk: ``cp`` with a ``sync`` of the copies, the build
with the syncs it makes itself, manifest included. Before each, the last output is deleted, and disk and memory are made
equal for both (see ``settle``). One pair is run first and not counted. The archives are in the page cache, for both,
when they fit there; with ``--cold`` the kernel forgets every file before each command (as root): 147 GB are in no page
cache. Without ``--jobs`` the build chooses how many processes it has. Of several
formats one build writes all.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from measure import PREP, Cost, jobs_option, machine, run, settle
from pairs import alternate, summary

COPY = 'cp -- "$@" && sync -- "${@: -1}"/*'  # all archives, then the folder they go to


def main() -> None:
    """Measure, and print every pair and then the medians."""
    options = _options()
    archives = sorted(options.archives.glob("*.tar"))
    size = sum(path.stat().st_size for path in archives)
    options.scratch.mkdir(parents=True, exist_ok=True)
    print(machine(options.archives, options.scratch), f"· {size / 1e9:.2f} GB", flush=True)
    formats = [f"--format={name}" for name in options.format]
    what = (*jobs_option(options.jobs), *formats, *recipe(archives, options.hold_out))
    build = (*PREP, "build", "--quiet", *what, *archives)
    pairs = alternate(
        options.pairs,
        "cp",
        lambda: _copy(archives, options.scratch, cold=options.cold),
        lambda: timed_build(build, archives, options.scratch, cold=options.cold),
    )
    summary(pairs, "cp", size)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", type=Path, metavar="IN")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--format", action="append", default=[], help="what to build; may be repeated")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=0, help="processes of the build; by default its own choice")
    parser.add_argument("--cold", action="store_true", help="have the archives read from the disk (needs root)")
    parser.add_argument("--hold-out", type=int, default=2, help="test images per class; the input has few per class")
    return parser.parse_args()


def recipe(archives: list[Path], hold_out: int) -> list[str]:
    """Build every split that the archives have images for."""
    splits = ["train", "test"] if len(archives) == 1 else ["train", "test", "validation"]
    return [f"--test-per-class={hold_out}", *(f"--split={split}" for split in splits)]


def _copy(archives: list[Path], scratch: Path, *, cold: bool) -> Cost:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        settle(archives, scratch, cold=cold)
        return run(("bash", "-c", COPY, "bash", *archives, folder))


def timed_build(command: tuple[str | Path, ...], archives: list[Path], scratch: Path, *, cold: bool = False) -> Cost:
    """Run a build into a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        settle(archives, scratch, cold=cold)
        return run((*command, Path(folder) / "out"))


if __name__ == "__main__":
    main()

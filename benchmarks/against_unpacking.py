"""A build from compressed archives, against unpacking them to files and a build from these.

    python benchmarks/against_unpacking.py IN SCRATCH [--pairs 5] [--program gzip]

IN holds the official archives (see make_input.py), which are compressed in SCRATCH first. The two alternate, each timed
from its start until its output is on the disk; before each, the last output is deleted, and disk and memory are made
equal for both (see ``settle``). The other unpacks with ``PROGRAM -dc``, as people do it, or with what ``--unpacker``
says: ``"python -m isal.igzip -dc"`` is the fastest library for gzip. One pair is run first and not counted.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from measure import PREP, Cost, jobs_option, machine, run, settle
from pairs import alternate, summary

SCRIPT = """
set -e
for packed in "$1"/*.gz; do $3 < "$packed" > "$2/$(basename "$packed" .gz)"; done
shift 3
"$@"
"""


def main() -> None:
    """Measure, and print every pair and then the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", type=Path, metavar="IN")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--program", default="gzip", help="what compresses the archives: gzip, bzip2, xz or zstd")
    parser.add_argument("--unpacker", default="", help="what unpacks them, from its input to its output")
    parser.add_argument("--jobs", type=int, default=0, help="processes of the build; by default its own choice")
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.scratch) as packed:
        for archive in sorted(options.archives.glob("*.tar")):
            to = Path(packed, f"{archive.name}.gz")
            run(("bash", "-c", '"$1" -c < "$2" > "$3"', "bash", options.program, f"{archive}", f"{to}"))
        files = sorted(Path(packed).iterdir())
        size = sum(file.stat().st_size for file in files)
        print(machine(options.archives, options.scratch), f"· {size / 1e9:.2f} GB", flush=True)
        build = (*PREP, "build", "--quiet", *jobs_option(options.jobs), "--format=tfrecord", "--test-per-class=0")
        unpacker = options.unpacker or f"{options.program} -dc"

        def other() -> Cost:
            """Unpack, and build."""
            with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
                settle(files, options.scratch, cold=False)
                return run(("bash", "-c", SCRIPT, "bash", packed, folder, unpacker, *build, folder, f"{folder}/out"))

        def ours() -> Cost:
            """Build."""
            with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
                settle(files, options.scratch, cold=False)
                return run((*build, packed, f"{folder}/out"))

        summary(alternate(options.pairs, "unpack, build", other, ours), "unpack, build", size)


if __name__ == "__main__":
    main()

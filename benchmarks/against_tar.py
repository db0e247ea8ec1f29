"""Class folders from the train archive, against ``tar xf`` of it: the outer tar, then each class tar into its folder.

    python benchmarks/against_tar.py IN SCRATCH [--pairs 5] [--jobs N] [--piped] [--cold]

IN holds ILSVRC2012_img_train.tar (see make_input.py), SCRATCH is a folder on the file system to write to. The two
commands alternate, each timed from its start until its output is on the disk. What people do unpacks the class tars as
files first, so it writes everything twice; ``--piped`` compares with the tar command that does without that (GNU tar's
--to-command). Both are one process after another, as such scripts are. Before each, the last output is deleted, and
disk and memory are made equal for both (see ``settle``); with ``--cold`` the kernel then forgets every file (as root).
One pair is run first and not counted. Without ``--jobs`` the build chooses how many processes it has.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from measure import PREP, Cost, jobs_option, machine, run, settle
from pairs import alternate, summary

STAGES = """
tar xf "$1" -C "$2" && cd "$2" &&
for archive in n*.tar; do mkdir "${archive%.tar}" && tar xf "$archive" -C "${archive%.tar}" && rm "$archive"; done &&
sync -f .
"""
PIPED = """
cd "$2" && tar xf "$1" --to-command='mkdir "${TAR_FILENAME%.tar}" && tar xf - -C "${TAR_FILENAME%.tar}"' && sync -f .
"""


def main() -> None:
    """Measure, and print every pair and then the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", type=Path, metavar="IN")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=0, help="processes of the build; by default its own choice")
    parser.add_argument("--piped", action="store_true", help="without class tars as files in between")
    parser.add_argument("--cold", action="store_true", help="have the archive read from the disk (needs root)")
    options = parser.parse_args()
    archive = (options.archives / "ILSVRC2012_img_train.tar").absolute()
    options.scratch.mkdir(parents=True, exist_ok=True)
    print(machine(options.archives, options.scratch), f"· {archive.stat().st_size / 1e9:.2f} GB", flush=True)
    script = PIPED if options.piped else STAGES
    build = [*PREP, "build", "--quiet", *jobs_option(options.jobs), "--format=folders", "--names=wnid"]
    build += ["--split=train", "--test-per-class=0", str(archive)]

    def other() -> Cost:
        """Unpack with tar."""
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            settle([archive], options.scratch, cold=options.cold)
            return run(("bash", "-c", script, "bash", archive, folder))

    def ours() -> Cost:
        """Build class folders."""
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            settle([archive], options.scratch, cold=options.cold)
            return run((*build, f"{folder}/out"))

    summary(alternate(options.pairs, "tar", other, ours), "tar", archive.stat().st_size)


if __name__ == "__main__":
    main()

"""Measures how long it takes to see what is there, at full scale in numbers.

    python benchmarks/index_rate.py SCRATCH [--kinds tar zip folders] [--rounds 2]

1,331,000 tiny images under ImageNet's names are written to SCRATCH, as one tar, as one stored zip (by zipfile), or as
class folders; then each is indexed, everything in the page cache. Prints seconds, and the memory of parent and workers.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from measure import machine

from imagenet_prep import official, validation_truth

IMAGE = b"\xff\xd8" + bytes(60) + b"\xff\xd9"
IN_A_CLASS, VALIDATION = 1_281, 50_000
INDEX = """
import sys, time, resource, imagenet_prep
if __name__ == "__main__":
    began = time.monotonic()
    catalog = imagenet_prep.index(sys.argv[1], imagenet_prep.IndexOptions(boxes=False))
    peak = [resource.getrusage(who).ru_maxrss // 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(f"{len(catalog):,} images in {time.monotonic() - began:.1f} s, {peak[0]} MB and {peak[1]} MB")
"""


def names() -> Iterator[str]:
    """Give the path of each image in a tree."""
    classes, truth = official().classes, validation_truth()
    for facts in classes:
        yield from (f"train/{facts.wnid}/{facts.wnid}_{number}.JPEG" for number in range(IN_A_CLASS))
    for number in range(VALIDATION):
        yield f"val/{classes[truth[number]].wnid}/ILSVRC2012_val_{number + 1:08d}.JPEG"


def write_tar(path: Path) -> None:
    """Write one tar of all."""
    with tarfile.open(path, "w") as archive:
        for name in names():
            member = tarfile.TarInfo(name)
            member.size = len(IMAGE)
            archive.addfile(member, io.BytesIO(IMAGE))


def write_zip(path: Path) -> None:
    """Write one zip of all, stored."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in names():
            archive.writestr(name, IMAGE)


def write_folders(path: Path) -> None:
    """Write class folders."""
    for name in names():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(IMAGE)


KINDS = {"tar": (write_tar, "all.tar"), "zip": (write_zip, "all.zip"), "folders": (write_folders, "folders")}


def main() -> None:
    """Write each kind that is not there, and index it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    args.scratch.mkdir(parents=True, exist_ok=True)
    print(machine())
    for kind in args.kinds:
        write, name = KINDS[kind]
        if not (args.scratch / name).exists():
            write(args.scratch / name)
    for _ in range(args.rounds):
        for kind in args.kinds:
            command = [sys.executable, "-c", INDEX, str(args.scratch / KINDS[kind][1])]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"{kind:8} {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()

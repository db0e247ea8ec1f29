"""The same images from every kind of place: how much longer a build takes than from the official archive.

    python benchmarks/sources.py IN SCRATCH [--rounds 5] [--jobs N]

IN holds a train archive (see make_input.py). Class folders, a stored zip of them, WebDataset shards and TFRecord files
are made from it in SCRATCH, by builds and by zipfile. Then TFRecord is built from each in turn, everything in the page
cache; the first round is not counted. The figures are medians of each round's ratio.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import zipfile
from pathlib import Path
from statistics import median

from against_cp import timed_build
from measure import PREP, Cost, jobs_option, machine, run

HOLD_OUT = ("--split=train", "--split=test", "--test-per-class=2")


def main() -> None:
    """Measure, and print a row for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", type=Path, metavar="IN")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=0, help="processes of a build; by default its own choice")
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    archives = sorted(options.archives.glob("*.tar"))
    print(machine(options.archives, options.scratch), flush=True)
    with tempfile.TemporaryDirectory(dir=options.scratch) as made:
        sources = {"official archive": archives, **_made(archives, Path(made))}
        build = (*PREP, "build", "--quiet", *jobs_option(options.jobs), *HOLD_OUT)
        rounds: list[dict[str, Cost]] = []
        for _ in range(options.rounds + 1):
            rounds.append({})
            for name, paths in sources.items():
                rounds[-1][name] = timed_build((*build, *paths), _files(paths), options.scratch)
    print("| source | wall | processor | wall, of the official archive's |\n|---|---|---|---|")
    for name in sources:
        costs = [each[name] for each in rounds[1:]]
        ratio = median(each[name].wall / each["official archive"].wall for each in rounds[1:])
        wall, processor = median(cost.wall for cost in costs), median(cost.cpu for cost in costs)
        print(f"| {name} | {wall:.2f} s | {processor:.2f} s | {ratio:.2f} |")


def _made(archives: list[Path], place: Path) -> dict[str, list[Path]]:
    """Make the same images in other forms."""
    formats = ("--format=folders", "--names=wnid", "--format=webdataset", "--format=tfrecord")
    run((*PREP, "build", "--quiet", "--split=train", "--test-per-class=0", *formats, *archives, place / "built"))
    found = {}
    for name in ("folders", "webdataset", "tfrecord"):
        found[name] = [place / name]
        (place / name).mkdir()
        for path in (place / "built" / name).glob("train*"):
            shutil.move(path, place / name)
    (place / "zip").mkdir()
    with zipfile.ZipFile(place / "zip" / "train.zip", "w", zipfile.ZIP_STORED) as archive:
        for path in sorted((place / "folders").rglob("*.JPEG")):
            archive.write(path, path.relative_to(place / "folders"))
    return found | {"stored zip": [place / "zip"]}


def _files(paths: list[Path]) -> list[Path]:
    return [file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]


if __name__ == "__main__":
    main()

"""``imagenet_prep.open`` against bare ``pread`` and files: images a second in one process, nothing decoded.

    python benchmarks/open_rate.py OUT [--images 20000] [--rounds 5]

OUT is a finished build with class folders and any other outputs. Each output is read at random (with and without
comparing digests) and in order. Bare ``pread`` reads the same ranges of the same files, which are all open already;
files are opened, read and closed, as ``ImageFolder`` reads them before it decodes. The ways alternate, and each round
has an order of its own, the same for all ways; the first round, after which everything that fits is in the page cache,
is not counted. The figures are medians.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from measure import machine

import imagenet_prep
from imagenet_prep import OUTPUTS, PrepError

Way = Callable[[list[int]], int]


def main() -> None:
    """Measure, and print a line for each way."""
    options = _options()
    ways: dict[str, Way] = {}
    count = options.images
    for output in OUTPUTS:
        try:
            view = imagenet_prep.open(options.out, output=output)["train"]
        except PrepError:
            continue
        unverified = imagenet_prep.open(options.out, output=output, verify=False)["train"]
        count = min(count, len(view))
        ways[f"{output}: open, random"] = _each(view)
        ways[f"{output}: open, random, verify=False"] = _each(unverified)
        ways[f"{output}: open, in order"] = _in_order(view)
        ways[f"{output}: bare {'files' if output_is_files(view) else 'pread'}, random"] = _bare(view)
    took: dict[str, list[float]] = {name: [] for name in ways}
    size = 0
    for number in range(options.rounds + 1):
        order = random.Random(number).sample(range(count), count)
        for name, way in ways.items():
            started = time.perf_counter()
            size = way(order)
            if number:
                took[name].append(time.perf_counter() - started)
    print(machine(options.out), f"· {count:,} images of {size / count / 1e3:.0f} kB")
    for name, times in took.items():
        print(f"{name:36} {count / median(times):10,.0f} images/s   {size / median(times) / 1e9:5.2f} GB/s")


def output_is_files(view: imagenet_prep.View) -> bool:
    """Whether each image is a file of its own."""
    return len({place[0] for place in _places(view)[:100]}) == min(100, len(view))


def _each(view: imagenet_prep.View) -> Way:
    return lambda order: sum(len(view[index].image) for index in order)


def _in_order(view: imagenet_prep.View) -> Way:
    return lambda order: sum(len(view[index].image) for index in range(len(order)))


def _places(view: imagenet_prep.View) -> list[tuple[str, int, int]]:
    """Give path, offset and length of every image, from what ``open`` itself goes by."""
    places = view._data.places
    columns = places.index.columns
    found = []
    for row in view._rows:
        path = places._path(row, places.index.name(row), int(columns["class_index"][row]))
        found.append((places.store.local_paths(path)[0], int(columns["offset"][row]), int(columns["length"][row])))
    return found


def _bare(view: imagenet_prep.View) -> Way:
    places = _places(view)
    if output_is_files(view):
        return lambda order: sum(len(Path(places[index][0]).read_bytes()) for index in order)
    files = {path: os.open(path, os.O_RDONLY) for path in dict.fromkeys(place[0] for place in places)}
    ranges = [(files[path], length, offset) for path, offset, length in places]
    return lambda order: sum(len(os.pread(*ranges[index])) for index in order)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Every reader of the same photographs, in one run: images a second, as bytes in one process, decoded by two workers.

    python benchmarks/read_rate.py OUT [--rounds 5] [--cold]

OUT is a finished build, of whose train split everything is read. Each output in it is read by ``imagenet_prep.open`` at
random (with and without comparing digests) and in order, by bare ``pread`` of the same ranges of files that are all
open (files: opened, read and closed, as ImageFolder does before it decodes), and by its own readers, as far as they are
installed: start it with the Python of ``.venv-readers``. mosaicml-streaming imports torchvision; where that does not
load, ``-c "import readers.torch_vision, runpy; runpy.run_path('benchmarks/read_rate.py', run_name='__main__')" OUT`` in
its place, with ``tests`` and ``benchmarks`` in PYTHONPATH, lets it.

The second table is of a DataLoader with two workers and batches of 64: each reader decodes as it does for its users,
and every image becomes 224 by 224 by leaving out pixels, which costs little and the same for all.

The ways alternate, and each round has an order of its own, the same for all that take one. The first round is not
counted: it starts workers and fills the page cache. With ``--cold`` each way runs twice in a round, first after the
kernel was told to forget every file, for which one must be root. The figures are medians.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from measure import machine

import imagenet_prep
from imagenet_prep import OUTPUTS, PrepError

SIDE, BATCH, WORKERS = 224, 64, 2
Order = list[int]
Way = Callable[[Order], Iterable[int]]  # gives the bytes of each image, or of each batch its images
Ways = Iterator[tuple[str, Way]]
Pixels = npt.NDArray[np.uint8]


def main() -> None:
    """Measure, and print both tables."""
    options = _options()
    views = dict(_views(options.out))
    first = next(iter(views.values()))
    count, size = len(first), sum(len(image.image) for image in first)
    print(machine(options.out), f"· {count:,} images of {size / count / 1e3:.0f} kB", flush=True)
    ours = [way for output, view in views.items() for way in _as_bytes(output, view)]
    theirs = [way for reader in AS_BYTES for way in reader(options.out)]
    _table("as bytes, one process", dict(ours + theirs), count, size, options)
    if find_spec("torch"):
        decoding = _views(options.out, transform=_labelled)
        ours = [(f"{output}: open, at random", _loaded(view, in_order=False)) for output, view in decoding]
        theirs = [way for reader in DECODED for way in reader(options.out)]
        _table(f"decoded, {WORKERS} workers", dict(ours + theirs), count, size, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="measure with an empty page cache, too")
    return parser.parse_args()


def _table(title: str, ways: dict[str, Way], count: int, size: int, options: argparse.Namespace) -> None:
    states = ("cold", "warm") if options.cold else ("warm",)
    took: dict[tuple[str, str], list[float]] = {(name, state): [] for name in ways for state in states}
    for number in range(options.rounds + 1):
        order = random.Random(number).sample(range(count), count)
        for (name, state), times in took.items():
            if state == "cold":
                os.sync()
                Path("/proc/sys/vm/drop_caches").write_text("3")
            started = time.perf_counter()
            read = sum(ways[name](order))
            if number:
                times.append(time.perf_counter() - started)
            assert read == count or 0.8 < read / size < 1.25, f"{name} read {read:,}"  # images may be converted
    print(f"\n| {title} | {' | '.join(f'{state}, images/s | GB/s' for state in states)} |")
    print(f"|{'---|' * (1 + 2 * len(states))}")
    for name in ways:
        rates = [1 / median(took[name, state]) for state in states]
        print(f"| {name} | {' | '.join(f'{count * rate:,.0f} | {size * rate / 1e9:.2f}' for rate in rates)} |")
    print(flush=True)


# Ours -------------------------------------------------------------------------------------------------------------


def _views(out: Path, **given: Any) -> Iterator[tuple[str, imagenet_prep.View]]:
    for output in OUTPUTS:
        try:
            yield output, imagenet_prep.open(out, output=output, **given)["train"]
        except PrepError:  # it is not in this build, or does not say where images lie
            continue


def _as_bytes(output: str, view: imagenet_prep.View) -> Ways:
    unverified = imagenet_prep.open(view._data.places.store, output=output, verify=False)["train"]
    yield f"{output}: open, at random", lambda order: (len(view[index].image) for index in order)
    yield f"{output}: the same, verify=False", lambda order: (len(unverified[index].image) for index in order)
    yield f"{output}: open, in order", lambda order: (len(image.image) for image in view[: len(order)])
    places = list(_places(view))
    if len({path for path, _, _ in places}) == len(places):
        yield f"{output}: bare files, at random", lambda order: (len(Path(places[at][0]).read_bytes()) for at in order)
        return
    files = {path: os.open(path, os.O_RDONLY) for path in dict.fromkeys(place[0] for place in places)}
    ranges = [(files[path], length, offset) for path, offset, length in places]
    yield f"{output}: bare pread, at random", lambda order: (len(os.pread(*ranges[at])) for at in order)


def _places(view: imagenet_prep.View) -> Iterator[tuple[str, int, int]]:
    """Give path, offset and length of every image, from what ``open`` itself goes by."""
    places = view._data.places
    columns = places.index.columns
    for row in view._rows:
        path = places._path(row, places.index.name(row), int(columns["class_index"][row]))
        yield places.store.local_paths(path)[0], int(columns["offset"][row]), int(columns["length"][row])


def _labelled(image: imagenet_prep.LabelledImage) -> tuple[Pixels, int]:
    return thinned(image.decode()), image.label


def thinned(pixels: Any) -> Pixels:
    """Bring an image to one size at little cost."""
    array: Pixels = np.asarray(pixels, np.uint8)
    rows, columns = (np.linspace(0, length - 1, SIDE).astype(int) for length in array.shape[:2])
    thin: Pixels = array[rows][:, columns]
    return thin


def _loaded(data: Any, *, in_order: bool) -> Way:
    """Have PyTorch's workers read it; they stay for all rounds."""
    from torch.utils.data import DataLoader

    now: Order = []
    loader = DataLoader(
        data,
        batch_size=BATCH,
        num_workers=WORKERS,
        persistent_workers=True,
        multiprocessing_context="spawn",  # TensorFlow may be loaded here, which forks badly
        sampler=None if in_order else _Sampler(now),
    )

    def read(order: Order) -> Iterator[int]:
        now[:] = order
        return (len(batch[1]) for batch in loader)

    return read


class _Sampler:
    """The order of this round."""

    def __init__(self, now: Order) -> None:
        self._now = now

    def __iter__(self) -> Iterator[int]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)


# Those of others: a function for each, which gives nothing where its format is not in the build --------------------


class _Files:
    """Class folders as ``ImageFolder`` reads them. That itself is not here: torchvision does not load everywhere."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[Pixels, int]:
        from PIL import Image

        with Image.open(self._paths[index]) as image:
            return thinned(image.convert("RGB")), 0


def _folders_decoded(out: Path) -> Ways:
    if paths := sorted(map(str, out.glob("folders/train/*/*"))):
        yield "folders: as ImageFolder reads them, at random", _loaded(_Files(paths), in_order=False)


def _webdataset(out: Path) -> Ways:
    if wds := _module(out, "webdataset/train-*", "webdataset"):
        samples = wds.WebDataset(sorted(map(str, out.glob("webdataset/train-*"))), shardshuffle=False)
        yield "webdataset: its own reader, in order", lambda _: (len(row["jpg"]) for row in samples)


def _webdataset_decoded(out: Path) -> Ways:
    if wds := _module(out, "webdataset/train-*", "webdataset"):
        samples = wds.WebDataset(sorted(map(str, out.glob("webdataset/train-*"))), shardshuffle=False)
        samples = samples.decode("pilrgb").to_tuple("jpg", "cls").map_tuple(thinned)
        yield "webdataset: its own reader, in order", _loaded(samples, in_order=True)


def _tfds(out: Path) -> Ways:
    if tfds := _module(out, TFDS, "tensorflow_datasets"):
        as_they_are = {"image": tfds.decode.SkipDecoding()}
        rows = tfds.builder_from_directory(out / TFDS).as_dataset(split="train", decoders=as_they_are)
        yield "tfds: its own reader, in order", lambda _: (len(row["image"]) for row in rows.as_numpy_iterator())


def _tfds_decoded(out: Path) -> Ways:
    if tfds := _module(out, TFDS, "tensorflow_datasets"):
        import tensorflow as tf

        rows = tfds.builder_from_directory(out / TFDS).as_dataset(split="train", as_supervised=True)
        near = partial(tf.image.resize, size=[SIDE, SIDE], method="nearest")
        batches = rows.map(lambda image, label: (near(image), label), WORKERS).batch(BATCH)
        threads = tf.data.Options()
        threads.threading.private_threadpool_size = WORKERS
        batches = batches.with_options(threads)
        yield "tfds: its own reader, in order", lambda _: (len(labels) for _, labels in batches.as_numpy_iterator())


def _mosaicml(out: Path) -> Ways:
    if streaming := _module(out, "mds/train/index.json", "streaming"):
        rows = streaming.StreamingDataset(local=str(out / "mds"), split="train", batch_size=1)
        yield "mds: mosaicml-streaming, in order", lambda _: (1 for _ in rows)  # which decodes the header of each


def _litdata(out: Path) -> Ways:
    if litdata := _module(out, "litdata/train/index.json", "litdata"):
        rows = litdata.StreamingDataset(str(out / "litdata" / "train"))
        yield "litdata: its own reader, in order", lambda _: (len(row["image"]) for row in rows)


def _module(out: Path, pattern: str, name: str) -> Any:
    """Give a module, if there are files for it, and if it is installed; else None."""
    if not any(out.glob(pattern)):
        return None
    if find_spec(name):
        return importlib.import_module(name)
    print(f"{name} is not installed.")
    return None


TFDS = "tfds/imagenet2012/5.1.0"
AS_BYTES = (_webdataset, _tfds, _mosaicml, _litdata)
DECODED = (_folders_decoded, _webdataset_decoded, _tfds_decoded)


if __name__ == "__main__":
    main()

"""Where the microseconds of one image go, in one worker and in the parent.

    python benchmarks/profile_build.py IN SCRATCH [--format tfrecord] [--shards 2] [--top 20]

Runs the build's own steps in this process, first undisturbed and timed as wholes, then the first shards once more under
cProfile, which adds something to every call and so shows where time goes rather than how much. The floor beside it is
what reading, checksumming, digesting and writing the same bytes costs with nothing in between.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType

import xxhash
from fastcrc.crc32 import iscsi as crc32c
from measure import machine, settle

from imagenet_prep import BuildOptions, IndexOptions, LocalStore, Plan, index, plan
from imagenet_prep.model.task import Part, ShardTask
from imagenet_prep.planning.plan import Work, entries_of, work
from imagenet_prep.sources.reader import ArchiveReader
from imagenet_prep.verbs.build.finish import finish
from imagenet_prep.verbs.build.shard import make_shards


def main() -> None:
    """Time the stages, the floor, and print the profile."""
    options = _options()
    options.scratch.mkdir(parents=True, exist_ok=True)
    print(machine(options.archives, options.scratch), end="\n\n")
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        the_plan, tasks = _stages(options, Path(folder) / "out")
        settle(sorted(options.archives.glob("*.tar")), options.scratch)
        _floor(tasks[: options.shards], Path(folder) / "floor")
        settle(sorted(options.archives.glob("*.tar")), options.scratch)
        _profile(tasks[: options.shards], Path(folder) / "out", options.top)
    print(f"{the_plan.images:,} images, {the_plan.size / the_plan.images:,.0f} bytes each on average")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", type=Path, metavar="IN")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--format", dest="formats", action="append", choices=("tfrecord", "tfds"))
    parser.add_argument("--shards", type=int, default=2, help="shards for the floor and the profile")
    parser.add_argument("--top", type=int, default=20, help="lines of the profile")
    return parser.parse_args()


@contextmanager
def _stage(name: str, images: Callable[[], int]) -> Iterator[None]:
    """Print what the context cost an image, in microseconds of wall and of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    each = 1e6 / images()
    print(
        f"{name:28} {wall:7.3f} s   {wall * each:7.1f} us an image   ({cpu * each:7.1f} of the processor)", flush=True
    )


def _stages(options: argparse.Namespace, out: Path) -> tuple[Plan, list[ShardTask]]:
    """Do what a build does, in this process alone."""
    formats = tuple(options.formats or ("tfrecord",))
    recipe = BuildOptions.of(format=formats, test_per_class=2, splits=("train", "test")).recipe
    store = LocalStore(str(out.absolute()))
    with _stage("index", lambda: len(catalog.table)):
        catalog = index(options.archives, IndexOptions(jobs=1))
    with _stage("plan", lambda: len(catalog.table)):
        the_plan = plan(catalog, recipe)
    with _stage("tasks", lambda: the_plan.images):
        tasks = [_task(store, the_plan, run) for run in work(the_plan, lambda _output, _shard: True)]
    settle(sorted(options.archives.glob("*.tar")), options.scratch)
    with _stage("shards, one worker", lambda: the_plan.images):
        for task in tasks:
            make_shards(task)
    with _stage("manifest and documents", lambda: the_plan.images):
        finish(store, the_plan, None)
    shutil.rmtree(out)
    return the_plan, tasks


def _task(store: LocalStore, the_plan: Plan, run: Work) -> ShardTask:
    parts = (
        Part(of.output, of.identity, shard.name, start, start + len(shard.rows)) for of, shard, start in run.shards
    )
    archives = tuple(archive.path for archive in the_plan.catalog.archives)
    entries = entries_of(the_plan.catalog.table.take(run.rows), the_plan.catalog.archives)
    return ShardTask(store, tuple(parts), archives, archives, entries)


def _floor(tasks: list[ShardTask], scratch: Path) -> None:
    """Do with the same bytes, batch by batch, the one thing that each line names."""
    images = sum(len(task.entries) for task in tasks)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT)
    digest = xxhash.xxh3_128()
    print(f"\nThe first {len(tasks)} shards, {images:,} images:")
    for name, act in (
        ("floor: read", lambda _: None),
        ("floor: read, CRC", crc32c),
        ("floor: read, digest", digest.update),
        ("floor: read, write", lambda image: os.write(descriptor, image)),
    ):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        with _stage(name, lambda: images):
            for task in tasks:
                _each(task, act)
    os.close(descriptor)
    scratch.unlink()
    with _stage("shards, one worker", lambda: images):
        for task in tasks:
            make_shards(task)


def _each(task: ShardTask, act: Callable[[memoryview], object]) -> None:
    with ArchiveReader(task.archives) as reader:
        for _, buffer, start, end in reader.images(task.entries, [True] * len(task.entries), before_reuse=lambda: None):
            act(memoryview(buffer)[start:end])


def _profile(tasks: list[ShardTask], out: Path, top: int) -> None:
    images = sum(len(task.entries) for task in tasks)
    shutil.rmtree(out)  # a file that is replaced is freed in the same call, which would count
    profiler = cProfile.Profile()
    with profiler:
        for task in tasks:
            make_shards(task)
    found = sorted(profiler.getstats(), key=lambda entry: -entry.inlinetime)
    total = sum(entry.inlinetime for entry in found)
    print(f"\nProfile: {total * 1e6 / images:.1f} us an image, of which in the function itself:")
    for entry in found[:top]:
        cost, calls = entry.inlinetime * 1e6 / images, entry.callcount / images
        print(f"{cost:8.2f} us  {calls:5.1f} calls  {_name(entry.code)}")
    print()


def _name(code: CodeType | str) -> str:
    """A function of Python's is known by its code, one of C by what cProfile calls it."""
    if isinstance(code, str):
        return code
    return f"{code.co_qualname}  {Path(code.co_filename).name}:{code.co_firstlineno}"


if __name__ == "__main__":
    main()

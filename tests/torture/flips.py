"""Change single bits of finished builds, wherever they lie: an audit finds each.

    PYTHONPATH=tests python -m torture.flips --flips 1000 --seed 0

Files are chosen evenly by kind, so that a small list is tried as often as all shards together. Left out are images that
were moved without a look at them, of which nobody knows what they were. Exit code 1 if a flip was not found.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from imagenet_prep import OUTPUTS, AuditError, AuditOptions, BuildOptions, audit, build
from imagenet_prep.testing import MiniatureOptions, write_miniature

BAD = ("text", "truncated", "empty")
COPIED = BuildOptions.of(
    format=tuple(OUTPUTS),
    test_per_class=1,
    shards={"train": 2},
    names="wnid",
    validation_folder="val",  # with these two, meta.bin is written
    on_bad="set-aside",
    jobs=1,
)
MOVED = BuildOptions.of(format=("folders",), test_per_class=1, transfer="move", jobs=1)
# What begins with the left, or is that, is of the kind on the right; the first that fits counts.
KINDS = {
    ".imagenet-prep/receipts/": "receipt",
    ".imagenet-prep/state.json": "state",
    ".imagenet-prep/catalog.arrow": "catalog",
    ".imagenet-prep/moved-from.json": "note of a move",
    "build.json": "build.json",
    "manifest.parquet": "manifest",
    "classes.csv": "class table",
    "splits/": "list of a split",
    "index/": "index of an output",
    "set-aside/": "image set aside",
    "dali-index/": "DALI index",
    "tfrecord/features.json": "JSON of the classic schema",
    "tfrecord/dataset_info.json": "JSON of the classic schema",
    "tfrecord/": "classic shard",
    "tfds/imagenet2012/5.1.0/imagenet2012-": "TFDS shard",
    "tfds/": "document of TFDS",
    "folders/classes.csv": "class table of folders",
    "folders/meta.bin": "meta.bin",
    "folders/": "image in a class folder",
}


class Target(NamedTuple):
    """A file of the build in ``out``, as a path below it."""

    out: Path
    path: str


def main(flips: int, seed: int) -> int:
    """Make that many flips, one after the other; 1 if one was not found."""
    print(f"{flips:,} flips, seed {seed}", flush=True)
    chance = random.Random(seed)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        kinds = by_kind(builds_in(Path(folder)))
        for number in range(flips):
            kind = chance.choice(sorted(kinds))
            target = chance.choice(kinds[kind])
            size = (target.out / target.path).stat().st_size
            place, bit = chance.randrange(size), chance.randrange(8)
            if not is_found(target, place, bit):
                print(f"NOT FOUND: flip {number}, bit {bit} of byte {place:,} of {size:,} of {target.path} ({kind}).")
                print(f"To repeat it: --flips {number + 1} --seed {seed}")
                return 1
            found[kind] += 1
    for kind, count in sorted(found.items()):
        print(f"{kind:28} {count:>6,}")
    print(f"{found.total():,} flips, all found.")
    return 0


def builds_in(folder: Path) -> list[Path]:
    """Make two small builds, which together have every kind of file; give their folders."""
    tiny = MiniatureOptions(classes=2, images_per_class=6, validation_per_class=2)
    copied, moved = folder / "copied", folder / "moved"
    build(write_miniature(folder / "archives", replace(tiny, quirks=BAD)).root, copied, COPIED)
    build(write_miniature(folder / "extracted", replace(tiny, layout="extracted")).root, moved, MOVED)
    for out in copied, moved:
        audit(out, AuditOptions(jobs=1))
    return [copied, moved]


def by_kind(builds: list[Path]) -> dict[str, list[Target]]:
    """Sort the files of builds that an audit can know by what they are."""
    kinds: dict[str, list[Target]] = {}
    for target in (Target(out, path) for out in builds for path in sorted(files_of(out))):
        others = f"file in {target.path.partition('/')[0]}"  # of a format without kinds of its own
        kind = next((kind for start, kind in KINDS.items() if target.path.startswith(start)), others)
        unknown = kind == "image in a class folder" and target.out.name == "moved"
        if (target.out / target.path).stat().st_size and not unknown:
            kinds.setdefault(kind, []).append(target)
    assert set(kinds) >= set(KINDS.values())
    return kinds


def files_of(out: Path) -> Iterator[str]:
    """Yield the paths of all files of a build."""
    return (str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


def is_found(target: Target, place: int, bit: int) -> bool:
    """Change one bit, and see whether an audit names the file; the bit is put back."""
    path = target.out / target.path
    data = path.read_bytes()
    changed = bytearray(data)
    changed[place] ^= 1 << bit
    path.write_bytes(changed)
    try:
        audit(target.out, AuditOptions(jobs=1))
    except AuditError as error:
        return any(target.path in text for text in (error.summary, *map(str, error.problems)))
    finally:
        path.write_bytes(data)
    return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    sys.exit(main(**vars(parser.parse_args())))

"""Recipes, trees and shards as values; and what a test does to them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import imagenet_prep
from imagenet_prep import IndexOptions, Progress, Sample, SourceError
from imagenet_prep.dataset.receipts import save_receipt
from imagenet_prep.model.shards import ShardName
from imagenet_prep.options import BuildOptions, Recipe, Selection
from imagenet_prep.outputs.base import StoredShard, options_of, output_class
from imagenet_prep.stores import Place
from imagenet_prep.stores.local import LocalStore
from imagenet_prep.verbs.build import shard as shard_step


def recipe(**given: Any) -> Recipe:
    """Make a recipe from options as the command line has them."""
    return BuildOptions.of(**given).recipe


def changed(options: BuildOptions, **given: Any) -> BuildOptions:
    """Give the same options, except for those that are given as the command line has them."""
    outputs = {output.name: options_of(output) for output in options.recipe.outputs}
    formats = given.setdefault("format", tuple(outputs))
    values = {each.name: getattr(options.recipe.selection, each.name) for each in fields(Selection)}
    values |= {name: getattr(options, name) for name in ("jobs", "on_bad", "check")}
    values |= {
        f"{name}.{option}": value
        for name, own in outputs.items()
        for option, value in own.items()
        if name in formats and option not in given
    }
    return BuildOptions.of(**values | given)


def files(folder: Path, *but: str) -> dict[str, bytes]:
    """Give every file below a folder with its bytes, ``but`` those of some names."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in but)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def contents(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder, except the private ones, with its bytes."""
    return {name: data for name, data in files(folder).items() if ".imagenet-prep" not in Path(name).parts}


def everything(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder with its bytes, the private ones too; but not the catalog and the state, which
    hold paths and times of the sources.
    """
    return files(folder, "catalog.arrow", "state.json")


def refused(source: Path) -> SourceError:
    """Give the error of an index."""
    with pytest.raises(SourceError) as caught:
        imagenet_prep.index(source, IndexOptions(jobs=1))
    return caught.value


def is_the_same(one: Path, other: Path, place: Path, options: BuildOptions) -> None:
    """Build from two sources, below ``place``, and compare all that does not say where each image came from."""
    for source, out in ((one, "found"), (other, "expected")):
        imagenet_prep.build(source, place / out, options)
    found, expected = contents(place / "found"), contents(place / "expected")
    for of in (found, expected):
        del of["manifest.parquet"], of["build.json"]
    assert found == expected


class State(NamedTuple):
    """What a file or folder is, to the last bit."""

    mode: int
    owner: tuple[int, int]
    inode: int
    names: int
    modified: int
    content: str


def state(folder: Path, *, linked: bool = False) -> dict[str, State]:
    """Give all of a folder that nobody may change. If it is ``linked``, its files may have other names elsewhere."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        content, names = "", 0
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content, names = sha256(path.read_bytes()), 0 if linked else status.st_nlink
        owner = (status.st_uid, status.st_gid)
        at = str(path.relative_to(folder))
        found[at] = State(status.st_mode, owner, status.st_ino, names, status.st_mtime_ns, content)
    return found


def sha256(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def when_writing_begins(action: Callable[[], object]) -> Callable[[object], None]:
    """Give what watches a build, and acts before the first image is written."""

    def watch(event: object) -> None:
        if isinstance(event, Progress) and event.stage == "write" and event.done == 0:
            action()

    return watch


def stopped(patch: pytest.MonkeyPatch, receipts: int, source: Path, out: Place, options: BuildOptions) -> None:
    """Build until an interrupt comes: just before a receipt, after so many others."""
    left = iter(range(receipts))

    def save_or_stop(*arguments: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        save_receipt(*arguments)

    with patch.context() as patched:
        patched.setattr(shard_step, "save_receipt", save_or_stop)
        with pytest.raises(KeyboardInterrupt):
            imagenet_prep.build(source, out, options)


def inodes(folder: Path) -> dict[str, tuple[int, int]]:
    """Give what tells whether a file was written again, for every file below a folder."""
    found = ((str(path.relative_to(folder)), path.lstat()) for path in folder.rglob("*") if path.is_file())
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in found}


def shards_of(out: Path, output: str) -> list[Path]:
    """Give the shards of an output of records, sorted."""
    folder = out / ("tfds/imagenet2012/5.1.0" if output == "tfds" else output)
    return sorted(path for path in folder.iterdir() if "-of-" in path.name)


def samples(out: Path, output: str, shard: Path) -> Iterator[Sample]:
    """Read a shard of an output of records back."""
    name = ShardName.parse(shard.name.replace("imagenet2012-", "").replace(".tfrecord", ""))
    yield from output_class(output)().read(LocalStore(str(out)), StoredShard(name, (), (), ()))

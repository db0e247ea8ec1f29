"""Recipes, trees and shards as values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from imagenet_prep import Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.options import BuildOptions, Recipe, Selection
from imagenet_prep.outputs.base import StoredShard, options_of, output_class
from imagenet_prep.stores.local import LocalStore


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


def contents(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder, except the private ones, with its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if ".imagenet-prep" not in path.parts}


def everything(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder with its bytes, the private ones too; but not the catalog and the state, which
    hold paths and times of the sources.
    """
    own = {"catalog.arrow", "state.json"}
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in own)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


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

"""What is left to do: planned shards minus those that a receipt proves and whose files are there, with the size that it
says. A receipt of a shard whose images were looked at less closely than is wanted now proves nothing.

A receipt is written after the files it is about. A file with a later time was changed since, or copied: it is read
once, and if it is what the receipt says, the receipt gets its time.

A file that is there under its final name is complete, so for the 1.28 million files of class folders only their
presence is asked, folder by folder; a folder with more or fewer files than planned is looked at file by file. Their
sizes would take seconds on a disk, and half an hour over a network: a repair and an audit look at them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from imagenet_prep.dataset.layout import SET_ASIDE_FOLDER, receipts_folder
from imagenet_prep.dataset.receipts import load_receipt, receipt_path
from imagenet_prep.model.events import Note, Watch, unwatched
from imagenet_prep.model.shards import ShardName
from imagenet_prep.model.task import CHECKS, UNREAD, FileFact, Receipt
from imagenet_prep.options import SYMLINK
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.planning.plan import Plan, Shard
from imagenet_prep.stores.digests import fact_of_file
from imagenet_prep.stores.temporary import output_errors

_NAMED = 5  # shards that have to be written again


@dataclass(frozen=True, slots=True)
class Remaining:
    """The shards ``todo``, in the order of the plan; and the receipts that are older than what they were found right
    about, with the times to give them, in nanoseconds.
    """

    todo: list[Shard]
    times: Mapping[Path, int] = field(default_factory=dict)


def remaining(out: Path, plan: Plan, check: str = UNREAD, watch: Watch = unwatched) -> Remaining:
    """Look at what is there of a plan; writes nothing. ``check`` is one of CHECKS."""
    held: set[ShardName] = set()
    proved: dict[ShardName, Shard] = {}  # of each, the rows that were written
    times: dict[Path, int] = {}
    for shard in plan.shards:
        path = receipt_path(receipts_folder(out), shard.name)
        receipt = load_receipt(path)
        if receipt and receipt.plan == plan.identity and _is_looked_at(receipt, check):
            held.add(shard.name)
            later = _later(out, _files(receipt), path)
            if later and not times:
                watch(Note("Files have a later time than their receipts: reading each of them once."))
            if later is None or not all(_is_unchanged(out, file) for file in later):
                continue
            proved[shard.name] = _written(shard, receipt)
            if later:
                times[path] = max(later.values())
    if plan.options.transfer == SYMLINK:
        finished = {name for name, shard in proved.items() if _has_targets(out, plan, shard)}
    else:
        odd = _odd_folders(out, plan, proved) if proved else frozenset()
        finished = {name for name, shard in proved.items() if not odd or _has_images(out, plan, shard, odd)}
    todo = [shard for shard in plan.shards if shard.name not in finished]
    if lost := sorted(map(str, held - finished)):
        named = f"{', '.join(lost[:_NAMED])}{' …' if len(lost) > _NAMED else ''}"
        watch(
            Note(f"{len(lost):,} finished shards have files that are gone or changed, and are written again: {named}.")
        )
    return Remaining(todo, times)


def remember(times: Mapping[Path, int]) -> None:
    """Give receipts the times of what was read again, so that it is not read each time."""
    for path, time in times.items():
        with suppress(OSError):  # a read-only file system, or another user's: then it is read each time
            os.utime(path, ns=(time, time))


def _written(shard: Shard, receipt: Receipt) -> Shard:
    return shard._replace(rows=np.delete(shard.rows, [image.place for image in receipt.set_aside]))


def _is_looked_at(receipt: Receipt, check: str) -> bool:
    return receipt.check == UNREAD or CHECKS.index(receipt.check) >= CHECKS.index(check)


def _files(receipt: Receipt) -> list[FileFact]:
    files = [file for of_format in receipt.files.values() for file in of_format]
    left_out = [FileFact(f"{SET_ASIDE_FOLDER}{image.name}", image.size, image.digest) for image in receipt.set_aside]
    return files + left_out


def _later(out: Path, files: list[FileFact], receipt: Path) -> dict[FileFact, int] | None:
    """Give the files with a later time than their receipt, and that time; None if one is gone or of another size."""
    later: dict[FileFact, int] = {}
    try:
        known = os.stat(receipt).st_mtime_ns
        for file in files:
            status = os.stat(f"{out}/{file.path}")
            if status.st_size != file.size:
                return None
            if status.st_mtime_ns > known:
                later[file] = status.st_mtime_ns
    except PermissionError:  # what may not be looked at is not missing
        with output_errors(out, "read"):
            raise
    except OSError:
        return None
    return later


def _is_unchanged(out: Path, file: FileFact) -> bool:
    try:
        return fact_of_file(out, file.path) == file
    except OSError:
        return False


def _odd_folders(out: Path, plan: Plan, proved: dict[ShardName, Shard]) -> frozenset[str]:
    """Give the class folders, below that of the format, in which images may be missing."""
    if FOLDERS not in plan.formats:
        return frozenset()
    planned: Counter[str] = Counter()
    classes = plan.catalog.numbers("class_index")
    for shard in plan.shards:
        for index, count in enumerate(np.bincount(classes[proved.get(shard.name, shard).rows])):
            if count:
                planned[os.path.dirname(plan.folders.path(shard.name.split, index, ""))] += int(count)
    return frozenset(folder for folder, count in planned.items() if _count(out / FOLDERS / folder) != count)


def _count(folder: Path) -> int:
    try:
        # Names alone: a million entries as objects would take seconds. What systems leave there does not count.
        return sum(name.endswith(".JPEG") for name in os.listdir(folder))
    except PermissionError:
        with output_errors(folder, "read"):
            raise
    except OSError:
        return 0


def _has_images(out: Path, plan: Plan, shard: Shard, odd: frozenset[str]) -> bool:
    paths = (path for path in plan.paths(shard) if os.path.dirname(path) in odd)
    return all(os.path.lexists(out / FOLDERS / path) for path in paths)


def _has_targets(out: Path, plan: Plan, shard: Shard) -> bool:
    """Whether every symbolic link of a shard leads to a file: that may have gone, or moved, without the link."""
    return all(os.path.exists(out / FOLDERS / path) for path in plan.paths(shard))

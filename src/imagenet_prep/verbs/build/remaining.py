"""What is left to do: planned shards minus those that a receipt proves and whose files are there. A receipt of a shard
whose images were looked at less closely than is wanted now proves nothing.

A file that is there under its final name is complete, so for the 1.28 million files of class folders only their
presence is asked, folder by folder; a folder with more or fewer files than planned is looked at file by file.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np

from imagenet_prep.dataset.layout import SET_ASIDE_FOLDER, receipts_folder
from imagenet_prep.dataset.receipts import load_receipt, receipt_path
from imagenet_prep.model.shards import ShardName
from imagenet_prep.model.task import CHECKS, UNREAD, Receipt
from imagenet_prep.options import SYMLINK
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.planning.plan import Plan, Shard


def unfinished(out: Path, plan: Plan, check: str = UNREAD) -> list[Shard]:
    """Give the shards that are still to be written, in the order of the plan. ``check`` is one of CHECKS."""
    receipts = receipts_folder(out)
    proved: dict[ShardName, Shard] = {}  # of each, the rows that were written
    for shard in plan.shards:
        receipt = load_receipt(receipt_path(receipts, shard.name))
        if receipt and receipt.plan == plan.identity and _is_looked_at(receipt, check) and _has_files(out, receipt):
            proved[shard.name] = _written(shard, receipt)
    if plan.options.transfer == SYMLINK:
        finished = {name for name, shard in proved.items() if _has_targets(out, plan, shard)}
    else:
        odd = _odd_folders(out, plan, proved) if proved else frozenset()
        finished = {name for name, shard in proved.items() if not odd or _has_images(out, plan, shard, odd)}
    return [shard for shard in plan.shards if shard.name not in finished]


def _written(shard: Shard, receipt: Receipt) -> Shard:
    return shard._replace(rows=np.delete(shard.rows, [image.place for image in receipt.set_aside]))


def _is_looked_at(receipt: Receipt, check: str) -> bool:
    return receipt.check == UNREAD or CHECKS.index(receipt.check) >= CHECKS.index(check)


def _has_files(out: Path, receipt: Receipt) -> bool:
    files = [(file.path, file.size) for of_format in receipt.files.values() for file in of_format]
    files += [(f"{SET_ASIDE_FOLDER}{image.name}", image.size) for image in receipt.set_aside]
    return all(_size(f"{out}/{path}") == size for path, size in files)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


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
    except OSError:
        return 0


def _has_images(out: Path, plan: Plan, shard: Shard, odd: frozenset[str]) -> bool:
    paths = (path for path in plan.paths(shard) if os.path.dirname(path) in odd)
    return all(os.path.lexists(out / FOLDERS / path) for path in paths)


def _has_targets(out: Path, plan: Plan, shard: Shard) -> bool:
    """Whether every symbolic link of a shard leads to a file: that may have gone, or moved, without the link."""
    return all(os.path.exists(out / FOLDERS / path) for path in plan.paths(shard))

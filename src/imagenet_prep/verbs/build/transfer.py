"""Link or move the files of one shard into class folders: no image is read.

The counterpart of ``steps/write.py`` for sources whose images are files already. What is known of an image without
reading it, its name, class and size, goes into the manifest; the rest stays empty there.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from imagenet_prep.dataset.layout import receipts_folder
from imagenet_prep.dataset.receipts import save_receipt
from imagenet_prep.errors import SourceError
from imagenet_prep.model.task import UNREAD, Receipt, ShardOutcome, ShardTask
from imagenet_prep.options import HARDLINK, MOVE, SYMLINK
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.sources.base import source_errors
from imagenet_prep.stores.tree import Tree


def transfer_shard(task: ShardTask) -> ShardOutcome:
    """Put the files of one shard in place and write its receipt; may be repeated at any time, with the same result.

    Raises SourceError if a file is gone or has changed its size, and OutputError if it cannot be linked or moved.
    """
    tree = Tree(Path(task.out))
    transfer = {HARDLINK: tree.hardlink, SYMLINK: tree.symlink, MOVE: tree.move}[task.transfer]
    entries = task.entries
    for row, path in enumerate(entries.paths):
        _refuse_changed(task, row)
        transfer(f"{FOLDERS}/{path}", entries.place(row, task.archives))
    tree.sync()
    receipt = Receipt(task.plan, task.shard, len(entries), {FOLDERS: ()}, {}, UNREAD)
    save_receipt(receipts_folder(Path(task.out)), receipt)
    return ShardOutcome(task.shard, len(entries), bytes_read=0, bytes_written=0)


def _refuse_changed(task: ShardTask, row: int) -> None:
    """A file that is read may not have changed either since it was listed. What is gone was moved before, or the
    transfer says so.
    """
    path, listed = task.entries.place(row, task.archives), task.entries.sizes[row]
    with source_errors(path), contextlib.suppress(FileNotFoundError):
        found = os.stat(path).st_size
        if found != listed:
            problem = task.entries.problem(row, task.archives, f"has {found:,} bytes, and had {listed:,} when listed")
            raise SourceError("A file has changed:", (problem,), "Put it right, and run the same command again.")

"""Link or move the files of one shard into class folders: no image is read.

The counterpart of ``steps/write.py`` for sources whose images are files already. What is known of an image without
reading it, its name, class and size, goes into the manifest; the rest stays empty there.
"""

from __future__ import annotations

from pathlib import Path

from imagenet_prep.dataset.layout import receipts_folder
from imagenet_prep.dataset.receipts import save_receipt
from imagenet_prep.engines.reports import report
from imagenet_prep.model.task import UNREAD, Receipt, ShardOutcome, ShardTask
from imagenet_prep.options import HARDLINK, MOVE, SYMLINK
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.stores.tree import Tree


def transfer_shard(task: ShardTask) -> ShardOutcome:
    """Put the files of one shard in place and write its receipt; may be repeated at any time, with the same result.

    Raises SourceError if a file is gone, and OutputError if it cannot be linked or moved.
    """
    tree = Tree(Path(task.out))
    transfer = {HARDLINK: tree.hardlink, SYMLINK: tree.symlink, MOVE: tree.move}[task.transfer]
    entries = task.entries
    for row, path in enumerate(entries.paths):
        transfer(f"{FOLDERS}/{path}", entries.place(row, task.archives))
        report(1)
    tree.sync()
    receipt = Receipt(task.plan, task.shard, len(entries), {FOLDERS: ()}, {}, UNREAD)
    save_receipt(receipts_folder(Path(task.out)), receipt)
    return ShardOutcome(task.shard, len(entries), bytes_read=0, bytes_written=0)

"""What is left to do: planned shards minus those that a receipt proves and whose files are there. A receipt of a shard
whose images were examined less closely than this run asks proves nothing.

A receipt is written after the files it is about. A file with a later time was changed since, or copied: it is read
once, and if it is what the receipt says, the receipt gets its time.

A file that is there under its final name is complete, so only presence and size are asked: of a shard's own files one
by one, of the 1.28 million files of class folders folder by folder; a folder with more or fewer files than planned is
compared file by file. Their sizes would take seconds on a disk, and half an hour over a network: a repair and an audit
compare them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

from imagenet_prep.dataset.layout import receipt_path, set_aside_file
from imagenet_prep.dataset.receipts import load_receipt
from imagenet_prep.errors import counted
from imagenet_prep.model.events import Note, Watch, unwatched
from imagenet_prep.model.receipt import CHECKS, UNREAD, FileFact, Receipt, SetAside
from imagenet_prep.model.shards import ShardName
from imagenet_prep.planning.plan import OutputPlan, Plan, Shard
from imagenet_prep.stores.base import Store
from imagenet_prep.stores.digests import fact_of_file

_NAMED = 5  # shards that have to be written again


class Remaining:
    """The shards that are still to be written, by output and name, and what is known of the finished ones:
    ``left_out`` are images that were set aside, by name, ``proved`` counts finished shards.
    """

    def __init__(self, store: Store, plan: Plan, check: str, watch: Watch = unwatched) -> None:
        self._store = store
        self._plan = plan
        self._watch = watch
        self._times: dict[str, int] = {}  # receipts that are older than files that were found right
        self.missing: dict[str, set[ShardName]] = {}
        self.left_out: dict[str, SetAside] = {}
        self.proved = 0
        lost: list[str] = []
        for each in plan.outputs:
            held = dict(self._receipts(each, check))
            receipts = {name: receipt for name, receipt in held.items() if self._has_files(receipt)}
            finished = set(receipts) - self._incomplete(each, receipts)
            lost += (f"{each.output.name} {name}" for name in set(held) - finished)
            self.proved += len(finished)
            self.missing[each.output.name] = {shard.name for shard in each.shards} - finished
            for name in finished:
                self.left_out |= {image.name: image for image in receipts[name].set_aside}
        if lost:
            named = f"{', '.join(sorted(lost)[:_NAMED])}{' …' if len(lost) > _NAMED else ''}"
            have = "has" if len(lost) == 1 else "have"
            watch(Note(f"{counted(len(lost), 'finished shard')} {have} files that are gone or changed: {named}."))

    def remember(self) -> None:
        """Give receipts the times of what was read again, so that it is not read each time."""
        for path, time in self._times.items():
            self._store.touch(path, time)

    def __bool__(self) -> bool:
        return any(self.missing.values())

    def is_missing(self, of: OutputPlan, shard: Shard) -> bool:
        """Whether a shard is still to be written."""
        return shard.name in self.missing[of.output.name]

    def shards(self) -> list[tuple[OutputPlan, Shard]]:
        """Give what is missing, in the order of the plan."""
        return [(each, shard) for each in self._plan.outputs for shard in each.shards if self.is_missing(each, shard)]

    def _receipts(self, of: OutputPlan, check: str) -> Iterable[tuple[ShardName, Receipt]]:
        for shard in of.shards:
            receipt = load_receipt(self._store, of.output.name, shard.name)
            if receipt and receipt.identity == of.identity and _is_looked_at(receipt, check):
                yield shard.name, receipt.without_columns()

    def _has_files(self, receipt: Receipt) -> bool:
        """Whether the files of a shard are there, and have not changed."""
        path = receipt_path(receipt.output, receipt.shard)
        noted = self._store.stat(path)
        files = [*receipt.files, *map(set_aside_file, receipt.set_aside)]
        there = [self._store.stat(file.path) for file in files]
        if noted is None or any(of is None or of.size != file.size for of, file in zip(there, files, strict=True)):
            return False
        later = {file: of.time for of, file in zip(there, files, strict=True) if of and of.time > noted.time}
        if later and not self._times:
            self._watch(Note("Files have a later time than their receipts: reading each of them once."))
        if later:
            self._times[path] = max(later.values())
        return all(self._is_unchanged(file) for file in later)

    def _is_unchanged(self, file: FileFact) -> bool:
        try:
            return fact_of_file(self._store, file.path) == file
        except OSError:
            return False

    def _incomplete(self, of: OutputPlan, receipts: dict[ShardName, Receipt]) -> set[ShardName]:
        """Give the shards without files of their own of which an image is missing."""
        loose = [shard for shard in of.shards if shard.name in receipts and not receipts[shard.name].files]
        if not loose:
            return set()
        # What a symbolic link leads to may be gone without the link.
        odd = None if of.output.symbolic else self._odd_folders(of, receipts)
        return {shard.name for shard in loose if not self._is_whole(of, shard, receipts[shard.name], odd)}

    def _is_whole(self, of: OutputPlan, shard: Shard, receipt: Receipt, odd: set[str] | None) -> bool:
        """Whether every file of a shard is there; only those in ``odd`` folders are looked at, if there are such."""
        if odd == set():
            return True
        paths = self._paths(of, shard, receipt)
        return all(self._store.stat(path) for path in paths if odd is None or os.path.dirname(path) in odd)

    def _paths(self, of: OutputPlan, shard: Shard, receipt: Receipt) -> list[str]:
        return list(of.output.files(self._plan.stored(shard, [image.place for image in receipt.set_aside])))

    def _odd_folders(self, of: OutputPlan, receipts: dict[ShardName, Receipt]) -> set[str]:
        """Give the folders in which files may be missing: those that do not have as many as planned."""
        planned: Counter[str] = Counter()
        for shard in of.shards:
            receipt = receipts.get(shard.name)
            places = [image.place for image in receipt.set_aside] if receipt else []
            files = of.output.files(self._plan.stored(shard, places))
            planned.update(file.rpartition("/")[0] for file in files)
        return {folder for folder, count in planned.items() if self._count(folder) != count}

    def _count(self, folder: str) -> int:
        try:
            return sum(name.endswith(".JPEG") for name in self._store.list(folder).files)
        except OSError:  # writing there says what is wrong
            return 0


def _is_looked_at(receipt: Receipt, check: str) -> bool:
    return receipt.check == UNREAD or CHECKS.index(receipt.check) >= CHECKS.index(check)

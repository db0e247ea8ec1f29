"""The end of a build: manifest, class table, lists of the splits, the outputs' documents, and ``build.json``.

Everything is made from the receipts, never from what a worker reported, so a resumed build ends like an
undisturbed one. ``build.json`` comes last: where it is, the data set is complete. While a data set grows, the old ones
stay valid.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from operator import attrgetter
from typing import Any

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.dataset.format import FORMAT_VERSION
from imagenet_prep.dataset.index_file import write_index
from imagenet_prep.dataset.layout import BUILD, CLASSES, EXCLUDED, SET_ASIDE_FOLDER, set_aside_path, split_list
from imagenet_prep.dataset.manifest import Images, write_manifest
from imagenet_prep.dataset.receipts import load_receipt
from imagenet_prep.errors import OutputError, PrepError, Problem
from imagenet_prep.imagenet.class_map import class_names
from imagenet_prep.imagenet.classes import to_csv
from imagenet_prep.model.original import Original
from imagenet_prep.model.receipt import CHECKS, UNREAD, FileFact, Receipt
from imagenet_prep.model.report import Accounts
from imagenet_prep.outputs.base import Contents, ShardFacts, SplitFacts, options_of
from imagenet_prep.planning.plan import OutputPlan, Plan, Shard
from imagenet_prep.planning.splits import Rows
from imagenet_prep.stores.base import Sink, Store
from imagenet_prep.stores.digests import fact_of_file
from imagenet_prep.verbs.build.remaining import Remaining
from imagenet_prep.version import __version__

_AT_ONCE = 1 << 16  # names that are in memory a second time
_ONE_A_LINE = csv.WriteOptions(include_header=False, quoting_style="none")


def finish(store: Store, plan: Plan, original: Original | None) -> Accounts:
    """Write what belongs beside the shards; give what became of every image. May be repeated. ``original`` is what is
    known of the source.

    Raises PrepError if the images do not add up, and OutputError if something cannot be written, or if what was written
    is gone.
    """
    ledger = _Ledger(store, plan)
    accounts = ledger.accounts()
    if not accounts.balanced:
        raise PrepError(f"The source has {accounts.entries:,} images, and these do not add up to them: {accounts}.")
    _forget_others(store, plan, {image.name for image in ledger.images.set_aside.values()})
    documents: list[FileFact] = []
    for written in _documents(store, plan, ledger):
        documents.append(written)
        pa.default_memory_pool().release_unused()  # memory that Arrow keeps: as much as the next document needs
    documents[1:] = sorted(documents[1:], key=attrgetter("path"))  # the manifest comes first
    _refuse_lost(store, plan, documents)
    document = ledger.document(accounts) | {"documents": list(map(_file, documents))}
    document["original"] = asdict(original) if original else None
    store.publish(BUILD, seal(document))
    return accounts


def _documents(store: Store, plan: Plan, ledger: _Ledger) -> Iterator[FileFact]:
    """Write the documents that ``build.json`` proves, one after the other, the manifest first. What was set aside is in
    no list of a split.
    """
    yield write_manifest(store, ledger.images.tables)
    yield store.publish(CLASSES, to_csv(plan.recipe.selection.taxonomy).encode())
    for split, rows in plan.members.items():
        gone = ledger.images.set_aside_in(split)
        yield _write_names(store, split_list(split), plan, rows[~np.isin(rows, gone)] if gone else rows)
    if len(plan.excluded):
        yield _write_names(store, EXCLUDED, plan, plan.excluded)
    for each in plan.outputs:
        for path, text in each.output.documents(ledger.contents(each)).items():
            yield store.publish(path, text)
        if each.output.image_range:
            yield write_index(store, ledger.images, each)


def _write_names(store: Store, path: str, plan: Plan, rows: Rows) -> FileFact:
    """Write the names of some entries, sorted, one a line."""
    names = plan.catalog.table.column("name").take(pa.array(rows))
    order = pc.sort_indices(names)

    def write(sink: Sink) -> None:
        for start in range(0, len(order), _AT_ONCE):
            text = io.BytesIO()
            csv.write_csv(pa.table({"name": names.take(order.slice(start, _AT_ONCE))}), text, _ONE_A_LINE)
            sink.write(text.getvalue())
            sink.flush()

    return store.stream(path, write)


def _refuse_lost(store: Store, plan: Plan, documents: list[FileFact]) -> None:
    """Verify all files once more before ``build.json``, because other programs may be at work here."""
    remaining = Remaining(store, plan, UNREAD)
    lost = [f"{of.output.name} {shard.name}" for of, shard in remaining.shards()]
    lost += [file.path for file in documents if (found := store.stat(file.path)) is None or found.size != file.size]
    if lost:
        store.remove(BUILD)  # of before an output was added
        raise OutputError(
            "What was finished is gone, or was changed, before the data set was complete:",
            tuple(Problem(name, "another program removed or changed it") for name in lost),
            "Run the same command again: it writes these again, and keeps the rest.",
        )


def finished(store: Store, plan: Plan) -> Accounts | None:
    """Give what became of every image if ``plan`` is finished: ``build.json`` says so, and every document is there as
    it was written. None if it is not.
    """
    try:
        document = unseal(store.read(BUILD))
        identities = {name: of["identity"] for name, of in document["outputs"].items()}
        if identities != {each.output.name: each.identity for each in plan.outputs}:
            return None
        whole = all(_file(fact_of_file(store, file["path"])) == file for file in document["documents"])
        return Accounts(**document["images"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def finished_outputs(store: Store) -> frozenset[str]:
    """Give the names of the outputs that ``build.json`` says are complete; none if it is not there, or damaged."""
    try:
        return frozenset(unseal(store.read(BUILD))["outputs"])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def _forget_others(store: Store, plan: Plan, set_aside: set[str]) -> None:
    """Remove images that a stopped run with a closer check has set aside, and that are written now."""
    others = set(store.list(SET_ASIDE_FOLDER).files) - set_aside
    ours = others & set(plan.catalog.table.column("name").to_pylist()) if others else set()
    for name in ours:
        store.remove(set_aside_path(name))
    store.remove_folder(SET_ASIDE_FOLDER)


class _Ledger:
    """Adds up the receipts of a data set."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.plan = plan
        self.images = Images(plan)
        self._receipts: dict[str, list[Receipt]] = {}  # without their columns
        for each in plan.outputs:
            self._receipts[each.output.name] = [self._add(store, each, place) for place in range(len(each.shards))]

    def _add(self, store: Store, of: OutputPlan, place: int) -> Receipt:
        shard = of.shards[place]
        receipt = load_receipt(store, of.output.name, shard.name)
        if receipt is None or receipt.identity != of.identity:
            raise OutputError(
                f"The receipt of {of.output.name} {shard.name} is gone.", remedy="Run the same command again."
            )
        self.images.add(of, place, receipt)
        return receipt.without_columns()

    def accounts(self) -> Accounts:
        """Add up what receipts and plan say of images; of outputs that differ, none is believed."""
        plan = self.plan
        written = {sum(receipt.rows for receipt in receipts) for receipts in self._receipts.values()}
        left_out = {sum(len(receipt.set_aside) for receipt in receipts) for receipts in self._receipts.values()}
        boxed, boxes = self._box_counts() if plan.catalog.boxes_read else (None, None)
        return Accounts(
            entries=len(plan.catalog),
            written=written.pop() if len(written) == 1 else 0,
            set_aside=left_out.pop() if len(left_out) == 1 else 0,
            excluded=len(plan.excluded),
            not_chosen=len(plan.catalog) - plan.images - len(plan.excluded),
            converted=self.images.converted,
            boxed=boxed,
            boxes=boxes,
        )

    def _box_counts(self) -> tuple[int, int]:
        left_out = [row for split in self.plan.members for row in self.images.set_aside_in(split)]
        return self.plan.catalog.box_counts(np.setdiff1d(self.images.rows, left_out))

    def contents(self, of: OutputPlan) -> Contents:
        """What the documents of an output contain."""
        receipts = self._receipts[of.output.name]
        planned = self.plan.contents
        splits = {}
        for split, facts in planned.splits.items():
            shards = tuple(
                ShardFacts(receipt.shard, receipt.rows, receipt.files)
                for receipt in receipts
                if receipt.shard.split == split
            )
            splits[split] = SplitFacts(sum(shard.rows for shard in shards), facts.classes, shards)
        return replace(planned, splits=splits)

    def document(self, accounts: Accounts) -> dict[str, object]:
        """What ``build.json`` says: no time, no place and no worker count, so that equal builds are equal."""
        plan = self.plan
        images = self.contents(plan.outputs[0]).splits
        names, classes = class_names(plan.recipe.selection.taxonomy), plan.validation_classes
        return {
            "format_version": FORMAT_VERSION,
            "identity": plan.identity,
            "selection": plan.recipe.selection.document(),
            "outputs": {each.output.name: self._output(each) for each in plan.outputs},
            "splits": {split: facts.images for split, facts in images.items()},
            "images": asdict(accounts),
            "validation_classes": asdict(classes) if classes else None,
            "class_names": asdict(names) if names else None,
            "check": self._check(),
            "versions": {"imagenet-prep": __version__, "pillow": PIL.__version__, "pyarrow": pa.__version__},
        }

    def _check(self) -> str:
        """How closely every image was looked at, by whichever output looked most closely: one alone has all images."""
        return CHECKS[max(min(CHECKS.index(receipt.check) for receipt in of) for of in self._receipts.values())]

    def _output(self, of: OutputPlan) -> dict[str, Any]:
        """An output whose files are not bound to an order has no shards that a reader would know."""
        receipts = zip(of.shards, self._receipts[of.output.name], strict=True)
        shards = [_shard(shard, receipt) for shard, receipt in receipts] if of.output.ordered else []
        return {"options": options_of(of.output), "identity": of.identity, "shards": shards}


def _shard(shard: Shard, receipt: Receipt) -> dict[str, Any]:
    return {
        "name": str(shard.name),
        "images": receipt.rows,
        "set_aside": len(receipt.set_aside),
        "files": list(map(_file, receipt.files)),
    }


def _file(file: FileFact) -> dict[str, object]:
    return {"path": file.path, "size": file.size, "xxh3_128": file.digest}


def unfinish(store: Store, damaged: Iterable[str]) -> None:
    """Where ``build.json`` is, the data set is complete, and where a receipt is, a shard: now they are not. ``damaged``
    are paths of receipts.
    """
    store.remove(BUILD)
    for path in damaged:
        store.remove(path)

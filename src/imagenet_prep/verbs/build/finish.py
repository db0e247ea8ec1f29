"""The end of a build: manifest, class table, lists of the splits, the formats' documents, and ``build.json``.

Everything is made from the receipts on disk, never from what a worker said on the way, so a resumed build
ends like an undisturbed one. ``build.json`` comes last: where it is, the build is complete.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import PIL
import pyarrow as pa

from imagenet_prep.codecs.jpeg import Kind
from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.dataset.layout import BUILD, CLASSES, MANIFEST, SET_ASIDE_FOLDER, receipts_folder
from imagenet_prep.dataset.manifest import manifest_rows, write_manifest
from imagenet_prep.dataset.receipts import load_receipt, receipt_path
from imagenet_prep.errors import OutputError, PrepError, Problem
from imagenet_prep.imagenet.class_map import class_names
from imagenet_prep.imagenet.classes import to_csv
from imagenet_prep.model.report import Accounts
from imagenet_prep.model.task import CHECKS, FileFact, Receipt
from imagenet_prep.outputs import format_named
from imagenet_prep.outputs.base import BuildFacts, SplitFacts
from imagenet_prep.planning.plan import Plan, Shard
from imagenet_prep.planning.splits import Rows
from imagenet_prep.sources.labels import IMAGE_NAME
from imagenet_prep.stores.digests import fact_of_file, size_of
from imagenet_prep.stores.draft import undisturbed
from imagenet_prep.stores.publish import publish_bytes
from imagenet_prep.stores.temporary import output_errors
from imagenet_prep.verbs.build.lists import write_split_lists
from imagenet_prep.verbs.build.remaining import remaining
from imagenet_prep.version import __version__


def finish(out: Path, plan: Plan) -> Accounts:
    """Write what stands beside the shards; give what became of every image. May be repeated.

    Raises PrepError if the images do not add up, and OutputError if something cannot be written, or if what was written
    is gone.
    """
    ledger, manifest = undisturbed(lambda: _with_manifest(out, plan))
    accounts = ledger.accounts()
    if not accounts.balanced:
        raise PrepError(f"The source has {accounts.entries:,} images, and these do not add up to them: {accounts}.")
    _forget_others(out, ledger.set_aside_names())
    texts = {CLASSES: to_csv(plan.options.taxonomy).encode()}
    for name in plan.formats:
        texts |= format_named(name).documents(ledger.facts(name))
    documents = [replace(publish_bytes(out / path, text), path=path) for path, text in texts.items()]
    documents += write_split_lists(out, plan, ledger.set_aside_rows())
    documents = [manifest, *sorted(documents, key=lambda fact: fact.path)]
    _refuse_lost(out, plan, documents)
    publish_bytes(out / BUILD, seal({**ledger.document(), "documents": [_file(fact) for fact in documents]}))
    return accounts


def _with_manifest(out: Path, plan: Plan) -> tuple[_Ledger, FileFact]:
    ledger = _Ledger(plan)
    return ledger, write_manifest(out / MANIFEST, ledger.rows(out))


def _refuse_lost(out: Path, plan: Plan, documents: list[FileFact]) -> None:
    """Where ``build.json`` is, the build is complete: look once more, because other programs may be at work here."""
    lost = [str(shard.name) for shard in remaining(out, plan).todo]
    lost += [file.path for file in documents if size_of(out, file.path) != file.size]
    if lost:
        raise OutputError(
            "What was finished is gone, or was changed, before the build was complete:",
            tuple(Problem(name, "another program removed or changed it") for name in lost),
            "Run the same command again: it writes these again, and keeps the rest.",
        )


def finished(out: Path, plan: Plan) -> Accounts | None:
    """Give what became of every image if the build of ``plan`` is finished: ``build.json`` says so, and every document
    is there as it was written. None if it is not.
    """
    try:
        document = unseal((out / BUILD).read_bytes())
        if document["plan"] != plan.identity:
            return None
        whole = all(_file(fact_of_file(out, file["path"])) == file for file in document["documents"])
        return Accounts(**document["images"]) if whole else None
    except PermissionError as error:
        with output_errors(Path(error.filename), "read"):
            raise
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _forget_others(out: Path, set_aside: set[str]) -> None:
    """Remove what a run that looked more closely, and was stopped, has set aside of images that are written now."""
    with output_errors(out / SET_ASIDE_FOLDER):
        for path in (out / SET_ASIDE_FOLDER).glob("*.JPEG"):
            if path.name not in set_aside and re.fullmatch(IMAGE_NAME, path.name):
                path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty, or not there
            (out / SET_ASIDE_FOLDER).rmdir()


class _Ledger:
    """Adds up the receipts of a build while the manifest is written from them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.repaired: Counter[str] = Counter()
        self._receipts: list[tuple[Shard, Receipt]] = []  # without their columns

    def accounts(self) -> Accounts:
        """Add up what receipts and plan say of images."""
        chosen = self.plan.images + len(self.plan.excluded)
        boxed, boxes = self._box_counts() if self.plan.catalog.boxes_read else (None, None)
        return Accounts(
            entries=len(self.plan.catalog),
            written=sum(receipt.rows for _, receipt in self._receipts),
            set_aside=sum(len(receipt.set_aside) for _, receipt in self._receipts),
            excluded=len(self.plan.excluded),
            not_chosen=len(self.plan.catalog) - chosen,
            repaired=dict(self.repaired),
            boxed=boxed,
            boxes=boxes,
        )

    def _box_counts(self) -> tuple[int, int]:
        chosen = np.concatenate([shard.rows for shard in self.plan.shards])
        return self.plan.catalog.box_counts(np.setdiff1d(chosen, self.set_aside_rows()))

    def set_aside_names(self) -> set[str]:
        """Give the names of the images that were set aside."""
        return {image.name for _, receipt in self._receipts for image in receipt.set_aside}

    def set_aside_rows(self) -> Rows:
        """Give the catalog rows of the images that were set aside, in the order of the plan."""
        places = [[image.place for image in receipt.set_aside] for _, receipt in self._receipts]
        rows = [shard.rows[of_shard] for (shard, _), of_shard in zip(self._receipts, places, strict=True) if of_shard]
        return np.concatenate(rows) if rows else np.empty(0, np.int64)

    def rows(self, out: Path) -> Iterator[pa.Table]:
        """Read every receipt; give its rows of the manifest."""
        for shard in self.plan.shards:
            receipt = load_receipt(receipt_path(receipts_folder(out), shard.name))
            if receipt is None or receipt.plan != self.plan.identity:
                raise OutputError(f"The receipt of {shard.name} is gone.", remedy="Run the same command again.")
            kinds = zip(receipt.columns.get("kind", ()), receipt.columns.get("repaired", ()), strict=True)
            self.repaired.update(Kind(kind).name for kind, repaired in kinds if repaired)
            yield manifest_rows(self.plan, shard, receipt)
            self._receipts.append((shard, receipt.without_columns()))

    def facts(self, name: str) -> BuildFacts:
        """What the documents of the format ``name`` tell."""
        classes = sorted({index for split in self.plan.splits for index in self.plan.classes_of(split)})
        return BuildFacts(self._splits(name), self.plan.options.taxonomy, self.plan.folders, tuple(classes))

    def _splits(self, name: str) -> dict[str, SplitFacts]:
        return {
            split: SplitFacts(
                tuple(receipt.rows for shard, receipt in self._receipts if shard.name.split == split),
                sum(
                    file.size
                    for shard, receipt in self._receipts
                    if shard.name.split == split
                    for file in receipt.files[name][:1]
                ),
            )
            for split in self.plan.splits
        }

    def document(self) -> dict[str, object]:
        """What ``build.json`` says: no time, no folder and no worker count, so that equal builds are equal."""
        plan = self.plan
        names = class_names(plan.options.taxonomy)
        return {
            "plan": plan.identity,
            "recipe": plan.options.document(),
            "sources": [{"name": each.name, "role": each.role, "size": each.size} for each in plan.catalog.archives],
            "splits": {split: sum(facts.shard_lengths) for split, facts in self._splits(plan.formats[0]).items()},
            "images": asdict(self.accounts()),
            "validation_classes": asdict(plan.validation_classes) if plan.validation_classes else None,
            "class_names": asdict(names) if names else None,
            "check": min((receipt.check for _, receipt in self._receipts), key=CHECKS.index),
            "shards": [
                {
                    "name": str(shard.name),
                    "images": receipt.rows,
                    "set_aside": len(receipt.set_aside),
                    "files": {name: [_file(file) for file in receipt.files[name]] for name in plan.formats},
                }
                for shard, receipt in self._receipts
            ],
            "versions": {
                "imagenet-prep": __version__,
                "pillow": PIL.__version__,
                "pyarrow": pa.__version__,
            },
        }


def _file(file: FileFact) -> dict[str, object]:
    return {"path": file.path, "size": file.size, "xxh3_128": file.digest}

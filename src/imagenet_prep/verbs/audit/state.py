"""What resuming needs, read back: the note of the plan, the catalog, the receipts and the undo log of a build.

A copy of a data set may be without all of it. Where it is, it has to be whole: a damaged receipt would cost its shard.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imagenet_prep.codecs.sealed import unseal
from imagenet_prep.dataset.catalog_file import load_catalog
from imagenet_prep.dataset.layout import catalog_path, plan_path, receipts_folder, undo_log_path
from imagenet_prep.dataset.receipts import load_receipt, receipt_path
from imagenet_prep.dataset.undo_log import load_undo_log
from imagenet_prep.errors import OutputError, Problem
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.shards import ShardName
from imagenet_prep.options import MOVE

_DAMAGED = "is missing or damaged"


def audit_private(out: Path, document: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the private files of the build that ``build.json`` describes."""
    if not (out / PRIVATE).is_dir():
        return
    if not _holds_plan(out, document["plan"]):
        yield _problem(out, plan_path(out), _DAMAGED)
    if load_catalog(catalog_path(out)) is None:
        yield _problem(out, catalog_path(out), _DAMAGED)
    yield from _receipts(out, document)
    if document["recipe"].get("folders", {}).get("transfer") == MOVE:
        try:
            load_undo_log(undo_log_path(out))
        except (OSError, OutputError):
            yield _problem(out, undo_log_path(out), f"{_DAMAGED}: the move cannot be undone")


def _problem(out: Path, path: Path, reason: str) -> Problem:
    return Problem(str(path.relative_to(out)), reason)


def _holds_plan(out: Path, identity: str) -> bool:
    try:
        return bool(unseal(plan_path(out).read_bytes())["plan"] == identity)
    except (OSError, ValueError, KeyError):
        return False


def strange_receipts(out: Path, document: dict[str, Any]) -> Iterator[Problem]:
    """Yield what lies beside the receipts."""
    if receipts_folder(out).is_dir():
        there = {path for path in receipts_folder(out).iterdir() if not path.name.startswith(".")}
        for path in sorted(there - set(_paths(out, document))):
            yield _problem(out, path, "is not of this build")


def _paths(out: Path, document: dict[str, Any]) -> list[Path]:
    return [receipt_path(receipts_folder(out), ShardName.parse(shard["name"])) for shard in document["shards"]]


def _receipts(out: Path, document: dict[str, Any]) -> Iterator[Problem]:
    for shard, path in zip(document["shards"], _paths(out, document), strict=True):
        receipt = load_receipt(path)
        if receipt is None:
            yield _problem(out, path, _DAMAGED)
        elif (receipt.plan, receipt.rows) != (document["plan"], shard["images"]):
            yield _problem(out, path, "is of another build")

"""What resuming needs, read back: the note of the plan, the catalog, the receipts and the undo log of a build.

A copy of a data set may be without all of it. Where it is, it has to be whole: a damaged receipt would cost its shard.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
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
from imagenet_prep.verbs.audit.shard import unreadable

_DAMAGED = "is missing or damaged"


def audit_private(out: Path, document: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the private files of the build that ``build.json`` describes."""
    if not os.path.isdir(out / PRIVATE):
        return
    for path, wrong in _parts(out, document):
        try:
            with path.open("rb"):
                pass
        except PermissionError as error:
            yield unreadable(out, str(path.relative_to(out)), error)
            continue
        except OSError:  # which is said below
            pass
        if reason := wrong(path):
            yield _problem(out, path, reason)


def _parts(out: Path, document: dict[str, Any]) -> Iterator[tuple[Path, Callable[[Path], str]]]:
    """Yield each file with what says what is wrong with it, "" for nothing."""
    yield plan_path(out), lambda path: "" if _holds_plan(path, document["plan"]) else _DAMAGED
    yield catalog_path(out), lambda path: "" if load_catalog(path) else _DAMAGED
    for shard, path in zip(document["shards"], _paths(out, document), strict=True):
        yield path, partial(_wrong_receipt, document["plan"], shard["images"])
    if document["recipe"].get("folders", {}).get("transfer") == MOVE:
        yield undo_log_path(out), _wrong_undo_log


def _problem(out: Path, path: Path, reason: str) -> Problem:
    return Problem(str(path.relative_to(out)), reason)


def _holds_plan(path: Path, identity: str) -> bool:
    try:
        return bool(unseal(path.read_bytes())["plan"] == identity)
    except (OSError, ValueError, KeyError):
        return False


def _wrong_receipt(plan: str, images: int, path: Path) -> str:
    receipt = load_receipt(path)
    if receipt is None:
        return _DAMAGED
    return "" if (receipt.plan, receipt.rows) == (plan, images) else "is of another build"


def _wrong_undo_log(path: Path) -> str:
    try:
        load_undo_log(path)
    except OutputError:
        return f"{_DAMAGED}: the move cannot be undone"
    return ""


def strange_receipts(out: Path, document: dict[str, Any]) -> Iterator[Problem]:
    """Yield what lies beside the receipts."""
    if not os.path.isdir(receipts_folder(out)):
        return
    try:
        there = {path for path in receipts_folder(out).iterdir() if not path.name.startswith(".")}
    except OSError as error:
        yield unreadable(out, str(receipts_folder(out).relative_to(out)), error)
        return
    for path in sorted(there - set(_paths(out, document))):
        yield _problem(out, path, "is not of this build")


def _paths(out: Path, document: dict[str, Any]) -> list[Path]:
    return [receipt_path(receipts_folder(out), ShardName.parse(shard["name"])) for shard in document["shards"]]

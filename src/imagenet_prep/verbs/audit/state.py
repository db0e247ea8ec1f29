"""What resuming needs, read back: the state, the catalog and the receipts of a data set.

A copy of a data set may be without all of it. Where it is, it has to be whole: a damaged receipt would cost its shard.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imagenet_prep.codecs.sealed import unseal
from imagenet_prep.dataset.catalog_file import load_catalog
from imagenet_prep.dataset.layout import CATALOG, FOLDERS_BEFORE_MOVE, RECEIPTS, STATE, receipt_path
from imagenet_prep.dataset.receipts import load_receipt
from imagenet_prep.dataset.state import State, load_state
from imagenet_prep.errors import ForbiddenError, OtherBuildError, OutputError, Problem
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.shards import ShardName
from imagenet_prep.stores.base import Store, files_below
from imagenet_prep.verbs.audit.shard import unreadable

_DAMAGED = "is missing or damaged"


def is_resumable(store: Store) -> bool:
    """Whether a data set still has what resuming needs."""
    listing = store.list(PRIVATE)
    return bool(listing.files or listing.folders)


def audit_state(store: Store, document: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the private files of the data set that ``build.json`` describes."""
    if not is_resumable(store):
        return
    state = None
    try:
        state = _state(store, document)
        if state is None:
            yield Problem(STATE, _DAMAGED)
    except ForbiddenError as error:
        yield from error.problems
    try:
        if load_catalog(store, CATALOG) is None:
            yield Problem(CATALOG, _DAMAGED)
    except ForbiddenError as error:
        yield from error.problems
    try:
        if not _is_sealed(store, FOLDERS_BEFORE_MOVE):
            yield Problem(FOLDERS_BEFORE_MOVE, "is damaged")
    except ForbiddenError as error:
        yield from error.problems
    if state is not None:
        yield from _receipts(store, state, document)


def _is_sealed(store: Store, path: str) -> bool:
    try:
        unseal(store.read(path))
    except FileNotFoundError:
        return True  # nothing was moved
    except (OSError, ValueError):
        return False
    return True


def _state(store: Store, document: dict[str, Any]) -> State | None:
    try:
        state = load_state(store)
    except ForbiddenError:  # which is not damage
        raise
    except (OtherBuildError, OutputError):
        return None
    return state if state and state.identity == document["identity"] else None


def added_outputs(store: Store, document: dict[str, Any]) -> list[str]:
    """Give the outputs that are being added to the data set that ``build.json`` describes."""
    try:
        state = _state(store, document)
    except ForbiddenError:
        return []
    return [name for name in state.outputs if name not in document["outputs"]] if state else []


def expected_receipts(state: State) -> Iterator[tuple[str, ShardName]]:
    """Yield output and shard of every receipt that a finished data set has."""
    for name, output in state.outputs.items():
        for split, count in output.arrangement.counts.items():
            yield from ((name, ShardName(split, index, count)) for index in range(count))


def strange_receipts(store: Store) -> Iterator[Problem]:
    """Yield what lies beside the receipts."""
    try:
        state = load_state(store)
    except (OtherBuildError, OutputError):  # the state itself is reported
        return
    own = {receipt_path(*place) for place in expected_receipts(state)} if state else set()
    try:
        there = list(files_below(store, RECEIPTS))
    except (OSError, ForbiddenError) as error:
        yield unreadable(RECEIPTS, error)
        return
    for path in there:
        if state and path not in own and not path.rpartition("/")[2].startswith("."):
            yield Problem(path, "does not belong to this data set")


def _receipts(store: Store, state: State, document: dict[str, Any]) -> Iterator[Problem]:
    rows = {
        receipt_path(name, ShardName.parse(shard["name"])): shard["images"]
        for name, of in document["outputs"].items()
        for shard in of["shards"]
    }
    for name, shard in expected_receipts(state):
        if name not in document["outputs"]:
            continue  # it is being added
        path = receipt_path(name, shard)
        try:
            receipt = load_receipt(store, name, shard)
        except ForbiddenError as error:
            yield from error.problems
            continue
        if receipt is None:
            yield Problem(path, _DAMAGED)
        elif receipt.identity != state.outputs[name].identity or receipt.rows != rows.get(path, receipt.rows):
            yield Problem(path, "is of another data set")

"""Whose folder is it? One folder holds one build: what it is for is noted first, and anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import Any

from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.dataset.catalog_file import load_catalog, save_catalog
from imagenet_prep.dataset.layout import BUILD, catalog_path, holds_receipts, plan_path, receipts_folder
from imagenet_prep.dataset.receipts import load_receipt, receipt_path
from imagenet_prep.errors import OtherBuildError, Problem
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.planning.plan import Plan, Shard
from imagenet_prep.stores.lock import turn
from imagenet_prep.stores.publish import publish_bytes
from imagenet_prep.stores.temporary import output_errors, sweep

_SHOWN = (
    "version",
    "formats",
    "test_per_class",
    "seed",
    "splits",
    "shards",
    "names",
    "classes",
    "images_per_class",
    "limit",
    "test_list",
    "exclude",
    "folders.names",
    "folders.validation",
    "folders.transfer",
    "sources",
)  # what a user knows of a plan
_TOLD = 200  # characters of a difference: a choice of classes may have 1,000 of them


def refuse_other(out: Path, plan: Plan, *, repair: bool = False) -> None:
    """Raise OtherBuildError, with what differs, if the folder holds another plan. For a repair the note of the plan may
    be damaged or gone, if a receipt says that it was this one.
    """
    if repair and _is_of(out, plan):
        return
    if not plan_path(out).exists():
        if holds_receipts(out):
            raise OtherBuildError(
                f"{out} holds a build of which it is not known what it is: {plan_path(out).name} is missing.",
                remedy="Add --repair to the command that began this build.",
            )
        return
    held, wanted = _held_plan(out), plan.document()
    if held.get("plan") != wanted["plan"]:
        there, now = _flat(held), _flat(wanted)
        keys = [key for key in _SHOWN if there.get(key) != now.get(key)]
        if set(keys) <= {"sources"}:
            raise OtherBuildError(
                f"{out} holds a build of other sources:",
                tuple(_changes(there.get("sources"), now["sources"])),
                "Build into another folder, or from what it was begun with; --fresh takes it away and begins anew.",
            )
        raise OtherBuildError(
            f"{out} holds another build:",
            tuple(_difference(key, there.get(key), now.get(key)) for key in keys),
            "Choose another folder, or repeat the command that began this build to finish it; --fresh takes it away "
            "and begins anew.",
        )


def claim(out: Path, plan: Plan, *, repair: bool = False) -> None:
    """Note in the folder what it is for, unless that is something else; remove what a killed run left half-written."""
    note = seal(plan.document())
    with turn(out):  # or two runs would each find no other's note, and write theirs
        refuse_other(out, plan, repair=repair)
        if not plan_path(out).exists() or _note(out) != note:
            publish_bytes(plan_path(out), note)
    sweep(out, shallow=FOLDERS)


def keep_catalog(out: Path, plan: Plan) -> None:
    """Keep the catalog for the next run, if it is not there."""
    if load_catalog(catalog_path(out), plan.catalog.archives) is None:
        save_catalog(catalog_path(out), plan.catalog)


def unfinish(out: Path, damaged: list[Shard]) -> None:
    """Where ``build.json`` is, the build is complete, and where a receipt is, a shard: now they are not. The receipts
    of others are left alone, because another run may have just written them.
    """
    with output_errors(out / BUILD):
        (out / BUILD).unlink(missing_ok=True)
        for shard in damaged:
            receipt_path(receipts_folder(out), shard.name).unlink(missing_ok=True)


def _note(out: Path) -> bytes:
    with output_errors(plan_path(out), "read"):
        return plan_path(out).read_bytes()


def _held_plan(out: Path) -> dict[str, object]:
    try:
        return unseal(_note(out))
    except ValueError as error:
        remedy = "Add --repair to the command that began this build, or --fresh to begin anew."
        raise OtherBuildError(f"{plan_path(out)} is damaged.", remedy=remedy) from error


def _is_of(out: Path, plan: Plan) -> bool:
    paths = (receipt_path(receipts_folder(out), shard.name) for shard in plan.shards)
    return any((receipt := load_receipt(path)) and receipt.plan == plan.identity for path in paths)


def _flat(document: dict[str, object]) -> dict[str, object]:
    """The document with what it says of class folders as entries of its own: a user is told what differs, not more."""
    tree = document.get("folders")
    return document | ({f"folders.{key}": value for key, value in tree.items()} if isinstance(tree, dict) else {})


def _changes(held: Any, wanted: Any) -> Iterator[Problem]:
    """Say what became of each source; ``held`` and ``wanted`` have role, name and bytes of each."""
    sizes = {(role, name): size for role, name, size in held or ()}
    now = {(role, name): size for role, name, size in wanted}
    for place in dict.fromkeys((*sizes, *now)):
        if place not in now:
            yield Problem(place[1], f"({place[0]}) is no longer among the sources")
        elif place not in sizes:
            yield Problem(place[1], f"({place[0]}) was not among the sources")
        elif sizes[place] != now[place]:
            yield Problem(
                place[1], f"({place[0]}) has changed: it had {sizes[place]:,} bytes, and has {now[place]:,} now"
            )
    if sizes == now:
        yield Problem("sources", "there are other images in them now")


def _difference(key: str, held: object, wanted: object) -> Problem:
    return Problem(key, f"there it is {_told(held)}, now it would be {_told(wanted)}")


def _told(value: object) -> str:
    if isinstance(value, dict) and "names" in value:  # a list of images, of which the digest is kept
        return f"a list of {value['names']:,} names ({value['xxh3_128'][:8]})"
    return "not given" if value is None else shorten(json.dumps(value), _TOLD, placeholder=" …")

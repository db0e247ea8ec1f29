"""Where things lie in an output folder. Every path is named here once."""

from __future__ import annotations

from pathlib import Path

from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.stores.temporary import output_errors

CLASSES = "classes.csv"
MANIFEST = "manifest.parquet"
SPLIT_LISTS = "splits/"  # a text file for each split
BUILD = "build.json"
SET_ASIDE_FOLDER = "set-aside/"  # the bytes of images that cannot be used, under their names
EXCLUDED = f"{SPLIT_LISTS}excluded.txt"


def receipts_folder(out: Path) -> Path:
    """One receipt for each finished shard."""
    return out / PRIVATE / "receipts"


def catalog_path(out: Path) -> Path:
    """The catalog, reused while the archives do not change."""
    return out / PRIVATE / "catalog.arrow"


def undo_log_path(out: Path) -> Path:
    """Where the files came from that this build moved."""
    return out / PRIVATE / "undo.jsonl"


def plan_path(out: Path) -> Path:
    """The identity and the recipe of the plan that this folder holds."""
    return out / PRIVATE / "plan.json"


def holds_receipts(out: Path) -> bool:
    """Whether any shard in a folder was ever finished."""
    return any(receipts_folder(out).glob("*.receipt"))


def is_build(out: Path) -> bool:
    """Whether a folder holds a build of this program, finished or not, sound or damaged."""
    with output_errors(out, "read"):
        return (out / BUILD).exists() or plan_path(out).exists()

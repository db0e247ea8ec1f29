"""Recipes and trees as values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imagenet_prep.options import BuildOptions, Recipe


def recipe(**given: Any) -> Recipe:
    """Make a recipe from options as the command line has them."""
    return BuildOptions.of(**given).recipe


def contents(folder: Path) -> dict[str, bytes]:
    """Give every file below a folder, except the private ones, with its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if ".imagenet-prep" not in path.parts}

"""Where data sets live: one module a kind, and what is given becomes a store here."""

from __future__ import annotations

import os
from pathlib import Path

from imagenet_prep.model.given import given
from imagenet_prep.stores.base import Store
from imagenet_prep.stores.errors import output_errors
from imagenet_prep.stores.local import LocalStore

Place = str | os.PathLike[str] | Store


def store_at(place: Place) -> Store:
    """Give the store that is meant: a path is a local folder, which need not exist. Raises UsageError for what is
    neither, and OutputError if it lies in a folder that is gone.
    """
    if not isinstance(place, str | os.PathLike) and hasattr(place, "batch"):
        return place
    path = given("out", place, Path)
    with output_errors(path, "find"):
        folder = os.path.abspath(path)  # below the folder one is in, which may have been removed
    return LocalStore(folder, str(path))

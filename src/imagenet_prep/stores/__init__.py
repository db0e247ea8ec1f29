"""Where data sets live: one module a kind, and what is given becomes a store here."""

from __future__ import annotations

import os

from imagenet_prep.stores.base import Store
from imagenet_prep.stores.local import LocalStore

Place = str | os.PathLike[str] | Store


def store_at(place: Place) -> Store:
    """Give the store that is meant: a path is a local folder, which need not exist."""
    if isinstance(place, str | os.PathLike):
        return LocalStore(os.path.abspath(os.fspath(place)), os.fspath(place))
    return place

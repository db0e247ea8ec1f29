"""The one number that state, manifest and ``build.json`` have together (docs/format.md). A document of another one is
refused before anything else is asked of it. No Arrow here: a recipe is read before it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagenet_prep.codecs.sealed import unseal
from imagenet_prep.dataset.layout import BUILD
from imagenet_prep.errors import OtherBuildError
from imagenet_prep.stores.base import Store

FORMAT_VERSION = 1


def refuse_other_version(document: Mapping[str, Any], place: str) -> None:
    """Raise OtherBuildError if a document that has a ``format_version`` has another one; ``place`` is its path."""
    if document.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
        raise OtherBuildError(
            f"{place} has another format_version than {FORMAT_VERSION}, the only one that this version of "
            "imagenet-prep reads.",
            remedy="Use the version that made it.",
        )


def refuse_other_build(store: Store) -> None:
    """The same for the ``build.json`` of a data set, if there is one whose digest fits: a damaged one is written again,
    but not one that another version understands.
    """
    try:
        document = unseal(store.read(BUILD))
    except (OSError, ValueError):
        return
    refuse_other_version(document, f"{store.place}/{BUILD}")

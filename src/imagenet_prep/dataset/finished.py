"""The document of a finished data set, proved: where reading one begins. No Arrow here: a training worker has none."""

from __future__ import annotations

from typing import Any

from imagenet_prep.codecs.sealed import unseal
from imagenet_prep.dataset.format import refuse_other_version
from imagenet_prep.dataset.layout import BUILD
from imagenet_prep.errors import AuditError
from imagenet_prep.stores.base import Store


def finished_document(store: Store) -> dict[str, Any]:
    """Read ``build.json``. Raises AuditError if it is missing or damaged, OtherBuildError if it is of another version,
    and ForbiddenError.
    """
    try:
        document = unseal(store.read(BUILD))
    except (OSError, ValueError) as error:
        raise unfinished_or_damaged(store, BUILD, error) from error
    refuse_other_version(document, f"{store.place}/{BUILD}")
    return document


def unfinished_or_damaged(store: Store, name: str, error: Exception) -> AuditError:
    """Say why a document of a data set could not be read."""
    if isinstance(error, FileNotFoundError):
        remedy = f"Finish it: imagenet-prep resume {store.place}"
        return AuditError(f"{store.place} holds no finished data set: {name} is missing.", remedy=remedy)
    remedy = f"Repair what is damaged: imagenet-prep repair {store.place}"
    return AuditError(f"{store.place}: {name} is damaged: {error}.", remedy=remedy)

"""Read a recipe: a ``build.json``, whole or in part, or a TOML file of the same form. Somebody's build is repeated from
it, so an edited one is refused.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

from imagenet_prep.codecs.sealed import unseal
from imagenet_prep.dataset.format import refuse_other_version
from imagenet_prep.errors import UsageError
from imagenet_prep.options import Recipe

_SECTIONS = ("selection", "outputs")


def recipe_from(data: bytes, name: str) -> Recipe:
    """Read what a file called ``name`` holds: JSON by its suffix ``.json``, else TOML.

    Raises UsageError for what is not a recipe, or was changed since its digest was taken, and OtherBuildError for one
    of another ``format_version``.
    """
    document = _parsed(data, name)
    refuse_other_version(document, name)
    if "digest" in document:
        _refuse_changed(data, name)
    unknown = sorted(set(document) - set(_SECTIONS))
    if unknown and "format_version" not in document:  # a build.json has it, and more than the recipe
        raise UsageError(f"{name} has {unknown[0]!r}: a recipe has the sections selection and outputs, and no other.")
    outputs = document.get("outputs", {})
    if not isinstance(outputs, dict):
        raise UsageError(f"{name} is not a recipe: selection and outputs are sections of it.")
    options = {each: of.get("options", of) if isinstance(of, dict) else of for each, of in outputs.items()}
    return Recipe.from_document({"selection": document.get("selection", {}), "outputs": options})


def _parsed(data: bytes, name: str) -> dict[str, Any]:
    try:
        text = data.decode()
        document = json.loads(text) if name.endswith(".json") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} cannot be read as a recipe: {error}.") from error
    if not isinstance(document, dict):
        raise UsageError(f"{name} is not a recipe: it has no sections selection and outputs.")
    return document


def _refuse_changed(data: bytes, name: str) -> None:
    try:
        unseal(data)
    except ValueError as error:
        raise UsageError(
            f"{name} was changed after it was written: its digest does not fit.",
            remedy="To change a recipe on purpose, take the line of the digest out, or write its sections selection "
            "and outputs into a file of your own.",
        ) from error

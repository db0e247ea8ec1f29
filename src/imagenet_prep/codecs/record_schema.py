"""The keys under which a kind of record keeps what every such kind has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSchema:
    """``layout`` is what messages call the kind. The rest are keys, "" for what it does not have, and the label of the
    first class in WNID order.
    """

    layout: str
    image: str
    label: str
    name: str
    synset: str
    first_label: int

"""JSON documents that prove themselves: sorted keys, one form, and a digest of all the rest under a key of its own.

A document has exactly one form in bytes, so a flipped bit is found even where it would change only a space.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import xxhash

_KEY = "digest"  # sorts between others: its line can be taken out, and what is left is what it is the digest of


def seal(document: Mapping[str, object]) -> bytes:
    """Give the bytes of a document. Its digest is that of these bytes without the line of the digest."""
    return _bytes({**document, _KEY: xxhash.xxh3_128_hexdigest(_bytes(document))})


def unseal(data: bytes) -> dict[str, Any]:
    """Read a document back; ValueError if it is not, byte for byte, what ``seal`` gave."""
    try:
        document = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(document, dict) or seal(_without_digest(document)) != data:
        raise ValueError("its digest does not fit")
    return _without_digest(document)


def _without_digest(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != _KEY}


def _bytes(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"

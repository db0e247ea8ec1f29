"""Fingerprints of splits: equal for equal images, whatever formats, shards and orders they are in.

It is what ``sha256sum * | sha256sum`` gives in a folder with the images of the split, so nobody needs this program to
compare. Workers take the SHA-256 of each image while they read it back, from one output for each split: one with the
original bytes of all its images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.imagenet.archives import SPLITS
from imagenet_prep.model.comparison import Fingerprint
from imagenet_prep.verbs.audit.expected import Expected, ShardWork

_BYTES = 32  # of a SHA-256


def holders(of: Expected) -> dict[str, str]:
    """Give, for each split, the name of an output that has the original bytes of all images; no split without one."""
    best = min(of.outputs, key=lambda output: output.converts)
    splits = of.document["splits"]
    return {split: best.name for split in splits if not (best.converts and _converted(of.images_in(split)))}


def fingerprints(of: Expected, read: Sequence[ShardWork], sums: Mapping[int, bytes]) -> dict[str, Fingerprint]:
    """Give the fingerprint of each split; ``sums`` are SHA-256 of images, by place of the work that ``read`` them."""
    found = {}
    for split in (split for split in SPLITS if split in of.document["splits"]):
        images = of.images_in(split)
        parts = [place for place in sums if read[place].shard.split == split]
        unread = images["digest"].null_count
        if parts:
            names = [name for place in parts for name in read[place].written["name"].to_pylist()]
            sha256 = _sha256(names, b"".join(sums[place] for place in parts))
            found[split] = Fingerprint(len(images), sha256, unread=unread)
        else:
            found[split] = Fingerprint(len(images), "", _converted(images), unread)
    return found


def _converted(images: pa.Table) -> int:
    return pc.sum(images["converted"]).as_py() or 0


def _sha256(names: Sequence[str], sums: bytes) -> str:
    whole = hashlib.sha256()
    for place in sorted(range(len(names)), key=lambda place: names[place].encode()):
        whole.update(f"{sums[_BYTES * place : _BYTES * (place + 1)].hex()}  {names[place]}\n".encode())
    return whole.hexdigest()

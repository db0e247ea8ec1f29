"""Order and choice come from file names alone, through published hashes: the same on every machine.

Two keys, for two decisions:

* ``order_key``: MD5 of split name and file name. It is the order TensorFlow Datasets writes (its
  ``hashing.py`` and ``shuffle.py``), so slices such as ``train[99%:]`` of a full train set hold the images
  they always held.
* ``rank_key``: BLAKE2b of the file name, keyed with the seed. It ranks the images of a class for the
  hold-out; another seed gives an independent ranking, and a larger hold-out contains a smaller one.

Changing either moves images between shards or splits: that needs a new major version.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b, md5

RANK_KEY_BYTES = 8  # 64 bits: among 1,300 images of a class two equal ranks are a one in 10^13 event


def order_keys(split: str, names: Iterable[bytes]) -> bytes:
    """Give the order keys of ``names`` in ``split``, 16 bytes each, concatenated; they sort as unsigned
    big-endian numbers.
    """
    salt = split.encode()
    return b"".join([md5(salt + name, usedforsecurity=False).digest() for name in names])


def rank_keys(seed: int, names: Iterable[bytes]) -> bytes:
    """Give the hold-out ranks of ``names`` under ``seed``, 8 bytes each, concatenated, big-endian."""
    key = str(seed).encode()
    return b"".join([blake2b(name, digest_size=RANK_KEY_BYTES, key=key).digest() for name in names])

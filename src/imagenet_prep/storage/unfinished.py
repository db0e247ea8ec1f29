"""What was begun and is not all there: ``NAME.part``, and beside it ``NAME.part.json``, which says how far it is.

The bookmark lets a fetch go on after a kill: which bytes are on the disk for certain, of which file of the server they
are, and the state of the checksum there. It holds no URL and no credential. A part without a bookmark is not ours.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from pathlib import Path

from imagenet_prep.storage.documents import seal, unseal
from imagenet_prep.storage.publish import publish_bytes
from imagenet_prep.storage.temporary import output_errors

URL = "url"
TORRENT = "torrent"
BOOKMARK_VERSION = 1


@dataclass(frozen=True, slots=True)
class Bookmark:
    """What is known of a part. ``by`` is URL, whose bytes come in order, or TORRENT, whose pieces lie anywhere.

    ``size`` is that of the whole file in bytes, None as long as nobody said it; ``etag`` and ``modified`` are the
    server's, "" for none. The first ``received`` bytes are on the disk; ``state`` is that of the checksum ``algorithm``
    behind the first ``hashed``, in hexadecimal digits.
    """

    by: str
    size: int | None = None
    etag: str = ""
    modified: str = ""
    received: int = 0
    algorithm: str = ""
    hashed: int = 0
    state: str = ""


def unfinished_path(final: Path) -> Path:
    """Give the name of a file until it is complete and right."""
    return final.with_name(f"{final.name}.part")


def bookmark_path(final: Path) -> Path:
    """Give the name of the bookmark on the part."""
    return final.with_name(f"{final.name}.part.json")


def save_bookmark(final: Path, bookmark: Bookmark) -> None:
    """Write the bookmark durably. Raises OutputError."""
    publish_bytes(bookmark_path(final), seal({"version": BOOKMARK_VERSION, **asdict(bookmark)}))


def load_bookmark(final: Path) -> Bookmark | None:
    """Read the bookmark; None without a part, or if the bookmark is missing, damaged, or of another version."""
    try:
        document = unseal(bookmark_path(final).read_bytes())
        if document.pop("version") != BOOKMARK_VERSION or not unfinished_path(final).exists():
            return None
        return Bookmark(**document)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remove_unfinished(final: Path) -> None:
    """Take both away: the part first, because without a bookmark it would not be ours. Raises OutputError."""
    for path in (unfinished_path(final), bookmark_path(final)):
        with output_errors(path, "remove"), contextlib.suppress(FileNotFoundError):
            path.unlink()

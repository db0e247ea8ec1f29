"""What was begun and is not all there: ``NAME.part``, and beside it ``NAME.part.json``, which says how far it is.

The bookmark lets a fetch go on after a kill: which bytes are on the disk for certain, of which file of the server they
are, and the state of the checksum there. It holds no URL and no credential. A part without a bookmark is not ours, and
neither is one that does not have, where the bookmark ends, the bytes that the bookmark was made of.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

import xxhash

from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.errors import OutputError
from imagenet_prep.stores.errors import disturbed, output_errors
from imagenet_prep.stores.publish import publish_bytes
from imagenet_prep.stores.sync import sync_folder

URL = "url"
TORRENT = "torrent"
BOOKMARK_VERSION = 1
_SECTOR = 512  # bytes: what ``st_blocks`` counts, whatever the file system's blocks are
_SEAM_BYTES = 4096  # before the place where a fetch goes on


@dataclass(frozen=True, slots=True)
class Bookmark:
    """What is known of a part. ``by`` is URL, whose bytes come in order, or TORRENT, whose pieces lie anywhere.

    ``size`` is that of the whole file in bytes, None as long as nobody said it; ``etag`` and ``modified`` are those of
    the server ``origin``, "" for none. The first ``received`` bytes are on the disk; ``state`` is that of the checksum
    ``algorithm`` behind the first ``hashed``, as ``running_digest`` gives it. ``adopted``: the user, or another
    program, began it.
    """

    by: str
    size: int | None = None
    etag: str = ""
    modified: str = ""
    received: int = 0
    algorithm: str = ""
    hashed: int = 0
    state: str = ""
    adopted: bool = False
    origin: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for what no fetch has written."""
        texts: tuple[object, ...] = (self.by, self.etag, self.modified, self.algorithm, self.state, self.origin)
        numbers: tuple[object, ...] = (self.received, self.hashed, 0 if self.size is None else self.size)
        if {str} != set(map(type, texts)) or {int} != set(map(type, numbers)) or self.adopted not in (True, False):
            raise ValueError("there is something else where a text or a number should be")
        if self.by not in (URL, TORRENT) or not 0 <= self.hashed <= self.received or (self.size or 0) < 0:
            raise ValueError("there are numbers that no fetch writes")


def unfinished_path(final: Path) -> Path:
    """Give the name of a file until it is complete and right."""
    return final.with_name(f"{final.name}.part")


def final_path(path: Path) -> Path:
    """Give the name that a file has when it is complete and right."""
    return path.with_name(path.name.removesuffix(".part"))


def bookmark_path(final: Path) -> Path:
    """Give the name of the bookmark on the part."""
    return final.with_name(f"{final.name}.part.json")


def name_part(final: Path, seen: os.stat_result) -> None:
    """Give a part its name, durably, if it is what was looked at; ``seen`` is its state from before. Raises OutputError
    if another file has the name by now, and DisturbedError.
    """
    part = unfinished_path(final)
    if os.path.lexists(final):
        raise OutputError(f"{final} has come from elsewhere meanwhile.", remedy="Move one of the two away.")
    with output_errors(final):
        try:
            there = os.lstat(part)
            if not (os.path.samestat(seen, there) and _state(seen) == _state(there)):
                raise disturbed(part)
            part.rename(final)
            if _state(seen) != _state(os.lstat(final)):  # only just; the part goes back to what it was
                final.rename(part)
                raise disturbed(part)
        except FileNotFoundError as error:
            raise disturbed(part) from error
    sync_folder(final.parent)
    forget_bookmark(final)


def _state(status: os.stat_result) -> tuple[bool, int, int]:
    return stat.S_ISREG(status.st_mode) and status.st_nlink > 0, status.st_size, status.st_mtime_ns


def save_bookmark(final: Path, bookmark: Bookmark) -> None:
    """Write the bookmark durably, when the bytes that it is about are on the disk. Raises OutputError."""
    with output_errors(unfinished_path(final), "read"):
        seam = _seam(unfinished_path(final), bookmark.received)
    publish_bytes(bookmark_path(final), seal({"version": BOOKMARK_VERSION, "seam": seam, **asdict(bookmark)}))


def load_bookmark(final: Path) -> Bookmark | None:
    """Read the bookmark; None without a part, or if it is missing, damaged, of another version, or about another part:
    one that somebody has put in place of ours.
    """
    part = unfinished_path(final)
    try:
        if not (bookmark_path(final).is_file() and part.is_file()):  # to open a pipe would wait for ever
            return None
        document = unseal(bookmark_path(final).read_bytes())
        version, seam = document.pop("version"), document.pop("seam")
        bookmark = Bookmark(**document)
        return bookmark if (version, seam) == (BOOKMARK_VERSION, _seam(part, bookmark.received)) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _seam(part: Path, received: int) -> str:
    """Give the digest of the last of the first ``received`` bytes. Raises OSError."""
    last = b""
    if received:
        with part.open("rb") as file:
            file.seek(max(0, received - _SEAM_BYTES))
            last = file.read(min(received, _SEAM_BYTES))
    return str(xxhash.xxh3_128_hexdigest(last))


def forget_bookmark(final: Path, *, other: bool = False) -> None:
    """Take a bookmark away whose part is no more: with a part that somebody puts there later it would be a lie. So it
    is with the ``other`` that is there now, if it is known to be another.
    """
    if other or not os.path.lexists(unfinished_path(final)):
        with output_errors(bookmark_path(final), "remove"), contextlib.suppress(FileNotFoundError):
            bookmark_path(final).unlink()


def bytes_there(final: Path) -> int | None:
    """Give how much of a part has come, as far as is known; None without one. Raises OSError."""
    part, bookmark = unfinished_path(final), load_bookmark(final)
    if not part.is_file():
        return None
    size = part.stat().st_size
    if bookmark is None:
        return size
    # A torrent's pieces come in any order: between them are holes, which have no blocks on the disk.
    return min(size, bookmark.received if bookmark.by == URL else bytes_on_disk(part))


def bytes_on_disk(path: Path) -> int:
    """Give the bytes that have a place on the disk: of a torrent's part, which has holes, fewer than its size."""
    return path.stat().st_blocks * _SECTOR


def remove_unfinished(final: Path) -> None:
    """Take both away: the part first, because without a bookmark it would not be ours. Raises OutputError."""
    for path in (unfinished_path(final), bookmark_path(final)):
        with output_errors(path, "remove"), contextlib.suppress(FileNotFoundError):
            path.unlink()

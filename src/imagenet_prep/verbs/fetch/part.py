"""An unfinished file: ``NAME.part``, and beside it ``NAME.part.json``, which says of which file it is a part.

The part alone says how far a download is, because bytes come in order and are written at its end: a kill costs nothing.
The note is written once, before the first byte, and holds no URL and no credential. A part without a note, or with one
of a file that starts with other bytes, is not ours.
"""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

import xxhash

from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.errors import OutputError
from imagenet_prep.sources.disguise import START_BYTES
from imagenet_prep.stores.errors import disturbed, output_errors
from imagenet_prep.stores.publish import publish_bytes
from imagenet_prep.stores.space import check_space
from imagenet_prep.stores.sync import sync_file, sync_folder

URL, TORRENT = "url", "torrent"
NOTE_VERSION = 2
_SECTOR = 512  # bytes: what ``st_blocks`` counts, whatever the file system's blocks are


@dataclass(frozen=True, slots=True)
class Origin:
    """Of which file a part is. ``by`` is URL, whose bytes come in order, or TORRENT, whose pieces lie anywhere.

    ``size`` is that of the whole file, None if nobody said it. ``etag`` and ``modified`` are what the server said, ""
    for nothing; ``server`` tells it from others, and ``start`` is the digest of the first bytes.
    """

    by: str
    size: int | None = None
    etag: str = ""
    modified: str = ""
    server: str = ""
    start: str = ""


def part_path(final: Path) -> Path:
    """Give the name of a file until it is complete and right."""
    return final.with_name(f"{final.name}.part")


def final_path(path: Path) -> Path:
    """Give the name that a file has when it is complete and right."""
    return path.with_name(path.name.removesuffix(".part"))


def digest_of(data: bytes) -> str:
    """Give what a note knows the first bytes of a file by, or a server."""
    return str(xxhash.xxh3_128_hexdigest(data))


def save_origin(final: Path, origin: Origin) -> None:
    """Write the note durably. Raises OutputError."""
    publish_bytes(_note_path(final), seal({"version": NOTE_VERSION, **asdict(origin)}))


def load_origin(final: Path) -> Origin | None:
    """Read the note; None without a part, or if the note is missing, damaged, of another version, or of other bytes."""
    part, note = part_path(final), _note_path(final)
    try:
        if not (note.is_file() and part.is_file()):  # to open a pipe would wait forever
            return None
        document = unseal(note.read_bytes())
        version, origin = document.pop("version"), Origin(**document)
        with part.open("rb") as file:
            same = origin.by == TORRENT or digest_of(file.read(START_BYTES)) == origin.start
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return origin if same and version == NOTE_VERSION else None


def bytes_there(path: Path) -> int:
    """Give how much of a file is on the disk, 0 without one: between pieces of a torrent are holes without blocks."""
    status = path.stat() if path.is_file() else None
    return min(status.st_size, status.st_blocks * _SECTOR) if status else 0


def check_room(path: Path, size: int) -> None:
    """Raise OutputError if there is no room for the rest of a file of ``size`` bytes."""
    needed = max(0, size - bytes_there(path))
    check_space(path.parent, needed, remedy="Free some space, or choose another folder.")


def finish_writing(descriptor: int, path: Path, size: int) -> os.stat_result:
    """Have a part on the disk, and give its state for ``name_part``. Raises DisturbedError if it is not of the size
    that was written, or not at its place.
    """
    with output_errors(path):
        sync_file(descriptor)
        seen = os.fstat(descriptor)
        if seen.st_size != size or not _is_as_seen(path, seen):
            raise disturbed(path)
    return seen


def name_part(final: Path, seen: os.stat_result) -> None:
    """Give a part its final name, durably. Raises DisturbedError if it is not as it was ``seen`` before it was
    compared, and OutputError if another file has the name.
    """
    if os.path.lexists(final):
        raise OutputError(f"{final} has come from elsewhere in the meantime.", remedy="Move one of the two away.")
    with output_errors(final):
        if not _is_as_seen(part_path(final), seen):
            raise disturbed(part_path(final))
        part_path(final).rename(final)
    sync_folder(final.parent)
    tidy(final)


def tidy(final: Path) -> None:
    """Take away a part of which no byte came, and the note of a part that is gone: it would make ours what somebody
    puts there later. Raises OutputError.
    """
    part = part_path(final)
    with output_errors(part, "remove"):
        if part.is_file() and not part.is_symlink() and part.stat().st_size == 0:
            part.unlink()
        if not os.path.lexists(part):
            _note_path(final).unlink(missing_ok=True)


def _note_path(final: Path) -> Path:
    return final.with_name(f"{final.name}.part.json")


def _is_as_seen(path: Path, seen: os.stat_result) -> bool:
    try:
        now = os.lstat(path)
    except FileNotFoundError:
        return False
    same = os.path.samestat(seen, now) and stat.S_ISREG(now.st_mode)
    return same and (seen.st_size, seen.st_mtime_ns) == (now.st_size, now.st_mtime_ns)

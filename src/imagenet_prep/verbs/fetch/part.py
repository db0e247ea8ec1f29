"""An unfinished file: ``NAME.part``, and beside it ``NAME.part.json``, which says of which file it is a part.

The part alone says how far a download is, because bytes come in order and are written at its end: a kill costs nothing.
The note is written once, before the first byte, and holds no URL and no credential. A part without a note, or with one
of a file that starts with other bytes, is not ours.
"""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import xxhash

from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.errors import OutputError, Problem, SourceError, printable
from imagenet_prep.imagenet.archives import UNPUBLISHED, OfficialArchive, archive_called
from imagenet_prep.sources.checksum import published_checksum
from imagenet_prep.sources.disguise import START_BYTES, disguise, is_archive
from imagenet_prep.stores.errors import disturbed, output_errors
from imagenet_prep.stores.publish import publish_bytes
from imagenet_prep.stores.space import check_space
from imagenet_prep.stores.sync import sync_file, sync_folder
from imagenet_prep.verbs.fetch.report import Fetched

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

URL, TORRENT = "url", "torrent"
NOTE_VERSION = 2
_SECONDS_BETWEEN_LOOKS = 0.01  # for more bytes, where all were read
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


class Growing(FileIO):
    """A part that is read while it is written, for its checksum: before it is ``whole``, its end is not the end, and a
    reader waits there. So what was there is read beside what comes, and what comes is read from the page cache.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.whole, self._left = Event(), Event()

    def leave(self) -> None:
        """Have the next read be the last."""
        self._left.set()
        self.whole.set()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read as soon as there is something; 0 at the end."""
        while not self._left.is_set():
            whole = self.whole.is_set()  # asked before the read: what was written before is read
            if (size := super().readinto(buffer) or 0) or whole:
                return size
            self.whole.wait(_SECONDS_BETWEEN_LOOKS)
        return 0


def part_path(final: Path) -> Path:
    """Give the name of a file until it is complete and right."""
    return final.with_name(f"{final.name}.part")


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


def in_the_way(path: Path, why: str, remedy: str = "Move it away.") -> SourceError:
    """Make the error for something that is there, is not ours, and stays."""
    return SourceError("A file is in the way:", (Problem(printable(path.name), why),), remedy)


def cannot_be(archive: OfficialArchive | None, start: bytes) -> str | None:
    """Say why a file that begins with ``start`` is not ``archive``; without one it may be anything."""
    wrong = archive and disguise(start, plain_tar=archive.plain_tar)
    return wrong or (None if is_archive(start) or not archive else "is not an archive: neither a tar, nor a gzip file")


def there_already(final: Path) -> Fetched:
    """Give a file that has its final name, unread. Raises SourceError if it cannot be what its name says."""
    archive = archive_called(final.name)
    size = _look(final, archive)
    if archive and archive.size not in (None, size):
        remedy = (
            "Move it away; if it is the beginning of the file, call it NAME.part; --torrent fetches what is missing."
        )
        raise in_the_way(final, f"has {size:,} bytes, and the published file has {archive.size:,}", remedy)
    return Fetched(final.name, size, 0, "" if published_checksum(final.name)[1] else UNPUBLISHED)


def take_up(final: Path, *, fresh: bool) -> tuple[int, Origin]:
    """Say from which byte to go on with ``final``, which is not there, and what is known of it: nothing but the
    published size of a new file, and of a part that the user or another program has put there, which has no ``start``.
    Raises SourceError if the part cannot be gone on with.
    """
    part, ours, archive = part_path(final), load_origin(final), archive_called(final.name)
    published = Origin(URL, archive.size if archive else None)
    if not os.path.lexists(part):
        return 0, published
    if ours and ours.by == TORRENT:
        remedy = "Go on with --torrent, or move it away."
        raise in_the_way(part, "is of a torrent, whose pieces come in any order", remedy)
    size = _look(part, None if ours or fresh else archive)
    if ours:
        return (0, published) if fresh else (size, ours)
    if fresh:
        raise in_the_way(part, "is not of this program")
    if not published_checksum(final.name)[1]:
        raise in_the_way(part, "is not of this program, and no checksum is published that would show what it is")
    if published.size and size > published.size:
        raise in_the_way(part, f"has {size:,} bytes, and the published file has {published.size:,}")
    return size, published


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
    that was written.
    """
    with output_errors(path):
        sync_file(descriptor)
        seen = os.fstat(descriptor)
    if seen.st_size != size:
        raise disturbed(path)
    return seen


def name_part(final: Path, seen: os.stat_result) -> None:
    """Give a part its final name, durably. Raises DisturbedError if it is not as it was ``seen`` before it was
    compared, and OutputError if another file has the name.
    """
    part = part_path(final)
    if os.path.lexists(final):
        raise OutputError(f"{final} has come from elsewhere in the meantime.", remedy="Move one of the two away.")
    now = os.lstat(part) if os.path.lexists(part) else None
    if not now or not stat.S_ISREG(now.st_mode) or _identity(now) != _identity(seen):
        raise disturbed(part)
    with output_errors(final):
        part.rename(final)
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


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _look(path: Path, archive: OfficialArchive | None) -> int:
    """Give the size of a file. Raises SourceError if it is none, or begins as ``archive`` does not."""
    if not path.is_file() or (path.is_symlink() and path.suffix == ".part"):
        raise in_the_way(path, "is not a file")
    with output_errors(path, "read"), path.open("rb") as file:
        if wrong := cannot_be(archive, file.read(START_BYTES)):
            raise in_the_way(path, wrong)
    return path.stat().st_size

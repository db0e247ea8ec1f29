"""What was begun and is not all there: ``NAME.part``, and beside it ``NAME.part.json``, which says how far it is.

The note lets a fetch go on after a kill: which bytes are on the disk for certain, of which file of the server they
are, and the state of the checksum there. It holds no URL and no credential. A part without a note is not ours.
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
NOTE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Note:
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


def part_of(final: Path) -> Path:
    """Give the name of a file until it is complete and right."""
    return final.with_name(f"{final.name}.part")


def note_of(final: Path) -> Path:
    """Give the name of the note on the part."""
    return final.with_name(f"{final.name}.part.json")


def save_note(final: Path, note: Note) -> None:
    """Write the note durably. Raises OutputError."""
    publish_bytes(note_of(final), seal({"version": NOTE_VERSION, **asdict(note)}))


def load_note(final: Path) -> Note | None:
    """Read the note; None without a part, or if the note is missing, damaged, or of another version."""
    try:
        document = unseal(note_of(final).read_bytes())
        if document.pop("version") != NOTE_VERSION or not part_of(final).exists():
            return None
        return Note(**document)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remove_part(final: Path) -> None:
    """Take part and note away: the part first, because without a note it would not be ours. Raises OutputError."""
    for path in (part_of(final), note_of(final)):
        with output_errors(path, "remove"), contextlib.suppress(FileNotFoundError):
            path.unlink()

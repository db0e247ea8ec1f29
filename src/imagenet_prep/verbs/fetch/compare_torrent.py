"""What is there of a file before a torrent is fetched, and what makes it ready for pieces.

First everything is looked at, and nothing changed; then what is damaged or was begun becomes a part. A file with a
final name is only read, by plain reads, until it is known to be wrong: it is right if its checksum is the published
one, whatever the torrent says, or if all its pieces are the torrent's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.imagenet.archives import RIGHT, UNPUBLISHED, OfficialArchive
from imagenet_prep.model.events import Note, Progress, Stage, Watch
from imagenet_prep.sources.checksum import compare_checksum, is_comparable
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.stores.errors import output_errors
from imagenet_prep.stores.sync import sync_folder
from imagenet_prep.verbs.fetch.report import Fetched
from imagenet_prep.verbs.fetch.resume import in_the_way
from imagenet_prep.verbs.fetch.select_files import Wanted
from imagenet_prep.verbs.fetch.torrent_file import Pieces
from imagenet_prep.verbs.fetch.unfinished import (
    TORRENT,
    Bookmark,
    bytes_on_disk,
    load_bookmark,
    remove_unfinished,
    save_bookmark,
    unfinished_path,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a file stands: ``right`` with its verdict, or to be fetched. ``damage`` says what is wrong with a file that
    has its final name, "" if none has. ``there`` are its bytes on the disk.
    """

    wanted: Wanted
    right: Fetched | None = None
    damage: str = ""
    there: int = 0


def look(wanted: Wanted, paths: dict[int, Path], watch: Watch, verdict: str = "") -> Standing:
    """Say how a file stands. ``paths`` are the files of its torrent that have final names, by index; ``verdict`` is
    what `compare` has said of this one. Raises SourceError for what is in the way.
    """
    final, part = wanted.final, unfinished_path(wanted.final)
    begun = os.path.lexists(part)
    if not os.path.lexists(final):
        return Standing(wanted, there=_look_at_part(wanted, part, watch) if begun else 0)
    with source_errors(final):
        status = final.stat()
        if not stat.S_ISREG(status.st_mode):
            raise in_the_way(final, "is not a file", "Move it away.")
        there = bytes_on_disk(final)
    if (verdict or compare(wanted.archive, final, watch)) == RIGHT:
        return Standing(wanted, Fetched(final.name, status.st_size, 0, RIGHT), there=there)
    pieces = check(wanted, paths, watch)
    damage = _damage(wanted, pieces)
    if not damage:
        return Standing(wanted, _agreed(wanted, pieces, watch), there=there)
    if pieces.damaged == pieces.total:
        raise in_the_way(final, "has not one piece of the torrent's: it is another file", "Move it away.")
    if final.is_symlink():
        raise in_the_way(final, f"{damage}, and is a link", "Repair the file that it leads to, in its own folder.")
    if begun:
        raise in_the_way(final, f"{damage}, and {part.name} is there too", "Move one of the two away.")
    _try_to_write(final, f"{damage}, and ")
    return Standing(wanted, damage=damage, there=there)


def check(wanted: Wanted, paths: dict[int, Path], watch: Watch) -> Pieces:
    """Hash the file at its place in ``paths``, and see whether it agrees with its torrent."""
    with source_errors(paths[wanted.index]):
        counting = _counting(Stage.RECHECK, wanted.final.name, wanted.size, watch)
        return wanted.torrent.check(wanted.index, paths, counting)


def compare(archive: OfficialArchive, final: Path, watch: Watch, path: Path | None = None) -> str:
    """Compare ``final``, or ``path`` that is to be called so, with the published checksum of the archive."""
    path = path or final
    with source_errors(path):
        size = path.stat().st_size
        if not is_comparable(archive.role, final, size):
            return UNPUBLISHED
        return compare_checksum(archive.role, path, _counting(Stage.CHECKSUMS, final.name, size, watch))


def _counting(stage: Stage, name: str, size: int, watch: Watch) -> Callable[[int], None]:
    """Give what is called with the size of each piece that was read, and tells how far all of them are."""
    done = 0

    def read(more: int) -> None:
        nonlocal done
        done += more
        watch(Progress(stage, 0, 0, min(done, size), size, subject=name))

    return read


def not_the_published(wanted: Wanted, path: Path) -> SourceError:
    """Say that a torrent is to blame."""
    return SourceError(
        "A torrent is not of the published file:",
        (Problem(path.name, f"all pieces are those of {wanted.torrent.label}, and the checksum is another"),),
        "Move it away, and take another torrent.",
    )


def make_ready(standing: Standing, watch: Watch) -> None:
    """Make what is there, or nothing, a part that pieces can be written into. Raises OutputError."""
    final, part = standing.wanted.final, unfinished_path(standing.wanted.final)
    before = load_bookmark(final)
    adopted = bool(standing.damage) or (bool(standing.there) and (before is None or before.adopted))
    if not standing.damage:
        with output_errors(part):
            part.touch()  # never a bookmark alone: it would make ours what somebody puts there later
    # The bookmark before any piece: a part without one would be nobody's after a kill. It replaces that of a download
    # by URL, whose bytes came in order: behind the first piece of a torrent, that would trust bytes it never saw.
    save_bookmark(final, Bookmark(by=TORRENT, size=standing.wanted.size, adopted=adopted))
    if standing.damage:
        watch(Note(f"{final.name} {standing.damage}; until it is right it is called {part.name}."))
        with output_errors(final, "rename"):
            final.rename(part)
        sync_folder(final.parent)
    with output_errors(part):
        if part.exists() and part.stat().st_size > standing.wanted.size:
            os.truncate(part, standing.wanted.size)


def tidy(wanted: Wanted) -> None:
    """Take away what `make_ready` has made if no piece came. Raises OutputError."""
    part = unfinished_path(wanted.final)
    with output_errors(part, "read"):
        empty = part.is_file() and part.stat().st_size == 0
    if empty:
        remove_unfinished(wanted.final)


def _try_to_write(path: Path, how: str = "") -> None:
    """Raise SourceError if a file cannot be written into: now, and not when it has already lost its name."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
    except OSError as error:
        why = f"{how}cannot be written: {error.strerror}"
        raise in_the_way(path, why, "Make it writable, or move it away.") from error


def _look_at_part(wanted: Wanted, part: Path, watch: Watch) -> int:
    if not stat.S_ISREG(part.lstat().st_mode):
        raise in_the_way(part, "is not a file", "Move it away.")
    bookmark = load_bookmark(wanted.final)
    if part.stat().st_size == 0:  # a kill before the first byte
        return 0
    if bookmark is None:  # another program has begun it, or the user
        pieces = check(wanted, {wanted.index: part}, watch)
        if pieces.damaged + pieces.unknown == pieces.total:
            raise in_the_way(part, "has not one piece of the torrent's: it is another file", "Move it away.")
    elif bookmark.size not in (None, wanted.size):
        why = f"was begun of a file of {bookmark.size:,} bytes, and the torrent's has {wanted.size:,}"
        raise in_the_way(part, why, "Go on with what it was begun with, or move it away.")
    _try_to_write(part)
    return bytes_on_disk(part)


def _agreed(wanted: Wanted, pieces: Pieces, watch: Watch) -> Fetched:
    """Give a file that agrees with its torrent, and cannot be compared with anything else."""
    if is_comparable(wanted.archive.role, wanted.final, wanted.size):
        raise not_the_published(wanted, wanted.final)
    if pieces.unknown:
        shared = f"{pieces.unknown:,} of the {pieces.total:,} pieces of {wanted.final.name}"
        watch(Note(f"{shared} cannot be checked: a part of each belongs to a file that is not here."))
    return Fetched(wanted.final.name, wanted.size, 0, UNPUBLISHED)


def _damage(wanted: Wanted, pieces: Pieces) -> str:
    """Say what is wrong with a file of a final name; "" if nothing is, as far as it can be told."""
    size = wanted.final.stat().st_size
    if pieces.damaged:
        return f"is damaged in {pieces.damaged:,} of {pieces.total:,} pieces"
    if size > wanted.size:
        return f"is {size - wanted.size:,} bytes too long"
    if size < wanted.size:
        return f"is {wanted.size - size:,} bytes too short"
    if pieces.unknown and is_comparable(wanted.archive.role, wanted.final, size):
        return f"is damaged in one of {pieces.unknown:,} pieces that have parts of other files"
    return ""

"""Where moved files came from: written, and on the disk, before the first of them is touched.

Lines of JSON: a header, one line for each run of files that go from one folder to another, and last the digest of all
lines before. A log that is damaged is refused as a whole: it is what a user's files are put back by.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import xxhash

from imagenet_prep.errors import OutputError
from imagenet_prep.stores.publish import publish_stream
from imagenet_prep.stores.temporary import output_errors

UNDO_VERSION = 1


@dataclass(frozen=True, slots=True)
class Moves:
    """Files ``names`` that go from the folder ``source``, an absolute path, to the folder ``target``, a path below the
    output folder. ``modified`` is the time of ``source`` in nanoseconds. Without a ``source`` the files are new ones.
    """

    source: str
    target: str
    names: list[str]
    modified: int = 0


@dataclass(frozen=True, slots=True)
class UndoLog:
    """All moves of a build. ``archives`` are the absolute paths of the sources it was made of."""

    archives: tuple[str, ...]
    moves: tuple[Moves, ...]


def save_undo_log(path: Path, archives: Iterable[str], moves: Iterable[Moves]) -> None:
    """Write a log, durably; at no time is more of it in memory than a line. Raises DisturbedError."""
    publish_stream(path, lambda file: _write(file, archives, moves))


def _write(file: BinaryIO, archives: Iterable[str], moves: Iterable[Moves]) -> None:
    digest = xxhash.xxh3_128()
    for document in chain([{"version": UNDO_VERSION, "archives": list(archives)}], map(_document, moves)):
        line = json.dumps(document).encode() + b"\n"
        digest.update(line)
        file.write(line)
    file.write(_last_line(digest.hexdigest()))


def _document(moves: Moves) -> dict[str, object]:
    return {"source": moves.source, "target": moves.target, "names": moves.names, "modified": moves.modified}


def _last_line(digest: str) -> bytes:
    return json.dumps({"xxh3_128": digest}).encode() + b"\n"


def load_undo_log(path: Path) -> UndoLog:
    """Read a log back. Raises OutputError if it is not exactly what was written."""
    with output_errors(path, "read"):
        data = path.read_bytes()
    start = data.rstrip(b"\n").rfind(b"\n") + 1
    lines = data[:start]
    if data[start:] != _last_line(xxhash.xxh3_128_hexdigest(lines)):
        raise OutputError(
            f"{path} is damaged: it says where moved files came from, and no file is touched without it.",
            remedy="Restore it from a backup. Its lines name the folders files came from, and those they are in.",
        )
    header, *moves = _parsed(lines)
    if header["version"] != UNDO_VERSION:
        raise OutputError(f"{path} is of another version of imagenet-prep.", remedy="Use that version to undo.")
    return UndoLog(tuple(header["archives"]), tuple(Moves(**line) for line in moves))


def _parsed(lines: bytes) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in lines.splitlines())

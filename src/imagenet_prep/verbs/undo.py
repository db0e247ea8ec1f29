"""Undo: put every file that a build moved back where it was, and take the rest of the build away.

Each file goes back by one rename, so it is at every moment in one of its two places, and the same command goes on after
a kill. A file is never replaced, and nothing that the build did not make is removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imagenet_prep.dataset.layout import BUILD, CLASSES, MANIFEST, SPLIT_LISTS, undo_log_path
from imagenet_prep.dataset.undo_log import Moves, load_undo_log
from imagenet_prep.errors import OutputError, Problem, SourceError, UsageError
from imagenet_prep.imagenet.archives import SPLITS
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.events import Progress, Stage, Watch, unwatched
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.outputs.folders import CLASSES as FOLDER_CLASSES
from imagenet_prep.outputs.folders import META
from imagenet_prep.sources.layout import Source
from imagenet_prep.stores.lock import held
from imagenet_prep.stores.temporary import output_errors, sweep

_EVENTS = 200  # of progress: files of a flat folder go to their classes one by one


@dataclass(frozen=True, slots=True)
class UndoReport:
    """``moved`` files are where they were; ``removed`` images were copies out of archives. ``kept`` are paths in the
    output folder that the build did not make.
    """

    moved: int
    removed: int
    kept: tuple[str, ...]


def undo(out: Source, *, watch: Watch = unwatched) -> UndoReport:
    """Put the files of a build with the transfer ``move`` back, exactly where they were; may be repeated.

    Raises UsageError if ``out`` holds no such build, OtherBuildError while another run is at work in it, SourceError
    with every file that could not be put back (all others are), and OutputError if something cannot be written.
    """
    out = Path(out)
    if not undo_log_path(out).exists():
        raise UsageError(f"{out} holds no moved files: there is nothing to undo.")
    with held(out / PRIVATE, out, alone=True):
        return _undo(out.absolute(), watch)  # a folder cannot be removed under the name "."


def _undo(out: Path, watch: Watch) -> UndoReport:
    log = load_undo_log(undo_log_path(out))
    with output_errors(out):
        sweep(out, shallow=FOLDERS)
        (out / BUILD).unlink(missing_ok=True)  # where it is, the build is complete; now it is not
    total, done, told = sum(len(moves.names) for moves in log.moves), 0, 0
    problems: list[Problem] = []
    for moves in log.moves:
        problems += _put_back(out, moves) if moves.source else _remove(out, moves)
        done += len(moves.names)
        if done - told >= total // _EVENTS or done == total:
            told = done
            watch(Progress(Stage.UNDO, done, total))
    os.sync()
    _restore_times(log.moves)
    if problems:
        raise SourceError(
            f"{len(problems):,} files could not be put back; all others are where they were:",
            tuple(problems),
            "Put each right, and run the same command again.",
        )
    _take_away(out, log.moves)
    _restore_times(log.moves)  # once more: the output folder may have lain in one of them
    moved = sum(len(moves.names) for moves in log.moves if moves.source)
    return UndoReport(moved, total - moved, tuple(_what_is_left(out)))


def _put_back(out: Path, moves: Moves) -> Iterator[Problem]:
    with output_errors(Path(moves.source)):
        os.makedirs(moves.source, exist_ok=True)
    for name in moves.names:
        here, there = f"{out}/{moves.target}/{name}", f"{moves.source}/{name}"
        moved, back = os.path.lexists(here), os.path.lexists(there)
        if moved and back:
            yield Problem(there, f"is there again, though it was moved to {here}: take one of the two away")
        elif moved:
            with output_errors(Path(there)):
                os.rename(here, there)
        elif not back:
            yield Problem(
                there, f"is neither there nor at {here}; to undo the rest without it, put an empty file there"
            )


def _remove(out: Path, moves: Moves) -> Iterator[Problem]:
    """Remove copies that were made out of an archive."""
    for name in moves.names:
        path = out / moves.target / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            yield Problem(str(path), f"cannot be removed: {error.strerror or error}")


def _restore_times(all_moves: tuple[Moves, ...]) -> None:
    """Moving files in and out has changed the times of their folders; what they were is in the log."""
    for moves in all_moves:
        if moves.source:
            with contextlib.suppress(OSError):  # a folder of somebody else's, in which one may rename all the same
                os.utime(moves.source, ns=(os.stat(moves.source).st_atime_ns, moves.modified))


def _take_away(out: Path, all_moves: tuple[Moves, ...]) -> None:
    """Remove what the build made, the log last; folders only where they are empty."""
    documents = [MANIFEST, CLASSES, FOLDER_CLASSES, META, *(f"{SPLIT_LISTS}{split}.txt" for split in SPLITS)]
    with output_errors(out):
        for document in documents:
            (out / document).unlink(missing_ok=True)
        _remove_empty(out, {path for moves in all_moves for path in _with_parents(moves.target)} | {SPLIT_LISTS})
        log = undo_log_path(out)
        for path in log.parent.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path != log:
                path.unlink()
        log.unlink()
        _remove_empty(out, {PRIVATE, ""})


def _with_parents(folder: str) -> Iterator[str]:
    while folder:
        yield folder
        folder = os.path.dirname(folder)


def _remove_empty(out: Path, folders: set[str]) -> None:
    for folder in sorted(folders, key=len, reverse=True):  # the inner ones first
        with contextlib.suppress(FileNotFoundError):
            try:
                (out / folder).rmdir()
            except OSError as error:
                if not any((out / folder).iterdir()):
                    raise OutputError(f"Cannot remove {out / folder}: {error.strerror}.") from error


def _what_is_left(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir()) if out.exists() else []

"""Before files are linked or moved: whether it can be done at all, and for moves, where every file comes from.

Everything that can be known is known before anything is written. The undo log names the files that will be moved and
those that will be new; with it a move that was stopped anywhere goes on, and ``undo`` takes it back.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from imagenet_prep.codecs.condemned import condemned
from imagenet_prep.dataset.layout import undo_log_path
from imagenet_prep.dataset.undo_log import Moves, load_undo_log, save_undo_log
from imagenet_prep.errors import OtherBuildError, OutputError, PrepError, Problem, SourceError, UsageError
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.options import COPY, HARDLINK
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.planning.plan import Plan, Shard
from imagenet_prep.sources.base import source_errors
from imagenet_prep.stores.draft import undisturbed
from imagenet_prep.stores.tree import try_link


def begun_move(out: Path, sources: Iterable[Path]) -> tuple[str, ...]:
    """Give the paths of the archives of a move that began in ``out``: its sources are no longer what they were.

    Raises OtherBuildError if it moves files from elsewhere than ``sources``.
    """
    log = load_undo_log(undo_log_path(out))
    given = [source.resolve() for source in sources]
    elsewhere = [path for path in log.archives if not any(Path(path).resolve().is_relative_to(each) for each in given)]
    if elsewhere:
        raise OtherBuildError(
            f"{out} holds the files of other sources:",
            tuple(Problem(path, "is what it was begun from") for path in elsewhere),
            f"Repeat the command that began this build, or put the files back: imagenet-prep undo {out}",
        )
    return log.archives


def check_transfer(plan: Plan, archives: tuple[str, ...], out: Path) -> None:
    """Raise UsageError if the source has no files to link or move, SourceError if some of them are no images by their
    size, and OutputError if hard links would have to lead to another file system.
    """
    if plan.options.transfer == COPY:
        return
    files = _transferred(plan)
    if not files:
        raise UsageError(
            f"The source has archives alone, and no files to {plan.options.transfer}.",
            remedy="Leave --transfer out: images are written straight from the archives.",
        )
    _refuse_condemned(plan, archives, files)
    if plan.options.transfer == HARDLINK:
        paths = [_first(plan, shard, archives) for shard in files]
        with source_errors(paths[0]):
            _refuse_elsewhere({os.path.dirname(path): os.stat(path) for path in paths}, out)


def _refuse_condemned(plan: Plan, archives: tuple[str, ...], files: list[Shard]) -> None:
    """No image is read that is linked or moved, but its size is known."""
    problems = condemned(plan.catalog, archives, np.sort(np.concatenate([shard.rows for shard in files])))
    if problems:
        raise SourceError(
            f"There are files too small to be images, and a {plan.options.transfer} would take them in unread:",
            problems,
            "Put sound files in their place. Or build without them: --exclude FILE, with their names; or with "
            "--transfer copy and --on-bad set-aside, which keeps their bytes.",
        )


def try_links(plan: Plan, archives: tuple[str, ...], out: Path) -> None:
    """Try in ``out`` whether the files of a source can be linked or moved there; leaves nothing behind if they cannot.

    Raises SourceError and OutputError.
    """
    private = out / PRIVATE
    made = [folder for folder in (private, *private.parents) if not folder.exists()]
    try:
        for shard in _transferred(plan):  # each may lie on a file system of its own
            try_link(private, plan.options.transfer, _first(plan, shard, archives))
    except PrepError:
        for empty in made:
            with suppress(OSError):  # somebody else's by now
                empty.rmdir()
        raise


def _transferred(plan: Plan) -> list[Shard]:
    return [shard for shard in plan.shards if plan.transfer(shard) != COPY]


def check_moves(plan: Plan, archives: tuple[str, ...], out: Path) -> dict[str, int]:
    """Give the folders that files will be moved out of, with their times in nanoseconds, before anything is touched.

    Raises SourceError or OutputError, naming all of them, if there are files that a move cannot move for what they are
    or where they lie.
    """
    folders: dict[str, os.stat_result] = {}
    links: list[Problem] = []
    for move in _moves(plan, archives, {}):
        if move.source:
            with source_errors(move.source):
                folders[move.source] = os.stat(move.source)
                links += _links(move)
    _refuse_elsewhere(folders, out)
    closed = [folder for folder in folders if not os.access(folder, os.W_OK | os.X_OK)]
    if closed:
        raise OutputError(
            "There are folders that files cannot be moved out of:",
            tuple(Problem(folder, "may not be written to") for folder in sorted(closed)),
            "Change their permissions, or choose another --transfer: symlink, or copy.",
        )
    if links:
        raise SourceError(
            "Symbolic links cannot be moved, because they may lead nowhere from their new place:",
            tuple(links),
            "Choose --transfer symlink, hardlink or copy.",
        )
    return {folder: status.st_mtime_ns for folder, status in folders.items()}


def _refuse_elsewhere(folders: dict[str, os.stat_result], out: Path) -> None:
    device = _nearest(out).stat().st_dev
    elsewhere = [folder for folder, status in folders.items() if status.st_dev != device]
    if elsewhere:
        raise OutputError(
            f"There are files on another file system than {out}:",
            tuple(Problem(folder, "lies on another file system") for folder in sorted(elsewhere)),
            "Hard links and moves work within one file system; --transfer copy or symlink within any.",
        )


def log_moves(plan: Plan, archives: tuple[str, ...], out: Path, times: dict[str, int]) -> None:
    """Write the undo log; ``times`` are those of the folders. A million moves are made twice rather than kept: they
    would take more memory than all else.
    """
    undisturbed(lambda: save_undo_log(undo_log_path(out), archives, _moves(plan, archives, times)))


def _nearest(out: Path) -> Path:
    return next(path for path in (out, *out.absolute().parents) if path.exists())


def _first(plan: Plan, shard: Shard, archives: tuple[str, ...]) -> str:
    folder, name, _ = _places(plan, shard._replace(rows=shard.rows[:1]), archives)[0]
    return f"{folder}/{name}"


def _places(plan: Plan, shard: Shard, archives: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """Give folder and name in the source, and the folder in the output, of every image of a shard."""
    rows = plan.catalog.table.select(["archive", "container", "name"]).take(shard.rows)
    columns: list[list[Any]] = [rows[name].to_pylist() for name in ("archive", "container", "name")]
    return [
        (f"{archives[archive]}/{container}".rstrip("/"), name, f"{FOLDERS}/{os.path.dirname(path)}")
        for archive, container, name, path in zip(*columns, plan.paths(shard), strict=True)
    ]


def _moves(plan: Plan, archives: tuple[str, ...], times: dict[str, int]) -> Iterator[Moves]:
    for shard in plan.shards:
        new = plan.transfer(shard) == COPY
        runs = groupby(_places(plan, shard, archives), key=lambda place: (place[0], place[2]))
        for (source, target), places in runs:
            names = [name for _, name, _ in places]
            yield Moves("", target, names) if new else Moves(source, target, names, times.get(source, 0))


def _links(move: Moves) -> Iterator[Problem]:
    for name in move.names:
        if stat.S_ISLNK(os.lstat(f"{move.source}/{name}").st_mode):
            yield Problem(move.source, "is a symbolic link", name)

"""Starting anew: take away what an earlier build made in a folder, and nothing else.

What it made is known by its names, because the plan it was made by may be damaged, or of another version. The note of
what the folder is for stays until the new build's takes its place: removing may be stopped and repeated.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.dataset.layout import (
    BUILD,
    CLASSES,
    EXCLUDED,
    MANIFEST,
    SET_ASIDE_FOLDER,
    SPLIT_LISTS,
    plan_path,
    undo_log_path,
)
from imagenet_prep.errors import OtherBuildError, Problem, UsageError
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.events import Progress, Stage, Watch
from imagenet_prep.options import MOVE
from imagenet_prep.outputs import FORMATS
from imagenet_prep.outputs.base import Format
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.planning.plan import Plan, entries_of
from imagenet_prep.sources.labels import IMAGE_NAME
from imagenet_prep.stores.lock import held
from imagenet_prep.stores.publish import publish_bytes
from imagenet_prep.stores.temporary import output_errors, sweep

_OURS = (
    *(re.escape(name) for name in (BUILD, CLASSES, MANIFEST, EXCLUDED)),
    rf"{SPLIT_LISTS}(?:train|validation|test)\.txt",
    rf"{SET_ASIDE_FOLDER}{IMAGE_NAME}",
    rf"{re.escape(PRIVATE)}/(?:receipts/[^/]+\.receipt|catalog\.arrow)",
)


def check_fresh(out: Path, plan: Plan, archives: tuple[str, ...]) -> None:
    """Raise OtherBuildError if files were moved to ``out`` (they are no copies), and UsageError if what the new build
    is made of lies there; ``archives`` are the paths of the plan's archives.
    """
    _refuse_moved(out)
    inside = _inside(out, archives) or _inside(out, _first_images(plan, archives))
    if inside:
        raise UsageError(
            f"These sources lie in {out}, where an earlier build is to be taken away:",
            tuple(Problem(path, "would go with it") for path in inside),
            "Build into another folder.",
        )


def size_of_earlier(out: Path) -> int:
    """Give the bytes that removing an earlier build would free."""
    return sum(_freed(f"{out}/{path}") for _, files in _walk(out) for path in files)


def remove_earlier(out: Path, plan: Plan, watch: Watch) -> None:
    """Remove an earlier build, and note that the folder is for ``plan`` now. Raises OtherBuildError while another run
    is at work in ``out`` or if it has moved files there, and OutputError.
    """
    if not (out / PRIVATE).is_dir():
        return
    with held(out / PRIVATE, out, alone=True), output_errors(out):
        _refuse_moved(out)  # once more: before the folder was held, a move may have begun
        (out / BUILD).unlink(missing_ok=True)  # first what says that the build is complete
        sweep(out, shallow=FOLDERS)
        removed = 0
        for folder, files in _walk(out):
            for path in files:
                (out / path).unlink(missing_ok=True)
            removed += len(files)
            watch(Progress(Stage.REMOVE, removed, 0))
            if folder not in ("", PRIVATE):
                with contextlib.suppress(OSError):  # with files of the user's in it, or a link
                    (out / folder).rmdir()
        publish_bytes(plan_path(out), seal(plan.document()))


def _refuse_moved(out: Path) -> None:
    if undo_log_path(out).exists():
        remedy = f"Put them back first: imagenet-prep undo {out}"
    elif any(map(_says_moved, (plan_path(out), out / BUILD))):
        remedy = "There is no undo log to put them back by: take them out of the folder first."
    else:
        return
    raise OtherBuildError(f"{out} holds files that were moved there: they are not taken away.", remedy=remedy)


def _says_moved(path: Path) -> bool:
    try:
        document = unseal(path.read_bytes())
    except (OSError, ValueError):
        return False
    tree = document.get("recipe", document).get("folders", {})
    return bool(tree.get("transfer") == MOVE)


def _inside(out: Path, paths: Iterable[str]) -> list[str]:
    """Give the paths that lead into ``out``, or into a folder that is linked there."""
    linked = [path for path in out.iterdir() if path.is_symlink()] if out.exists() else []
    roots = [path.resolve() for path in (out, *linked)]
    return [path for path in paths if any(Path(path).resolve().is_relative_to(root) for root in roots)]


def _first_images(plan: Plan, archives: tuple[str, ...]) -> Iterator[str]:
    """Yield the first image of each shard, if it is a file: it may be a link that leads elsewhere."""
    entries = entries_of(plan.catalog.table.take([int(shard.rows[0]) for shard in plan.shards]))
    for row in range(len(entries)):
        if plan.catalog.archives[entries.archives[row]].folder:
            yield f"{archives[entries.archives[row]]}/{entries.file(row)}"


def _walk(out: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders that a build may have made, the inner ones first, with the files in them that it made; paths
    are below ``out``. A folder that was put elsewhere and linked is one, too.
    """
    formats = _formats(out)
    pattern = re.compile("|".join((*_OURS, *(made.made for made in formats))))
    tops = {path.partition("/")[0] for made in formats for path in made.outputs}
    for top in sorted(tops | {SPLIT_LISTS.rstrip("/"), SET_ASIDE_FOLDER.rstrip("/"), PRIVATE}):
        for folder, _, names in os.walk(out / top, topdown=False):
            below = os.path.relpath(folder, out)
            yield below, [path for name in names if pattern.fullmatch(path := f"{below}/{name}")]
    names = [path.name for path in out.iterdir()] if out.exists() else []
    yield "", [name for name in names if pattern.fullmatch(name)]


def _formats(out: Path) -> list[Format]:
    """Give the formats of the earlier build; all there are, if it does not say."""
    try:
        names = unseal(plan_path(out).read_bytes())["formats"]
        return [FORMATS[name] for name in names]
    except (OSError, ValueError, KeyError, TypeError):
        return list(FORMATS.values())


def _freed(path: str) -> int:
    try:
        status = os.lstat(path)
    except FileNotFoundError:  # a temporary file, or another run's
        return 0
    return status.st_size if status.st_nlink == 1 else 0

"""Starting anew: take away what an earlier build made in a folder, and nothing else.

What it made is known by its names, because the plan it was made by may be damaged, or of another version. The note of
what the folder is for stays until the new build's takes its place: removing may be stopped and repeated.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from imagenet_prep.core.archive import PRIVATE
from imagenet_prep.core.plan import Plan, entries_of
from imagenet_prep.core.progress import Progress, Watch
from imagenet_prep.errors import OtherBuildError, Problem, UsageError
from imagenet_prep.formats import FORMATS
from imagenet_prep.sources.labels import IMAGE_NAME
from imagenet_prep.steps.places import (
    BUILD,
    CLASSES,
    EXCLUDED,
    MANIFEST,
    SET_ASIDE,
    SPLIT_LISTS,
    plan_path,
    undo_log_path,
)
from imagenet_prep.storage.documents import seal
from imagenet_prep.storage.lock import held
from imagenet_prep.storage.publish import publish_bytes
from imagenet_prep.storage.temporary import TEMPORARY, output_errors

_OURS = (
    *(re.escape(name) for name in (BUILD, CLASSES, MANIFEST, EXCLUDED)),
    rf"{SPLIT_LISTS}(?:train|validation|test)\.txt",
    rf"{SET_ASIDE}{IMAGE_NAME}",
    rf"{re.escape(PRIVATE)}/(?:receipts/[^/]+\.receipt|catalog\.arrow)",
    rf"(?:.*/)?{TEMPORARY}",
)
_EVENT = 10_000  # files between two words of progress


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier build left: paths below the folder, what removing them frees in bytes, and the folders."""

    files: list[str]
    size: int
    folders: list[str]


def earlier_build(out: Path, plan: Plan, archives: tuple[str, ...]) -> Earlier:
    """Find what an earlier build made in ``out``. Raises OtherBuildError if files were moved there (they are no copies)
    and UsageError if what the new one is made of lies there; ``archives`` are the paths of the plan's archives.
    """
    if undo_log_path(out).exists():
        raise OtherBuildError(
            f"{out} holds files that were moved there: they are not taken away.",
            remedy=f"Put them back first: imagenet-prep undo {out}",
        )
    inside = _inside(out, archives) or _inside(out, _first_images(plan, archives))
    if inside:
        raise UsageError(
            f"These sources lie in {out}, where an earlier build is to be taken away:",
            tuple(Problem(path, "would go with it") for path in inside),
            "Build into another folder.",
        )
    pattern = re.compile("|".join((*_OURS, *(made.made for made in FORMATS.values()))))
    files, size, folders = [], 0, []
    for folder, names in _walk(out):
        ours = [path for name in names if pattern.fullmatch(path := os.path.join(folder, name))]
        files += ours
        size += sum(_freed(out / path) for path in ours)
        folders.append(folder)
    return Earlier(files, size, folders)


def remove(out: Path, earlier: Earlier, plan: Plan, watch: Watch) -> None:
    """Remove an earlier build, and note that the folder is for ``plan`` now. Raises OtherBuildError while another run
    is at work in ``out``, and OutputError.
    """
    if not (out / PRIVATE).is_dir():
        return
    with held(out / PRIVATE, out, alone=True), output_errors(out):
        # First what says that the build is complete.
        for count, path in enumerate(sorted(earlier.files, key=lambda path: path != BUILD)):
            (out / path).unlink(missing_ok=True)
            if count % _EVENT == 0:
                watch(Progress("remove", count, len(earlier.files)))
        for folder in sorted(earlier.folders, key=len, reverse=True):  # the inner ones first
            if folder not in ("", PRIVATE):
                with contextlib.suppress(OSError):  # with files of the user's in it
                    (out / folder).rmdir()
        publish_bytes(plan_path(out), seal(plan.document()))


def _inside(out: Path, paths: Iterable[str]) -> list[str]:
    return [path for path in paths if Path(path).resolve().is_relative_to(out.resolve())]


def _first_images(plan: Plan, archives: tuple[str, ...]) -> Iterator[str]:
    """Yield the first image of each shard, if it is a file: it may be a link that leads elsewhere."""
    entries = entries_of(plan.catalog.table.take([int(shard.rows[0]) for shard in plan.shards]))
    for row in range(len(entries)):
        if plan.catalog.archives[entries.archives[row]].folder:
            yield f"{archives[entries.archives[row]]}/{entries.file(row)}"


def _walk(out: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders that a build may have made, below ``out``, with the names of their files."""
    tops = {path.partition("/")[0] for made in FORMATS.values() for path in made.outputs}
    tops |= {SPLIT_LISTS.rstrip("/"), SET_ASIDE.rstrip("/"), PRIVATE}
    for folder, folders, names in os.walk(out):
        below = os.path.relpath(folder, out)
        if below == ".":
            folders[:] = [name for name in folders if name in tops]
        yield "" if below == "." else below, names


def _freed(path: Path) -> int:
    status = path.lstat()
    return status.st_size if status.st_nlink == 1 else 0

"""Whether a build can be done, decided before a byte is written: room, links, and moves."""

from __future__ import annotations

import os
from collections.abc import Iterable
from stat import S_ISLNK

import numpy as np
import pyarrow as pa

from imagenet_prep.errors import OutputError, Problem, SourceError, UsageError
from imagenet_prep.model.task import Entries
from imagenet_prep.outputs.base import WHOLE_FILE, Output, StoredShard
from imagenet_prep.planning.condemned import condemned
from imagenet_prep.planning.plan import OutputPlan, Plan, Shard, entries_of
from imagenet_prep.planning.splits import Rows
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.stores.base import Store

_DOCUMENTS = 32  # files of a data set that are no shards: generous
_ROW_BYTES = 256  # of each image in catalog, receipt and manifest together: generous


def space_needed(plan: Plan, missing: Iterable[tuple[OutputPlan, Shard]]) -> int:
    """Give the bytes that the missing shards will take: generous, not exact."""
    needed = 0
    own = plan.catalog.own_files()
    for of, shard in missing:
        read = [of.output.reads(own_file=is_own) for is_own in own[shard.rows[:1]].tolist()]
        size = shard.size if all(read) else 0
        needed += size + len(shard.rows) * (of.output.overhead + _ROW_BYTES)
    return needed


def files_needed(plan: Plan, missing: Iterable[tuple[OutputPlan, Shard]]) -> int:
    """Give how many files the missing shards will be, with their receipts, and the documents beside them."""
    files = _DOCUMENTS
    for of, shard in missing:
        whole = of.output.image_range is WHOLE_FILE
        stored = StoredShard(shard.name, (), (), plan.class_names)
        files += 1 + (len(shard.rows) if whole else len(of.output.files(stored)))
    return files


def check_links(store: Store, plan: Plan, output: Output) -> None:
    """Raise UsageError if an output wants links, and the source has no files or the store cannot link; SourceError and
    OutputError if files cannot be moved for what they are or where they lie.
    """
    if output.reads(own_file=True):
        return
    if not store.links:
        raise UsageError(f"{store.place} cannot hold links to files.", remedy="Choose --transfer copy.")
    rows = _rows_of_own_files(plan)
    if not len(rows):
        raise UsageError(
            "The source has only archives, and no files to link or move.",
            remedy="Leave --transfer out: images are written straight from the archives.",
        )
    _refuse_condemned(plan, rows)
    if output.moves:
        _check_moves(plan, entries_of(plan.catalog.table.take(rows), plan.catalog.archives))


def _refuse_condemned(plan: Plan, rows: Rows) -> None:
    """Refuse images that are too small: linked images are not read, but their sizes are known."""
    problems = condemned(plan.catalog, paths_of(plan), np.sort(rows))
    if problems:
        raise SourceError(
            "There are files too small to be images, and links would take them in unread:",
            problems,
            "Put sound files in their place. Or build without them: --exclude FILE, with their names; or with "
            "--transfer copy and --on-bad set-aside, which keeps their bytes.",
        )


def try_links(store: Store, plan: Plan, output: Output) -> None:
    """Try in the store whether the files can be linked: one of each file system of each source."""
    if output.reads(own_file=True):
        return
    entries, archives = _one_of_each_folder(plan), paths_of(plan)
    tried: set[tuple[int, int]] = set()
    for row in range(len(entries)):
        file = entries.place(row, archives)
        folder = os.path.dirname(file)
        with source_errors(folder):
            file_system = entries.archives[row], os.stat(folder).st_dev  # two mounts of one disk have one number
        if file_system not in tried:
            tried.add(file_system)
            store.try_link(file, symbolic=output.symbolic)


def paths_of(plan: Plan) -> tuple[str, ...]:
    """Give the paths of the archives."""
    return tuple(archive.path for archive in plan.catalog.archives)


def _rows_of_own_files(plan: Plan) -> Rows:
    rows = np.concatenate(list(plan.members.values()))
    own: Rows = rows[plan.catalog.own_files()[rows]]
    return own


def _one_of_each_folder(plan: Plan) -> Entries:
    rows = np.sort(_rows_of_own_files(plan))
    files = plan.catalog.table.select(["archive", "container"]).take(rows).append_column("row", pa.array(rows))
    first = files.group_by(["archive", "container"], use_threads=False).aggregate([("row", "min")])["row_min"]
    return entries_of(plan.catalog.table.take(first), plan.catalog.archives)


def _check_moves(plan: Plan, entries: Entries) -> None:
    archives = paths_of(plan)
    folders: dict[str, None] = {}
    links: list[Problem] = []
    others: list[Problem] = []
    all_linkable = may_link_all()
    for row in range(len(entries)):
        place = entries.place(row, archives)
        folder, _, name = place.rpartition("/")
        folders[folder] = None
        with source_errors(place):
            status = os.lstat(place)
        if S_ISLNK(status.st_mode):
            links.append(Problem(folder, "is a symbolic link", name))
        elif not all_linkable and status.st_uid != os.geteuid() and not os.access(place, os.R_OK | os.W_OK):
            others.append(Problem(folder, "belongs to somebody else", name))
    if links:
        raise SourceError(
            "Symbolic links cannot be moved, because they may lead nowhere from their new place:",
            tuple(links),
            "Choose --transfer symlink, hardlink or copy.",
        )
    closed = [Problem(folder, "may not be written to") for folder in sorted(folders) if not _is_open(folder)]
    if closed or others:
        raise OutputError(
            "There are files that cannot be moved:",
            (*closed, *others),
            "Change permissions or owners, or choose another --transfer: symlink, or copy.",
        )


def _is_open(folder: str) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def may_link_all() -> bool:
    """Whether this user may link files that belong to others: Linux has a switch for it (proc_sys_fs(5))."""
    try:
        with open("/proc/sys/fs/protected_hardlinks", encoding="ascii") as switch:
            return switch.read().strip() == "0" or os.geteuid() == 0
    except OSError:
        return True

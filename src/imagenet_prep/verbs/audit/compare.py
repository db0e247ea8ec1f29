"""Compares a finished build with its documents, in an order in which nothing is believed before it was proved.

``build.json`` proves itself, it proves the documents, the manifest among them, and the manifest proves every image; the
shards' own digests and checksums prove the rest. So no byte of a build can change unseen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.codecs.sealed import unseal
from imagenet_prep.dataset.layout import BUILD, MANIFEST, SET_ASIDE_FOLDER
from imagenet_prep.dataset.manifest import read_manifest
from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.shared_files import seeing
from imagenet_prep.errors import AuditError, PrepError, Problem
from imagenet_prep.imagenet.archives import SPLITS
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.audit_report import AuditOptions, AuditReport, SplitAudit
from imagenet_prep.model.events import Stage, Tally, Watch
from imagenet_prep.model.task import FileFact
from imagenet_prep.options import MOVE
from imagenet_prep.stores.digests import fact_of_file
from imagenet_prep.verbs.audit.documents import audit_at_rest, fact_of
from imagenet_prep.verbs.audit.expected import COLUMNS, PATH, read_back_tasks
from imagenet_prep.verbs.audit.shard import ReadBack, ReadBackTask, read_back
from imagenet_prep.verbs.audit.state import strange_receipts
from imagenet_prep.verbs.audit.strays import strays
from imagenet_prep.verbs.audit.unexpected import beside

_REMEDY = "Run the build command again with --repair: it makes anew what is damaged."
_BAD_REMEDY = (
    "Images that do not decode are as they were in the source: the build command again with --check decode --on-bad "
    "set-aside leaves them out."
)
_MOVED_REMEDY = (
    "Do not delete moved files: there are no others. Restore the damaged ones from a backup, and run the build command "
    "again."
)
_STRAY_REMEDY = "Take out what is not of the build."


def compare(out: Path, options: AuditOptions, engine: Engine, watch: Watch) -> AuditReport:
    """Compare the build in ``out`` with its documents. Raises AuditError with all that differs."""
    document, manifest = _read_documents(out)
    shards = _chosen(document, manifest, options.sample)
    read = _Sum(Tally(watch, Stage.AUDIT, *_totals(shards)))
    work = seeing(engine, read_back, [str(out / BUILD)])
    reading = engine.run(work, _tasks(out, shards, options), read.lost, read.tally.running)  # beside the rest
    at_rest = list(audit_at_rest(out, document, manifest))
    read.add_up(reading)
    problems = list(dict.fromkeys([*at_rest, *read.problems]))
    extra = [*beside(out, _own(document, manifest)), *_in_folders(out, manifest), *strange_receipts(out, document)]
    _raise_any(out, {_remedy(document): problems, _BAD_REMEDY: read.undecodable, _STRAY_REMEDY: extra}, read.unread)
    written = manifest.filter(manifest["set_aside"].is_null())
    return AuditReport(
        splits={split: _split_audit(written, split) for split in SPLITS if split in document["splits"]},
        records=read.tally.done,
        size=read.tally.bytes_done,
        shards=len(document["shards"]),
        shards_read=len(shards),
        set_aside=len(manifest) - len(written),
        undigested=written["digest"].null_count,
        decoded=options.decode,
        resumable=(out / PRIVATE).is_dir(),
    )


def _raise_any(out: Path, found: dict[str, list[Problem]], unread: list[Problem]) -> None:
    """Raise what was found, by remedy, as one error. What nobody could read is not known to be damaged."""
    problems = tuple(problem for of_kind in found.values() for problem in of_kind)
    if problems:
        only_bad = len(problems) == len(found[_BAD_REMEDY])
        what = "is what was built, but has images that do not decode" if only_bad else "is not what was built"
        count = f"{len(problems):,} {'image' if only_bad else 'difference'}{'s' if len(problems) > 1 else ''}"
        remedies = (remedy for remedy, of_kind in found.items() if of_kind)
        raise AuditError(f"{out} {what}: {count}:", (*problems, *unread), " ".join(remedies))
    if unread:
        summary = f"{out} was not read as a whole, because worker processes died; nothing was found wrong in the rest:"
        raise PrepError(summary, tuple(unread), "Run the same command again; fewer --jobs need less memory.")


class _Shard(NamedTuple):
    """A shard as ``build.json`` has it, and its rows of the manifest."""

    name: str
    files: dict[str, tuple[FileFact, ...]]
    rows: pa.Table


def _read_documents(out: Path) -> tuple[dict[str, Any], pa.Table]:
    name = BUILD
    try:
        document = unseal((out / BUILD).read_bytes())
        name = MANIFEST
        return document, _read_manifest(out, document)
    except FileNotFoundError as error:
        remedy = "Run the build command again to finish it."
        raise AuditError(f"{out} holds no finished build: {name} is missing.", remedy=remedy) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise AuditError(f"{out / name} is damaged: {error}.", remedy=_REMEDY) from error


def _read_manifest(out: Path, document: dict[str, Any]) -> pa.Table:
    """Nothing of it is believed before its digest fits: a damaged one may be read as anything."""
    if fact_of_file(out, MANIFEST) not in map(fact_of, document["documents"]):
        raise ValueError("its digest does not fit")
    return pa.Table.from_batches(list(read_manifest(out, [*COLUMNS, PATH])))


def _chosen(document: dict[str, Any], manifest: pa.Table, share: float) -> list[_Shard]:
    """Give the shards to read, in their order."""
    shards, start = [], 0
    for shard in document["shards"]:
        rows = manifest.slice(start, shard["images"] + shard["set_aside"])
        start += len(rows)
        files = {name: tuple(map(fact_of, files)) for name, files in shard["files"].items()}
        shards.append(_Shard(shard["name"], files, rows))
    chosen = SystemRandom().sample(range(len(shards)), math.ceil(share * len(shards)))
    return [shards[place] for place in sorted(chosen)]


def _tasks(out: Path, shards: list[_Shard], options: AuditOptions) -> Iterator[ReadBackTask]:
    for shard in shards:
        yield from read_back_tasks(out, shard.name, shard.files, shard.rows, decode=options.decode)


class _Sum:
    """Adds up what was read: the number of records, the bytes of their files, and what is wrong."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.problems: list[Problem] = []
        self.undecodable: list[Problem] = []
        self.unread: list[Problem] = []

    def lost(self, task: ReadBackTask) -> ReadBack:
        """Note a shard that two workers died of."""
        self.unread.append(Problem(f"{task.shard} ({task.format})", "the process that read it died twice"))
        return ReadBack(0, 0, ())

    def add_up(self, reading: Iterator[ReadBack]) -> None:
        """Take everything that was read."""
        for found in reading:
            self.problems += found.problems
            self.undecodable += found.undecodable
            self.tally.finished(found.images, found.size)


def _totals(shards: list[_Shard]) -> tuple[int, int]:
    """Give the records and bytes that are to be read, of class folders those of the images."""
    records = size = 0
    for shard in shards:
        written = shard.rows.filter(shard.rows["set_aside"].is_null())
        records += len(written) * len(shard.files)
        for files in shard.files.values():
            size += sum(file.size for file in files) if files else pc.sum(written["size"]).as_py() or 0
    return records, size


def _own(document: dict[str, Any], manifest: pa.Table) -> Iterator[str]:
    """Yield the paths of all files of the build, but those in class folders."""
    yield BUILD
    yield from (file["path"] for file in document["documents"])
    for shard in document["shards"]:
        yield from (file["path"] for files in shard["files"].values() for file in files)
    left_out = manifest.filter(manifest["set_aside"].is_valid())
    yield from (f"{SET_ASIDE_FOLDER}{name}" for name in left_out["name"].to_pylist())


def _in_folders(out: Path, manifest: pa.Table) -> Iterator[Problem]:
    if PATH in manifest.column_names:
        yield from strays(out, manifest[PATH].drop_null())


def _remedy(document: dict[str, Any]) -> str:
    return _MOVED_REMEDY if document["recipe"].get("folders", {}).get("transfer") == MOVE else _REMEDY


def _split_audit(written: pa.Table, split: str) -> SplitAudit:
    classes = pc.value_counts(written.filter(pc.equal(written["split"], split))["class_index"]).field("counts")
    low_high = pc.min_max(classes)
    low, high = (low_high[end].as_py() or 0 for end in ("min", "max"))
    return SplitAudit(pc.sum(classes).as_py() or 0, len(classes), low, high)

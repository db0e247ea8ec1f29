"""Audit: read every record of a finished build back, from the output folder alone, and compare it with the manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imagenet_prep.core.progress import Progress, Watch, unwatched
from imagenet_prep.core.task import FileFact
from imagenet_prep.engine.local import local_engine
from imagenet_prep.errors import AuditError, Problem
from imagenet_prep.sources.layout import Source
from imagenet_prep.steps.places import BUILD, MANIFEST, plan_path
from imagenet_prep.steps.read_back import ReadBackTask, compare_file, read_back

_REMEDY = "Delete the damaged files and run the build command again: it makes just these anew."
_COLUMNS = ["split", "name", "class_index", "digest", "repaired"]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was read: images per split (each counted once), records in all formats, bytes of all files."""

    splits: dict[str, int]
    records: int
    size: int


def audit(out: Source, *, jobs: int = 0, watch: Watch = unwatched) -> AuditReport:
    """Read the build in ``out`` back, with ``jobs`` processes (0: one for each processor), and compare it with its
    manifest.

    Checked: size and digest of every shard, index and document; framing, checksums, name, class index and image of
    every record; that no image is there twice. Raises AuditError with all that differs.
    """
    out = Path(out)
    document, manifest = _read_documents(out)
    documents = [_fact(file) for file in document["documents"]]
    problems = [problem for file in documents if (problem := compare_file(out, file))] + _doubled(manifest)
    tasks = list(_tasks(out, document, manifest))
    total, total_size = sum(len(task.names) for task in tasks), sum(file.size for task in tasks for file in task.files)
    records = size = 0
    with local_engine(jobs) as engine:
        for found in engine.run(read_back, tasks):
            records, size = records + found.images, size + found.size
            problems += found.problems
            watch(Progress("audit", records, total, size, total_size))
    if problems:
        raise AuditError(f"{out} is not what was built: {len(problems):,} differences:", tuple(problems), _REMEDY)
    counts = {split: len(manifest.filter(pc.equal(manifest["split"], split))) for split in document["splits"]}
    return AuditReport(counts, records, size)


def _read_documents(out: Path) -> tuple[dict[str, Any], pa.Table]:
    if not (out / BUILD).exists() and not plan_path(out).exists():
        raise AuditError(f"{out} is no build of imagenet-prep.")
    name = BUILD
    try:
        document = json.loads((out / BUILD).read_bytes())
        name = MANIFEST
        with (out / MANIFEST).open("rb") as file:
            return document, pq.read_table(file, columns=_COLUMNS)
    except FileNotFoundError as error:
        remedy = "Run the build command again to finish it."
        raise AuditError(f"{out} holds no finished build: {name} is missing.", remedy=remedy) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise AuditError(f"{out / name} is damaged: {error}.", remedy=_REMEDY) from error


def _doubled(manifest: pa.Table) -> list[Problem]:
    counts = pc.value_counts(manifest["name"])
    doubled = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    return [Problem(MANIFEST, "names an image more than once", name) for name in doubled.to_pylist()]


def _tasks(out: Path, document: dict[str, Any], manifest: pa.Table) -> Iterator[ReadBackTask]:
    start = 0
    for shard in document["shards"]:
        rows = manifest.slice(start, shard["images"])
        start += shard["images"]
        digests = pc.if_else(rows["repaired"], "", rows["digest"]).to_pylist()
        names, class_indexes = rows["name"].to_pylist(), rows["class_index"].to_pylist()
        for name, files in shard["files"].items():
            facts = tuple(map(_fact, files))
            yield ReadBackTask(str(out), name, facts, names, class_indexes, digests)


def _fact(file: dict[str, Any]) -> FileFact:
    return FileFact(file["path"], file["size"], file["xxh3_128"])

"""Read one shard back through its format's own reader and compare every record with what the manifest says of it.

The counterpart of ``steps/write.py``, and like it free of Arrow: it runs in workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import xxhash

from imagenet_prep.core.sample import Sample
from imagenet_prep.core.task import FileFact
from imagenet_prep.errors import AuditError, Problem
from imagenet_prep.formats import format_named

_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class ReadBackTask:
    """One shard of one format. The columns are the manifest's, in order; a repaired image has no digest to compare,
    and "".
    """

    out: str
    format: str
    files: tuple[FileFact, ...]
    names: list[str]
    class_indexes: list[int]
    digests: list[str]


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What came of it: records that were read, bytes of the files, and everything that differs."""

    images: int
    size: int
    problems: tuple[Problem, ...]


def read_back(task: ReadBackTask) -> ReadBack:
    """Compare one shard with the manifest. Damage is reported, never raised; may be repeated."""
    out = Path(task.out)
    problems = [problem for file in task.files if (problem := compare_file(out, file))]
    shard = task.files[0].path
    images = 0
    try:
        for row, sample in enumerate(_samples(task, out / shard, shard)):
            images += 1
            problems += _compare_record(task, shard, row, sample)
    except AuditError as error:
        problems += error.problems
    except OSError:
        pass  # said already, of the file as a whole
    if images < len(task.names) and not problems:
        problems.append(Problem(shard, f"has {images:,} records instead of {len(task.names):,}"))
    return ReadBack(images, sum(file.size for file in task.files), tuple(problems))


def _samples(task: ReadBackTask, path: Path, name: str) -> Iterator[Sample]:
    return format_named(task.format).read(path, name)


def compare_file(out: Path, file: FileFact) -> Problem | None:
    """Compare a file's size and digest with what was noted when it was written; None if it is the same."""
    digest = xxhash.xxh3_128()
    size = 0
    try:
        with (out / file.path).open("rb") as opened:
            while chunk := opened.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        return Problem(file.path, "is missing")
    except OSError as error:
        return Problem(file.path, f"cannot be read: {error.strerror or error}")
    if size != file.size:
        return Problem(file.path, f"has {size:,} bytes instead of {file.size:,}")
    if digest.hexdigest() != file.digest:
        return Problem(file.path, f"has the digest {digest.hexdigest()} instead of {file.digest}")
    return None


def _compare_record(task: ReadBackTask, shard: str, row: int, sample: Sample) -> Iterator[Problem]:
    if row >= len(task.names):
        yield Problem(shard, f"record {row:,} is one too many", sample.name)
        return
    if sample.name != task.names[row]:
        yield Problem(shard, f"record {row:,} is {sample.name} instead of {task.names[row]}")
        return
    if sample.class_index != task.class_indexes[row]:
        reason = f"has class index {sample.class_index} instead of {task.class_indexes[row]}"
        yield Problem(shard, reason, sample.name)
    if task.digests[row] and xxhash.xxh3_128_hexdigest(sample.image) != task.digests[row]:
        yield Problem(shard, "is not the image that was in the source", sample.name)

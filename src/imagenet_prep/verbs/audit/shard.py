"""Read one shard back through its format's own reader and compare every record with what the manifest says of it.

The counterpart of ``steps/write.py``, and like it free of Arrow: it runs in workers. A sound file is read once: the
reader takes its digest on the way. Only one that the reader did not get through is read again as a whole, because its
size and digest tell more than the place of the first damage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import xxhash

from imagenet_prep.codecs.jpeg import NotAnImageError, decode, inspect
from imagenet_prep.engines.reports import report
from imagenet_prep.errors import AuditError, Problem, printable
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.model.task import FileFact
from imagenet_prep.outputs import format_named
from imagenet_prep.stores.digests import fact_of_file

_UNTOLD = -1  # the class index of an image in a folder that the class table does not name: the table is itself compared


@dataclass(frozen=True, slots=True)
class ReadBackTask:
    """One shard of one format. The columns are the manifest's, in order, of the images that were written: ``sizes`` are
    those in the source, ``paths`` those in the tree of class folders, if there is one. An image without a digest to
    compare (it was repaired, linked or moved) has "" or None. With ``decode``, every image is decoded in full.
    """

    out: str
    format: str
    shard: str
    files: tuple[FileFact, ...]
    paths: list[str]
    names: list[str]
    class_indexes: list[int]
    sizes: list[int]
    digests: list[str | None]
    decode: bool = False

    @property
    def size(self) -> int:
        """Bytes to read; without files of the shard's own, those of its images."""
        return sum(file.size for file in self.files) if self.files else sum(self.sizes)


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What came of it: records that were read, bytes of the files, everything that differs, and images that do not
    decode, which they may not have done in the source.
    """

    images: int
    size: int
    problems: tuple[Problem, ...]
    undecodable: tuple[Problem, ...] = ()


def read_back(task: ReadBackTask) -> ReadBack:
    """Compare one shard with the manifest. Damage is reported, never raised; may be repeated."""
    out = Path(task.out)
    files = format_named(task.format).sample_files(ShardName.parse(task.shard), task.paths)
    seen: list[FileFact] = []
    images, of_records, undecodable = 0, list[Problem](), list[Problem]()
    for row, sample in _samples(task, out, files, seen, of_records):
        images += 1
        report(1, len(sample.image))
        place = files[0] if task.files else files[row]
        of_records += _compare_record(task, place, row, sample)
        if task.decode and (reason := _undecodable(bytes(sample.image))):
            undecodable.append(Problem(place, reason, _member(task, sample)))
    problems = [*_compare_files(task, out, seen), *of_records]
    if images < len(task.names) and not problems:
        problems.append(Problem(files[0], f"has {images:,} records instead of {len(task.names):,}"))
    return ReadBack(images, task.size, tuple(dict.fromkeys(problems)), tuple(undecodable))


def _samples(
    task: ReadBackTask, out: Path, files: Sequence[str], seen: list[FileFact], problems: list[Problem]
) -> Iterator[tuple[int, Sample]]:
    """Yield row and sample of all that can be read; note the rest. Where every image is a file, one does not end it."""
    reader = format_named(task.format)
    row = 0
    while row < len(task.names):
        try:
            for sample in reader.read(out, files, seen) if task.files else reader.read(out, files[row:]):
                yield row, sample
                row += 1
        except AuditError as error:
            problems += error.problems
        except OSError as error:
            if not task.files:  # otherwise it is said of the file as a whole
                problems.append(Problem(files[row], _unreadable_image(out / files[row], error)))
        if task.files:
            return
        row += 1  # behind the image that could not be read, if there was one


def _compare_files(task: ReadBackTask, out: Path, seen: Sequence[FileFact]) -> Iterator[Problem]:
    """Compare the files of a shard; ``seen`` are those that were read to their end."""
    facts = {fact.path: fact for fact in seen}
    for file in task.files:
        found = facts.get(file.path)
        problem = _difference(found, file) if found else compare_file(out, file)
        if problem:
            yield problem


def unreadable(error: OSError) -> str:
    """Say why a file or folder could not be read."""
    return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror or error}"


def _unreadable_image(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"is a symbolic link to {printable(str(path.readlink()))}, which is not there"
    return unreadable(error)


def compare_file(out: Path, file: FileFact) -> Problem | None:
    """Compare a file's size and digest with what was noted when it was written; None if it is the same."""
    try:
        return _difference(fact_of_file(out, file.path), file)
    except OSError as error:
        return Problem(file.path, unreadable(error))


def _difference(found: FileFact, file: FileFact) -> Problem | None:
    if found.size != file.size:
        return Problem(file.path, f"has {found.size:,} bytes instead of {file.size:,}")
    if found.digest != file.digest:
        return Problem(file.path, f"has the digest {found.digest} instead of {file.digest}")
    return None


def _compare_record(task: ReadBackTask, shard: str, row: int, sample: Sample) -> Iterator[Problem]:
    member = _member(task, sample)
    if row >= len(task.names):
        yield Problem(shard, f"record {row:,} is one too many", member)
        return
    if sample.name != task.names[row]:
        yield Problem(shard, f"record {row:,} is {printable(sample.name)} instead of {task.names[row]}")
        return
    untold = sample.class_index == _UNTOLD and not task.files
    if sample.class_index != task.class_indexes[row] and not untold:
        reason = f"has class index {sample.class_index} instead of {task.class_indexes[row]}"
        yield Problem(shard, reason, member)
    if not task.files and len(sample.image) != task.sizes[row]:
        yield Problem(shard, f"has {len(sample.image):,} bytes instead of {task.sizes[row]:,}")
    elif task.digests[row] and xxhash.xxh3_128_hexdigest(sample.image) != task.digests[row]:
        yield Problem(shard, "is not the image that was in the source", member)


def _member(task: ReadBackTask, sample: Sample) -> str:
    return printable(sample.name) if task.files else ""  # the path of a file has it already


def _undecodable(image: bytes) -> str:
    """Say why an image does not decode to its last pixel; "" if it does."""
    try:
        decode(image, inspect(image))
    except NotAnImageError as error:
        return str(error)
    return ""

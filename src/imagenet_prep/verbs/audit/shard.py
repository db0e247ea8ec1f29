"""Read one shard back through its output's own reader and compare every record with what the manifest says of it.

The counterpart of ``build/shard.py``, and like it free of Arrow: it runs in workers. A sound file is read once: the
reader takes its digest on the way. Only a file that the reader could not finish is read again in full, because its
size and digest say more than the place of the first damage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import xxhash

from imagenet_prep.codecs.jpeg import NotAnImageError, decode, inspect
from imagenet_prep.codecs.smallest import SMALLEST, too_small
from imagenet_prep.engines.reports import report
from imagenet_prep.errors import AuditError, ForbiddenError, Problem, printable
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Sample
from imagenet_prep.outputs.base import Output, StoredShard
from imagenet_prep.stores.base import Store
from imagenet_prep.stores.digests import fact_of_file

_UNTOLD = -1  # the class index of an image whose class the data set does not give; the class table itself is compared


@dataclass(frozen=True, slots=True)
class ReadBackTask:
    """One shard of one output, or part of an output whose samples are files of their own, which then has no ``files``.
    The columns of ``stored`` are the manifest's, in order, of the images that were written; ``sizes`` are those in the
    source. An image without a digest to compare (it was converted or linked) has "" or None. With ``decode``, every
    image is decoded in full; with ``sums``, its SHA-256 is taken. ``place`` is that of the task among all.
    """

    store: Store
    output: Output
    stored: StoredShard
    files: tuple[FileFact, ...]
    sizes: Sequence[int]
    digests: Sequence[str | None]
    decode: bool = False
    place: int = 0
    sums: bool = False

    @property
    def size(self) -> int:
        """Bytes to read; without files of the shard's own, those of its images."""
        return sum(file.size for file in self.files) if self.files else sum(self.sizes)


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What came of it: records that were read, bytes of the files, everything that differs, and images that do not
    decode, which they may not have done in the source. ``sums`` has the SHA-256 of each image, if they were asked for;
    ``place`` is that of the task.
    """

    images: int
    size: int
    problems: tuple[Problem, ...]
    undecodable: tuple[Problem, ...] = ()
    place: int = 0
    sums: bytes = b""


def read_back(task: ReadBackTask) -> ReadBack:
    """Compare one shard with the manifest. Damage is reported, never raised; may be repeated."""
    places = task.output.sample_files(task.stored)
    seen: list[FileFact] = []
    images, of_records, undecodable, sums = 0, list[Problem](), list[Problem](), bytearray()
    for row, sample in _samples(task, places, seen, of_records):
        images += 1
        report(1, len(sample.image))
        place = places[min(row, len(places) - 1)]
        of_records += _compare_record(task, place, row, sample)
        if task.decode and (reason := _undecodable(bytes(sample.image))):
            undecodable.append(Problem(place, reason, _member(task, sample)))
        if task.sums:
            sums += sha256(sample.image).digest()
    problems = [*_compare_files(task, seen), *of_records]
    if images < len(places) and not problems:
        problems.append(Problem(places[0], f"has {images:,} records instead of {len(places):,}"))
    return ReadBack(images, task.size, tuple(dict.fromkeys(problems)), tuple(undecodable), task.place, bytes(sums))


def _samples(
    task: ReadBackTask, places: Sequence[str], seen: list[FileFact], problems: list[Problem]
) -> Iterator[tuple[int, Sample]]:
    """Yield row and sample of all that can be read; note the rest. Where every image is a file, one does not end it."""
    row = 0
    while row < len(places):
        try:
            rest = _from(task.stored, row)
            for sample in task.output.read(task.store, rest, seen if task.files else None):
                yield row, sample
                row += 1
        except AuditError as error:
            problems += error.problems
        except (OSError, ForbiddenError) as error:
            if not task.files:  # otherwise the file as a whole is reported
                problems.append(unreadable(places[row], error))
        if task.files:
            return
        row += 1  # after the image that could not be read, if there was one


def _from(stored: StoredShard, row: int) -> StoredShard:
    return replace(stored, names=stored.names[row:], class_indexes=stored.class_indexes[row:]) if row else stored


def _compare_files(task: ReadBackTask, seen: Sequence[FileFact]) -> Iterator[Problem]:
    """Compare the files of a shard; ``seen`` are those that were read to their end."""
    facts = {fact.path: fact for fact in seen}
    for file in task.files:
        found = facts.get(file.path)
        problem = _difference(found, file) if found else compare_file(task.store, file)
        if problem:
            yield problem


def unreadable(path: str, error: OSError | ForbiddenError) -> Problem:
    """Say why a file or folder could not be read."""
    if isinstance(error, ForbiddenError):
        return error.problems[0]
    if isinstance(error, FileNotFoundError):
        return Problem(path, "is missing")
    if isinstance(error, IsADirectoryError):
        return Problem(path, "is a folder")
    return Problem(path, f"cannot be read: {error.strerror or error}")


def compare_file(store: Store, file: FileFact) -> Problem | None:
    """Compare a file's size and digest with what was noted when it was written; None if it is the same."""
    try:
        return _difference(fact_of_file(store, file.path), file)
    except (OSError, ForbiddenError) as error:
        return unreadable(file.path, error)


def _difference(found: FileFact, file: FileFact) -> Problem | None:
    if found.size != file.size:
        return Problem(file.path, f"has {found.size:,} bytes instead of {file.size:,}")
    if found.digest != file.digest:
        return Problem(file.path, f"has the digest {found.digest} instead of {file.digest}")
    return None


def _compare_record(task: ReadBackTask, place: str, row: int, sample: Sample) -> Iterator[Problem]:
    member, names = _member(task, sample), task.stored.names
    if row >= len(names):
        yield Problem(place, f"record {row:,} is one too many", member)
        return
    if sample.name != names[row]:
        yield Problem(place, f"record {row:,} is {printable(sample.name)} instead of {names[row]}")
        return
    untold = sample.class_index == _UNTOLD and not task.files
    if sample.class_index != task.stored.class_indexes[row] and not untold:
        reason = f"has class index {sample.class_index} instead of {task.stored.class_indexes[row]}"
        yield Problem(place, reason, member)
    if not task.files and len(sample.image) != task.sizes[row]:
        yield Problem(place, f"has {len(sample.image):,} bytes instead of {task.sizes[row]:,}")
    elif not task.files and len(sample.image) < SMALLEST:  # linked by a version that did not compare sizes
        yield Problem(place, too_small(len(sample.image)))
    elif task.digests[row] and xxhash.xxh3_128_hexdigest(sample.image) != task.digests[row]:
        yield Problem(place, "is not the image that was in the source", member)


def _member(task: ReadBackTask, sample: Sample) -> str:
    return printable(sample.name) if task.files else ""  # the path of a file has it already


def _undecodable(image: bytes) -> str | None:
    """Say why an image does not decode to its last pixel, if it does not."""
    try:
        decode(image, inspect(image))
    except NotAnImageError as error:
        return str(error)
    return None

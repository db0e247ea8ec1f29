"""Decode images in full, a part of a source in each worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from imagenet_prep.codecs.jpeg import LOOSELY, NotAnImageError, decode, decodes_strictly, inspect
from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.reports import report
from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.model.events import Note, Stage, Tally, Watch
from imagenet_prep.model.task import Entries
from imagenet_prep.sources.reader import ArchiveReader

IMAGES_PER_TASK = 256  # about a second of decoding


@dataclass(frozen=True, slots=True)
class DecodeTask:
    """Some entries; ``archives`` are the paths of the archives they lie in."""

    archives: tuple[str, ...]
    entries: Entries


@dataclass(frozen=True, slots=True)
class Decoded:
    """Images and bytes that were read, those that do not decode, and those that decode with a remark."""

    images: int
    size: int
    problems: tuple[Problem, ...]
    remarks: tuple[Problem, ...]


def tell_decoder(watch: Watch) -> None:
    """Note that images will be decoded with a decoder that does not find all damage."""
    if not decodes_strictly():
        watch(Note(LOOSELY))


def decode_all(tasks: Iterable[DecodeTask], images: int, size: int, engine: Engine, watch: Watch) -> Iterator[Decoded]:
    """Yield the results of decoding, part by part in any order, and report progress; ``images`` and their ``size`` in
    bytes are those of all tasks.
    """
    tally = Tally(watch, Stage.DECODE, images, size)
    tally.running()
    for part in engine.run(decode_images, tasks, progress=tally.running):
        tally.finished(part.images, part.size)
        yield part


def decode_images(task: DecodeTask) -> Decoded:
    """Decode every image of a task. Raises SourceError if an archive cannot be opened."""
    problems: list[Problem] = []
    remarks: list[Problem] = []
    entries = task.entries
    with ArchiveReader(task.archives) as reader:
        for row in range(len(entries)):
            try:
                remark = _decode(reader, entries.at(row))
                if remark:
                    remarks.append(entries.problem(row, task.archives, remark))
            except NotAnImageError as error:
                problems.append(entries.problem(row, task.archives, str(error)))
            except SourceError as error:  # a bad place on a disk is reported like damage inside a picture
                problems += error.problems
            report(1, entries.sizes[row])
    return Decoded(len(entries), sum(entries.sizes), tuple(problems), tuple(remarks))


def _decode(reader: ArchiveReader, entry: Entries) -> str | None:
    ((_, buffer, start, end),) = reader.images(entry, [True], before_reuse=_nothing_kept)
    return decode(bytes(memoryview(buffer)[start:end]), inspect(buffer, start, end))


def _nothing_kept() -> None:
    """The buffer may be used again: nothing refers to it."""

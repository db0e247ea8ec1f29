"""Write one shard in every format, from one read of its images. This is the path of an image's bytes, and all that a
worker does.

    archive ─preadv─► buffer ─inspect─► sample ─encode─► record ─crc, digest─► writev ─► fsync ─► name ─► receipt

An image's bytes are copied into the buffer and out of it, nowhere else. Nothing here imports Arrow, NumPy or Pillow
(Pillow is loaded for the rare repair): a worker is small and starts quickly.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import xxhash

from imagenet_prep.codecs.jpeg import ImageFacts, NotAnImageError, decode, inspect, repair
from imagenet_prep.dataset.layout import SET_ASIDE_FOLDER, receipts_folder
from imagenet_prep.dataset.receipts import save_receipt
from imagenet_prep.engines.reports import report
from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.model.sample import Box, Sample
from imagenet_prep.model.task import DECODE, SET_ASIDE, Entries, Receipt, SetAside, ShardOutcome, ShardTask
from imagenet_prep.options import COPY
from imagenet_prep.outputs import format_named
from imagenet_prep.outputs.base import ShardWriter, Written
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.sources.base import ArchiveReader, source_errors
from imagenet_prep.stores.publish import Publication
from imagenet_prep.stores.temporary import output_errors
from imagenet_prep.verbs.build.transfer import transfer_shard


def make_shard(task: ShardTask) -> ShardOutcome:
    """Make one shard in the way its task says: write it, or link or move its files."""
    return write_shard(task) if task.transfer == COPY else transfer_shard(task)


def write_shard(task: ShardTask) -> ShardOutcome:
    """Write, publish and receipt one shard; may be repeated at any time, with the same result.

    An image that cannot be used is set aside, if the task says so. Otherwise the shard is not finished (nothing of it
    is published, but for class folders, whose files are each complete by itself), and the outcome lists every such
    image. Nor is it finished if the source cannot be read. Raises OutputError if the shard cannot be written.
    """
    facts = _Facts(task)
    try:
        return _write_shard(task, facts)
    except SourceError as error:
        failure = error.problems or (Problem("the source", error.summary),)
        return replace(_outcome(task, 0, facts.problems() if facts.in_the_way else ()), failure=failure)


def _write_shard(task: ShardTask, facts: _Facts) -> ShardOutcome:
    out = Path(task.out)
    with Publication(out) as target, ArchiveReader(task.archives) as reader:
        writers = {name: format_named(name).writer(target, task.shard) for name in task.formats}
        paths = {name: out / _first_file(task, name) for name in task.formats}
        flush = partial(_flush, writers, paths)
        for row, buffer, start, end in reader.images(task.entries, before_reuse=flush):
            sample = facts.look_at(row, buffer, start, end)
            report(1, end - start)
            if sample is None:
                if task.on_bad == SET_ASIDE:
                    _set_aside(task, row, memoryview(buffer)[start:end], target)
                continue
            if task.entries.paths:
                sample.path, sample.file = task.entries.paths[row], reader.own_file(task.entries, row)
            if not facts.in_the_way:  # with a bad image there will be no shard: only look for more
                for writer in writers.values():
                    writer.add(sample)
        _refuse_changed(task)
        if facts.in_the_way:
            return _outcome(task, 0, facts.problems())
        written = {name: _finish(writer, paths[name]) for name, writer in writers.items()}
        target.finish()
    save_receipt(receipts_folder(out), facts.receipt(written))
    return _outcome(task, sum(part.size for part in written.values()))


def _refuse_changed(task: ShardTask) -> None:
    """What was read of an archive that has changed meanwhile may be anything. Raises SourceError."""
    for archive in set(task.entries.archives) if task.modified else ():
        path, modified = task.archives[archive], task.modified[archive]
        with source_errors(path):
            changed = modified and os.stat(path).st_mtime_ns != modified
        if changed:
            problem = Problem(printable(os.path.basename(path)), "has changed since it was indexed")
            raise SourceError("The source has changed:", (problem,))


def _set_aside(task: ShardTask, row: int, image: memoryview, target: Publication) -> None:
    """Keep an image beside the data. An earlier run may have looked less closely, and put it into its class folder."""
    target.place(f"{SET_ASIDE_FOLDER}{task.entries.names[row]}", image)
    if task.entries.paths:
        path = Path(task.out, FOLDERS, task.entries.paths[row])
        with output_errors(path):
            path.unlink(missing_ok=True)


def _first_file(task: ShardTask, name: str) -> str:
    return format_named(name).sample_files(task.shard, task.entries.paths[:1])[0]


class _Facts:
    """What is learnt of the images of one shard, column by column."""

    def __init__(self, task: ShardTask) -> None:
        self._task = task
        self.digests = bytearray()
        self.widths, self.heights = array("i"), array("i")
        self.components, self.kinds, self.orientations, self.repaired = (
            array("b"),
            array("b"),
            array("b"),
            array("b"),
        )
        self.bad: list[SetAside] = []

    @property
    def in_the_way(self) -> bool:
        """Whether bad images keep the shard from being written."""
        return bool(self.bad) and self._task.on_bad != SET_ASIDE

    def problems(self) -> tuple[Problem, ...]:
        """Name the bad images."""
        entries, archives = self._task.entries, self._task.archives
        return tuple(entries.problem(image.place, archives, image.reason) for image in self.bad)

    def look_at(self, row: int, buffer: bytearray, start: int, end: int) -> Sample | None:
        """Inspect one image and note what it is; None, and noted as bad, if it cannot be used."""
        task, entries = self._task, self._task.entries
        original = memoryview(buffer)[start:end]
        image: bytes | memoryview = original
        digest = xxhash.xxh3_128_digest(image)
        try:
            found = inspect(buffer, start, end)
            if task.check == DECODE:
                decode(bytes(image), found)
            width, height, repaired = found.width, found.height, found.needs_repair and task.formats != (FOLDERS,)
            if repaired:
                image, width, height = repair(bytes(image))
        except NotAnImageError as error:
            self.bad.append(SetAside(row, str(error), entries.names[row], end - start, digest.hex()))
            return None
        self._note(digest, found, width, height, repaired)
        boxes = _boxes(entries, row)
        return Sample(entries.names[row], image, entries.class_indexes[row], width, height, boxes, original=original)

    def _note(self, digest: bytes, found: ImageFacts, width: int, height: int, repaired: bool) -> None:
        self.digests += digest
        self.widths.append(width)
        self.heights.append(height)
        self.components.append(found.components)
        self.kinds.append(found.kind)
        self.orientations.append(found.orientation)
        self.repaired.append(repaired)

    def receipt(self, written: Mapping[str, Written]) -> Receipt:
        """What was learnt, and what was written, as the receipt of the shard."""
        task = self._task
        columns: dict[str, array[int] | bytes] = {
            "digest": bytes(self.digests),
            "width": self.widths,
            "height": self.heights,
            "components": self.components,
            "kind": self.kinds,
            "orientation": self.orientations,
            "repaired": self.repaired,
        }
        columns |= {f"{name}.length": part.lengths for name, part in written.items()}
        files = {name: part.files for name, part in written.items()}
        rows = len(task.entries) - len(self.bad)
        return Receipt(task.plan, task.shard, rows, files, columns, task.check, tuple(self.bad))


def _flush(writers: Mapping[str, ShardWriter], paths: Mapping[str, Path]) -> None:
    for name, writer in writers.items():
        with output_errors(paths[name]):
            writer.flush()


def _finish(writer: ShardWriter, path: Path) -> Written:
    with output_errors(path):
        return writer.finish()


def _boxes(entries: Entries, row: int) -> tuple[Box, ...]:
    sides = entries.boxes[row]
    if not sides:
        return ()
    return tuple(Box(*sides[start : start + 4]) for start in range(0, len(sides), 4))


def _outcome(task: ShardTask, size: int, bad: tuple[Problem, ...] = ()) -> ShardOutcome:
    return ShardOutcome(task.shard, len(task.entries), sum(task.entries.sizes), size, bad)

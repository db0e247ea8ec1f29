"""Make shards from one read of their images, for every output. This is the path of an image's bytes, and all that a
worker does.

    archive ─preadv─► buffer ─inspect─► sample ─encode─► record ─crc, digest─► writev ─► fsync ─► name ─► receipt

An image's bytes are copied into the buffer and out of it, nowhere else. Nothing here imports Arrow, NumPy or Pillow
(Pillow is loaded for the rare conversion): a worker is small and starts quickly.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import replace
from types import TracebackType
from typing import Self

import xxhash

from imagenet_prep.codecs.jpeg import ImageFacts, NotAnImageError, decode, inspect, repair
from imagenet_prep.dataset.layout import set_aside_path
from imagenet_prep.dataset.receipts import save_receipt
from imagenet_prep.engines.reports import report, reporting
from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.receipt import DECODE, UNREAD, UNREAD_KIND, Receipt, SetAside
from imagenet_prep.model.sample import Box, Sample
from imagenet_prep.model.task import SET_ASIDE, Entries, Part, ShardOutcome, ShardTask
from imagenet_prep.outputs.base import PlannedShard, Written
from imagenet_prep.sources.reader import ArchiveReader, size_of, source_errors
from imagenet_prep.stores.errors import undisturbed

_LOWER_HALF = (1 << 64) - 1  # of a digest


def make_shards(task: ShardTask) -> ShardOutcome:
    """Write, publish and receipt the shards of one task; may be repeated at any time, with the same result.

    An image that cannot be used is set aside, if the task says so. Otherwise its shards are not finished (nothing of
    them is published, except files that are each complete by themselves), and the outcome lists every such image. Nor
    are shards finished if the source cannot be read. If another program disturbs one of its files, a shard is started
    again. Raises OutputError if a shard cannot be written.
    """
    finished: list[Part] = []  # what another attempt does not write again

    def attempt() -> ShardOutcome:
        return _try(replace(task, parts=tuple(part for part in task.parts if part not in finished)), finished)

    return undisturbed(attempt)


def _try(task: ShardTask, finished: list[Part]) -> ShardOutcome:
    images = _Images(task)
    failure: tuple[Problem, ...] = ()
    with _Shards(task, images, finished) as shards:
        try:
            _make(task, images, shards)
        except SourceError as error:
            failure = error.problems or (Problem("the source", error.summary),)
    bad = () if task.on_bad == SET_ASIDE else images.problems()
    outcome = ShardOutcome(len(task.entries), images.read, shards.written, images.linked, bad, failure)
    surprised = tuple(part for part in task.parts if part not in finished)
    if failure or not surprised:
        return outcome
    known = {**task.left_out, **{image.name: image for image in images.bad.values()}}
    with reporting(None):  # these images were counted
        rest = _try(replace(task, parts=surprised, left_out=known), finished)
    return replace(outcome, bytes_written=shards.written + rest.bytes_written, failure=rest.failure)


def _make(task: ShardTask, images: _Images, shards: _Shards) -> None:
    entries, wanted = task.entries, _wanted(task)
    with ArchiveReader(task.places, task.archives) as reader:
        for row, buffer, start, end in reader.images(entries, wanted, before_reuse=shards.flush):
            shards.turn_to(row)
            report(1, end - start)
            file = reader.own_file(entries, row)
            shards.take(row, images.look_at(row, buffer, start, end, file) if wanted[row] else images.link(row, file))
        shards.turn_to(len(entries))


def _wanted(task: ShardTask) -> list[bool]:
    """Say of each entry whether an output wants its bytes."""
    outputs = {part.output.name: part.output for part in task.parts}.values()
    archived, own = (any(output.reads(own_file=own_file) for output in outputs) for own_file in (False, True))
    return [archived if task.entries.in_tar(row) else own for row in range(len(task.entries))]


class _Shards:
    """The shards of a task, each of which is opened at its first entry and finished after its last one. A context
    manager: what is not finished when it ends is gone.
    """

    def __init__(self, task: ShardTask, images: _Images, finished: list[Part]) -> None:
        self._task = task
        self._images = images
        self._finished = finished
        self._open: list[_Shard] = []
        self._turns = {place for part in task.parts for place in (part.start, part.stop)}
        self.written = 0

    def turn_to(self, row: int) -> None:
        """Finish the shards that end before a row, and open those that begin there."""
        if row not in self._turns:
            return
        for shard in [each for each in self._open if each.part.stop == row]:
            self._open.remove(shard)
            with shard:
                self.written += shard.finish(self._images)
            if not shard.surprised:
                self._finished.append(shard.part)
        self._open += [_Shard(self._task, part) for part in self._task.parts if part.start == row]

    def take(self, row: int, sample: Sample) -> None:
        """Hand a sample to every shard that it belongs to, or see to it that it is in none."""
        for shard in self._open:
            if row not in self._images.bad:
                shard.add(sample)
            elif self._task.on_bad == SET_ASIDE or sample.name in self._task.left_out:
                shard.set_aside(sample)
            else:
                shard.spoiled = True

    def flush(self) -> None:
        """Write what the shards have taken."""
        for shard in self._open:
            shard.writer.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        while self._open:
            self._open.pop().__exit__(kind, error, at)


class _Shard:
    """One shard being written. ``spoiled``: an image that cannot be used keeps it from being finished. ``surprised``:
    so does one that is set aside where the output has said that it is there; the shard is made again without it.
    """

    def __init__(self, task: ShardTask, part: Part) -> None:
        self.part = part
        self.spoiled = self.surprised = False
        self._task = task
        self._batch = task.store.batch().__enter__()
        self.writer = part.output.writer(self._batch, _planned(task, part))

    def add(self, sample: Sample) -> None:
        """Write a sample. Nothing is written into a spoiled shard: its other images are only examined. An output that
        does not convert gets the original, whatever other outputs want.
        """
        if not self.part.output.converts and sample.image is not sample.original:
            sample = replace(sample, image=sample.original)
        if not self.spoiled:
            self.writer.add(sample)

    def set_aside(self, sample: Sample) -> None:
        """Keep an image beside the data set."""
        self._batch.place(set_aside_path(sample.name), sample.original)
        self.writer.leave_out(sample)
        if self.part.output.foresees and sample.name not in self._task.left_out:
            self.spoiled = self.surprised = True

    def finish(self, images: _Images) -> int:
        """Publish and receipt the shard, unless it is spoiled; give the bytes written."""
        _refuse_changed(self._task)
        if self.spoiled:
            return 0
        written = self.writer.finish()
        self._batch.commit()
        save_receipt(self._task.store, images.receipt(self.part, written))
        return written.size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._batch.__exit__(kind, error, at)


def _planned(task: ShardTask, part: Part) -> PlannedShard:
    entries = task.entries
    rows = [row for row in range(part.start, part.stop) if entries.names[row] not in task.left_out]
    return PlannedShard(
        shard=part.shard,
        names=[entries.names[row] for row in rows],
        class_indexes=[entries.class_indexes[row] for row in rows],
        class_names=task.class_names or _built_in_names(),
        sizes=[entries.sizes[row] for row in rows],
    )


def _built_in_names() -> tuple[str, ...]:
    return tuple(of.name for of in official().classes)


def _refuse_changed(task: ShardTask) -> None:
    """Raise SourceError if an archive has changed: what was read of it may be anything."""
    for archive in set(task.entries.archives) if task.modified else ():
        path, modified = task.places[archive], task.modified[archive]
        with source_errors(path):
            changed = modified and os.stat(path).st_mtime_ns != modified
        if changed:
            problem = Problem(printable(os.path.basename(task.archives[archive])), "has changed since it was indexed")
            raise SourceError("The source has changed:", (problem,))


class _Images:
    """The facts of the images of a task, column by column; ``bad`` are those that cannot be used, by row."""

    def __init__(self, task: ShardTask) -> None:
        self._task = task
        self._converts = any(part.output.converts for part in task.parts)
        count = len(task.entries)
        self._digests = bytearray(16 * count)
        self._widths, self._heights = array("i", bytes(4 * count)), array("i", bytes(4 * count))
        self._components, self._orientations = array("b", bytes(count)), array("b", bytes(count))
        self._converted, self._stored = array("b", bytes(count)), array("Q", bytes(8 * count))
        self._kinds = array("b", [UNREAD_KIND]) * count
        self.bad: dict[int, SetAside] = {}
        self.read = self.linked = 0

    def problems(self) -> tuple[Problem, ...]:
        """Name the bad images that are not known to be."""
        entries, archives, known = self._task.entries, self._task.archives, self._task.left_out
        new = ((row, image) for row, image in self.bad.items() if image.name not in known)
        return tuple(entries.problem(row, archives, image.reason) for row, image in new)

    def link(self, row: int, file: str) -> Sample:
        """Give a sample of which nothing is read. Raises SourceError if the file has changed its size."""
        entries = self._task.entries
        self._refuse_changed(row, file)
        self.linked += 1
        return Sample(entries.names[row], b"", entries.class_indexes[row], 0, 0, file=file)

    def _refuse_changed(self, row: int, path: str) -> None:
        """A file that is linked may not have changed either since it was listed. What is gone, the link says."""
        listed, found = self._task.entries.sizes[row], size_of(path)
        if found not in (listed, None):
            reason = f"has {found:,} bytes, and had {listed:,} when listed"
            problem = self._task.entries.problem(row, self._task.archives, reason)
            raise SourceError("A file has changed:", (problem,), "Fix it, and run the same command again.")

    def look_at(self, row: int, buffer: bytearray, start: int, end: int, file: str) -> Sample:
        """Inspect one image and note what it is; one that cannot be used is noted as bad."""
        entries = self._task.entries
        original = memoryview(buffer)[start:end]
        self.read += end - start
        digest = xxhash.xxh3_128_digest(original)
        name, class_index = entries.names[row], entries.class_indexes[row]
        sample = Sample(name, original, class_index, 0, 0, _boxes(entries, row), original, file)
        try:
            found = self._inspected(row, digest, buffer, start, end)
            sample.width, sample.height, sample.kind = found.width, found.height, found.kind
            if converted := found.needs_repair and self._converts:
                sample.image, sample.width, sample.height = repair(bytes(original))
        except NotAnImageError as error:
            self.bad[row] = SetAside(row, str(error), name, end - start, digest.hex())
            return sample
        self._note(row, digest, found, sample, converted)
        return sample

    def _inspected(self, row: int, digest: bytes, buffer: bytearray, start: int, end: int) -> ImageFacts:
        name, wanted = self._task.entries.names[row], self._task.digests
        if name in self._task.left_out:
            raise NotAnImageError(self._task.left_out[name].reason)
        if wanted and wanted[row] not in ("", digest.hex()):
            raise NotAnImageError("has other bytes than when its data set was built: repair that first")
        found = inspect(buffer, start, end)
        if self._task.check == DECODE:
            decode(bytes(memoryview(buffer)[start:end]), found)
        return found

    def _note(self, row: int, digest: bytes, found: ImageFacts, sample: Sample, converted: bool) -> None:
        self._digests[16 * row : 16 * row + 16] = digest
        self._widths[row], self._heights[row] = sample.width, sample.height
        self._components[row], self._orientations[row] = found.components, found.orientation
        self._kinds[row], self._converted[row] = found.kind, converted
        if converted:
            self._stored[row] = xxhash.xxh3_128_intdigest(sample.image) & _LOWER_HALF

    def receipt(self, part: Part, written: Written) -> Receipt:
        """What was learnt of the images of a shard, and what was written, as its receipt."""
        rows = range(part.start, part.stop)
        bad = {row: self.bad[row] for row in rows if row in self.bad}
        unread = all(kind == UNREAD_KIND for kind in self._kinds[part.start : part.stop]) and not bad
        return Receipt(
            output=part.output.name,
            identity=part.identity,
            shard=part.shard,
            rows=len(rows) - len(bad),
            files=written.files,
            columns={**({} if unread else self._columns(part, bad)), **written.columns},
            check=UNREAD if unread else self._task.check,
            set_aside=tuple(image._replace(place=row - part.start) for row, image in bad.items()),
        )

    def _columns(self, part: Part, bad: dict[int, SetAside]) -> dict[str, array[int] | bytes]:
        digests = self._digests[16 * part.start : 16 * part.stop]
        columns = {
            "width": self._widths[part.start : part.stop],
            "height": self._heights[part.start : part.stop],
            "components": self._components[part.start : part.stop],
            "kind": self._kinds[part.start : part.stop],
            "orientation": self._orientations[part.start : part.stop],
            "converted": self._converted[part.start : part.stop],
        }
        if part.output.converts:
            columns["stored"] = self._stored[part.start : part.stop]
        else:
            columns["converted"] = array("b", bytes(len(columns["kind"])))
        for row in sorted(bad, reverse=True):
            place = row - part.start
            del digests[16 * place : 16 * place + 16]
            for column in columns.values():
                del column[place]
        return {"digest": bytes(digests), **columns}


def _boxes(entries: Entries, row: int) -> tuple[Box, ...]:
    sides = entries.boxes[row]
    if not sides:
        return ()
    return tuple(Box(*sides[start : start + 4]) for start in range(0, len(sides), 4))

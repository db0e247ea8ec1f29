"""Compares a finished data set with its documents, each of which is proved before it is used.

``build.json`` proves itself, it proves the documents, the manifest among them, and the manifest proves every image; the
shards' own digests and checksums prove the rest. So no byte of a data set can change unseen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from random import SystemRandom
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.dataset.layout import BUILD, STATE
from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.shared_files import seeing
from imagenet_prep.errors import (
    AuditError,
    Forbidden,
    OutputError,
    PrepError,
    Problem,
)
from imagenet_prep.imagenet.archives import SPLITS, VALIDATION
from imagenet_prep.imagenet.class_map import ClassNames
from imagenet_prep.model.audit_report import AuditOptions, AuditReport, SplitAudit
from imagenet_prep.model.events import Note, Stage, Tally, Watch
from imagenet_prep.model.original import original_from
from imagenet_prep.model.validation_classes import ValidationClasses
from imagenet_prep.planning.validation_classes import compare_classes, numbers_in
from imagenet_prep.stores.base import Store
from imagenet_prep.stores.errors import MAY_READ
from imagenet_prep.verbs.audit.against import compare_images, other_data_set
from imagenet_prep.verbs.audit.documents import audit_documents
from imagenet_prep.verbs.audit.expected import Expected, ShardWork, read_expected, shard_work
from imagenet_prep.verbs.audit.fingerprint import fingerprints, holders
from imagenet_prep.verbs.audit.shard import ReadBack, ReadBackTask, read_back
from imagenet_prep.verbs.audit.state import added_outputs, is_resumable, strange_receipts
from imagenet_prep.verbs.audit.unexpected import unexpected
from imagenet_prep.verbs.decode import tell_decoder

_REMEDY = "Repair what is damaged: imagenet-prep repair {place}"
_BAD_REMEDY = (
    "Images that do not decode are as they were in the source: the build command again with --check decode --on-bad "
    "set-aside leaves them out."
)
_MOVED_REMEDY = (
    "Do not delete moved files: there are no others. Restore the damaged ones from a backup, and continue: "
    "imagenet-prep resume {place}"
)
_STATE_REMEDY = f"Restore {STATE} from a copy. Without it the data set can be read and audited, but not changed."
_STRAY_REMEDY = "Remove what does not belong to the data set."


def compare(store: Store, options: AuditOptions, engine: Engine, watch: Watch) -> AuditReport:
    """Compare the data set in a store with its documents. Raises AuditError with all that differs."""
    if options.decode:
        tell_decoder(watch)
    of = read_expected(store)
    against = compare_images(of, other_data_set(options.against)) if options.against else None
    if added := added_outputs(store, of.document):
        watch(Note(f"Being added, and not read: {', '.join(added)}. Finish it: imagenet-prep resume {store.place}"))
    every = list(shard_work(of))
    chosen = _chosen(every, options.sample)
    images, size = sum(each.images for each in chosen), sum(each.size for each in chosen)
    read = _Sum(Tally(watch, Stage.AUDIT, images, size))
    holds = holders(of) if options.fingerprint else {}
    tasks = (
        each.task(place, decode=options.decode, sums=holds.get(each.shard.split) == each.output.name)
        for place, each in enumerate(chosen)
    )
    work = seeing(engine, read_back, store.local_paths(BUILD))
    reading = engine.run(work, tasks, read.lost, read.tally.running)  # which runs beside the rest
    at_rest = list(audit_documents(of))
    read.add_up(reading)
    problems = list(dict.fromkeys([*at_rest, *read.problems]))
    extra = [*unexpected(of), *strange_receipts(store)]
    lost = [problem for problem in problems if problem.archive == STATE]
    problems = [problem for problem in problems if problem.archive != STATE]
    found = {_remedy(of): problems, _STATE_REMEDY: lost, _BAD_REMEDY: read.undecodable, _STRAY_REMEDY: extra}
    _raise_any(store.place, found, read.unread)
    report = _report(of, len(every), len(chosen), read.tally)
    return replace(
        report,
        decoded=options.decode,
        fingerprints=fingerprints(of, chosen, read.sums) if options.fingerprint else {},
        against=against,
    )


def _report(of: Expected, shards: int, shards_read: int, tally: Tally) -> AuditReport:
    """Report what the documents say of a sound data set, and how much of it was read."""
    written = of.written("split", "name", "class_index", "digest")
    return AuditReport(
        splits={split: _split_audit(written, split) for split in SPLITS if split in of.document["splits"]},
        records=tally.done,
        size=tally.bytes_done,
        shards=shards,
        shards_read=shards_read,
        set_aside=len(of.manifest) - len(written),
        undigested=written["digest"].null_count,
        resumable=is_resumable(of.store),
        validation_classes=_validation_classes(of.document, written),
        class_names=ClassNames(**noted) if (noted := of.document.get("class_names")) else None,
        original=original_from(of.document.get("original")),
    )


def _validation_classes(document: dict[str, Any], written: pa.Table) -> ValidationClasses | None:
    """Count the classes that are not the published ones. Where they come from is in ``build.json``."""
    rows = written.filter(pc.equal(written["split"], VALIDATION))
    if not len(rows):
        return None
    noted = document["validation_classes"]
    found = compare_classes(noted["source"], "", numbers_in(rows["name"]), rows["class_index"].to_numpy())
    return replace(found, seems=noted["seems"])


def _chosen(every: list[ShardWork], share: float) -> list[ShardWork]:
    """Give the shards to read, in their order."""
    chosen = SystemRandom().sample(range(len(every)), math.ceil(share * len(every)))
    return [every[place] for place in sorted(chosen)]


def _raise_any(out: str, found: dict[str, list[Problem]], unread: list[Problem]) -> None:
    """Raise what was found, by remedy, as one error. What could not be read is not known to be damaged."""
    forbidden = [problem for of_kind in found.values() for problem in of_kind if isinstance(problem, Forbidden)]
    forbidden = list(dict.fromkeys(forbidden))  # a closed folder is one problem, however many files are in it
    found = {remedy: [each for each in of_kind if each not in forbidden] for remedy, of_kind in found.items()}
    problems = tuple(problem for of_kind in found.values() for problem in of_kind)
    if problems:
        only_bad = len(problems) == len(found[_BAD_REMEDY])
        what = "is what was built, but has images that do not decode" if only_bad else "is not what was built"
        count = f"{len(problems):,} {'image' if only_bad else 'difference'}{'s' if len(problems) > 1 else ''}"
        remedies = (remedy.format(place=out) for remedy, of_kind in found.items() if of_kind)
        raise AuditError(f"{out} {what}: {count}:", (*problems, *unread, *forbidden), " ".join(remedies))
    if forbidden:
        summary = f"{out} cannot be read completely; nothing was found wrong in the rest:"
        raise OutputError(summary, (*forbidden, *unread), MAY_READ)
    if unread:
        summary = f"{out} was not read completely, because worker processes died; nothing was found wrong in the rest:"
        raise PrepError(summary, tuple(unread), "Run the same command again; fewer --jobs need less memory.")


class _Sum:
    """Adds up what was read: the number of records, the bytes of their files, and what is wrong."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.problems: list[Problem] = []
        self.undecodable: list[Problem] = []
        self.unread: list[Problem] = []
        self.sums: dict[int, bytes] = {}

    def lost(self, task: ReadBackTask) -> ReadBack:
        """Note a shard over which two workers died."""
        name = f"{task.stored.shard} ({task.output.name})"
        self.unread.append(Problem(name, "the process that read it died twice"))
        return ReadBack(0, 0, ())

    def add_up(self, reading: Iterator[ReadBack]) -> None:
        """Take everything that was read."""
        for found in reading:
            self.problems += found.problems
            self.undecodable += found.undecodable
            if found.sums:
                self.sums[found.place] = found.sums
            self.tally.finished(found.images, found.size)


def _remedy(of: Expected) -> str:
    return _MOVED_REMEDY if any(output.moves for output in of.outputs) else _REMEDY


def _split_audit(written: pa.Table, split: str) -> SplitAudit:
    classes = pc.value_counts(written.filter(pc.equal(written["split"], split))["class_index"]).field("counts")
    low_high = pc.min_max(classes)
    low, high = (low_high[end].as_py() or 0 for end in ("min", "max"))
    return SplitAudit(pc.sum(classes).as_py() or 0, len(classes), low, high)

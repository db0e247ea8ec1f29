"""Repair: which finished shards are no longer what their receipts say. They are then written like any that is missing.

Every record is read back through its format's own reader, as an audit does, but the receipts are the judge, so that a
build can be repaired whose manifest is damaged or was never written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_prep.dataset.layout import SET_ASIDE_FOLDER, plan_path, receipts_folder
from imagenet_prep.dataset.receipts import load_receipt, receipt_path
from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.shared_files import seeing
from imagenet_prep.errors import Problem
from imagenet_prep.model.events import Stage, Tally, Watch
from imagenet_prep.model.task import FileFact
from imagenet_prep.verbs.audit.shard import ReadBack, ReadBackTask, compare_file, read_back

if TYPE_CHECKING:
    from imagenet_prep.planning.plan import Plan, Shard


def damaged(out: Path, plan: Plan, finished: list[Shard], engine: Engine, watch: Watch) -> set[str]:
    """Read the shards that seem finished back; give the names of those that are not what their receipts say."""
    names: set[str] = set()
    tally = Tally(watch, Stage.AUDIT, sum(len(shard.rows) for shard in finished) * len(plan.formats))
    tally.running()
    work = seeing(engine, look_at, [str(plan_path(out))])
    for shard, found in engine.run(
        work, _tasks(out, plan, finished, names), _lost, lambda done, _: tally.running(done)
    ):
        names |= {shard} if found.problems else set()
        tally.finished(found.images)
    return names


def look_at(task: ReadBackTask) -> tuple[str, ReadBack]:
    """Read one shard of one format back, and say which it was."""
    return task.shard, read_back(task)


def _lost(task: ReadBackTask) -> tuple[str, ReadBack]:
    return task.shard, ReadBack(0, 0, (Problem(task.shard, "the process that read it died twice"),))


def _tasks(out: Path, plan: Plan, finished: list[Shard], names: set[str]) -> Iterator[ReadBackTask]:
    """Yield the work; shards with damaged images set aside are added to ``names`` at once."""
    from imagenet_prep.dataset.manifest import manifest_rows
    from imagenet_prep.verbs.audit.expected import read_back_tasks

    for shard in finished:
        receipt = load_receipt(receipt_path(receipts_folder(out), shard.name))
        if receipt is not None:
            left_out = [
                FileFact(f"{SET_ASIDE_FOLDER}{image.name}", image.size, image.digest) for image in receipt.set_aside
            ]
            if any(compare_file(out, file) for file in left_out):
                names.add(str(shard.name))
            yield from read_back_tasks(out, str(shard.name), receipt.files, manifest_rows(plan, shard, receipt))

"""Which finished shards are no longer what their receipts say: they are then written again, like any that is missing.

Every record is read back through its output's own reader, as in an audit, but compared with the receipts, so that a
data set can be repaired whose manifest is damaged or was never written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from imagenet_prep.dataset.catalog_file import load_catalog
from imagenet_prep.dataset.layout import CATALOG, STATE, receipt_path, set_aside_file
from imagenet_prep.dataset.receipts import load_receipt
from imagenet_prep.dataset.state import load_state
from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.shared_files import seeing
from imagenet_prep.errors import Forbidden, OutputError, Problem
from imagenet_prep.model.events import Stage, Tally, Watch
from imagenet_prep.model.receipt import UNREAD_KIND, Receipt
from imagenet_prep.planning.plan import OutputPlan, Plan, Shard
from imagenet_prep.stores.base import Store
from imagenet_prep.stores.errors import MAY_READ
from imagenet_prep.verbs.audit.shard import ReadBack, ReadBackTask, compare_file, read_back


@dataclass(frozen=True, slots=True)
class _Named:
    """A shard to read, and the place of its receipt."""

    receipt: str
    task: ReadBackTask


class Damage(NamedTuple):
    """The ``receipts`` that are not true any more, by their places; what is wrong (``problems``), file by file; and how
    many shards were ``read``.
    """

    receipts: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    read: int = 0


def damage_of(store: Store, engine: Engine, watch: Watch) -> Damage:
    """Read the shards that seem finished back. Nothing is read where the catalog is damaged: resuming writes it again,
    and finds what is missing.
    """
    state, catalog = load_state(store), load_catalog(store, CATALOG)
    if state is None or catalog is None:
        return Damage()
    the_plan = state.planned(catalog)
    found: list[str] = []
    read, problems = 0, dict[Problem, None]()
    tally = Tally(watch, Stage.AUDIT, sum(each.images for each in the_plan.outputs))
    tally.running()
    work, tasks = seeing(engine, _look_at, store.local_paths(STATE)), _tasks(store, the_plan, found)
    for receipt, back in engine.run(work, tasks, _lost, lambda done, _: tally.running(done)):
        read += 1
        found += [receipt] if back.problems else []
        problems |= dict.fromkeys(back.problems)
        tally.finished(back.images)
    if forbidden := tuple(problem for problem in problems if isinstance(problem, Forbidden)):
        raise OutputError(f"{store.place} cannot be read completely:", forbidden, MAY_READ)
    return Damage(tuple(sorted(set(found))), tuple(problems), read)


def _look_at(named: _Named) -> tuple[str, ReadBack]:
    return named.receipt, read_back(named.task)


def _lost(named: _Named) -> tuple[str, ReadBack]:
    return named.receipt, ReadBack(0, 0, (Problem(named.receipt, "the process that read it died twice"),))


def _tasks(store: Store, the_plan: Plan, found: list[str]) -> Iterator[_Named]:
    """Yield the work; receipts of shards with damaged images set aside are added to ``found`` at once."""
    for each in the_plan.outputs:
        for shard in each.shards:
            path = receipt_path(each.output.name, shard.name)
            receipt = load_receipt(store, each.output.name, shard.name)
            if receipt is None:
                if store.stat(path):
                    found.append(path)
                continue
            left_out = map(set_aside_file, receipt.set_aside)
            if any(compare_file(store, file) for file in left_out):
                found.append(path)
            yield _Named(path, _task(store, the_plan, each, shard, receipt))


def _task(store: Store, the_plan: Plan, of: OutputPlan, shard: Shard, receipt: Receipt) -> ReadBackTask:
    left_out = {image.place for image in receipt.set_aside}
    sizes = the_plan.catalog.numbers("size")[shard.rows].tolist()
    return ReadBackTask(
        store=store,
        output=of.output,
        stored=the_plan.stored(shard, left_out),
        files=receipt.files,
        sizes=[size for place, size in enumerate(sizes) if place not in left_out],
        digests=_digests(receipt),
    )


def _digests(receipt: Receipt) -> list[str | None]:
    """Give the digest that each image should have; none for what was not read, or converted."""
    if "kind" not in receipt.columns:
        return [None] * receipt.rows
    digests, columns = bytes(receipt.columns["digest"]), receipt.columns
    compared = [
        kind != UNREAD_KIND and not converted
        for kind, converted in zip(columns["kind"], columns["converted"], strict=True)
    ]
    return [digests[16 * row : 16 * row + 16].hex() if known else None for row, known in enumerate(compared)]

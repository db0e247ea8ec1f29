"""What is decided before a byte is written: the plan, what is left to do, and whether it can be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_prep.dataset.layout import undo_log_path
from imagenet_prep.model.events import Watch
from imagenet_prep.options import MOVE
from imagenet_prep.planning.catalog import Catalog
from imagenet_prep.planning.plan import Plan, Shard, plan
from imagenet_prep.verbs.build.claim import refuse_other
from imagenet_prep.verbs.build.fresh import check_fresh
from imagenet_prep.verbs.build.moves import check_moves, check_transfer
from imagenet_prep.verbs.build.remaining import Remaining, remaining

if TYPE_CHECKING:
    from imagenet_prep.verbs.build.run import BuildOptions


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan; the shards ``todo``, in its order; for a move that has not begun the folders that files leave, with
    their times in nanoseconds; and receipts with the times that they are to get.
    """

    plan: Plan
    todo: list[Shard]
    times: dict[str, int]
    times_of_receipts: Mapping[Path, int]


def prepare(catalog: Catalog, archives: tuple[str, ...], out: Path, options: BuildOptions, watch: Watch) -> Prepared:
    """Prepare a build. Raises what a build would raise before it begins, but for a lack of space; writes nothing."""
    the_plan = plan(catalog, options)
    left = Remaining(list(the_plan.shards))
    if options.fresh:
        check_fresh(out, the_plan, archives)
    else:
        refuse_other(out, the_plan, repair=options.repair)
        left = remaining(out, the_plan, options.check, watch)
    times: dict[str, int] = {}
    if not undo_log_path(out).exists():  # a move that has begun was checked
        check_transfer(the_plan, archives, out)
        times = check_moves(the_plan, archives, out) if options.transfer == MOVE else {}
    return Prepared(the_plan, left.todo, times, left.times)

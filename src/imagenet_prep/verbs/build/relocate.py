"""The end of a move: files that have a second name in the data set lose the one in the source. Every image has a name
at every moment, and a name goes only if both lead to the same file at that moment.

Once this has started, the source has changed: the note of its folders says so, and has their times, which
an undo restores.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.dataset.layout import FOLDERS_BEFORE_MOVE
from imagenet_prep.errors import OutputError, Problem, SourceError, counted
from imagenet_prep.model.events import Progress, Stage, Watch
from imagenet_prep.planning.plan import Plan, entries_of
from imagenet_prep.stores.base import Store
from imagenet_prep.verbs.build.place import has_begun_to_move
from imagenet_prep.verbs.build.preflight import paths_of

_AT_ONCE = 1 << 14


def moved_files(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield path in the data set and place in the source of every file that is moved."""
    archives = paths_of(plan)
    for each in plan.outputs:
        if each.output.moves:
            for shard in each.shards:
                entries = entries_of(plan.catalog.table.take(shard.rows), plan.catalog.archives)
                for row, path in enumerate(each.output.files(plan.stored(shard))):
                    if not entries.in_tar(row):
                        yield path, entries.place(row, archives)


def relocate(store: Store, plan: Plan, watch: Watch) -> int:
    """Remove the names in the source of everything that was moved; give their number. May be repeated."""
    if not any(each.output.moves for each in plan.outputs):
        return 0
    if not has_begun_to_move(store):
        folders = dict.fromkeys(os.path.dirname(place) for _, place in moved_files(plan))
        store.publish(FOLDERS_BEFORE_MOVE, seal({"times": {folder: _time(folder) for folder in folders}}))
    gone, problems = 0, []
    for path, place in moved_files(plan):
        if store.is_same(path, place):
            try:
                os.unlink(place)
            except OSError as error:
                problems.append(Problem(place, f"cannot be taken away: {error.strerror}"))
                continue
            gone += 1
            if gone % _AT_ONCE == 0:
                watch(Progress(Stage.MOVE, gone, plan.images))
        elif store.stat(path) and os.path.lexists(place):  # an image that was set aside stays where it is
            problems.append(Problem(place, "is not the file that was moved, and stays"))
    if problems:
        raise SourceError(
            f"{counted(len(problems), 'name')} in the source could not be taken away, though the data set is complete:",
            tuple(problems),
            "Look at each; the same command again takes away what is the same file.",
        )
    return gone


def _time(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def times_before(store: Store) -> dict[str, int]:
    """Give the times that the folders of the source had, in nanoseconds; empty if nothing was moved."""
    try:
        times: dict[str, int] = unseal(store.read(FOLDERS_BEFORE_MOVE))["times"]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, json.JSONDecodeError) as error:
        raise OutputError(f"{store.place}: {FOLDERS_BEFORE_MOVE} is damaged.", remedy="Remove it to go on.") from error
    return times

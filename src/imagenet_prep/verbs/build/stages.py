"""The stages of a build behind the index, one after the other: plan, write what is missing, finish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_prep.dataset.layout import (
    BUILD,
    CLASSES,
    MANIFEST,
    SET_ASIDE_FOLDER,
    SPLIT_LISTS,
    plan_path,
    undo_log_path,
)
from imagenet_prep.dataset.manifest import LeftOut, set_aside_images
from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.shared_files import seeing
from imagenet_prep.errors import OtherBuildError
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.events import Note, Progress, Stage, Tally, Watch
from imagenet_prep.model.report import Report, SplitReport
from imagenet_prep.model.task import SET_ASIDE, ShardTask
from imagenet_prep.options import COPY, MOVE, SYMLINK
from imagenet_prep.outputs import format_named
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.planning.catalog import Catalog
from imagenet_prep.planning.plan import Plan, Shard
from imagenet_prep.planning.remarks import remarks
from imagenet_prep.stores.lock import held
from imagenet_prep.stores.space import check_space
from imagenet_prep.verbs.build.claim import claim, keep_catalog, refuse_other, unfinish
from imagenet_prep.verbs.build.failures import Failures
from imagenet_prep.verbs.build.finish import finish, finished
from imagenet_prep.verbs.build.fresh import remove_earlier, size_of_earlier
from imagenet_prep.verbs.build.moves import log_moves, try_links
from imagenet_prep.verbs.build.prepare import Prepared, prepare
from imagenet_prep.verbs.build.repair import damaged
from imagenet_prep.verbs.build.shard import make_shard

if TYPE_CHECKING:
    from imagenet_prep.verbs.build.run import BuildOptions

# For the check of free space, generous: of each image in catalog, receipt, manifest and undo log together; and of a
# symbolic link, which takes a block where its path is long.
_ROW_BYTES = 256
_SYMLINK_BYTES = 4096
_NAMED = 5  # damaged shards


def run_stages(
    catalog: Catalog, archives: tuple[str, ...], out: Path, options: BuildOptions, engine: Engine, watch: Watch
) -> Report:
    """Do everything that is missing in ``out``. Nothing is written or taken away before sources, plan and free space
    were found good.
    """
    prepared = prepare(catalog, archives, out, options)
    the_plan, todo = prepared.plan, prepared.todo
    for remark in remarks(the_plan):
        watch(Note(remark))
    if options.repair:
        todo = _with_damaged(out, prepared, engine, watch)
    _make_way(out, the_plan, todo, archives, options, watch)
    claim(out, the_plan, repair=options.repair)
    alone = options.transfer == MOVE or options.on_bad == SET_ASIDE  # which leaves out what another run may write
    with held(out / PRIVATE, out, alone=alone):
        refuse_other(out, the_plan)  # before the folder was held, another run may have claimed it
        keep_catalog(out, the_plan)
        if todo:
            known = {shard.name for shard in prepared.todo}
            unfinish(out, [shard for shard in todo if shard.name not in known])
        _begin_move(out, prepared, archives)
        written = _write(out, the_plan, todo, archives, options, engine, watch)
        accounts = None if todo or options.repair else finished(out, the_plan)
        if accounts is None:
            watch(Progress(Stage.FINISH, 0, 0))
            accounts = finish(out, the_plan)
    left_out = set_aside_images(out) if accounts.set_aside else []
    splits = {split: _split_report(the_plan, split, left_out) for split in the_plan.splits}
    return Report(
        accounts=accounts,
        set_aside=tuple(image.why for image in left_out),
        splits=splits,
        outputs=_outputs(the_plan, splits, set_aside=bool(left_out)),
        bytes_read=sum(shard.size for shard in todo if the_plan.transfer(shard) == COPY),
        bytes_written=written,
        transferred=sum(len(shard.rows) for shard in todo if the_plan.transfer(shard) != COPY),
        reused=len(the_plan.shards) - len(todo),
    )


def _make_way(
    out: Path, the_plan: Plan, todo: list[Shard], archives: tuple[str, ...], options: BuildOptions, watch: Watch
) -> None:
    """See that there is room, and that links can be made; what is to go goes now."""
    check_space(out, _space_needed(the_plan, todo) - (size_of_earlier(out) if options.fresh else 0))
    if options.fresh:
        remove_earlier(out, the_plan, watch)
    if todo and not undo_log_path(out).exists():
        try_links(the_plan, archives, out)


def _with_damaged(out: Path, prepared: Prepared, engine: Engine, watch: Watch) -> list[Shard]:
    """What is to be done, and the shards that only seem finished."""
    todo = {str(shard.name) for shard in prepared.todo}
    seem_finished = [shard for shard in prepared.plan.shards if str(shard.name) not in todo]
    found = damaged(out, prepared.plan, seem_finished, engine, watch)
    named = f": {', '.join(sorted(found)[:_NAMED])}{' …' if len(found) > _NAMED else ''}" if found else ""
    watch(Note(f"Read {len(seem_finished):,} finished shards back: {len(found):,} damaged{named}."))
    todo |= found
    return [shard for shard in prepared.plan.shards if str(shard.name) in todo]


def _begin_move(out: Path, prepared: Prepared, archives: tuple[str, ...]) -> None:
    """Log a move. Before the folder was held, another run may have begun a move there, or undone one."""
    if prepared.plan.options.transfer != MOVE:
        return
    begun = undo_log_path(out).exists()
    if begun == bool(prepared.times):  # which a move has that had not begun
        raise OtherBuildError(f"Another run has just been at work in {out}.", remedy="Run the same command again.")
    if not begun:
        log_moves(prepared.plan, archives, out, prepared.times)


def _space_needed(the_plan: Plan, todo: list[Shard]) -> int:
    copied = [shard for shard in todo if the_plan.transfer(shard) == COPY]
    images, size = sum(len(shard.rows) for shard in copied), sum(shard.size for shard in copied)
    overhead = sum(format_named(name).record_overhead for name in the_plan.formats)
    transferred = sum(len(shard.rows) for shard in todo) - images
    link = _SYMLINK_BYTES if the_plan.options.transfer == SYMLINK else 0
    return size * len(the_plan.formats) + images * (overhead + _ROW_BYTES) + transferred * (link + _ROW_BYTES)


def _write(
    out: Path,
    the_plan: Plan,
    todo: list[Shard],
    archives: tuple[str, ...],
    options: BuildOptions,
    engine: Engine,
    watch: Watch,
) -> int:
    """Write the shards; give the bytes written. Raises SourceError or PrepError once, with everything that stood in the
    way of shards.
    """
    reused = len(the_plan.shards) - len(todo)
    if reused:
        watch(Note(f"{reused:,} of {len(the_plan.shards):,} shards are finished already and stay as they are."))
    images, size = sum(len(shard.rows) for shard in todo), sum(shard.size for shard in todo)
    tally, written = Tally(watch, Stage.WRITE, images, size), 0
    failures = Failures()
    tasks = (_task(the_plan, shard, out, archives, options) for shard in todo)
    if todo:
        tally.running()
    work = seeing(engine, make_shard, [*archives, str(plan_path(out))])
    for outcome in engine.run(work, tasks, failures.lost, tally.running):
        written += outcome.bytes_written
        failures.note(outcome)
        tally.finished(outcome.images, outcome.bytes_read)
    failures.raise_any(the_plan.images)
    return written


def _task(the_plan: Plan, shard: Shard, out: Path, archives: tuple[str, ...], options: BuildOptions) -> ShardTask:
    modified = tuple(archive.modified for archive in the_plan.catalog.archives)
    if options.transfer == MOVE:  # which goes by the catalog it began with: the times in it may be old
        modified = ()
    task = the_plan.task(shard, str(out.absolute()), archives)
    return replace(task, on_bad=options.on_bad, check=options.check, modified=modified)


def _outputs(the_plan: Plan, splits: dict[str, SplitReport], *, set_aside: bool) -> dict[str, str]:
    outputs: dict[str, str] = {}
    for name in the_plan.formats:
        outputs |= format_named(name).outputs
        if name == FOLDERS:
            outputs |= {_folder_of(the_plan, name): _contents(the_plan, name, of.images) for name, of in splits.items()}
    return outputs | {
        MANIFEST: "one row for each image: split, shard, label, size, digest, where it came from",
        SPLIT_LISTS: "names of the images of each split, one a line; what --test-list reads",
        **({SET_ASIDE_FOLDER: "images that cannot be used, as they were in the source"} if set_aside else {}),
        CLASSES: "class index, WNID, name and devkit integer of the 1,000 classes",
        BUILD: "sources, recipe, versions, and the digest of every file",
    }


def _folder_of(the_plan: Plan, split: str) -> str:
    return f"{FOLDERS}/{the_plan.folders.split(split)}"


def _contents(the_plan: Plan, split: str, images: int) -> str:
    classes = the_plan.classes_of(split)
    first = the_plan.folders.classes[classes[0]]
    return f"{images:,} images in {len(classes):,} class folders, {first} and so on"


def _split_report(the_plan: Plan, split: str, left_out: list[LeftOut]) -> SplitReport:
    shards = [shard for shard in the_plan.shards if shard.name.split == split]
    missing = [image.size for image in left_out if image.split == split]
    size = sum(shard.size for shard in shards) - sum(missing)
    return SplitReport(the_plan.images_of(split) - len(missing), len(shards), size)

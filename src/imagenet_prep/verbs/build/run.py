"""Build: the main job. Archives → catalog → plan → shards and receipts → manifest, each from the one before.

Remaining work is a subtraction: planned shards minus receipts. The same command again therefore goes on where the last
one stopped, and another recipe or other archives in the same folder are refused.

The engine comes first, then the index, then what needs Arrow: so the workers are at work while it is loaded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_prep.dataset.layout import BUILD, catalog_path, holds_receipts, plan_path, undo_log_path
from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.factory import AnyEngine, engine_for
from imagenet_prep.errors import OtherBuildError, OutputError, UsageError
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.events import Note, Watch, unwatched
from imagenet_prep.model.report import Report
from imagenet_prep.model.task import DECODE, FAIL, HEADER, ON_BAD
from imagenet_prep.options import COPY, MOVE, PlanOptions
from imagenet_prep.outputs import format_named
from imagenet_prep.outputs.class_folders import FOLDERS
from imagenet_prep.platform import check_platform
from imagenet_prep.sources.layout import Source, source_paths
from imagenet_prep.stores.temporary import output_errors, sweep
from imagenet_prep.verbs.index import IndexOptions, catalog_of, found_in, paths_of

if TYPE_CHECKING:
    from imagenet_prep.planning.catalog import Catalog
    from imagenet_prep.planning.plan import Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildOptions(PlanOptions):
    """The recipe (see PlanOptions), and how to work: ``jobs`` processes; 0 means one for each processor, 1
    this process alone.

    ``on_bad``: what becomes of an image that cannot be used: ``fail`` finishes all shards that have none, and raises
    SourceError; ``set-aside`` leaves it out and keeps its bytes. ``check``: ``header`` looks at the header and the end
    of every image, ``decode`` decodes it strictly. ``fresh`` takes away an earlier build in the folder and begins anew;
    ``repair`` reads finished shards back, and writes those anew that are damaged.
    """

    jobs: int = 0
    on_bad: str = FAIL
    check: str = HEADER
    fresh: bool = False
    repair: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be done."""
        PlanOptions.__post_init__(self)  # super() does not find the class in a dataclass with slots
        if self.on_bad not in ON_BAD or self.check not in (HEADER, DECODE):
            raise UsageError(f"on_bad is one of {', '.join(ON_BAD)}, and check one of {HEADER}, {DECODE}.")
        if self.check == DECODE and self.transfer != COPY:
            raise UsageError(
                f"With the transfer {self.transfer} no image is read.",
                remedy="Leave the check out, and decode the source instead: imagenet-prep check SOURCE --full",
            )
        if self.fresh and self.repair:
            raise UsageError("A build is begun anew or repaired: give one of the two.")
        if self.repair and self.transfer == MOVE:
            raise UsageError(
                "Moved files cannot be made anew: there are no others.",
                remedy="Restore damaged ones from a backup, and run the same command without a repair.",
            )


def build(
    source: Source | Iterable[Source],
    out: Source,
    options: BuildOptions | None = None,
    *,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> Report:
    """Make a data set in the folder ``out`` from the archives in ``source``. The same call again resumes, or
    finds nothing to do.

    In a script, call it under ``if __name__ == "__main__":``, because worker processes import the script.
    ``engine`` does the work instead of ``options.jobs`` processes: an engine, any ``concurrent.futures.Executor`` whose
    workers see the same paths, or a name such as ``dask=tcp://HOST:PORT``. What the caller made stays the caller's to
    shut down.

    Raises UsageError, SourceError, OtherBuildError and OutputError, each with the exit code of the command
    line. Nothing is written before sources, plan and free space were found good.
    """
    started = time.monotonic()
    options = options or BuildOptions()
    sources, out = source_paths(source), Path(out)
    with _swept(out), engine_for(engine, options.jobs) as at_work:
        catalog, archives = _catalog(sources, out, options, at_work, watch)
        # With Arrow, which the index has loaded while it waited.
        from imagenet_prep.verbs.build.stages import run_stages

        report = run_stages(catalog, archives, out, options, at_work, watch)
    return replace(report, seconds=time.monotonic() - started)


def preview(
    source: Source | Iterable[Source],
    out: Source,
    options: BuildOptions,
    *,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> Plan:
    """Give the plan that ``build`` would carry out; raises what that would raise before it begins, but for a lack of
    space. Nothing is written.
    """
    sources, out = source_paths(source), Path(out)
    with engine_for(engine, options.jobs) as at_work:
        catalog, archives = _catalog(sources, out, options, at_work, watch)
    from imagenet_prep.verbs.build.prepare import prepare

    prepared = prepare(catalog, archives, out, options)
    finished = len(prepared.plan.shards) - len(prepared.todo)
    if finished:
        watch(Note(f"{finished:,} of {len(prepared.plan.shards):,} shards are finished already and would stay."))
    if options.fresh and out.exists():
        from imagenet_prep.verbs.build.fresh import size_of_earlier

        watch(Note(f"{size_of_earlier(out):,} bytes of an earlier build would be taken away."))
    return prepared.plan


def _catalog(
    sources: list[Path], out: Path, options: BuildOptions, engine: Engine, watch: Watch
) -> tuple[Catalog, tuple[str, ...]]:
    """Give the catalog of the sources, and the paths of its archives."""
    check_platform()
    for name in options.formats:
        format_named(name)
    with output_errors(out, "read"):
        _refuse_foreign(out)
    if undo_log_path(out).exists():
        return _begun(out, sources)
    boxes = any(format_named(name).stores_boxes for name in options.formats)
    # What the folder keeps of an earlier run is replaced only once it is found to be of this build.
    cache = None if options.fresh else catalog_path(out)
    how = IndexOptions(taxonomy=options.taxonomy, boxes=boxes, cache=cache, refresh=False)
    found = found_in(sources, how)
    return catalog_of(found, how, engine=engine, watch=watch), paths_of(found)


def _begun(out: Path, sources: list[Path]) -> tuple[Catalog, tuple[str, ...]]:
    """What a move that began in ``out`` started from: its sources are empty by now, or half empty."""
    if not plan_path(out).exists():  # which an undo takes away just before the log
        raise OtherBuildError(f"{out} is being undone.", remedy=f"Finish that first: imagenet-prep undo {out}")
    from imagenet_prep.dataset.catalog_file import load_catalog
    from imagenet_prep.verbs.build.moves import begun_move

    archives = begun_move(out, sources)
    catalog = load_catalog(catalog_path(out))
    if catalog is None:
        remedy = f"Put the files back, and build again: imagenet-prep undo {out}"
        raise OtherBuildError(f"{catalog_path(out)} is damaged, or of another version.", remedy=remedy)
    return catalog, archives


@contextmanager
def _swept(out: Path) -> Iterator[None]:
    """Leave no half-written file, whatever ends the build: a worker that was stopped hard could not remove its own, nor
    can this process if an interrupt comes just as a file is made.
    """
    try:
        yield
    finally:
        if os.path.isdir(out / PRIVATE):  # false where one may not look
            sweep(out, shallow=FOLDERS, own=True)


def _refuse_foreign(out: Path) -> None:
    """A folder with anything else in it is not ours to write into."""
    nearest = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise OutputError(f"{nearest} is not a folder.", remedy="Choose a folder that is empty or does not exist yet.")
    # The private folder alone is a build that has just begun: another run's, or one that was stopped at once.
    ours = plan_path(out).exists() or undo_log_path(out).exists() or holds_receipts(out)
    if not ours and (out / BUILD).exists():
        raise OtherBuildError(
            f"{out} holds a build whose {PRIVATE} is gone.",
            remedy=f"It can be audited and read, but not added to: bring {PRIVATE} back, or choose another folder.",
        )
    if not ours and out.is_dir() and any(path.name != PRIVATE for path in out.iterdir()):
        raise OtherBuildError(
            f"{out} is not empty, and what is in it is no build of imagenet-prep.",
            remedy="Choose a folder that is empty or does not exist yet.",
        )

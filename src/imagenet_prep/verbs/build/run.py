"""Build: the main job. Archives → catalog → plan → shards and receipts → manifest, each from the one before.

Remaining work is a subtraction: planned shards minus receipts. The same command again therefore goes on where the last
one stopped; another selection in the same place is refused, and another output is added.

The engine comes first, then the index, then what needs Arrow: so the workers work while it is loaded.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_prep.dataset.format import refuse_other_build
from imagenet_prep.dataset.layout import CATALOG
from imagenet_prep.dataset.state import State, load_state
from imagenet_prep.engines.base import Engine
from imagenet_prep.engines.factory import AnyEngine, engine_for
from imagenet_prep.errors import OtherBuildError, counted
from imagenet_prep.model.events import Note, Watch, unwatched
from imagenet_prep.model.given import given, options_given
from imagenet_prep.model.report import Report
from imagenet_prep.options import BuildOptions, Recipe
from imagenet_prep.platform import check_platform
from imagenet_prep.sources.search import SourcePath, is_own_data_set, source_paths
from imagenet_prep.stores import Place, store_at
from imagenet_prep.stores.base import Store
from imagenet_prep.stores.space import amount
from imagenet_prep.verbs.build.place import grown, has_begun_to_move, refuse_foreign
from imagenet_prep.verbs.build.spool import Spool
from imagenet_prep.verbs.index import IndexOptions, catalog_of, found_in, judge_labels

if TYPE_CHECKING:
    from imagenet_prep.planning.catalog import Catalog
    from imagenet_prep.planning.plan import Plan
    from imagenet_prep.verbs.build.job import Job


def build(
    source: SourcePath | Iterable[SourcePath],
    out: Place,
    options: BuildOptions | None = None,
    *,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> Report:
    """Make a data set in ``out``, a folder or a store, from the archives in ``source``. The same call again resumes, or
    finds nothing to do; one with another output adds it.

    In a script, call it under ``if __name__ == "__main__":``, because worker processes import the script.
    ``engine`` does the work instead of ``options.jobs`` processes: an engine, any ``concurrent.futures.Executor`` whose
    workers see the same paths, or a name such as ``dask=tcp://HOST:PORT``. What the caller made stays the caller's to
    shut down.

    Raises UsageError, SourceError, OtherBuildError and OutputError, each with the exit code of the command
    line. Nothing is written before sources, plan and free space were found good.
    """
    started = time.monotonic()
    options, watch = options_given(options, BuildOptions), given("watch", watch, Watch)
    store = store_at(out)
    with (
        _swept(store),
        engine_for(engine, options.jobs) as at_work,
        Spool(store, watch, shared=at_work.shares_files) as spool,
    ):
        report = _prepared(source, store, options, at_work, watch, spool).run(at_work, watch)
    return replace(report, seconds=time.monotonic() - started)


def preview(
    source: SourcePath | Iterable[SourcePath],
    out: Place,
    options: BuildOptions,
    *,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> Plan:
    """Give the plan that ``build`` would carry out; raises what that would raise before it begins, except for a lack of
    space. Nothing is written.
    """
    with engine_for(engine, options.jobs) as at_work:
        job = _prepared(source, store_at(out), options, at_work, watch)
    if needed := job.to_unpack():
        what = f"Packed archives are unpacked beside {job.store.place} first, and removed at the end"
        watch(Note(f"{what}: about {amount(needed)}."))
    watch(job.room())
    if job.remaining.proved:
        shards = sum(len(each.shards) for each in job.plan.outputs)
        are = "is" if job.remaining.proved == 1 else "are"
        watch(Note(f"{job.remaining.proved:,} of {counted(shards, 'shard')} {are} finished already and would stay."))
    if slow := job.slow_reads():
        watch(Note(slow))
    return job.plan


def _prepared(
    source: SourcePath | Iterable[SourcePath],
    store: Store,
    options: BuildOptions,
    engine: Engine,
    watch: Watch,
    spool: Spool | None = None,
) -> Job:
    """Decide everything before a byte is written."""
    check_platform()
    sources = source_paths(source)
    for output in options.recipe.outputs:
        output.check_installed()
    store.free()  # raises where nothing can lie, before the archives are read
    state = load_state(store)
    refuse_foreign(store, state)
    refuse_other_build(store)
    own = next(filter(is_own_data_set, sources), None)
    if own is not None:
        return _of_own(own, sources, store, options, state, engine, watch, spool)
    recipe = grown(store, options.recipe, state)
    if state and has_begun_to_move(store):  # the source has changed
        from imagenet_prep.dataset.catalog_file import load_catalog

        catalog = load_catalog(store, CATALOG)
        if catalog is None:
            remedy = f"Put the files back, and build again: imagenet-prep undo {store.place}"
            raise OtherBuildError(f"{store.place}: {CATALOG} is damaged, or of another version.", remedy=remedy)
        catalog = replace(catalog, archives=state.sources)
        judge_labels(catalog, recipe.selection.taxonomy, watch, trust=True)  # as it was before the move
    else:
        catalog = _indexed(sources, store, recipe, options, state, engine, watch, spool)
    # With Arrow, which the index has loaded while it waited.
    from imagenet_prep.verbs.build.job import job

    return job(store, catalog, replace(options, recipe=recipe), state, watch, spool)


def _indexed(
    sources: list[Path],
    store: Store,
    recipe: Recipe,
    options: BuildOptions,
    state: State | None,
    engine: Engine,
    watch: Watch,
    spool: Spool | None,
) -> Catalog:
    boxes = any(output.stores_boxes for output in recipe.outputs)
    how = IndexOptions(taxonomy=recipe.selection.taxonomy, boxes=boxes, trust_labels=options.trust_labels)
    found = found_in(sources, how, watch)
    plain = spool.plain if spool else str
    kept = (store, CATALOG)
    return catalog_of(found, how, engine=engine, watch=watch, kept=kept, told=state is not None, plain=plain)


def _of_own(
    own: Path,
    sources: list[Path],
    store: Store,
    options: BuildOptions,
    state: State | None,
    engine: Engine,
    watch: Watch,
    spool: Spool | None,
) -> Job:
    """Build from a data set of this program; if other sources are named beside it, the images are read from those."""
    from imagenet_prep.verbs.build.job import job
    from imagenet_prep.verbs.build.own import OwnDataSet

    new = [output for output in options.recipe.outputs if state is None or output.name not in state.outputs]
    data_set, itself = OwnDataSet(own, new), own.resolve() in map(Path.resolve, map(Path, store.local_paths("")))
    selection = options.recipe.selection
    if state is None or selection != state.recipe.selection:
        selection = data_set.selection(selection, itself=itself, resplit=options.resplit)
    recipe = grown(store, replace(options.recipe, selection=selection), state)
    others = [path for path in sources if path.resolve() != own.resolve()]
    reading = None
    if others:
        catalog = _indexed(others, store, recipe, options, state, engine, watch, spool)
        recipe = recipe if itself else replace(recipe, selection=data_set.only(catalog, selection))
    elif itself:
        catalog, reading = data_set.stored, data_set.located(watch, itself=True)
    else:
        reading = data_set.located(watch, itself=False)
        catalog = reading.catalog
    return job(store, catalog, replace(options, recipe=recipe), state, watch, spool, reading=reading)


def completed(store: Store, options: BuildOptions) -> Report | None:
    """Give the report of a data set of which everything is there that its state and its catalog promise; None if
    something is left to do. No source is needed, and nothing is written.
    """
    from imagenet_prep.dataset.catalog_file import load_catalog
    from imagenet_prep.verbs.build.job import job

    state, catalog = load_state(store), load_catalog(store, CATALOG)
    if state is None or catalog is None:
        return None
    return job(store, replace(catalog, archives=state.sources), options, state, unwatched).complete()


@contextmanager
def _swept(store: Store) -> Iterator[None]:
    """Leave no half-written file, whatever ends the build: a worker that was stopped hard could not remove its own, nor
    can this process if an interrupt comes just as a file is made.
    """
    try:
        yield
    finally:
        store.sweep(own=True)

"""Resume and repair: go on with a data set without typing anything twice. Its state knows recipe and sources."""

from __future__ import annotations

from collections.abc import Iterable

from imagenet_prep.engines.factory import AnyEngine, engine_for
from imagenet_prep.errors import MissingSourceError, OtherBuildError, Problem, SourceError, UsageError, counted
from imagenet_prep.model.events import Note, Watch, unwatched
from imagenet_prep.model.report import Report
from imagenet_prep.options import BuildOptions
from imagenet_prep.sources.search import SourcePath, source_paths
from imagenet_prep.stores import Place, store_at
from imagenet_prep.stores.base import Store
from imagenet_prep.verbs.build.run import build, completed

_NAMED = 5  # damaged shards


def resume(
    out: Place,
    source: SourcePath | Iterable[SourcePath] = (),
    *,
    jobs: int = 0,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> Report:
    """Finish the data set in ``out`` as it was started. Sources that are given replace the remembered ones, if
    they give the same selection.

    Raises UsageError if there is none, and what ``build`` raises.
    """
    return _built(store_at(out), source, "resume", jobs, watch, engine)


def repair(
    out: Place,
    source: SourcePath | Iterable[SourcePath] = (),
    *,
    jobs: int = 0,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> Report:
    """Read everything back, and write what is missing or differs from its receipt again. If nothing does, no source
    is needed.

    Raises what ``resume`` raises, and UsageError where files that were moved are damaged.
    """
    from imagenet_prep.dataset.catalog_file import load_catalog
    from imagenet_prep.dataset.layout import CATALOG
    from imagenet_prep.verbs.audit.damaged import damage_of
    from imagenet_prep.verbs.build.finish import unfinish

    store = store_at(out)
    options, _ = _remembered(store, jobs)
    if load_catalog(store, CATALOG) is None:  # which says what is to be read back: this writes it again
        _built(store, source, "repair", jobs, watch, engine)
    with engine_for(engine, jobs) as at_work:
        damage = damage_of(store, at_work, watch)
    names = [" ".join(path.split("/")[-2:]) for path in damage.receipts]
    named = f": {', '.join(sorted(names)[:_NAMED])}{' …' if len(names) > _NAMED else ''}" if names else ""
    watch(Note(f"Read {counted(damage.read, 'finished shard')} back: {len(names):,} damaged{named}."))
    if damage.receipts:
        if any(output.moves for output in options.recipe.outputs):
            _refuse_moved(store, damage.problems)
        with store.hold(alone=True):
            unfinish(store, damage.receipts)
    elif report := completed(store, options):
        return report
    return _built(store, source, "resume", jobs, watch, engine)


def _built(
    store: Store,
    source: SourcePath | Iterable[SourcePath],
    verb: str,
    jobs: int,
    watch: Watch,
    engine: AnyEngine | None,
) -> Report:
    """Build with what is remembered; a source that is not there is to be given to ``verb``."""
    options, remembered = _remembered(store, jobs)
    try:
        return build(source_paths(source) if source else remembered, store, options, watch=watch, engine=engine)
    except MissingSourceError as error:
        remedy = f"Say where the source is now: imagenet-prep {verb} {store.place} SOURCE"
        raise SourceError(error.summary, error.problems, remedy) from error


def _refuse_moved(store: Store, problems: tuple[Problem, ...]) -> None:
    raise UsageError(
        "Moved files cannot be written again: they are the only copies.",
        problems,
        f"Restore these from a backup, and continue: imagenet-prep resume {store.place}",
    )


def _remembered(store: Store, jobs: int) -> tuple[BuildOptions, list[str]]:
    from imagenet_prep.dataset.format import refuse_other_build
    from imagenet_prep.dataset.layout import is_data_set, is_of_the_first_edition
    from imagenet_prep.dataset.state import load_state

    state = load_state(store)
    if state is None:
        if is_of_the_first_edition(store):
            raise OtherBuildError(f"{store.place} was built by version 0.1, whose notes cannot be read any more.")
        what = "has lost its state" if is_data_set(store) else "holds no data set of imagenet-prep"
        raise UsageError(
            f"{store.place} {what}: there is nothing to resume or repair.", remedy="See imagenet-prep build."
        )
    refuse_other_build(store)
    sources = [archive.path for archive in state.sources]
    options = BuildOptions(
        recipe=state.recipe, jobs=jobs, on_bad=state.on_bad, check=state.check, trust_labels=state.trust_labels
    )
    return options, sources

"""Resume and repair: go on with a data set without typing anything twice. Its state knows recipe and sources."""

from __future__ import annotations

from collections.abc import Iterable

from imagenet_prep.engines.factory import AnyEngine, engine_for
from imagenet_prep.errors import OtherBuildError, UsageError
from imagenet_prep.model.events import Note, Watch, unwatched
from imagenet_prep.model.report import Report
from imagenet_prep.options import BuildOptions
from imagenet_prep.sources.search import SourcePath, source_paths
from imagenet_prep.stores import Place, store_at
from imagenet_prep.stores.base import Store
from imagenet_prep.verbs.build.run import build

_NAMED = 5  # damaged shards


def resume(
    out: Place,
    source: SourcePath | Iterable[SourcePath] = (),
    *,
    jobs: int = 0,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> Report:
    """Finish the data set in ``out``, as it was begun. Sources that are given replace those that are remembered, if
    they give the same selection.

    Raises UsageError if there is none, and what ``build`` raises.
    """
    store = store_at(out)
    options, remembered = _remembered(store, jobs)
    sources = source_paths(source) if source else remembered
    return build(sources, store, options, watch=watch, engine=engine)


def repair(
    out: Place,
    source: SourcePath | Iterable[SourcePath] = (),
    *,
    jobs: int = 0,
    watch: Watch = unwatched,
    engine: AnyEngine | None = None,
) -> Report:
    """Read everything back, and write again what is not what its receipt says, or missing.

    Raises what ``resume`` raises, and UsageError where files were moved.
    """
    from imagenet_prep.dataset.catalog_file import load_catalog
    from imagenet_prep.dataset.layout import CATALOG
    from imagenet_prep.dataset.state import load_state
    from imagenet_prep.verbs.audit.damaged import damaged_receipts
    from imagenet_prep.verbs.build.finish import unfinish

    store = store_at(out)
    _remembered(store, jobs)
    state = load_state(store)
    if state and any(output.moves for output in state.recipe.outputs):
        raise UsageError(
            "Moved files cannot be written again: there are no others.",
            remedy=f"Restore damaged ones from a backup, and go on: imagenet-prep resume {store.place}",
        )
    if load_catalog(store, CATALOG) is None:  # which says what is to be read back: this makes it again
        resume(store, source, jobs=jobs, watch=watch, engine=engine)
    with engine_for(engine, jobs) as at_work:
        found, read = damaged_receipts(store, at_work, watch)
    names = [" ".join(path.split("/")[-2:]) for path in found]
    named = f": {', '.join(sorted(names)[:_NAMED])}{' …' if len(names) > _NAMED else ''}" if names else ""
    watch(Note(f"Read {read:,} finished shards back: {len(found):,} damaged{named}."))
    if found:
        with store.hold(alone=True):
            unfinish(store, found)
    return resume(store, source, jobs=jobs, watch=watch, engine=engine)


def _remembered(store: Store, jobs: int) -> tuple[BuildOptions, list[str]]:
    from imagenet_prep.dataset.layout import is_data_set, is_of_the_first_edition
    from imagenet_prep.dataset.state import load_state

    state = load_state(store)
    if state is None:
        if is_of_the_first_edition(store):
            raise OtherBuildError(f"{store.place} was built by version 0.1, whose notes cannot be read any more.")
        what = "has lost its state" if is_data_set(store) else "holds no data set of imagenet-prep"
        raise UsageError(f"{store.place} {what}: there is nothing to go on with.", remedy="See imagenet-prep build.")
    sources = [archive.path for archive in state.sources]
    options = BuildOptions(
        recipe=state.recipe, jobs=jobs, on_bad=state.on_bad, check=state.check, trust_labels=state.trust_labels
    )
    return options, sources

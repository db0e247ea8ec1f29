"""Whether a place is for this build: empty, or a data set of the same selection that it resumes or grows. Most of it is
decided before the sources are read, and so without Arrow, which is loaded while they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imagenet_prep.dataset.layout import FOLDERS_BEFORE_MOVE, UNDONE, is_of_the_first_edition
from imagenet_prep.dataset.state import State, state_of
from imagenet_prep.errors import OtherBuildError, Problem, SourceError, printable
from imagenet_prep.model.archive import PRIVATE
from imagenet_prep.model.task import FAIL
from imagenet_prep.options import BuildOptions, Recipe
from imagenet_prep.outputs.base import options_of
from imagenet_prep.sources.found import is_of_system
from imagenet_prep.stores.base import Listing, Store

if TYPE_CHECKING:
    from imagenet_prep.planning.plan import OutputPlan, Plan

_NAMED = 5  # of the files that are in the way
_TOLD = 200  # characters of a difference: a choice of classes may have 1,000 of them
_OTHER = "Choose another folder, or finish what is there: imagenet-prep resume {place}"
_OTHER_SOURCE = (
    "Choose another folder, or continue with the source it was made from: imagenet-prep resume {place} SOURCE"
)


def refuse_foreign(store: Store, state: State | None) -> None:
    """Raise OtherBuildError if anything except a data set of this program is there."""
    if is_of_the_first_edition(store):
        raise OtherBuildError(
            f"{store.place} was built by version 0.1, whose notes cannot be read any more.",
            remedy="Build into another folder. That version can still audit and undo it.",
        )
    if store.stat(UNDONE):
        raise OtherBuildError(
            f"{store.place} is being taken away.", remedy=f"Finish that first: imagenet-prep undo {store.place}"
        )
    listing = store.list("") if state is None else Listing([], [])
    there = sorted(name for name in (*listing.files, *listing.folders) if name != PRIVATE and not is_of_system(name))
    if there:
        named = ", ".join(map(printable, there[:_NAMED]))
        more = f" and {len(there) - _NAMED:,} more" if len(there) > _NAMED else ""
        raise OtherBuildError(
            f"{store.place} is not empty, and what is in it is not a data set of imagenet-prep that can be continued: "
            f"{named}{more}.",
            remedy="Choose a folder that is empty or does not exist yet.",
        )


def has_begun_to_move(store: Store) -> bool:
    """Whether names in the source have gone, or may have: it is no longer what it was."""
    return store.stat(FOLDERS_BEFORE_MOVE) is not None


def grown(store: Store, recipe: Recipe, state: State | None) -> Recipe:
    """Give the recipe with all outputs that the data set has already. Raises OtherBuildError where one is to be there
    with other options.
    """
    if state is None:
        return recipe
    problems = [
        Problem(output.name, f"was built with {field} {there!r}, not {options_of(output)[field]!r}")
        for output in recipe.outputs
        if output.name in state.outputs
        for field, there in state.outputs[output.name].options.items()
        if options_of(output)[field] != there
    ]
    if problems:
        _refuse(store, problems)
    names = {output.name for output in recipe.outputs}
    others = tuple(output for output in state.recipe.outputs if output.name not in names)
    return Recipe(selection=recipe.selection, outputs=(*recipe.outputs, *others))


def refuse_other(store: Store, plan: Plan, state: State | None) -> None:
    """Raise OtherBuildError, with what differs, if the place holds a data set of another selection, or one that
    libraries of other versions have decided.
    """
    if state is None:
        return
    if state.identity != plan.identity:
        differences = list(_selection(state, plan))
        _refuse(store, [*differences, *_sources(state, plan)], _OTHER if differences else _OTHER_SOURCE)
    now = state_of(plan, state.check, state.on_bad)
    for name, output in state.outputs.items():
        if name not in now.outputs:  # another run has just added it
            continue
        if output.identity != now.outputs[name].identity:
            _refuse(store, [Problem(name, "was built with other bounding boxes")])
        for library, version in output.libraries.items():
            if now.outputs[name].libraries.get(library) != version:
                here = now.outputs[name].libraries.get(library)
                raise OtherBuildError(
                    f"{store.place} was started with {library} {version}, which decides bytes; here it is {here}.",
                    remedy=f"Install that version: pip install {library}=={version}",
                )


def refuse_moved(store: Store, new: list[OutputPlan]) -> None:
    """Raise SourceError if outputs are to be added when files of the source were moved away."""
    if new:
        raise SourceError(
            f"The files of the source were moved into {store.place}: {new[0].output.name} cannot be made from them.",
            remedy=f"Move them back, and then build all outputs together: imagenet-prep undo {store.place}",
        )


def _refuse(store: Store, problems: list[Problem], remedy: str = _OTHER) -> None:
    raise OtherBuildError(f"{store.place} holds another data set:", tuple(problems), remedy.format(place=store.place))


def _selection(state: State, plan: Plan) -> Iterator[Problem]:
    there, now = state.selection, plan.recipe.selection.document()
    for field, value in now.items():
        if there.get(field) != value:
            yield Problem(field, f"{_short(there.get(field))} there, {_short(value)} now")


def _short(value: Any) -> str:
    text = f"{len(value):,} names" if isinstance(value, list) and len(value) > 20 else repr(value)
    return text if len(text) <= _TOLD else f"{text[:_TOLD]} …"


def _sources(state: State, plan: Plan) -> Iterator[Problem]:
    """Say what became of each source."""
    there = {(each.role, each.name): each.size for each in state.sources}
    now = {(each.role, each.name): each.size for each in plan.catalog.archives}
    for role, name in dict.fromkeys((*there, *now)):
        if (role, name) not in now:
            yield Problem(f"{name} ({role})", "is no longer among the sources")
        elif (role, name) not in there:
            yield Problem(f"{name} ({role})", "was not among the sources")
        elif there[role, name] != now[role, name]:
            size, before = now[role, name], there[role, name]
            yield Problem(f"{name} ({role})", f"has {size:,} bytes of images or archive, not {before:,}")


def effective(options: BuildOptions, state: State | None, *, grows: bool) -> BuildOptions:
    """Give the options that apply: what is added to a finished data set is examined as closely as the rest was."""
    if state is None or not grows:
        return options
    return replace(options, on_bad=FAIL, check=state.check)

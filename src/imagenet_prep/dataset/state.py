"""The state of a data set: what it is to contain, in full, so that one can resume, repair, grow and undo it without
typing anything again. Written before the first file of the data set. It is read before Arrow is loaded.

Together with the catalog it is also the inventory: what a build puts into its store follows from both. Paths of sources
are only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import PIL

from imagenet_prep.codecs.sealed import seal, unseal
from imagenet_prep.dataset.format import FORMAT_VERSION, refuse_other_version
from imagenet_prep.dataset.layout import STATE
from imagenet_prep.errors import OtherBuildError, OutputError
from imagenet_prep.model.archive import Archive
from imagenet_prep.model.original import Original, original_from
from imagenet_prep.model.shards import Arrangement
from imagenet_prep.model.task import Check, OnBad
from imagenet_prep.options import Recipe
from imagenet_prep.outputs.base import options_of
from imagenet_prep.stores.base import Store

if TYPE_CHECKING:
    from imagenet_prep.planning.catalog import Catalog
    from imagenet_prep.planning.plan import OutputPlan, Plan

_CONVERTS_WITH = "pillow"  # its version decides the bytes of converted images


@dataclass(frozen=True, slots=True)
class OutputState:
    """One output as it was planned. ``libraries`` are versions of those that decide its bytes."""

    options: Mapping[str, Any]
    identity: str
    arrangement: Arrangement
    libraries: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class State:
    """What a data set is for. ``selection`` is the document of its selection, ``identity`` that of its plan; ``check``,
    ``on_bad`` and ``trust_labels`` are those of the options. ``original`` is what was seen of the source when the data
    set was started, None in one of an earlier version: it stays what it is, whatever a source is called later.
    """

    selection: Mapping[str, Any]
    identity: str
    outputs: Mapping[str, OutputState]
    sources: tuple[Archive, ...]
    check: Check
    on_bad: OnBad
    trust_labels: bool = False
    original: Original | None = None

    @property
    def recipe(self) -> Recipe:
        """The whole recipe."""
        outputs = {name: output.options for name, output in self.outputs.items()}
        return Recipe.from_document({"selection": self.selection, "outputs": outputs})

    @property
    def arrangements(self) -> dict[str, Arrangement]:
        """How each output is arranged."""
        return {name: output.arrangement for name, output in self.outputs.items()}

    def planned(self, catalog: Catalog) -> Plan:
        """Plan the data set again, from its stored catalog; the state knows where the sources are."""
        from imagenet_prep.planning.plan import plan

        return plan(replace(catalog, archives=self.sources), self.recipe, self.arrangements)


def state_of(
    of: Plan, check: Check, on_bad: OnBad, *, trust_labels: bool = False, original: Original | None = None
) -> State:
    """Give the state of a data set that is planned so."""
    return State(
        selection=of.recipe.selection.document(),
        identity=of.identity,
        outputs={each.output.name: _output_state(each) for each in of.outputs},
        sources=of.catalog.archives,
        check=check,
        on_bad=on_bad,
        trust_labels=trust_labels,
        original=original,
    )


def _output_state(of: OutputPlan) -> OutputState:
    libraries = {_CONVERTS_WITH: PIL.__version__} if of.output.converts else {}
    return OutputState(options_of(of.output), of.identity, of.arrangement, libraries)


def save_state(store: Store, state: State) -> None:
    """Write the state durably, in place of another one."""
    document = {**asdict(state), "format_version": FORMAT_VERSION}
    store.publish(STATE, seal(document))


def load_state(store: Store) -> State | None:
    """Read the state; None if there is none. Raises OtherBuildError if it is damaged, or of another version, and
    OutputError if it cannot be read.
    """
    try:
        data = store.read(STATE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        remedy = "Choose a folder you may write to."
        raise OutputError(f"Cannot read {store.place}/{STATE}: {error.strerror}.", remedy=remedy) from error
    try:
        document = unseal(data)
        refuse_other_version(document, f"{store.place}/{STATE}")
        del document["format_version"]
        return _parsed(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = f"Restore {STATE} from a copy. Without it the data set can be read and audited, but not changed."
        raise OtherBuildError(f"{store.place} has a damaged state: {STATE}.", remedy=remedy) from error


def _parsed(document: dict[str, Any]) -> State:
    outputs = {
        name: OutputState(of["options"], of["identity"], Arrangement(*of["arrangement"]), of["libraries"])
        for name, of in document.pop("outputs").items()
    }
    known = {each.name for each in fields(Archive)}
    sources = tuple(Archive(**each) for each in document.pop("sources") if set(each) <= known)
    original = original_from(document.pop("original", None))
    return State(**document, outputs=outputs, sources=sources, original=original)

"""A finished data set of this program as the source of a build: of another data set, or of more outputs of its own.

Nothing is searched and walked. Its catalog says which images there are, its manifest in which split each is and where
its bytes lie in one of its outputs, one that has not converted them if there is one. So a split stays what it was: a
test image never becomes one of train because the data set was built again, unless somebody asks for that.

An output of its own is written from its own files, while catalog, manifest and state go on saying where the images
came from at first: the data set that has grown is the one that would have been built at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.dataset.catalog_file import load_catalog
from imagenet_prep.dataset.finished import finished_document
from imagenet_prep.dataset.layout import CATALOG, SET_ASIDE_FOLDER
from imagenet_prep.dataset.manifest import read_manifest
from imagenet_prep.dataset.state import load_state
from imagenet_prep.errors import AuditError, Problem, SourceError, UsageError, counted, printable
from imagenet_prep.imagenet.archives import TEST
from imagenet_prep.imagenet.classes import official
from imagenet_prep.model.archive import Archive
from imagenet_prep.model.events import Note, Watch
from imagenet_prep.options import TEST_PER_CLASS, Selection
from imagenet_prep.outputs.base import WHOLE_FILE, Output, output_from
from imagenet_prep.planning.catalog import SCHEMA, Catalog
from imagenet_prep.stores import store_at

_NAMED = 5  # images that are there only converted


class Located(NamedTuple):
    """Where images lie: a catalog, and for each of its rows the xxh3_128 that its bytes must have, "" for any."""

    catalog: Catalog
    digests: pa.StringArray


class OwnDataSet:
    """A data set that is a source of ``outputs``. Raises SourceError if it is not finished, or damaged."""

    def __init__(self, path: Path, outputs: Sequence[Output]) -> None:
        self.path = path
        self._wanted = outputs
        self._store = store_at(path)
        try:
            document = finished_document(self._store)
        except AuditError as error:
            raise SourceError(error.summary, error.problems, error.remedy) from error
        state, catalog = load_state(self._store), load_catalog(self._store, CATALOG)
        if state is None or catalog is None:
            remedy = f"Name one of the folders in it, or write it again: imagenet-prep repair {path} SOURCE"
            raise SourceError(f"{path} is a data set without its state or its catalog.", remedy=remedy)
        self._state, self._catalog = state, replace(catalog, archives=state.sources)
        there = [output_from(name, of["options"]) for name, of in document["outputs"].items()]
        plain = [output for output in there if output.lies_plain]
        links = any(not output.reads(own_file=True) for output in outputs)
        self._outputs = sorted(plain, key=lambda each: (each.converts, (each.image_range is WHOLE_FILE) is not links))
        self._images = pa.Table.from_batches(read_manifest(self._store, list(self._columns())))

    @property
    def stored(self) -> Catalog:
        """Its own catalog, which says where the images came from."""
        return self._catalog

    def selection(self, asked: Selection, *, itself: bool, resplit: bool) -> Selection:
        """Give the selection of a build from it: with its splits, unless it is to ``resplit``; its own for a build into
        ``itself``, if no other is asked for. Raises UsageError for another hold-out.
        """
        if itself:
            return self._state.recipe.selection if asked == Selection() else asked
        own = self._state.recipe.selection
        asked = replace(asked, splits=asked.splits or own.splits)
        asked = replace(asked, taxonomy=own.taxonomy) if asked.taxonomy == official() else asked
        if resplit:
            return asked
        test = tuple(sorted(self._images.filter(pc.equal(self._images["split"], TEST))["name"].to_pylist()))
        if asked.test_list not in ((), test) or (not asked.test_list and asked.test_per_class != TEST_PER_CLASS):
            raise UsageError(
                f"{self.path} has its splits, and they are kept: another hold-out would mix train with test.",
                remedy="Leave --test-per-class and --test-list out, or add --resplit, which puts its test images back "
                "into train and holds out again.",
            )
        return replace(asked, test_list=test, test_per_class=TEST_PER_CLASS if test else 0)

    def only(self, catalog: Catalog, selection: Selection) -> Selection:
        """Exclude from a selection what a catalog has and the data set does not."""
        there = pc.is_in(catalog.table["name"], value_set=self._images["name"].combine_chunks())
        return replace(selection, exclude=(*selection.exclude, *_names(catalog.table, pc.invert(there))))

    def located(self, watch: Watch, *, itself: bool) -> Located:
        """Give a catalog in which each image lies where it is in the data set: of all in its own catalog for a build
        into ``itself``, else of those that it has. Raises SourceError if one of the outputs wants original bytes, and
        an image is there only converted; UsageError for one that cannot be made of it.
        """
        self._refuse_moves(itself=itself)
        catalog, images = self._catalog, self._images
        if not self._outputs:
            there = ", ".join(self._state.outputs)
            raise SourceError(f"{self.path} has no format from which images can be read ({there}).")
        if any(output.stores_boxes for output in self._wanted) and not catalog.boxes_read:
            named = ", ".join(output.name for output in self._wanted if output.stores_boxes)
            remedy = f"with the archives beside it ({self.path} ARCHIVES) they are"
            watch(Note(f"{self.path} knows no bounding boxes, so there are none in {named}; {remedy}."))
        place = pc.index_in(catalog.table["name"], value_set=images["name"].combine_chunks()).combine_chunks()
        if not itself:
            has = pc.and_kleene(
                place.is_valid(), images["set_aside"].take(place.fill_null(0)).combine_chunks().is_null()
            )
            catalog, place = replace(catalog, table=catalog.table.filter(has)), place.filter(has)
        places = images.take(place)  # null for what it does not have
        converted = self._outputs[0].converts & pc.fill_null(places["converted"], fill_value=False).to_numpy().astype(
            bool
        )
        if converted.any():
            self._say_converted(_names(catalog.table, pa.array(converted)), watch)
        catalog = replace(catalog, table=self._placed(catalog, places, converted), archives=self._archives(catalog))
        digests = pc.if_else(pa.array(converted), "", pc.fill_null(places["digest"], ""))
        return Located(catalog, digests.combine_chunks())

    def _columns(self) -> Iterator[str]:
        yield from ("split", "name", "set_aside", "converted", "digest")
        for output in self._outputs[:1]:
            where = output.image_range or WHOLE_FILE
            yield from (f"{output.name}.{column}" for column in (output.file_column, *where) if column)

    def _say_converted(self, names: list[str], watch: Watch) -> None:
        """Name images of which the original bytes are nowhere; refuse to write them where these are wanted."""
        if not self._wanted:
            return
        wanting = [output.name for output in self._wanted if not output.converts]
        if not wanting:
            named = f"{', '.join(names[:_NAMED])}{' …' if names[_NAMED:] else ''}"
            what = (
                f"{self.path} has {counted(len(names), 'image')} only converted to RGB or grey JPEG, and that is taken"
            )
            watch(Note(f"{what}: {named}.", warning=True))
            return
        many, formats = counted(len(names), "image"), ", ".join(wanting)
        raise SourceError(
            f"{self.path} has {many} only converted, and {formats} wants the original bytes:",
            tuple(Problem(printable(self.path.name), "is there only converted to RGB or grey JPEG", n) for n in names),
            f"Give the archives as well: imagenet-prep build {self.path} ARCHIVES OUT",
        )

    def _refuse_moves(self, *, itself: bool) -> None:
        if any(output.moves for output in self._wanted):
            raise UsageError(
                "Files of a finished data set are not moved out of it.",
                remedy="Choose --transfer copy, hardlink or symlink.",
            )
        if itself and any(not output.reads(own_file=True) for output in self._wanted):
            raise UsageError(
                "There are only shards to make folders of, and no files to link.", remedy="Leave --transfer out."
            )

    def _archives(self, catalog: Catalog) -> tuple[Archive, ...]:
        """Its folder, once for each split that images come from and for boxes: who asks for an archive asks by role."""
        roles = dict.fromkeys(archive.role for archive in catalog.archives)
        return tuple(Archive(printable(self.path.name), role, 0, 0, True, str(self.path.absolute())) for role in roles)

    def _placed(self, catalog: Catalog, places: pa.Table, converted: npt.NDArray[np.bool_]) -> pa.Table:
        """Give the table of a catalog with the places in its own files, as far as they are known."""
        output, table = self._outputs[0], catalog.table
        where = output.image_range or WHOLE_FILE
        roles = list(dict.fromkeys(archive.role for archive in catalog.archives))
        archives = np.array([roles.index(archive.role) for archive in catalog.archives], np.int8)
        files = places[f"{output.name}.{output.file_column}"].fill_null("")
        if where is WHOLE_FILE:
            files = pc.replace_substring_regex(files, "/?[^/]*$", "")
        aside = pc.is_valid(places["set_aside"])
        files = pc.if_else(aside, SET_ASIDE_FOLDER, files)
        offsets = places[f"{output.name}.{where.offset}"].fill_null(0) if where.offset else pa.repeat(0, len(table))
        sizes = table["size"].to_numpy()
        if converted.any():
            sizes = np.where(converted, places[f"{output.name}.{where.length}"].fill_null(0).to_numpy(), sizes)
        columns = {
            "archive": pa.array(archives[catalog.numbers("archive")]),
            "container": pc.cast(files, pa.string()).dictionary_encode(),
            "offset": offsets,
            "size": pa.array(sizes),
        }
        return pa.table([columns.get(name, table[name]) for name in SCHEMA.names], SCHEMA.names).cast(SCHEMA)


def _names(table: pa.Table, rows: pa.Array | pa.ChunkedArray) -> list[str]:
    names: list[str] = table["name"].filter(rows).to_pylist()
    return names

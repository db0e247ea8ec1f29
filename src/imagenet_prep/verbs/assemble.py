"""From what the index found, container by container, to a catalog: the last step of the index, and the first that
needs Arrow.

Columns are joined as blocks of memory: no Python object is made for any of 1.28 million images.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from imagenet_prep.errors import Problem, SourceError, counted, printable
from imagenet_prep.imagenet.names import file_of
from imagenet_prep.model.archive import Archive
from imagenet_prep.planning.catalog import SCHEMA, Catalog
from imagenet_prep.planning.census import check_counts
from imagenet_prep.sources.found import Found
from imagenet_prep.verbs.annotations import Annotations
from imagenet_prep.verbs.boxes import box_column, few_boxes, without_use

_MOST_CONTAINERS = np.iinfo(np.int16).max
_REMEDY = (
    "Compare the archive's checksum with the published one, or download it again; remove what does not belong there."
)
_FOLDER_REMEDY = (
    "Remove what does not belong there, and put each image where it belongs: its class is the one its name says."
)


def assemble(
    outside: list[Found],
    parts: list[Found],
    archives: tuple[Archive, ...],
    annotations: list[Annotations],
    paths: list[str],
) -> Catalog:
    """Make the catalog of ``parts``, in their order; ``outside`` is what lay between them, ``paths`` are those of the
    archives.

    Raises SourceError with everything that was found wrong.
    """
    sizes = [sum(sum(part.sizes) for part in parts if part.archive == place) for place in range(len(archives))]
    archives = tuple(
        replace(each, size=size) if each.folder else each for each, size in zip(archives, sizes, strict=True)
    )
    catalog = Catalog(_table(parts, annotations), archives)
    return replace(catalog, notes=tuple(_check([*outside, *parts], catalog, annotations, paths)))


def _check(parts: list[Found], catalog: Catalog, annotations: list[Annotations], paths: list[str]) -> list[str]:
    """Raise what the walk found wrong, all at once; give the notes."""
    census = check_counts(catalog)
    # A tar that has both splits is walked for each.
    problems = list(dict.fromkeys(problem for part in parts for problem in part.problems))
    problems += _doubled(catalog, paths)
    useless, unused = without_use(catalog, annotations)
    problems += useless
    if not census.complete:  # a sound archive with all its images may end without its mark
        problems += dict.fromkeys(part.unended for part in parts if part.unended)
    problems = problems or list(census.problems)  # wrong counts follow from the problems above
    if problems:
        raise SourceError("The source is not what it should be:", tuple(problems), _remedy(problems, catalog))
    notes = [*census.notes, *unused, *few_boxes(catalog)]
    ignored = sum(part.ignored for part in parts)
    if ignored:
        are = "folder or file that is not an image" if ignored == 1 else "folders and files that are not images"
        notes.append(f"Ignored {ignored:,} {are}, such as .DS_Store or a script.")
    beside = sum(part.annotations for part in parts)
    if beside:
        notes.append(
            f"Ignored {counted(beside, 'annotation')} (.xml) among the images: boxes are read from archives, "
            "or from folders that hold only annotations."
        )
    return notes


def _remedy(problems: list[Problem], catalog: Catalog) -> str:
    files = {archive.name for archive in catalog.archives if not archive.folder}
    in_tars = [problem.offset is not None or problem.archive in files for problem in problems]
    return "\n".join([_REMEDY] * any(in_tars) + [_FOLDER_REMEDY] * (not all(in_tars)))


def _doubled(catalog: Catalog, paths: list[str]) -> Iterator[Problem]:
    """Yield every image that is in two places, with both."""
    if pc.count_distinct(catalog.table["name"]).as_py() == len(catalog):
        return
    counts = pc.value_counts(catalog.table["name"])
    doubled = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    rows = np.flatnonzero(pc.is_in(catalog.table["name"], doubled).to_numpy())
    places = catalog.table.take(pa.array(rows)).select(["name", "archive", "container", "offset"]).to_pylist()
    first: dict[str, str] = {}
    for place in sorted(places, key=lambda place: str(place["name"])):
        path, member = paths[place["archive"]], file_of(place["container"], place["name"])
        if place["name"] not in first:
            first[place["name"]] = f"{path}/{member}"
            continue
        other = first[place["name"]]
        twice = "is there twice" if other == f"{path}/{member}" else f"is the same image as {printable(other)}"
        yield Problem(printable(path), twice, printable(member), place["offset"] or None)


def _table(parts: list[Found], annotations: list[Annotations]) -> pa.Table:
    counts = [len(part.lengths) for part in parts]
    names = _strings(b"".join(part.names for part in parts), _joined([part.lengths for part in parts], np.int32))
    columns = [
        names,
        pa.array(_joined([part.class_indexes for part in parts], np.int16)),
        pa.array(np.repeat([part.archive for part in parts], counts).astype(np.int8)),
        _containers(parts, counts),
        pa.array(_joined([part.offsets for part in parts], np.int64)),
        pa.array(_joined([part.sizes for part in parts], np.int32)),
        box_column(names, annotations),
    ]
    return pa.table(columns, schema=SCHEMA)


def _containers(parts: list[Found], counts: list[int]) -> pa.DictionaryArray:
    places = [place for part in parts for place in part.containers]
    if len(places) > _MOST_CONTAINERS:
        remedy = "Give a source with fewer folders, or the official archives."
        raise SourceError(f"The images lie in more than {_MOST_CONTAINERS:,} folders and tars.", remedy=remedy)
    before = np.cumsum([0, *(len(part.places) for part in parts)])[:-1]
    numbers = np.repeat(before, counts) + _joined([part.placed for part in parts], np.int16)
    return pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int16()), pa.array(places, pa.string()))


def _joined(columns: list[array[int]], dtype: type[np.integer[Any]]) -> npt.NDArray[Any]:
    return np.frombuffer(b"".join(columns), dtype)


def _strings(text: bytes, lengths: npt.NDArray[np.int32]) -> pa.StringArray:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.StringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(text))

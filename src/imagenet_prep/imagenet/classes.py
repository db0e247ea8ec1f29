"""The class table: WNID, class index, devkit integer and name of each class.

The class index (0…999, WNID order) is what PyTorch, Keras and TFDS use; the devkit integer (1…1000) is
another numbering, which equals class index + 1 for no class. So neither is ever called a label here, and
neither is computed from the other: ``data/classes.tsv`` has both. ``scripts/make_class_table.py`` makes it
out of public packages and cross-checks those. No Arrow and no NumPy: workers import this module.
"""

from __future__ import annotations

import csv
import difflib
import io
import pkgutil
import re
import sys
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property

from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.class_names import Renaming, same_name_key, unique_names
from imagenet_prep.model.given import given

__all__ = [
    "ClassFacts",
    "Renaming",
    "Taxonomy",
    "official",
    "validation_truth",
]

_WNID_FIRST = re.compile(r"(n\d{8})(?![^\W_])", re.ASCII)  # ends as a word does, or with _
_INDEX_FIRST = re.compile(r"(\d{3})[-_ ]", re.ASCII)
_LONGEST = 1_000  # characters of a name; to compose many thousands of accents takes the square of their number
_LIKE = 0.75  # how much a mistyped name must be like one: a unicorn is not corn
_SPACE = re.compile(r"[_\s]+")
_MAP_REMEDY = (
    "Each line is `WNID devkit-integer name`, as in map_clsloc.txt; "
    "`imagenet-prep classes --format map` prints a map to start from."
)


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """One class: ``index`` 0…999 in WNID order, ``devkit`` 1…1000, ``lemmas`` as ``tench, Tinca tinca``."""

    wnid: str
    index: int
    devkit: int
    name: str
    lemmas: str

    @property
    def map_name(self) -> str:
        """The name in the original map_clsloc.txt: the first lemma, ``_`` for spaces. Two are ``crane``."""
        return self.lemmas.partition(", ")[0].replace(" ", "_")


@dataclass(frozen=True)
class Taxonomy:
    """The 1,000 classes in class index order, and those whose name could not stay as given, in WNID order."""

    classes: tuple[ClassFacts, ...]
    renamings: tuple[Renaming, ...]

    def find(self, wnid: str) -> ClassFacts | None:
        """Return the class of ``wnid``, or None if it is not one of the 1,000."""
        return self._by_wnid.get(wnid)

    def index_of(self, wnid: str) -> int:
        """Return the class index of ``wnid``; KeyError if it is not one of the 1,000."""
        return self._by_wnid[wnid].index

    def by_devkit(self, devkit: int) -> ClassFacts:
        """Return the class with this devkit integer (1…1000); KeyError for any other."""
        return self._by_devkit[devkit]

    def search(self, query: str) -> tuple[ClassFacts, ...]:
        """Return the classes ``query`` means, in class index order; a number is a class index.

        Other text is a WNID, or part of a name or of the lemmas; case does not count, nor ``_`` against
        space.
        """
        query = _searchable(given("query", query, str).strip())
        if query.isdecimal():
            return tuple(facts for facts in self.classes if str(facts.index) == query)
        return tuple(facts for facts in self.classes if _answers(facts, query))

    def like(self, name: str) -> str:
        """Give the name of a class that is most like another name; "" if none is."""
        close = difflib.get_close_matches(
            name.lower().replace(" ", "_"), [facts.name for facts in self.classes], 1, _LIKE
        )
        return close[0] if close else ""

    def called(self, name: str) -> tuple[int, ...]:
        """Return the class indexes, ascending, of the classes that a user or a folder may call so.

        It may be a WNID, with or without words after it (``n01440764-tench``); a name of this table or of the original
        map; a lemma or all of them, if that is not such a name; or one of these after a class index (``000_tench``).
        Case does not count, nor ``_`` against space. ``crane`` gives two, an unknown name none.
        """
        indexed = _INDEX_FIRST.match(name)
        if indexed:
            return tuple(index for index in self._called(name[indexed.end() :]) if index == int(indexed[1]))
        return self._called(name)

    def _called(self, name: str) -> tuple[int, ...]:
        wnid = _WNID_FIRST.match(name.lower())
        if wnid:
            facts = self.find(wnid[1])
            return (facts.index,) if facts else ()
        if len(name) > _LONGEST:
            return ()
        key = _searchable(name)
        return self._by_name.get(key) or self._by_lemma.get(key, ())

    def with_names(self, map_text: str | bytes, origin: str = "map") -> Taxonomy:
        """Return the built-in table with the names of a user's map; ``origin`` is what messages call the map.

        The map has the form of map_clsloc.txt (bytes are UTF-8). It may cover some of the classes; the
        others keep their built-in names, and the rule of ``imagenet.class_names`` makes all unique. The
        original map gives the built-in names. SourceError lists every line that cannot be used.
        """
        return _renamed(official(), _parse_map(given("map_text", map_text, str | bytes), given("origin", origin, str)))

    @cached_property
    def _by_wnid(self) -> Mapping[str, ClassFacts]:
        return {facts.wnid: facts for facts in self.classes}

    @cached_property
    def _by_name(self) -> Mapping[str, tuple[int, ...]]:
        return _indexes_by(self.classes, lambda facts: (facts.name, facts.map_name))

    @cached_property
    def _by_lemma(self) -> Mapping[str, tuple[int, ...]]:
        return _indexes_by(self.classes, lambda facts: (*facts.lemmas.split(", "), facts.lemmas))

    @cached_property
    def _by_devkit(self) -> Mapping[int, ClassFacts]:
        return {facts.devkit: facts for facts in self.classes}


@cache
def official() -> Taxonomy:
    """Return the built-in table: names of map_clsloc.txt, made unique."""
    rows = [line.split("\t") for line in _package_data("classes.tsv").decode().splitlines()[1:]]
    table = Taxonomy(
        tuple(
            ClassFacts(wnid, index, int(devkit), name, lemmas)
            for index, (wnid, devkit, name, lemmas) in enumerate(rows)
        ),
        (),
    )
    return _renamed(table, {facts.wnid: facts.map_name for facts in table.classes})


@cache
def validation_truth() -> array[int]:
    """Return the class indexes of the 50,000 validation images **by image number**.

    ``validation_truth()[n - 1]`` belongs to ``ILSVRC2012_val_%08d.JPEG`` with number ``n``. The members of
    the archive come in another order: never use it by position there. All callers share the array: do not
    change it.
    """
    truth = array("H", _package_data("validation.bin"))
    if sys.byteorder == "big":
        truth.byteswap()
    return truth


def to_csv(table: Taxonomy) -> str:
    """Return the table as CSV in class index order, with a header line."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["class_index", "wnid", "name", "devkit_integer", "lemmas"])
    rows.writerows([facts.index, facts.wnid, facts.name, facts.devkit, facts.lemmas] for facts in table.classes)
    return text.getvalue()


def to_map(table: Taxonomy) -> str:
    """Return the table in the form of map_clsloc.txt: ``WNID devkit-integer name`` in devkit order."""
    return "".join(
        f"{facts.wnid} {facts.devkit} {facts.name}\n" for facts in sorted(table.classes, key=lambda facts: facts.devkit)
    )


def _package_data(name: str) -> bytes:
    data = pkgutil.get_data("imagenet_prep.imagenet", f"data/{name}")
    if data is None:
        raise FileNotFoundError(name)
    return data


def _searchable(text: str) -> str:
    return _SPACE.sub(" ", same_name_key(text))


def _indexes_by(
    classes: Iterable[ClassFacts], names: Callable[[ClassFacts], Iterable[str]]
) -> Mapping[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for facts in classes:
        for name in dict.fromkeys(map(_searchable, names(facts))):
            found.setdefault(name, []).append(facts.index)
    return {name: tuple(indexes) for name, indexes in found.items()}


def _answers(facts: ClassFacts, query: str) -> bool:
    return query == facts.wnid or query in _searchable(facts.name) or query in _searchable(facts.lemmas)


def _renamed(table: Taxonomy, wanted: Mapping[str, str]) -> Taxonomy:
    """Give the classes the names ``wanted`` by WNID, the others those of ``table``, all made unique."""
    given = {facts.wnid: facts.name for facts in table.classes} | dict(wanted)
    proper = {facts.wnid: facts.name for facts in table.classes if facts.name != facts.map_name}
    naming = unique_names(given, proper)
    earlier = (old for old in table.renamings if old.wnid not in wanted and old.after == naming.names[old.wnid])
    return Taxonomy(
        tuple(replace(facts, name=naming.names[facts.wnid]) for facts in table.classes),
        tuple(sorted((*naming.renamings, *earlier), key=lambda renaming: renaming.wnid)),
    )


def _parse_map(map_text: str | bytes, origin: str) -> dict[str, str]:
    """Return the names by WNID; SourceError with every bad line, not the first alone."""
    try:
        text = map_text if isinstance(map_text, str) else map_text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = Problem(origin, "not UTF-8 text", offset=error.start)
        raise SourceError("The class names cannot be read.", (problem,), _MAP_REMEDY) from error
    names: dict[str, str] = {}
    problems = []
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.split(maxsplit=2)
        if fields and (reason := _wrong_with(fields, names)):
            problems.append(Problem(origin, printable(reason), member=f"line {number}"))
        elif fields:
            names[fields[0]] = fields[2].rstrip()
    if not names and not problems:
        problems.append(Problem(origin, "names no class"))
    if problems:
        raise SourceError("The class names cannot be used.", tuple(problems), _MAP_REMEDY)
    return names


def _wrong_with(fields: list[str], names: Mapping[str, str]) -> str | None:
    """Say why a line of a map cannot be used, if it cannot; ``names`` holds the lines before it."""
    facts = official().find(fields[0])
    if facts is None:
        return f"{fields[0]} is not one of the {CLASS_COUNT:,} WNIDs"
    if facts.wnid in names:
        return f"{facts.wnid} is named twice"
    if len(fields) < 3:
        return "not three fields: WNID, devkit integer, name"
    if fields[1] != str(facts.devkit):
        return f"the devkit integer of {facts.wnid} is {facts.devkit}, not {fields[1]}"
    if len(fields[2]) > _LONGEST:
        return f"the name of {facts.wnid} has {len(fields[2]):,} characters"
    other = official().find(fields[2].strip().casefold())
    if other is not None and other is not facts:
        return f"{facts.wnid} would be named by the WNID of another class, {other.wnid}"
    return None

"""The options of a build: a recipe, which decides every byte, made of a selection and outputs; and how to work.

A prepared data set is a pure function of its sources and a recipe. Every value checks itself, and takes what the
command line takes, under the same name: ``classes="imagenette"``, ``limit="10%"``. No NumPy and no Arrow here, so that
a command can check its options, and start its workers, before it loads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import xxhash

from imagenet_prep.errors import UsageError, printable
from imagenet_prep.imagenet.archives import CLASS_COUNT, SPLITS, TEST
from imagenet_prep.imagenet.classes import Taxonomy, official, to_map
from imagenet_prep.imagenet.lists import chosen_classes, listed_names, listed_train_names, preset_classes
from imagenet_prep.imagenet.presets import PRESETS
from imagenet_prep.model.given import Count, Jobs, Seed, Share, check_fields, given, nearest
from imagenet_prep.model.receipt import DECODE, HEADER
from imagenet_prep.model.task import FAIL, Check, OnBad
from imagenet_prep.outputs.base import (
    DEFAULT_OUTPUT,
    OUTPUTS,
    Output,
    options_of,
    output_class,
    output_from,
    reader_for,
)
from imagenet_prep.platform import is_text, local_path, neighbour

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_LONGEST = 4_200  # characters of a text in a message: a path has at most 4,096 bytes
TEST_PER_CLASS = 50  # unless the user says otherwise: as many as validation has


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which images are in which split.

    ``test_per_class``: labelled images per class that leave train and become the test split; 0 gives the standard full
    train set. ``seed`` chooses which. ``test_list`` has the file names of the test split instead. Images of
    ``exclude``, by file name, are taken out before anything else is decided. ``splits``: what to write; empty means all
    there are. ``taxonomy`` gives the readable names of classes.

    A subset: ``classes`` by class index, empty for all, or a preset's name; ``images_per_class`` is the most that a
    class of a split keeps; ``limit`` is the most that a split keeps, or as a fraction between 0 and 1, or as "10%", its
    share; 0 is no limit. Labels stay those of the 1,000. Classes and names are kept sorted, each once; ``classes``,
    ``test_list`` and ``exclude`` may be a path, which is read.
    """

    test_per_class: Count = TEST_PER_CLASS
    seed: Seed = 0
    test_list: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()
    images_per_class: Count = 0
    limit: Count | Share = 0
    taxonomy: Taxonomy = field(default_factory=official)

    def __post_init__(self) -> None:
        """Raise UsageError for what no catalog can satisfy."""
        readings = {
            "classes": _classes(self.classes, self.taxonomy),
            "limit": _limit(self.limit),
            "test_list": _names(self.test_list, "test_list", listed_train_names),
            "exclude": _names(self.exclude, "exclude", listed_names),
            "splits": _one_or_several(self.splits),
        }
        for name, value in readings.items():
            object.__setattr__(self, name, value)
        check_fields(self)
        for name in ("classes", "test_list", "exclude"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        for split in self.splits:
            check_split(split)
        if not isinstance(self.limit, int) and self.limit == 1:  # of an image or of all of them?
            raise UsageError("limit is a whole number of images, or a share between 0 and 1.")
        for what, names in (("test_list", self.test_list), ("exclude", self.exclude)):
            if not is_text("".join(names)):
                raise UsageError(f"{what} has a name that is not UTF-8 text.")
        if TEST in self.splits and not self.holds_out:
            raise UsageError(
                "The test split is what is held out of train, and nothing is held out.",
                remedy="Hold images out (--test-per-class N), or leave out --split test.",
            )
        if any(index not in range(CLASS_COUNT) for index in self.classes):
            raise UsageError(f"classes are given as class indexes from 0 to {CLASS_COUNT - 1}.")
        if self.test_list and self.test_per_class != TEST_PER_CLASS:
            raise UsageError("A test list takes the place of a number of test images per class: give one of the two.")

    @property
    def holds_out(self) -> bool:
        """Whether images leave train and become the test split."""
        return bool(self.test_per_class or self.test_list)

    @property
    def is_subset(self) -> bool:
        """Whether images of the source are left out on purpose."""
        return bool(self.classes or self.images_per_class or self.limit)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Give the names of all classes; empty for the built-in ones, which workers have themselves."""
        return () if self.taxonomy == official() else tuple(of.name for of in self.taxonomy.classes)

    def document(self) -> dict[str, Any]:
        """Give all of it as JSON values, in a fixed order."""
        return {
            "test_per_class": None if self.test_list else self.test_per_class,
            "seed": self.seed,
            "test_list": list(self.test_list),
            "exclude": list(self.exclude),
            "splits": [split for split in SPLITS if split in self.splits],
            "classes": list(self.classes),
            "images_per_class": self.images_per_class,
            "limit": self.limit,
            "class_map": "" if self.taxonomy == official() else to_map(self.taxonomy),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Selection:
        """Read back what ``document`` gave. Raises UsageError for a name that it does not know."""
        values = dict(given("selection", document, Mapping))
        class_map = given("class_map", values.pop("class_map", ""), str)
        if values.get("test_per_class") is None:
            values.pop("test_per_class", None)
        known = {each.name for each in fields(cls)} - {"taxonomy"}
        if unknown := sorted(map(str, set(values) - known)):
            remedy = nearest(unknown[0], {*known, "class_map"})
            raise UsageError(f"A selection has no {_short(unknown[0])}.", remedy=remedy)
        if class_map:
            values["taxonomy"] = official().with_names(class_map.encode(), "the class map")
        return cls(**values)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Everything but the source that decides which bytes come out. ``outputs`` are kept sorted by name."""

    selection: Selection = field(default_factory=Selection)
    outputs: tuple[Output, ...] = field(default_factory=lambda: (output_from(DEFAULT_OUTPUT, {}),))

    def __post_init__(self) -> None:
        """Raise UsageError if an output is there twice, or if there is none."""
        check_fields(self)
        outputs = tuple(sorted(self.outputs, key=lambda output: output.name))
        object.__setattr__(self, "outputs", outputs)
        if not outputs or len({output.name for output in outputs}) < len(outputs):
            raise UsageError("A recipe has at least one output, and each format only once.")
        for split in (split for output in outputs for split in output.shards):
            check_split(split)

    def document(self) -> dict[str, Any]:
        """Give all of it as JSON values: equal recipes give equal documents."""
        outputs = {output.name: options_of(output) for output in self.outputs}
        return {"selection": self.selection.document(), "outputs": outputs}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Recipe:
        """Read back what ``document`` gave. Raises UsageError for what is not a recipe."""
        sections = given("outputs", given("a recipe", document, Mapping).get("outputs", {}), Mapping)
        outputs = tuple(output_from(name, options) for name, options in sections.items())
        selection = Selection.from_document(document.get("selection", {}))
        return cls(selection=selection, outputs=outputs) if outputs else cls(selection=selection)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildOptions:
    """The recipe, and how to work: ``jobs`` processes; 0 means two for each processor, 1 this process alone.

    ``on_bad``: what becomes of an image that cannot be used: ``fail`` finishes all shards that have none, and raises
    SourceError; ``set-aside`` leaves it out and keeps its bytes. ``check``: ``header`` looks at the header and the end
    of every image, ``decode`` decodes it strictly. ``trust_labels`` is that of an index (see IndexOptions).
    ``require_original``: whether to refuse a source whose sizes do not agree with the official archives. ``resplit``:
    whether to hold out again from a data set of this program, whose splits are kept otherwise.
    """

    recipe: Recipe = field(default_factory=Recipe)
    jobs: Jobs = 0
    on_bad: OnBad = FAIL
    check: Check = HEADER
    trust_labels: bool = False
    require_original: bool = False
    resplit: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for options that cannot be followed."""
        check_fields(self)
        if self.check == DECODE and not any(output.reads(own_file=True) for output in self.recipe.outputs):
            raise UsageError(
                "No image is read where files are linked or moved.",
                remedy="Leave the check out, and decode the source instead: imagenet-prep check SOURCE --full",
            )

    @classmethod
    def of(cls, **given: Any) -> BuildOptions:
        """Take what the command line takes, under the same names: ``format``, one name or several; ``reader``, what
        ``--for`` takes, one name or several; the fields of a selection and of BuildOptions; and options of outputs,
        each for every output that has it.

        Raises UsageError for an unknown name.
        """
        readers = _one_or_several(given.pop("reader", ()))
        formats = _one_or_several(given.pop("format", () if readers else DEFAULT_OUTPUT))
        names = dict.fromkeys(formats)
        for output, reader in map(reader_for, readers):
            names[output.name] = None
            needed = {f"{output.name}.{key}": value for key, value in reader.options.items() if key not in given}
            given = needed | given
        own = {each.name: given.pop(each.name) for each in fields(cls) if each.name in given and each.name != "recipe"}
        chosen = {each.name: given.pop(each.name) for each in fields(Selection) if each.name in given}
        outputs = _outputs(names, given)
        return cls(recipe=Recipe(selection=Selection(**chosen), outputs=outputs), **own)


def _outputs(names: Iterable[str], given: Mapping[str, Any]) -> tuple[Output, ...]:
    """Make outputs: an option ``names`` goes to every output that has it, an option ``folders.names`` to that one."""
    made, used = [], set()
    for name in names:
        kind: Any = output_class(name)
        options = {}
        for each in fields(kind):
            for key in (each.name, f"{name}.{each.name}"):
                if key in given:
                    options[each.name] = given[key]
                    used.add(key)
        made.append(kind(**options))
    unused = sorted(set(given) - used)
    if unused:
        raise UsageError(
            f"{unused[0]} is not an option of the format{'s' if len(made) > 1 else ''} "
            f"{', '.join(output.name for output in made)}.",
            remedy=_who_has(unused[0], names),
        )
    return tuple(made)


def _who_has(option: str, chosen: Iterable[str]) -> str:
    """Say which format has an option; if none does, say which option was probably meant."""
    having = {name: [each.name for each in fields(cast("DataclassInstance", output_class(name)))] for name in OUTPUTS}
    if others := [name for name, options in having.items() if option in options]:
        return f"Add a format that has it ({', '.join(others)}), or leave it out."
    of_outputs = [f"{name}.{each}" if "." in option else each for name in chosen for each in having[name]]
    own = [] if "." in option else [each.name for kind in (Selection, BuildOptions) for each in fields(kind)]
    return nearest(option, {*of_outputs, *own} - {"recipe"})


def check_split(split: object) -> None:
    """Raise UsageError for an unknown split."""
    if split not in SPLITS:
        raise UsageError(f"There is no split {_short(split)}; the splits are {', '.join(SPLITS)}.")


def digest_of_names(names: Iterable[str]) -> str:
    """Give a short name for a list; equal lists have equal names."""
    return str(xxhash.xxh3_128_hexdigest("\n".join(names).encode()))


def _classes(given: Any, taxonomy: Taxonomy) -> Any:
    """Give class indexes as they are; or those of a preset, or of a list, in a file or not, as names and WNIDs."""
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | bytearray | Mapping):
        items = tuple(given)
        named = [item for item in items if isinstance(item, str)]
        indexes = [item for item in items if not isinstance(item, str)]
        return (*(chosen_classes("\n".join(named), "classes", taxonomy) if named else ()), *indexes)
    if not isinstance(given, str | Path):
        return given
    if not given:
        return ()
    if str(given) in PRESETS:
        return preset_classes(str(given))
    listed = [part.strip() for part in str(given).split(",")]
    if isinstance(given, str) and (len(listed) > 1 or taxonomy.called(given)) and not local_path(given).exists():
        return chosen_classes("\n".join(listed), "classes", taxonomy)
    missing = f"is neither a class, nor a file, nor a preset; the presets are {', '.join(PRESETS)}"
    like = next(iter(get_close_matches(str(given), PRESETS, 1)), "") or taxonomy.like(str(given))
    remedy = f"Did you mean {like}?" if like else neighbour(Path(given))
    return chosen_classes(_content(given, "classes", missing, remedy), str(given), taxonomy)


def _names(given: Any, what: str, read: Callable[[bytes, str], tuple[str, ...]]) -> Any:
    """Give names as they are; or those of a list in a file."""
    if not isinstance(given, str | Path):
        return given
    return read(_content(given, what), Path(given).name)


def _content(given: str | Path, what: str, missing: str = "", remedy: str = "") -> bytes:
    """Read a file; ``missing`` is what is said of one that is not there, and ``remedy`` what was meant, perhaps."""
    try:
        return local_path(given).read_bytes()
    except OSError as error:
        unread = f"cannot be read: {error.strerror}"
        if not isinstance(error, FileNotFoundError):
            raise UsageError(f"{what}: {_short(Path(given))} {unread}.") from error
        remedy = remedy or neighbour(Path(given))
        raise UsageError(f"{what}: {_short(Path(given))} {missing or unread}.", remedy=remedy) from error
    except ValueError as error:
        raise UsageError(f"{what}: {_short(Path(given))} is not a path.") from error


def _one_or_several(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


def _limit(given: Any) -> Any:
    """Read ``"500"`` and ``"2.5%"``, of which all of a split is no limit; numbers as they are."""
    if not isinstance(given, str):
        return given
    percent = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", given)
    if percent and 0 < float(percent[1]) <= 100:
        return float(percent[1]) / 100 if float(percent[1]) < 100 else 0
    if re.fullmatch("0*[1-9][0-9]{0,8}", given):
        return int(given)
    raise UsageError(
        f"limit is {_short(given)}: a number of images from 1 up, such as 500, or a share up to 100%, such as 10%."
    )


def _short(given: object) -> str:
    """Show what was given: a whole path, but not a million characters."""
    text = str(given) if isinstance(given, Path) else repr(given)
    return printable(text if len(text) <= _LONGEST else f"{text[:100]}…")

"""What an output is: one format in both directions, from samples into a shard and back, and everything else that is
particular to it: its options, its files, what it needs, what its readers want beside the shards.

An output is a frozen dataclass: its fields are its options, and flags are made from them. The rest of the program asks
it, and never for its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Protocol, cast

from imagenet_prep.errors import UsageError
from imagenet_prep.model.given import Between, check_fields, given, nearest
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Sample
from imagenet_prep.model.shards import ShardName
from imagenet_prep.stores.base import Batch, RangeReader, Store

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Every output: its name, and where it is. A module is loaded when its output is used.
OUTPUTS: Mapping[str, str] = MappingProxyType(
    {
        "tfrecord": "imagenet_prep.outputs.tfrecord.TFRecord",
        "tfds": "imagenet_prep.outputs.tfds.Tfds",
        "webdataset": "imagenet_prep.outputs.webdataset.WebDataset",
        "parquet": "imagenet_prep.outputs.parquet.Parquet",
        "mds": "imagenet_prep.outputs.mds.Mds",
        "litdata": "imagenet_prep.outputs.litdata.LitData",
        "arrayrecord": "imagenet_prep.outputs.arrayrecord.ArrayRecord",
        "folders": "imagenet_prep.outputs.folders.Folders",
    }
)
DEFAULT_OUTPUT = "tfrecord"
Shards = Mapping[str, Annotated[int, Between(1, 99_999, "a number of shards from 1 to 99,999")]]


class Written(NamedTuple):
    """What a writer made of one shard: files of its own, bytes in all, and for each column that the output declares the
    value of every sample, in order.
    """

    files: tuple[FileFact, ...]
    size: int
    columns: Mapping[str, array[int]]


class ImageRange(NamedTuple):
    """Which of an output's columns say where an image lies in its file: its first byte, or what else the output's
    ``image_reader`` takes for it, and its bytes in number.
    """

    offset: str
    length: str


WHOLE_FILE = ImageRange("", "")  # nothing has to say it: the file is the image, as it was in the source


class Reader(NamedTuple):
    """A program of somebody else's that reads an output as it is. ``framework`` is what people call it, in one word;
    ``options`` are those of the output that it needs, where they are not the defaults. ``snippet`` is Python that gives
    the first samples of train; ``DATA`` in it stands for the path of the data set. ``install`` is what pip installs for
    it. ``meant_by`` are the values of ``--for`` that mean it: each is that of one reader, among those of all outputs.
    """

    framework: str
    snippet: str
    install: str
    options: Mapping[str, Any] = MappingProxyType({})
    meant_by: tuple[str, ...] = ()

    def example(self, data: str) -> str:
        """Give the snippet for the data set in the folder ``data``."""
        return self.snippet.replace("DATA", data.replace("\\", r"\\").replace('"', r"\""))


class ShardWriter(Protocol):
    """One shard of one output being written."""

    def add(self, sample: Sample) -> None:
        """Take one sample. Its image may be memory on loan: it must stay unchanged until the next ``flush``."""

    def leave_out(self, sample: Sample) -> None:
        """Take away what an earlier run may have written of a sample that is set aside now."""

    def flush(self) -> None:
        """Hand everything taken so far to the batch."""

    def finish(self) -> Written:
        """Flush, and complete every file of the shard. Called once, last; the batch is committed after it."""


@dataclass(frozen=True, slots=True)
class StoredShard:
    """Which samples a shard has, in order. ``class_names`` are those of all 1,000 classes."""

    shard: ShardName
    names: Sequence[str]
    class_indexes: Sequence[int]
    class_names: Sequence[str]


@dataclass(frozen=True, slots=True)
class PlannedShard(StoredShard):
    """Which samples a shard will have, in order, except those that are set aside on the way. ``sizes`` are the bytes of
    their images in the source.
    """

    sizes: Sequence[int]


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """A finished shard: how many samples, and its files."""

    shard: ShardName
    rows: int
    files: tuple[FileFact, ...]


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """One split: images, class indexes that have any, ascending, and its finished shards, in order."""

    images: int
    classes: tuple[int, ...]
    shards: tuple[ShardFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Contents:
    """What a data set holds, for documents, summary and remarks. ``class_names`` are those of all 1,000 classes."""

    splits: Mapping[str, SplitFacts]
    class_names: Sequence[str]

    @property
    def classes(self) -> tuple[int, ...]:
        """The class indexes that have images in any split, ascending."""
        return tuple(sorted({index for split in self.splits.values() for index in split.classes}))


class Output(ABC):
    """One output format: inherit, as a frozen dataclass whose fields are its options."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Raise UsageError for an option that is not what its type says."""
        check_fields(cast("DataclassInstance", self), of=f"{self.name}.")

    name: ClassVar[str]
    folder: ClassVar[str]  # everything it writes lies below it, or in others that only it has
    ordered: ClassVar[bool] = True  # whether its bytes depend on the order of the samples; if not, any order will do
    converts: ClassVar[bool] = False  # whether it takes RGB and grey JPEGs alone, or else the original bytes
    stores_boxes: ClassVar[bool] = False
    overhead: ClassVar[int]  # bytes a sample takes beyond its image, for the check of free space: generous, not exact
    file_column: ClassVar[str] = "shard"  # what the manifest calls the file that a sample lies in
    columns: ClassVar[Mapping[str, str]] = MappingProxyType({})  # of the manifest, too: name → code of ``array``
    image_range: ClassVar[ImageRange | None] = None  # None: only ``read`` finds an image, and there is no index
    document_paths: ClassVar[tuple[str, ...]] = ()  # all that ``documents`` may give
    readers: ClassVar[tuple[Reader, ...]] = ()
    foresees: ClassVar[bool] = False  # whether a shard begins with what all its samples are: what is planned must come
    largest_shard: ClassVar[int | None] = None  # bytes, if the format has a limit
    least_shards: ClassVar[int] = 1  # of a split by default, a power of two: fewer only where there are fewer images
    links: ClassVar[bool] = False  # whether it can link files of the source instead of reading them
    shards: Shards  # numbers of shards that were asked for, by split

    @property
    def lies_plain(self) -> bool:
        """Whether images lie in its files as they are, each in one piece, for whoever knows where."""
        return self.image_range is not None and type(self).image_reader is Output.image_reader

    @property
    def moves(self) -> bool:
        """Whether the files of the source are taken away when everything is complete."""
        return False

    @property
    def symbolic(self) -> bool:
        """Whether the links it makes are symbolic ones."""
        return False

    def reads(self, *, own_file: bool) -> bool:  # noqa: ARG002
        """Whether it wants the bytes of an image that is a file of its own in the source, or lies in an archive."""
        return True

    def check_installed(self) -> None:
        """Raise UsageError if a library that it needs is not installed: asked before a byte is written."""
        return

    @abstractmethod
    def writer(self, batch: Batch, planned: PlannedShard) -> ShardWriter:
        """Open a shard in a batch. If the output ``foresees``, it is given exactly the samples that are planned."""

    @abstractmethod
    def documents(self, contents: Contents) -> Mapping[str, bytes]:
        """Give the documents that belong beside the samples, by path below the data set."""

    @abstractmethod
    def describe(self, contents: Contents) -> Mapping[str, str]:
        """Say what it leaves in the data set: path → what it is, for whoever looks at the result."""

    def remarks(self, contents: Contents) -> Iterator[str]:  # noqa: ARG002
        """Say, a sentence or two each, what readers of this output may not expect."""
        return iter(())

    @abstractmethod
    def files(self, stored: StoredShard) -> Sequence[str]:
        """Give all files that a shard consists of: its part of the inventory."""

    @abstractmethod
    def sample_files(self, stored: StoredShard) -> Sequence[str]:
        """Give, for each sample, the file it lies in."""

    def image_reader(self, store: Store, path: str) -> RangeReader:
        """Open a file for images, each by its ``image_range``. Raises OSError, and AuditError for what is damaged."""
        return store.reader(path)

    @abstractmethod
    def read(self, store: Store, stored: StoredShard, seen: list[FileFact] | None = None) -> Iterator[Sample]:
        """Read a shard back, in order, verifying every checksum in it.

        ``seen`` takes size and digest of every file that was read to its end, so that nobody has to read it again for
        them. Width and height are 0 where the format does not store them; the class index is −1 where it cannot be
        told. Raises AuditError with the offset of what is damaged or does not follow the schema, and OSError.
        """


def option(default: Any, text: str, *, form: str = "") -> Any:
    """Declare an option of an output: its flag and its help come from here, and from its type the values it may have.
    ``form`` shows how a value is written.
    """
    metadata = {"help": text, "form": form}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def shards_option() -> Any:
    """Declare the option of every output that has shards."""
    return option({}, "Number of shards of a split, such as train=64.", form="SPLIT=N")


def output_class(name: str) -> type[Output]:
    """Give the class of an output; UsageError lists the names there are."""
    if name not in OUTPUTS:
        raise UsageError(f"There is no format {name!r}; the formats are {', '.join(OUTPUTS)}.")
    module, _, kind = OUTPUTS[name].rpartition(".")
    found: type[Output] = getattr(import_module(module), kind)
    return found


@cache
def readers_by_name() -> Mapping[str, tuple[type[Output], Reader]]:
    """Give what each value of ``--for`` means: a reader, and its output."""
    kinds = [output_class(name) for name in OUTPUTS]
    return {name: (kind, reader) for kind in kinds for reader in kind.readers for name in reader.meant_by}


def reader_for(name: str) -> tuple[type[Output], Reader]:
    """Give the output to write for a framework, and its reader; UsageError lists the frameworks there are."""
    if name not in (known := readers_by_name()):
        raise UsageError(f"There is no reader {name!r}.", remedy=nearest(name, known))
    return known[name]


def output_from(name: str, document: Mapping[str, Any]) -> Output:
    """Make an output from its options; UsageError for one that it does not have."""
    kind: Any = output_class(name)
    known = [each.name for each in fields(kind)]
    options = given(f"outputs.{name}", document, Mapping)
    if unknown := sorted(map(str, set(options) - set(known))):
        raise UsageError(f"The format {name} has no option {unknown[0]!r}.", remedy=nearest(unknown[0], known))
    made: Output = kind(**options)
    return made


def options_of(output: Output) -> dict[str, Any]:
    """Give the options of an output as JSON values."""
    values: Any = output
    return {each.name: _plain(getattr(values, each.name)) for each in fields(values)}


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value

"""A data set that is open: its splits, each a sequence of images, read when they are asked for."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Self, SupportsIndex, overload

import numpy as np
import numpy.typing as npt

from imagenet_prep.codecs.jpeg import NotAnImageError, pixels
from imagenet_prep.errors import AuditError, Problem, UsageError
from imagenet_prep.imagenet.archives import CLASS_COUNT
from imagenet_prep.imagenet.classes import ClassFacts
from imagenet_prep.model.given import nearest
from imagenet_prep.verbs.open.places import Places, closed

Pixels = npt.NDArray[np.uint8]
Indexes = Sequence[int] | npt.NDArray[np.integer[Any]]


class LabelledImage(NamedTuple):
    """One image, as it lies in the output, with its labels.

    ``image`` are its encoded bytes. ``label`` counts the classes that the data set has, from 0, in the order of their
    WNIDs; with all 1,000 it is ``class_index``, 0…999. ``class_name`` is the readable name, ``name`` the file's, and
    ``key`` that without its ending.
    """

    image: bytes
    label: int
    class_index: int
    wnid: str
    class_name: str
    name: str
    key: str

    def decode(self) -> Pixels:
        """Decode it: height × width × 3, RGB. Orientation in EXIF is ignored, as TensorFlow and torchvision do; 16 bits
        of grey become 8. Raises AuditError if it does not decode.
        """
        try:
            return np.require(pixels(self.image), np.uint8, ["C", "W"])
        except NotAnImageError as error:
            raise AuditError("An image does not decode:", (Problem(self.name, str(error)),)) from error


Transform = Callable[[LabelledImage], Any]


class DataSet:
    """What ``open`` gives: ``data["train"]`` is a View of a split. Survives pickling. A context manager, which closes
    it; without, its files are closed when nobody refers to it any more.

    ``splits`` are those it has, ``classes`` its classes by label.
    """

    def __init__(
        self, places: Places, again: Callable[[], DataSet], *, verify: bool, transform: Transform | None
    ) -> None:
        self._places: Places | None = places
        self._again = again
        self._verify = verify
        self._transform = transform
        self.splits = tuple(places.index.splits)
        there = np.unique(places.index.columns["class_index"])
        self.classes: tuple[ClassFacts, ...] = tuple(places.table.classes[index] for index in there)
        self._labels = {facts.index: label for label, facts in enumerate(self.classes)}

    def __getitem__(self, split: str) -> View:
        """Give a split. Raises UsageError if there is none of this name."""
        if split not in self.splits:
            remedy = nearest(str(split), self.splits)
            raise UsageError(f"There is no split {split!r}; the splits are {', '.join(self.splits)}.", remedy=remedy)
        return View(self, self.places.index.splits[split])

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __repr__(self) -> str:
        """Say in three lines where it is, what is in it, and how to get at that."""
        if self._places is None:
            return "<DataSet, closed>"
        of = ", ".join(f"{split} {len(self[split]):,}" for split in self.splits)
        return (
            f"<DataSet {self._places.store.place}\n"
            f" images: {of}, of {len(self.classes):,} classes\n"
            f' data["{self.splits[0]}"][0] is an image, with its label>'
        )

    def close(self) -> None:
        """Close its files; may be repeated. Reading afterwards raises UsageError."""
        if self._places:
            self._places.close()
        self._places = None

    @property
    def places(self) -> Places:
        """Where its images lie; for the views."""
        if self._places is None:
            raise closed()
        return self._places

    def image(self, row: int) -> LabelledImage:
        """Read the image of a row; for the views."""
        places = self.places
        class_index = int(places.index.columns["class_index"][row])
        name, facts = places.index.name(row), places.table.classes[class_index]
        image = places.image(row, name, class_index, verify=self._verify)
        key = name.rpartition(".")[0] or name
        return LabelledImage(image, self._labels[class_index], class_index, facts.wnid, facts.name, name, key)

    def transformed(self, row: int) -> Any:
        """Read the image of a row, and apply the transform; for the views."""
        image = self.image(row)
        return image if self._transform is None else self._transform(image)

    def class_index_of(self, asked: int | str) -> int:
        """Give the class index that is meant by a class index, a WNID or a name of a class; for the views."""
        table = self.places.table
        found = table.called(asked) if isinstance(asked, str) else (asked,) if asked in range(CLASS_COUNT) else ()
        if len(found) != 1:
            means = "means no class" if not found else f"means {len(found)} classes"
            raise UsageError(f"{asked!r} {means}.", remedy="Give a class index, 0…999, or a WNID.")
        return found[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._places is None:
            raise closed()
        return self._again, ()


class View(Sequence[Any]):
    """Images of a data set, by number from 0: all of a split, or some.

    A number gives an image (or what the transform makes of it), numbers a list of them, and a slice another view, of
    which nothing is read yet. Raises IndexError for a number out of range.
    """

    def __init__(self, data: DataSet, rows: range | npt.NDArray[np.integer[Any]]) -> None:
        self._data = data
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<View of {len(self):,} images>"

    @overload
    def __getitem__(self, index: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> View: ...
    @overload
    def __getitem__(self, index: Indexes) -> list[Any]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return View(self._data, self._rows[index])
        if isinstance(index, Sequence | np.ndarray) and not isinstance(index, str) and np.ndim(index) == 1:
            return self.__getitems__(index)
        return self._data.transformed(self._row(index))

    def __getitems__(self, indexes: Indexes) -> list[Any]:
        """Give several at once: what PyTorch asks for a batch."""
        rows = [self._row(index) for index in indexes]  # all are compared before one is read
        return [self._data.transformed(row) for row in rows]

    def __iter__(self) -> Iterator[Any]:
        return (self._data.transformed(int(row)) for row in self._rows)

    def decode(self, index: int) -> Pixels:
        """Decode an image: height × width × 3, RGB, whatever the transform is."""
        return self._data.image(self._row(index)).decode()

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The label of every image, in order, without reading one: for samplers."""
        classes = self._data.places.index.columns["class_index"][np.asarray(self._rows, np.int64)]
        return np.searchsorted([facts.index for facts in self._data.classes], classes)

    def by_class(self, wanted: int | str) -> View:
        """Give the images of one class: a class index, a WNID, or a name. Raises UsageError for an unknown class."""
        rows = np.asarray(self._rows, np.int64)
        classes = self._data.places.index.columns["class_index"][rows]
        return View(self._data, rows[classes == self._data.class_index_of(wanted)])

    def index_of(self, name: str) -> int:
        """Give the number of an image by the name of its file. Raises UsageError if it is not among these."""
        row = self._data.places.index.find(name)
        if row is not None:
            if isinstance(self._rows, range):
                return self._rows.index(row) if row in self._rows else _no_image(name)
            if len(found := np.flatnonzero(self._rows == row)):
                return int(found[0])
        return _no_image(name)

    def _row(self, index: Any) -> int:
        try:
            return int(self._rows[operator.index(index)])
        except IndexError:
            raise IndexError(f"There is no image {index}: there are {len(self):,}, from 0.") from None
        except TypeError:
            raise UsageError(
                f"An image has a number, not {index!r}.", remedy="index_of finds it by its name."
            ) from None


def _no_image(name: str) -> int:
    raise UsageError(f"There is no image {name!r} here.")

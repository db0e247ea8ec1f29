"""The contract of sources as a test suite: see ``contracts``. Bytes are read by the reader that a build uses."""

from __future__ import annotations

import os
import pickle
import re
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import pytest

import imagenet_prep
from imagenet_prep.errors import SourceError
from imagenet_prep.imagenet.archives import VALIDATION
from imagenet_prep.imagenet.classes import official, validation_truth
from imagenet_prep.imagenet.names import official_name
from imagenet_prep.model.task import Entries
from imagenet_prep.sources.base import Seen, Source, Walk
from imagenet_prep.sources.found import Found
from imagenet_prep.sources.plain import packed_at, plain_form
from imagenet_prep.sources.reader import ArchiveReader
from imagenet_prep.sources.search import recognise


class Known(NamedTuple):
    """An image that was written: its name, the WNID of its class, its split (train or validation), and its bytes."""

    name: str
    wnid: str
    split: str
    data: bytes


class SourceContract:
    """What every source promises."""

    source: ClassVar[Source]

    def write(self, folder: Path) -> Iterable[Known]:
        """Write a place of this kind, and nothing else, into an empty folder; give its images, in any order. Of train
        images there are two classes or more, with two or more in each. Every call writes the same.
        """
        raise NotImplementedError

    @pytest.fixture
    def known(self, tmp_path: Path) -> list[Known]:
        """Write the place; give its images by name."""
        (tmp_path / "place").mkdir()
        return sorted(self.write(tmp_path / "place"))

    @pytest.fixture
    def place(self, known: list[Known], tmp_path: Path) -> Path:
        """Give the folder of the place."""
        assert known, "nothing was written"
        return tmp_path / "place"

    def test_it_finds_itself(self, known: list[Known], place: Path) -> None:
        """In a folder that holds it, and where it is named itself: an input for each split."""
        found = recognise([place])
        assert {type(each.source) for each in found.values()} == {type(self.source)}
        assert sorted(each.origin for each in found.values()) == sorted({image.split for image in known})
        named = {file for each in found.values() for file in ((each.path,) if each.folder else each.files)}
        assert recognise(sorted(named)) == found

    def test_it_finds_nothing_where_nothing_is(self) -> None:
        """And claims no common file."""
        seen = Seen()
        assert (list(self.source.find(seen)), seen) == ([], Seen())
        assert not any(self.source.claims(name) for name in ("", "README.md", ".DS_Store", "n01440764_1.JPEG"))

    def test_its_form_is_a_few_words(self, place: Path) -> None:
        """That stand in the middle of a line."""
        for found in recognise([place]).values():
            form = self.source.form(found)
            assert form == " ".join(form.split()[:8]).rstrip(".") != ""

    def test_its_pieces_are_in_a_fixed_order(self, known: list[Known], place: Path, tmp_path: Path) -> None:
        """Each has a container of its own, and what lies between them has no images."""
        (tmp_path / "other").mkdir()
        assert sorted(self.write(tmp_path / "other")) == known
        for found, other in zip(recognise([place]).values(), recognise([tmp_path / "other"]).values(), strict=True):
            seen = [[piece.container for piece in self.source.pieces(each).pieces] for each in (found, found, other)]
            assert seen[0] == seen[1] == seen[2] == list(dict.fromkeys(seen[0])) != []
            assert not any(of.lengths for of in self.source.pieces(found).outside)

    def test_any_cut_gives_the_same(self, place: Path) -> None:
        """One ``Found`` for each piece, however many pieces a walk has, and in whatever order walks run."""
        for work, whole in _walked(self.source, place):
            expected = [(work.archive, piece.container) for piece in work.pieces]
            assert [(each.archive, each.container) for each in whole] == expected
            for size in range(1, len(work.pieces)):
                cuts = [work.pieces[start : start + size] for start in range(0, len(work.pieces), size)]
                parts = [self.source.walk(replace(work, pieces=cut)) for cut in reversed(cuts)]
                assert [each for part in reversed(parts) for each in part] == whole

    def test_every_image_reads_back(self, known: list[Known], place: Path) -> None:
        """From where the walk noted it, with its name, class and split, and nothing is wrong."""
        walked = _walked(self.source, place)
        assert sorted(image for work, images in walked for image in _read(work, images)) == known
        assert [problem for _, images in walked for part in images for problem in part.problems] == []

    def test_it_is_sent_to_workers_and_has_no_state(self, place: Path) -> None:
        """A walk and what it gives survive pickling, and it does not matter what a source was asked before."""
        for work, images in _walked(self.source, place):
            sent, given = pickle.loads(pickle.dumps((work, images)))  # noqa: S301 — it was made a moment ago
            assert sent.source.walk(sent) == type(self.source)().walk(work) == images == given
        assert vars(self.source) == {}

    def test_it_changes_nothing(self, place: Path) -> None:
        """No file and no folder, neither bytes nor times."""
        before = _tree(place)
        for work, images in _walked(self.source, place):
            list(_read(work, images))
        _index(place)
        assert _tree(place) == before

    def test_the_order_of_listing_does_not_matter(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The order of a directory is not defined."""
        seen = []
        for backwards in (False, True):
            with monkeypatch.context() as patched:
                _list_in_order(patched, backwards=backwards)
                seen.append([(work.path, work.role, images) for work, images in _walked(self.source, place)])
        assert seen[0] == seen[1]

    def test_an_input_that_has_gone_is_named(self, place: Path) -> None:
        """By a walk, with an error or among its problems, and when its images are read."""
        for work, images in _walked(self.source, place):
            path = Path(work.path)
            path.rename(path.with_name("gone"))
            with pytest.raises(SourceError, match=re.escape(path.name)):
                raise SourceError("", tuple(problem for part in self.source.walk(work) for problem in part.problems))
            with pytest.raises(SourceError, match=re.escape(path.name)):
                list(_read(work, images))
            path.with_name("gone").rename(path)

    def test_a_file_that_has_become_shorter_is_named_when_it_is_read(self, place: Path) -> None:
        """By one byte of an image, or as a whole."""
        for work, images in _walked(self.source, place):
            for file, ends in _files((work, images)).items():
                for _ in _shorter(file, (max(ends.values()) - 1, 0)):
                    with pytest.raises(SourceError, match=re.escape(file.name)):
                        list(_read(work, images))

    def test_no_image_comes_from_a_file_cut_short_or_missing(self, known: list[Known], place: Path) -> None:
        """The error of the index names the file. Only an image that is a file of its own may have any length."""
        there = _files(*_walked(self.source, place))
        for file in [each for each in place.rglob("*") if each.is_file()]:
            ends = there.get(file, {})
            for length in _shorter(file, (max(ends.values()) - 1, 0, None) if ends else (None,)):
                lost = {} if length is not None and list(ends) == [official_name(file.name)[0]] else ends
                try:
                    rows, error = _index(place), ""
                except SourceError as caught:
                    rows, error = [], str(caught)
                assert {row[:3] for row in rows} <= {image[:3] for image in known if image.name not in lost}
                assert not error or file.name in error or (length is None and str(place) in error)

    def test_an_index_has_the_right_classes_and_splits(self, known: list[Known], place: Path) -> None:
        """And sizes, of every image once."""
        assert _index(place) == [(*image[:3], len(image.data)) for image in known]


def _walked(source: Source, place: Path) -> list[tuple[Walk, list[Found]]]:
    """Walk every input of a place as a whole."""
    walked = []
    for number, found in enumerate(recognise([place]).values()):
        truth = validation_truth() if found.role == VALIDATION else array("H")
        work = Walk(source, number, str(found.path), found.origin, tuple(source.pieces(found).pieces), truth)
        walked.append((work, source.walk(work)))
    return walked


def _entries(images: Sequence[Found]) -> Entries:
    """Give the images of one input as a worker of a build gets them."""
    lengths, classes, offsets, sizes = (
        array(kind, b"".join(getattr(part, column) for part in images))
        for kind, column in (("i", "lengths"), ("h", "class_indexes"), ("q", "offsets"), ("i", "sizes"))
    )
    text, count = b"".join(part.names for part in images), len(lengths)
    names = [text[end - size : end].decode() for end, size in zip(accumulate(lengths), lengths, strict=True)]
    containers = [of[place] for part in images for of in [part.containers] for place in part.placed]
    return Entries(names, classes, array("b", bytes(count)), containers, offsets, sizes, [None] * count)


def _read(work: Walk, images: Sequence[Found]) -> Iterator[Known]:
    """Read every image at its noted place, or in the plain form of what is packed."""
    entries = _entries(images)
    with _plain(work.path) as path, ArchiveReader((path,)) as reader:
        for row, buffer, start, end in reader.images(entries, [True] * len(entries), lambda: None):
            wnid = official().classes[entries.class_indexes[row]].wnid
            yield Known(entries.names[row], wnid, work.role, bytes(buffer[start:end]))


@contextmanager
def _plain(path: str) -> Iterator[str]:
    if not packed_at(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, "plain")
        plain.write_bytes(b"".join(plain_form(Path(path))))
        yield str(plain)


def _files(*walked: tuple[Walk, list[Found]]) -> dict[Path, dict[str, int]]:
    """Give every file that images lie in: their names, and where each ends, which is anywhere in one that is packed."""
    files: dict[Path, dict[str, int]] = {}
    for work, images in walked:
        entries, path = _entries(images), Path(work.path)
        for row, name in enumerate(entries.names):
            file = path / entries.file(row) if path.is_dir() else path
            end = file.stat().st_size if packed_at(path) else entries.offsets[row] + entries.sizes[row]
            files.setdefault(file, {})[name] = end
    return files


def _shorter(file: Path, lengths: Iterable[int | None]) -> Iterator[int | None]:
    """Give a file one length after the other, None where it is not there, and in the end what it was."""
    sound = file.read_bytes()
    for length in lengths:
        file.unlink()
        if length is not None:
            file.write_bytes(sound[:length])
        yield length
        file.write_bytes(sound)


def _index(place: Path) -> list[tuple[str, str, str, int]]:
    """Give name, WNID, split and size of every image, by name."""
    catalog = imagenet_prep.index(place, imagenet_prep.IndexOptions(jobs=1, boxes=False))
    columns = (catalog.table.column(name).to_pylist() for name in ("name", "class_index", "archive", "size"))
    rows = zip(*columns, strict=True)
    return sorted((name, official().classes[of].wnid, catalog.archives[at].role, size) for name, of, at, size in rows)


def _tree(place: Path) -> dict[Path, tuple[int, bytes]]:
    every = [place, *place.rglob("*")]
    return {path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in every}


class _Listed(chain[Any]):
    """A listing that is closed like one of the system."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def _list_in_order(patched: pytest.MonkeyPatch, *, backwards: bool) -> None:
    names, entries = os.listdir, os.scandir

    def scan(path: Any = ".") -> _Listed:
        with entries(path) as there:
            return _Listed(sorted(there, key=lambda entry: entry.name, reverse=backwards))

    patched.setattr(os, "listdir", lambda path=".": sorted(names(path), reverse=backwards))
    patched.setattr(os, "scandir", scan)

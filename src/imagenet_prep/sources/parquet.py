"""Parquet with images in it, as Hugging Face has ImageNet: ``image`` (``bytes``, ``path``) and ``label``, by anyone.

In a compressed page an image has no place of its own, so a build unpacks: the plain form is the images of all shards of
a set, one after another, and then their sizes. The first shard stands for the set, which is the files in its folder
that are called alike except for their numbers. Name, label and the published classes are compared row by row, and the
order of rows decides nothing.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from imagenet_prep.errors import Problem, SourceError, counted, printable
from imagenet_prep.imagenet.archives import UNLABELLED
from imagenet_prep.sources.base import Input, Part, Pieces, Seen, Source, Walk
from imagenet_prep.sources.downloads import interrupted
from imagenet_prep.sources.found import LARGEST, Found
from imagenet_prep.sources.labels import ClassOf, base_name, classes_by_path, other_label, role_of
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.sources.shards import missing_shards, role_of_shard

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAGIC = b"PAR1"
PACKED_PARQUET = "Parquet"
_NAME = re.compile(r"[^.].*\.parquet", re.DOTALL)
_SHARD = re.compile(
    r"(?P<before>.*?)(?<!\d)(?P<number>\d{4,6})(?P<of>-of-\d{1,6})?(?:-[0-9a-f]{16})?\.parquet", re.ASCII | re.DOTALL
)
_IMAGE, _PATH, _LABEL = "image.bytes", "image.path", "label"
_IMAGES_AT_ONCE, _ROWS_AT_ONCE = 64, 4096
_BUFFER_BYTES = 1 << 20  # without it Arrow reads a column of a row group at once, whatever its size
_SIZE_BYTES = 8
_MOST_TIMES, _MOST_BYTES = 2, 1 << 20  # of what the footers say: writers may leave out what two images share
_SHOWN = 12  # columns of another table
_NAMELESS = "has no image with a name of ImageNet's, which would give its class"
_WANTED = "image (struct<bytes: binary, path: string>) and label (int64)"
_REMEDY = "Download it again, or write it again with these columns: image (bytes, path) and label."


class ParquetShards(Source):
    """A set of Parquet files in one folder."""

    gives_way = True

    def claims(self, name: str) -> bool:
        """Their names end alike."""
        return _NAME.fullmatch(name) is not None

    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield each set; the files of one that has no images of ImageNet are not used."""
        sets: dict[tuple[Path, str], list[Path]] = {}
        for path in sorted({path for path in seen.files if self.claims(path.name) and path.is_file()}):
            sets.setdefault((path.parent, _set_of(path.name)), []).append(path)
        for paths in sets.values():
            facts = {path: _facts_of(path) for path in paths}
            role = _role(paths[0], next((each.image for each in facts.values() if each.image), ""))
            wrong = {path: each.wrong for path, each in facts.items() if each.wrong}
            if not role:
                seen.unused.update({path: wrong.get(path, _NAMELESS) for path in paths})
                continue
            if role != UNLABELLED:
                seen.problems.extend(_problems(paths, wrong))
            size = sum(path.stat().st_size for path in paths)
            modified = parquet_modified(paths[0])
            yield Input(role, paths[0], size, modified, source=self, packed=PACKED_PARQUET, beside=tuple(paths[1:]))

    def form(self, found: Input) -> str:
        """Count the files."""
        return counted(1 + len(found.beside), "Parquet file")

    def pieces(self, found: Input) -> Pieces:  # noqa: ARG002
        """It is read from the first row to the last."""
        return Pieces([Part("", None)])

    def walk(self, work: Walk) -> list[Found]:
        """Walk the set, once for each piece, of which there is one."""
        return [_walk(work) for _ in work.pieces]


class _Facts(NamedTuple):
    """The first name of ImageNet's in a file, how many rows it has, the bytes of its rows by its footer, and what is
    wrong with it.
    """

    image: str = ""
    rows: int = 0
    image_bytes: int = 0
    wrong: str = ""


def parquet_size(path: Path) -> int:
    """Give how many bytes the plain form of a set takes, about. Raises SourceError."""
    facts = [_facts_of(shard) for shard in _shards(path)]
    return sum(each.image_bytes + _SIZE_BYTES * each.rows for each in facts) + _SIZE_BYTES


def parquet_modified(path: Path) -> int:
    """Give when a set was last changed, in nanoseconds. Raises SourceError."""
    with source_errors(path):
        return max(shard.stat().st_mtime_ns for shard in _shards(path))


def unpacked_parquet(path: Path) -> Iterator[bytes]:
    """Yield the plain form of a set, in pieces. Raises SourceError."""
    sizes, done = array("q"), 0
    limit = _MOST_TIMES * parquet_size(path) + _MOST_BYTES
    for shard in _shards(path):
        for column in _images(shard):
            images = column.to_pylist()
            sizes.extend(-1 if image is None else len(image) for image in images)
            yield (piece := b"".join(image or b"" for image in images))
            done += len(piece)
            if done > limit:
                raise _refused(shard, "has more bytes of images than the footers of the set say")
    yield sizes.tobytes()
    yield len(sizes).to_bytes(_SIZE_BYTES, "little")


def _role(path: Path, image: str) -> str:
    """Give the role of a set by its first image. A file called by a number alone lies in a folder called as its set."""
    if role_of(image) == UNLABELLED:
        return UNLABELLED
    match = _SHARD.fullmatch(path.name)
    return role_of_shard(path.name if match is None or match["before"] else path.parent.name, image)


def _set_of(name: str) -> str:
    """Give what the names of the files of a set have in common: all of it, if it has no number."""
    match = _SHARD.fullmatch(name)
    return f"{match['before']}*{match['of'] or ''}" if match else name


def _shards(path: Path) -> list[Path]:
    """Give the files of the set that a file belongs to."""
    with source_errors(path):
        there = {name for name in os.listdir(path.parent) if _set_of(name) == _set_of(path.name)}
    return [path.with_name(name) for name in sorted({path.name, *there})]


def _problems(paths: list[Path], wrong: dict[Path, str]) -> Iterator[Problem]:
    """Say what is wrong with the files of a set, of which some may not have been given, and some not be there."""
    yield from (Problem(printable(str(path)), why) for path, why in wrong.items())
    yield from (Problem(printable(str(path)), why) for path in paths if (why := interrupted(path)))
    names = [
        f"{of['before']}{of['number']}{of['of'] or ''}.parquet" for of in map(_SHARD.fullmatch, _names(paths)) if of
    ]
    if len(there := _shards(paths[0])) > len(paths):
        why = f"is one of {counted(len(there), 'Parquet file')} that belong together: name their folder, or all of them"
        yield Problem(printable(str(paths[0])), why)
    else:
        yield from missing_shards(paths[0].parent, names)


def _names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def _facts_of(path: Path) -> _Facts:
    with source_errors(path):
        status = path.stat()
    return _facts(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _facts(path: Path, size: int, modified: int) -> _Facts:  # noqa: ARG001 — a changed file is another one
    try:
        with _opened(path) as file:
            if wrong := _wrong_columns(file.schema_arrow):
                return _Facts(wrong=wrong)
            # Its columns are not asked for: of damaged ones Arrow ends the process.
            groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
            image_bytes = sum(group.total_byte_size for group in groups)
        image = next((base_name(name) for name, _ in _rows(path) if role_of(base_name(name))), "")
    except SourceError as error:
        return _Facts(wrong=error.problems[0].reason if error.problems else error.summary)
    return _Facts(image, file.metadata.num_rows, image_bytes)


def _wrong_columns(schema: pa.Schema) -> str:
    """Say what columns a file has, if they are not those of images with labels; "" if they are."""
    from pyarrow import types

    of = {field.name: field.type for field in schema}
    inside = {field.name: field.type for field in of["image"]} if "image" in of and types.is_struct(of["image"]) else {}
    data, path = inside.get("bytes"), inside.get("path")
    if (
        data is not None
        and path is not None
        and "label" in of
        and (types.is_binary(data) or types.is_large_binary(data))
        and (types.is_string(path) or types.is_large_string(path))
        and types.is_integer(of["label"])
        and all(schema.names.count(name) == 1 for name in ("image", "label"))
    ):
        return ""
    shown = [printable(f"{field.name} ({field.type})") for field in schema][:_SHOWN]
    more = ["…"] if len(schema) > _SHOWN else []
    return f"has the columns {', '.join([*shown, *more])}, not {_WANTED}"


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a file. Whatever is wrong with it becomes a SourceError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with source_errors(path):
        file = path.open("rb")
    with file:
        if file.read(len(MAGIC)) != MAGIC:
            raise _refused(path, "does not begin as Parquet does")
        try:
            yield pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, page_checksum_verification=True)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # Arrow raises OSErrors, too
            if isinstance(error, OSError) and error.errno:
                with source_errors(path):
                    raise
            said = printable(str(error).splitlines()[0])
            raise _refused(path, "is encrypted" if "encrypt" in said else f"is damaged: {said}") from error


def _refused(path: Path, reason: str) -> SourceError:
    return SourceError("A Parquet file cannot be read:", (Problem(printable(path.name), reason),), _REMEDY)


def _batches(path: Path, columns: list[str], rows: int) -> Iterator[list[pa.Array]]:
    """Yield columns of a file, so many rows at a time: those of the image first, and text as bytes."""
    import pyarrow as pa

    with _opened(path) as file:
        if wrong := _wrong_columns(file.schema_arrow):
            raise _refused(path, wrong)
        for batch in file.iter_batches(rows, columns=columns):
            of_image = batch.column("image").flatten()[0].cast(pa.large_binary())  # null where the struct is
            yield [of_image, batch.column(_LABEL)] if _LABEL in columns else [of_image]


def _rows(path: Path) -> Iterator[tuple[str, int | None]]:
    """Yield what each row has as the path of its image and as its label."""
    for paths, labels in _batches(path, [_PATH, _LABEL], _ROWS_AT_ONCE):
        named = ((of or b"").decode("utf-8", "backslashreplace") for of in paths.to_pylist())
        yield from zip(named, labels.to_pylist(), strict=True)


def _images(path: Path) -> Iterator[pa.Array]:
    return (images for (images,) in _batches(path, [_IMAGE], _IMAGES_AT_ONCE))


def _sizes(path: Path, plain: str) -> Iterator[int]:
    """Yield the sizes of all images of a set, -1 for none: from its plain form, if there is one."""
    if not plain:
        import pyarrow.compute as pc

        for shard in _shards(path):
            for images in _images(shard):
                yield from pc.fill_null(pc.binary_length(images), -1).to_pylist()
        return
    sizes = array("q")
    with source_errors(plain), open(plain, "rb") as file:
        end = file.seek(-_SIZE_BYTES, os.SEEK_END)
        file.seek(end - _SIZE_BYTES * int.from_bytes(file.read(), "little"))
        sizes.frombytes(file.read()[:-_SIZE_BYTES])
    yield from sizes


def _walk(work: Walk) -> Found:
    found, path = Found(work.archive, ""), Path(work.path)
    class_of = classes_by_path(work.role, work.truth)
    sizes, offset = _sizes(path, work.plain), 0
    for shard in _shards(path):
        for number, (name, label) in enumerate(_rows(shard)):
            size = next(sizes, None)
            if size is None:
                raise _refused(shard, "has changed while it was read")
            class_index = _class_index(name, label, size, class_of)
            if isinstance(class_index, str):
                row = f"row {number} ({printable(name)})"
                found.problems.append(Problem(printable(shard.name), class_index, row))
            else:
                found.add(base_name(name), class_index, offset, size, shard.name)
            offset += max(size, 0)
    if not found.lengths and not found.problems:
        found.problems.append(Problem(printable(path.name), "has no images"))
    return found


def _class_index(path: str, label: int | None, size: int, class_of: ClassOf) -> int | str:
    """Give the class index of a row, or say what is wrong with it."""
    if size < 0:
        return "has no image"
    if size > LARGEST:
        return f"claims {size:,} bytes, too many for an image"
    if not path:
        return "has no name of a file in image.path, which would give its class"
    class_index = class_of(path)
    return class_index if isinstance(class_index, str) or class_index == label else other_label(label, class_index)

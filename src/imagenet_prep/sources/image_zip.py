"""A zip of images: class folders, flat images, Kaggle's tree, with any folders on top; or one zip a class.

The bytes of a member that is stored lie in the zip as they are, so it is read where it lies. If one image is
compressed, all are unpacked: the plain form of such a zip is its images, one after another, and the directory says
where each will lie. What the directory says of a member is compared with what stands before its bytes, and no two may
share any. A zip with images that are encrypted is not used, and named; so are class zips that are compressed.
"""

from __future__ import annotations

import lzma
import os
import re
import shlex
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from imagenet_prep.codecs.tar import Member
from imagenet_prep.errors import Problem, SourceError, counted, printable
from imagenet_prep.imagenet.archives import TRAIN, VALIDATION
from imagenet_prep.imagenet.classes import official
from imagenet_prep.imagenet.names import WNID
from imagenet_prep.sources.base import LARGEST_ANNOTATION, Annotation, Input, Part, Pieces, Seen, Source, Walk
from imagenet_prep.sources.contents import may_be_archive, whole_of
from imagenet_prep.sources.downloads import interrupted
from imagenet_prep.sources.found import LARGEST, Found
from imagenet_prep.sources.labels import base_name, classes_by_name, classes_by_path, role_of
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.sources.tree import is_annotation_of, note_images, roles_among

_CLASS_ZIP = re.compile(rf"{WNID}\.zip", re.ASCII)
_LOCAL = struct.Struct(
    "<4s2xH10xIIHH"
)  # signature, flags, size in the zip and size as it is, lengths of name and extra
_SIGNATURE = b"PK\x03\x04"
_IN_ZIP64 = 0xFFFFFFFF
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 0x1, 0x8, 0x800  # flags
_PACKED = "has compressed images, and only stored ones can be read where they lie"
_NOT_UNPACKED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
_CHUNK_BYTES = 1 << 20
_REMEDY = "The zip is damaged: download it again, or unpack it, and give the folder."


class ImageZip(Source):
    """A zip of images."""

    def claims(self, name: str) -> bool:
        """It may be called as people like."""
        return may_be_archive(name)

    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield what a zip has of train and of validation."""
        of_classes = {path for _, paths in _class_zips(seen) for path in paths}
        for path in (path for path in _zips(seen) if path not in of_classes):
            for role in _usable_roles(seen, path, packed=True):
                if wrong := interrupted(path):
                    seen.problems.append(Problem(printable(str(path)), wrong))
                with source_errors(path):
                    status = path.stat()
                packed = "zip" if is_packed_zip(path) else ""
                yield Input(role, path, status.st_size, status.st_mtime_ns, source=self, packed=packed)

    def annotations(self, found: Input) -> Iterator[Annotation]:
        """Read those of the role in the order of the zip."""
        with _opened(found.path) as archive:
            for each in archive.infolist():
                if is_annotation_of(each.filename, found.role):
                    with _unpacking(found.path, each), archive.open(each) as member:
                        data = member.read(LARGEST_ANNOTATION)
                    yield Annotation(each.filename, each.header_offset, data)

    def form(self, found: Input) -> str:
        """Whether it is compressed decides nothing."""
        return "zip of images" if found.role in (TRAIN, VALIDATION) else "in the zip of images"

    def pieces(self, found: Input) -> Pieces:  # noqa: ARG002
        """Its directory is read as a whole."""
        return Pieces([Part("", None)])

    def walk(self, work: Walk) -> list[Found]:
        """Read its directory, once for each piece, of which there is one."""
        return [_walk(work, Part("", None)) for _ in work.pieces]


class ClassZips(Source):
    """A folder of zips, each called after a class, and with images of train."""

    def find(self, seen: Seen) -> Iterator[Input]:
        """Yield the folders that hold any."""
        for folder, paths in _class_zips(seen):
            if TRAIN in _usable_roles(seen, paths[0]):  # the others are made alike, or their walk says otherwise
                parts = tuple(Part(path.name, official().called(path.stem)) for path in paths)
                yield Input(TRAIN, folder, parts=parts, source=self)
            else:
                for path in paths[1:]:
                    _usable_roles(seen, path)

    def form(self, found: Input) -> str:
        """Count the zips."""
        return f"folder of {counted(len(found.parts), 'class zip')}"

    def pieces(self, found: Input) -> Pieces:
        """Give the zips."""
        return Pieces(found.parts)

    def walk(self, work: Walk) -> list[Found]:
        """Read the directories of zips."""
        return [_walk(work, part) for part in work.pieces]


def _zips(seen: Seen) -> list[Path]:
    return [path for path in seen.files if seen.contents(path).packed == "zip" and not whole_of(path)]


def _class_zips(seen: Seen) -> Iterator[tuple[Path, list[Path]]]:
    """Yield the folders in which several zips are called after classes, and these zips by name."""
    named = sorted({path for path in _zips(seen) if _CLASS_ZIP.fullmatch(path.name) and official().called(path.stem)})
    for folder, paths in groupby(named, lambda path: path.parent):
        if len(zips := list(paths)) > 1:
            yield folder, zips


def _usable_roles(seen: Seen, path: Path, *, packed: bool = False) -> tuple[str, ...]:
    """Give the roles of what a zip has; none, and say why, if these cannot be read where they lie, or
    not at all if it may be ``packed``.
    """
    try:
        holds = _contents_at(path)
    except SourceError as error:
        seen.unused[path] = error.problems[0].reason if error.problems else error.summary
        return ()
    if holds.roles and not holds.wrong and (packed or not holds.packed):
        return holds.roles
    seen.unused[path] = f"{holds.wrong or _PACKED}: {_how_to_unpack(path)}"
    return ()


def _how_to_unpack(path: Path) -> str:
    return f"`unzip {shlex.quote(str(path))} -d {shlex.quote(str(path.with_suffix('')))}` unpacks it"


class _Contents(NamedTuple):
    """The splits of which a zip has images, and the roles of annotations beside these; what is wrong with it, and
    whether an image is compressed.
    """

    roles: tuple[str, ...]
    wrong: str
    packed: bool


def _contents_at(path: Path) -> _Contents:
    """Look into a zip, once, however its path is written. Raises SourceError."""
    with source_errors(path):
        status = path.stat()
        return _contents(path.resolve(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _contents(path: Path, size: int, modified: int) -> _Contents:  # noqa: ARG001 — a changed file is another one
    entries, _ = _directory(path)
    images = [each for each in entries if _is_image(each)]
    roles = roles_among(each.filename for each in entries) if images else ()
    wrong = ""
    if not images:
        first = next((each.filename for each in entries if not each.filename.endswith("/")), "")
        wrong = f"has no images, but {printable(first)}" if first else "is empty"
    elif any(each.flag_bits & _ENCRYPTED for each in images):
        wrong = "is encrypted"
    return _Contents(roles, wrong, _is_packed(images))


def is_packed_zip(path: Path) -> bool:
    """Say whether an image of a zip is compressed. Raises SourceError."""
    return _contents_at(path).packed


def unpacked_zip_size(path: Path) -> int:
    """Give how many bytes the images of a zip take. Raises SourceError."""
    return sum(each.file_size for each in _directory(path)[0] if _is_image(each))


def unpacked_zip(path: Path) -> Iterator[bytes]:
    """Yield the images of a zip one after another, in the order in which they lie. Raises SourceError."""
    with source_errors(path), path.open("rb") as file, zipfile.ZipFile(file) as archive:
        for each, limit in _with_limits(path):
            if not _is_image(each):
                continue
            start, wrong = _place(file.fileno(), each, limit)
            if each.file_size > LARGEST:
                wrong = f"claims {each.file_size:,} bytes, too many for an image"
            try:
                if not wrong:
                    size = yield from _unpacked_member(archive, each)
                    wrong = "" if size == each.file_size else "is shorter than the directory of the zip says"
            except _NOT_UNPACKED as error:
                wrong = f"cannot be unpacked: {printable(str(error))}"
            if wrong:
                problem = Problem(path.name, wrong, printable(each.orig_filename), max(start, 0))
                raise SourceError("An archive cannot be unpacked:", (problem,), _REMEDY)


@contextmanager
def _unpacking(path: Path, entry: zipfile.ZipInfo) -> Iterator[None]:
    """Turn what may be wrong with a member into a SourceError. An encrypted one is a RuntimeError."""
    try:
        yield
    except (*_NOT_UNPACKED, RuntimeError) as error:
        problem = Problem(path.name, f"cannot be unpacked: {printable(str(error))}", printable(entry.orig_filename))
        raise SourceError("An archive cannot be unpacked:", (problem,), _REMEDY) from error


def _unpacked_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Generator[bytes, None, int]:
    size = 0
    with archive.open(entry) as member:  # which gives no more bytes than the directory says
        while data := member.read(_CHUNK_BYTES):
            size += len(data)
            yield data
    return size


def _is_image(entry: zipfile.ZipInfo) -> bool:
    return role_of(base_name(entry.filename)) in (TRAIN, VALIDATION)


def _is_packed(entries: list[zipfile.ZipInfo]) -> bool:
    return any(each.compress_type != zipfile.ZIP_STORED and _is_image(each) for each in entries)


def _with_limits(path: Path) -> Iterator[tuple[zipfile.ZipInfo, int]]:
    """Yield the members, and where the next one begins."""
    entries, end = _directory(path)
    return zip(entries, [*(each.header_offset for each in entries[1:]), end], strict=True)


def _directory(path: Path) -> tuple[list[zipfile.ZipInfo], int]:
    """Read the directory of a zip, in the order in which members lie, and say where it begins."""
    with _opened(path) as archive:
        return sorted(archive.infolist(), key=lambda each: each.header_offset), archive.start_dir


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip. Raises SourceError for one that is not sound."""
    try:
        with source_errors(path), path.open("rb") as file, zipfile.ZipFile(file) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, OverflowError) as error:
        problem = Problem(path.name, f"is not a sound zip: {printable(str(error))}")
        raise SourceError("An archive is damaged:", (problem,), _REMEDY) from error


def _walk(work: Walk, part: Part) -> Found:
    found = Found(work.archive, part.name)
    path = Path(work.path, part.name)
    name = printable(os.path.basename(os.path.abspath(work.path)))
    class_of = classes_by_path(work.role, work.truth)
    if part.name:
        of_zip = classes_by_name(work.role, work.truth, part.classes, f"the zip of {part.name.removesuffix('.zip')}")
        class_of = lambda member: of_zip(base_name(member))  # noqa: E731
    with source_errors(path), path.open("rb") as file:
        note_images(found, _files(file.fileno(), path, name, found, work.role), work.role, name, class_of)
    if part.name and not found.lengths and not found.problems:
        found.problems.append(Problem(name, "has no images", part.name))
    return found


def _files(descriptor: int, path: Path, archive: str, found: Found, split: str) -> Iterator[Member]:
    """Yield the files of a zip that may be of a split, with the places of their bytes; note what is wrong with others.
    Those of the other split are examined when that is walked.
    """
    members, unpacked_to = list(_with_limits(path)), 0
    packed = _is_packed([each for each, _ in members])
    if packed and found.container:
        found.problems.append(Problem(archive, _PACKED, found.container))
        return
    for each, limit in members:
        role, at = role_of(base_name(each.filename)), unpacked_to
        unpacked_to += each.file_size if role in (TRAIN, VALIDATION) else 0
        if each.filename.endswith("/") or role not in (None, split):
            continue
        start, wrong = _place(descriptor, each, limit)
        if wrong:
            member = "/".join(filter(None, (found.container, printable(each.orig_filename))))
            found.problems.append(Problem(archive, wrong, member, max(each.header_offset, 0)))
        else:
            yield Member(each.orig_filename, at if packed else start, each.file_size, tarfile.REGTYPE)


def _place(descriptor: int, entry: zipfile.ZipInfo, limit: int) -> tuple[int, str]:
    """Give where the bytes of a member begin, and what is wrong with it, "" for nothing."""
    if stat.S_ISLNK(entry.external_attr >> 16):
        return 0, "is a link or a device, not a file"
    if not 0 <= entry.header_offset < limit:
        return 0, "shares bytes with another member, or lies outside the zip"
    name = entry.orig_filename.encode("utf-8" if entry.flag_bits & _UTF8 else "cp437")
    header = os.pread(descriptor, _LOCAL.size + len(name), entry.header_offset)
    if len(header) < _LOCAL.size + len(name) or not header.startswith(_SIGNATURE):
        return 0, "is not where the directory of the zip says"
    _, flags, packed, size, name_bytes, extra_bytes = _LOCAL.unpack_from(header)
    if header[_LOCAL.size :] != name or name_bytes != len(name):
        return 0, "has another name than in the directory of the zip"
    if (flags | entry.flag_bits) & _ENCRYPTED:
        return 0, "is encrypted"
    stated = () if flags & _SIZES_FOLLOW else (packed, size)
    if any(of not in (entry.file_size, _IN_ZIP64) for of in stated if entry.compress_type == zipfile.ZIP_STORED):
        return 0, "has another size than in the directory of the zip"
    start = entry.header_offset + _LOCAL.size + name_bytes + extra_bytes
    if entry.compress_type == zipfile.ZIP_STORED and entry.compress_size != entry.file_size:
        return 0, "is stored, and has two sizes"
    if start + entry.compress_size > limit:
        return 0, "shares bytes with another member, or lies outside the zip"
    return start, ""

"""The official archive layout, written from any images, as GNU tar writes it and with fixed times and owners.

Written in one pass with nothing held: the header of a class tar goes in again once its size is known. A
member of a few hundred bytes costs a few microseconds, so an archive of 1.28 million members is a matter of
seconds.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from imagenet_prep.imagenet.names import validation_image

BLOCK = 512  # bytes: the unit of tar
RECORD = 10_240  # bytes: GNU tar pads every archive to a multiple of 20 blocks
MTIME = 1_338_508_800  # seconds: 2012-06-01 00:00 UTC, the same for every member
_BUFFER = 1 << 20  # bytes

TRAIN = "ILSVRC2012_img_train.tar"
VALIDATION = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
TRAIN_BOXES = "ILSVRC2012_bbox_train_v2.tar.gz"
VALIDATION_BOXES = "ILSVRC2012_bbox_val_v3.tgz"
GROUND_TRUTH = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"


class Member(NamedTuple):
    """One member of a tar; ``kind`` is a type flag of `tarfile`, ``link`` the target of a link."""

    name: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""


Members = Iterable[Member | tuple[str, bytes]]


def validation_name(number: int) -> str:
    """Return the file name of a validation image; the first has number 1."""
    return validation_image(number)


def write_train_archive(path: Path, classes: Iterable[tuple[str, Members]]) -> None:
    """Write the tar of class tars from (WNID, members), in the order given; both levels may be generators."""
    with _new_file(path) as file:
        for wnid, members in classes:
            start = file.tell()
            file.write(bytes(BLOCK))
            size = _write_tar(file, members)
            file.seek(start)
            file.write(_header(Member(f"{wnid}.tar"), size))
            file.seek(start + BLOCK + size)
        _end(file, file.tell())


def write_flat_archive(path: Path, members: Members) -> None:
    """Write a plain tar, such as the one of the validation images, in the order given."""
    with _new_file(path) as file:
        _write_tar(file, members)


def write_packed_archive(path: Path, members: Members) -> None:
    """Write a gzipped tar, without time and name in the gzip header."""
    with _new_file(path) as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        _write_tar(packed, members)


def write_devkit(path: Path, truth: Iterable[int]) -> None:
    """Write the devkit with its validation ground truth: one devkit integer per image, in image order.

    The official archive also holds ``meta.mat`` and evaluation code; this one does not.
    """
    lines = "".join(f"{devkit}\n" for devkit in truth).encode("ascii")
    folders = (
        Member("ILSVRC2012_devkit_t12/", kind=tarfile.DIRTYPE),
        Member("ILSVRC2012_devkit_t12/data/", kind=tarfile.DIRTYPE),
    )
    write_packed_archive(path, (*folders, Member(GROUND_TRUTH, lines)))


def tar_of(members: Members) -> bytes:
    """Return a whole tar as bytes, for tests that describe an archive as a literal."""
    file = io.BytesIO()
    _write_tar(file, members)
    return file.getvalue()


def _write_tar(file: BinaryIO | gzip.GzipFile, members: Members) -> int:
    """Write one complete tar from where ``file`` stands; return its length in bytes."""
    size = 0
    for item in members:
        member = Member(*item)
        header, length = _header(member, len(member.data)), len(member.data)
        file.write(header)
        file.write(member.data)
        file.write(bytes(-length % BLOCK))
        size += len(header) + length + -length % BLOCK
    return size + _end(file, size)


def _end(file: BinaryIO | gzip.GzipFile, size: int) -> int:
    """Close a tar of ``size`` bytes with two empty blocks and zeros up to a full record; return how many."""
    length = 2 * BLOCK + -(size + 2 * BLOCK) % RECORD
    file.write(bytes(length))
    return length


def _header(member: Member, size: int) -> bytes:
    """Return the header block (or blocks) for a member of ``size`` bytes."""
    name = member.name.encode("utf-8")
    plain = member.kind == tarfile.REGTYPE and len(name) <= 100 and b"\0" not in name and size < 8 << 30
    return _plain_header(name, size) if plain else _odd_header(member, size)


_BEFORE_SIZE = b"0000644\0" + b"0000000\0" * 2
_AFTER_SIZE = b"%011o\0" % MTIME
_AFTER_CHECKSUM = b"0" + bytes(100) + b"ustar  \0"
_FIXED_SUM = sum(_BEFORE_SIZE) + sum(_AFTER_SIZE) + sum(_AFTER_CHECKSUM) + 8 * ord(" ")


def _plain_header(name: bytes, size: int) -> bytes:
    """Return what `tarfile` would for a regular file in GNU form, at a tenth of the time."""
    octal = b"%011o\0" % size
    checksum = _FIXED_SUM + sum(name) + sum(octal)
    fields = (
        name.ljust(100, b"\0"),
        _BEFORE_SIZE,
        octal,
        _AFTER_SIZE,
        b"%06o\0 " % checksum,
        _AFTER_CHECKSUM,
    )
    return b"".join(fields).ljust(BLOCK, b"\0")


def _odd_header(member: Member, size: int) -> bytes:
    """Let `tarfile` write links, devices, long names; a NUL in a name survives only in a pax record."""
    info = tarfile.TarInfo(member.name)
    info.size, info.mtime, info.type, info.linkname = size, MTIME, member.kind, member.link
    if member.kind == tarfile.CHRTYPE:
        info.devmajor, info.devminor = 1, 3  # /dev/null, should anyone ever make it
    if "\0" in member.name:
        info.pax_headers = {"path": member.name}
        return info.tobuf(tarfile.PAX_FORMAT)
    return info.tobuf(tarfile.GNU_FORMAT)


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name when it is complete; FileExistsError if there is one already."""
    if path.exists():
        raise FileExistsError(17, "exists already", str(path))
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb", buffering=_BUFFER) as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

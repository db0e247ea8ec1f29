"""The official archive layout, written from any images, as GNU tar writes it and with fixed times and owners.

Written in one pass with nothing held: the header of a class tar goes in again once its size is known. What is there
already is never overwritten: FileExistsError.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

BLOCK = 512  # bytes: the unit of tar
RECORD = 10_240  # bytes: GNU tar pads every archive to a multiple of 20 blocks
MTIME = 1_338_508_800  # seconds: 2012-06-01 00:00 UTC, the same for every member

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


def write_train_archive(path: Path, classes: Iterable[tuple[str, Members]]) -> None:
    """Write the tar of class tars from (WNID, members), in the order given; both levels may be generators."""
    with _new(path) as file:
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
    with _new(path) as file:
        _write_tar(file, members)


def write_packed_archive(path: Path, members: Members) -> None:
    """Write a gzipped tar, without time and name in the gzip header."""
    with _new(path) as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        _write_tar(packed, members)


def write_folder(folder: Path, members: Members) -> None:
    """Write files and folders below ``folder``, whose names must be harmless."""
    for item in members:
        member = Member(*item)
        path = folder / member.name
        (path if member.kind == tarfile.DIRTYPE else path.parent).mkdir(parents=True, exist_ok=True)
        if member.kind != tarfile.DIRTYPE:
            with path.open("xb") as file:
                file.write(member.data)


def write_devkit(path: Path, truth: Iterable[int]) -> None:
    """Write the devkit; see `devkit`."""
    write_packed_archive(path, devkit(truth))


def devkit(truth: Iterable[int]) -> Iterator[Member]:
    """Yield what is in the devkit: the validation ground truth, one devkit integer per image, in image order.

    The official archive also holds ``meta.mat`` and evaluation code; this one does not.
    """
    for name in ("ILSVRC2012_devkit_t12/", "ILSVRC2012_devkit_t12/data/"):
        yield Member(name, kind=tarfile.DIRTYPE)
    yield Member(GROUND_TRUTH, "".join(f"{number}\n" for number in truth).encode("ascii"))


def tar_of(members: Members) -> bytes:
    """Return a whole tar as bytes, for tests that describe an archive as a literal."""
    file = io.BytesIO()
    _write_tar(file, members)
    return file.getvalue()


def _new(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb", buffering=1 << 20)


def _write_tar(file: BinaryIO | gzip.GzipFile, members: Members) -> int:
    """Write one complete tar from where ``file`` stands; return its length in bytes."""
    size = 0
    for item in members:
        member = Member(*item)
        length = len(member.data)
        size += file.write(_header(member, length)) + file.write(member.data) + file.write(bytes(-length % BLOCK))
    return size + _end(file, size)


def _end(file: BinaryIO | gzip.GzipFile, size: int) -> int:
    """Close a tar of ``size`` bytes with two empty blocks and zeros up to a full record; return how many."""
    return file.write(bytes(2 * BLOCK + -(size + 2 * BLOCK) % RECORD))


def _header(member: Member, size: int) -> bytes:
    """Return the header block (or blocks) for a member of ``size`` bytes."""
    info = tarfile.TarInfo(member.name)
    info.size, info.mtime, info.type, info.linkname = size, MTIME, member.kind, member.link
    if member.kind == tarfile.CHRTYPE:
        info.devmajor, info.devminor = 1, 3  # /dev/null, should anyone ever make it
    if "\0" in member.name:
        info.pax_headers = {"path": member.name}  # a NUL in a name survives only in a pax record
        return info.tobuf(tarfile.PAX_FORMAT)
    return info.tobuf(tarfile.GNU_FORMAT)

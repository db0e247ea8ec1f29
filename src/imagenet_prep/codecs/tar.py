"""A tar file read by its headers alone: every member's name, place and size, and nothing extracted.

A member of an outer tar that is a tar itself is walked in place, as the same file between two offsets. Plain
headers, which is nearly all there are, take a short path; GNU long names, pax headers and base-256 sizes take
the standard library's parser. (Formats: POSIX.1-2017 ``pax``, and GNU tar's manual, "Basic Tar Format".)

Every header's checksum is verified. A walk that meets the end of its range without an end-of-archive block
says so: that is what an archive cut on a member boundary looks like.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple
from zlib import adler32

from imagenet_prep.errors import Problem, SourceError, printable

BLOCK = 512
_CHECKSUM_OF_BLANKS = 8 * 0x20  # the checksum field counts as spaces
_ADLER_MODULUS = 65_521
_LONGEST_HEADER_DATA = 1 << 20  # bytes of a long name or a pax header: a claim beyond it is damage or an attack
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_GNU_MAGIC = b"ustar  \0"
_REMEDY = "The archive is damaged: download it again, or compare its checksum with the published one."


class Member(NamedTuple):
    """One member. ``offset`` is where its data begins, in bytes from the start of the file; ``type`` is the
    tar type flag.
    """

    name: str
    offset: int
    size: int
    type: bytes

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file: no folder, link or device."""
        return self.type in _REGULAR


class TarRange(NamedTuple):
    """A tar between two offsets of an open file. ``archive`` and ``container`` name it in messages, which end with
    ``remedy``. ``stream`` unpacks the file, if it is compressed; then ``end`` may be anything beyond its end.
    """

    descriptor: int
    archive: str
    container: str
    start: int
    end: int
    remedy: str = _REMEDY
    stream: BinaryIO | None = None

    def read(self, size: int, offset: int) -> bytes:
        """Read bytes at an offset; fewer at the end of the file. A stream is read forwards only, so as to be fast."""
        if self.stream is None:
            return os.pread(self.descriptor, size, offset)
        self.stream.seek(offset)
        return self.stream.read(size)

    def damaged(self, offset: int, reason: str, member: str = "") -> SourceError:
        """Make the error for damage at ``offset``."""
        place = printable("/".join(part for part in (self.container, member) if part))
        return SourceError("An archive is damaged:", (Problem(self.archive, reason, place, offset),), self.remedy)


class Missing(NamedTuple):
    """Yielded last by a walk that found no sound end of the archive at ``offset``, and why."""

    offset: int
    reason: str


def walk(tar: TarRange) -> Iterator[Member | Missing]:
    """Yield every member in order. Raises SourceError at the first header that is damaged or reaches beyond
    the range.
    """
    position = tar.start
    overrides: dict[str, str] = {}  # what a long-name or pax header said of the member after it
    while position < tar.end:
        header = tar.read(BLOCK, position)
        if len(header) < BLOCK or position + BLOCK > tar.end:
            raise tar.damaged(position, "the archive ends inside a member's header")
        if header[0] == 0 and not any(header):
            yield from _check_tail(tar, position)
            return
        name, size, kind = _parse(tar, position, header)
        data = position + BLOCK
        position = data + (size + BLOCK - 1) // BLOCK * BLOCK
        if kind in b"LKxg":
            overrides |= _read_override(tar, data, size, kind)
            continue
        if overrides:
            name, size = overrides.get("path", name), _size(tar, data, overrides.get("size"), size)
            kind = tarfile.GNUTYPE_SPARSE if any(key.startswith("GNU.sparse.") for key in overrides) else kind
            position = data + (size + BLOCK - 1) // BLOCK * BLOCK
            overrides = {}
        if data + size > tar.end:
            reason = f"claims {size:,} bytes, but only {max(0, tar.end - data):,} are left: the archive was cut short"
            raise tar.damaged(data, reason, name)
        yield Member(name, data, size, kind)
    yield Missing(position, "the end-of-archive block is missing: the archive was cut between two members")


def _parse(tar: TarRange, position: int, header: bytes) -> tuple[str, int, bytes]:
    kind = header[156:157]
    if kind == b"0" and not header[124] & 0x80 and header[345] == 0:  # a plain file, octal size, no prefix
        try:
            # Adler-32's low half is 1 + the sum of all bytes, modulo a prime: the header's checksum at the speed of C.
            found = (adler32(header) & 0xFFFF) - 1 - sum(header[148:156]) + _CHECKSUM_OF_BLANKS
            size = header[124:136].rstrip(b"\0 ")
            if size.isdigit() and (found - int(header[148:156].rstrip(b"\0 "), 8)) % _ADLER_MODULUS == 0:
                return header[: header.index(0, 0, 101)].decode(), int(size, 8), kind
        except ValueError:
            pass  # an odd name or number: the standard library knows more forms
    try:
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise tar.damaged(position, f"this is not a tar header ({error})") from error
    if member.size < 0:
        raise tar.damaged(position, "a header claims a negative size")
    if header[257:265] == _GNU_MAGIC:  # where POSIX has a prefix for the name, GNU tar has times
        member.name = header[:100].partition(b"\0")[0].decode("utf-8", "surrogateescape")
    return member.name, member.size if _has_data(member.type) else 0, member.type


def _has_data(kind: bytes) -> bool:
    """Links, devices and folders have no data, whatever their size field says; unknown types have, says
    POSIX.
    """
    return kind not in (
        tarfile.LNKTYPE,
        tarfile.SYMTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.DIRTYPE,
        tarfile.FIFOTYPE,
    )


def _read_override(tar: TarRange, offset: int, size: int, kind: bytes) -> dict[str, str]:
    if size > _LONGEST_HEADER_DATA or offset + size > tar.end:
        raise tar.damaged(offset, f"a header extension claims {size:,} bytes")
    data = tar.read(size, offset)
    if kind == b"L":
        return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    if kind == b"K":  # a long link target; links are refused by their type
        return {}
    return _pax_records(tar, offset, data)


def _pax_records(tar: TarRange, offset: int, data: bytes) -> dict[str, str]:
    """Parse ``<length> <key>=<value><newline>`` records, whose length counts the whole record."""
    records: dict[str, str] = {}
    position = 0
    while position < len(data) and data[position]:
        blank = data.find(b" ", position, position + 8)
        length = int(data[position:blank]) if blank > position and data[position:blank].isdigit() else 0
        record = data[blank + 1 : position + length]
        key, equals, value = record.partition(b"=")
        if not length or not equals or not record.endswith(b"\n") or position + length > len(data):
            raise tar.damaged(offset + position, "a pax header is malformed")
        records[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "surrogateescape")
        position += length
    return records


def _size(tar: TarRange, offset: int, claimed: str | None, size: int) -> int:
    if claimed is None:
        return size
    if not (claimed.isascii() and claimed.isdigit() and len(claimed) < 20):
        raise tar.damaged(offset, f"a pax header claims a size of {claimed!r}")
    return int(claimed)


def _check_tail(tar: TarRange, end: int) -> Iterator[Missing]:
    """After the end block come zeros up to a full record. Megabytes of them are a file that a download tool
    allocated and never filled; anything but zeros may mean that the end block is a header that was lost. Of a stream
    neither can be: it has a checksum of its own.
    """
    if tar.stream:
        return
    rest = tar.end - end
    if rest > _LONGEST_HEADER_DATA:
        reason = f"the archive seems to end here, {rest:,} bytes before its end: the download is unfinished"
        raise tar.damaged(end, reason)
    if any(tar.read(rest, end)):
        yield Missing(end, "there are zeros where the header of a member should be")

"""What a torrent is: what finds it in a swarm, what it holds, and whether files agree with its hashes.

The names in a torrent are anybody's: none is ever used as a path. Files are hashed here, and not by libtorrent,
wherever nothing must be written: a plain read cannot change what it reads. SHA-1 over pieces (version 1) is what the
torrents of ImageNet have.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from imagenet_prep.errors import SourceError, UsageError, printable
from imagenet_prep.imagenet.archives import OFFICIAL_BY_ROLE, TRAIN, VALIDATION
from imagenet_prep.platform import at_home

# Of the place that offers both; named in the magnet links that many public repositories have.
TRACKER = "https://academictorrents.com/announce.php"
_KNOWN = (TRAIN, VALIDATION)
_CHUNK_BYTES = 4 << 20
_REMEDY = f"Give {TRAIN}, {VALIDATION}, the path of a .torrent file, a magnet link, or 40 hexadecimal digits."


def library() -> Any:
    """Give libtorrent. Raises UsageError where it is not installed: it is an extra, and loaded here alone."""
    try:
        import libtorrent
    except ImportError as error:
        remedy = "Install it: pip install libtorrent"
        raise UsageError("Torrents need libtorrent, which is not installed.", remedy=remedy) from error
    return libtorrent


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a torrent. ``name`` is the last part of ``path``; both are as the torrent says, whoever made it."""

    index: int
    path: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Pieces:
    """How a file agrees with its hashes. Of ``unknown`` pieces a part belongs to a file that is not here."""

    total: int
    damaged: int
    unknown: int


class Torrent:
    """One torrent. ``label`` is what messages call it; ``parameters`` are libtorrent's, with which it joins a swarm;
    ``role`` is that of the official archive that it is known to be of, "" for any other torrent.

    A magnet link says nothing of the files: until ``learn`` was called, ``members`` and ``check`` have nothing to say.
    """

    def __init__(self, label: str, parameters: Any, role: str = "") -> None:
        self.label = printable(label)
        self.role = role
        self.parameters = parameters
        self.info: Any = None
        if parameters.ti is not None:
            self.learn(parameters.ti)

    @property
    def info_hash(self) -> str:
        """The version 1 hash, in hexadecimal digits."""
        return str(self.parameters.info_hashes.v1)

    def learn(self, info: Any) -> None:
        """Take what the torrent holds. Raises SourceError for hashes of version 2 alone."""
        if not info.info_hashes().has_v1():
            raise SourceError(
                f"{self.label} has hashes of version 2 alone, which are not supported.",
                remedy="Give a torrent of version 1, or one of both versions.",
            )
        self.info = self.parameters.ti = info

    @property
    def members(self) -> tuple[Member, ...]:
        """The files, without padding and links, in the torrent's order."""
        files = self._files()
        none = files.flag_pad_file | files.flag_symlink
        return tuple(
            Member(index, path, PurePosixPath(path).name, files.file_size(index))
            for index in range(files.num_files())
            if not files.file_flags(index) & none
            for path in [files.file_path(index)]
        )

    @property
    def indexes(self) -> range:
        """The numbers of all files, with padding and links."""
        return range(self._files().num_files())

    def check(self, index: int, paths: Mapping[int, Path], read: Callable[[int], None]) -> Pieces:
        """Hash a file, which is at ``paths[index]``, and give how it agrees. ``paths`` may have other files of the
        torrent, for pieces that reach into them. ``read`` is told how many bytes more were looked at. Nothing is
        written. Raises OSError.
        """
        files, length = self._files(), self.info.piece_length()
        offset, size = files.file_offset(index), files.file_size(index)
        pieces = range(offset // length, (offset + max(size, 1) - 1) // length + 1)
        damaged = unknown = 0
        with ExitStack() as opened:
            descriptors: dict[int, int] = {}
            for other, path in paths.items():
                descriptors[other] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                opened.callback(os.close, descriptors[other])
            for piece in pieces if size else ():
                digest = self._digest(piece, descriptors)
                unknown += digest is None
                damaged += digest not in (None, self.info.hash_for_piece(piece))
                read(min(self.info.piece_size(piece), size))
        return Pieces(len(pieces), damaged, unknown)

    def _digest(self, piece: int, descriptors: dict[int, int]) -> bytes | None:
        """Give the SHA-1 of what is there of a piece, or None if a part of it is in a file that is not given."""
        files, digest = self._files(), hashlib.sha1(usedforsecurity=False)
        for part in self.info.map_block(piece, 0, self.info.piece_size(piece)):
            if files.file_flags(part.file_index) & files.flag_pad_file:
                digest.update(bytes(part.size))
            elif part.file_index not in descriptors:
                return None
            else:
                for start in range(part.offset, part.offset + part.size, _CHUNK_BYTES):
                    length = min(_CHUNK_BYTES, part.offset + part.size - start)
                    digest.update(os.pread(descriptors[part.file_index], length, start))
        return digest.digest()

    def _files(self) -> Any:
        return self.info.layout()


def open_torrent(text: str) -> Torrent:
    """Understand what the user gave: a known name, an info-hash, a magnet link, or a path. Nothing leaves the machine.

    Raises UsageError for what is none of these, SourceError for a torrent of version 2.
    """
    role = text if text in _KNOWN else ""
    digits = (role and OFFICIAL_BY_ROLE[role].info_hash) or text.lower()
    if re.fullmatch(r"[0-9a-f]{40}", digits):
        return Torrent(f"the torrent {text}", _magnet(f"magnet:?xt=urn:btih:{digits}&tr={TRACKER}"), role)
    if text[:7].lower() == "magnet:":
        parameters = _magnet(text)
        return Torrent(f"the torrent {parameters.info_hashes.v1}", parameters)
    if "://" in text:  # and may be a secret
        raise UsageError("A URL is no torrent.", remedy="Download the .torrent file first, and give its path.")
    return Torrent(text, _read(at_home(text)))


def _magnet(link: str) -> Any:
    try:
        parameters = library().parse_magnet_uri(link)
    except (RuntimeError, UnicodeEncodeError) as error:
        raise UsageError(f"This is no magnet link of a torrent: {printable(str(error))}.", remedy=_REMEDY) from error
    if not parameters.info_hashes.has_v1():
        raise UsageError("This magnet link has a hash of version 2 alone, which is not supported.", remedy=_REMEDY)
    return parameters


def _read(path: Path) -> Any:
    shown = printable(str(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read the torrent {shown}: {error.strerror}.", remedy=_REMEDY) from error
    if data.lstrip().startswith(b"<"):  # of a login that had expired
        raise UsageError(f"{shown} is a web page, and not a torrent.", remedy="Download it again.")
    try:
        return library().load_torrent_buffer(data)
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"{shown} is not a torrent: {printable(str(error))}.", remedy=_REMEDY) from error

"""What a torrent is: what finds it in a swarm, and which official archives it has.

The names in a torrent are anybody's: they are compared and shown, and none is ever used as a path. SHA-1 over pieces
(version 1) is what the torrents of ImageNet have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from imagenet_prep.errors import Problem, SourceError, UsageError, printable
from imagenet_prep.imagenet.archives import OFFICIAL_BY_ROLE, TRAIN, VALIDATION, OfficialArchive, archive_called
from imagenet_prep.model.events import Note, Watch
from imagenet_prep.platform import at_home

# Of the place that offers both; named in the magnet links that many public repositories have.
TRACKER = "https://academictorrents.com/announce.php"
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
class Torrent:
    """One torrent. ``label`` is what messages call it; ``parameters`` are libtorrent's, with which it joins a swarm;
    their ``ti`` is None until it is known what the torrent holds. ``known`` is the archive that it is known to be of.
    """

    label: str
    parameters: Any
    known: OfficialArchive | None = None

    @property
    def info_hash(self) -> str:
        """The version 1 hash, in hexadecimal digits."""
        return str(self.parameters.info_hashes.v1)

    @property
    def leftover(self) -> str:
        """The file where libtorrent keeps pieces of unwanted files; needed until the torrent is done."""
        return f".{self.info_hash}.parts"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file of a torrent to have: which, of how many bytes, and what it is called when it is right. ``pieces`` are
    those that it has a part in, ``own`` those that reach into no other file.
    """

    index: int
    size: int
    archive: OfficialArchive
    final: Path
    pieces: range
    own: range


def open_torrent(text: str) -> Torrent:
    """Understand what the user gave: a known name, an info-hash, a magnet link, or a path. Nothing leaves the machine.

    Raises UsageError for what is none of these, and for a torrent of version 2 alone.
    """
    known = OFFICIAL_BY_ROLE[text] if text in (TRAIN, VALIDATION) else None
    digits = re.fullmatch(r"[0-9a-f]{40}", (known and known.info_hash) or text.lower())
    link = f"magnet:?xt=urn:btih:{digits[0]}&tr={TRACKER}" if digits else text
    is_magnet = link[:7].lower() == "magnet:"
    try:
        parameters = library().parse_magnet_uri(link) if is_magnet else library().load_torrent_buffer(_contents(text))
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"This is not a torrent: {printable(str(error))}.", remedy=_REMEDY) from error
    if not parameters.info_hashes.has_v1():
        raise UsageError("This torrent has hashes of version 2 alone, which are not supported.", remedy=_REMEDY)
    name = parameters.info_hashes.v1 if is_magnet and not known else text
    return Torrent(printable(f"the torrent {name}"), parameters, known)


def _contents(text: str) -> bytes:
    if "://" in text:  # and may be a secret
        raise UsageError("A URL is not a torrent.", remedy="Download the .torrent file first, and give its path.")
    path = at_home(text)
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "this is not a path"
        raise UsageError(f"Cannot read the torrent {printable(text)}: {why}.", remedy=_REMEDY) from error
    if data.lstrip().startswith(b"<"):  # of a login that had expired
        raise UsageError(f"{printable(text)} is a web page, and not a torrent.", remedy="Download it again.")
    return data


def choose(torrent: Torrent, folder: Path, watch: Watch) -> list[Wanted]:
    """Give the files to have in ``folder``: those with the name of an official archive, whatever folder they are in
    there. Raises SourceError for a torrent without any, and for one that cannot be of the official archives.
    """
    files, others = torrent.parameters.ti.layout(), []
    length, chosen = files.piece_length(), dict[str, Wanted]()
    for index in range(files.num_files()):
        path, first, size = files.file_path(index), files.file_offset(index), files.file_size(index)
        name, end = PurePosixPath(path).name, first + size
        archive = archive_called(name)
        if files.file_flags(index) & (files.flag_pad_file | files.flag_symlink):
            continue
        if not archive:
            others.append(printable(path))
            continue
        is_other = archive.size not in (None, size) and name == archive.names[0]
        if is_other or name in chosen:
            how = f"with {size:,} bytes, and not {archive.size:,}" if is_other else "more than once"
            problem = Problem(name, f"is in {torrent.label} {how}")
            raise SourceError("A torrent is not of the official archives:", (problem,), "Take another torrent.")
        pieces = range(first // length, -(-end // length))
        own = range(-(-first // length), pieces.stop if end == files.total_size() else end // length)
        chosen[name] = Wanted(index, size, archive, folder / name, pieces, own)
    if not chosen:
        raise SourceError(f"{torrent.label} has none of the official archives; it has {', '.join(others[:5])}.")
    if others:
        watch(Note(f"Of {torrent.label} these are not fetched: {', '.join(others[:5])}{' …' * (len(others) > 5)}."))
    return list(chosen.values())

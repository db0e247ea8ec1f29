"""Which files of torrents are fetched: those with the name of an official archive, whatever folder they are in there.

Names of a torrent are compared, shown, and otherwise not used: what lands in the folder has a name of ours.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.imagenet.archives import OfficialArchive
from imagenet_prep.model.events import Note, Watch
from imagenet_prep.verbs.fetch.resume import published_as
from imagenet_prep.verbs.fetch.torrent_file import Member, Torrent

_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to have: from where, what it is, and what it is called when it is right."""

    torrent: Torrent
    index: int
    size: int
    archive: OfficialArchive
    final: Path


def choose(torrents: list[Torrent], folder: Path, watch: Watch) -> list[Wanted]:
    """Give the files to have in ``folder``, and note the others. Raises SourceError for a torrent without any, for
    two files of one name, and for a file that has another size than the published one.
    """
    chosen: list[Wanted] = []
    for torrent in torrents:
        mine, others = _split(torrent, folder)
        if not mine:
            raise SourceError(f"{torrent.label} has none of the official archives; it has {_shown(others)}.")
        if others:
            watch(Note(f"Of {torrent.label} these are not fetched: {_shown(others)}."))
        chosen += mine
    _refuse_doubles(chosen)
    if problems := [Problem(each.final.name, _other_size(each)) for each in chosen if _other_size(each)]:
        raise SourceError(
            "A torrent has another file under the name of an official one:", tuple(problems), "Take another torrent."
        )
    return chosen


def _split(torrent: Torrent, folder: Path) -> tuple[list[Wanted], list[Member]]:
    mine: list[Wanted] = []
    others: list[Member] = []
    for member in torrent.members:
        if archive := published_as(member.name):
            mine.append(Wanted(torrent, member.index, member.size, archive, folder / member.name))
        else:
            others.append(member)
    return mine, others


def _refuse_doubles(chosen: list[Wanted]) -> None:
    times = Counter(each.final.name for each in chosen)
    if doubles := sorted(name for name in times if times[name] > 1):
        raise SourceError(
            f"The torrents have {' and '.join(doubles)} more than once.", remedy="Name one torrent for each archive."
        )


def _other_size(wanted: Wanted) -> str:
    """Say how the sizes differ; "" where they do not, or none is published."""
    official = wanted.archive.size
    if wanted.final.name != wanted.archive.names[0] or official in (None, wanted.size):
        return ""
    return f"has {wanted.size:,} bytes in {wanted.torrent.label}; the published file has {official:,}"


def _shown(members: list[Member]) -> str:
    names = [printable(member.path) for member in members[:_NAMES_SHOWN]]
    if len(members) > _NAMES_SHOWN:
        names.append(f"and {len(members) - _NAMES_SHOWN:,} more")
    return ", ".join(names) or "no file"

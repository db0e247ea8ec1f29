"""Archives from torrents: what is there is compared piece by piece, and what is missing or wrong is fetched.

First a torrent's files are looked at, and nothing is changed. One with its final name is right if its checksum is the
published one, whatever the torrent says, or, where none is published, if its pieces are the torrent's; otherwise it is
called ``NAME.part`` until it is right. A file gets its name when its torrent is complete and it was read once more.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from imagenet_prep.errors import Problem, SourceError, UsageError
from imagenet_prep.imagenet.archives import RIGHT, TRAIN, VALIDATION, WRONG, OfficialArchive
from imagenet_prep.model.events import Note, Watch, unwatched
from imagenet_prep.sources.base import Input
from imagenet_prep.stores.errors import output_errors
from imagenet_prep.verbs.checksums import comparer
from imagenet_prep.verbs.fetch import part as parts
from imagenet_prep.verbs.fetch.part import TORRENT, Origin, in_the_way, load_origin, part_path
from imagenet_prep.verbs.fetch.report import Fetched, TorrentOptions
from imagenet_prep.verbs.fetch.swarm import Swarm, split_peer
from imagenet_prep.verbs.fetch.torrent import Torrent, Wanted, choose, open_torrent

_TERMS = (
    "ImageNet is for non-commercial research and education; its terms are at https://image-net.org/download.php. "
    "If you have accepted them and have the right to the data, say so with --accept-terms."
)


def check_torrents(options: TorrentOptions) -> list[Torrent]:
    """Understand which torrents are meant. Raises UsageError, also where the terms are not accepted."""
    if not options.accept_terms:
        raise UsageError("The terms of ImageNet are not accepted.", remedy=_TERMS)
    for peer in options.peers:
        split_peer(peer)
    meant = [each for text in options.torrents for each in ([text] if text else [TRAIN, VALIDATION])]
    return list({each.info_hash: each for each in map(open_torrent, meant)}.values())


class Mending:
    """One torrent to be fetched; ``run`` is called once."""

    def __init__(self, torrent: Torrent, options: TorrentOptions) -> None:
        self._torrent = torrent
        self._options = options

    def run(self, folder: Path, watch: Watch) -> tuple[Fetched, ...]:
        """Fetch or repair the official archives that the torrent has, into ``folder``. Raises SourceError for the
        torrent and for files that are in the way, OutputError for the disk.
        """
        self._watch = watch
        known = self._torrent.known
        verdicts = {folder / known.names[0]: self._verdict(known, folder / known.names[0])} if known else {}
        if RIGHT in verdicts.values():  # then no swarm need be asked what the torrent holds
            return tuple(Fetched(final.name, final.stat().st_size, 0, RIGHT) for final in verdicts)
        fetched, came = [], []
        with Swarm(self._torrent, self._options, watch) as swarm, output_errors(folder):
            swarm.learn()
            for each in choose(self._torrent, folder, watch):
                verdict = verdicts.get(each.final) or self._verdict(each.archive, each.final)
                have = [] if verdict == RIGHT else swarm.check(folder, {each.index: _place(each).name})
                if verdict == RIGHT or not self._is_to_be_fetched(each, have, verdict):
                    fetched.append(Fetched(each.final.name, each.size, 0, verdict))
                    continue
                try:
                    _make_ready(each)
                    came.append((each, have, swarm.fetch(each.index, part_path(each.final).name)))
                finally:
                    parts.tidy(each.final)
        fetched += [self._prove(*each) for each in came]
        (folder / self._torrent.leftover).unlink(missing_ok=True)
        return tuple(fetched)

    def _verdict(self, archive: OfficialArchive, path: Path) -> str:
        """Compare a file with the published checksum; "" without a file."""
        for each in (path, part_path(path)):
            if os.path.lexists(each) and not each.is_file():
                raise in_the_way(each, "is not a file")
        if not path.exists():
            return ""
        read = Input(archive.role, path, path.stat().st_size)
        return comparer([read], self._watch)(read)

    def _is_to_be_fetched(self, wanted: Wanted, have: list[bool], verdict: str) -> bool:
        """Whether something of a file is missing or wrong. Raises SourceError for what is another file, or cannot be
        repaired.
        """
        path, lost = _place(wanted), [piece for piece in wanted.own if not have[piece]]
        if not os.path.lexists(path):
            return True
        size = path.stat().st_size
        if verdict == WRONG and all(have[piece] for piece in wanted.pieces):
            raise self._other(path)
        if verdict and not lost and size == wanted.size and verdict != WRONG:
            return False  # as far as it can be told: a piece at its end may be of another file, too
        origin = load_origin(wanted.final)
        ours = not verdict and origin and origin.size in (None, wanted.size)
        if size and len(lost) == len(wanted.own) > 0 and not ours:
            raise in_the_way(path, "has not one piece of the torrent's: it is another file")
        damage = f"is damaged in {len(lost):,} of {len(wanted.pieces):,} pieces, and has {size:,} bytes"
        if path.is_symlink():
            raise in_the_way(path, f"{damage}: it is a link", "Repair the file that it leads to, in its own folder.")
        if verdict and os.path.lexists(part_path(path)):
            raise in_the_way(path, f"{damage}, and {part_path(path).name} is there too")
        if verdict:
            self._watch(Note(f"{path.name} {damage}. Until it is right it is called {path.name}.part."))
        return True

    def _prove(self, wanted: Wanted, before: list[bool], now: list[bool]) -> Fetched:
        """Read a complete part once more, and give it its name. Raises SourceError if it is not the published file."""
        part, info = part_path(wanted.final), self._torrent.parameters.ti
        with output_errors(part), part.open("rb+") as file:
            seen = parts.finish_writing(file.fileno(), part, wanted.size)
        if lost := [piece for piece in wanted.pieces if not now[piece]]:
            problem = Problem(part.name, f"{len(lost):,} of {len(wanted.pieces):,} pieces were right when they came")
            raise SourceError("What was written reads back differently:", (problem,), "Look after the disk.")
        if (verdict := self._verdict(wanted.archive, part)) == WRONG:
            raise self._other(part)
        parts.name_part(wanted.final, seen)
        came = sum(info.piece_size(piece) for piece in wanted.pieces if not before[piece])
        return Fetched(wanted.final.name, wanted.size, min(came, wanted.size), verdict)

    def _other(self, path: Path) -> SourceError:
        problem = Problem(path.name, f"all pieces are those of {self._torrent.label}, and the checksum is another")
        remedy = "Move it away, and take another torrent."
        return SourceError("A torrent is not of the published file:", (problem,), remedy)


def _place(wanted: Wanted) -> Path:
    return wanted.final if os.path.lexists(wanted.final) else part_path(wanted.final)


def _make_ready(wanted: Wanted) -> None:
    """Make what is there, or nothing, a part that pieces can be written into. Raises OutputError."""
    path = _place(wanted)
    parts.check_room(path, wanted.size)
    if not os.path.lexists(path):
        path.touch()
    if not os.access(path, os.W_OK):
        raise in_the_way(path, "cannot be written", "Make it writable, or move it away.")
    # Before any piece: a part without a note would be nobody's after a kill, and that of a download by URL would make
    # trusted what is after the first piece.
    parts.save_origin(wanted.final, Origin(TORRENT, wanted.size))
    if path.stat().st_size > wanted.size:
        os.truncate(path, wanted.size)


def seed(torrents: list[Torrent], options: TorrentOptions, folder: Path, watch: Watch) -> tuple[Fetched, ...]:
    """Give until the user has enough of it, which is how this is meant to end."""
    with ExitStack() as stack:
        swarms = [stack.enter_context(Swarm(torrent, options, watch)) for torrent in torrents]
        for torrent, swarm in zip(torrents, swarms, strict=True):
            swarm.learn()
            swarm.check(folder, {each.index: each.final.name for each in choose(torrent, folder, unwatched)})
        try:
            ports = ", ".join(str(swarm.port) for swarm in swarms)
            watch(Note(f"Everything is here. Giving it to others, on port {ports}, until Ctrl-C."))
            while True:
                for swarm in swarms:
                    swarm.wait()
        except KeyboardInterrupt:
            watch(Note("No longer giving."))
    return ()

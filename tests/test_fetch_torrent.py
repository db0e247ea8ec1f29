"""Archives from torrents: real peers on this machine, nobody else is asked."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import libtorrent
import pytest

from imagenet_prep.errors import OutputError, PrepError, SourceError, UsageError
from imagenet_prep.imagenet import archives as facts
from imagenet_prep.model.events import Note, Progress
from imagenet_prep.stores.errors import DisturbedError
from imagenet_prep.testing import Miniature
from imagenet_prep.verbs.fetch import compare_torrent as standing
from imagenet_prep.verbs.fetch import peers as remote_swarm
from imagenet_prep.verbs.fetch import swarm, unfinished
from imagenet_prep.verbs.fetch import torrent_file as remote_torrent
from imagenet_prep.verbs.fetch.peers import Swarm
from imagenet_prep.verbs.fetch.report import Fetched, TorrentOptions
from imagenet_prep.verbs.fetch.swarm import check_torrents, fetch_torrents
from seeding import PIECE, QUIET, Seeder, torrent_of

VALIDATION = "ILSVRC2012_img_val.tar"
BOXES = "ILSVRC2012_bbox_train_v2.tar.gz"  # nobody publishes its size or checksum
DATA = random.Random(0).randbytes(20 * PIECE + 777)  # 21 pieces


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_swarm, "LISTEN", "127.0.0.1:0")
    monkeypatch.setattr(remote_torrent, "TRACKER", "http://127.0.0.1:1/announce")
    monkeypatch.setattr(
        "shutil.disk_usage", lambda _: type("", (), {"total": 10**15, "free": 10**15})
    )  # whatever is free here


@pytest.fixture
def seeder(tmp_path: Path) -> Iterator[Seeder]:
    torrent = torrent_of({BOXES: DATA})
    (tmp_path / "boxes.torrent").write_bytes(torrent)
    with Seeder(torrent, {BOXES: DATA}, tmp_path / "seeder") as peer:
        yield peer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "archives"
    path.mkdir()
    return path


class Watcher:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Progress | Note] = []

    def __call__(self, event: Progress | Note) -> None:
        self.events.append(event)

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]

    def progress(self, stage: str) -> list[tuple[int, int]]:
        ours = [event for event in self.events if isinstance(event, Progress) and event.stage == stage]
        return [(event.bytes_done, event.bytes_total) for event in ours]


def options(torrent: Path | str, *peers: Seeder, **more: object) -> TorrentOptions:
    plain = TorrentOptions(
        torrents=(str(torrent),),
        accept_terms=True,
        peers=tuple(peer.peer for peer in peers),
        discovery=False,
        timeout=100,  # a disk that others use may make everybody wait
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def publish(monkeypatch: pytest.MonkeyPatch, name: str, **known: object) -> None:
    """Let something be published of the archive ``name``: a miniature is not the real one."""
    (archive,) = (each for each in facts.OFFICIAL_BY_ROLE.values() if name in each.names)
    monkeypatch.setitem(facts.OFFICIAL_BY_ROLE, archive.role, replace(archive, **known))  # type: ignore[arg-type]


def as_published(monkeypatch: pytest.MonkeyPatch, name: str, data: bytes) -> None:
    publish(monkeypatch, name, size=len(data), md5=hashlib.md5(data).hexdigest(), sha1=None)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ——— A whole archive ———


def test_an_archive_comes_whole_and_its_checksum_is_compared(
    tmp_path: Path, folder: Path, two_classes: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (two_classes.root / VALIDATION).read_bytes()
    as_published(monkeypatch, VALIDATION, data)
    torrent = torrent_of({VALIDATION: data})
    (tmp_path / "val.torrent").write_bytes(torrent)
    watch = Watcher()
    with Seeder(torrent, {VALIDATION: data}, tmp_path / "seeder") as peer:
        files = fetch_torrents(folder, options(tmp_path / "val.torrent", peer), watch)
    assert files == (Fetched(VALIDATION, len(data), len(data), "right"),)
    assert (folder / VALIDATION).read_bytes() == data
    assert names_in(folder) == [VALIDATION]
    assert watch.progress("torrent")[-1] == (len(data), len(data))
    assert watch.progress("checksums")[-1] == (len(data), len(data))


def test_a_magnet_link_that_names_a_peer_is_enough(folder: Path, seeder: Seeder) -> None:
    files = fetch_torrents(folder, options(seeder.magnet), Watcher())
    assert files == (Fetched(BOXES, len(DATA), len(DATA), "none is published"),)
    assert (folder / BOXES).read_bytes() == DATA
    assert names_in(folder) == [BOXES]


def test_an_info_hash_in_capitals_is_enough_with_a_peer(folder: Path, seeder: Seeder) -> None:
    fetch_torrents(folder, options(seeder.info_hash.upper(), seeder), Watcher())
    assert (folder / BOXES).read_bytes() == DATA


def test_validation_is_a_known_torrent(
    tmp_path: Path, folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, VALIDATION, info_hash=seeder.info_hash)
    fetch_torrents(folder, options("validation", seeder), Watcher())
    assert (folder / BOXES).read_bytes() == DATA


def test_one_torrent_named_twice_is_one(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    twice = options("", seeder, torrents=(str(tmp_path / "boxes.torrent"), seeder.magnet))
    assert [file.name for file in fetch_torrents(folder, twice, Watcher())] == [BOXES]


def test_two_torrents_come_together(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    other = {"ILSVRC2012_bbox_val_v3.tgz": DATA[: 3 * PIECE]}
    torrent = torrent_of(other)
    (tmp_path / "other.torrent").write_bytes(torrent)
    with Seeder(torrent, other, tmp_path / "other") as second:
        both = (str(tmp_path / "boxes.torrent"), str(tmp_path / "other.torrent"))
        files = fetch_torrents(folder, options("", seeder, second, torrents=both), Watcher())
    assert [(file.name, file.received) for file in files] == [(BOXES, len(DATA)), (next(iter(other)), 3 * PIECE)]


@pytest.mark.parametrize("disturb", ["replace", "truncate", "write"])
def test_a_part_that_changes_after_it_was_read_back_gets_no_name(
    tmp_path: Path, folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch, disturb: str
) -> None:
    part = folder / f"{BOXES}.part"

    def compare_and_disturb(*arguments: Any) -> str:
        verdict = standing.compare(*arguments)
        if disturb == "replace":
            part.with_name("other").write_bytes(bytes(len(DATA)))
            part.with_name("other").replace(part)
        else:
            with part.open("rb+") as file:
                file.write(bytes(100)) if disturb == "write" else file.truncate(0)
        return verdict

    as_published(monkeypatch, BOXES, DATA)
    monkeypatch.setattr(swarm, "compare", compare_and_disturb)
    with pytest.raises((DisturbedError, SourceError)):
        fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert BOXES not in names_in(folder)


# ——— What is there already ———


def test_damaged_pieces_alone_are_fetched(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    damaged = bytearray(DATA)
    for place in (3 * PIECE + 5, 7 * PIECE, 8 * PIECE - 1):
        damaged[place] ^= 1
    (folder / BOXES).write_bytes(damaged)
    watch = Watcher()
    files = fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), watch)
    assert files == (Fetched(BOXES, len(DATA), 2 * PIECE, "none is published"),)
    assert seeder.given == 2 * PIECE
    assert (folder / BOXES).read_bytes() == DATA
    assert names_in(folder) == [BOXES]
    assert watch.notes == [f"{BOXES} is damaged in 2 of 21 pieces; until it is right it is called {BOXES}.part."]


def test_what_is_there_is_hashed_before_and_it_is_told_how_far(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / BOXES).write_bytes(DATA[: -PIECE - 777] + bytes(PIECE + 777))
    watch = Watcher()
    fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), watch)
    told = watch.progress("recheck")
    assert told[:3] == [(PIECE, len(DATA)), (2 * PIECE, len(DATA)), (3 * PIECE, len(DATA))]
    assert told[20] == (len(DATA), len(DATA))


def test_a_file_that_was_cut_off_gets_its_end(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / BOXES).write_bytes(DATA[: 18 * PIECE + 9])
    files = fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert files[0].received == seeder.given == 2 * PIECE + 777
    assert (folder / BOXES).read_bytes() == DATA


def test_a_file_that_is_too_long_loses_its_end(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / BOXES).write_bytes(DATA + bytes(3 * PIECE))
    watch = Watcher()
    files = fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), watch)
    assert files[0].received == seeder.given == 0
    assert (folder / BOXES).read_bytes() == DATA
    assert watch.notes == [f"{BOXES} is 49,152 bytes too long; until it is right it is called {BOXES}.part."]


def test_a_file_that_is_right_is_not_touched_and_nobody_is_asked(
    tmp_path: Path, folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Swarm, "_begin", lambda _: pytest.fail("it joined a swarm"))
    (folder / BOXES).write_bytes(DATA)
    os.utime(folder / BOXES, (1, 1))
    before = (folder / BOXES).stat()
    files = fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    after = (folder / BOXES).stat()
    assert files == (Fetched(BOXES, len(DATA), 0, "none is published"),)
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_of_a_known_torrent_whose_archive_is_right_no_swarm_is_asked(
    folder: Path, two_classes: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no peer at all here, and nothing that says what the torrent holds."""
    data = (two_classes.root / VALIDATION).read_bytes()
    as_published(monkeypatch, VALIDATION, data)
    (folder / VALIDATION).write_bytes(data)
    watch = Watcher()
    files = fetch_torrents(folder, options("validation", timeout=0.3), watch)
    assert files == (Fetched(VALIDATION, len(data), 0, "right"),)
    assert watch.notes == []
    with pytest.raises(SourceError, match="no peer was found"):
        fetch_torrents(folder, options("train", torrents=("validation", "train"), timeout=0.3), watch)
    assert watch.notes == ["Asking the swarm what the torrent train holds."]
    with pytest.raises(SourceError, match="no peer was found"):
        fetch_torrents(folder, options("train", torrents=("a" * 40, "train"), timeout=0.3), watch)
    assert watch.notes[1] == f"Asking the swarm what the torrent {'a' * 40} and the torrent train hold."


def test_and_one_that_is_wrong_is_read_once_for_that(
    tmp_path: Path, folder: Path, two_classes: Miniature, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (two_classes.root / VALIDATION).read_bytes()
    torrent = torrent_of({VALIDATION: data})
    as_published(monkeypatch, VALIDATION, data)
    (folder / VALIDATION).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    watch = Watcher()
    with Seeder(torrent, {VALIDATION: data}, tmp_path / "seeder") as peer:
        publish(monkeypatch, VALIDATION, info_hash=peer.info_hash)
        files = fetch_torrents(folder, options("validation", peer), watch)
    assert files == (Fetched(VALIDATION, len(data), len(data) % PIECE or PIECE, "right"),)
    assert watch.progress("checksums").count((len(data), len(data))) == 2  # before, and at the end


def test_the_published_checksum_outweighs_the_torrent(
    tmp_path: Path, folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = bytearray(DATA)
    right[5] ^= 1
    as_published(monkeypatch, BOXES, bytes(right))
    (folder / BOXES).write_bytes(right)
    files = fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert files == (Fetched(BOXES, len(DATA), 0, "right"),)
    assert (folder / BOXES).read_bytes() == right
    assert seeder.given == 0


def test_another_file_under_the_name_is_left_alone(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / BOXES).write_bytes(b"<html>Log in</html>")
    with pytest.raises(SourceError, match="has not one piece of the torrent's: it is another file"):
        fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert (folder / BOXES).read_bytes() == b"<html>Log in</html>"
    assert names_in(folder) == [BOXES]


def test_a_link_to_a_damaged_file_is_not_followed_to_write(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    elsewhere = tmp_path / "elsewhere.tar.gz"
    elsewhere.write_bytes(DATA[:-1])
    (folder / BOXES).symlink_to(elsewhere)
    with pytest.raises(SourceError, match="is damaged in 1 of 21 pieces, and is a link"):
        fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert elsewhere.read_bytes() == DATA[:-1]
    assert names_in(folder) == [BOXES]


def test_a_folder_under_the_name_is_in_the_way(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / BOXES).mkdir()
    with pytest.raises(SourceError, match=rf"{BOXES}: is not a file"):
        fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())


# ——— What is hashed here ———


def test_padding_counts_as_zeros_and_every_file_is_closed(tmp_path: Path) -> None:
    """A creator of torrents fills up the last piece of a file, so that the next file begins with a piece."""
    pad, after = bytes(PIECE - 777), b"x" * 100
    document: Any = libtorrent.bdecode(torrent_of({BOXES: DATA, "pad": pad, "after": after}, folder="imagenet"))
    document[b"info"][b"files"][1][b"attr"] = b"p"
    (tmp_path / "it.torrent").write_bytes(libtorrent.bencode(document))
    (tmp_path / BOXES).write_bytes(DATA)
    torrent = remote_torrent.open_torrent(str(tmp_path / "it.torrent"))
    before = len(names_in(Path("/proc/self/fd")))
    assert [member.name for member in torrent.members] == [BOXES, "after"]
    assert torrent.check(0, {0: tmp_path / BOXES}, lambda _: None) == remote_torrent.Pieces(21, damaged=0, unknown=0)
    (tmp_path / BOXES).write_bytes(DATA[:-1] + b"?")
    assert torrent.check(0, {0: tmp_path / BOXES}, lambda _: None) == remote_torrent.Pieces(21, damaged=1, unknown=0)
    assert len(names_in(Path("/proc/self/fd"))) == before


@pytest.mark.parametrize(
    ("spoil", "pieces"),
    [(lambda data: b"?" + data[1:], "1 of 21"), (lambda data: data + b"?", "0 of 21")],
    ids=["a byte", "the length"],
)
def test_what_reads_back_differently_does_not_get_its_name(
    tmp_path: Path,
    folder: Path,
    seeder: Seeder,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[bytes], bytes],
    pieces: str,
) -> None:
    """A disk that forgets: the part changes as soon as libtorrent has let go of it."""
    leave = Swarm.leave

    def forget(swarm: Swarm, torrent: remote_torrent.Torrent) -> None:
        leave(swarm, torrent)
        part = folder / f"{BOXES}.part"
        part.write_bytes(spoil(part.read_bytes()))

    monkeypatch.setattr(Swarm, "leave", forget)
    with pytest.raises(SourceError, match=f"{pieces} pieces were right when they came") as caught:
        fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert caught.value.summary == "What was written reads back differently:"
    assert names_in(folder) == [f"{BOXES}.part", f"{BOXES}.part.json"]


# ——— Parts ———


def test_a_part_of_another_program_is_taken_up(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / f"{BOXES}.part").write_bytes(DATA[: 9 * PIECE + 3])
    files = fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert files[0].received == seeder.given == 11 * PIECE + 777
    assert (folder / BOXES).read_bytes() == DATA
    assert names_in(folder) == [BOXES]


def test_and_stays_theirs_until_it_is_complete(tmp_path: Path, folder: Path) -> None:
    """For --fresh, which takes away only what is ours."""
    (tmp_path / "boxes.torrent").write_bytes(torrent_of({BOXES: DATA}))
    (folder / f"{BOXES}.part").write_bytes(DATA[: 9 * PIECE])
    for _ in range(2):
        with pytest.raises(SourceError, match="no peer was found"):
            fetch_torrents(folder, options(tmp_path / "boxes.torrent", timeout=0.3), Watcher())
        bookmark = unfinished.load_bookmark(folder / BOXES)
        assert bookmark == unfinished.Bookmark(by="torrent", size=len(DATA), adopted=True)


def test_a_part_of_another_file_is_refused(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / f"{BOXES}.part").write_bytes(b"theirs")
    with pytest.raises(SourceError, match=rf"{BOXES}.part: has not one piece of the torrent's: it is another file"):
        fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert (folder / f"{BOXES}.part").read_bytes() == b"theirs"
    assert names_in(folder) == [f"{BOXES}.part"]


def test_an_empty_part_is_nothing(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    """It may be ours: a kill can come before the bookmark."""
    (folder / f"{BOXES}.part").touch()
    fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert (folder / BOXES).read_bytes() == DATA


def test_where_no_piece_came_nothing_is_left(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    """A bookmark alone would make ours what somebody puts beside it later."""
    with pytest.raises(SourceError, match="no peer was found"):
        fetch_torrents(folder, options(tmp_path / "boxes.torrent", timeout=0.3), Watcher())
    assert names_in(folder) == []


def test_what_may_not_be_written_keeps_its_name(
    tmp_path: Path, folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system is told to refuse what it would refuse to others than root."""

    def refuse(path: Path, flags: int, *mode: int) -> int:
        if path == folder / BOXES and flags & os.O_WRONLY:
            raise PermissionError(errno.EACCES, "Permission denied")
        return system_open(path, flags, *mode)

    (folder / BOXES).write_bytes(DATA[:-1])
    system_open = os.open
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(
        SourceError, match="is damaged in 1 of 21 pieces, and cannot be written: Permission denied"
    ) as caught:
        fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert caught.value.remedy == "Make it writable, or move it away."
    assert (folder / BOXES).read_bytes() == DATA[:-1]
    assert names_in(folder) == [BOXES]


def test_a_download_by_url_goes_on_by_torrent(
    tmp_path: Path, folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / f"{BOXES}.part").write_bytes(DATA[: 9 * PIECE + 3])
    unfinished.save_bookmark(
        folder / BOXES, unfinished.Bookmark(by=unfinished.URL, size=len(DATA), received=9 * PIECE + 3)
    )
    notes = []
    join = Swarm.fetch

    def noting(*given: object) -> object:
        notes.append(unfinished.load_bookmark(folder / BOXES))
        return join(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(Swarm, "fetch", noting)
    files = fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert notes == [unfinished.Bookmark(by=unfinished.TORRENT, size=len(DATA))]
    assert files[0].received == seeder.given == 11 * PIECE + 777
    assert (folder / BOXES).read_bytes() == DATA
    assert names_in(folder) == [BOXES]


def test_a_part_of_a_file_of_another_size_is_refused(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / f"{BOXES}.part").write_bytes(DATA[:PIECE])
    unfinished.save_bookmark(folder / BOXES, unfinished.Bookmark(by=unfinished.URL, size=4_000_000))
    with pytest.raises(SourceError, match="was begun of a file of 4,000,000 bytes, and the torrent's has 328,457"):
        fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert (folder / f"{BOXES}.part").read_bytes() == DATA[:PIECE]


CHILD = """
import os, signal, sys
from pathlib import Path
from imagenet_prep.verbs.fetch.report import TorrentOptions
from imagenet_prep.verbs.fetch import peers as swarm
from imagenet_prep.verbs.fetch.swarm import fetch_torrents

swarm.LISTEN = "127.0.0.1:0"
swarm._POLL_MILLISECONDS = 5
folder, torrent, peer, enough = sys.argv[1:]

def watch(event):
    if getattr(event, "stage", "") == "torrent" and event.bytes_done >= int(enough):
        print(event.bytes_done, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

fetch_torrents(
    Path(folder),
    TorrentOptions(torrents=(torrent,), accept_terms=True, peers=(peer,), discovery=False, timeout=100),
    watch,
)
"""


def test_killed_again_and_again_it_goes_on_from_where_it_was(tmp_path: Path, folder: Path) -> None:
    chance = random.Random(5)
    data = chance.randbytes(60_000_000)
    torrent = torrent_of({BOXES: data}, piece=1 << 18)
    (tmp_path / "it.torrent").write_bytes(torrent)
    with Seeder(torrent, {BOXES: data}, tmp_path / "seeder") as peer:
        reached = [0]
        while reached[-1] < 40_000_000:
            reached.append(killed(reached[-1] + chance.randrange(1, 9_000_000), folder, tmp_path / "it.torrent", peer))
            assert names_in(folder) == [f"{BOXES}.part", f"{BOXES}.part.json"]
        files = fetch_torrents(folder, options(tmp_path / "it.torrent", peer), Watcher())
        assert peer.given < 1.5 * len(data)
    assert len(reached) > 3
    assert 0 < files[0].received < 30_000_000
    assert (folder / BOXES).read_bytes() == data
    assert names_in(folder) == [BOXES]


def killed(enough: int, folder: Path, torrent: Path, peer: Seeder) -> int:
    """Run a fetch in a process of its own, which dies when it has ``enough`` bytes; gives how many it had."""
    command = [sys.executable, "-c", CHILD, str(folder), str(torrent), peer.peer, str(enough)]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert child.returncode == -signal.SIGKILL
    return int(child.stdout)


def test_an_interrupt_leaves_what_came(tmp_path: Path, folder: Path) -> None:
    data = random.Random(6).randbytes(1_000_000)
    torrent = torrent_of({BOXES: data})
    (tmp_path / "it.torrent").write_bytes(torrent)
    done = 0

    def interrupt(event: Progress | Note) -> None:
        nonlocal done
        if isinstance(event, Progress) and event.stage == "torrent" and event.bytes_done > 10 * PIECE:
            done = event.bytes_done
            raise KeyboardInterrupt

    with Seeder(torrent, {BOXES: data}, tmp_path / "seeder") as peer:
        with pytest.raises(KeyboardInterrupt):
            fetch_torrents(folder, options(tmp_path / "it.torrent", peer, rate=1_000_000), interrupt)
        assert names_in(folder) == [f"{BOXES}.part", f"{BOXES}.part.json"]
        assert unfinished.load_bookmark(folder / BOXES) == unfinished.Bookmark(by="torrent", size=len(data))
        part = (folder / f"{BOXES}.part").read_bytes()
        whole = sum(part[at : at + PIECE] == data[at : at + PIECE] for at in range(0, len(data), PIECE))
        files = fetch_torrents(folder, options(tmp_path / "it.torrent", peer), Watcher())
    assert whole > 5
    assert files[0].received <= len(data) - whole * PIECE + PIECE
    assert (folder / BOXES).read_bytes() == data


# ——— What a torrent may say ———


def fetch_from_a_collection(tmp_path: Path, folder: Path, files: dict[str, bytes], watch: Watcher) -> None:
    torrent = torrent_of(files, folder="imagenet")
    (tmp_path / "all.torrent").write_bytes(torrent)
    with Seeder(torrent, files, tmp_path / "collection") as peer:
        fetch_torrents(folder, options(tmp_path / "all.torrent", peer), watch)


def test_strangers_in_a_torrent_are_named_and_not_fetched(tmp_path: Path, folder: Path) -> None:
    files = {"a/read me.txt": DATA[:5_000], f"tars/{BOXES}": DATA, "z\u2028": DATA[:90_000]}
    watch = Watcher()
    fetch_from_a_collection(tmp_path, folder, files, watch)
    assert (folder / BOXES).read_bytes() == DATA
    assert names_in(folder) == [BOXES]
    (note,) = watch.notes
    assert note.isprintable()
    assert note.endswith("these are not fetched: imagenet/a/read me.txt, 'imagenet/z\\u2028'.")


def test_files_of_the_user_with_names_of_strangers_stay_as_they_are(tmp_path: Path, folder: Path) -> None:
    (folder / "imagenet").mkdir()
    (folder / "imagenet" / "a.txt").write_bytes(b"my own")
    fetch_from_a_collection(tmp_path, folder, {"a.txt": DATA[:5_000], BOXES: DATA}, Watcher())
    assert (folder / "imagenet" / "a.txt").read_bytes() == b"my own"
    assert names_in(folder) == [BOXES, "imagenet"]


def test_what_cannot_be_checked_alone_is_said(tmp_path: Path, folder: Path) -> None:
    (folder / BOXES).write_bytes(DATA)
    watch = Watcher()
    fetch_from_a_collection(tmp_path, folder, {"a.txt": DATA[:5_000], BOXES: DATA, "z": b"end"}, watch)
    assert names_in(folder) == [BOXES]
    assert watch.notes[1] == (
        f"2 of the 21 pieces of {BOXES} cannot be checked: a part of each belongs to a file that is not here."
    )


def test_of_two_archives_in_one_torrent_the_right_one_is_not_written_to(tmp_path: Path, folder: Path) -> None:
    other = "ILSVRC2012_bbox_val_v3.tgz"
    (folder / BOXES).write_bytes(DATA)
    (folder / BOXES).chmod(0o444)
    before = (folder / BOXES).stat()
    fetch_from_a_collection(tmp_path, folder, {other: DATA[:50_000], BOXES: DATA}, Watcher())
    assert (folder / other).read_bytes() == DATA[:50_000]
    assert (folder / BOXES).stat().st_ctime_ns == before.st_ctime_ns
    assert names_in(folder) == [BOXES, other]


@pytest.mark.parametrize("path", [f"../../{BOXES}", f"/etc/{BOXES}", f"..//./{BOXES}", f"a\x00b/{BOXES}"])
def test_a_hostile_path_leads_nowhere_else(tmp_path: Path, folder: Path, path: str) -> None:
    fetch_from_a_collection(tmp_path, folder, {path: DATA}, Watcher())
    assert (folder / BOXES).read_bytes() == DATA
    assert names_in(folder) == [BOXES]
    assert names_in(tmp_path) == ["all.torrent", "archives", "collection"]


def test_a_torrent_without_any_archive_says_what_it_has(tmp_path: Path, folder: Path) -> None:
    files = {f"{number}.txt": b"x" for number in range(7)}
    (tmp_path / "it.torrent").write_bytes(torrent_of(files, folder="texts"))
    with pytest.raises(SourceError, match=r"none of the official archives; it has texts/0.txt, .*4.txt, and 2 more"):
        fetch_torrents(folder, options(tmp_path / "it.torrent"), Watcher())


def test_two_files_of_one_name_are_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "it.torrent").write_bytes(torrent_of({f"a/{BOXES}": b"x", f"b/{BOXES}": b"y"}, folder="two"))
    with pytest.raises(SourceError, match=rf"The torrents have {BOXES} more than once"):
        fetch_torrents(folder, options(tmp_path / "it.torrent"), Watcher())


def test_a_file_of_another_size_than_the_published_one_is_not_fetched(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "it.torrent").write_bytes(torrent_of({VALIDATION: DATA}))
    with pytest.raises(SourceError, match=r"has 328,457 bytes in .*it.torrent; the published file has 6,744,924,160"):
        fetch_torrents(folder, options(tmp_path / "it.torrent"), Watcher())
    assert names_in(folder) == []


def test_a_torrent_of_another_file_is_found_out_by_the_checksum(
    tmp_path: Path, folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, BOXES, size=len(DATA), md5="0" * 32)
    with pytest.raises(SourceError, match="A torrent is not of the published file"):
        fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert (folder / f"{BOXES}.part").read_bytes() == DATA
    assert names_in(folder) == [f"{BOXES}.part", f"{BOXES}.part.json"]


# ——— What is refused before anybody is asked ———


def refused(folder: Path, wanted: TorrentOptions, monkeypatch: pytest.MonkeyPatch) -> PrepError:
    monkeypatch.setattr(Swarm, "_begin", lambda _: pytest.fail("it joined a swarm"))
    with pytest.raises(UsageError) as caught:
        fetch_torrents(folder, wanted, Watcher())
    return caught.value


def test_the_terms_come_first(folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(folder, options(seeder.magnet, accept_terms=False), monkeypatch)
    assert error.summary == "The terms of ImageNet are not accepted."
    assert error.remedy.endswith("say so with --accept-terms.")


def test_a_folder_whose_name_is_not_utf8_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(tmp_path / "\udcff", options("validation"), monkeypatch)
    assert error.summary.endswith("its name is not UTF-8.")


def test_a_missing_libtorrent_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libtorrent", None)
    error = refused(folder, options("validation"), monkeypatch)
    assert error.remedy == "Install it: pip install libtorrent"


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ("none.torrent", "Cannot read the torrent none.torrent: No such file or directory."),
        ("a" * 39, f"Cannot read the torrent {'a' * 39}: No such file or directory."),
        ("magnet:?dn=anything", "This is no magnet link of a torrent: missing info-hash"),
        ("magnet:?xt=urn:btih:zz", "This is no magnet link of a torrent: invalid info-hash"),
        (f"magnet:?xt=urn:btmh:1220{'a' * 64}", "This magnet link has a hash of version 2 alone"),
        (__file__, f"{__file__} is not a torrent: "),
    ],
)
def test_what_is_no_torrent_is_said(folder: Path, given: str, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(folder, options(given), monkeypatch).summary.startswith(answer)


def test_a_page_in_place_of_a_torrent_is_called_so(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it.torrent").write_text("\n<!doctype html><html>Log in</html>")
    error = refused(folder, options(tmp_path / "it.torrent"), monkeypatch)
    assert error.summary == f"{tmp_path}/it.torrent is a web page, and not a torrent."


@pytest.mark.parametrize("peer", ["localhost", "localhost:", ":6881", "localhost:0", "localhost:65536", "a:b"])
def test_a_peer_is_a_host_and_a_port(folder: Path, peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(folder, options("validation", peers=(peer,)), monkeypatch)
    assert error.summary == f"{peer} is not a peer."


# ——— While it runs ———


def test_limits_and_silence_are_as_asked_for(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = remote_swarm._settings(options("validation", rate=5_000, upload_rate=700))
    assert (quiet["download_rate_limit"], quiet["upload_rate_limit"]) == (5_000, 700)
    assert not any(quiet[f"enable_{way}"] for way in ("dht", "lsd", "upnp", "natpmp"))
    open_ = remote_swarm._settings(options("validation", discovery=True))
    assert all(open_[f"enable_{way}"] for way in ("dht", "lsd", "upnp", "natpmp"))
    assert open_["anonymous_mode"] is True


@pytest.mark.parametrize("wrong", [{"rate": -1}, {"upload_rate": -1}, {"timeout": -0.5}, {"timeout": 86_401}])
def test_numbers_that_make_no_sense(folder: Path, wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"(?i){next(iter(wrong))}"):
        fetch_torrents(folder, options("validation", **wrong), Watcher())
    check_torrents(options("validation", timeout=86_400))


@pytest.mark.parametrize("discovery", [False, True])
def test_without_discovery_a_torrent_is_told_to_nobody_else(tmp_path: Path, discovery: bool) -> None:
    """The session is one that only takes down what it is given, so that nobody is asked here either."""

    class Session:
        def add_torrent(self, parameters: libtorrent.add_torrent_params) -> None:
            flags = libtorrent.torrent_flags
            ways = (flags.disable_dht, flags.disable_lsd, flags.disable_pex)
            self.closed = [bool(parameters.flags & way) for way in ways]
            self.servers = parameters.url_seeds

    document: Any = libtorrent.bdecode(torrent_of({BOXES: DATA}))
    document[b"url-list"] = [b"http://192.0.2.1/"]
    (tmp_path / "it.torrent").write_bytes(libtorrent.bencode(document))
    swarm, session = Swarm(options("validation", discovery=discovery), Watcher()), Session()
    swarm._session = session
    swarm._join(remote_torrent.open_torrent(str(tmp_path / "it.torrent")), str(tmp_path), 0)
    assert session.closed == [not discovery] * 3
    assert session.servers == (["http://192.0.2.1/"] if discovery else [])


@pytest.mark.parametrize(
    ("peers", "asked", "by_utp"), [((0, 0), [0, 1], True), ((3, 0), [1], False), ((3, 2), [], False)]
)
def test_where_nobody_is_the_named_peers_are_tried_again(
    monkeypatch: pytest.MonkeyPatch, peers: tuple[int, int], asked: list[int], by_utp: bool
) -> None:
    """libtorrent gives up on a peer after three tries. Here nothing is a torrent, and it only takes down what it is
    asked.
    """

    @dataclass
    class Handle:
        num_peers: int
        tried: list[tuple[str, int]] = field(default_factory=list)

        def status(self) -> Handle:
            return self

        def connect_peer(self, peer: tuple[str, int]) -> None:
            self.tried.append(peer)

    class Session:
        def __init__(self) -> None:
            self.settings: dict[str, bool] = {}

        def wait_for_alert(self, milliseconds: int) -> None:
            pass

        def pop_alerts(self) -> list[object]:
            return []

        def apply_settings(self, settings: dict[str, bool]) -> None:
            self.settings = settings

    swarm, session, handles = Swarm(options("validation"), Watcher()), Session(), [Handle(each) for each in peers]
    named: Any = SimpleNamespace(parameters=SimpleNamespace(peers=[("192.0.2.7", 6881)]))
    swarm._session, swarm._joined = session, {str(each): (named, handle) for each, handle in enumerate(handles)}
    swarm._knocked = time.monotonic()
    swarm.wait()
    assert [handle.tried for handle in handles] == [[], []]
    swarm._knocked = time.monotonic() - 10.1
    swarm.wait()
    swarm.wait()
    assert [each for each, handle in enumerate(handles) if handle.tried == [("192.0.2.7", 6881)]] == asked
    assert session.settings == ({"enable_outgoing_utp": True} if by_utp else {})


def test_without_a_peer_it_says_so_and_gives_up_in_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_swarm, "LONELY_SECONDS", 0)
    watch = Watcher()
    with pytest.raises(SourceError, match=r"For 0.6 s no peer was found.") as caught:
        fetch_torrents(folder, options("validation", timeout=0.6), watch)
    assert "--peer HOST:PORT" in caught.value.remedy
    assert watch.notes[0] == "Asking the swarm what the torrent validation holds."
    assert "No peer at the moment (127.0.0.1: Connection refused); waiting" in watch.notes[-1]
    assert not any("announce" in note for note in watch.notes)
    assert names_in(folder) == []


def test_a_disk_that_takes_no_more_is_an_output_error(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"Cannot write .*archives: File too large") as caught:
            fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "ulimit -f" in caught.value.remedy


def test_too_little_space_is_said_before_anything_is_written(
    tmp_path: Path, folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it.torrent").write_bytes(torrent_of({BOXES: DATA}))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("", (), {"total": 10**15, "free": len(DATA) - 1}))
    with pytest.raises(OutputError, match=r"needs 0.3 MB"):
        fetch_torrents(folder, options(tmp_path / "it.torrent", seeder), Watcher())
    assert names_in(folder) == []


def test_of_known_torrents_before_anybody_is_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("", (), {"total": 10**15, "free": 150_000_000_000}))
    watch = Watcher()
    with pytest.raises(OutputError, match=r"needs 154.6 GB, and its file system has 150.0 GB free"):
        fetch_torrents(folder, options("train", torrents=("train", "validation"), timeout=0.3), watch)
    assert watch.notes == []


def test_what_is_there_needs_no_space(
    tmp_path: Path, folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / f"{BOXES}.part").write_bytes(DATA[: 15 * PIECE])
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("", (), {"total": 10**15, "free": 6 * PIECE}))
    fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder), Watcher())
    assert (folder / BOXES).read_bytes() == DATA


def test_it_gives_to_others_until_interrupted_if_asked_to(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    watch = Watcher()
    other = libtorrent.session(QUIET)
    took = threading.Event()

    def take() -> None:
        parameters = libtorrent.load_torrent_buffer((tmp_path / "boxes.torrent").read_bytes())
        parameters.save_path, parameters.flags = str(tmp_path / "other"), libtorrent.torrent_flags.update_subscribe
        (port,) = (note.split("on port ")[1].split(",")[0] for note in watch.notes if "on port" in note)
        parameters.peers = [("127.0.0.1", int(port))]
        handle = other.add_torrent(parameters)
        while not handle.status().is_finished:
            other.wait_for_alert(50)
            other.pop_alerts()
        took.set()
        os.kill(os.getpid(), signal.SIGINT)

    def begin(event: Progress | Note) -> None:
        watch(event)
        if isinstance(event, Note) and "on port" in event.text:
            assert names_in(folder) == [BOXES]
            threading.Thread(target=take, daemon=True).start()

    files = fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder, seed=True), begin)
    assert files[0].received == len(DATA)
    assert took.is_set()
    assert (tmp_path / "other" / BOXES).read_bytes() == DATA
    assert seeder.given == len(DATA)
    assert watch.notes[-1] == "No longer giving."


def test_an_interrupt_at_the_first_moment_of_giving_ends_it_as_well(
    tmp_path: Path, folder: Path, seeder: Seeder
) -> None:
    def interrupt(event: Progress | Note) -> None:
        if isinstance(event, Note) and "until Ctrl-C" in event.text:
            raise KeyboardInterrupt

    files = fetch_torrents(folder, options(tmp_path / "boxes.torrent", seeder, seed=True), interrupt)
    assert [file.name for file in files] == [BOXES]

"""Archives from torrents: real peers on this machine, nobody else is asked."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import libtorrent
import pytest

from imagenet_prep.errors import OutputError, PrepError, SourceError, UsageError
from imagenet_prep.imagenet import archives as facts
from imagenet_prep.model.events import Note, Progress
from imagenet_prep.testing import Miniature
from imagenet_prep.verbs.fetch import swarm
from imagenet_prep.verbs.fetch import torrent as torrents
from imagenet_prep.verbs.fetch.part import URL, Origin, digest_of, save_origin
from imagenet_prep.verbs.fetch.report import Fetched, TorrentOptions
from imagenet_prep.verbs.fetch.run import fetch
from imagenet_prep.verbs.fetch.swarm import Swarm
from seeding import PIECE, QUIET, Seeder, torrent_of

VALIDATION = "ILSVRC2012_img_val.tar"
BOXES = "ILSVRC2012_bbox_train_v2.tar.gz"  # nobody publishes its size or checksum
DATA = random.Random(0).randbytes(20 * PIECE + 777)  # 21 pieces


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm, "LISTEN", "127.0.0.1:0")
    monkeypatch.setattr(torrents, "TRACKER", "http://127.0.0.1:1/announce")
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
        files = fetch(folder, options(tmp_path / "val.torrent", peer), watch=watch).files
    assert files == (Fetched(VALIDATION, len(data), len(data), "right"),)
    assert (folder / VALIDATION).read_bytes() == data
    assert names_in(folder) == [VALIDATION]
    assert watch.progress("torrent")[-1] == (len(data), len(data))
    assert watch.progress("checksums")[-1] == (len(data), len(data))


def test_a_magnet_link_that_names_a_peer_is_enough(folder: Path, seeder: Seeder) -> None:
    files = fetch(folder, options(seeder.magnet), watch=Watcher()).files
    assert files == (Fetched(BOXES, len(DATA), len(DATA), "none is published"),)
    assert (folder / BOXES).read_bytes() == DATA
    assert names_in(folder) == [BOXES]


def test_two_torrents_come_together(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    other = {"ILSVRC2012_bbox_val_v3.tgz": DATA[: 3 * PIECE]}
    torrent = torrent_of(other)
    (tmp_path / "other.torrent").write_bytes(torrent)
    with Seeder(torrent, other, tmp_path / "other") as second:
        both = (str(tmp_path / "boxes.torrent"), str(tmp_path / "other.torrent"))
        files = fetch(folder, options("", seeder, second, torrents=both), watch=Watcher()).files
    assert [(file.name, file.received) for file in files] == [(BOXES, len(DATA)), (next(iter(other)), 3 * PIECE)]


# ——— What is there already ———


def test_damaged_pieces_alone_are_fetched(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    damaged = bytearray(DATA)
    for place in (3 * PIECE + 5, 7 * PIECE, 8 * PIECE - 1):
        damaged[place] ^= 1
    (folder / BOXES).write_bytes(damaged)
    watch = Watcher()
    files = fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=watch).files
    assert files == (Fetched(BOXES, len(DATA), 2 * PIECE, "none is published"),)
    assert seeder.given == 2 * PIECE
    assert (folder / BOXES).read_bytes() == DATA
    assert names_in(folder) == [BOXES]
    assert [note for note in watch.notes if "damaged in 2 of 21 pieces" in note] == watch.notes != []


def test_a_file_that_is_too_long_loses_its_end(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / BOXES).write_bytes(DATA + bytes(3 * PIECE))
    watch = Watcher()
    files = fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=watch).files
    assert files[0].received == seeder.given == 0
    assert (folder / BOXES).read_bytes() == DATA
    assert [note for note in watch.notes if f"{len(DATA) + 3 * PIECE:,} bytes" in note] == watch.notes != []


def test_a_file_that_is_right_is_not_touched(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / BOXES).write_bytes(DATA)
    os.utime(folder / BOXES, (1, 1))
    before = (folder / BOXES).stat()
    files = fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=Watcher()).files
    after = (folder / BOXES).stat()
    assert files == (Fetched(BOXES, len(DATA), 0, "none is published"),)
    assert seeder.given == 0
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
    files = fetch(folder, options("validation", timeout=0.3), watch=watch).files
    assert files == (Fetched(VALIDATION, len(data), 0, "right"),)
    assert watch.notes == []
    with pytest.raises(SourceError, match="no peer was found"):
        fetch(folder, options("train", torrents=("validation", "train"), timeout=0.3), watch=watch)
    assert watch.notes[0] == "Asking the swarm what the torrent train holds."


def test_the_published_checksum_outweighs_the_torrent(
    tmp_path: Path, folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = bytearray(DATA)
    right[5] ^= 1
    as_published(monkeypatch, BOXES, bytes(right))
    (folder / BOXES).write_bytes(right)
    files = fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=Watcher()).files
    assert files == (Fetched(BOXES, len(DATA), 0, "right"),)
    assert (folder / BOXES).read_bytes() == right
    assert seeder.given == 0


def test_another_file_under_the_name_is_left_alone(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / BOXES).write_bytes(b"<html>Log in</html>")
    with pytest.raises(SourceError, match="has not one piece of the torrent's: it is another file"):
        fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=Watcher())
    assert (folder / BOXES).read_bytes() == b"<html>Log in</html>"
    assert names_in(folder) == [BOXES]


def test_a_link_to_a_damaged_file_is_not_followed_to_write(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    elsewhere = tmp_path / "elsewhere.tar.gz"
    elsewhere.write_bytes(DATA[:-1])
    (folder / BOXES).symlink_to(elsewhere)
    with pytest.raises(SourceError, match=r"is damaged in 1 of 21 pieces.*: it is a link"):
        fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=Watcher())
    assert elsewhere.read_bytes() == DATA[:-1]
    assert names_in(folder) == [BOXES]


# ——— What is hashed here ———


# ——— Parts ———


def test_a_part_of_another_program_is_taken_up(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / f"{BOXES}.part").write_bytes(DATA[: 9 * PIECE + 3])
    files = fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=Watcher()).files
    assert files[0].received == seeder.given == 11 * PIECE + 777
    assert (folder / BOXES).read_bytes() == DATA
    assert names_in(folder) == [BOXES]


def test_a_part_of_another_file_is_refused(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / f"{BOXES}.part").write_bytes(b"theirs")
    with pytest.raises(SourceError, match=rf"{BOXES}.part: has not one piece of the torrent's: it is another file"):
        fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=Watcher())
    assert (folder / f"{BOXES}.part").read_bytes() == b"theirs"
    assert names_in(folder) == [f"{BOXES}.part"]


@pytest.mark.parametrize("name", [BOXES, f"{BOXES}.part"])
def test_what_is_not_a_file_is_in_the_way(tmp_path: Path, folder: Path, seeder: Seeder, name: str) -> None:
    os.mkfifo(folder / name)
    with pytest.raises(SourceError, match="is not a file"):
        fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=Watcher())


def test_what_may_not_be_written_keeps_its_name(
    tmp_path: Path, folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / BOXES).write_bytes(DATA[:-1])
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(SourceError, match="cannot be written"):
        fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=Watcher())
    assert (folder / BOXES).read_bytes() == DATA[:-1]


def test_where_no_piece_came_nothing_is_left(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    """A bookmark alone would make ours what somebody puts beside it later."""
    with pytest.raises(SourceError, match="no peer was found"):
        fetch(folder, options(tmp_path / "boxes.torrent", timeout=0.3), watch=Watcher())
    assert names_in(folder) == []


def test_a_download_by_url_goes_on_by_torrent(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    (folder / f"{BOXES}.part").write_bytes(DATA[: 9 * PIECE + 3])
    save_origin(folder / BOXES, Origin(URL, len(DATA), start=digest_of(DATA[:1024])))
    files = fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=Watcher()).files
    assert files[0].received == seeder.given == 11 * PIECE + 777
    assert (folder / BOXES).read_bytes() == DATA
    assert names_in(folder) == [BOXES]


def test_a_part_of_a_file_of_another_size_is_refused(tmp_path: Path, folder: Path, seeder: Seeder) -> None:
    """Without a piece of the torrent's; with one it would be taken up like any other."""
    (folder / f"{BOXES}.part").write_bytes(DATA[1:PIECE])
    save_origin(folder / BOXES, Origin(URL, 4_000_000, start=digest_of(DATA[1:1025])))
    with pytest.raises(SourceError, match="has not one piece of the torrent's: it is another file"):
        fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=Watcher())
    assert (folder / f"{BOXES}.part").read_bytes() == DATA[1:PIECE]


CHILD = """
import os, signal, sys
from pathlib import Path
from imagenet_prep.verbs.fetch.report import TorrentOptions
from imagenet_prep.verbs.fetch import swarm
from imagenet_prep.verbs.fetch.run import fetch

swarm.LISTEN = "127.0.0.1:0"
swarm._POLL_MILLISECONDS = 5
folder, torrent, peer, enough = sys.argv[1:]

def watch(event):
    if getattr(event, "stage", "") == "torrent" and event.bytes_done >= int(enough):
        print(event.bytes_done, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

fetch(
    Path(folder),
    TorrentOptions(torrents=(torrent,), accept_terms=True, peers=(peer,), discovery=False, timeout=100),
    watch=watch,
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
        files = fetch(folder, options(tmp_path / "it.torrent", peer), watch=Watcher()).files
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


# ——— What a torrent may say ———


def fetch_from_a_collection(tmp_path: Path, folder: Path, files: dict[str, bytes], watch: Watcher) -> None:
    torrent = torrent_of(files, folder="imagenet")
    (tmp_path / "all.torrent").write_bytes(torrent)
    with Seeder(torrent, files, tmp_path / "collection") as peer:
        fetch(folder, options(tmp_path / "all.torrent", peer), watch=watch)


def test_strangers_in_a_torrent_are_named_and_not_fetched(tmp_path: Path, folder: Path) -> None:
    files = {"a/read me.txt": DATA[:5_000], f"tars/{BOXES}": DATA, "z\u2028": DATA[:90_000]}
    watch = Watcher()
    fetch_from_a_collection(tmp_path, folder, files, watch)
    assert (folder / BOXES).read_bytes() == DATA
    assert names_in(folder) == [BOXES]
    (note,) = watch.notes
    assert note.isprintable()
    assert note.endswith("these are not fetched: imagenet/a/read me.txt, 'imagenet/z\\u2028'.")


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
    with pytest.raises(SourceError, match=r"none of the official archives; it has texts/0.txt, .*4.txt"):
        fetch(folder, options(tmp_path / "it.torrent"), watch=Watcher())


def test_a_file_of_another_size_than_the_published_one_is_not_fetched(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "it.torrent").write_bytes(torrent_of({VALIDATION: DATA}))
    with pytest.raises(SourceError, match=r"328,457 bytes, and not 6,744,924,160"):
        fetch(folder, options(tmp_path / "it.torrent"), watch=Watcher())
    assert names_in(folder) == []


def test_a_torrent_of_another_file_is_found_out_by_the_checksum(
    tmp_path: Path, folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, BOXES, size=len(DATA), md5="0" * 32)
    with pytest.raises(SourceError, match="A torrent is not of the published file"):
        fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=Watcher())
    assert (folder / f"{BOXES}.part").read_bytes() == DATA
    assert names_in(folder) == [f"{BOXES}.part", f"{BOXES}.part.json"]


# ——— What is refused before anybody is asked ———


def refused(folder: Path, wanted: TorrentOptions, monkeypatch: pytest.MonkeyPatch) -> PrepError:
    monkeypatch.setattr(Swarm, "__init__", lambda *_: pytest.fail("it joined a swarm"))
    with pytest.raises(UsageError) as caught:
        fetch(folder, wanted, watch=Watcher())
    return caught.value


def test_the_terms_come_first(folder: Path, seeder: Seeder, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(folder, options(seeder.magnet, accept_terms=False), monkeypatch)
    assert error.summary == "The terms of ImageNet are not accepted."
    assert error.remedy.endswith("say so with --accept-terms.")


def test_a_missing_libtorrent_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libtorrent", None)
    error = refused(folder, options("validation"), monkeypatch)
    assert error.remedy == "Install it: pip install libtorrent"


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ("none.torrent", "Cannot read the torrent none.torrent: No such file or directory."),
        ("a" * 39, f"Cannot read the torrent {'a' * 39}: No such file or directory."),
        ("magnet:?dn=anything", "This is not a torrent: missing info-hash"),
        ("magnet:?xt=urn:btih:zz", "This is not a torrent: invalid info-hash"),
        (f"magnet:?xt=urn:btmh:1220{'a' * 64}", "This torrent has hashes of version 2 alone"),
        (__file__, "This is not a torrent: "),
    ],
)
def test_what_is_no_torrent_is_said(folder: Path, given: str, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(folder, options(given), monkeypatch).summary.startswith(answer)


@pytest.mark.parametrize("peer", ["localhost", "localhost:", ":6881", "localhost:0", "localhost:65536", "a:b"])
def test_a_peer_is_a_host_and_a_port(folder: Path, peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(folder, options("validation", peers=(peer,)), monkeypatch)
    assert error.summary == f"{peer} is not a peer."


# ——— While it runs ———


def test_limits_and_silence_are_as_asked_for(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = swarm._settings(options("validation", rate=5_000, upload_rate=700))
    assert (quiet["download_rate_limit"], quiet["upload_rate_limit"]) == (5_000, 700)
    assert not any(quiet[f"enable_{way}"] for way in ("dht", "lsd", "upnp", "natpmp"))
    open_ = swarm._settings(options("validation", discovery=True))
    assert all(open_[f"enable_{way}"] for way in ("dht", "lsd", "upnp", "natpmp"))
    assert open_["anonymous_mode"] is True


def test_without_a_peer_it_says_so_and_gives_up_in_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm, "LONELY_SECONDS", 0.5)
    watch = Watcher()
    with pytest.raises(SourceError, match=r"For 1.2 s no peer was found.") as caught:
        fetch(folder, options("validation", timeout=1.2), watch=watch)
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
            fetch(folder, options(tmp_path / "boxes.torrent", seeder), watch=Watcher())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "ulimit -f" in caught.value.remedy


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

    files = fetch(folder, options(tmp_path / "boxes.torrent", seeder, seed=True), watch=begin).files
    assert files[0].received == len(DATA)
    assert took.is_set()
    assert (tmp_path / "other" / BOXES).read_bytes() == DATA
    assert seeder.given == len(DATA)
    assert watch.notes[-1] == "No longer giving."

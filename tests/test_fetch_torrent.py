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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import libtorrent
import pytest

from imagenet_prep.errors import OutputError, PrepError, SourceError, UsageError
from imagenet_prep.imagenet import archives as facts
from imagenet_prep.model.events import Note, Progress, Stage
from imagenet_prep.verbs.fetch import swarm
from imagenet_prep.verbs.fetch import torrent as torrents
from imagenet_prep.verbs.fetch.part import URL, Origin, digest_of, save_origin
from imagenet_prep.verbs.fetch.report import Fetched, TorrentOptions
from imagenet_prep.verbs.fetch.run import fetch
from seeding import PIECE, QUIET, Seeder, torrent_of
from support.sentences import Sentence

VALIDATION = "ILSVRC2012_img_val.tar"
BOXES = "ILSVRC2012_bbox_train_v2.tar.gz"  # nobody publishes its size or checksum
OTHER_BOXES = "ILSVRC2012_bbox_val_v3.tgz"
PART = f"{BOXES}.part"
DATA = random.Random(0).randbytes(20 * PIECE + 777)  # 21 pieces


@dataclass
class Fetching:
    """One folder that archives are fetched into, and all that was said meanwhile. ``torrent`` is the usual one."""

    root: Path
    torrent: Path
    sentence: Sentence
    events: list[Progress | Note] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.root / "archives"

    @property
    def final(self) -> Path:
        return self.folder / BOXES

    @property
    def part(self) -> Path:
        return self.folder / PART

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]

    def options(self, *peers: Seeder, **more: Any) -> TorrentOptions:
        plain = TorrentOptions(
            torrents=(str(self.torrent),),
            accept_terms=True,
            peers=tuple(peer.peer for peer in peers),
            discovery=False,
            timeout=100,  # a disk that others use may make everybody wait
        )
        return replace(plain, **more)

    def get(
        self, *peers: Seeder, watch: Callable[[Progress | Note], None] | None = None, **more: object
    ) -> list[Fetched]:
        return list(fetch(self.folder, self.options(*peers, **more), watch=watch or self.events.append).files)

    def refused(self, *peers: Seeder, kind: type[PrepError] = SourceError, **more: Any) -> PrepError:
        with pytest.raises(kind) as caught:
            self.get(*peers, **more)
        return caught.value

    def get_from_a_collection(self, files: dict[str, bytes]) -> None:
        torrent = torrent_of(files, folder="imagenet")
        (self.root / "all.torrent").write_bytes(torrent)
        with Seeder(torrent, files, self.root / "collection") as peer:
            self.get(peer, torrents=(str(self.root / "all.torrent"),))


@pytest.fixture
def fetching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: Sentence) -> Fetching:
    monkeypatch.setattr(swarm, "LISTEN", "127.0.0.1:0")
    monkeypatch.setattr(torrents, "TRACKER", "http://127.0.0.1:1/announce")
    room = type("", (), {"total": 10**15, "free": 10**15})  # whatever is free here
    monkeypatch.setattr("shutil.disk_usage", lambda _: room)
    one = Fetching(tmp_path, tmp_path / "boxes.torrent", sentence)
    one.folder.mkdir()
    one.torrent.write_bytes(torrent_of({BOXES: DATA}))
    return one


@pytest.fixture
def seeder(fetching: Fetching) -> Iterator[Seeder]:
    with Seeder(fetching.torrent.read_bytes(), {BOXES: DATA}, fetching.root / "seeder") as peer:
        yield peer


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], None]:
    """Let some bytes be those that are published of an archive: a miniature is not the real one."""

    def published(name: str, data: bytes) -> None:
        archive = facts.archive_called(name)
        assert archive
        known = replace(archive, size=len(data), md5=hashlib.md5(data).hexdigest(), sha1=None)
        monkeypatch.setitem(facts.OFFICIAL_BY_ROLE, archive.role, known)

    return published


Publish = Callable[[str, bytes], None]


class TestAWholeArchive:
    def test_comes_and_its_checksum_is_compared(self, fetching: Fetching, publish: Publish) -> None:
        publish(VALIDATION, DATA)
        fetching.torrent.write_bytes(torrent := torrent_of({VALIDATION: DATA}))
        with Seeder(torrent, {VALIDATION: DATA}, fetching.root / "seeder") as peer:
            assert fetching.get(peer) == [Fetched(VALIDATION, len(DATA), len(DATA), "right")]
        assert (fetching.folder / VALIDATION).read_bytes() == DATA
        assert fetching.names == [VALIDATION]
        ends = {each.stage: each.bytes_done for each in fetching.events if isinstance(each, Progress)}
        assert ends == dict.fromkeys((Stage.RECHECK, Stage.TORRENT, Stage.CHECKSUMS), len(DATA))

    def test_a_magnet_link_that_names_a_peer_is_enough(self, fetching: Fetching, seeder: Seeder) -> None:
        assert fetching.get(torrents=(seeder.magnet,)) == [Fetched(BOXES, len(DATA), len(DATA), "none is published")]
        assert fetching.final.read_bytes() == DATA
        assert fetching.names == [BOXES]

    def test_two_torrents_come_one_after_the_other(self, fetching: Fetching, seeder: Seeder) -> None:
        torrent, other = torrent_of({OTHER_BOXES: DATA[: 3 * PIECE]}), fetching.root / "other.torrent"
        other.write_bytes(torrent)
        with Seeder(torrent, {OTHER_BOXES: DATA[: 3 * PIECE]}, fetching.root / "other") as second:
            files = fetching.get(seeder, second, torrents=(str(fetching.torrent), str(other)))
        assert [(file.name, file.received) for file in files] == [(BOXES, len(DATA)), (OTHER_BOXES, 3 * PIECE)]


class TestWhatIsThere:
    @pytest.mark.parametrize(
        ("name", "there", "missing"),
        [
            (BOXES, bytes([*DATA[: 3 * PIECE], DATA[3 * PIECE] ^ 1, *DATA[3 * PIECE + 1 :]]), PIECE),
            (BOXES, DATA + bytes(3 * PIECE), 0),
            (PART, DATA[: 9 * PIECE + 3], 11 * PIECE + 777),
        ],
        ids=["damaged", "too long", "of another program"],
    )
    def test_keeps_its_right_pieces(
        self, fetching: Fetching, seeder: Seeder, name: str, there: bytes, missing: int
    ) -> None:
        (fetching.folder / name).write_bytes(there)
        assert fetching.get(seeder) == [Fetched(BOXES, len(DATA), missing, "none is published")]
        assert seeder.given == missing
        assert fetching.final.read_bytes() == DATA
        assert fetching.names == [BOXES]
        fetching.sentence(fetching.notes)

    def test_a_download_by_url_goes_on_by_torrent(self, fetching: Fetching, seeder: Seeder) -> None:
        fetching.part.write_bytes(DATA[: PIECE // 2])  # no piece, but ours
        save_origin(fetching.final, Origin(URL, len(DATA), start=digest_of(DATA[:1024])))
        assert fetching.get(seeder)[0].received == len(DATA)
        assert fetching.names == [BOXES]

    def test_is_not_touched_where_it_is_right(self, fetching: Fetching, seeder: Seeder) -> None:
        fetching.final.write_bytes(DATA)
        os.utime(fetching.final, (1, 1))
        before = fetching.final.stat()
        assert fetching.get(seeder) == [Fetched(BOXES, len(DATA), 0, "none is published")]
        after = fetching.final.stat()
        assert seeder.given == 0
        assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
            before.st_ino,
            before.st_mtime_ns,
            before.st_ctime_ns,
        )

    def test_asks_no_swarm_where_a_known_archive_is_right(self, fetching: Fetching, publish: Publish) -> None:
        """There is no peer at all here, and nothing that says what the torrent holds."""
        publish(VALIDATION, DATA)
        (fetching.folder / VALIDATION).write_bytes(DATA)
        right = [Fetched(VALIDATION, len(DATA), 0, "right")]
        assert fetching.get(torrents=("validation",), timeout=0.3) == right
        assert fetching.notes == []
        fetching.sentence(fetching.refused(torrents=("",), timeout=0.3))  # for train there must be one
        fetching.sentence(fetching.notes, "notes")

    def test_is_right_by_the_published_checksum_whatever_the_torrent_says(
        self, fetching: Fetching, seeder: Seeder, publish: Publish
    ) -> None:
        right = bytes([*DATA[:5], DATA[5] ^ 1, *DATA[6:]])
        publish(BOXES, right)
        fetching.final.write_bytes(right)
        assert fetching.get(seeder) == [Fetched(BOXES, len(DATA), 0, "right")]
        assert fetching.final.read_bytes() == right
        assert seeder.given == 0


class TestWhatIsInTheWay:
    @pytest.mark.parametrize("name", [BOXES, PART])
    @pytest.mark.parametrize("noted", [False, True])
    def test_is_another_file(self, fetching: Fetching, seeder: Seeder, name: str, noted: bool) -> None:
        (fetching.folder / name).write_bytes(DATA[1:PIECE])
        if noted:  # a part of a file of another size
            save_origin(fetching.final, Origin(URL, 4_000_000, start=digest_of(DATA[1:1025])))
        fetching.sentence(fetching.refused(seeder))
        assert (fetching.folder / name).read_bytes() == DATA[1:PIECE]

    def test_is_a_link_to_a_damaged_file(self, fetching: Fetching, seeder: Seeder) -> None:
        elsewhere = fetching.root / "elsewhere.tar.gz"
        elsewhere.write_bytes(DATA[:-1])
        fetching.final.symlink_to(elsewhere)
        fetching.sentence(fetching.refused(seeder))
        assert elsewhere.read_bytes() == DATA[:-1]
        assert fetching.names == [BOXES]

    def test_is_a_part_beside_a_damaged_file(self, fetching: Fetching, seeder: Seeder) -> None:
        for path in (fetching.final, fetching.part):
            path.write_bytes(DATA[:-1])
        fetching.sentence(fetching.refused(seeder))
        assert fetching.final.read_bytes() == fetching.part.read_bytes() == DATA[:-1]

    @pytest.mark.parametrize("name", [BOXES, PART])
    def test_is_not_a_file(self, fetching: Fetching, seeder: Seeder, name: str) -> None:
        os.mkfifo(fetching.folder / name)
        fetching.sentence(fetching.refused(seeder))

    def test_may_not_be_written_and_keeps_its_name(
        self, fetching: Fetching, seeder: Seeder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetching.final.write_bytes(DATA[:-1])
        monkeypatch.setattr(os, "access", lambda *_: False)
        fetching.sentence(fetching.refused(seeder))
        assert fetching.final.read_bytes() == DATA[:-1]


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


def test_killed_again_and_again_it_goes_on_from_where_it_was(fetching: Fetching) -> None:
    chance = random.Random(5)
    data = chance.randbytes(60_000_000)
    fetching.torrent.write_bytes(torrent := torrent_of({BOXES: data}, piece=1 << 18))
    with Seeder(torrent, {BOXES: data}, fetching.root / "seeder") as peer:
        reached = [0]
        while reached[-1] < 40_000_000:
            enough = reached[-1] + chance.randrange(1, 9_000_000)
            command = [sys.executable, "-c", CHILD, str(fetching.folder), str(fetching.torrent), peer.peer, str(enough)]
            child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            assert child.returncode == -signal.SIGKILL
            reached.append(int(child.stdout))
            assert fetching.names == [PART, f"{PART}.json"]
        files = fetching.get(peer)
        assert peer.given < 1.5 * len(data)
    assert len(reached) > 3
    assert 0 < files[0].received < 30_000_000
    assert fetching.final.read_bytes() == data
    assert fetching.names == [BOXES]


class TestWhatATorrentMaySay:
    def test_strangers_are_named_and_not_fetched(self, fetching: Fetching) -> None:
        fetching.get_from_a_collection({"a/read me.txt": DATA[:5_000], f"tars/{BOXES}": DATA, "z\u2028": DATA[:90_000]})
        assert fetching.final.read_bytes() == DATA
        assert fetching.names == [BOXES]
        fetching.sentence(fetching.notes)

    def test_of_two_archives_the_right_one_is_not_written_to(self, fetching: Fetching) -> None:
        fetching.final.write_bytes(DATA)
        fetching.final.chmod(0o444)
        before = fetching.final.stat()
        fetching.get_from_a_collection({OTHER_BOXES: DATA[:50_000], BOXES: DATA})
        assert (fetching.folder / OTHER_BOXES).read_bytes() == DATA[:50_000]
        assert fetching.final.stat().st_ctime_ns == before.st_ctime_ns
        assert fetching.names == [BOXES, OTHER_BOXES]

    @pytest.mark.parametrize("path", [f"../../{BOXES}", f"/etc/{BOXES}", f"..//./{BOXES}", f"a\x00b/{BOXES}"])
    def test_a_hostile_path_leads_nowhere_else(self, fetching: Fetching, path: str) -> None:
        fetching.get_from_a_collection({path: DATA})
        assert fetching.final.read_bytes() == DATA
        assert fetching.names == [BOXES]
        there = sorted(path.name for path in fetching.root.iterdir())
        assert there == ["all.torrent", "archives", "boxes.torrent", "collection"]

    @pytest.mark.parametrize(
        "files",
        [{f"{number}.txt": b"x" for number in range(7)}, {VALIDATION: DATA}, {f"{n}/{BOXES}": DATA for n in (1, 2)}],
        ids=["no archive", "another size", "one twice"],
    )
    def test_it_cannot_be_of_the_archives(self, fetching: Fetching, files: dict[str, bytes]) -> None:
        fetching.torrent.write_bytes(torrent_of(files, folder="texts"))
        fetching.sentence(str(fetching.refused()).replace(str(fetching.torrent), "IT"))
        assert fetching.names == []

    def test_it_is_of_another_file_by_the_checksum(self, fetching: Fetching, seeder: Seeder, publish: Publish) -> None:
        publish(BOXES, bytes(len(DATA)))
        fetching.sentence(fetching.refused(seeder))
        assert fetching.part.read_bytes() == DATA
        assert fetching.names == [PART, f"{PART}.json"]


class TestIsRefusedBeforeAnybodyIsAsked:
    @pytest.fixture(autouse=True)
    def nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(libtorrent, "session", lambda *_: pytest.fail("it joined a swarm"))

    def test_without_the_terms(self, fetching: Fetching) -> None:
        fetching.sentence(fetching.refused(accept_terms=False, kind=UsageError))

    def test_without_libtorrent(self, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "libtorrent", None)
        fetching.sentence(fetching.refused(kind=UsageError))

    @pytest.mark.parametrize(
        "torrent",
        ["none.torrent", "a" * 39, "magnet:?dn=anything", "magnet:?xt=urn:btih:zz",
         f"magnet:?xt=urn:btmh:1220{'a' * 64}", "https://host/it.torrent?secret", "/dev/null", "a\0b"],
    )  # fmt: skip
    def test_what_is_no_torrent(self, fetching: Fetching, torrent: str) -> None:
        fetching.sentence(fetching.refused(torrents=(torrent,), kind=UsageError))

    def test_a_page_in_place_of_a_torrent(self, fetching: Fetching) -> None:
        fetching.torrent.write_text(" <html>")
        fetching.sentence(fetching.refused(kind=UsageError))

    @pytest.mark.parametrize("peer", ["localhost", "localhost:", ":6881", "localhost:0", "localhost:65536", "a:b"])
    def test_a_peer_without_host_or_port(self, fetching: Fetching, peer: str) -> None:
        fetching.sentence(str(fetching.refused(peers=(peer,), kind=UsageError)).replace(peer, "PEER", 1), alike=True)


class TestWhileItRuns:
    def test_limits_and_silence_are_as_asked_for(self, fetching: Fetching) -> None:
        quiet = swarm._settings(fetching.options(rate=5_000, upload_rate=700))
        assert (quiet["download_rate_limit"], quiet["upload_rate_limit"]) == (5_000, 700)
        open_ = swarm._settings(fetching.options(discovery=True))
        for way in ("dht", "lsd", "upnp", "natpmp"):
            assert (quiet[f"enable_{way}"], open_[f"enable_{way}"]) == (False, True)
        assert open_["anonymous_mode"] is True

    def test_without_a_peer_it_says_so_and_gives_up_in_time(
        self, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And leaves nothing: a note alone would make ours what somebody puts beside it later."""
        monkeypatch.setattr(swarm, "LONELY_SECONDS", 0.5)
        fetching.sentence(fetching.refused(torrents=("validation",), timeout=1.2))
        fetching.sentence(fetching.notes, "notes")
        fetching.sentence(fetching.refused(timeout=0.3), "of a file")
        assert fetching.names == []

    def test_a_disk_that_takes_no_more_is_an_output_error(self, fetching: Fetching, seeder: Seeder) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            fetching.sentence(fetching.refused(seeder, kind=OutputError))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    def test_it_gives_to_others_until_interrupted_if_asked_to(self, fetching: Fetching, seeder: Seeder) -> None:
        other = libtorrent.session(QUIET)
        took = threading.Event()

        def take(port: int) -> None:
            parameters = libtorrent.load_torrent_buffer(fetching.torrent.read_bytes())
            parameters.save_path, parameters.peers = str(fetching.root / "other"), [("127.0.0.1", port)]
            parameters.flags = libtorrent.torrent_flags.update_subscribe
            handle = other.add_torrent(parameters)
            while not handle.status().is_finished:
                other.wait_for_alert(50)
                other.pop_alerts()
            took.set()
            os.kill(os.getpid(), signal.SIGINT)

        def watch(event: Progress | Note) -> None:
            fetching.events.append(event)
            if isinstance(event, Note) and "on port" in event.text:
                assert fetching.names == [BOXES]
                port = int(event.text.split("on port ")[1].split(",")[0])
                threading.Thread(target=take, args=(port,), daemon=True).start()

        assert fetching.get(seeder, seed=True, watch=watch)[0].received == len(DATA)
        assert took.is_set()
        assert (fetching.root / "other" / BOXES).read_bytes() == DATA
        assert seeder.given == len(DATA)
        assert fetching.notes[-1] == "No longer giving."

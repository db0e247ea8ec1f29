"""Being in a swarm, by libtorrent: what torrents hold, which pieces files lack, and the pieces.

A swarm is public. Whoever is in it sees the address of this machine, which torrent it wants and which pieces it has; so
do the torrent's trackers, and with discovery the nodes of the DHT and the local network. While it fetches it also
gives, as swarms expect. Nothing else leaves: names of client and user are left out where the protocol allows it.

No resume data is kept: whatever is on the disk is hashed before it counts.
"""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from imagenet_prep.errors import SourceError, UsageError, printable
from imagenet_prep.model.events import Note, Watch
from imagenet_prep.verbs.fetch.report import TorrentOptions
from imagenet_prep.verbs.fetch.torrent_file import Torrent, library

_FIRST_4 = "0.0.0.0"  # noqa: S104 - of all addresses, not one to bind
LISTEN = "0.0.0.0:6881,[::]:6881"  # the usual port; the next ones, or any, where it is taken
LONELY_SECONDS = 30.0  # without a peer, before it is said; then twice as long each time, up to ten minutes
_LONELY_AT_MOST = 600.0
_POLL_MILLISECONDS = 250
_KNOCK_SECONDS = 10.0  # between two tries to reach the peers that the user, or a magnet link, named
_FLUSH_SECONDS = 600.0  # a slow disk may have much to write; this only keeps a bug of libtorrent from being for ever
_WHAT_TO_TRY = (
    "Is there a firewall in the way? Other networks, --peer HOST:PORT, or another day may help; what came so far is "
    "kept, and the same command goes on from there."
)


class Transfer:
    """A torrent at work. Sizes are in bytes of the files that are wanted, whole pieces of them."""

    def __init__(self, torrent: Torrent, handle: Any) -> None:
        self.torrent = torrent
        self._handle = handle
        self.look()

    def look(self) -> None:
        """Ask how far it is; everything else here answers as of then."""
        status = self._handle.status()
        states = library().torrent_status.states
        self.checking = status.state in (states.checking_files, states.checking_resume_data)
        self.checked = float(status.progress) if self.checking else 1.0
        self.done, self.total = int(status.total_wanted_done), int(status.total_wanted)
        self.finished = not self.checking and bool(status.is_finished)
        self.received, self.peers = int(status.total_payload_download), int(status.num_peers)

    def file_bytes(self) -> list[int]:
        """Give how much of each file of the torrent is there, in whole pieces."""
        return list(self._handle.file_progress(library().file_progress_flags_t.piece_granularity))


class Swarm:
    """One session for all torrents; it begins with the first that joins. A context manager: in the end everything that
    came is on the disk.

    Raises UsageError for peers that make no sense. All methods raise OSError for what goes wrong with the disk, and
    SourceError for what goes wrong with a torrent.
    """

    def __init__(self, options: TorrentOptions, watch: Watch) -> None:
        self._options = options
        self._watch = watch
        self._named = [_split(peer) for peer in options.peers]
        self._peers: list[tuple[str, int]] = []
        self._session: Any = None
        self._joined: dict[str, tuple[Torrent, Any]] = {}  # by info-hash, with libtorrent's handle
        self._knocked = 0.0
        self.patience = Patience(options.timeout, watch)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._joined.clear()
        self._session = None  # its end waits for the disk, and a second for trackers

    @property
    def port(self) -> int:
        """The port that others reach this machine at."""
        return int(self._session.listen_port())

    def learn(self, torrents: Iterable[Torrent]) -> None:
        """Ask peers what the torrents hold that are known by a hash alone."""
        lost = [each for each in torrents if each.info is None]
        if not lost:
            return
        names = " and ".join(each.label for each in lost)
        self._watch(Note(f"Asking the swarm what {names} {'holds' if len(lost) == 1 else 'hold'}."))
        with tempfile.TemporaryDirectory(prefix="imagenet-prep-") as nowhere:  # no file of theirs is looked at yet
            handles = {each: self._join(each, nowhere, library().torrent_flags.default_dont_download) for each in lost}
            while not all(handle.status().has_metadata for handle in handles.values()):
                self.wait()
                for each, handle in handles.items():  # in time: peers that need nothing from us go away
                    each.parameters.peers = [*each.parameters.peers, *(peer.ip for peer in handle.get_peer_info())]
                states = [handle.status() for handle in handles.values()]
                self.patience.look(sum(s.total_download for s in states), sum(s.num_peers for s in states))
            for each, handle in handles.items():
                each.learn(handle.torrent_file())
                self._leave(each)

    def fetch(self, torrent: Torrent, folder: Path, names: Mapping[int, str]) -> Transfer:
        """Join to fetch files into ``folder``; ``names`` has the index of each that is wanted. Those that are there are
        hashed first. Pieces of other files go into a hidden file of libtorrent's, see ``leftover``.
        """
        return Transfer(torrent, self._join_for(torrent, folder, names, library().torrent_flags.update_subscribe))

    def seed(self, torrent: Torrent, folder: Path, names: Mapping[int, str]) -> None:
        """Join to give files that are complete; nothing is written. With all of the torrent they are hashed as they are
        asked for, else first.
        """
        flags = library().torrent_flags.upload_mode
        if {member.index for member in torrent.members} == set(names):
            flags |= library().torrent_flags.seed_mode
        self._join_for(torrent, folder, names, flags)

    def wait(self) -> None:
        """Wait a moment for news; what went wrong meanwhile is raised."""
        self._session.wait_for_alert(_POLL_MILLISECONDS)
        for alert in self._session.pop_alerts():
            self._judge(alert)
        if time.monotonic() - self._knocked > _KNOCK_SECONDS:
            self._knock()

    def leave(self, torrent: Torrent) -> None:
        """Take a torrent out of the swarm when every byte of it is with the kernel."""
        _, handle = self._joined[torrent.info_hash]
        handle.flush_cache()
        end = time.monotonic() + _FLUSH_SECONDS
        flushed = False
        while not flushed and time.monotonic() < end:
            self._session.wait_for_alert(_POLL_MILLISECONDS)
            for alert in self._session.pop_alerts():
                self._judge(alert)
                flushed |= isinstance(alert, library().cache_flushed_alert) and alert.handle == handle
        self._leave(torrent)

    def _join_for(self, torrent: Torrent, folder: Path, names: Mapping[int, str], flags: int) -> Any:
        # Every file gets a name, and the unwanted get one that nothing has: what libtorrent finds it would write into.
        unwanted = {index: f"{leftover(torrent)}.unwanted/{index}" for index in torrent.indexes}
        torrent.parameters.renamed_files = {**unwanted, **names}
        torrent.parameters.file_priorities = [4 if index in names else 0 for index in torrent.indexes]
        return self._join(torrent, str(folder.absolute()), flags)

    def _join(self, torrent: Torrent, folder: str, flags: int) -> Any:
        if self._session is None:
            self._session = self._begin()
        quiet = library().torrent_flags
        if not self._options.discovery:
            flags |= quiet.disable_dht | quiet.disable_lsd | quiet.disable_pex
            torrent.parameters.url_seeds = []  # web servers that a torrent names
        parameters = torrent.parameters
        parameters.save_path, parameters.flags = folder, flags
        parameters.peers = list(dict.fromkeys([*parameters.peers, *self._peers]))
        handle = self._session.add_torrent(parameters)
        self._joined[torrent.info_hash] = torrent, handle
        return handle

    def _leave(self, torrent: Torrent) -> None:
        self._session.remove_torrent(self._joined.pop(torrent.info_hash)[1])

    def _begin(self) -> Any:
        session = library().session(_settings(self._options))
        # libtorrent exempts the local network from limits; a limit that was asked for is one.
        everybody = library().ip_filter()
        for first, last in ((_FIRST_4, "255.255.255.255"), ("::", ":".join(["ffff"] * 8))):
            everybody.add_rule(first, last, 1 << session.global_peer_class_id)
        session.set_peer_class_filter(everybody)
        self._knocked = time.monotonic()
        self._peers = [address for host, port in self._named for address in _resolve(host, port)]
        return session

    def _knock(self) -> None:
        """Where nobody is, try the peers again that were named, because libtorrent gives up on one after three tries;
        and where nobody is at all, by uTP too, which gets through some routers.
        """
        self._knocked = time.monotonic()
        lonely = [(torrent, handle) for torrent, handle in self._joined.values() if not handle.status().num_peers]
        if len(lonely) == len(self._joined):
            self._session.apply_settings({"enable_outgoing_utp": True})
        for torrent, handle in lonely:
            for peer in torrent.parameters.peers:
                handle.connect_peer(peer)

    def _judge(self, alert: Any) -> None:
        lt = library()
        if isinstance(alert, lt.file_error_alert):
            system = alert.error.category().name() in ("system", "generic")
            raise OSError(alert.error.value() if system else 0, printable(alert.error.message()))
        if isinstance(alert, lt.torrent_error_alert):
            raise SourceError(f"A torrent cannot go on: {printable(alert.error.message())}.", remedy=_WHAT_TO_TRY)
        if isinstance(alert, lt.tracker_error_alert):
            host = urlsplit(alert.tracker_url()).hostname or "a tracker"  # no more of the address: it may hold a key
            self.patience.reason = printable(f"{host}: {alert.error.message()}")
        if isinstance(alert, lt.metadata_failed_alert):
            self._watch(Note("What a peer said about a torrent was wrong; others are asked."))


class Patience:
    """How long nothing came. It counts from the last ``rest``, or the last byte."""

    def __init__(self, timeout: float, watch: Watch) -> None:
        self._timeout = timeout
        self._watch = watch
        self._received = 0
        self.reason = ""  # the last thing a tracker complained about
        self.rest()

    def rest(self) -> None:
        """Begin to count anew: nothing was expected until now."""
        self._last_byte = self._last_peer = time.monotonic()
        self._pause = LONELY_SECONDS

    def look(self, received: int, peers: int) -> None:
        """Compare what came, and from how many. Raises SourceError when nothing came for too long."""
        now = time.monotonic()
        if received != self._received:
            self._received, self._last_byte = received, now
        if peers:
            self._last_peer, self._pause = now, LONELY_SECONDS
        elif now - self._last_peer > self._pause:
            because = f" ({self.reason})" if self.reason else ""
            self._watch(Note(f"No peer at the moment{because}; waiting for one. A firewall may be in the way."))
            self._last_peer, self._pause = now, min(2 * self._pause, _LONELY_AT_MOST)
        if self._timeout and now - self._last_byte > self._timeout:
            why = "no byte came" if peers else "no peer was found"
            raise SourceError(f"For {self._timeout:g} s {why}.", remedy=_WHAT_TO_TRY)


def leftover(torrent: Torrent) -> str:
    """Give the name of the file where libtorrent keeps pieces of unwanted files; needed until the torrent is done."""
    return f".{torrent.info_hash}.parts"


def _settings(options: TorrentOptions) -> dict[str, Any]:
    lt = library()
    kinds = lt.alert_category
    wanted: dict[str, Any] = {
        "alert_mask": kinds.error | kinds.storage | kinds.status | kinds.tracker,
        "anonymous_mode": True,
        "download_rate_limit": options.rate,
        "upload_rate_limit": options.upload_rate,
        "listen_interfaces": LISTEN,
        "allow_multiple_connections_per_ip": True,  # machines behind one router, or several peers on one
        "enable_outgoing_utp": False,  # TCP is more than ten times as fast on a fast line
        "stop_tracker_timeout": 1,
        "webtorrent_stun_server": "",  # of a third party
    }
    wanted |= dict.fromkeys(("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"), options.discovery)
    known = lt.default_settings()
    return {name: value for name, value in wanted.items() if name in known}  # releases of libtorrent differ


def _split(peer: str) -> tuple[str, int]:
    host, colon, port = peer.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"{printable(peer)} is not a peer.", remedy="A peer is HOST:PORT, like 192.0.2.7:6881.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _resolve(host: str, port: int) -> list[tuple[str, int]]:
    try:
        return sorted({(str(found[4][0]), port) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError) as error:
        raise SourceError(f"The peer {printable(host)} cannot be found: {error}.") from error

"""Being in a swarm, by libtorrent: which pieces of a torrent are there, and the others.

A swarm is public. Whoever is in it sees the address of this machine, which torrent it wants and which pieces it has; so
do the torrent's trackers, and with discovery the nodes of the DHT and the local network. While it fetches it also
gives, as swarms expect. Nothing else leaves: names of client and user are left out where the protocol allows it.

No resume data is kept: whatever is on the disk is hashed before it counts. Until that is done and somebody has decided
what to do with it, libtorrent is in its mode of uploads, in which it writes nothing.
"""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from imagenet_prep.errors import SourceError, UsageError, printable
from imagenet_prep.model.events import Note, Progress, Stage, Watch
from imagenet_prep.verbs.fetch.report import TorrentOptions
from imagenet_prep.verbs.fetch.torrent import Torrent, library

LISTEN = "0.0.0.0:6881,[::]:6881"  # the usual port; the next ones, or any, where it is taken
LONELY_SECONDS = 30.0  # without a peer, before it is said
_AGAIN_SECONDS = 600.0  # before it is said again
_POLL_MILLISECONDS = 250
_RECONNECT_SECONDS = 5  # between two tries to reach a peer
_WHAT_TO_TRY = (
    "Is there a firewall in the way? Other networks, --peer HOST:PORT, or another day may help; what came so far is "
    "kept, and the same command goes on from there."
)


class Swarm:
    """One torrent at work in a session of its own. A context manager: in the end everything that came is on the disk.

    All methods raise OSError for what goes wrong with the disk, and SourceError for what goes wrong with the torrent.
    """

    def __init__(self, torrent: Torrent, options: TorrentOptions, watch: Watch) -> None:
        self._torrent, self._parameters = torrent, torrent.parameters
        self._options = options
        self._watch = watch
        self._reason = ""  # the last thing a tracker complained about
        self._received = 0
        self._handle: Any = None
        self._peers = [address for peer in options.peers for address in _resolve(peer)]
        self._session = library().session(_settings(options))
        # libtorrent exempts the local network from limits; a limit that was asked for is one.
        everybody = library().ip_filter()
        for first, last in (("0.0.0.0", "255.255.255.255"), ("::", ":".join(["ffff"] * 8))):  # noqa: S104
            everybody.add_rule(first, last, 1 << self._session.global_peer_class_id)
        self._session.set_peer_class_filter(everybody)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle = self._session = None  # its end waits for the disk, and a second for trackers

    @property
    def port(self) -> int:
        """The port that others reach this machine at."""
        return int(self._session.listen_port())

    def learn(self) -> None:
        """Ask peers what the torrent holds, if it is known by a hash alone."""
        if self._parameters.ti is not None:
            return
        self._watch(Note(f"Asking the swarm what {self._torrent.label} holds."))
        with tempfile.TemporaryDirectory(prefix="imagenet-prep-") as nowhere:  # no file of theirs is looked at yet
            self._join(Path(nowhere))
            while not self._handle.status().has_metadata:
                self._wait_for_bytes()
                # In time: peers that need nothing from us go away.
                self._peers += [peer.ip for peer in self._handle.get_peer_info()]
            self._parameters.ti = self._handle.torrent_file()

    def check(self, folder: Path, names: Mapping[int, str]) -> list[bool]:
        """Hash the files in ``folder`` that have ``names``, by their index in the torrent; give of each piece whether
        it is there. Nothing is written.
        """
        # Every file gets a name, and the unwanted get one that nothing has: what libtorrent finds it would write into.
        count = self._parameters.ti.layout().num_files()
        unwanted = {index: f"{self._torrent.leftover}.unwanted/{index}" for index in range(count)}
        self._parameters.renamed_files = {**unwanted, **names}
        self._parameters.file_priorities = [4 if index in names else 0 for index in unwanted]
        self._join(folder.absolute())
        return self._checked()

    def fetch(self, index: int, name: str) -> list[bool]:
        """Fetch what was missing of the file that was checked, which is renamed to ``name``; then hash it once more, as
        ``check`` does.
        """
        self._handle.rename_file(index, name)
        self._handle.unset_flags(library().torrent_flags.upload_mode)
        self._rest()
        while not (status := self._handle.status()).is_finished:
            self._report(Stage.TORRENT, status.total_wanted_done, status.total_wanted, name.removesuffix(".part"))
            self._wait_for_bytes()
        self._report(Stage.TORRENT, status.total_wanted, status.total_wanted, name.removesuffix(".part"))
        self._handle.set_flags(library().torrent_flags.upload_mode)
        self._handle.force_recheck()
        return self._checked()

    def wait(self) -> None:
        """Wait a moment for news; what went wrong is raised."""
        self._session.wait_for_alert(_POLL_MILLISECONDS)
        for alert in self._session.pop_alerts():
            self._judge(alert)

    def _checked(self) -> list[bool]:
        states = library().torrent_status.states
        while (status := self._handle.status()).state in (states.checking_files, states.checking_resume_data):
            self._report(
                Stage.RECHECK, int(status.progress * status.total_wanted), status.total_wanted, self._torrent.label
            )
            self.wait()
        self._report(Stage.RECHECK, status.total_wanted, status.total_wanted, self._torrent.label)
        return list(status.pieces) or [False] * self._parameters.ti.num_pieces()

    def _report(self, stage: Stage, done: int, total: int, subject: str) -> None:
        self._watch(Progress(stage, 0, 0, min(done, total), total, subject))

    def _wait_for_bytes(self) -> None:
        """Wait a moment. Raises SourceError when nothing came for too long."""
        self.wait()
        now, status = time.monotonic(), self._handle.status()
        if status.total_download != self._received:
            self._received, self._last_byte = status.total_download, now
        if status.num_peers:
            self._lonely_since = now
        elif now - self._lonely_since > LONELY_SECONDS:
            because = f" ({self._reason})" if self._reason else ""
            self._watch(Note(f"No peer at the moment{because}; waiting for one. A firewall may be in the way."))
            self._lonely_since = now + _AGAIN_SECONDS
        if self._options.timeout and now - self._last_byte > self._options.timeout:
            why = "no byte came" if status.num_peers else "no peer was found"
            raise SourceError(f"For {self._options.timeout:g} s {why}.", remedy=_WHAT_TO_TRY)

    def _rest(self) -> None:
        """Start to count the time without a byte again: nothing was expected until now."""
        self._last_byte = self._lonely_since = time.monotonic()

    def _join(self, folder: Path) -> None:
        if self._handle:
            self._session.remove_torrent(self._handle)
        flags, parameters = library().torrent_flags, self._parameters
        parameters.flags = flags.update_subscribe | flags.upload_mode
        if not self._options.discovery:
            parameters.flags |= flags.disable_dht | flags.disable_lsd | flags.disable_pex
            parameters.url_seeds = []  # web servers that a torrent names
        parameters.save_path = str(folder)
        parameters.peers = self._peers = list(dict.fromkeys([*parameters.peers, *self._peers]))
        self._handle = self._session.add_torrent(parameters)
        self._rest()

    def _judge(self, alert: Any) -> None:
        lt = library()
        if isinstance(alert, lt.file_error_alert | lt.file_rename_failed_alert):
            system = alert.error.category().name() in ("system", "generic")
            raise OSError(alert.error.value() if system else 0, printable(alert.error.message()))
        if isinstance(alert, lt.torrent_error_alert):
            raise SourceError(f"A torrent cannot go on: {printable(alert.error.message())}.", remedy=_WHAT_TO_TRY)
        if isinstance(alert, lt.tracker_error_alert):
            host = urlsplit(alert.tracker_url()).hostname or "a tracker"  # no more of the address: it may hold a key
            self._reason = printable(f"{host}: {alert.error.message()}")


def _settings(options: TorrentOptions) -> dict[str, Any]:
    kinds = library().alert_category
    return {
        "alert_mask": kinds.error | kinds.storage | kinds.status | kinds.tracker,
        "anonymous_mode": True,
        "download_rate_limit": options.rate,
        "upload_rate_limit": options.upload_rate,
        "listen_interfaces": LISTEN,
        "allow_multiple_connections_per_ip": True,  # machines behind one router, or several peers on one
        "enable_outgoing_utp": False,  # TCP is more than ten times as fast on a fast line
        "max_failcount": 1_000_000,  # a peer that is away is tried again
        "min_reconnect_time": _RECONNECT_SECONDS,
        "stop_tracker_timeout": 1,
        "webtorrent_stun_server": "",  # of a third party
        **dict.fromkeys(("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"), options.discovery),
    }


def split_peer(peer: str) -> tuple[str, int]:
    """Read HOST:PORT. Raises UsageError."""
    host, colon, port = peer.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"{printable(peer)} is not a peer.", remedy="A peer is HOST:PORT, like 192.0.2.7:6881.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _resolve(peer: str) -> list[tuple[str, int]]:
    host, port = split_peer(peer)
    try:
        return sorted({(str(found[4][0]), port) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError) as error:
        raise SourceError(f"The peer {printable(host)} cannot be found: {error}.") from error

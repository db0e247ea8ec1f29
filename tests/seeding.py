"""A peer that has everything, on this machine alone: no tracker, no DHT, nobody is asked and nobody is told.

Torrents are written here, so that they can be as hostile as a test wants.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import libtorrent

PIECE = 16_384
QUIET: Any = {
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "allow_multiple_connections_per_ip": True,
    "stop_tracker_timeout": 1,
}


def torrent_of(files: Mapping[str, bytes], *, folder: str = "", piece: int = PIECE) -> bytes:
    """Write a torrent (version 1) of files by their paths: of one file, or of a folder with all of them."""
    data = b"".join(files.values())
    pieces = b"".join(hashlib.sha1(data[start : start + piece]).digest() for start in range(0, len(data), piece))
    info: Any = {b"piece length": piece, b"pieces": pieces}
    if folder:
        listed = [{b"length": len(each), b"path": path.encode().split(b"/")} for path, each in files.items()]
        info |= {b"name": folder.encode(), b"files": listed}
    else:
        info |= {b"name": next(iter(files)).encode(), b"length": len(data)}
    document: Any = {b"info": info}
    return bytes(libtorrent.bencode(document))


class Seeder:
    """Has the files of a torrent and gives them. A context manager."""

    def __init__(self, torrent: bytes, files: Mapping[str, bytes], store: Path) -> None:
        self._session = libtorrent.session(QUIET)
        parameters = libtorrent.load_torrent_buffer(torrent)
        store.mkdir()
        names = {}
        for index, data in enumerate(files.values()):
            (store / str(index)).write_bytes(data)
            names[index] = str(index)
        parameters.renamed_files, parameters.save_path = names, str(store)
        parameters.flags = libtorrent.torrent_flags.update_subscribe
        self._handle = self._session.add_torrent(parameters)
        self.info_hash = str(parameters.info_hashes.v1)
        while not self._handle.status().is_seeding:
            self._session.wait_for_alert(50)
            self._session.pop_alerts()

    @property
    def peer(self) -> str:
        return f"127.0.0.1:{self._session.listen_port()}"

    @property
    def magnet(self) -> str:
        return f"magnet:?xt=urn:btih:{self.info_hash}&x.pe={self.peer}"

    @property
    def given(self) -> int:
        """Bytes of files that others got, when the session has counted them: it does so a moment after they came."""
        before, now = -1, int(self._handle.status().total_payload_upload)
        while now != before:
            time.sleep(0.5)
            before, now = now, int(self._handle.status().total_payload_upload)
        return now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        del self._handle, self._session

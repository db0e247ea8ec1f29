"""Getting the archives, as values: what is asked for, and what came."""

from __future__ import annotations

from dataclasses import dataclass

from imagenet_prep.errors import UsageError
from imagenet_prep.model.given import Count, FileToRead, Seconds, check_fields

RETRIES, TIMEOUT = 10, 60


@dataclass(frozen=True, kw_only=True, slots=True)
class UrlOptions:
    """Get files from servers. A file is called as its URL ends, or as stands before the URL and a blank. Credentials
    are in files, never in these values.

    ``url_files`` have more of them, one on a line; ``-`` is standard input. ``cookies`` is a file in Netscape's format,
    ``headers`` one with ``Name: value`` on each line. ``retries`` are those in a row that bring no byte; ``timeout`` is
    in seconds without a byte, 0 for no limit; ``rate`` in bytes a second, 0 for no limit. ``fresh``: start these
    files over, in place of what came of them so far.
    """

    urls: tuple[str, ...] = ()
    url_files: tuple[FileToRead, ...] = ()
    cookies: FileToRead | None = None
    headers: FileToRead | None = None
    retries: Count = RETRIES
    timeout: Seconds = TIMEOUT
    rate: Count = 0
    fresh: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for what is of another type, or makes no sense."""
        check_fields(self, shown=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class TorrentOptions:
    """Get archives from a swarm. A torrent is ``train`` or ``validation``, the path of a ``.torrent`` file, a magnet
    link, or an info-hash; "" is ``train`` and ``validation``.

    ``accept_terms`` says that the user has the right to the data. ``rate`` and ``upload_rate`` are in bytes a second, 0
    for as fast as it goes. ``peers`` are ``HOST:PORT``. Without ``discovery`` nobody is asked but ``peers`` and the
    torrent's own trackers. ``seed``: go on giving to others at the end, until interrupted. ``timeout`` is in seconds
    without a byte from anybody, 0 for no limit.
    """

    torrents: tuple[str, ...]
    accept_terms: bool = False
    rate: Count = 0
    upload_rate: Count = 0
    peers: tuple[str, ...] = ()
    discovery: bool = True
    seed: bool = False
    timeout: Seconds = 0

    def __post_init__(self) -> None:
        """Raise UsageError for what is of another type, or makes no sense, and without a torrent."""
        check_fields(self, shown=False)
        if not self.torrents:
            raise UsageError("There is no torrent.")


@dataclass(frozen=True, slots=True)
class Fetched:
    """One file of a fetch: ``received`` of its ``size`` bytes came in this run. ``checksum`` says how it compares with
    the published one, "" where it was there before and was not read.
    """

    name: str
    size: int
    received: int
    checksum: str


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What a fetch brought. ``seconds`` are those of the whole run: with ``seed``, of giving, too."""

    files: tuple[Fetched, ...]
    seconds: float

    @property
    def received(self) -> int:
        """Bytes that came in this run."""
        return sum(file.received for file in self.files)

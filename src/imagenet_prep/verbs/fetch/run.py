"""Fetch: get the archives from servers or from a swarm, so that a name without ``.part`` means complete and compared.

Nothing is asked of anybody except the servers of the URLs, and for torrents the swarm.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from imagenet_prep.errors import Problem, SourceError, UsageError
from imagenet_prep.model.events import Note, Watch, unwatched
from imagenet_prep.model.given import given
from imagenet_prep.platform import check_platform
from imagenet_prep.sources.search import SourcePath
from imagenet_prep.stores.errors import output_errors
from imagenet_prep.stores.lock import held
from imagenet_prep.stores.sync import refusal
from imagenet_prep.stores.temporary import sweep
from imagenet_prep.verbs.fetch.report import Fetched, FetchReport, TorrentOptions, UrlOptions

_Job = Callable[[Path, Watch], tuple[Fetched, ...]]


def fetch(folder: SourcePath, options: UrlOptions | TorrentOptions, *, watch: Watch = unwatched) -> FetchReport:
    """Get files into ``folder``, which is made. May be repeated, and then goes on where it stopped.

    Raises UsageError, before anything is asked of anybody, for what makes no sense; SourceError for what does not come,
    or is not the published file, when all else is there; OtherBuildError if another run fetches into this folder;
    OutputError where it cannot be written.
    """
    check_platform()
    folder, began, watch = given("folder", folder, Path), monotonic(), given("watch", watch, Watch)
    options = given("options", options, UrlOptions | TorrentOptions)
    jobs = _from_servers(options) if isinstance(options, UrlOptions) else _from_swarms(options)
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if unsynced := refusal(folder):
        watch(Note(unsynced))
    with held(folder, folder, alone=True):
        sweep(folder, depth=0)  # of notes that a kill left half written; there may be a million images below
        files = _run(jobs, folder, watch)
    return FetchReport(files, monotonic() - began)


def _run(jobs: list[_Job], folder: Path, watch: Watch) -> tuple[Fetched, ...]:
    """Fetch one after the other. One that does not come keeps no other from coming, and is named at the end."""
    fetched: list[Fetched] = []
    failed: list[SourceError] = []
    for job in jobs:
        try:
            fetched += job(folder, watch)
        except SourceError as error:
            failed.append(error)
    for file in fetched if failed else ():
        watch(Note(f"{file.name} is there; checksum: {file.checksum or 'not compared'}."))
    if len(failed) > 1:
        problems = [each for error in failed for each in error.problems or (Problem("a torrent", error.summary),)]
        remedies = dict.fromkeys(error.remedy for error in failed)
        raise SourceError(f"{len(failed):,} files could not be fetched:", tuple(problems), "\n".join(remedies))
    if failed:
        raise failed[0]
    return tuple(fetched)


def _from_swarms(options: TorrentOptions) -> list[_Job]:
    from imagenet_prep.verbs.fetch.mend import Mending, check_torrents, seed

    torrents = check_torrents(options)
    jobs: list[_Job] = [Mending(torrent, options).run for torrent in torrents]
    return [*jobs, lambda folder, watch: seed(torrents, options, folder, watch)] if options.seed else jobs


def _from_servers(options: UrlOptions) -> list[_Job]:
    """Read files of URLs and credentials once, now: they may be pipes. Raises UsageError."""
    from imagenet_prep.verbs.fetch.address import addresses
    from imagenet_prep.verbs.fetch.credentials import read_cookies, read_headers
    from imagenet_prep.verbs.fetch.download import Download
    from imagenet_prep.verbs.fetch.web import Web

    wanted = addresses(options.urls, options.url_files)
    cookies, headers = read_cookies(options.cookies), read_headers(options.headers)
    if options.cookies and "Cookie" in headers:
        remedy = "Leave --cookies out, or take the line out of the file."
        raise UsageError("There are --cookies, and the file of --headers has a line Cookie, too.", remedy=remedy)
    web = Web(cookies, headers, options.timeout)
    return [Download(address, options, web).run for address in wanted]

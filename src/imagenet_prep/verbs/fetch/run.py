"""Fetch: get the archives from servers or from a swarm, so that a name without ``.part`` means complete and compared.

Nothing is asked of anybody but the servers of the URLs, and for torrents the swarm.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from imagenet_prep.model.events import Note, Watch, unwatched
from imagenet_prep.model.given import given
from imagenet_prep.platform import check_platform
from imagenet_prep.sources.search import SourcePath
from imagenet_prep.stores.errors import output_errors
from imagenet_prep.stores.lock import held
from imagenet_prep.stores.sync import refusal
from imagenet_prep.stores.temporary import sweep
from imagenet_prep.verbs.fetch.report import Fetched, FetchReport, TorrentOptions, UrlOptions


def fetch(folder: SourcePath, options: UrlOptions | TorrentOptions, *, watch: Watch = unwatched) -> FetchReport:
    """Get files into ``folder``, which is made. May be repeated, and then goes on where it stopped.

    Raises UsageError, before anything is asked of anybody, for what makes no sense; SourceError for what does not come,
    or is not the published file, when all else is there; OtherBuildError if another run fetches into this folder;
    OutputError where it cannot be written.
    """
    check_platform()
    folder, began, watch = given("folder", folder, Path), monotonic(), given("watch", watch, Watch)
    options = given("options", options, UrlOptions | TorrentOptions)
    fetch_into = _prepared(options)
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if unsynced := refusal(folder):
        watch(Note(unsynced))
    with held(folder, folder, alone=True):
        sweep(folder, depth=0)  # of bookmarks that a kill left half written; there may be a million images below
        files = fetch_into(folder, watch)
    return FetchReport(files, monotonic() - began)


def _prepared(options: UrlOptions | TorrentOptions) -> Callable[[Path, Watch], tuple[Fetched, ...]]:
    if isinstance(options, UrlOptions):
        from imagenet_prep.verbs.fetch.urls import Urls

        return Urls(options).fetch
    from imagenet_prep.verbs.fetch.swarm import check_torrents, fetch_torrents

    check_torrents(options)
    return lambda folder, watch: fetch_torrents(folder, options, watch)

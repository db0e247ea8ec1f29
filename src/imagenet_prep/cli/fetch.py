"""``imagenet-prep fetch DIR``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from imagenet_prep.cli import ways
from imagenet_prep.cli.invocation import note_resuming
from imagenet_prep.cli.options import LocalPath, Whole, engine_option, jobs_option, output_options, rate
from imagenet_prep.cli.progress import watching
from imagenet_prep.errors import SourceError, UsageError, printable
from imagenet_prep.verbs.fetch.report import RETRIES, TIMEOUT, TorrentOptions, UrlOptions

_BOTH = "both"  # what --torrent without a value means
_FILE = click.Path(path_type=Path)  # that it exists is looked at later: a header in its place must not be shown
_OF_URLS = ("cookies", "headers", "retries", "fresh", "rate", "timeout")
_OF_TORRENTS = ("accept_terms", "upload_rate", "peers", "no_discovery", "seed", "rate", "timeout")
_GO_WITH = {"--url": _OF_URLS, "--torrent": _OF_TORRENTS, "--check": ("jobs", "engine")}


@click.command
@click.argument("folder", metavar="DIR", type=LocalPath(file_okay=False))
@click.argument("more_urls", nargs=-1, metavar="")
@click.option(
    "--url", "urls", multiple=True, metavar="URL…", help="Download these; a file gets the name at the end of its URL."
)
@click.option(
    "--url-file",
    "url_files",
    multiple=True,
    type=_FILE,
    help="The same, from a file with a URL on each line; - is standard input.",
)
@click.option("--cookies", type=_FILE, help="Cookies to send, as browsers and curl export them (Netscape's format).")
@click.option("--headers", type=_FILE, help="Headers to send, a file with `Name: value` on each line.")
@click.option(
    "--torrent",
    "torrents",
    multiple=True,
    is_flag=False,
    flag_value=_BOTH,
    metavar="[TORRENT]",
    help="Download by torrent: train, validation, a .torrent file, or a magnet link; without a value, train and "
    "validation. Only what is missing or damaged is fetched.",
)
@click.option("--accept-terms", is_flag=True, help="With --torrent: you have accepted ImageNet's terms.")
@click.option(
    "--check", is_flag=True, help="Compare sizes and checksums of the archives in DIR, and find what is damaged."
)
@click.option("--fresh", is_flag=True, help="With --url: start these files over, in place of their parts.")
@click.option(
    "--max-rate",
    "rate",
    metavar="RATE",
    callback=rate,
    help="Download at most so many bytes a second: 500K, 20MB; K, M and G are powers of 1000.",
)
@click.option(
    "--max-upload", "upload_rate", metavar="RATE", callback=rate, help="With --torrent: the same for uploads."
)
@click.option(
    "--retries",
    type=Whole(0),
    default=RETRIES,
    show_default=True,
    metavar="N",
    help="Give up a file after N more tries in a row that brought nothing.",
)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help=f"Give up a try after so many seconds without data (servers: {TIMEOUT:g}; torrents: never).",
)
@click.option("--peer", "peers", multiple=True, metavar="HOST:PORT", help="With --torrent: ask this peer, too.")
@click.option("--no-discovery", is_flag=True, help="With --torrent: ask only the peers and trackers named.")
@click.option("--seed", is_flag=True, help="With --torrent: go on uploading at the end, until Ctrl-C.")
@jobs_option
@engine_option
@output_options
@click.pass_context
def fetch(context: click.Context, /, folder: Path, check: bool, as_json: bool, quiet: bool, **options: Any) -> None:
    """Download the archives of ILSVRC2012 into DIR. Without options: explain how, and list what is in DIR.

    The same command goes on where it was stopped. Until size and checksum are right, a file is called NAME.part. Exit
    code 4: a file is damaged, or could not be downloaded.
    """
    from imagenet_prep.verbs.archives import archives

    way = _way(context, options, check=check)
    if way in ("", "--check"):
        with watching(as_json=as_json, quiet=quiet) as watch:
            states = archives(folder, full=check, jobs=options["jobs"], watch=watch, engine=options["engine"])
        if check and all(state.size is None and state.unfinished is None and not state.problems for state in states):
            remedy = f"imagenet-prep fetch {ways.quoted(folder)} says how to get them."
            raise SourceError(f"There is no archive of ILSVRC2012 in {printable(str(folder))}.", remedy=remedy)
        words = ways.compared(states, folder) if check else ways.offered(states, folder)
        click.echo(json.dumps({"archives": [asdict(state) for state in states]}) if as_json else words)
        if check and any(state.problems for state in states):
            context.exit(SourceError.exit_code)
        return
    from imagenet_prep.verbs.fetch.run import fetch as fetch_step

    asked = _url_options(options) if way == "--url" else _torrent_options(options)
    note_resuming(context)
    with watching(as_json=as_json, quiet=quiet) as watch:
        report = fetch_step(folder, asked, watch=watch)
    words = ways.fetched(report, archives(folder), folder, timed=not options["seed"])
    click.echo(json.dumps(asdict(report)) if as_json else words)


def _way(context: click.Context, options: dict[str, Any], *, check: bool) -> str:
    """Say which of the ways it is to be, "" for none. Raises UsageError for two, and for options of another."""
    urls = options["urls"] or options["url_files"]
    if options["more_urls"] and not options["urls"]:
        raise UsageError("There is more than a folder.", remedy="URLs stand after --url.")  # a URL may be a secret
    ways_named = [
        way for way, given in (("--url", urls), ("--torrent", options["torrents"]), ("--check", check)) if given
    ]
    if len(ways_named) > 1:
        raise UsageError(f"{' and '.join(ways_named)} are two things.", remedy="Do one after the other.")
    way = ways_named[0] if ways_named else ""
    for option in context.command.params:
        goes_with = [each for each, names in _GO_WITH.items() if option.name in names]
        source = context.get_parameter_source(option.name or "")
        if goes_with and way not in goes_with and source not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP):
            raise UsageError(f"{option.opts[0]} goes with {' or '.join(goes_with)}.")
    return way


def _url_options(options: dict[str, Any]) -> UrlOptions:
    chosen = {name: options[name] for name in _OF_URLS if options[name] is not None}
    files = tuple(dict.fromkeys(options["url_files"]))  # standard input can be read once
    return UrlOptions(urls=(*options["urls"], *options["more_urls"]), url_files=files, **chosen)


def _torrent_options(options: dict[str, Any]) -> TorrentOptions:
    from imagenet_prep.verbs.fetch.mend import check_torrents

    named = [
        each
        for torrent in options["torrents"]
        for each in (("train", "validation") if torrent == _BOTH else (torrent,))
    ]
    chosen = {name: options[name] for name in ("accept_terms", "upload_rate", "peers", "seed", "rate")}
    asked = TorrentOptions(
        torrents=tuple(named), discovery=not options["no_discovery"], timeout=options["timeout"] or 0.0, **chosen
    )
    check_torrents(replace(asked, accept_terms=True))  # whatever else is wrong is said before anybody is asked
    return asked if asked.accept_terms else replace(asked, accept_terms=_agrees())


def _agrees() -> bool:
    """Ask on a terminal; who is not there to answer has not agreed."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    click.echo(ways.TERMS, err=True)
    return click.confirm("Have you accepted these terms, and do you have the right to the data?", err=True)

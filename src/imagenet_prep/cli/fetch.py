"""``imagenet-prep fetch DIR``."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from imagenet_prep.cli import ways
from imagenet_prep.cli.invocation import note_resuming
from imagenet_prep.cli.options import LocalPath, engine_option, jobs_option, output_options, rate
from imagenet_prep.cli.progress import watching
from imagenet_prep.errors import SourceError, UsageError, printable
from imagenet_prep.verbs.fetch.report import RETRIES, TIMEOUT, TorrentOptions, UrlOptions

_BOTH = "both"  # what --torrent without a value means
_FILE = click.Path(path_type=Path)  # that it exists is looked at later: a header in its place must not be shown
_OF_URLS = ("cookies", "headers", "retries", "fresh")
_OF_TORRENTS = ("accept_terms", "upload_rate", "peers", "no_discovery", "seed")
_OF_BOTH = ("rate", "timeout")
_GO_WITH = {"--url": _OF_URLS + _OF_BOTH, "--torrent": _OF_TORRENTS + _OF_BOTH, "--check": ("jobs", "engine")}


class _Folder(LocalPath):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Look whether the folder is a link, which may be a secret, before its name is said anywhere."""
        link = re.match(r"(https?|ftp):|(magnet):\?", str(value), re.IGNORECASE)
        if link:
            behind = "--torrent" if link[2] else "--url"
            remedy = f"DIR comes first, and links stand behind {behind}."
            raise UsageError("What should be DIR is a link.", remedy=remedy)
        return super().convert(value, param, ctx)


class _Fetch(click.Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; ``--torrent`` takes the one behind it, which may have been meant for DIR."""
        torrent = any(each.partition("=")[0] == "--torrent" for each in args)
        try:
            return super().parse_args(ctx, args)
        except click.MissingParameter:
            if torrent:
                remedy = "DIR comes first: what stands behind --torrent is taken for the torrent."
                raise UsageError("DIR is missing.", remedy=remedy) from None
            raise


@click.command(cls=_Fetch)
@click.argument("folder", metavar="DIR", type=_Folder(file_okay=False))
@click.argument("more_urls", nargs=-1, metavar="")
@click.option("--url", "urls", multiple=True, metavar="URL…", help="Download these; a file is called as its URL ends.")
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
@click.option("--fresh", is_flag=True, help="With --url: begin these files anew, in place of what was begun.")
@click.option(
    "--max-rate",
    "rate",
    metavar="RATE",
    callback=rate,
    help="Download at most so many bytes a second: 500K, 20MB; K, M and G are powers of 1000.",
)
@click.option(
    "--max-upload", "upload_rate", metavar="RATE", callback=rate, help="With --torrent: upload at most so many."
)
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=RETRIES,
    show_default=True,
    help="Give a file up after so many more tries in a row that brought nothing.",
)
@click.option(
    "--timeout",
    type=float,
    metavar="SECONDS",
    help=f"Give a try up after so many seconds without data (servers: {TIMEOUT:g}; torrents: never).",
)
@click.option("--peer", "peers", multiple=True, metavar="HOST:PORT", help="With --torrent: ask this peer, too.")
@click.option("--no-discovery", is_flag=True, help="With --torrent: ask only the peers and trackers named.")
@click.option("--seed", is_flag=True, help="With --torrent: go on uploading at the end, until Ctrl-C.")
@jobs_option
@engine_option
@output_options
@click.pass_context
def fetch(
    context: click.Context,
    /,
    folder: Path,
    more_urls: tuple[str, ...],
    urls: tuple[str, ...],
    url_files: tuple[Path, ...],
    torrents: tuple[str, ...],
    check: bool,
    jobs: int,
    engine: str | None,
    as_json: bool,
    quiet: bool,
    **options: object,
) -> None:
    """Download the archives of ILSVRC2012 into DIR. Without options: explain how, and list what is in DIR.

    The same command goes on where it was stopped. Until size and checksum are right, a file is called NAME.part. Exit
    code 4: a file is damaged, or could not be downloaded.
    """
    if more_urls and not urls:
        raise UsageError("There is more than a folder.", remedy="URLs stand behind --url.")  # a URL may be a secret
    way = _way(context, (*urls, *url_files), torrents, check=check)
    if way in ("", "--check"):
        _look(context, folder, full=check, jobs=jobs, engine=engine, as_json=as_json, quiet=quiet)
        return
    asked = (
        _url_options((*urls, *more_urls), url_files, options) if way == "--url" else _torrent_options(torrents, options)
    )
    note_resuming(context)
    from imagenet_prep.verbs.archives import archives
    from imagenet_prep.verbs.fetch.run import fetch as fetch_step

    with watching(as_json=as_json, quiet=quiet) as watch:
        report = fetch_step(folder, asked, watch=watch)
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        click.echo(ways.fetched(report, archives(folder), folder, timed=not options["seed"]))


def _way(context: click.Context, urls: tuple[str | Path, ...], torrents: tuple[str, ...], *, check: bool) -> str:
    """Say which of the ways it is to be, "" for none. Raises UsageError for two, and for options of another."""
    ways_named = [way for way, given in (("--url", urls), ("--torrent", torrents), ("--check", check)) if given]
    if len(ways_named) > 1:
        raise UsageError(f"{' and '.join(ways_named)} are two things.", remedy="Do one after the other.")
    way = ways_named[0] if ways_named else ""
    fitting = _GO_WITH.get(way, ())
    for option in context.command.params:
        name = option.name or ""
        given = context.get_parameter_source(name) not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
        if given and name not in fitting and any(name in names for names in _GO_WITH.values()):
            goes_with = [each for each, names in _GO_WITH.items() if name in names]
            raise UsageError(f"{option.opts[0]} goes with {' or '.join(goes_with)}.")
    return way


def _url_options(urls: tuple[str, ...], files: tuple[Path, ...], options: dict[str, object]) -> UrlOptions:
    timeout = TIMEOUT if options["timeout"] is None else options["timeout"]
    chosen = {name: options[name] for name in (*_OF_URLS, "rate")}
    files = tuple(dict.fromkeys(files))  # standard input can be read once
    return UrlOptions(urls=urls, url_files=files, timeout=timeout, **chosen)  # type: ignore[arg-type]  # click has looked


def _torrent_options(torrents: tuple[str, ...], options: dict[str, object]) -> TorrentOptions:
    from imagenet_prep.verbs.fetch.swarm import check_torrents

    named = tuple(dict.fromkeys(each for torrent in torrents for each in _meant(torrent)))
    chosen = {name: options[name] for name in ("upload_rate", "peers", "seed", "rate")}
    asked = TorrentOptions(
        torrents=named,
        accept_terms=bool(options["accept_terms"]),
        discovery=not options["no_discovery"],
        timeout=options["timeout"] or 0.0,  # type: ignore[arg-type]
        **chosen,  # type: ignore[arg-type]
    )
    if asked.accept_terms:
        return asked
    check_torrents(replace(asked, accept_terms=True))  # whatever else is wrong is said before anybody is asked
    return replace(asked, accept_terms=_agrees())


def _meant(torrent: str) -> tuple[str, ...]:
    return ("train", "validation") if torrent == _BOTH else (torrent,)


def _agrees() -> bool:
    """Ask on a terminal; who is not there to answer has not agreed."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    click.echo(ways.TERMS, err=True)
    return click.confirm("Have you accepted these terms, and do you have the right to the data?", err=True)


def _look(
    context: click.Context,
    folder: Path,
    *,
    full: bool,
    jobs: int,
    engine: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    from imagenet_prep.verbs.archives import archives

    with watching(as_json=as_json, quiet=quiet) as watch:
        states = archives(folder, full=full, jobs=jobs, watch=watch, engine=engine)
    if full and all(state.size is None and state.unfinished is None and not state.problems for state in states):
        remedy = f"imagenet-prep fetch {ways.quoted(folder)} says how to get them."
        raise SourceError(f"There is no archive of ILSVRC2012 in {printable(str(folder))}.", remedy=remedy)
    if as_json:
        click.echo(json.dumps({"archives": [asdict(state) for state in states]}))
    else:
        click.echo(ways.compared(states, folder) if full else ways.offered(states, folder))
    if full and any(state.problems for state in states):
        context.exit(SourceError.exit_code)

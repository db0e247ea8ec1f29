"""``imagenet-prep fetch DIR``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from click.core import ParameterSource

from imagenet_prep.cli import ways
from imagenet_prep.cli.options import jobs_option, output_options, rate
from imagenet_prep.cli.progress import watching
from imagenet_prep.core.fetched import RETRIES, TIMEOUT, TorrentOptions, UrlOptions
from imagenet_prep.errors import SourceError, UsageError

_BOTH = "both"  # what --torrent without a value means
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OF_URLS = ("cookies", "headers", "retries")
_OF_TORRENTS = ("accept_terms", "upload_rate", "peers", "no_discovery", "seed")
_OF_BOTH = ("rate", "timeout", "fresh")


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.argument("more_urls", nargs=-1, metavar="")
@click.option("--url", "urls", multiple=True, metavar="URL…", help="Get these files, whose names the URLs end with.")
@click.option("--url-file", "url_files", multiple=True, type=_FILE, help="The same, from a file with a URL on a line.")
@click.option("--cookies", type=_FILE, help="Cookies to send, as browsers and curl export them (Netscape's format).")
@click.option("--headers", type=_FILE, help="Headers to send, a file with `Name: value` on each line.")
@click.option(
    "--torrent",
    "torrents",
    multiple=True,
    is_flag=False,
    flag_value=_BOTH,
    metavar="[TORRENT]",
    help="Get archives from a swarm: train, validation, a .torrent file, a magnet link; with no value train and "
    "validation. What is there is looked at, and only what is missing or damaged is fetched.",
)
@click.option("--accept-terms", is_flag=True, help="With --torrent: you have the right to the data; see `fetch DIR`.")
@click.option("--check", is_flag=True, help="Compare sizes and checksums of what is there, and find what is damaged.")
@click.option("--fresh", is_flag=True, help="Take away what was begun of these files, and begin anew.")
@click.option("--max-rate", "rate", metavar="RATE", callback=rate, help="At most so many bytes a second, as 20MB.")
@click.option("--max-upload", "upload_rate", metavar="RATE", callback=rate, help="The same, of what others get of you.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=RETRIES,
    show_default=True,
    help="Tries in a row that may bring nothing; the waits between them double up to a minute.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help=f"So long without a byte is a stall: {TIMEOUT:g} of a server; of a swarm none, if you do not say.",
)
@click.option("--peer", "peers", multiple=True, metavar="HOST:PORT", help="With --torrent: ask this one, too.")
@click.option("--no-discovery", is_flag=True, help="With --torrent: ask no strangers, but peers and trackers named.")
@click.option("--seed", is_flag=True, help="With --torrent: go on giving to others at the end, until Ctrl-C.")
@jobs_option
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
    as_json: bool,
    quiet: bool,
    **options: object,
) -> None:
    """Get the archives of ILSVRC2012 into DIR; without an option, say how, and what is there.

    The same command goes on where it was stopped. Until size and checksum are right, a file is called NAME.part. With
    something damaged, or that does not come, the exit code is 4.
    """
    if more_urls and not urls:
        raise UsageError("There is more than a folder.", remedy="URLs stand behind --url.")  # a URL may be a secret
    urls = (*urls, *more_urls, *_listed(url_files))
    way = _way(context, urls, torrents, check=check)
    if way in ("", "--check"):
        _look(context, folder, full=check, jobs=jobs, as_json=as_json, quiet=quiet)
        return
    asked = _url_options(urls, options) if way == "--url" else _torrent_options(torrents, options)
    from imagenet_prep.steps.archives import archives
    from imagenet_prep.steps.fetch import fetch as fetch_step

    with watching(as_json=as_json, quiet=quiet) as watch:
        report = fetch_step(folder, asked, watch=watch)
    click.echo(json.dumps(asdict(report)) if as_json else ways.fetched(report, archives(folder), folder))


def _listed(files: tuple[Path, ...]) -> list[str]:
    """Read URLs from files: one on a line; blank lines and those with # are passed over."""
    lines = [line.strip() for file in files for line in file.read_text(errors="replace").splitlines()]
    urls = [line for line in lines if line and not line.startswith("#")]
    if files and not urls:
        raise UsageError(f"There is no URL in {files[0]}.", remedy="It has one on each line.")
    return urls


def _way(context: click.Context, urls: tuple[str, ...], torrents: tuple[str, ...], *, check: bool) -> str:
    """Say which of the ways it is to be, "" for none. Raises UsageError for two, and for options of another."""
    ways_named = [way for way, given in (("--url", urls), ("--torrent", torrents), ("--check", check)) if given]
    if len(ways_named) > 1:
        raise UsageError(f"{' and '.join(ways_named)} are two things.", remedy="Do one after the other.")
    way = ways_named[0] if ways_named else ""
    fitting = {"--url": _OF_URLS + _OF_BOTH, "--torrent": _OF_TORRENTS + _OF_BOTH}.get(way, ())
    for option in context.command.params:
        name = option.name or ""
        given = context.get_parameter_source(name) not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
        if given and name in _OF_URLS + _OF_TORRENTS + _OF_BOTH and name not in fitting:
            raise UsageError(f"{option.opts[0]} has no meaning {f'with {way}' if way else 'alone'}.")
    return way


def _url_options(urls: tuple[str, ...], options: dict[str, object]) -> UrlOptions:
    timeout = options["timeout"] or TIMEOUT
    chosen = {name: options[name] for name in (*_OF_URLS, "rate", "fresh")}
    return UrlOptions(urls=urls, timeout=timeout, **chosen)  # type: ignore[arg-type]  # click has looked


def _torrent_options(torrents: tuple[str, ...], options: dict[str, object]) -> TorrentOptions:
    named = tuple(dict.fromkeys(each for torrent in torrents for each in _meant(torrent)))
    chosen = {name: options[name] for name in ("upload_rate", "peers", "seed", "rate", "fresh")}
    return TorrentOptions(
        torrents=named,
        accept_terms=bool(options["accept_terms"]) or _agrees(),
        discovery=not options["no_discovery"],
        timeout=options["timeout"] or 0.0,  # type: ignore[arg-type]
        **chosen,  # type: ignore[arg-type]
    )


def _meant(torrent: str) -> tuple[str, ...]:
    return ("train", "validation") if torrent == _BOTH else (torrent,)


def _agrees() -> bool:
    """Ask on a terminal; who is not there to answer has not agreed."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    click.echo(ways.TERMS, err=True)
    return click.confirm("Have you accepted these terms, and do you have the right to the data?", err=True)


def _look(context: click.Context, folder: Path, *, full: bool, jobs: int, as_json: bool, quiet: bool) -> None:
    from imagenet_prep.steps.archives import archives

    with watching(as_json=as_json, quiet=quiet) as watch:
        states = archives(folder, full=full, jobs=jobs, watch=watch)
    if full and not any(state.size is not None for state in states):
        raise SourceError(f"There is no archive of ILSVRC2012 in {folder}.", remedy=f"imagenet-prep fetch {folder}")
    if as_json:
        click.echo(json.dumps({"archives": [asdict(state) for state in states]}))
    else:
        click.echo(ways.compared(states, folder) if full else ways.offered(states, folder))
    if full and any(state.problems for state in states):
        context.exit(SourceError.exit_code)

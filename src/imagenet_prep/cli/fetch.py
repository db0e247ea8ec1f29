"""``imagenet-prep fetch DIR``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from imagenet_prep.cli import ways
from imagenet_prep.cli.invocation import note_resuming
from imagenet_prep.cli.options import LocalPath, Whole, engine_option, jobs_option, output_options, rate
from imagenet_prep.cli.progress import watching
from imagenet_prep.cli.screen import fitted, prose_width, say
from imagenet_prep.errors import SourceError, UsageError, printable
from imagenet_prep.verbs.fetch.report import RETRIES, TIMEOUT, TorrentOptions, UrlOptions

_FILE = click.Path(path_type=Path)  # that it exists is looked at later: a header in its place must not be shown
# What chooses a way, and the options that go with it: those for a fetch are called as the fields of its options.
_CHOSEN_BY = {"urls": "--url", "url_files": "--url", "torrents": "--torrent", "check": "--check"}
_GO_WITH = {
    "--url": {field.name for field in fields(UrlOptions)},
    "--torrent": {field.name for field in fields(TorrentOptions)},
    "--check": {"check", "jobs", "engine"},
}


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
    flag_value="",
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
@click.option(
    "--no-discovery",
    "discovery",
    flag_value=False,
    default=True,
    help="With --torrent: ask only the peers and trackers named.",
)
@click.option("--seed", is_flag=True, help="With --torrent: go on uploading at the end, until Ctrl-C.")
@jobs_option
@engine_option
@output_options
@click.pass_context
def fetch(context: click.Context, /, folder: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Download the archives of ILSVRC2012 into DIR. Without options: explain how, and list what is in DIR.

    The same command goes on where it was stopped. Until size and checksum are right, a file is called NAME.part. Exit
    code 4: a file is damaged, or could not be downloaded.
    """
    from imagenet_prep.verbs.archives import archives

    way, given = _given(context)
    if way in ("", "--check"):
        check = bool(way)
        with watching(as_json=as_json, quiet=quiet) as watch:
            states = archives(folder, full=check, jobs=options["jobs"], watch=watch, engine=options["engine"])
        if check and all(state.size is None and state.unfinished is None and not state.problems for state in states):
            remedy = f"imagenet-prep fetch {ways.quoted(folder)} says how to get them."
            raise SourceError(f"There is no archive of ILSVRC2012 in {printable(str(folder))}.", remedy=remedy)
        if as_json:
            say(json.dumps({"archives": [asdict(state) for state in states]}), whole=True)
        else:
            say(ways.compared(states, folder) if check else ways.offered(states, folder, prose_width(sys.stdout)))
        if check and any(state.problems for state in states):
            context.exit(SourceError.exit_code)
        return
    from imagenet_prep.verbs.fetch.run import fetch as fetch_step

    asked = UrlOptions(**given) if way == "--url" else _with_terms(TorrentOptions(**given))
    note_resuming(context, repeated=False)  # a URL may be a secret
    with watching(as_json=as_json, quiet=quiet) as watch:
        report = fetch_step(folder, asked, watch=watch)
    words = ways.fetched(report, archives(folder), folder, timed="seed" not in given)
    say(json.dumps(asdict(report)) if as_json else words, whole=as_json)


def _given(context: click.Context) -> tuple[str, dict[str, Any]]:
    """Say which of the ways it is to be, "" for none, and which of its options were given. Raises UsageError for two
    ways, and for options of another.
    """
    given = {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    if more_urls := given.pop("more_urls", ()):
        if "urls" not in given:  # nor shown: a URL may be a secret
            raise UsageError("There is more than a folder.", remedy="URLs stand after --url.")
        given["urls"] += more_urls
    chosen = list(dict.fromkeys(way for name, way in _CHOSEN_BY.items() if name in given))
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} are two things.", remedy="Do one after the other.")
    way = chosen[0] if chosen else ""
    for option in context.command.params:
        goes_with = [each for each, names in _GO_WITH.items() if option.name in names]
        if option.name in given and goes_with and way not in goes_with:
            raise UsageError(f"{option.opts[0]} goes with {' or '.join(goes_with)}.")
    return way, {name: value for name, value in given.items() if name in _GO_WITH.get(way, ())}


def _with_terms(asked: TorrentOptions) -> TorrentOptions:
    """Ask on a terminal about the terms; who is not there to answer has not agreed. Whatever else is wrong is said
    before. Raises UsageError.
    """
    from imagenet_prep.verbs.fetch.mend import check_torrents

    check_torrents(replace(asked, accept_terms=True))
    if asked.accept_terms or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return asked
    say(fitted(ways.TERMS, prose_width(sys.stderr)), err=True)
    question = "Have you accepted these terms, and do you have the right to the data?"
    return replace(asked, accept_terms=click.confirm(question, err=True))

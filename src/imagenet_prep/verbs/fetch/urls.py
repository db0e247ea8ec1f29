"""Files from servers, one after the other. One that does not come keeps no other from coming, and is told at last."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from imagenet_prep.errors import Problem, SourceError, UsageError, printable
from imagenet_prep.model.events import Note, Watch
from imagenet_prep.platform import at_home
from imagenet_prep.stores.space import check_space
from imagenet_prep.verbs.fetch.address import address_of, addresses_in
from imagenet_prep.verbs.fetch.credentials import read_cookies, read_headers
from imagenet_prep.verbs.fetch.download import Download
from imagenet_prep.verbs.fetch.report import Fetched, UrlOptions
from imagenet_prep.verbs.fetch.resume import missing_of, published_as
from imagenet_prep.verbs.fetch.web import Web

_LONGEST_TIMEOUT = 86_400.0  # seconds


class Urls:
    """What is to come from servers. Files of URLs and credentials are read once, now: they may be pipes.

    Raises UsageError.
    """

    def __init__(self, options: UrlOptions) -> None:
        self._options = options
        if options.retries < 0 or options.rate < 0 or not 0 < options.timeout <= _LONGEST_TIMEOUT:
            raise UsageError("Retries and rate are not below 0, and the timeout is above 0 and at most a day.")
        files = map(at_home, options.url_files)
        named = [*map(address_of, options.urls), *(each for file in files for each in addresses_in(file))]
        self._addresses = list(dict.fromkeys(named))
        if not self._addresses:
            raise UsageError("There is no URL.")
        for name, times in Counter(address.name for address in self._addresses).items():
            if times > 1:
                places = f"{printable(name)} is to come from {times} places at once."
                raise UsageError(places, remedy="Name one of them.")
        self._web = Web(
            read_cookies(at_home(options.cookies)) if options.cookies else None,
            read_headers(at_home(options.headers)) if options.headers else {},
            options.timeout,
        )

    def fetch(self, folder: Path, watch: Watch) -> tuple[Fetched, ...]:
        """Fetch the files into ``folder``, which exists. Raises SourceError when all that can be fetched is there,
        OutputError at once.
        """
        check_space(folder, self._missing(folder), remedy="Free some space, or choose another folder.")
        strangers = [each.name for each in self._addresses if not published_as(each.name)]
        if strangers:
            none = "this is none" if len(strangers) == 1 else "these are none"
            watch(Note(f"Archives are known by their official names, and {none}: {', '.join(strangers)}."))
        fetched: list[Fetched] = []
        failed: dict[str, SourceError] = {}
        for address in self._addresses:
            try:
                fetched.append(Download(address, folder / address.name, self._options, watch).run(self._web))
            except SourceError as error:
                failed[address.name] = error
        if failed:
            for file in fetched:
                watch(Note(f"{file.name} is there; checksum: {file.checksum or 'not compared'}."))
            raise _together(failed)
        return tuple(fetched)

    def _missing(self, folder: Path) -> int:
        """Bytes that are to come, of the files whose size is published."""
        return sum(missing_of(folder / address.name) for address in self._addresses)


def _together(failed: dict[str, SourceError]) -> SourceError:
    if len(failed) == 1:
        return next(iter(failed.values()))
    problems: list[Problem] = []
    for name, error in failed.items():
        problems += error.problems or (Problem(printable(name), error.summary),)
    remedies = dict.fromkeys(error.remedy for error in failed.values())
    return SourceError(f"{len(failed):,} files could not be fetched:", tuple(problems), "\n".join(remedies))

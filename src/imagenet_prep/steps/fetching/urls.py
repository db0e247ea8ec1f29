"""Files from servers, one after the other. One that does not come keeps no other from coming, and is told at last."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from imagenet_prep.core.fetched import Fetched, UrlOptions
from imagenet_prep.core.progress import Watch
from imagenet_prep.errors import Problem, SourceError, UsageError, printable
from imagenet_prep.remote.address import Address, address_of
from imagenet_prep.remote.credentials import read_cookies, read_headers
from imagenet_prep.remote.web import Web
from imagenet_prep.steps.fetching.begun import published_as
from imagenet_prep.steps.fetching.download import Download
from imagenet_prep.storage.space import check_space
from imagenet_prep.storage.unfinished import unfinished_path


def fetch_urls(folder: Path, options: UrlOptions, watch: Watch) -> tuple[Fetched, ...]:
    """Fetch files into ``folder``, which exists. Raises UsageError before anything is asked for, SourceError when all
    that can be fetched is there, OutputError at once.
    """
    _check(options)
    addresses = [address_of(url) for url in options.urls]
    for name, times in Counter(address.name for address in addresses).items():
        if times > 1:
            raise UsageError(f"{printable(name)} is to come from {times} places at once.", remedy="Name one of them.")
    web = Web(
        read_cookies(options.cookies) if options.cookies else None,
        read_headers(options.headers) if options.headers else {},
        options.timeout,
    )
    check_space(folder, _missing(folder, addresses), remedy="Free some space, or choose another folder.")
    fetched: list[Fetched] = []
    failed: list[SourceError] = []
    for address in addresses:
        try:
            fetched.append(Download(address, folder / address.name, options, watch).run(web))
        except SourceError as error:
            failed.append(error)
    if failed:
        raise _together(failed)
    return tuple(fetched)


def _check(options: UrlOptions) -> None:
    if not options.urls:
        raise UsageError("There is no URL.")
    if options.retries < 0 or options.rate < 0 or not options.timeout > 0:
        raise UsageError("Retries and rate are not below 0, and the timeout is above 0.")


def _missing(folder: Path, addresses: list[Address]) -> int:
    """Bytes that are to come, of the files whose size is published."""
    sizes = 0
    for address in addresses:
        archive, final = published_as(address.name), folder / address.name
        if archive and archive.size and not final.exists():
            part = unfinished_path(final)
            sizes += max(0, archive.size - (part.stat().st_size if part.exists() else 0))
    return sizes


def _together(failed: list[SourceError]) -> SourceError:
    if len(failed) == 1:
        return failed[0]
    problems: tuple[Problem, ...] = tuple(problem for error in failed for problem in error.problems)
    remedies = dict.fromkeys(error.remedy for error in failed)
    return SourceError(f"{len(failed):,} files could not be fetched:", problems, "\n".join(remedies))

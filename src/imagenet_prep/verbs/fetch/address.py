"""Where a file is to come from. A URL can be a secret as a whole, its path too, so nothing shows more of it than host
and file name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from imagenet_prep.errors import UsageError
from imagenet_prep.verbs.fetch.credentials import lines

_NAMED = re.compile(r"([^\s/]+)\s+(\S+)")
_LONGEST_NAME = 150  # bytes: a file system ends at 255, and a temporary note has the machine's name in it, too


@dataclass(frozen=True, slots=True)
class Address:
    """A URL with the name of its file; it prints as these two."""

    url: str = field(repr=False)
    name: str
    host: str

    def __str__(self) -> str:
        return f"{self.name} from {self.host}"


def address_of(url: str) -> Address:
    """Read a URL, before which, and before a blank, the name of its file may stand. Raises UsageError, which does not
    show it, if it is none for HTTP(S), has a password, or no file.
    """
    named = _NAMED.fullmatch(url.strip())
    given, url = named.groups() if named else ("", url.strip())
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:  # its words may have all of the URL in them
        host, port = "", None
    if not host or parts.scheme not in ("http", "https") or not re.fullmatch("[!-~]+", url):
        remedy = "It looks like https://HOST/PATH/FILE, in ASCII; torrents are fetched with --torrent."
        raise UsageError("What should be a URL is not one of http:// or https://.", remedy=remedy)
    if parts.username is not None:
        summary = f"A URL for {host} holds a name or password, which others can read on the command line."
        raise UsageError(summary, remedy="Put `Authorization: Basic …` into a file, and name it with --headers.")
    name = given or unquote(parts.path.rpartition("/")[2])
    if not re.fullmatch(r"[^./][^/]*(?<!\.part)(?<!\.part\.json)", name) or not name.isprintable():
        name = ""
    if not 0 < len(name.encode()) <= _LONGEST_NAME:
        remedy = "Put the name before it, and a blank: ILSVRC2012_img_val.tar https://HOST/PATH"
        raise UsageError(f"A URL for {host} does not end in the name of a file.", remedy=remedy)
    host = f"[{host}]" if ":" in host else host
    return Address(url, name, host if port is None else f"{host}:{port}")


def addresses(urls: tuple[str, ...], files: tuple[Path, ...]) -> list[Address]:
    """Read URLs, and files of them: one on each line; blank lines and what is after a # are passed over. Raises
    UsageError, with the number of the line, and for one name from two places.
    """
    given = [("", url) for url in urls]
    for file in dict.fromkeys(files):  # standard input can be read once
        for place, line in lines(file, "URLs"):
            text = line.encode("latin-1").decode(errors="replace")
            given.append((f"{place}: ", re.sub(r"(^|\s)#.*", "", text).strip()))
    found: dict[str, Address] = {}
    for place, url in given:
        if place and not url:
            continue
        try:
            address = address_of(url)
        except UsageError as error:
            raise UsageError(f"{place}{error.summary}", remedy=error.remedy) from None
        if found.setdefault(address.name, address) != address:
            raise UsageError(f"{address.name} is to come from two places at once.", remedy="Name one of them.")
    if not found:
        raise UsageError("There is no URL.", remedy="A file of URLs has one on each line.")
    return list(found.values())

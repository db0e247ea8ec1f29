"""Where a file is to come from. A URL can be a secret as a whole, its path too, so nothing shows more of it than host
and file name.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import xxhash

from imagenet_prep.errors import UsageError, printable
from imagenet_prep.verbs.fetch.credentials import contents

_OURS = (".part", ".part.json")
_NAMED = re.compile(r"([^\s/]+)\s+(\S+)")
_LONGEST_NAME = 150  # bytes: a file system ends at 255, and a temporary bookmark has the machine's name in it, too


@dataclass(frozen=True, slots=True)
class Address:
    """A URL with the name of its file; it prints as these two."""

    url: str = field(repr=False)
    name: str
    host: str

    def __str__(self) -> str:
        return f"{self.name} from {self.host}"

    @property
    def origin(self) -> str:
        """What tells one server from another, and not which it is."""
        return str(xxhash.xxh3_64_hexdigest(self.host.encode()))


def address_of(url: str) -> Address:
    """Read a URL, before which, and before a blank, the name of its file may stand. Raises UsageError, which does not
    show it, if it is none for HTTP(S), has a password, or no file.
    """
    named = _NAMED.fullmatch(url.strip())
    given, url = named.groups() if named else ("", url.strip())
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host.encode("idna")
        host = f"[{host}]" if ":" in host else host
        origin = host if parts.port is None else f"{host}:{parts.port}"
    except ValueError:  # a bad port, bad brackets, a bad host name; its words may have all of the URL in them
        raise UsageError("A URL cannot be read.", remedy="It looks like https://HOST/PATH/FILE.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(
            "What should be a URL is none of http:// or https://.",
            remedy="It looks like https://HOST/PATH/FILE; torrents are fetched with --torrent.",
        )
    if not host.isascii():
        remedy = "Its other form begins with xn--; browsers show it where an address is copied from."
        raise UsageError(f"The host {printable(host)} is not written in ASCII.", remedy=remedy)
    if parts.username is not None:
        raise UsageError(
            f"A URL for {printable(host)} holds a name or password, which others can read on the command line.",
            remedy="Put `Authorization: Basic …` into a file, and name it with --headers.",
        )
    if not url.isascii() or any(letter <= " " for letter in url):
        raise UsageError(f"A URL for {printable(host)} has blanks, or letters that must be escaped with %.")
    return Address(url, _name(given or unquote(parts.path.rpartition("/")[2]), host), origin)


def addresses_in(path: Path) -> list[Address]:
    """Read a file, or standard input for ``-``, with a URL on each line; blank lines and what is behind a # are passed
    over. Raises UsageError, with the number of the line.
    """
    piped = str(path) == "-"
    shown = "standard input" if piped else printable(str(path))
    wanted = "--url-file wants the path of a file, or - for standard input"
    data = contents(sys.stdin.buffer.read if piped else path.read_bytes, "URLs", wanted)
    found = []
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), 1):
        url = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if url:
            try:
                found.append(address_of(url))
            except UsageError as error:
                raise UsageError(f"Line {number:,} of {shown}: {error.summary}", remedy=error.remedy) from None
    if not found:
        raise UsageError(f"There is no URL in {shown}.", remedy="It has one on each line.")
    return found


def _name(name: str, host: str) -> str:
    if not name or name[0] == "." or "/" in name or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        raise UsageError(
            f"A URL for {printable(host)} does not end in the name of a file.",
            remedy="Put the name before it, and a blank: ILSVRC2012_img_val.tar https://HOST/PATH",
        )
    if name.endswith(_OURS):
        raise UsageError(f"A URL for {printable(host)} ends in {name}, a name for what is unfinished.")
    return name

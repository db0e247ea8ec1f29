"""Where a file is to come from. A URL can be a secret as a whole, its path too, so nothing shows more of it than host
and file name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from imagenet_prep.errors import UsageError

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


def addresses_in(data: bytes, shown: str) -> list[Address]:
    """Read a URL on each line; blank lines and what is after a # are passed over. Raises UsageError, with the number of
    the line in ``shown``.
    """
    found = []
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        if url := re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip():
            try:
                found.append(address_of(url))
            except UsageError as error:
                raise UsageError(f"Line {number:,} of {shown}: {error.summary}", remedy=error.remedy) from None
    if not found:
        raise UsageError(f"There is no URL in {shown}.", remedy="It has one on each line.")
    return found

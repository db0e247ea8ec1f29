"""What a login left: cookies and headers, read from files, because everybody on a machine can read command lines.

They are sent where they belong, and neither printed, logged nor stored: messages name the file and the line alone.
Cookies are read here because the standard library's reader takes the mark of a session, a time of 0, for one long gone,
and shows the lines that it does not understand.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from pathlib import Path

from imagenet_prep.errors import UsageError, printable

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, "token"
# The program's own: a browser's copied headers have them, and would have the server send something else.
_OWN = ("accept-encoding", "connection", "content-length", "host", "if-range", "range", "te", "transfer-encoding")
_COPIED = re.compile(r"[A-Z]+ \S+ HTTP/[0-9.]+|:[a-z]+:.*")  # the line of a request, and what HTTP/2 has in its place
_TIME = re.compile(r"(-?[0-9]{1,15}(\.[0-9]*)?)?")
_ASCII = re.compile(r"[\t -~]*")
_NO_CONTROLS = re.compile(r"[^\x00-\x08\n-\x1f\x7f]*")  # browsers send what else a cookie has, byte for byte
_HTTP_ONLY = "#HttpOnly_"  # before a cookie's line: of no meaning here
_NETSCAPE = "A cookie is a line of seven fields between tabs, in Netscape's format, as curl and browsers export them."


def read_cookies(path: Path) -> CookieJar:
    """Read cookies in Netscape's format; those whose time is over are not sent. Raises UsageError."""
    jar = CookieJar(DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain))
    for number, line in _lines(path, "cookies", _NO_CONTROLS):
        if line.startswith("#") and not line.startswith(_HTTP_ONLY):
            continue
        fields = line.removeprefix(_HTTP_ONLY).split("\t")
        if len(fields) != 7 or not fields[0] or not _TIME.fullmatch(fields[4]):
            raise UsageError(f"Line {number:,} of {printable(str(path))} is no cookie.", remedy=_NETSCAPE)
        jar.set_cookie(_cookie(fields))
    return jar


def _cookie(fields: list[str]) -> Cookie:
    host, below, where, secure, expires, name, value = fields
    host = host.lower().lstrip(".")
    dotted = below.upper() == "TRUE"  # the hosts below it, too
    # The standard library calls hosts without a dot, such as ``localhost``, as if they had one.
    domain = "." * dotted + host + ".local" * ("." not in host)
    ends = max(0, int(float(expires or 0))) or None  # some write -1 for the end of the session
    safe = secure.upper() != "FALSE"
    return Cookie(
        0, name, value, None, False, domain, dotted, dotted, where, True, safe, ends, not ends, None, None, {}
    )  # fmt: skip


def read_headers(path: Path) -> dict[str, str]:
    """Read ``Name: value`` lines. Passed over are those with #, what browsers copy along (the line of the request, and
    names that begin with a colon), and headers that are the program's own, such as Range. Raises UsageError.
    """
    headers = {}
    for number, line in _lines(path, "headers", _ASCII):
        name, _, value = line.partition(":")
        if line.startswith("#") or _COPIED.fullmatch(line):
            continue
        if not _NAME.fullmatch(name) or not value.strip():
            raise UsageError(f"Line {number:,} of {printable(str(path))} is no header.", remedy="It is `Name: value`.")
        if name.lower() not in _OWN:
            headers[name] = value.strip()
    return headers


def contents(read: Callable[[], bytes], what: str, wanted: str) -> bytes:
    """Read a file that holds a secret. Raises UsageError, which does not show the path: it may be the secret itself."""
    try:
        return read()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is no path"
        remedy = f"{wanted}; on a command line everybody on the machine could read it."
        raise UsageError(f"Cannot read the file of {what}: {why}.", remedy=remedy) from None


def _lines(path: Path, what: str, letters: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers and a letter for each byte, as they are sent. Raises
    UsageError if one has others than ``letters``.
    """
    data = contents(path.read_bytes, what, f"--{what} wants the path of a file").removeprefix(BOM_UTF8)
    for number, line in enumerate(data.split(b"\n"), 1):
        text = line.removesuffix(b"\r").decode("latin-1")
        if not letters.fullmatch(text) and not text.startswith("# "):
            raise UsageError(f"Line {number:,} of {printable(str(path))} has letters that no server takes.")
        if text.strip():
            yield number, text

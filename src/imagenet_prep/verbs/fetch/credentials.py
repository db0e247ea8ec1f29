"""What a login left: cookies and headers, read from files, because everybody on a machine can read command lines.

They are sent where they belong, and neither printed, logged nor stored: messages name the file and the line alone.
"""

from __future__ import annotations

import io
import re
import sys
import warnings
from codecs import BOM_UTF8
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy, LoadError, MozillaCookieJar
from pathlib import Path

from imagenet_prep.errors import UsageError, printable
from imagenet_prep.platform import at_home

_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(\S[\t -~]*)")  # RFC 9110, "token"
# The program's own: a browser's copied headers have them, and would have the server send something else.
_OWN = ("accept-encoding", "connection", "content-length", "host", "if-range", "range", "te", "transfer-encoding")
_COPIED = re.compile(r"#.*|[A-Z]+ \S+ HTTP/[0-9.]+|:[a-z]+:.*")  # remarks; the line of a request, and HTTP/2's
_NO_CONTROLS = re.compile(r"[^\x00-\x08\n-\x1f\x7f]*")  # what else a cookie has is sent byte for byte
_HTTP_ONLY = "#HttpOnly_"  # before a cookie's line: of no meaning here
_NETSCAPE = "A cookie is a line of seven fields between tabs, in Netscape's format, as curl and browsers export them."


class _Jar(MozillaCookieJar):
    """Takes line for line, so that a bad one can be named without being shown."""

    def take(self, line: str) -> None:
        """Take a line of Netscape's format in. Raises ValueError and LoadError."""
        host, below, path, secure, ends, name, value = line.removeprefix(_HTTP_ONLY).split("\t")
        if not host:
            raise ValueError("a cookie of nobody")
        # Of hosts without a dot, such as localhost, the library thinks as .local; a dot before means the hosts below.
        host = "." * (below.upper() == "TRUE") + host.lower().lstrip(".") + ".local" * ("." not in host.strip("."))
        ends = "" if float(ends or 0) <= 0 else ends  # marks of a session, of which the library knows one
        fields = (host, below.upper(), path, secure.upper(), ends, name, value)
        text = io.StringIO("# HTTP Cookie File\n" + "\t".join(fields) + "\n")
        self._really_load(text, "", ignore_discard=True, ignore_expires=True)  # type: ignore[attr-defined]


def read_cookies(path: Path | None) -> MozillaCookieJar:
    """Read cookies in Netscape's format, those of a session too; none without a path. Raises UsageError."""
    jar = _Jar(policy=DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain))
    for place, line in lines(path, "cookies"):
        if not line.startswith("#") or line.startswith(_HTTP_ONLY):
            try:
                with warnings.catch_warnings(action="ignore"):  # which have the line in them
                    jar.take(line)
            except (ValueError, LoadError):
                raise UsageError(f"{place} is not a cookie.", remedy=_NETSCAPE) from None
    return jar


def read_headers(path: Path | None) -> dict[str, str]:
    """Read ``Name: value`` lines; none without a path. Passed over are those with #, what browsers copy along (the line
    of the request, and names that begin with a colon), and headers that are the program's own. Raises UsageError.
    """
    headers = {}
    for place, line in lines(path, "headers"):
        header = _HEADER.fullmatch(line)
        if not header and not _COPIED.fullmatch(line):
            raise UsageError(f"{place} is not a header.", remedy="It is `Name: value`.")
        if header and header[1].lower() not in _OWN:
            headers[header[1].title()] = header[2].strip()
    return headers


def lines(path: Path | None, what: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a file of ``what`` that are not blank, with a letter for each byte, after the place of each.

    ``-`` is standard input. Raises UsageError, which does not show a path that cannot be read: a secret may be in its
    place.
    """
    if path is None:
        return
    name = "standard input" if str(path) == "-" else printable(str(path))
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else at_home(path).read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is not a path"
        remedy = "Give the path of a file: on a command line everybody on the machine could read what is in it."
        raise UsageError(f"Cannot read the file of {what}: {why}.", remedy=remedy) from None
    for number, line in enumerate(data.removeprefix(BOM_UTF8).split(b"\n"), 1):
        text, place = line.removesuffix(b"\r").decode("latin-1"), f"Line {number:,} of {name}"
        if not _NO_CONTROLS.fullmatch(text):
            raise UsageError(f"{place} has letters that no server takes.")
        if text.strip():
            yield place, text

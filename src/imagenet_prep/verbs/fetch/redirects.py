"""Where a request may be sent on to, and what of the user goes along: headers to the server that was named, as long as
it sends on to itself, and to no other, ever after. Cookies go where their domain says.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPMessage, HTTPResponse
from typing import IO
from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request

from imagenet_prep.errors import printable
from imagenet_prep.verbs.fetch.http_errors import SentOnError

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Redirects(HTTPRedirectHandler):
    """Follows redirections by HTTP(S), but never from https to http. Raises SentOnError."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def http_error_302(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> HTTPResponse | None:
        """Follow a redirection, if it leads anywhere."""
        fp.close()  # the standard library would read it to its end, if it has one
        why = _why_not(req.full_url, headers.get("Location", ""))
        if why:
            raise SentOnError(why)
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Make the request that follows, as the standard library does, but for the headers."""
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and _is_same(urlsplit(req.full_url), urlsplit(newurl)):
            for name, value in self._headers.items():
                if req.unredirected_hdrs.get(name.capitalize()) == value:  # not behind a stranger
                    new.add_unredirected_header(name, value)
        return new


def _why_not(url: str, location: str) -> str:
    """Say what is wrong with a redirection, "" for nothing."""
    try:
        before, after = urlsplit(url), urlsplit(urljoin(url, location))
        nowhere = not location or after.scheme not in _DEFAULT_PORTS or not after.hostname or after.port == 0
    except ValueError:
        nowhere = True
    if nowhere:
        return "is sent on to no server"
    if before.scheme == "https" and after.scheme == "http":
        return f"is sent on from https to {printable(after.hostname or '')} without it, which is not safe"
    return ""


def _is_same(before: SplitResult, after: SplitResult) -> bool:
    """Whether a redirection stays with the server: the same host and port, or its step up from http to https."""
    if before.hostname != after.hostname:
        return False
    ports = [each.port or _DEFAULT_PORTS[each.scheme] for each in (before, after)]
    return ports[0] == ports[1] or ports == [80, 443]

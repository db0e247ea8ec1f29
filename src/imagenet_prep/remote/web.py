"""A file on a server, from any byte on. HTTP is the standard library's; here is what servers do instead of answering.

There are two kinds of that: what another try may mend (``TryAgain``), and what it will not (SourceError). Nothing says
more of a URL than host and file name. Headers of the user go to the host that was named, and not along when a server
sends one on to another; cookies go where their domain says.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from email.message import Message
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.request import (
    HTTPCookieProcessor,
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from imagenet_prep.errors import printable
from imagenet_prep.remote.address import Address
from imagenet_prep.remote.answer import Answer, TryAgain, read_answer, refused
from imagenet_prep.version import __version__

_BUSY = (408, 425, 429)
_SENT_ON = (301, 302, 303, 307, 308)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Web:
    """Asks servers for files. ``timeout`` is in seconds without a byte."""

    def __init__(self, cookies: CookieJar | None, headers: Mapping[str, str], timeout: float) -> None:
        self._headers = dict(headers)
        self._timeout = timeout
        self._opener = OpenerDirector()
        for handler in (
            ProxyHandler(),
            HTTPHandler(),
            HTTPSHandler(context=ssl.create_default_context()),
            HTTPCookieProcessor(cookies),
            _Redirects(self._headers),
            HTTPErrorProcessor(),
            HTTPDefaultErrorHandler(),
        ):
            self._opener.add_handler(handler)

    @contextmanager
    def open(self, address: Address, start: int) -> Iterator[Answer]:
        """Ask for a file from the byte ``start`` on; the connection is closed when the context ends.

        Raises TryAgain, also while the answer is read, and SourceError.
        """
        request = Request(address.url, headers={"Accept-Encoding": "identity"})  # noqa: S310 — address_of looked
        request.add_header("User-Agent", f"imagenet-prep/{__version__}")
        if start:
            request.add_header("Range", f"bytes={start}-")
        for name, value in self._headers.items():
            request.add_unredirected_header(name, value)
        with troubles(address, self._timeout), closing(self._ask(request, start)) as response:
            yield read_answer(address, response, start)

    def _ask(self, request: Request, start: int) -> HTTPResponse:
        try:
            response = self._opener.open(request, timeout=self._timeout)
        except HTTPError as error:
            if error.code != 416 or error.headers.get("Content-Range") != f"bytes */{start}":
                raise
            response = error.fp  # nothing was left to send
        assert isinstance(response, HTTPResponse)  # no handler here gives anything else
        return response


@contextmanager
def troubles(address: Address, timeout: float) -> Iterator[None]:
    """Say in a sentence what keeps a file from coming."""
    try:
        yield
    except _SentOnError as error:
        raise refused(address, str(error)) from error
    except HTTPError as error:
        with error:
            raise _by_status(address, error) from error
    except URLError as error:
        raise _by_reason(address, error.reason, timeout) from error
    except (http.client.HTTPException, OSError) as error:
        raise _by_reason(address, error, timeout) from error


def _by_status(address: Address, error: HTTPError) -> Exception:
    if error.code in (401, 403, 407):
        return refused(address, f"is not given to us ({error.code}): the login has expired, or cookies are missing")
    if error.code in (404, 410):
        return refused(address, f"is not there ({error.code})")
    if error.code == 416:
        return refused(address, "has changed on the server: it is shorter than what is here already", fresh=True)
    if error.code in _BUSY or error.code >= 500:
        return TryAgain(f"the server is busy or broken ({error.code})", _seconds(error.headers))
    if error.code in _SENT_ON:
        return refused(address, "is sent on in circles: the login has expired, or cookies are missing")
    return refused(address, f"is refused with the status {error.code}")


def _by_reason(address: Address, reason: object, timeout: float) -> Exception:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return refused(address, f"cannot be fetched safely: {reason.verify_message}")
    if isinstance(reason, TimeoutError):
        return TryAgain(f"the server stalled: no byte for {timeout:g} s")
    if isinstance(reason, http.client.IncompleteRead | http.client.RemoteDisconnected | ConnectionError):
        what = "nobody answers there" if isinstance(reason, ConnectionRefusedError) else "the connection broke off"
        return TryAgain(what)
    if isinstance(reason, http.client.HTTPException):
        return TryAgain("the answer is not HTTP")
    if isinstance(reason, OSError):
        return TryAgain(f"no connection: {reason.strerror or 'the host is not known'}")
    return TryAgain("no connection")


def _seconds(headers: Message) -> float:
    """Give what the server says how long to wait, if it says so in seconds."""
    text = str(headers.get("Retry-After", ""))
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0


class _SentOnError(Exception):
    """A redirection that is not followed, and why."""


class _Redirects(HTTPRedirectHandler):
    """Follows redirections, with the user's headers to the host that was named, and never from https to http."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def http_error_302(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage
    ) -> HTTPResponse | None:
        """Follow a redirection, unless it leads away from HTTP, or from https to http."""
        why = _why_not(req.full_url, headers.get("Location", ""))
        if why:
            fp.close()
            raise _SentOnError(why)
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> Request | None:
        """Make the request that follows, as the standard library does, but for the headers."""
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and _is_same(before, after):
            for name, value in self._headers.items():
                new.add_unredirected_header(name, value)
        return new


def _why_not(url: str, location: str) -> str:
    """Say what is wrong with a redirection, "" for nothing."""
    try:
        before, after = urlsplit(url), urlsplit(urljoin(url, location))
        if after.scheme not in ("http", "https") or not after.hostname or after.port == 0:
            return "is sent on to no server"
    except ValueError:
        return "is sent on to no server"
    if before.scheme == "https" and after.scheme == "http":
        return f"is sent on from https to {printable(after.hostname)} without it, which is not safe"
    return ""


def _is_same(before: SplitResult, after: SplitResult) -> bool:
    """Whether a redirection stays with the server: the same host and port, or its step up from http to https."""
    if before.hostname != after.hostname:
        return False
    ports = [each.port or _DEFAULT_PORTS[each.scheme] for each in (before, after)]
    return (before.scheme == after.scheme and ports[0] == ports[1]) or ports == [80, 443]

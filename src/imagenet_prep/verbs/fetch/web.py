"""A file on a server, from any byte on. HTTP is the standard library's, with just the handlers that are needed."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.request import (
    HTTPCookieProcessor,
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from imagenet_prep.errors import UsageError
from imagenet_prep.verbs.fetch.address import Address
from imagenet_prep.verbs.fetch.answer import Answer, read_answer
from imagenet_prep.verbs.fetch.http_errors import troubles
from imagenet_prep.verbs.fetch.redirects import Redirects
from imagenet_prep.version import __version__


class Web:
    """Asks servers for files. ``timeout`` is in seconds without a byte. Raises UsageError for cookies from two places:
    the standard library would send those of the headers alone.
    """

    def __init__(self, cookies: CookieJar | None, headers: Mapping[str, str], timeout: float) -> None:
        if cookies is not None and any(name.lower() == "cookie" for name in headers):
            remedy = "Leave --cookies out, or take the line out of the file."
            raise UsageError("There are --cookies, and the file of --headers has a line Cookie, too.", remedy=remedy)
        self._headers = dict(headers)
        self._timeout = timeout
        self._opener = OpenerDirector()
        for handler in (
            ProxyHandler(),
            HTTPHandler(),
            HTTPSHandler(context=_tls()),
            HTTPCookieProcessor(cookies),
            Redirects(self._headers),
            HTTPErrorProcessor(),
            HTTPDefaultErrorHandler(),
        ):
            self._opener.add_handler(handler)

    @contextmanager
    def open(self, address: Address, start: int) -> Iterator[Answer]:
        """Ask for a file from the byte ``start`` on; the connection is closed when the context ends.

        Raises TryAgain and SourceError, as reading the answer does.
        """
        with troubles(address, self._timeout):
            response = self._ask(address, start)
        with closing(response):
            yield read_answer(address, response, start, self._timeout)

    def _ask(self, address: Address, start: int) -> HTTPResponse:
        request = Request(address.url, headers={"Accept-Encoding": "identity"})  # noqa: S310 — address_of looked
        request.add_header("User-Agent", f"imagenet-prep/{__version__}")
        if start:
            request.add_header("Range", f"bytes={start}-")
        for name, value in self._headers.items():
            request.add_unredirected_header(name, value)
        try:
            response = self._opener.open(request, timeout=self._timeout)
        except HTTPError as error:
            if error.code != 416 or error.headers.get("Content-Range") != f"bytes */{start}":
                raise
            response = error.fp  # nothing was left to send
        assert isinstance(response, HTTPResponse)  # no handler here gives anything else
        return response


def _tls() -> ssl.SSLContext:
    try:
        return ssl.create_default_context()
    except OSError as error:  # SSLKEYLOGFILE, for one
        reason = error.strerror or "the library refuses"
        raise UsageError(f"https cannot be prepared: {reason}.", remedy="Look at SSL_ in the environment.") from error

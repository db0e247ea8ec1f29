"""A file on a server, from any byte on.

Connections, TLS and proxies are urllib3's, cookies are ``http.cookiejar``'s. Each step of a redirection is asked here,
because cookies go where their domain says, the user's headers to the server that was named and to no other ever after,
and nothing goes from https to http. A URL can be a secret as a whole: urllib3, which would log it, logs nothing.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar
from threading import get_ident
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import Request, getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError, ReadTimeoutError

from imagenet_prep.errors import printable
from imagenet_prep.verbs.fetch.address import Address
from imagenet_prep.verbs.fetch.answer import ANOTHER_LINK, LOG_IN, LOGIN, Answer, TryAgain, read_answer, refused
from imagenet_prep.version import __version__

_OURS = {"Accept-Encoding": "identity", "Connection": "close"}
_MOST_STEPS = 10  # of redirections
_CERTIFICATE = "If you trust the server, name the certificate of its authority in the environment: SSL_CERT_FILE."
_asking: set[int] = set()  # threads of which urllib3 is to log nothing
for _name in ("connection", "connectionpool", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(lambda record: record.thread not in _asking)


class Web:
    """Asks servers for files. ``timeout`` is in seconds without a byte, 0 for no limit."""

    def __init__(self, cookies: CookieJar, headers: Mapping[str, str], timeout: float) -> None:
        self._cookies = cookies
        self._headers = {"User-Agent": f"imagenet-prep/{__version__}", **headers}
        self._timeout = timeout

    @contextmanager
    def open(self, address: Address, start: int) -> Iterator[Answer]:
        """Ask for a file from the byte ``start`` on. Raises TryAgain and SourceError."""

        def read(most: int) -> bytes:
            with self._troubles(address):
                return response.read1(most)

        with self._troubles(address):
            response = self._ask(address, start)
        try:
            yield read_answer(address, response.status, response.headers, start, read)
        finally:
            response.close()

    def _ask(self, address: Address, start: int) -> urllib3.BaseHTTPResponse:
        """Give the answer at the end of all redirections."""
        url, mine = address.url, self._headers
        ours = _OURS | ({"Range": f"bytes={start}-"} if start else {})
        for _ in range(_MOST_STEPS):
            request = Request(url)  # noqa: S310 — what the cookies ask; it is never opened
            self._cookies.add_cookie_header(request)
            response = _pool(url).request(
                "GET", url, headers={**request.unredirected_hdrs, **mine, **ours}, redirect=False, retries=False,
                preload_content=False, decode_content=False, timeout=self._timeout or None,
            )  # fmt: skip
            self._cookies.extract_cookies(response, request)  # type: ignore[arg-type]  # it has the methods for this
            location = response.get_redirect_location()
            if location is False:
                return response
            response.close()
            before, url = urlsplit(url), urljoin(url, location or "")
            after = urlsplit(url)
            if (before.scheme, after.scheme) == ("https", "http"):
                reason = f"is sent on from https to {printable(after.hostname or '')} without it, which is not safe"
                raise refused(address, reason, ANOTHER_LINK)
            if (before.hostname, before.port) != (after.hostname, after.port):
                mine = {}
        raise refused(address, f"is sent on in circles: {LOGIN}", LOG_IN)

    @contextmanager
    def _troubles(self, address: Address) -> Iterator[None]:
        """Turn what urllib3 raises into TryAgain and SourceError, without its words, which may have the URL in them."""
        _asking.add(get_ident())
        try:
            yield
        except (HTTPError, ValueError) as error:
            cause = error.args[0] if error.args else None
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise refused(address, f"cannot be fetched safely: {cause.verify_message}", _CERTIFICATE) from None
            if isinstance(error, ValueError):
                reason = "is sent on to no server, or the environment names a proxy that is none"
                raise refused(address, reason, ANOTHER_LINK) from None
            raise TryAgain(self._why(error)) from None
        finally:
            _asking.discard(get_ident())

    def _why(self, error: HTTPError) -> str:
        cause = error.__cause__ or error.__context__
        if isinstance(error, ProxyError) or "Tunnel connection failed" in str(cause):
            return "the proxy of the environment lets nothing through"
        if isinstance(error, NewConnectionError):
            return f"there is no connection: {getattr(cause, 'strerror', None) or 'nobody answers'}"
        if isinstance(error, ReadTimeoutError | ConnectTimeoutError):
            return f"the server stalled: no byte for {self._timeout:g} s"
        return "the connection broke off"


def _pool(url: str) -> urllib3.PoolManager:
    """Give the connections to a server, or to the proxy that the environment names for it."""
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.hostname or ""):
        return urllib3.PoolManager()
    named = urllib3.util.parse_url(proxy if "://" in proxy else f"http://{proxy}")
    login = urllib3.make_headers(proxy_basic_auth=unquote(named.auth)) if named.auth else None
    return urllib3.ProxyManager(named.url, proxy_headers=login)

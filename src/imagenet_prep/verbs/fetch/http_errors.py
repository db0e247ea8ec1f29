"""What keeps a file from coming, in a sentence each.

There are two kinds: what another try may mend (``TryAgain``), and what it will not (SourceError). Nothing says more of
a URL than host and file name, and no words of the server are repeated.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from email.utils import mktime_tz, parsedate_tz
from urllib.error import HTTPError, URLError
from urllib.request import getproxies

from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.verbs.fetch.address import Address

LOGIN = "the login has expired, or cookies are missing"
_BUSY = (408, 425, 429)
_SENT_ON = (301, 302, 303, 307, 308)
LOG_IN = "Log in with the browser, export its cookies anew, and name the file with --cookies."
GO_ON = "The same command goes on from what came so far."
FRESH = "--fresh takes what came so far away and begins anew."
ANOTHER_LINK = "Copy the link anew from the page, or take another server."
_BASIC = "Put `Authorization: Basic …` into a file and name it with --headers; if you did, the password is wrong."
_CERTIFICATE = "If you trust the server, name the certificate of its authority in the environment: SSL_CERT_FILE."


class TryAgain(Exception):  # noqa: N818 — not an error of the program, and never seen outside a fetch
    """A file did not come, but may at another try, after ``seconds`` if the server said so."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.seconds = seconds


class SentOnError(Exception):
    """A redirection that is not followed, and why."""


def refused(address: Address, reason: str, remedy: str) -> SourceError:
    """Make the error for a file that will not come, whatever is tried."""
    problem = Problem(printable(address.name), f"{reason} (from {printable(address.host)})")
    return SourceError("A file cannot be fetched:", (problem,), remedy)


@contextmanager
def troubles(address: Address, timeout: float) -> Iterator[None]:
    """Turn what the standard library raises while it asks and reads into TryAgain and SourceError."""
    try:
        yield
    except SentOnError as error:
        raise refused(address, str(error), ANOTHER_LINK) from error
    except HTTPError as error:
        error.close()
        raise _by_status(address, error) from error
    except URLError as error:
        raise _by_reason(address, error.reason, timeout) from error
    except (http.client.HTTPException, OSError) as error:
        raise _by_reason(address, error, timeout) from error
    except ValueError:  # whose words may have the address in them
        reason = "cannot be asked for: an address on the way, of a redirection or of a proxy, makes no sense"
        raise refused(address, reason, ANOTHER_LINK) from None


def _by_status(address: Address, error: HTTPError) -> Exception:
    if error.code == 401 and error.headers.get("WWW-Authenticate", "").lower().startswith("basic"):
        return refused(address, "is not given to us (401): the server wants a name and a password", _BASIC)
    if error.code in (401, 403):
        return refused(address, f"is not given to us ({error.code}): {LOGIN}", LOG_IN)
    if error.code == 407:
        return refused(address, "cannot be asked for: the proxy wants a login", "See https_proxy in the environment.")
    if error.code in (404, 410):
        return refused(address, f"is not there ({error.code})", ANOTHER_LINK)
    if error.code == 416:
        return refused(address, "has changed on the server: it is shorter than what is here already", FRESH)
    if error.code in _BUSY or error.code >= 500:
        return TryAgain(f"the server is busy or broken ({error.code})", _seconds(error.headers))
    if error.code in _SENT_ON:
        return refused(address, f"is sent on in circles: {LOGIN}", LOG_IN)
    return refused(address, f"is refused with the status {error.code}", ANOTHER_LINK)


def _by_reason(address: Address, reason: object, timeout: float) -> Exception:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return refused(address, f"cannot be fetched safely: {reason.verify_message}", _CERTIFICATE)
    if isinstance(reason, TimeoutError):
        return TryAgain(f"the server stalled: no byte for {timeout:g} s")
    if isinstance(reason, http.client.IncompleteRead | http.client.RemoteDisconnected | ConnectionError):
        refuses = isinstance(reason, ConnectionRefusedError)
        proxied = ", or at the proxy of the environment" if getproxies() else ""
        return TryAgain(f"nobody answers there{proxied}" if refuses else "the connection broke off")
    if isinstance(reason, http.client.HTTPException):
        return TryAgain("the answer is not HTTP")
    if isinstance(reason, OSError) and str(reason).startswith("Tunnel connection failed"):
        return TryAgain("the proxy lets nothing through")
    if isinstance(reason, OSError):
        return TryAgain(f"no connection: {reason.strerror or 'the host is not known'}")
    return TryAgain("no connection")


def _seconds(headers: Message) -> float:
    """Give how long the server asks to wait, which it says in seconds, or by the time when to come again."""
    text = str(headers.get("Retry-After", ""))
    if text.isascii() and text.isdigit() and len(text) < 6:
        return float(text)
    when = parsedate_tz(text)
    try:
        return max(0.0, mktime_tz(when) - time.time()) if when else 0.0
    except (ValueError, OverflowError):  # no day of a calendar
        return 0.0

"""What a server said, read with suspicion: whether it is the file, which part of it, and how long the file is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from urllib3 import Retry
from urllib3.exceptions import InvalidHeader

from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.verbs.fetch.address import Address

LOGIN = "the login has expired, or cookies are missing"
LOG_IN = "Log in with the browser, export its cookies again, and name the file with --cookies; a password goes into a \
file for --headers: `Authorization: Basic …`."
FRESH = "--fresh starts over, in place of what came so far."
ANOTHER_LINK = "Copy the link from the page again, or take another server; what came so far is kept."
_LONGEST_REQUEST = 3600.0  # seconds that a server may ask to wait
_EXTENT = re.compile(r"\s*bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\s*", re.ASCII)
_REFUSALS = {
    401: (f"is not given to us (401): {LOGIN}", LOG_IN),
    403: (f"is not given to us (403): {LOGIN}", LOG_IN),
    404: ("is not there (404)", ANOTHER_LINK),
    410: ("is not there (410)", ANOTHER_LINK),
    416: ("has changed on the server: it is shorter than what is here already", FRESH),
}


class TryAgain(Exception):  # noqa: N818 — not an error of the program, and never seen outside a fetch
    """A file did not come, but may at another try, after ``seconds`` if the server said so."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.seconds = seconds


def refused(address: Address, reason: str, remedy: str) -> SourceError:
    """Make the error for a file that will not come, whatever is tried."""
    problem = Problem(printable(address.name), f"{reason} (from {printable(address.host)})")
    return SourceError("A file cannot be fetched:", (problem,), remedy)


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes from ``start`` to ``end`` of a file of ``size`` bytes; what the server does not say is None or "".

    ``page``: the server calls it a web page. ``read`` gives the next bytes, as soon as there are any, and none at the
    end; it raises TryAgain.
    """

    start: int
    end: int | None
    size: int | None
    etag: str
    modified: str
    page: bool
    read: Callable[[int], bytes]


def read_answer(
    address: Address, status: int, headers: Mapping[str, str], asked: int, read: Callable[[int], bytes]
) -> Answer:
    """Read the answer to a request from the byte ``asked`` on. Raises TryAgain and SourceError."""
    start, end, size = _extent(address, status, headers, asked)
    if headers.get("Content-Encoding", "identity").lower() != "identity" and not address.name.endswith("gz"):
        raise refused(address, "is sent compressed, though the server was asked not to", ANOTHER_LINK)
    page = headers.get("Content-Type", "").lower().startswith(("text/html", "application/xhtml+xml"))
    etag, modified = headers.get("ETag", "").removeprefix("W/"), headers.get("Last-Modified", "")
    return Answer(start, end, size, etag, modified, page, read)


def _extent(
    address: Address, status: int, headers: Mapping[str, str], asked: int
) -> tuple[int, int | None, int | None]:
    """Give the first byte that comes, the one after the last, and the size of the file."""
    length, extent = _number(headers.get("Content-Length", "")), headers.get("Content-Range", "")
    if status == 200:
        return 0, length, length
    if status == 416 and extent == f"bytes */{asked}":  # nothing was left to send
        return asked, asked, asked
    if status in (408, 425, 429) or status >= 500:
        raise TryAgain(f"the server is busy or broken ({status})", _seconds(headers.get("Retry-After", "")))
    if status != 206:
        raise refused(address, *_REFUSALS.get(status, (f"is not sent, but the status {status}", ANOTHER_LINK)))
    match = _EXTENT.fullmatch(extent)
    if not match or int(match[1]) != asked:
        raise refused(address, f"is not sent from byte {asked:,} on, which was asked for", ANOTHER_LINK)
    end, size = int(match[2]) + 1, _number(match[3])
    if end <= asked or length not in (None, end - asked) or (size is not None and end > size):
        raise refused(address, "is sent with lengths that contradict each other", ANOTHER_LINK)
    return asked, end, size


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


def _seconds(text: str) -> float:
    try:
        return min(Retry().parse_retry_after(text), _LONGEST_REQUEST)
    except (InvalidHeader, ValueError, OverflowError):  # nothing, or no number and no time
        return 0.0

"""What a server said, read with suspicion: whether it is the file, which part of it, and how long the file is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http.client import HTTPResponse
from urllib.parse import urlsplit

from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.remote.address import Address

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_PAGES = ("text/html", "application/xhtml+xml")
_KEPT = "The same command tries again, and goes on from what came so far."
_FRESH = "--fresh takes what came so far away and begins anew."


class TryAgain(Exception):  # noqa: N818 — not an error of the program, and never seen outside a fetch
    """A file did not come, but may at another try, after ``seconds`` if the server said so."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.seconds = seconds


def refused(address: Address, reason: str, *, fresh: bool = False) -> SourceError:
    """Make the error for a file that will not come, whatever is tried."""
    problem = Problem(printable(address.name), f"{reason} (from {printable(address.host)})")
    return SourceError("A file cannot be fetched:", (problem,), _FRESH if fresh else _KEPT)


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes from ``start`` on of a file of ``size`` bytes, None if the server does not say how many. ``etag`` and
    ``modified`` tell whether it is the same file as at another time; "" where the server does not say. ``moved`` is the
    host that the server sent on to, "" if it did not.
    """

    start: int
    size: int | None
    etag: str
    modified: str
    moved: str
    page: bool
    _response: HTTPResponse

    def read(self, most: int) -> bytes:
        """Give the next bytes, as soon as there are any; none at the end. Raises what ``Web.open`` makes words of."""
        return self._response.read1(most)


def read_answer(address: Address, response: HTTPResponse, asked: int) -> Answer:
    """Read status and headers of an answer to a request from the byte ``asked`` on. Raises SourceError."""
    headers = response.headers
    start, size = 0, _number(headers.get("Content-Length"))
    if response.status == 206:
        start, size = _part(address, str(headers.get("Content-Range", "")), size)
    elif response.status == 416:
        start = size = asked
    elif response.status != 200:
        raise refused(address, f"is answered with the status {response.status}, and not sent")
    if start != asked and response.status == 206:
        raise refused(address, f"is sent from byte {start:,} on, though byte {asked:,} was asked for")
    if headers.get("Content-Encoding", "identity").lower() != "identity" and not address.name.endswith("gz"):
        raise refused(address, "is sent compressed, though the server was asked not to")
    host = urlsplit(response.url).netloc.rpartition("@")[2]
    kind = headers.get_content_type() if "Content-Type" in headers else ""
    return Answer(
        start=start,
        size=size,
        etag=headers.get("ETag", "").removeprefix("W/"),
        modified=headers.get("Last-Modified", ""),
        moved=host if response.url != address.url else "",
        page=kind in _PAGES,
        _response=response,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 18 else None


def _part(address: Address, text: str, length: int | None) -> tuple[int, int | None]:
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if not match:
        raise refused(address, "is sent in parts that the server does not describe")
    first, last = int(match[1]), int(match[2])
    whole = _number(match[3])
    if last < first or length not in (None, last - first + 1) or (whole is not None and last >= whole):
        raise refused(address, "is sent with lengths that contradict each other")
    return first, whole

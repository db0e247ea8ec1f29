"""What a server said, read with suspicion: whether it is the file, which part of it, and how long the file is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http.client import HTTPResponse
from urllib.parse import urlsplit

from imagenet_prep.verbs.fetch.address import Address
from imagenet_prep.verbs.fetch.http_errors import refused, troubles

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_ELSEWHERE = "Try again later, or take another server; what came so far is kept."
_PAGES = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes from ``start`` to ``end`` of a file of ``size`` bytes; the last two are None if the server does not
    say. ``etag`` and ``modified`` tell whether it is the same file as at another time; "" where the server does not
    say. ``moved`` is the host that the server sent on to, "" if it did not. ``page``: the server calls it a web page.
    """

    start: int
    end: int | None
    size: int | None
    etag: str
    modified: str
    moved: str
    page: bool
    _address: Address
    _response: HTTPResponse
    _timeout: float

    def read(self, most: int) -> bytes:
        """Give the next bytes, as soon as there are any; none at the end. Raises TryAgain and SourceError."""
        with troubles(self._address, self._timeout):
            return self._response.read1(most)


def read_answer(address: Address, response: HTTPResponse, asked: int, timeout: float) -> Answer:
    """Read status and headers of an answer to a request from the byte ``asked`` on. Raises SourceError."""
    headers = response.headers
    start, end, size = _extent(address, response, asked)
    if headers.get("Content-Encoding", "identity").lower() != "identity" and not address.name.endswith("gz"):
        raise refused(address, "is sent compressed, though the server was asked not to", _ELSEWHERE)
    host = urlsplit(response.url).netloc.rpartition("@")[2]
    return Answer(
        start=start,
        end=end,
        size=size,
        etag=headers.get("ETag", "").removeprefix("W/"),
        modified=headers.get("Last-Modified", ""),
        moved=host if response.url != address.url else "",
        page=headers.get_content_type() in _PAGES,
        _address=address,
        _response=response,
        _timeout=timeout,
    )


def _extent(address: Address, response: HTTPResponse, asked: int) -> tuple[int, int | None, int | None]:
    """Give the first byte that comes, the one behind the last, and the size of the file."""
    length = _number(response.headers.get("Content-Length"))
    if response.status == 200:
        return 0, length, length
    if response.status == 416:
        return asked, asked, asked
    if response.status != 206:
        raise refused(address, f"is answered with the status {response.status}, and not sent", _ELSEWHERE)
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if not match:
        raise refused(address, "is sent in parts that the server does not describe", _ELSEWHERE)
    first, end, whole = int(match[1]), int(match[2]) + 1, _number(match[3])
    if first != asked:
        reason = f"is sent from byte {first:,} on, though byte {asked:,} was asked for"
        raise refused(address, reason, _ELSEWHERE)
    if end <= first or length not in (None, end - first) or (whole is not None and end > whole):
        raise refused(address, "is sent with lengths that contradict each other", _ELSEWHERE)
    return first, end, whole


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 18 else None

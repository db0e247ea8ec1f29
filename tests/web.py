"""A real HTTP server on loopback that can be told to misbehave, request by request, and remembers what it was asked.

Nothing waits for a clock: what stalls does so until the server ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

CLOSE, RESET, STALL = "close", "reset", "stall"  # what happens where an answer stops
LENGTH, CHUNKED, UNTIL_CLOSED = "length", "chunked", "until closed"  # how its end is known
MODIFIED = "Wed, 01 Aug 2012 12:00:00 GMT"
LOGIN_PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form></form></body></html>\n"
_CHUNK_BYTES = 256 << 10
_TICK = 0.02  # seconds between two chunks of an answer with a rate


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How one request is answered; by itself, as a good server does.

    ``data`` takes the place of the file; with a ``status`` it is sent as it is, whatever was asked for. ``headers`` go
    over those there would be, None for none. ``stop``: behind so many bytes of the body, ``end`` comes; -1 is before
    the headers. ``ranges``: whether Range is heeded. ``shift``: a range begins so many
    bytes behind the one that was asked for. ``rate`` is in bytes a second.
    """

    data: bytes | None = None
    status: int = 0
    headers: Mapping[str, str | None] = field(default_factory=dict)
    stop: int | None = None
    end: str = CLOSE
    ranges: bool = True
    shift: int = 0
    framing: str = LENGTH
    version: str = "HTTP/1.1"
    rate: int = 0


GOOD = Answer()


def page(status: int, **headers: str) -> Answer:
    """A page in place of the file. The names of ``headers`` have underscores for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, data=LOGIN_PAGE, headers={"Content-Type": "text/html", **named})


def redirect(location: str, status: int = 302, **headers: str) -> Answer:
    return page(status, Location=location, **headers)


@dataclass
class Request:
    """What was asked: ``start`` is where the range begins, None without one. ``sent`` are the bytes of the body."""

    path: str
    target: str
    headers: dict[str, str]
    start: int | None
    status: int = 0
    sent: int = 0


Rule = Callable[[Request], Answer]


class Web:
    """What is served, how, and what was asked. The ``answers`` are used up in turn, and then ``otherwise`` holds."""

    def __init__(self, files: Mapping[str, bytes], answers: tuple[Answer, ...], otherwise: Answer | Rule) -> None:
        self.files = dict(files)
        self.otherwise = otherwise
        self.requests: list[Request] = []
        self.port = 0
        self.ended = threading.Event()
        self.asked = threading.Condition()
        self._answers = list(answers)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    @property
    def starts(self) -> list[int | None]:
        """Where the range of each request began."""
        return [request.start for request in self.requests]

    def next(self, *answers: Answer) -> None:
        self._answers += answers

    def answer(self, request: Request) -> Answer:
        with self.asked:
            self.requests.append(request)
            self.asked.notify_all()
            if self._answers:
                return self._answers.pop(0)
        return self.otherwise if isinstance(self.otherwise, Answer) else self.otherwise(request)

    def await_request(self, number: int, timeout: float) -> bool:
        """Wait until so many requests came; whether they did."""
        with self.asked:
            return self.asked.wait_for(lambda: len(self.requests) >= number, timeout)


@contextlib.contextmanager
def serving(
    files: Mapping[str, bytes], *answers: Answer, otherwise: Answer | Rule = GOOD, tls: ssl.SSLContext | None = None
) -> Iterator[Web]:
    """Serve ``files``, whose names are paths without the first slash, until the context ends."""
    web = Web(files, answers, otherwise)
    with _Listener(("127.0.0.1", 0), _Handler) as listener:
        listener.web = web
        if tls:
            listener.socket = tls.wrap_socket(listener.socket, server_side=True)
        web.port = listener.server_address[1]
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield web
        finally:
            web.ended.set()
            listener.shutdown()
            thread.join()


class _Listener(http.server.ThreadingHTTPServer):
    web: Web
    daemon_threads = False  # the end waits for them: what they allocate is not for the next test to measure

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients go away: that is what is tested."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        path = unquote(urlsplit(self.path).path).removeprefix("/")
        request = Request(path, self.path, dict(self.headers.items()), int(start[1]) if start else None)
        answer = self.server.web.answer(request)
        self.protocol_version = answer.version
        status, headers, body = _response(answer, request, self.server.web.files.get(path))
        request.status = status
        if answer.stop == -1:
            self._stop(answer.end)
            return
        self._head(answer, status, headers)
        self._body(answer, request, body)

    def _head(self, answer: Answer, status: int, headers: Mapping[str, str | None]) -> None:
        self.send_response_only(status, HTTPStatus(status).phrase)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        if answer.framing == UNTIL_CLOSED or answer.version == "HTTP/1.0":
            self.send_header("Connection", "close")  # which the base class heeds
        self.end_headers()

    def _body(self, answer: Answer, request: Request, body: memoryview) -> None:
        chunked = answer.framing == CHUNKED
        at_once = max(1, int(answer.rate * _TICK)) if answer.rate else _CHUNK_BYTES
        stop = len(body) if answer.stop is None else min(answer.stop, len(body))
        for at in range(0, stop, at_once):
            piece = body[at : min(stop, at + at_once)]
            request.sent += len(piece)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), bytes(piece)) if chunked else piece)
            if answer.rate and self.server.web.ended.wait(_TICK):
                return
        if answer.stop is not None:
            self._stop(answer.end)
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _stop(self, end: str) -> None:
        self.close_connection = True
        if end == STALL:
            self.server.web.ended.wait()
        if end == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()

    def log_message(self, *_: object) -> None:
        pass


def _response(answer: Answer, request: Request, found: bytes | None) -> tuple[int, dict[str, str | None], memoryview]:
    data = found if answer.data is None else answer.data
    if answer.status or data is None:
        words = answer.data or b""
        headers = _length(answer, words) | dict(answer.headers)
        return answer.status or HTTPStatus.NOT_FOUND, headers, memoryview(words)
    usual = {"Content-Type": "application/x-tar", "ETag": etag(data), "Last-Modified": MODIFIED}
    headers = {**usual, **answer.headers}
    start = request.start if answer.ranges else None
    if start is None:
        return HTTPStatus.OK, _length(answer, data) | headers, memoryview(data)
    start += answer.shift
    if start >= len(data):
        unfit: dict[str, str | None] = {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"}
        return HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, unfit | dict(answer.headers), memoryview(b"")
    body = memoryview(data)[start:]
    place: dict[str, str | None] = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
    return HTTPStatus.PARTIAL_CONTENT, _length(answer, body) | place | headers, body


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


def _length(answer: Answer, body: bytes | memoryview) -> dict[str, str | None]:
    if answer.framing == CHUNKED:
        return {"Transfer-Encoding": "chunked"}
    return {"Content-Length": str(len(body))} if answer.framing == LENGTH else {}

"""One file from a server: started or taken up, tried again while bytes come, named when its checksum is right."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from concurrent import futures
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic

import urllib3

from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.imagenet.archives import RIGHT, UNPUBLISHED, archive_called
from imagenet_prep.model.events import Note, Progress, Stage, Watch
from imagenet_prep.sources.checksum import published_checksum
from imagenet_prep.sources.disguise import START_BYTES, is_archive, is_page
from imagenet_prep.stores.errors import output_errors
from imagenet_prep.verbs.fetch import part as parts
from imagenet_prep.verbs.fetch.address import Address
from imagenet_prep.verbs.fetch.answer import ANOTHER_LINK, FRESH, LOG_IN, LOGIN, Answer, TryAgain, refused
from imagenet_prep.verbs.fetch.part import URL, Growing, Origin, cannot_be, part_path, take_up, there_already
from imagenet_prep.verbs.fetch.report import Fetched, UrlOptions
from imagenet_prep.verbs.fetch.web import Web

_CHUNK_BYTES = 1 << 18
_SHORTEST_WAIT, _LONGEST_WAIT = 1.0, 60.0  # seconds between two tries
_MOMENT = 0.25  # seconds: a pause earns no more than this for the rate
_SECONDS_BETWEEN_EVENTS = 0.2

wait: Callable[[float], None] = time.sleep


class Download:
    """One file to be fetched; ``run`` is called once."""

    def __init__(self, address: Address, options: UrlOptions, web: Web) -> None:
        self._address = address
        self._options = options
        self._web = web
        self._archive = archive_called(address.name)
        self._algorithm, self._published = published_checksum(address.name)
        self._server = parts.digest_of(address.host.encode())  # tells it from others, and not which it is
        self._growing: Growing | None = None
        self._reported = 0.0
        self._paid = monotonic()  # when what came so far may have come, at the rate

    def run(self, folder: Path, watch: Watch) -> tuple[Fetched]:
        """Fetch the file into ``folder``, or what is missing of it. Raises SourceError and OutputError."""
        name = self._address.name
        self._final, self._watch = folder / name, watch
        self._part = part_path(self._final)
        if not self._archive:
            watch(Note(f"{name} is not the official name of an archive."))
        parts.tidy(self._final)  # after a kill
        if os.path.lexists(self._final):
            return (there_already(self._final),)
        here, self._origin = take_up(self._final, fresh=self._options.fresh)
        self._received, self._size = here, self._origin.size
        with ExitStack() as self._end:
            self._end.callback(parts.tidy, self._final)
            with output_errors(self._part):
                self._file = self._end.enter_context(self._part.open("ab", buffering=0))
            self._receive_all()
            seen = parts.finish_writing(self._file.fileno(), self._part, self._received)
            verdict = self._judge()
            parts.name_part(self._final, seen)
        return (Fetched(name, self._received, self._received - here, verdict),)

    def _receive_all(self) -> None:
        none = tries = urllib3.Retry(None, backoff_factor=1, backoff_max=_LONGEST_WAIT)
        while self._received != self._size:
            before = self._received
            try:
                with self._web.open(self._address, before) as answer:
                    self._receive(answer)
            except TryAgain as trouble:
                tries = (none if self._received > before else tries).increment(error=trouble)
                if (count := len(tries.history)) > self._options.retries:
                    times = f", {count:,} times in a row" if count > 1 else ""
                    remedy = "The same command goes on from what came so far."
                    raise refused(self._address, f"does not come: {trouble}{times}", remedy) from None
                seconds = max(trouble.seconds, tries.get_backoff_time(), _SHORTEST_WAIT)
                self._watch(Note(f"{self._address}: {trouble}; the next try is in {seconds:g} s."))
                wait(seconds)

    def _receive(self, answer: Answer) -> None:
        """Write what one answer brings. Raises TryAgain if less came than the server said."""
        start = self._start(answer) if answer.start == 0 else b""
        self._compare(answer)
        if not self._received:
            self._begin(answer, start)
        self._follow()
        self._write(start)
        end = self._size if answer.end is None else answer.end
        while end is None or self._received < end:
            data = answer.read(_CHUNK_BYTES if end is None else min(_CHUNK_BYTES, end - self._received))
            if not data:
                break
            self._write(data)
            self._report(Stage.FETCH, self._received, self._size, came=len(data))
        if self._received < (end or 0):
            raise TryAgain(f"the connection broke off at {self._received:,} of {end:,} bytes")
        self._size = self._received if end is None else self._size
        self._reported = 0.0
        self._report(Stage.FETCH, self._received, self._size)

    def _start(self, answer: Answer) -> bytes:
        """Read the first bytes. Raises SourceError if they cannot be those of the file."""
        start = b""
        while len(start) < START_BYTES and (more := answer.read(START_BYTES - len(start))):
            start += more
        if is_page(start) or (start and answer.page and not is_archive(start)):
            raise refused(self._address, f"is not sent, but a web page: {LOGIN}", LOG_IN)
        size = self._size if answer.size is None else answer.size
        if len(start) < (1 if size is None else min(START_BYTES, size)):
            raise TryAgain("the connection broke off")
        if wrong := cannot_be(self._archive, start):
            raise refused(self._address, f"{wrong.partition(';')[0].partition(':')[0]} on the server", ANOTHER_LINK)
        return start

    def _compare(self, answer: Answer) -> None:
        """Make sure that the server has the file that is published, or of which a part is here. Tag and time are each
        server's own: of another they say nothing, where a checksum will.
        """
        before, here = self._origin, self._received
        if not here and self._size and answer.size and answer.size != self._size:
            sizes = f"it has {answer.size:,} bytes on the server, and the published file has {self._size:,}"
            raise refused(self._address, f"is another file: {sizes}", ANOTHER_LINK)
        facts: list[tuple[str, object, object]] = [("size", self._size, answer.size)]
        if before.server == self._server or not self._published:
            facts += [("ETag", before.etag, answer.etag), ("time", before.modified, answer.modified)]
        for what, was, now in facts if here else ():
            if was and now and was != now:
                how = f"its {what} was {printable(str(was))} and is {printable(str(now))}"
                raise refused(self._address, f"has changed on the server: {how}", FRESH)
        if answer.start < here:
            reason = f"is sent from its beginning alone: the server cannot go on from byte {here:,}"
            raise refused(self._address, reason, f"Take another server, which can; or: {FRESH}")
        self._size = answer.size if self._size is None else self._size

    def _begin(self, answer: Answer, start: bytes) -> None:
        """Note which file this is, and start it over, if there is room for it."""
        if self._size is None and not self._published:
            text = "the server does not say how long it is, so it would not be noticed if the end is missing"
            self._watch(Note(f"{self._address}: {text}."))
        parts.check_room(self._part, self._size or 0)
        with output_errors(self._part):
            self._file.truncate(0)
        self._origin = Origin(URL, self._size, answer.etag, answer.modified, self._server, parts.digest_of(start))
        parts.save_origin(self._final, self._origin)

    def _write(self, data: bytes) -> None:
        with output_errors(self._part):
            while data:
                written = self._file.write(data)
                self._received += written
                data = data[written:]

    def _follow(self) -> None:
        """Begin to compute the checksum beside the download, if one is published."""
        if self._algorithm and not self._growing:
            with output_errors(self._part, "read"):
                self._growing = self._end.enter_context(Growing(self._part))
            pool = self._end.enter_context(futures.ThreadPoolExecutor(1))
            self._end.callback(self._growing.leave)  # comes first: the end of the pool waits for the thread
            digest = partial(hashlib.new, self._algorithm, usedforsecurity=False)
            self._digest = pool.submit(hashlib.file_digest, self._growing, digest)

    def _judge(self) -> str:
        """Compare the checksum of all that came with the published one. Raises SourceError if it is another."""
        self._follow()
        if not self._growing:
            return UNPUBLISHED
        self._growing.whole.set()
        while not futures.wait([self._digest], _SECONDS_BETWEEN_EVENTS).done:
            self._report(Stage.CHECKSUMS, self._growing.tell(), self._received)
        with output_errors(self._part, "read"):
            found = self._digest.result().hexdigest()
        if found == self._published:
            return RIGHT
        sums = f"its {self._algorithm.upper()} is {found}, and the published one is {self._published}"
        problem = Problem(self._address.name, f"came whole, but damaged: {sums}")
        pieces = "--torrent fetches its damaged pieces alone, or " if self._archive and self._archive.info_hash else ""
        again = "--fresh starts over." if self._origin.start else "move it away."
        remedy = f"It keeps the name with .part: {pieces}{again}"
        raise SourceError("A file is not the published one:", (problem,), remedy)

    def _report(self, stage: Stage, done: int, total: int | None, *, came: int = 0) -> None:
        """Report how far it is, and wait as long as the rate wants."""
        now = monotonic()
        if now - self._reported >= _SECONDS_BETWEEN_EVENTS:
            self._reported = now
            self._watch(Progress(stage, 0, 0, done, total or 0, subject=self._address.name))
        if self._options.rate:
            self._paid = max(self._paid, now - _MOMENT) + came / self._options.rate
            if self._paid > now:
                wait(self._paid - now)

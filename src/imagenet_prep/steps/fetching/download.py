"""One file from a server: begun or taken up, tried again as long as bytes come, named when its checksum is right."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from imagenet_prep.core.fetched import Fetched, UrlOptions
from imagenet_prep.core.progress import Note, Progress, Watch
from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.remote.address import Address
from imagenet_prep.remote.answer import Answer, TryAgain, refused
from imagenet_prep.remote.web import Web
from imagenet_prep.sources.checksum import RIGHT, UNPUBLISHED
from imagenet_prep.sources.disguise import START_BYTES, disguise, is_page
from imagenet_prep.steps.fetching.begun import begun, checksum_of, is_plain_tar, published_as, there_already
from imagenet_prep.storage.partial import Partial
from imagenet_prep.storage.space import check_space

_CHUNK_BYTES = 1 << 18
_LONGEST_WAIT = 60.0  # seconds between two tries
_LONGEST_REQUEST = 3600.0  # the same, if the server asks for it
_SECONDS_BETWEEN_EVENTS = 0.2
_LOGIN = "the login has expired, or cookies are missing"

wait: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class Download:
    """One file on its way to ``final``; ``run`` is called once."""

    address: Address
    final: Path
    options: UrlOptions
    watch: Watch
    _spoke: float = field(default=0.0)

    def run(self, web: Web) -> Fetched:
        """Fetch the file, or what is missing of it. Raises SourceError and OutputError."""
        if self.final.exists():
            return there_already(self.final)
        with Partial(self.final, begun(self.final, fresh=self.options.fresh)) as part:
            before = part.received
            self._receive_all(web, part)
            verdict = self._judge(part)
            part.publish()
            return Fetched(self.address.name, part.received, part.received - before, verdict)

    def _receive_all(self, web: Web, part: Partial) -> None:
        idle = 0
        while part.received != part.size:
            before = part.received
            try:
                with web.open(self.address, part.received) as answer:
                    self._receive(answer, part)
            except TryAgain as trouble:
                idle = 1 if part.received > before else idle + 1
                self._pause(trouble, idle)

    def _pause(self, trouble: TryAgain, idle: int) -> None:
        """Wait before the next try, or give up."""
        if idle > self.options.retries:
            times = f", {idle:,} times in a row" if idle > 1 else ""
            raise refused(self.address, f"does not come: {trouble}{times}")
        seconds = max(min(trouble.seconds, _LONGEST_REQUEST), min(2.0 ** (idle - 1), _LONGEST_WAIT))
        self.watch(Note(f"{self.address}: {trouble}; the next try is in {seconds:g} s."))
        wait(seconds)

    def _receive(self, answer: Answer, part: Partial) -> None:
        """Write what one answer brings. Raises TryAgain if that is not all."""
        if answer.page:
            raise self._page(answer)
        beginning = self._beginning(answer) if answer.start == 0 else b""
        if part.received == 0:
            self._identify(answer, part)
        else:
            self._compare(answer, part)
        if answer.start == 0 and part.received:
            self._pass_over(answer, part, beginning)
        else:
            part.write(beginning)
        self._write_rest(answer, part)

    def _beginning(self, answer: Answer) -> bytes:
        """Read the first bytes, and look whether they can be those of an archive."""
        start = b""
        while len(start) < START_BYTES and (more := answer.read(START_BYTES - len(start))):
            start += more
        if answer.size != 0 and not start:
            raise TryAgain("the connection broke off")
        if is_page(start):
            raise self._page(answer)
        archive = published_as(self.address.name)
        wrong = disguise(start, plain_tar=is_plain_tar(archive)) if archive else ""
        if wrong:
            raise refused(self.address, wrong)
        return start

    def _page(self, answer: Answer) -> SourceError:
        if answer.moved:
            return refused(self.address, f"is not sent; the server sends on to a page of {answer.moved}: {_LOGIN}")
        return refused(self.address, f"is not sent, but a web page: {_LOGIN}")

    def _identify(self, answer: Answer, part: Partial) -> None:
        """Note which file of the server this is, if it can be the right one and there is room for it."""
        archive = published_as(self.address.name)
        official = archive.size if archive else None
        if official and answer.size not in (None, official):
            reason = f"has {answer.size:,} bytes on the server, and the published file has {official:,}"
            raise refused(self.address, f"is another file: it {reason}")
        size = answer.size if answer.size is not None else official
        if size is None and not checksum_of(self.address.name)[1]:
            self.watch(Note(f"{self.address}: the server does not say how long it is, so a lack would not show."))
        check_space(self.final.parent, size or 0, remedy="Free some space, or choose another folder.")
        part.identify(size, answer.etag, answer.modified)

    def _compare(self, answer: Answer, part: Partial) -> None:
        """Make sure that the server still has the file that was begun."""
        bookmark = part.bookmark
        for what, before, now in (
            ("size", bookmark.size, answer.size),
            ("ETag", bookmark.etag, answer.etag),
            ("time", bookmark.modified, answer.modified),
        ):
            if before and now and before != now:
                shown = [f"{each:,}" if isinstance(each, int) else printable(each) for each in (before, now)]
                raise refused(
                    self.address, f"has changed on the server: its {what} was {shown[0]} and is {shown[1]}", fresh=True
                )
        if part.size is None:
            self._identify(answer, part)

    def _pass_over(self, answer: Answer, part: Partial, beginning: bytes) -> None:
        """Read what is here already, from a server that begins at the start whatever it is asked, and compare it."""
        self.watch(Note(f"{self.address}: the server cannot go on in the middle, so what is here is passed over."))
        data, place, here = beginning, 0, part.received
        while place < here:
            if not data:
                raise TryAgain("the connection broke off")
            if not part.has(data[: here - place], place):
                raise refused(self.address, "has changed on the server: its first bytes are others", fresh=True)
            place += len(data)
            data = answer.read(min(_CHUNK_BYTES, here - place)) if place < here else b""
        part.write(beginning[here:])

    def _write_rest(self, answer: Answer, part: Partial) -> None:
        began, before = monotonic(), part.received
        while part.size is None or part.received < part.size:
            data = answer.read(_CHUNK_BYTES if part.size is None else min(_CHUNK_BYTES, part.size - part.received))
            if not data:
                break
            part.write(data)
            self._tell("fetch", part.received, part.size or 0)
            if self.options.rate:
                wait(max(0.0, (part.received - before) / self.options.rate - (monotonic() - began)))
        if part.size is None:
            part.identify(part.received, answer.etag, answer.modified)
        self._spoke = 0.0
        self._tell("fetch", part.received, part.size or 0)
        if part.received < (part.size or 0):
            raise TryAgain(f"the connection broke off at {part.received:,} of {part.size:,} bytes")

    def _judge(self, part: Partial) -> str:
        """Compare the checksum of all that came with the published one. Raises SourceError if it is another."""
        while (hashed := part.hashing(_SECONDS_BETWEEN_EVENTS)) is not None:
            self._tell("checksums", hashed, part.received)
        algorithm, published = checksum_of(self.address.name)
        if not published:
            return UNPUBLISHED
        if part.checksum() == published:
            return RIGHT
        name = {"md5": "MD5", "sha1": "SHA-1"}[algorithm]
        reason = f"came whole, but damaged: its {name} is {part.checksum()}, and the published one is {published}"
        raise SourceError(
            "A file is not the published one:",
            (Problem(printable(self.address.name), reason),),
            "It keeps the name with .part. --torrent fetches its damaged pieces alone; --fresh begins anew.",
        )

    def _tell(self, stage: str, done: int, total: int) -> None:
        now = monotonic()
        if now - self._spoke >= _SECONDS_BETWEEN_EVENTS:
            self._spoke = now
            self.watch(Progress(stage, 0, 0, done, total, subject=self.address.name))

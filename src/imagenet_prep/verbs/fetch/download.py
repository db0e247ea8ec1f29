"""One file from a server: begun or taken up, tried again as long as bytes come, named when its checksum is right."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from imagenet_prep.errors import Problem, SourceError, printable
from imagenet_prep.imagenet.archives import RIGHT, TRAIN, UNPUBLISHED, VALIDATION
from imagenet_prep.model.events import Note, Progress, Stage, Watch
from imagenet_prep.sources.disguise import START_BYTES, disguise, is_archive, is_page
from imagenet_prep.stores.space import check_space
from imagenet_prep.verbs.fetch.address import Address
from imagenet_prep.verbs.fetch.answer import Answer
from imagenet_prep.verbs.fetch.http_errors import ANOTHER_LINK, FRESH, GO_ON, LOG_IN, LOGIN, TryAgain, refused
from imagenet_prep.verbs.fetch.partial import Partial
from imagenet_prep.verbs.fetch.rate_limit import Pace
from imagenet_prep.verbs.fetch.report import Fetched, UrlOptions
from imagenet_prep.verbs.fetch.resume import begun, checksum_of, published_as, there_already
from imagenet_prep.verbs.fetch.web import Web

_CHUNK_BYTES = 1 << 18
_MOST_DOUBLINGS = 6  # of the wait between two tries, from one second to a minute
_LONGEST_WAIT = 60.0
_LONGEST_REQUEST = 3600.0  # the same, if the server asks for it
_SECONDS_BETWEEN_EVENTS = 0.2
_SUMS = {"md5": "MD5", "sha1": "SHA-1"}

wait: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class Download:
    """One file on its way to ``final``; ``run`` is called once."""

    address: Address
    final: Path
    options: UrlOptions
    watch: Watch
    _spoke: float = field(default=0.0)
    _pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self._pace = Pace(self.options.rate)

    def run(self, web: Web) -> Fetched:
        """Fetch the file, or what is missing of it. Raises SourceError and OutputError."""
        if os.path.lexists(self.final):
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
            raise refused(self.address, f"does not come: {trouble}{times}", GO_ON)
        usual = min(2.0 ** min(idle - 1, _MOST_DOUBLINGS), _LONGEST_WAIT)
        seconds = max(min(trouble.seconds, _LONGEST_REQUEST), usual)
        self.watch(Note(f"{self.address}: {trouble}; the next try is in {seconds:g} s."))
        wait(seconds)

    def _receive(self, answer: Answer, part: Partial) -> None:
        """Write what one answer brings. Raises TryAgain if less came than the server said."""
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
        if is_page(start) or (answer.page and not is_archive(start)):
            to = f"; the server sends on to a page of {printable(answer.moved)}" if answer.moved else ", but a web page"
            raise refused(self.address, f"is not sent{to}: {LOGIN}", LOG_IN)
        archive = published_as(self.address.name)
        if archive and (wrong := disguise(start, plain_tar=archive.plain_tar)):
            raise refused(self.address, f"{wrong.partition(';')[0].partition(':')[0]} on the server", ANOTHER_LINK)
        unsaid = answer.size is None and not checksum_of(self.address.name)[1]  # and nothing else would show it
        if archive and not is_archive(start) and (unsaid or len(start) in (START_BYTES, answer.size)):
            reason = "is no archive on the server: it begins neither as a tar does, nor as what gzip compresses"
            raise refused(self.address, reason, ANOTHER_LINK)
        return start

    def _identify(self, answer: Answer, part: Partial) -> None:
        """Note which file of the server this is, if it can be the right one and there is room for it."""
        archive = published_as(self.address.name)
        official = archive.size if archive else None
        if official and answer.size not in (None, official):
            sizes = f"it has {answer.size:,} bytes on the server, and the published file has {official:,}"
            raise refused(self.address, f"is another file: {sizes}", ANOTHER_LINK)
        size = answer.size if answer.size is not None else part.size or official
        if size is None and not checksum_of(self.address.name)[1]:
            text = "the server does not say how long it is, so it would not be noticed if the end is missing"
            self.watch(Note(f"{self.address}: {text}."))
        check_space(self.final.parent, (size or 0) - part.occupied, remedy="Free some space, or choose another folder.")
        part.identify(size, answer.etag, answer.modified, self.address.origin)

    def _compare(self, answer: Answer, part: Partial) -> None:
        """Make sure that the server still has the file that was begun. ETag and time are each server's own: of another
        one they say nothing, where a checksum will.
        """
        bookmark = part.bookmark
        elsewhere = bool(bookmark.algorithm) and bookmark.origin != self.address.origin
        if answer.size is not None and answer.size < part.received:
            raise self._changed(f"it has {answer.size:,} bytes, and {part.received:,} are here already")
        for what, before, now in (
            ("size", bookmark.size, answer.size),
            ("ETag", "" if elsewhere else bookmark.etag, answer.etag),
            ("time", "" if elsewhere else bookmark.modified, answer.modified),
        ):
            if before and now and before != now:
                was, is_now = (f"{each:,}" if isinstance(each, int) else printable(each) for each in (before, now))
                raise self._changed(f"its {what} was {was} and is {is_now}")
        if part.size is None or elsewhere:
            self._identify(answer, part)

    def _changed(self, how: str) -> SourceError:
        return refused(self.address, f"has changed on the server: {how}", FRESH)

    def _pass_over(self, answer: Answer, part: Partial, beginning: bytes) -> None:
        """Read what is here already, from a server that begins at the start whatever it is asked, and compare it."""
        text = "the server sends it from its beginning again; what is here already is skipped, not lost"
        self.watch(Note(f"{self.address}: {text}."))
        data, place, here = beginning, 0, part.received
        while place < here:
            if not data:
                raise TryAgain("the connection broke off")
            if not part.has(data[: here - place], place):
                raise self._changed("its first bytes are others")
            place += len(data)
            self._tell(Stage.SKIP, min(place, here), here)
            self._keep_to_rate(len(data))
            data = answer.read(min(_CHUNK_BYTES, here - place)) if place < here else b""
        part.write(beginning[here:])

    def _write_rest(self, answer: Answer, part: Partial) -> None:
        end = answer.end if answer.end is not None else part.size
        while end is None or part.received < end:
            data = answer.read(_CHUNK_BYTES if end is None else min(_CHUNK_BYTES, end - part.received))
            if not data:
                break
            part.write(data)
            self._tell(Stage.FETCH, part.received, part.size or 0)
            self._keep_to_rate(len(data))
        if end is None:
            part.identify(part.received, answer.etag, answer.modified, self.address.origin)
        self._spoke = 0.0
        self._tell(Stage.FETCH, part.received, part.size or 0)
        if part.received < (end or 0):
            of = f" of {part.size:,}" if part.size is not None else ""
            raise TryAgain(f"the connection broke off at {part.received:,}{of} bytes")

    def _judge(self, part: Partial) -> str:
        """Compare the checksum of all that came with the published one. Raises SourceError if it is another."""
        while (hashed := part.hashing(_SECONDS_BETWEEN_EVENTS)) is not None:
            self._tell(Stage.CHECKSUMS, hashed, part.received)
        algorithm, published = checksum_of(self.address.name)
        if not published:
            return UNPUBLISHED
        if part.checksum() == published:
            return RIGHT
        sums = f"its {_SUMS[algorithm]} is {part.checksum()}, and the published one is {published}"
        archive = published_as(self.address.name)
        mend = (
            "--torrent fetches its damaged pieces alone, or " if archive and archive.role in (TRAIN, VALIDATION) else ""
        )
        anew = "move it away." if part.bookmark.adopted else "--fresh begins anew."
        raise SourceError(
            "A file is not the published one:",
            (Problem(printable(self.address.name), f"came whole, but damaged: {sums}"),),
            f"It keeps the name with .part: {mend}{anew}",
        )

    def _keep_to_rate(self, came: int) -> None:
        if seconds := self._pace.owed(came, monotonic()):
            wait(seconds)

    def _tell(self, stage: Stage, done: int, total: int) -> None:
        now = monotonic()
        if now - self._spoke >= _SECONDS_BETWEEN_EVENTS:
            self._spoke = now
            self.watch(Progress(stage, 0, 0, done, total, subject=self.address.name))

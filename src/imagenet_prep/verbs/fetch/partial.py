"""An unfinished file whose bytes come in order: a kill at any moment costs at most what came in the last moment.

A thread of its own syncs what was written and then notes how much that is: what the bookmark says is on the disk, is.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Self

from imagenet_prep.errors import PrepError
from imagenet_prep.stores.errors import disturbed, output_errors
from imagenet_prep.stores.lock import lock_file
from imagenet_prep.stores.sync import sync_file
from imagenet_prep.verbs.fetch.follower import Follower
from imagenet_prep.verbs.fetch.running_digest import running_digest
from imagenet_prep.verbs.fetch.unfinished import (
    Bookmark,
    bytes_there,
    forget_bookmark,
    name_part,
    remove_unfinished,
    save_bookmark,
    unfinished_path,
)

_WRITE_BEHIND_BYTES = 16 << 20
_SECONDS_BETWEEN_NOTES = 0.2
_SHARE_OF_NOTES = 3  # on a slow disk notes become rarer: at most a quarter of the time is spent on them


class Partial:
    """The part of the file ``final``, taken up as ``bookmark`` says. A context manager: its end notes how far it is."""

    def __init__(self, final: Path, bookmark: Bookmark) -> None:
        self._final = final
        self._path = unfinished_path(final)
        self.bookmark = bookmark
        self.received = 0
        self._asked = 0  # bytes that the kernel was asked to write
        self._follower: Follower | None = None
        self._ended = Event()
        self._saving = Lock()
        self._noted = (-1, -1)  # received and hashed
        self._locked = False
        self._begun = False  # whether the file is ours to write into: before, what was there stays
        self._error: PrepError | None = None
        self._keeper = Thread(target=self._keep, name=f"notes on {final.name}", daemon=True)

    def __enter__(self) -> Self:
        with output_errors(self._path):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o666)
        try:
            self._take_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _take_up(self) -> None:
        with output_errors(self._path):
            # The folder is locked already, but on some network file systems only what is open for writing can be.
            lock_file(self._descriptor, self._path)
            self._locked = True
            self.received = min(self.bookmark.received, os.fstat(self._descriptor).st_size)
            if self.received:
                self._cut()
        self._follow()
        self._keeper.start()

    def _cut(self) -> None:
        """Take away what is behind the bytes that are certain."""
        os.ftruncate(self._descriptor, self.received)
        self._asked = self.received
        self._begun = True

    def _follow(self) -> None:
        """Go on with the checksum where the bookmark says, or from the start."""
        if not self.bookmark.algorithm:
            return
        hashed = self.bookmark.hashed if self.bookmark.hashed <= self.received else 0
        digest = running_digest(self.bookmark.algorithm, self.bookmark.state, hashed) if hashed else None
        if digest is None:
            hashed, digest = 0, running_digest(self.bookmark.algorithm)
            assert digest is not None  # without a state there is nothing that could be missing
        self._follower = Follower(self._path, digest, hashed)
        self._follower.reach(self.received)

    @property
    def size(self) -> int | None:
        """The size of the whole file in bytes, None as long as nobody said it."""
        return self.bookmark.size

    @property
    def occupied(self) -> int:
        """Bytes that the file has on the disk, also those that will be written over. Raises OutputError."""
        with output_errors(self._path, "read"):
            return bytes_there(self._final) or 0

    def identify(self, size: int | None, etag: str, modified: str, origin: str) -> None:
        """Note of which file of the server these bytes are, before the first of them is written."""
        with self._saving:
            self.bookmark = replace(self.bookmark, size=size, etag=etag, modified=modified, origin=origin)
        if not self._begun:
            with output_errors(self._path):
                self._cut()
        self.save()

    def write(self, data: bytes) -> None:
        """Add bytes at the end. Raises OutputError, also for what went wrong while noting."""
        view = memoryview(data)
        with output_errors(self._path):
            if not self._begun:
                self._cut()
            self._look(exactly=True)
            while view:
                written = os.write(self._descriptor, view)
                self.received += written
                view = view[written:]
            if self.received - self._asked >= _WRITE_BEHIND_BYTES:
                self._ask()
        if self._follower:
            self._follower.reach(self.received)
        if self._error:
            raise self._error

    def _ask(self) -> None:
        """Ask the kernel to begin writing to the disk, so that the syncs find little left."""
        if hasattr(os, "posix_fadvise"):  # not on macOS; for pages that are still dirty this advice means: write them
            with suppress(OSError):  # it is advice, which some file systems do not take
                os.posix_fadvise(self._descriptor, self._asked, self.received - self._asked, os.POSIX_FADV_DONTNEED)
        self._asked = self.received

    def has(self, data: bytes, place: int) -> bool:
        """Whether the file has these bytes at ``place``. Raises OutputError."""
        with output_errors(self._path, "read"):
            return os.pread(self._descriptor, len(data), place) == data

    def save(self) -> None:
        """Note how far the file is, durably. Raises OutputError."""
        with self._saving:
            hashed, state = self._follower.snapshot() if self._follower else (0, "")
            received = self.received  # read after the snapshot: never less than what was hashed
            with output_errors(self._path):
                sync_file(self._descriptor)
                self._look()  # or the bookmark would be on another file, and make that ours
            self.bookmark = replace(self.bookmark, received=received, hashed=hashed if state else 0, state=state)
            save_bookmark(self._final, self.bookmark)
            self._noted = received, hashed

    def hashing(self, seconds: float) -> int | None:
        """Wait at most so long for the checksum of all that came; give the bytes it covers, None if that is all."""
        return self._follower.wait(seconds) if self._follower else None

    def checksum(self) -> str:
        """Give the checksum in hexadecimal digits, "" if none was asked for. Called when ``hashing`` gives None."""
        return self._follower.hexdigest() if self._follower else ""

    def publish(self) -> None:
        """Give the file its name, durably, without the bookmark. Raises OutputError, also if another has it by now."""
        self._stop()
        with output_errors(self._final):
            sync_file(self._descriptor)
            self._look(exactly=True)
            seen = os.fstat(self._descriptor)
        name_part(self._final, seen)

    def _look(self, *, exactly: bool = False) -> None:
        """Raise DisturbedError unless the file is there, with the bytes that were written: ``exactly`` these where none
        is being written.
        """
        if not self._is_there() or not self.received <= self._size() or (exactly and self.received != self._size()):
            raise disturbed(self._path)

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(self._path))
        except FileNotFoundError:
            return False

    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def __exit__(self, *_: object) -> None:
        self._stop()
        try:
            if not self._locked:
                return  # another run's
            if not self._is_there():  # it has its name; or it is gone, and what is there is not what was noted
                forget_bookmark(self._final, other=True)
                return
            if self._size() == 0:
                remove_unfinished(self._final)  # nothing worth a file, and nothing to go on from
            elif self._is_ahead() and self._size() == self.received:
                self.save()
        finally:
            if self._follower:
                self._follower.close()
            os.close(self._descriptor)

    def _stop(self) -> None:
        self._ended.set()
        if self._keeper.is_alive():
            self._keeper.join()

    def _is_ahead(self) -> bool:
        """Whether there is more than the bookmark says."""
        hashed = self._follower.snapshot()[0] if self._follower else 0
        return self._begun and (self.received, hashed) != self._noted

    def _keep(self) -> None:
        pause = _SECONDS_BETWEEN_NOTES
        while not self._ended.wait(pause):
            if not self._is_ahead():
                continue
            began = monotonic()
            try:
                self.save()
            except PrepError as error:
                self._error = error
                return
            pause = max(_SECONDS_BETWEEN_NOTES, _SHARE_OF_NOTES * (monotonic() - began))

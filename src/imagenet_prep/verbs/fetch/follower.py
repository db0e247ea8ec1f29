"""A checksum that follows the writer of a file: a thread reads back what was written, from the page cache.

So who goes on from a kept state, who goes on without one, and who begins anew are one case, with another start; and the
checksum never holds up what comes from the network.
"""

from __future__ import annotations

from pathlib import Path
from threading import Condition, Lock, Thread

from imagenet_prep.errors import PrepError
from imagenet_prep.stores.errors import disturbed, output_errors
from imagenet_prep.verbs.fetch.running_digest import RunningDigest

_CHUNK_BYTES = 1 << 20
_MOST_BEHIND = 64 << 20  # bytes: more may have left the page cache, and would be left to do after a kill


class Follower:
    """Takes a file into ``digest`` from the byte ``hashed`` on, as far as ``reach`` says that there is something."""

    def __init__(self, path: Path, digest: RunningDigest, hashed: int) -> None:
        self._path = path
        self._digest = digest
        self._hashed = hashed
        self._end = hashed
        self._most_behind = 0
        self._closed = False
        self._error: PrepError | None = None
        self._changed = Condition()
        self._whole = Lock()  # held while the digest takes something in, and its state is neither old nor new
        self._thread = Thread(target=self._run, name=f"checksum of {path.name}", daemon=True)
        self._thread.start()

    def reach(self, end: int) -> None:
        """The file now has ``end`` bytes, none of which will change. Raises as ``wait`` does.

        Waits if that is far ahead, and farther than it was at the first call: what was there before is read beside what
        comes, never before it.
        """
        self._most_behind = self._most_behind or max(_MOST_BEHIND, end - self._hashed)
        with self._changed:
            self._end = end
            self._changed.notify_all()
        while self._wait_for(end - self._most_behind, seconds=1.0) is not None:
            pass

    def snapshot(self) -> tuple[int, str]:
        """Give the number of bytes taken in, and the state behind them."""
        with self._whole:
            return self._hashed, self._digest.state()

    def wait(self, seconds: float) -> int | None:
        """Wait at most so long for the rest; give the bytes taken in, None if that is all. Raises OutputError if the
        file cannot be read back.
        """
        return self._wait_for(self._end, seconds)

    def _wait_for(self, place: int, seconds: float) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._hashed >= place, seconds)
            if self._error:
                raise self._error
            if self._hashed >= place:
                return None
        if not self._thread.is_alive():
            raise PrepError(f"The checksum of {self._path} stopped.")
        return self._hashed

    def hexdigest(self) -> str:
        """Give the checksum of what was taken in."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """End the thread; may be repeated."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        buffer = memoryview(bytearray(_CHUNK_BYTES))
        try:
            with output_errors(self._path, "read"), self._path.open("rb", buffering=0) as file:
                file.seek(self._hashed)
                while wanted := self._more():
                    self._take(buffer[: file.readinto(buffer[:wanted])])
        except PrepError as error:  # for the thread that waits
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _more(self) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._hashed < self._end)
            return 0 if self._closed else min(self._end - self._hashed, _CHUNK_BYTES)

    def _take(self, data: memoryview) -> None:
        if not data:
            raise disturbed(self._path)  # it has become shorter
        with self._whole:
            self._digest.update(data)
            self._hashed += len(data)
        with self._changed:
            self._changed.notify_all()

"""The checksum of a file while it grows: a thread reads the file from its first byte on, as far as it is written.

So a download that starts and one that goes on are one case: what is there already is read beside what comes, and what
comes is read back from the page cache. Neither waits for the other until the end.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Event, Thread

_CHUNK_BYTES = 1 << 20
_SECONDS_BETWEEN_LOOKS = 0.01  # for more bytes, where all were read


class Checksum:
    """Reads the file at ``path``; ``done`` is how far it is, in bytes."""

    def __init__(self, path: Path, algorithm: str) -> None:
        self._path = path
        self._digest = hashlib.new(algorithm, usedforsecurity=False)
        self._error: OSError | None = None
        self._whole, self._closed = Event(), Event()
        self.done = 0
        self._thread = Thread(target=self._run, name=f"checksum of {path.name}", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> str:
        """Wait at most so long for the end of the file, which will not grow any more; give the checksum, "" before.
        Raises OSError if the file cannot be read.
        """
        self._whole.set()
        self._thread.join(seconds)
        if self._error:
            raise self._error
        return "" if self._thread.is_alive() else self._digest.hexdigest()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._whole.set()
        self._thread.join()

    def _run(self) -> None:
        buffer = memoryview(bytearray(_CHUNK_BYTES))
        try:
            with self._path.open("rb", buffering=0) as file:
                while not self._closed.is_set():
                    whole = self._whole.is_set()  # asked before the read: what was written before is read
                    if size := file.readinto(buffer):
                        self._digest.update(buffer[:size])
                        self.done += size
                    elif whole:
                        return
                    else:
                        self._whole.wait(_SECONDS_BETWEEN_LOOKS)
        except OSError as error:  # for the thread that waits
            self._error = error

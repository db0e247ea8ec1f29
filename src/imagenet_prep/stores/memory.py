"""A store in memory: for tests, and to see what a build would write. It lives in one process, so
it wants an engine that runs there.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import xxhash

from imagenet_prep.errors import OtherBuildError
from imagenet_prep.model.receipt import FileFact
from imagenet_prep.model.sample import Buffer
from imagenet_prep.stores.base import Batch, Listing, Stat, Store


class _Sink:
    def __init__(self, path: str) -> None:
        self.path = path
        self.data = bytearray()
        self._taken: list[Buffer] = []
        self.size = 0

    def write(self, *buffers: Buffer) -> None:
        """Take bytes; on loan until ``flush``, as the protocol says, so that tests find who keeps them longer."""
        self._taken += buffers
        self.size += sum(map(len, buffers))

    def flush(self) -> None:
        """Copy what was taken."""
        self.data += b"".join(self._taken)
        self._taken.clear()

    def fact(self) -> FileFact:
        """Give what the file is."""
        self.flush()
        return FileFact(self.path, self.size, xxhash.xxh3_128_hexdigest(self.data))


class _Batch(Batch):
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._sinks: list[_Sink] = []

    def create(self, path: str) -> _Sink:
        """Open a file."""
        self._sinks.append(_Sink(path))
        return self._sinks[-1]

    def place(self, path: str, data: Buffer, source: str = "") -> None:  # noqa: ARG002 — there are no blocks to share
        """Write a file at once."""
        self._store.publish(path, bytes(data))

    def discard(self, path: str) -> None:
        """Remove a file."""
        self._store.remove(path)

    def commit(self) -> None:
        """Give every file its name."""
        for sink in self._sinks:
            sink.flush()
            self._store.publish(sink.path, bytes(sink.data))

    def __exit__(self, *_: object) -> None:
        self._sinks.clear()


class MemoryStore(Store):
    """Files in a dictionary, ``files``: path → bytes."""

    place = "memory"

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self._versions: dict[str, int] = {}
        self._times: dict[str, int] = {}
        self._count = itertools.count()
        self._writers = 0
        self._turn = threading.RLock()

    def batch(self) -> _Batch:
        """Begin to write."""
        return _Batch(self)

    def publish(self, path: str, data: bytes) -> FileFact:
        """Write a file."""
        self.files[path] = data
        self._versions[path] = self._times[path] = next(self._count)
        return FileFact(path, len(data), xxhash.xxh3_128_hexdigest(data))

    def touch(self, path: str, time: int) -> None:
        """Give a file another time."""
        self._times[path] = time

    def read(self, path: str) -> bytes:
        """Read a file."""
        if path not in self.files:
            raise FileNotFoundError(2, "No such file", path)
        return self.files[path]

    def stat(self, path: str) -> Stat | None:
        """Look at a file."""
        if path not in self.files:
            return None
        return Stat(len(self.files[path]), self._versions[path], self._times[path])

    def list(self, folder: str) -> Listing:
        """List a folder."""
        prefix = f"{folder}/" if folder else ""
        below = [path[len(prefix) :].split("/") for path in self.files if path.startswith(prefix)]
        files = {parts[0] for parts in below if len(parts) == 1}
        return Listing(sorted(files), sorted({parts[0] for parts in below if len(parts) > 1}))

    def remove(self, path: str) -> None:
        """Remove a file."""
        self.files.pop(path, None)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let other threads wait."""
        with self._turn:
            yield

    @contextmanager
    def hold(self, *, alone: bool) -> Iterator[None]:
        """Count who writes."""
        if self._writers < 0 or (alone and self._writers):
            raise OtherBuildError(f"Another run is at work in {self.place}.", remedy="Wait for its end.")
        change = -1 if alone else 1
        self._writers += change
        try:
            yield
        finally:
            self._writers -= change

"""A final name means complete: write under a temporary name, sync, rename, sync the folder.

The temporary name holds machine and process number, so two runs on one folder never write into each other's file, and
what a killed run left behind can be told from what a living one is writing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from imagenet_prep.errors import OutputError

_HOST = re.sub(
    r"[^\w-]", "_", socket.gethostname()
)  # a process number means nothing on another machine of a shared disk
_TEMPORARY = re.compile(rf"\..+\.{_HOST}\.(\d+)\.part")
_AGAIN = "Then run the same command again: finished shards are kept."
_REMEDIES = {
    errno.ENOSPC: f"Free some space. {_AGAIN}",
    errno.EDQUOT: f"Your quota is used up: free some space. {_AGAIN}",
    errno.EFBIG: "A file may not grow that large here (see ulimit -f). More shards (--shards) make smaller files.",
    errno.EROFS: "The file system is read-only; choose another folder.",
    errno.EACCES: "Choose a folder you may write to.",
    errno.EPERM: "Choose a folder you may write to.",
    errno.EMFILE: "Too many files are open (see ulimit -n). Fewer --jobs need fewer.",
}


class Publication:
    """Files that get their names together, when all of them are complete. Paths are below ``folder``.

    A context manager: whatever is not finished when the context ends is removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Path, tuple[Path, int]] = {}  # final path → temporary path, descriptor

    def create(self, path: str) -> int:
        """Open a new file that will be known as ``path``, and give its descriptor, which stays the
        publication's to close.
        """
        final = self._folder / path
        with output_errors(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary = final.with_name(f".{final.name}.{_HOST}.{os.getpid()}.part")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self._open[final] = temporary, descriptor
        return descriptor

    def finish(self) -> None:
        """Sync all contents, then give every file its name, durably."""
        for final, (_, descriptor) in self._open.items():
            with output_errors(final):
                os.fsync(descriptor)
        folders = sorted({final.parent for final in self._open})
        for final, (temporary, descriptor) in list(self._open.items()):
            with output_errors(final):
                temporary.replace(final)
            os.close(descriptor)
            del self._open[final]
        for parent in folders:
            sync_folder(parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            temporary, descriptor = self._open.popitem()[1]
            os.close(descriptor)
            temporary.unlink(missing_ok=True)


def publish_bytes(path: Path, data: bytes) -> None:
    """Write a whole small file, durably, under its final name."""
    with Publication(path.parent) as files, output_errors(path):
        descriptor = files.create(path.name)
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        files.finish()


def sync_folder(folder: Path) -> None:
    """Make the renames in ``folder`` survive a power cut."""
    with output_errors(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep(folder: Path) -> int:
    """Remove temporary files that dead processes of this machine left in ``folder`` and below; gives their number."""
    removed = 0
    for path in folder.rglob(".*.part"):
        match = _TEMPORARY.fullmatch(path.name)
        if match and not _is_alive(int(match[1])):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn an OSError about the output into an OutputError that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "Nothing of the source was changed; run the same command again.")
        raise OutputError(f"Cannot write {path}: {reason}.", remedy=remedy) from error

"""Who may work in a folder together: builds that copy or link, because each of their steps may be repeated, with
the same bytes. Moves and undo must be alone, because one reverses the other, and so must runs that set images
aside, which another run may be about to write.

The lock is the kernel's, on the folder itself, so it is gone with the process however that ends, and leaves no file.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imagenet_prep.errors import OtherBuildError
from imagenet_prep.stores.errors import output_errors
from imagenet_prep.stores.temporary import lock


@contextmanager
def held(folder: Path, out: Path, *, alone: bool) -> Iterator[None]:
    """Hold ``folder``, a part of ``out`` that exists. Raises OtherBuildError if another process holds it and one of the
    two wants to be alone.
    """
    with output_errors(folder, "read"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OtherBuildError(f"Another run is at work in {out}.", remedy="Wait for its end.") from error
        except OSError:
            pass  # a file system without locks; the checks of every single move remain
        yield
    finally:
        os.close(descriptor)


def lock_file(descriptor: int, path: Path) -> None:
    """Lock a file that is open for writing, until it is closed. Raises OtherBuildError if another process has it."""
    if lock(descriptor) is False:
        raise OtherBuildError(f"Another run is at work on {path}.", remedy="Wait for its end.")


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Be the only one to decide something in ``folder``, which is made, for a moment: others wait for their turn."""
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

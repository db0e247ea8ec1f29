"""What goes wrong while a store reads or writes, in words: what the system refuses, and what another program does."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from imagenet_prep.errors import OutputError
from imagenet_prep.platform import lacking

Result = TypeVar("Result")

_TRIES = 5
MAY_READ = "Its owner can change that (chmod -R u+rX, or a+rX for all users); nothing is known to be damaged."
_AGAIN = "Then run the same command again: what is finished is kept."
_REMEDIES = {
    errno.ENOSPC: f"Free some space. {_AGAIN}",
    errno.EDQUOT: f"Your quota is used up: free some space. {_AGAIN}",
    errno.EFBIG: "A file may not grow that large here (see ulimit -f). More shards (--shards) make smaller files.",
    errno.ENOENT: "A folder above it has been removed, perhaps the one you are in.",
    errno.EROFS: "The file system is read-only; choose another folder.",
    errno.EACCES: "Choose a folder you may write to.",
    errno.EPERM: "Choose a folder you may write to.",
    errno.EISDIR: "A folder has the name of this file: move it away.",
    errno.ENOTDIR: "A file has the name of a folder: move it away.",
    errno.EMFILE: "Too many files are open (see ulimit -n). Fewer --jobs need fewer.",
}
_FIND_IT = (
    "Find that program: it cleans up, synchronises or moves files. Then run the same command again: what is finished "
    "is kept."
)


@contextlib.contextmanager
def output_errors(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn an OSError about the output into an OutputError that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "Nothing of the source was changed; run the same command again.")
        if doing == "read" and isinstance(error, PermissionError):
            there = Path(error.filename) if isinstance(error.filename, str) else path  # a file in it, perhaps
            remedy = f"{' '.join(map(str, lacking(there)))}. {MAY_READ}"
        raise OutputError(f"Cannot {doing} {path}: {reason}.", remedy=remedy) from error


@contextlib.contextmanager
def library_errors(path: Path) -> Iterator[None]:
    """Turn a RuntimeError of a library that writes ``path`` into an OutputError, by what the system said; where it said
    nothing, what was written is not there as it was, and that is a DisturbedError.
    """
    try:
        yield
    except RuntimeError as error:
        number = next((each for each in errno.errorcode if os.strerror(each) in str(error)), errno.ENOENT)
        if number == errno.ENOENT:
            raise disturbed(path) from error
        with output_errors(path):
            raise OSError(number, os.strerror(number)) from error


class DisturbedError(OutputError):
    """Another program removed, replaced or changed a file while it was written: writing it again may help."""


def disturbed(path: str | Path) -> DisturbedError:
    """Give the error about ``path``."""
    return DisturbedError(
        f"Cannot write {path}: another program removed, replaced or changed it while it was written.", remedy=_FIND_IT
    )


def undisturbed(write: Callable[[], Result]) -> Result:
    """Write again if another program disturbs it, a few times. Then raises DisturbedError."""
    for _ in range(_TRIES - 1):
        try:
            return write()
        except DisturbedError:
            continue
    return write()

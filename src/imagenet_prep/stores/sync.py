"""What makes writes survive a power cut, on file systems that know it and on those that do not.

Some network disks, shared folders of virtual machines and file systems in user space refuse to sync a folder, or even
a file, though they keep both: that does not end a build, but a note says so once (``refusal``). A sync of a file
that fails is another thing: then its bytes may be lost.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from pathlib import Path

from imagenet_prep.errors import printable
from imagenet_prep.stores.errors import output_errors

_REFUSED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # not supported here
# What Windows' disks under WSL and old network disks say of a folder, too. A folder has no bytes to lose.
_REFUSED_OF_FOLDERS = (*_REFUSED, errno.EIO, errno.EBADF, errno.EISDIR, errno.EACCES, errno.EPERM)

WRITE_BEHIND_BYTES = 4 << 20  # handed to the page cache before the disk is asked to start


def sync_file(descriptor: int) -> None:
    """Have the bytes of a file on the disk, where its file system can. Raises OSError."""
    _unless_refused(descriptor, _REFUSED)


def write_behind(descriptor: int, start: int, length: int) -> None:
    """Have the disk start with what is dirty in a part of a file, and the page cache free the rest of it."""
    if hasattr(os, "posix_fadvise"):  # not on macOS; of dirty pages this advice means: write them
        with contextlib.suppress(OSError):  # advice, which some file systems ignore
            os.posix_fadvise(descriptor, start, length, os.POSIX_FADV_DONTNEED)


def sync_folder(folder: Path) -> None:
    """Make the renames in ``folder`` survive a power cut, where its file system can. Raises OutputError."""
    with output_errors(folder):
        _sync_folder(folder)


def _sync_folder(folder: Path) -> str | None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return _refused(error, _REFUSED_OF_FOLDERS)
    try:
        return _unless_refused(descriptor, _REFUSED_OF_FOLDERS)
    finally:
        os.close(descriptor)


def sync_file_system(folder: Path) -> None:
    """Have everything on the file system of ``folder`` on the disk; all file systems, where one cannot be named.

    Raises OutputError.
    """
    if sys.platform != "linux":
        os.sync()
        return
    with output_errors(folder):
        try:
            syncfs(folder)
        except OSError as error:
            _refused(error, (*_REFUSED, errno.EPERM, errno.EACCES))
            os.sync()


def refusal(folder: Path) -> str | None:
    """Say why ``folder`` and the files in it cannot be synced, in a sentence for a note; None if they can.

    Raises OutputError.
    """
    with output_errors(folder):
        reason = _sync_folder(folder)
    if reason is None:
        return None
    lost = "if the power goes soon, files may be missing or empty that were said to be complete."
    return f"The file system of {printable(str(folder))} cannot be made to sync ({reason}): {lost}"


def _unless_refused(descriptor: int, refused: tuple[int, ...]) -> str | None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        return _refused(error, refused)
    return None


def _refused(error: OSError, refused: tuple[int, ...]) -> str:
    """Say what a file system refuses; any other error is raised."""
    if error.errno not in refused:
        raise error
    return error.strerror or str(error)


def syncfs(folder: Path) -> None:
    """Have everything on the file system of ``folder`` on the disk, by the call of Linux. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(descriptor):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(descriptor)

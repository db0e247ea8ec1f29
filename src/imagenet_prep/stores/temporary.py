"""Temporary names, by which a file is known until it is complete, and what killed runs left under them.

A name is random, so no two writers ever have the same. Whether its writer is alive is known by a lock on the
file, never by a process number, which means something else in another container.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import socket
import stat
import time
from pathlib import Path

_HOST = re.sub(r"[^\w-]", "_", socket.gethostname())
_NAME = re.compile(r"\..+\.([\w-]+)\.prep-[0-9a-f]{12}\.part")
_EARLIER_NAME = re.compile(rf"\..+\.({_HOST})\.\d+\.part")  # of version 0.1: with the number of the process
_LONG = 86_400  # seconds without a change, after which the writer counts as dead: a laptop sleeps overnight
_begun: set[str] = set()  # names that this process has given and not yet forgotten


def temporary_name(name: str) -> str:
    """Give the name that ``name`` has until it is complete: hidden, unique, with the machine's name in it. It is this
    process's until ``forget_name``.
    """
    temporary = f".{name}.{_HOST}.prep-{secrets.token_hex(6)}.part"
    _begun.add(temporary)
    return temporary


def forget_name(path: str) -> None:
    """Say that there is no file any more under the temporary name that ``path`` ends with."""
    _begun.discard(os.path.basename(path))


def top_of(folder: str, path: str) -> str:
    """Give the folder in which the file ``path`` below ``folder`` has its temporary name: at the top of the tree, so
    that a thousand class folders need not be searched for what was left there.
    """
    return os.path.join(folder, *path.split("/")[:-1][:1])


def lock(descriptor: int) -> bool | None:
    """Lock a file until it is closed; False if somebody else has it, None if locks do not work here."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def sweep(folder: Path, *, depth: int, own: bool = False) -> int:
    """Remove temporary files whose writers are dead, in ``folder`` and so many levels below it; gives their number.

    A file of this machine is left over if nobody holds its lock. Where locks do not work, and with a file of another
    machine, whose locks may be invisible here, it is left over if it has not changed for a day. A writer that is taken
    for dead by mistake finds out before it gives the file its name.

    ``own``: those of this process too, which is done.
    """
    removed = 0
    for root, folders, names in os.walk(folder):
        for name in names:
            match = _NAME.fullmatch(name) or _EARLIER_NAME.fullmatch(name)
            if match:
                with contextlib.suppress(OSError):  # one that cannot be removed does no harm
                    removed += _removed(os.path.join(root, name), match[1], done=own and name in _begun)
        if len(Path(root).relative_to(folder).parts) == depth:
            folders.clear()
    return removed


def _removed(path: str, host: str, *, done: bool) -> bool:
    """Remove a temporary file if it is left over. Raises OSError."""
    status = os.lstat(path)
    known = done or host == _HOST
    is_old = time.time() - status.st_mtime > _LONG
    is_link = not stat.S_ISREG(status.st_mode) or status.st_nlink > 1  # it is there for a moment, and has no lock
    if done or is_link:
        if known or is_old:
            os.unlink(path)
        return known or is_old
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:  # another user's
        if is_old:
            os.unlink(path)
        return is_old
    try:
        locked = lock(descriptor)
        left = locked is not False and (is_old or bool(locked and known))
        if left and os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            os.unlink(path)  # while it is locked: who has just made it, and comes too late for the lock, sees that
            return True
        return False
    finally:
        os.close(descriptor)

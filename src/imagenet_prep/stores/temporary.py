"""Temporary names, which tell what a killed run left behind from what a living one is writing; and what goes wrong
while writing, in words.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

from imagenet_prep.errors import OutputError

_HOST = re.sub(
    r"[^\w-]", "_", socket.gethostname()
)  # a process number means nothing on another machine of a shared disk
_OF_THIS_HOST = re.compile(rf"\..+\.{_HOST}\.(\d+)\.part")
_AGAIN = "Then run the same command again: what is finished is kept."
_REMEDIES = {
    errno.ENOSPC: f"Free some space. {_AGAIN}",
    errno.EDQUOT: f"Your quota is used up: free some space. {_AGAIN}",
    errno.EFBIG: "A file may not grow that large here (see ulimit -f). More shards (--shards) make smaller files.",
    errno.EROFS: "The file system is read-only; choose another folder.",
    errno.EACCES: "Choose a folder you may write to.",
    errno.EPERM: "Choose a folder you may write to.",
    errno.EMFILE: "Too many files are open (see ulimit -n). Fewer --jobs need fewer.",
}


def temporary_name(name: str) -> str:
    """Give the name that ``name`` has until it is complete: hidden, with machine and process number in it."""
    return f".{name}.{_HOST}.{os.getpid()}.part"


def temporary_path(folder: str, path: str) -> str:
    """Give the temporary place of the file ``path`` below ``folder``: at the top of the tree, so that a thousand class
    folders need not be searched for what was left there. Two files of one base name have two places.
    """
    parent, _, name = path.rpartition("/")
    top, _, below = parent.partition("/")
    tag = f".{zlib.crc32(os.fsencode(below)):08x}" if below else ""
    return os.path.join(folder, top, temporary_name(f"{name}{tag}"))


def sweep(folder: Path, *, depth: int, own: bool = False) -> int:
    """Remove temporary files that dead processes of this machine left in ``folder`` and so many levels below it; gives
    their number. ``own``: those of this process too, which is done.
    """
    removed = 0
    done = os.getpid() if own else None
    for root, folders, names in os.walk(folder):
        for name in names:
            match = _OF_THIS_HOST.fullmatch(name)
            if match and (int(match[1]) == done or not _is_alive(int(match[1]))):
                with contextlib.suppress(OSError):  # one that cannot be removed does no harm
                    os.unlink(os.path.join(root, name))
                    removed += 1
        if len(Path(root).relative_to(folder).parts) == depth:
            folders.clear()
    return removed


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Whether a process is dead, but nobody has asked for its end: in a container often nobody does."""
    try:
        status = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:  # macOS
        return False
    return status.rpartition(b") ")[2].startswith(b"Z")


@contextlib.contextmanager
def output_errors(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn an OSError about the output into an OutputError that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "Nothing of the source was changed; run the same command again.")
        raise OutputError(f"Cannot {doing} {path}: {reason}.", remedy=remedy) from error

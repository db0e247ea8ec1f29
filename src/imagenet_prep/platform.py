"""Where the program runs: Linux and macOS, which have ``preadv`` and ``writev``, unlike Windows; and which path a text
that a user gives is a path there.
"""

from __future__ import annotations

import os
import re
import sys
from difflib import get_close_matches
from itertools import islice
from os import PathLike
from pathlib import Path

from imagenet_prep.errors import UsageError

_URL = re.compile(r"([a-z][a-z0-9+.-]*):[/\\]", re.IGNORECASE)  # a Path has one of the slashes left
_ELSEWHERE = "Buckets and other machines are not written to: mount it, or build into a folder here and copy that."
_MOST_NAMES = 10_000  # of a folder that are compared with a mistyped one: a moment
_REMEDIES = {
    "file": "Leave file:// out.",
    "http": "imagenet-prep fetch DIR --url-file FILE downloads the archives.",
    "https": "imagenet-prep fetch DIR --url-file FILE downloads the archives.",
}


def check_platform() -> None:
    """Raise UsageError on Windows."""
    if sys.platform == "win32":
        raise UsageError("imagenet-prep runs on Linux and macOS.", remedy="On Windows, use it inside WSL 2.")


def local_path(path: str | PathLike[str]) -> Path:
    """Give the path that a user means, as ``at_home`` does. May be repeated.

    Raises UsageError for a URL, which would become a folder of that name. What follows the scheme may be a secret.
    """
    if not os.fspath(path):
        raise UsageError("A path is empty.", remedy="The folder you are in is . (a dot).")
    if url := _URL.match(os.fspath(path)):
        scheme = url[1].lower()
        drive = len(scheme) == 1
        what = f"a drive of Windows ({url[1]}:)" if drive else f"a URL ({scheme}://…)"
        remedy = f"In WSL it is /mnt/{scheme}." if drive else _REMEDIES.get(scheme, _ELSEWHERE)
        raise UsageError(f"What should be a path on this machine is {what}.", remedy=remedy)
    return at_home(path)


def neighbour(path: Path) -> str:
    """Ask for the file or folder that was probably meant by a path to nothing; "" if nothing there is like it."""
    try:
        names = list(islice((entry.name for entry in os.scandir(path.parent)), _MOST_NAMES))
    except (OSError, ValueError):
        return ""
    like = next((name for name in get_close_matches(path.name, names, 3) if is_text(name) and name.isprintable()), "")
    return f"Did you mean {path.parent / like}?" if like else ""


def lacking(path: Path) -> tuple[Path, str]:
    """Say what keeps this user from reading ``path``: a folder above that may not be entered, or ``path`` itself, and
    which permission is missing there.
    """
    for folder in (*reversed(path.absolute().parents), path):
        if os.path.isdir(folder) and not os.access(folder, os.X_OK):  # noqa: PTH112 — never raises
            return folder, "may not be entered: you lack the permission x"
    if os.access(path, os.R_OK):  # lists of access, containers and the like have rules of their own
        return path, "may not be read: the system does not permit it"
    return path, "may not be read: you lack the permission r"


def at_home(path: str | PathLike[str]) -> Path:
    """Give the path that a user means: ``~`` at its start is a home, quoted or from Python, too. ``./~`` is a file of
    that name. May be repeated.

    Raises UsageError if the home is not known.
    """
    text = os.fspath(path)
    meant = Path(os.path.expanduser(text))  # noqa: PTH111 — a Path has lost the ./ of ./~
    if meant.parts[:1] == ("~",) and text.startswith("~"):
        remedy = "Set HOME, or give the whole path. What is really called ~ is ./~."
        raise UsageError("The home folder that ~ stands for is not known.", remedy=remedy)
    again = str(meant)  # what it says without the ./
    return meant.absolute() if again.startswith("~") or _URL.match(again) else meant


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8: one of other bytes cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

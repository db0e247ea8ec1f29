"""Downloads that are not finished: what the tools that fetch files leave beside an archive, or in its place.

Some write under the final name at once, give the file its full size before a byte has come, and keep beside it what
they still need; while that is there, the file is unfinished, whatever its size. Others use a name of their own
until the end. In the file system, what was never written is a hole.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from imagenet_prep.sources.labels import ARCHIVE_NAMES, CLASS_TAR

# Suffixes in lower case, and the program of each, as its users know it; lftp's is in its pgetJob.cc.
_BESIDE = {".aria2": "aria2", ".st": "axel", ".lftp-pget-status": "lftp"}
_INSTEAD = {
    ".part": "Firefox, Transmission or imagenet-prep fetch",
    ".crdownload": "Chrome or Edge",
    ".opdownload": "Opera",
    ".download": "Safari",
    ".partial": "Edge or rclone",
    ".!qb": "qBittorrent",
    ".!ut": "uTorrent",
    ".bc!": "BitComet",
    ".filepart": "WinSCP",
    ".fdmdownload": "Free Download Manager",
    ".xltd": "Xunlei",
    ".td": "Xunlei",
}
_TOOLS = {**_BESIDE, **_INSTEAD}
_SUFFIX = re.compile(f"(?:{'|'.join(map(re.escape, _TOOLS))})$", re.IGNORECASE)
_SECOND = re.compile(r" ?\(\d+\)$")  # a browser's next copy
_RSYNC = re.compile(r"\.(.+)\.[0-9A-Za-z]{6}")
_STEMS = {name.partition(".")[0] for name in ARCHIVE_NAMES}
_LONGEST_ZEROS = 1 << 16  # bytes: what ends a tar may be some 10,000, and no image has so many zeros together


def tool_of(name: str) -> str:
    """Say which program leaves a file or folder of this name while it fetches one of ours; "" for none."""
    suffix = _SUFFIX.search(name)
    if suffix:
        stem = _SECOND.sub("", name[: suffix.start()].partition(".")[0])
        return _TOOLS[suffix[0].lower()] if stem in _STEMS or CLASS_TAR.fullmatch(name[: suffix.start()]) else ""
    hidden = _RSYNC.fullmatch(name)
    return "rsync" if hidden and (hidden[1] in ARCHIVE_NAMES or CLASS_TAR.fullmatch(hidden[1])) else ""


def interrupted(path: Path) -> str | None:
    """Say why a file with its final name is not whole, if its download tool still keeps something beside it."""
    for suffix, tool in _BESIDE.items():
        if os.path.lexists(f"{path}{suffix}"):
            return (
                f"its download is not finished, though its size may be right: {tool} keeps {path.name}{suffix} beside "
                f"it until it is. Let {tool} finish. If the file is complete (imagenet-prep fetch --check "
                f"compares the checksum), take {path.name}{suffix} away"
            )
    return None


def first_hole(path: Path) -> tuple[int, int] | None:
    """Give the place and the size, in bytes, of the first part of a file that was never written and is longer than the
    zeros of a sound archive; None if there is none, or the file system does not report it.
    """
    if not hasattr(os, "SEEK_HOLE"):
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:  # which is said where it is read
        return None
    try:
        return _hole(descriptor, os.fstat(descriptor).st_size)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _hole(descriptor: int, size: int) -> tuple[int, int] | None:
    place = 0
    while (hole := os.lseek(descriptor, place, os.SEEK_HOLE)) < size:
        try:
            place = os.lseek(descriptor, hole, os.SEEK_DATA)
        except OSError:  # ENXIO: there is none after it
            place = size
        if place - hole >= _LONGEST_ZEROS:
            return hole, place - hole
    return None

"""Walk a damaged tar to its end: after damage the walk goes on at the next header of a member that belongs there.

A header is believed for its name, which only members of ImageNet have, and for its own checksum. What lies between the
damage and that header is lost, whatever it was.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import replace

from imagenet_prep.codecs.tar import BLOCK, Member, Missing, TarRange, walk
from imagenet_prep.errors import Problem, SourceError
from imagenet_prep.imagenet.names import CLASS_TAR_NAME, LABELLED_IMAGE

CLASS_TARS = re.compile(CLASS_TAR_NAME.encode())
IMAGES = re.compile(LABELLED_IMAGE.encode())
_LONGEST_TAIL = 20_480  # bytes: GNU tar pads to 10,240; more zeros are members that were never written
_NAME_BYTES = 100  # of a header, from its start
CHUNK_BYTES = 4 << 20  # whole blocks


def walk_on(tar: TarRange, names: re.Pattern[bytes], problems: list[Problem]) -> Iterator[Member | Missing]:
    """Yield what `tar.walk` does, as far as it can be read; every damage on the way is added to ``problems``.
    ``names`` finds the names of members at which the walk may continue.
    """
    start = tar.start
    while start < tar.end:
        reached, behind = tar.end, start
        try:
            for each in walk(tar._replace(start=start)):
                if isinstance(each, Missing):
                    reached = each.offset
                else:
                    behind = -(-(each.offset + each.size) // BLOCK) * BLOCK
                yield each
            if reached == tar.end and tar.end - behind > _LONGEST_TAIL:
                reason = f"has only zeros from here to its end, {tar.end - behind:,} bytes"
                problems.append(Problem(tar.archive, reason, tar.container, behind))
            start = _next_header(tar, reached // BLOCK * BLOCK + BLOCK, names)
        except SourceError as error:
            reached = max(problem.offset or 0 for problem in error.problems)
            start = _next_header(tar, reached // BLOCK * BLOCK + BLOCK, names)
            again = f"is damaged from here; it can be read again from byte {start:,} on"
            problems += (replace(each, reason=again) if start < tar.end else each for each in error.problems)


def _next_header(tar: TarRange, position: int, names: re.Pattern[bytes]) -> int:
    """Find the first header at ``position`` or after it; the end of the range if there is none."""
    while position < tar.end:
        chunk = tar.read(min(CHUNK_BYTES, tar.end - position), position)
        for match in names.finditer(chunk):
            start = match.start() // BLOCK * BLOCK
            if match.start() - start < _NAME_BYTES and _is_header(chunk[start : start + BLOCK]):
                return position + start
        if len(chunk) < CHUNK_BYTES:
            break
        position += len(chunk)
    return tar.end


def _is_header(block: bytes) -> bool:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape").isfile()
    except tarfile.HeaderError:
        return False

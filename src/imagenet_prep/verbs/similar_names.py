"""Archives under nearly their names: a browser's second copy, or an unfinished one. They are not used as the
archive, because the user has not said so, but they are reported.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from imagenet_prep.errors import printable
from imagenet_prep.imagenet.archives import OfficialArchive
from imagenet_prep.sources.disguise import is_archive_at
from imagenet_prep.sources.reader import source_errors
from imagenet_prep.verbs.fetch.part import part_path


def called_alike(archive: OfficialArchive, folder: Path, there: set[str]) -> list[str]:
    """Give a sentence for each file in ``folder``, which has the names ``there``, that begins as an archive does and is
    called like this one. Raises SourceError if one cannot be looked at.
    """
    stem = archive.names[0].partition(".")[0]
    alike = re.compile(rf"{re.escape(stem)}(?![0-9A-Za-z_]).*", re.IGNORECASE | re.DOTALL)  # not …_train_t3.tar
    own = {*archive.names, *(part_path(folder / name).name for name in archive.names)}
    return [
        f"{printable(name)} is not looked at: fetch knows archives by their official names. It is called like "
        f"{archive.names[0]}, {_and(archive, folder, folder / name, there)}."
        for name in sorted(there - own)
        if alike.fullmatch(name) and is_archive_at(folder / name)
    ]


def _and(archive: OfficialArchive, folder: Path, path: Path, there: set[str]) -> str:
    """Say why it may be the archive, and what to do then."""
    if not there.isdisjoint(archive.names):
        return "which is there, too"
    final = folder / archive.names[0]
    with source_errors(path):
        size = path.stat().st_size
    if archive.size is None:
        return f"and may be it: {_rename(path, final)} if it is that"
    if size == archive.size:
        return f"and of the published size: {_rename(path, final)} if it is that"
    part = part_path(final)
    if size > archive.size or part.name in there:
        return "but has another size"
    return f"but shorter: {_rename(path, part)} if it is the beginning of that"


def _rename(path: Path, to: Path) -> str:
    return f"`{shlex.join(['mv', '-n', str(path), str(to)])}`"

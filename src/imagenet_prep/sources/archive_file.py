"""A file under the name of an archive: its content is verified before its name is believed."""

from __future__ import annotations

from pathlib import Path

from imagenet_prep.errors import Problem, printable
from imagenet_prep.imagenet.archives import TRAIN, UNLABELLED, VALIDATION
from imagenet_prep.sources.base import Input, Source
from imagenet_prep.sources.disguise import disguise_at
from imagenet_prep.sources.downloads import interrupted


def archive_at(
    path: Path, role: str, problems: list[Problem], source: Source | None = None, packed: str = ""
) -> Input | None:
    """Give the file as an input; None if it cannot be read. What is wrong with it is added to ``problems``.
    ``packed`` says by what it is compressed.
    """
    try:
        status = path.stat()
    except OSError as error:
        problems.append(Problem(printable(str(path)), f"cannot be read: {error.strerror}"))
        return None
    # A file that is not used blocks nothing, whatever it is.
    plain = role in (TRAIN, VALIDATION) and not packed
    wrong = None if role == UNLABELLED else disguise_at(path, plain_tar=plain) or interrupted(path)
    if wrong:
        problems.append(Problem(printable(str(path)), wrong))
    return Input(role, path, status.st_size, status.st_mtime_ns, source=source, packed=packed)

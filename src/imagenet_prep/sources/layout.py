"""What did the user give us? Finds the official archives among files and folders, and says what stands under
their names instead.

An archive is recognised by its official name; what is inside is looked at before anything is believed: an
expired login leaves an HTML page under an archive's name, and some browsers unpack gzip while they download.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from imagenet_prep.core.facts import OFFICIAL_ARCHIVES, TRAIN, VALIDATION
from imagenet_prep.errors import Problem, SourceError

_GZIP = b"\x1f\x8b"

Source = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class FoundArchive:
    """A file that bears an official name. ``modified`` is in nanoseconds."""

    role: str
    path: Path
    size: int
    modified: int


def source_paths(source: Source | Iterable[Source]) -> list[Path]:
    """Give one source or several as a list of paths."""
    return [Path(source)] if isinstance(source, str | PathLike) else [Path(each) for each in source]


def recognise(sources: Iterable[Path]) -> dict[str, FoundArchive]:
    """Find the official archives in ``sources``, which are folders or files, by role, in a fixed order.

    Raises SourceError if neither the train nor the validation archive is there, if two files claim one role,
    or if a file is not the archive its name says. Nothing but the first bytes of each file is read.
    """
    sources = tuple(sources)
    found: dict[str, FoundArchive] = {}
    problems: list[Problem] = []
    for path in _candidates(sources):
        archive = _look_at(path, problems)
        if archive is None:
            continue
        if archive.role in found:
            problems.append(Problem(str(path), f"is the {archive.role} archive, and so is {found[archive.role].path}"))
        found[archive.role] = archive
    if problems:
        raise SourceError(
            "The source cannot be used:",
            tuple(problems),
            "Put each file right, or name the files to use one by one.",
        )
    if TRAIN not in found and VALIDATION not in found:
        raise _nothing(sources)
    return {official.role: found[official.role] for official in OFFICIAL_ARCHIVES if official.role in found}


def _candidates(sources: tuple[Path, ...]) -> Iterable[Path]:
    for source in sources:
        if source.is_dir():
            try:
                yield from sorted(source.iterdir())
            except OSError as error:
                raise SourceError(f"Cannot read the folder {source}: {error.strerror}.") from error
        elif source.exists():
            yield source
        else:
            raise SourceError(f"{source} does not exist.", remedy="Give the folder that holds the ILSVRC2012 archives.")


def _look_at(path: Path, problems: list[Problem]) -> FoundArchive | None:
    official = next((archive for archive in OFFICIAL_ARCHIVES if path.name in archive.names), None)
    if official is None:
        return None
    if path.exists() and not path.is_file():
        if official.role in (TRAIN, VALIDATION):
            problems.append(Problem(str(path), "is not a file"))
        return None
    try:
        status = path.stat()
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError as error:
        problems.append(Problem(str(path), f"cannot be read: {error.strerror}"))
        return None
    wrong = _what_is_wrong(start, plain_tar=official.role in (TRAIN, VALIDATION))
    if wrong:
        problems.append(Problem(str(path), wrong))
    return FoundArchive(official.role, path, status.st_size, status.st_mtime_ns)


def _what_is_wrong(start: bytes, *, plain_tar: bool) -> str:
    if not start:
        return "is empty; download it again"
    if start.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"<":
        return (
            "is a web page, not an archive: the login had expired when it was downloaded; log in and download it again"
        )
    if plain_tar and start[:2] == _GZIP:
        return "is gzip-compressed; the official archive is not: unpack it with gunzip"
    if not any(start):
        return "starts with zeros: it is empty, or the download was never finished"
    return ""


def _nothing(sources: tuple[Path, ...]) -> SourceError:
    wanted = " and ".join(archive.names[0] for archive in OFFICIAL_ARCHIVES if archive.role in (TRAIN, VALIDATION))
    there = sorted(path.name for source in sources if source.is_dir() for path in source.iterdir())
    seen = f" Seen there: {', '.join(there[:10])}{' …' if len(there) > 10 else ''}." if there else ""
    places = ", ".join(map(str, sources))
    return SourceError(f"There are no ILSVRC2012 archives in {places}.{seen}", remedy=f"Looked for {wanted}.")

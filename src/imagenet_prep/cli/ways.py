"""What ``fetch`` says: the ways to the archives and the terms, what is there of them, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from imagenet_prep.cli import show
from imagenet_prep.core.facts import (
    DEVKIT,
    OFFICIAL_BY_ROLE,
    TRAIN,
    TRAIN_BOXES,
    UNLABELLED,
    VALIDATION,
    VALIDATION_BOXES,
)
from imagenet_prep.core.fetched import ArchiveState, FetchReport
from imagenet_prep.errors import printable

TERMS = """\
ImageNet is for non-commercial research and education. Who uses it has accepted the terms of image-net.org
(https://image-net.org/download.php); colleagues may have it once they have accepted them, too; whoever works for a
company binds it as well. What you make of the images is under the same terms."""

_WAYS = """\
How to get it

1. From image-net.org, the official way.
   Make an account, ask for access to ILSVRC2012 (approval takes days), log in, open the page of the 2012 challenge.
   Put the links of the files below into a file, one on a line, and:
       imagenet-prep fetch {folder} --url-file LINKS --cookies COOKIES
   COOKIES is what a browser extension exports as cookies.txt; leave it out if the links work without a login.

2. From others who have it, by torrent. This needs: pip install 'imagenet-prep[torrent]'
       imagenet-prep fetch {folder} --torrent --accept-terms
   The others see your address, and get from you what you have, until yours is complete (--max-upload bounds it).
   The torrents are those of Academic Torrents, not of image-net.org: the published checksums are compared at the end.

3. You have it already, as archives, as folders, or as Kaggle's tree:
       imagenet-prep check WHERE-IT-IS
   says what it is and what can be made of it. Archives that came some other way are looked at with
       imagenet-prep fetch {folder} --check
   and a damaged one is mended by --torrent, which fetches its bad pieces alone.

Every one of these goes on where it was stopped, with the same command."""

_FOR = {
    TRAIN: "needed",
    VALIDATION: "needed",
    DEVKIT: "not needed",
    TRAIN_BOXES: "for bounding boxes",
    VALIDATION_BOXES: "for bounding boxes",
    UNLABELLED: "of no use: no labels",
}
_ABOUT = {DEVKIT: "about 2.5 MB", TRAIN_BOXES: "about 20 MB", VALIDATION_BOXES: "about 2 MB", UNLABELLED: "about 13 GB"}
_UNVERIFIED = "unverified: none is published that can be trusted"


def offered(states: Sequence[ArchiveState], folder: Path) -> str:
    """Tell a newcomer the terms, the ways, the files, and what is there."""
    rows = [("file", "", "bytes", "here")]
    rows += [
        (
            state.name,
            _FOR[state.role],
            f"{state.official_size:,}" if state.official_size else _ABOUT[state.role],
            _here(state),
        )
        for state in states
    ]
    sums = [(state.name, name, value) for state in states for name, value in _sums(state)]
    lines = [TERMS, "", _WAYS.format(folder=shlex.quote(str(folder))), "", f"The files, and what is in {folder}", ""]
    lines += [
        show.table(rows, flush_right=False),
        "",
        "Their published checksums",
        "",
        show.table(sums, flush_right=False),
    ]
    problems = [problem for state in states for problem in state.problems]
    return "\n".join([*lines, *show.listed(problems, "problem", "problems"), "", _next(states, folder)])


def _bytes(state: ArchiveState) -> str:
    return f"{state.official_size:,}" if state.official_size else _ABOUT[state.role]


def _sums(state: ArchiveState) -> list[tuple[str, str]]:
    sums = [(name, value) for name, value in (("MD5", state.md5), ("SHA-1", state.sha1)) if value]
    return sums or [("", _UNVERIFIED)]


def _here(state: ArchiveState) -> str:
    if state.size is None:
        return f"unfinished: {show.size(state.unfinished)} so far" if state.unfinished is not None else "no"
    if state.problems:
        return "damaged or another file"
    return "yes, of the published size" if state.official_size else f"yes, {show.size(state.size)}"


def compared(states: Sequence[ArchiveState], folder: Path) -> str:
    """Tell what a comparison with the published sizes and checksums gave."""
    rows = [("file", "bytes", "size", "checksum")]
    rows += [_compared(state) for state in states if state.size is not None or state.unfinished is not None]
    lines = [show.table(rows, flush_right=False)]
    for state in states:
        if state.containers:
            what = "class tars" if state.role == TRAIN else "images"
            lines.append(f"{state.name}: {state.clean:,} of {state.containers:,} {what} read cleanly.")
    problems = [problem for state in states for problem in state.problems]
    return "\n".join([*lines, *show.listed(problems, "problem", "problems"), "", _next(states, folder)])


def _compared(state: ArchiveState) -> tuple[str, str, str, str]:
    if state.size is None:
        return f"{state.name}.part", f"{state.unfinished:,}", "unfinished", ""
    size = "" if state.official_size is None else "right" if state.size == state.official_size else "wrong"
    return state.name, f"{state.size:,}", size, _verdict(state.checksum)


def _verdict(checksum: str) -> str:
    return "unverified: none is published" if checksum == "none is published" else checksum


def fetched(report: FetchReport, states: Sequence[ArchiveState], folder: Path) -> str:
    """Tell what a fetch brought, and what to do next."""
    rows = [
        (
            printable(file.name),
            show.size(file.size),
            f"{show.size(file.received)} came now" if file.received else "was there",
            f"checksum: {_verdict(file.checksum) or 'not compared'}",
        )
        for file in report.files
    ]
    speed = f", {show.size(report.received / report.seconds)}/s" if report.received and report.seconds else ""
    lines = [f"In {folder}:", show.table(rows, flush_right=False), f"{show.duration(report.seconds)}{speed}."]
    known = {name for archive in OFFICIAL_BY_ROLE.values() for name in archive.names}
    strangers = [printable(file.name) for file in report.files if file.name not in known]
    if strangers:
        lines.append(f"Archives are known by their official names, and this is none: {', '.join(strangers)}.")
    return "\n".join([*lines, _next(states, folder)])


def _next(states: Sequence[ArchiveState], folder: Path) -> str:
    """The command to go on with."""
    by_role = {state.role: state for state in states}
    bad = [state for state in states if state.problems and state.role in (TRAIN, VALIDATION)]
    good = [role for role in (TRAIN, VALIDATION) if by_role[role].size is not None and not by_role[role].problems]
    shown = shlex.quote(str(folder))
    if bad:
        return f"Next: imagenet-prep fetch {shown} --torrent {bad[0].role}   (fetches the damaged pieces alone)"
    if len(good) == 2:
        return f"Next: imagenet-prep build {shown} DATA"
    missing = " and ".join(by_role[role].name for role in (TRAIN, VALIDATION) if role not in good)
    if good:
        return f"Next: get {missing}; or, without it, imagenet-prep build {shown} DATA --split {good[0]}"
    return f"Next: get {missing}; `imagenet-prep fetch {shown}` says how."

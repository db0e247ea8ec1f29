"""What ``fetch`` prints: the ways to the archives and the terms, which archives are here, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from imagenet_prep.cli import show
from imagenet_prep.cli.screen import fitted
from imagenet_prep.errors import printable
from imagenet_prep.imagenet.archives import (
    DEVKIT,
    OTHER,
    RIGHT,
    TRAIN,
    TRAIN_BOXES,
    UNLABELLED,
    UNPUBLISHED,
    VALIDATION,
    VALIDATION_BOXES,
)
from imagenet_prep.verbs.archives import ArchiveState
from imagenet_prep.verbs.fetch.report import FetchReport

TERMS = (
    "ImageNet is for non-commercial research and education. Everyone who uses it must accept the terms at "
    "https://image-net.org/download.php first; if you work for a company, you accept them for it, too. You may give "
    "the data to colleagues who have accepted the terms. What you make of the images is under the same terms."
)

_WAYS = """\
How to get it

1. From image-net.org, the official way.
   Make an account, ask for access to ILSVRC2012 (approval takes days), log in, open the page of the 2012 challenge. \
Put the links of the files below into a file LINKS, one on a line, and:
       imagenet-prep fetch {folder} --url-file LINKS --cookies COOKIES
   COOKIES is the file cookies.txt that a browser extension exports; leave it out if the links work without a login.

2. From others who have it, by torrent. This needs: pip install libtorrent
       imagenet-prep fetch {folder} --torrent --accept-terms
   Other peers see your address, and download from you until your copy is complete (limit: --max-upload). The \
torrents are from Academic Torrents, not image-net.org: the published checksums are compared at the end.

3. You have it already, as archives, as folders, or as Kaggle's tree:
       imagenet-prep check WHERE-IT-IS
   reports what it is and what can be built from it. To compare archives with the published checksums:
       imagenet-prep fetch {folder} --check
   A damaged train or validation archive is repaired by --torrent, which fetches only its bad pieces.

You may stop any of these at any time: the same command resumes."""

_FOR = {
    TRAIN: "needed",
    VALIDATION: "needed",
    DEVKIT: "optional",
    TRAIN_BOXES: "for boxes",
    VALIDATION_BOXES: "for boxes",
    UNLABELLED: "no labels",
}
_ABOUT = {DEVKIT: "about 2.5 MB", TRAIN_BOXES: "about 20 MB", VALIDATION_BOXES: "about 2 MB", UNLABELLED: "about 13 GB"}
_UNVERIFIED = "For the others none is published that can be trusted."


def quoted(path: Path) -> str:
    """Give a path for a command to paste, or, of a hostile name, what a terminal may show."""
    return printable(shlex.quote(str(path)))


def offered(states: Sequence[ArchiveState], folder: Path, columns: int = 80) -> str:
    """Show a newcomer the terms, the ways, the files, and which are here; prose fills ``columns``."""
    rows = [("file", "", "bytes", "here")]
    rows += [(state.name, _FOR[state.role], _bytes(state), _here(state)) for state in states]
    sums = [(name, value, state.name) for state in states for name, value in _sums(state)]
    shown = printable(str(folder))
    how = fitted(_WAYS, columns).format(folder=quoted(folder))
    lines = [fitted(TERMS, columns), "", how, "", f"The files, and what is in {shown}", ""]
    lines += [show.table(rows, flush_right=False), "", "Their published checksums", ""]
    lines += [show.table(sums, flush_right=False), _UNVERIFIED, *_problems(states), ""]
    there = [state for state in states if state.size is not None and not state.problems]
    checked = f"\nNot compared here: the checksums. imagenet-prep fetch {quoted(folder)} --check does that."
    return "\n".join([*lines, _next(states, folder, how="1 or 2 above") + (checked if there else "")])


def _bytes(state: ArchiveState) -> str:
    return f"{state.official_size:,}" if state.official_size else _ABOUT[state.role]


def _sums(state: ArchiveState) -> list[tuple[str, str]]:
    return [(name, value) for name, value in (("MD5", state.md5), ("SHA-1", state.sha1)) if value]


def _here(state: ArchiveState) -> str:
    if state.problems:
        return "see below"
    if state.size is None:
        if state.came_whole:
            return "not compared"
        return f"{show.size(state.unfinished)} so far" if state.unfinished is not None else "no"
    return "yes, that size" if state.official_size else f"yes, {show.size(state.size)}"


def _problems(states: Sequence[ArchiveState]) -> list[str]:
    return show.listed([problem for state in states for problem in state.problems], "problem", "problems")


def compared(states: Sequence[ArchiveState], folder: Path) -> str:
    """Show the result of a comparison with the published sizes and checksums."""
    rows = [("file", "bytes", "size", "checksum")]
    rows += [_compared(state) for state in states if state.size is not None or state.unfinished is not None]
    lines = [show.table(rows, flush_right=False)]
    for state in states:
        if state.containers:
            what = "class tars" if state.role == TRAIN else "images"
            lines.append(f"{state.name}: {state.clean:,} of {state.containers:,} {what} read cleanly.")
    return "\n".join([*lines, *_problems(states), "", _next(states, folder)])


def _compared(state: ArchiveState) -> tuple[str, str, str, str]:
    if state.size is None:
        return f"{state.name}.part", f"{state.unfinished:,}", "unfinished", _verdict(state.checksum)
    size = "" if state.official_size is None else "right" if state.size == state.official_size else "wrong"
    return state.name, f"{state.size:,}", size, "not compared" if state.unreadable else _verdict(state.checksum)


def _verdict(checksum: str) -> str:
    return f"unverified: {checksum}" if checksum == UNPUBLISHED else checksum


def fetched(report: FetchReport, states: Sequence[ArchiveState], folder: Path, *, timed: bool = True) -> str:
    """Show what a fetch brought, how fast if it is ``timed``, and what to do next."""
    rows = [
        (
            printable(file.name),
            show.size(file.size),
            f"{show.size(file.received)} came now" if file.received else "was there",
            f"checksum: {_verdict(file.checksum) or 'not compared'}",
        )
        for file in report.files
    ]
    lines = [f"In {printable(str(folder))}:", show.table(rows, flush_right=False)]
    if timed:
        speed = f", {show.size(report.received / report.seconds)}/s" if report.received and report.seconds else ""
        lines.append(f"{show.duration(report.seconds)}{speed}.")
    if not all(file.checksum for file in report.files):
        check = f"imagenet-prep fetch {quoted(folder)} --check"
        return "\n".join([*lines, f"Next: {check}   (compares the checksum of what was there)"])
    return "\n".join([*lines, _next(states, folder)])


def _next(states: Sequence[ArchiveState], folder: Path, how: str = "") -> str:
    """The command to go on with."""
    shown, wanted = quoted(folder), [state for state in states if state.role in (TRAIN, VALIDATION)]
    how = how or f"`imagenet-prep fetch {shown}` says how"
    if mend := next((words for state in wanted if (words := _put_right(state, folder, how))), ""):
        return f"Next: {mend}"
    if bad := [state.role for state in wanted if state.problems]:
        torrents = " ".join(f"--torrent {role}" for role in bad)
        return f"Next: imagenet-prep fetch {shown} {torrents}   (fetches only the damaged pieces)"
    missing = " and ".join(state.name for state in wanted if state.size is None)
    good = [state.role for state in wanted if state.size is not None]
    if not missing:
        return f"Next: imagenet-prep build {shown} DATA"
    if any(state.unfinished is not None for state in wanted):
        return f"Next: get {missing}; the same command as before resumes."
    if good:
        return f"Next: get {missing}; or, without it, imagenet-prep build {shown} DATA --split {good[0]}"
    return f"Next: get {missing}: {how}."


def _put_right(state: ArchiveState, folder: Path, how: str) -> str | None:
    """Give the command that makes an archive usable that is here, if there is one."""
    final, part = quoted(folder / state.name), quoted(folder / f"{state.name}.part")
    if state.disguised:
        return f"move {final} away, and get {state.name} again: {how}."
    if state.unreadable:
        return f"chmod u+r {final}   (you may not read it)"
    if state.problems and state.checksum == OTHER:
        return f"truncate -s {state.official_size} {final}   (cuts off what is after its end)"
    if state.came_whole and not state.checksum:
        return f"imagenet-prep fetch {quoted(folder)} --check   (compares {state.name}.part, which is complete)"
    if state.came_whole and state.checksum == RIGHT:
        return f"mv -n {part} {final}   (it is complete, and right)"
    return None

"""Faults and oddities that a miniature has on request: a row for each, with a sentence and the function that makes it.

A quirk of an image changes how its drawing is encoded; one of a class puts members before its images; one of an
archive damages the finished file. The order is part of the choice: quirks of images are planted class
by class in this order.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from imagenet_prep.testing import faults
from imagenet_prep.testing.archives import DEVKIT, TRAIN, Member
from imagenet_prep.testing.pictures import Drawing, encode

UNKNOWN_WNID = "n00007846"  # a WordNet id that is not among the 1,000
UNKNOWN_NAME = "person"  # what WordNet calls it
_EXIF = b"Exif\0\0MM\0*\0\0\0\x08"  # begins an EXIF block of big-endian numbers
_ORIENTATION_6 = b"\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"  # one entry, a short; no other block
_PROMISES_255 = b"\0\xff\1\x12\0\3"
_APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        "
_HOSTILE = b"this must never leave the archive\n"


def _converted(mode: str) -> Callable[[Drawing], bytes]:
    return lambda drawing: encode(drawing._replace(image=drawing.image.convert("RGB").convert(mode)))


def _png(drawing: Drawing) -> bytes:
    out = io.BytesIO()
    drawing.image.save(out, "PNG")
    return out.getvalue()


def _truncated(drawing: Drawing) -> bytes:
    """Cut in the middle of the picture data; the headers are whole."""
    data = encode(drawing)
    return data[: (data.index(b"\xff\xda") + len(data)) // 2]


def _text(drawing: Drawing) -> bytes:
    return f"This is a text file under the name of picture {drawing.key}.\n".encode()


IMAGE_QUIRKS: Mapping[str, tuple[str, Callable[[Drawing], bytes]]] = {
    "cmyk": ("a train image is a CMYK JPEG with inverted colours", _converted("CMYK")),
    "greyscale": ("a train image is a one-channel JPEG", _converted("L")),
    "png": ("a train image is a PNG under the name .JPEG", _png),
    "exif-orientation": (
        "a train image has an EXIF tag that asks for a turn by 90 degrees",
        lambda drawing: encode(drawing, exif=_EXIF + _ORIENTATION_6),
    ),
    "exif-malformed": (
        "a train image has an EXIF block that ends too early; its pixels are fine",
        lambda drawing: encode(drawing, exif=_EXIF + _PROMISES_255),
    ),
    "progressive": ("a train image is a progressive JPEG", lambda drawing: encode(drawing, progressive=True)),
    "truncated": ("a train image ends in the middle of its picture data", _truncated),
    "empty": ("a train image has no bytes", lambda _: b""),
    "text": ("a train image is a text file", _text),
    # what is drawn is the other image's drawing
    "duplicate": ("a train image has the same bytes as one of another class", encode),
}


def hostile_members(wnid: str) -> tuple[Member, ...]:
    """Return members that hurt whoever extracts them by name, or takes them for images."""
    return (
        Member("../evil.JPEG", _HOSTILE),
        Member(f"{wnid}/../../evil.JPEG", _HOSTILE),
        Member("/tmp/evil.JPEG", _HOSTILE),  # noqa: S108  (an absolute path is the point)
        Member("C:\\evil.JPEG", _HOSTILE),
        Member(f"{wnid}_1\n2.JPEG", _HOSTILE),
        Member(f"{wnid}_900001.JPEG\0.txt", _HOSTILE),
        Member(f"{wnid}_900002.JPEG", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        Member(f"{wnid}_900003.JPEG", kind=tarfile.LNKTYPE, link="../evil.JPEG"),
        Member(f"{wnid}_900004.JPEG", kind=tarfile.CHRTYPE),
        Member(f"{wnid}_900005.JPEG", kind=tarfile.FIFOTYPE),
    )


def _litter(wnid: str) -> tuple[Member, ...]:
    return (
        Member("./", kind=tarfile.DIRTYPE),
        Member(".DS_Store", b"\0\0\0\1Bud1" + bytes(24)),
        Member(f"._{wnid}_1.JPEG", _APPLE_DOUBLE),
        Member("__MACOSX/", kind=tarfile.DIRTYPE),
        Member(f"__MACOSX/._{wnid}_2.JPEG", _APPLE_DOUBLE),
    )


CLASS_QUIRKS: Mapping[str, tuple[str, Callable[[str], tuple[Member, ...]]]] = {
    "hostile-names": (
        "a class tar also holds members that would be written elsewhere, links, and devices",
        hostile_members,
    ),
    "macos-litter": ("a class tar also holds what macOS leaves, and folders", _litter),
}

ARCHIVE_QUIRKS: Mapping[str, tuple[str, str, Callable[[Path], int]]] = {
    "html-archive": ("the train archive is a login page", TRAIN, faults.html_instead),
    "cut-inside-member": ("the train archive ends in the middle of its last image", TRAIN, faults.cut_inside_member),
    "cut-on-boundary": (
        "the train archive ends before its last class tar, without end blocks",
        TRAIN,
        faults.cut_on_boundary,
    ),
    "flipped-header": (
        "the header of the train archive's last image has a wrong size; its checksum shows it",
        TRAIN,
        faults.flip_header,
    ),
    "gunzipped-devkit": ("the devkit archive is an unpacked tar under the name .tar.gz", DEVKIT, faults.gunzip),
}

QUIRKS: Mapping[str, str] = {
    **{name: row[0] for name, row in (*IMAGE_QUIRKS.items(), *CLASS_QUIRKS.items())},
    "unknown-class": "the train archive also holds a class tar that is not one of the 1,000",
    **{name: row[0] for name, row in ARCHIVE_QUIRKS.items()},
}

"""What the miniature gets wrong on request: a name and a sentence each, for the command line and the docs.

The order is part of the choice: quirks of images are planted class by class in this order.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

QUIRKS: Mapping[str, str] = MappingProxyType(
    {
        "cmyk": "a train image is a CMYK JPEG with inverted colours",
        "greyscale": "a train image is a one-channel JPEG",
        "png": "a train image is a PNG under the name .JPEG",
        "exif-orientation": "a train image has an EXIF tag that asks for a turn by 90 degrees",
        "exif-malformed": "a train image has an EXIF block that ends too early; its pixels are fine",
        "progressive": "a train image is a progressive JPEG",
        "truncated": "a train image ends in the middle of its picture data",
        "empty": "a train image has no bytes",
        "text": "a train image is a text file",
        "duplicate": "a train image has the same bytes as one of another class",
        "hostile-names": "a class tar also holds members that would be written elsewhere, links, and devices",
        "macos-litter": "a class tar also holds what macOS leaves behind, and folders",
        "unknown-class": "the train archive also holds a class tar that is not one of the 1,000",
        "html-archive": "the train archive is a login page",
        "cut-inside-member": "the train archive ends in the middle of its last image",
        "cut-on-boundary": "the train archive ends before its last class tar, without end blocks",
        "flipped-header": "the header of the train archive's last image has a wrong size; its checksum tells",
        "gunzipped-devkit": "the devkit archive is an unpacked tar under the name .tar.gz",
    }
)

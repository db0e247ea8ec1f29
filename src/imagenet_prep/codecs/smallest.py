"""The smallest file that may be an image: a full disk and a broken copy leave files of 0 bytes.

The bound is that of the formats. A JPEG without a table and without a byte of picture has 27 bytes: SOI 2, the frame
header 13, the scan header 10, EOI 2 (ITU-T T.81, annex B). The smallest of all the kinds that are taken is a lossless
WebP of 26; a GIF has 28 and more, a BMP 30, a PNG 67.
"""

from __future__ import annotations

SMALLEST = 26  # bytes


def too_small(size: int) -> str:
    """Say of a size below SMALLEST why no image has it."""
    return f"has {size} byte{'s' * (size > 1)}, fewer than any image" if size else "is empty"

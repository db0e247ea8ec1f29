"""Drawn JPEG pictures that differ as photographs do: size, shape, colour, subsampling, quality.

A picture is a soft background with one or two ellipses, and the ellipses' frames are its true bounding boxes.
The same key gives the same pixels everywhere, and the same bytes wherever Pillow carries the same libjpeg.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal, NamedTuple

from imagenet_prep.testing.chance import Chance

if TYPE_CHECKING:  # Pillow is loaded when something is drawn: the command line lists quirks without it
    from PIL import Image

Size = Literal["small", "photo"]

GREY_SHARE = 50  # one picture in so many is greyscale, as in ILSVRC2012
SUBSAMPLINGS = (0, 1, 2)  # Pillow's numbers for 4:4:4, 4:2:2 and 4:2:0
_TEXTURE = 0.21  # share of noise in a picture of photo size: makes about 110 KB, the mean of ILSVRC2012
_COMMON_FRAME = (500, 375)  # pixels: the most common size in ILSVRC2012


class PixelBox(NamedTuple):
    """A box in pixels of the picture: left and top edge inside, right and bottom edge just outside."""

    xmin: int
    ymin: int
    xmax: int
    ymax: int


class Drawing(NamedTuple):
    """A picture before it is encoded, with the boxes of what it shows."""

    key: str
    image: Image.Image
    boxes: tuple[PixelBox, ...]


def picture(key: str, size: Size = "small") -> bytes:
    """Draw and encode one JPEG; see `draw` for what ``key`` and ``size`` mean."""
    return encode(draw(key, size))


def draw(key: str, size: Size = "small") -> Drawing:
    """Draw what ``key`` says: ``small`` is 24 to 96 pixels a side, ``photo`` about 500 x 375 and 110 KB."""
    from PIL import Image, ImageDraw

    chance = Chance(f"picture/{key}")
    width, height = frame = _frame(chance, size)
    grey = chance.one_in(GREY_SHARE)
    image = Image.frombytes("RGB", (5, 4), chance.noise(60)).resize(frame, Image.Resampling.BICUBIC)
    boxes = tuple(_box(chance, width, height) for _ in range(1 + chance.one_in(4)))
    pen = ImageDraw.Draw(image)
    for xmin, ymin, xmax, ymax in boxes:
        pen.ellipse((xmin, ymin, xmax - 1, ymax - 1), fill=(chance.below(256), chance.below(256), chance.below(256)))
    if size == "photo":
        noise = Image.frombytes("RGB", frame, chance.noise(3 * width * height))
        image = Image.blend(image, noise, _TEXTURE)
    return Drawing(key, image.convert("L") if grey else image, boxes)


def encode(drawing: Drawing, *, progressive: bool = False, exif: bytes = b"") -> bytes:
    """Encode as JPEG, with a quality and a subsampling that follow from the drawing's key.

    ``exif`` is the content of the APP1 segment, beginning with ``Exif`` and two zero bytes.
    """
    chance = Chance(f"encoder/{drawing.key}")
    out = io.BytesIO()
    drawing.image.save(
        out,
        "JPEG",
        quality=chance.between(75, 95),
        subsampling=SUBSAMPLINGS[chance.below(len(SUBSAMPLINGS))],
        progressive=progressive,
        exif=exif,
    )
    return out.getvalue()


def _frame(chance: Chance, size: Size) -> tuple[int, int]:
    if size == "small":
        return chance.between(24, 96), chance.between(24, 96)
    if chance.one_in(2):
        return _COMMON_FRAME
    return chance.between(300, 640), chance.between(300, 500)


def _box(chance: Chance, width: int, height: int) -> PixelBox:
    """Place a box a quarter to three quarters as wide and high as the picture, wholly inside it."""
    wide, high = chance.between(width // 4, 3 * width // 4), chance.between(height // 4, 3 * height // 4)
    left, top = chance.between(0, width - wide), chance.between(0, height - high)
    return PixelBox(left, top, left + wide, top + high)

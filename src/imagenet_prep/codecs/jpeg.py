"""Facts about an encoded image from its first bytes, and the repair of what is not an RGB or grey JPEG.

An image is never decoded to learn about it: a walk over the JPEG markers (ITU-T T.81, annex B) gives size, colours and
completeness in a few microseconds. What an image is, is decided by its content, never by its name or a list of names.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from imagenet_prep.codecs.smallest import SMALLEST, too_small

if TYPE_CHECKING:
    from PIL import Image

_SOI, _EOI, _SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
_APP1, _APP14 = 0xE1, 0xEE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0…SOF15 without DHT, JPG and DAC
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM and RSTn carry no length

MOST_PIXELS = 1 << 28  # 268 million: 20 times ImageNet's largest; more is not decoded, it may be a bomb
MOST_SCANS = 100  # a progressive JPEG has some ten; each may take 11 bytes and visit every pixel
_DAMAGE = (IndexError, TypeError, KeyError, EOFError, struct.error)  # so says Pillow's ImageFile where it opens a file
LOOSELY = (
    "simplejpeg is not installed, so Pillow decodes: it takes a JPEG whose picture data ends early for a whole one, "
    "and such damage is not found."
)
REPAIR_QUALITY = 100  # what TensorFlow Datasets and the TPU script use for the same repair


class Kind(IntEnum):
    """What the bytes are. The numbers are stored in receipts and manifests: never reuse one."""

    JPEG = 0
    JPEG_CMYK = 1  # four components: CMYK or YCCK
    PNG = 2
    GIF = 3
    BMP = 4
    WEBP = 5
    TIFF = 6


_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"GIF8", Kind.GIF),
    (b"BM", Kind.BMP),
    (b"II*\0", Kind.TIFF),
    (b"MM\0*", Kind.TIFF),
)


class NotAnImageError(ValueError):
    """The bytes are not an image that can be used; the message says what they are instead."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """``width`` and ``height`` are pixels as stored, before any rotation; ``orientation`` is the EXIF tag,
    1…8, or 0 without one.
    """

    kind: Kind
    width: int
    height: int
    components: int
    progressive: bool = False
    orientation: int = 0

    @property
    def needs_repair(self) -> bool:
        """Whether readers that expect an RGB or grey JPEG would trip over it."""
        return self.kind is not Kind.JPEG


def inspect(data: bytes | bytearray, start: int = 0, end: int | None = None) -> ImageFacts:
    """Say what ``data[start:end]`` is; raises NotAnImageError for what is not an image, is cut short, or has no pixels
    or more than MOST_PIXELS.
    """
    end = len(data) if end is None else end
    jpeg = data[start : min(start + 2, end)] == _SOI
    facts = _inspect_jpeg(data, start, end) if jpeg else _inspect_other(bytes(data[start:end]))
    if end - start < SMALLEST:  # markers that overlap; what is linked is judged by its size alone
        raise NotAnImageError(too_small(end - start))
    return facts


def decode(data: bytes, facts: ImageFacts) -> str | None:
    """Decode an image in full, which ``inspect`` gave these facts of; give what the decoder remarks.

    Pillow takes a JPEG whose picture data ends early for a whole one, and paints the rest grey; simplejpeg in its
    strict mode does not. Raises NotAnImageError if an image does not decode to its last pixel.
    """
    if facts.kind not in (Kind.JPEG, Kind.JPEG_CMYK):
        _decode_loosely(data)
        return None
    _check_scans(data)
    simplejpeg = _strict_decoder()
    if simplejpeg is None:
        _decode_loosely(data)
        return None
    try:
        simplejpeg.decode_jpeg(data, "CMYK" if facts.kind is Kind.JPEG_CMYK else "RGB", strict=True)
    except ValueError as error:
        remark = str(error).removeprefix("Corrupt JPEG data: ")
        if "tjDecompressHeader" in remark:  # an unusual subsampling that this library does not know
            _decode_loosely(data)
            return None
        if "extraneous" in remark:  # every decoder ignores bytes that belong to nothing
            return f"decodes, with {remark}"
        raise NotAnImageError(f"does not decode: {remark}") from error
    return None


def pixels(data: bytes) -> Any:
    """Decode any image as 8 bits of RGB: an array, or an image of Pillow's, which NumPy takes for one. Transparency is
    dropped, and EXIF ignored. Raises NotAnImageError if it does not decode.
    """
    simplejpeg = _strict_decoder()
    if simplejpeg and data.startswith(_SOI) and inspect(data).kind is Kind.JPEG:
        _check_scans(data)
        with contextlib.suppress(ValueError):  # what it does not know Pillow may, which trains on what others train on
            return simplejpeg.decode_jpeg(data, "RGB")
    with _as_rgb(data) as rgb:
        return rgb


@cache
def _strict_decoder() -> ModuleType | None:
    try:
        import simplejpeg
    except ImportError:  # it has no wheels for musl and for free-threaded Python
        return None
    module: ModuleType = simplejpeg
    return module


def decodes_strictly() -> bool:
    """Whether ``decode`` finds a JPEG whose picture data ends early: LOOSELY says what it means if not."""
    return find_spec("simplejpeg") is not None  # without loading it, and NumPy with it


def _decode_loosely(data: bytes) -> None:
    with _opened(data) as image:
        image.load()


def repair(data: bytes) -> tuple[bytes, int, int]:
    """Decode any image and encode it as RGB JPEG, quality 100, without subsampling; gives the bytes, width and height.

    Transparency is dropped, as TensorFlow's decoders drop it. The bytes depend on the version of Pillow's JPEG library
    alone. Raises NotAnImageError if the image does not decode, or is larger than a JPEG can be.
    """
    encoded = io.BytesIO()
    with _as_rgb(data) as rgb:
        rgb.save(encoded, "JPEG", quality=REPAIR_QUALITY, subsampling=0)
    return encoded.getvalue(), rgb.width, rgb.height


@contextlib.contextmanager
def _as_rgb(data: bytes) -> Iterator[Image.Image]:
    if data.startswith(_SOI):
        _check_scans(data)
    with _opened(data) as image:
        if image.mode.startswith("I"):  # 16 bits of grey: converting alone would cut them off at 255
            image = image.point(lambda value: value / 256).convert("L")  # noqa: PLW2901 — the context closes the file
        yield image.convert("RGB")


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Open an image with Pillow. What it refuses becomes a NotAnImageError; its warnings are ignored."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), _reader(data) as image:
            _check_pixels(image.width, image.height)
            yield image
    except SyntaxError as error:
        raise NotAnImageError("does not decode: its header is damaged") from error
    except (OSError, ValueError, *_DAMAGE, Image.DecompressionBombError) as error:
        if isinstance(error, NotAnImageError):
            raise
        raise NotAnImageError(f"does not decode: {error}") from error


def _reader(data: bytes) -> Image.Image:
    """Open with Pillow's reader of this kind. ``Image.open`` would try them all, and its own limit of pixels is lower
    than ours and does not give the size.
    """
    from PIL import Image

    kind = Kind.JPEG if data.startswith(_SOI) else _other_kind(data)
    if kind is None:
        raise SyntaxError("no signature of an image")
    Image.preinit()
    if kind.name not in Image.OPEN:
        Image.init()
    return Image.OPEN[kind.name][0](io.BytesIO(data), "")


def _check_pixels(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise NotAnImageError(f"declares {width} x {height} pixels, which is not decoded")


def _check_scans(jpeg: bytes) -> None:
    scans = jpeg.count(b"\xff\xda")  # these bytes may stand in a profile or thumbnail too, but not a hundred times
    if scans > MOST_SCANS:
        raise NotAnImageError(f"has {scans:,} scans, which are not decoded")


def _inspect_jpeg(data: bytes | bytearray, start: int, end: int) -> ImageFacts:
    frame: tuple[int, int, int] | None = None
    progressive, orientation = False, 0
    position = start + 2
    while position + 4 <= end:
        if data[position] != 0xFF:
            raise NotAnImageError(f"is a damaged JPEG: no marker {position - start} bytes after its start")
        marker = data[position + 1]
        if marker == 0xFF or marker in _STANDALONE:  # fill byte, or a marker without contents
            position += 1 if marker == 0xFF else 2
            continue
        length = (data[position + 2] << 8) | data[position + 3]
        if marker in _FRAMES:
            frame, progressive = _frame(data, position, end), marker in _PROGRESSIVE
        elif marker == _APP1 and data[position + 4 : position + 10] == b"Exif\0\0":
            orientation = _orientation(bytes(data[position + 10 : position + 2 + length]))
        elif marker == _SOS:
            return _complete(data, position, end, frame, progressive, orientation)
        position += 2 + length
    raise NotAnImageError("is a JPEG cut short inside its header")


def _frame(data: bytes | bytearray, position: int, end: int) -> tuple[int, int, int]:
    if position + 10 > end:
        raise NotAnImageError("is a JPEG cut short inside its header")
    height, width, components = struct.unpack_from(">HHB", data, position + 5)
    return width, height, components


def _complete(
    data: bytes | bytearray,
    scan: int,
    end: int,
    frame: tuple[int, int, int] | None,
    progressive: bool,
    orientation: int,
) -> ImageFacts:
    # Within a scan 0xFF is always followed by 0 or a restart marker, so an end marker after the first scan
    # is the real one; bytes after it are harmless, every decoder ignores them.
    if data[end - 2 : end] != _EOI and data.rfind(_EOI, scan, end) < 0:
        raise NotAnImageError("is a JPEG cut short: it has no end marker")
    if frame is None:
        raise NotAnImageError("is a JPEG without a frame header")
    width, height, components = frame
    if not width or not height:
        raise NotAnImageError(f"is a JPEG of {width} x {height} pixels")
    _check_pixels(width, height)
    if components not in (1, 3, 4):
        raise NotAnImageError(f"is a JPEG with {components} colour components")
    kind = Kind.JPEG_CMYK if components == 4 else Kind.JPEG
    return ImageFacts(kind, width, height, components, progressive, orientation)


def _orientation(tiff: bytes) -> int:
    """Read the orientation tag of the first image directory; malformed EXIF, of which ImageNet has some,
    counts as none.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 0
    try:
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, value_type, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == 0x0112 and value_type == 3:
                return int(value) if 1 <= value <= 8 else 0
    except struct.error:
        return 0
    return 0


def _other_kind(data: bytes) -> Kind | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Kind.WEBP
    return next((kind for signature, kind in _SIGNATURES if data.startswith(signature)), None)


def _inspect_other(data: bytes) -> ImageFacts:
    kind = _other_kind(data)
    if kind is None:
        raise NotAnImageError(_what_else(data))
    try:
        with _opened(data) as image:
            return ImageFacts(kind, image.width, image.height, len(image.getbands()))
    except NotAnImageError as error:
        raise NotAnImageError(f"looks like {kind.name} but {error}") from error


def _what_else(data: bytes) -> str:
    if not data:
        return "is empty"
    if not any(data[:512]):
        return "starts with zeros only: that part of the archive was never downloaded"
    if data.lstrip()[:1] == b"<":
        return "is an HTML or XML page"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in data[:512]):
        return "is text"
    return f"is not an image: it starts with {data[:8].hex(' ')}"

"""Facts about an encoded image without decoding it, and the repair of what readers would trip over."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import tracemalloc
import warnings
import zlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from imagenet_prep.codecs.jpeg import ImageFacts, Kind, NotAnImageError, decode, inspect, repair
from imagenet_prep.testing.pictures import draw, picture
from imagenet_prep.testing.quirks import IMAGE_QUIRKS
from support.sentences import Sentence

pytestmark = pytest.mark.quick

WIDTH, HEIGHT = 52, 37
PICTURE = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
RGB = Image.merge("RGB", [PICTURE, PICTURE.rotate(180), PICTURE.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])


def encoded(kind: str, image: Image.Image = RGB, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


JPEG = encoded("JPEG")
CMYK = encoded("JPEG", RGB.convert("CMYK"))
PNG = encoded("PNG")
GRAIN = Image.frombytes("RGB", (64, 64), random.Random(0).randbytes(64 * 64 * 3))
NOISE = encoded("JPEG", GRAIN)  # mostly picture data


def with_segment(marker: int, content: bytes, jpeg: bytes = JPEG) -> bytes:
    """A JPEG with one more segment behind its start."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + jpeg[2:]


def exif(order: str, *entries: tuple[int, int, int], promised: int | None = None) -> bytes:
    """An EXIF segment with SHORT entries (tag, type, value), in byte order ``<`` or ``>``."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    directory = b"".join(struct.pack(f"{order}HHIHH", tag, kind, 1, value, 0) for tag, kind, value in entries)
    count = len(entries) if promised is None else promised
    return b"Exif\0\0" + start + struct.pack(f"{order}IH", 8, count) + directory


def refusal(data: bytes) -> str:
    with pytest.raises(NotAnImageError) as caught:
        inspect(data)
    return str(caught.value)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures' values, 0…255."""
    pairs = list(zip(one.convert("RGB").tobytes(), other.convert("RGB").tobytes(), strict=True))
    return sum(abs(a - b) for a, b in pairs) / len(pairs)


# --- What a JPEG's header says ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_any_subsampling_and_scan_order(subsampling: str, progressive: bool) -> None:
    data = encoded("JPEG", subsampling=subsampling, progressive=progressive)

    assert inspect(data) == ImageFacts(Kind.JPEG, 52, 37, 3, progressive, 0)
    assert not inspect(data).needs_repair


def test_a_grey_jpeg_has_one_component_and_stays_as_it_is() -> None:
    facts = inspect(encoded("JPEG", PICTURE))

    assert facts == ImageFacts(Kind.JPEG, 52, 37, 1)
    assert not facts.needs_repair


def test_a_cmyk_jpeg_has_four_components_and_needs_repair() -> None:
    facts = inspect(CMYK)

    assert facts == ImageFacts(Kind.JPEG_CMYK, 52, 37, 4)
    assert facts.needs_repair


def test_the_largest_jpeg_is_65535_pixels_wide() -> None:
    frame = JPEG.index(b"\xff\xc0")
    wide = JPEG[: frame + 5] + struct.pack(">HH", 1, 65_535) + JPEG[frame + 9 :]

    assert (inspect(wide).width, inspect(wide).height) == (65_535, 1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_the_orientation_is_read_in_both_byte_orders(order: str, value: int) -> None:
    data = with_segment(0xE1, exif(order, (0x0100, 3, 9), (0x0112, 3, value)))

    assert inspect(data) == ImageFacts(Kind.JPEG, 52, 37, 3, orientation=value)


def test_width_and_height_are_those_before_the_rotation() -> None:
    data = IMAGE_QUIRKS["exif-orientation"][1](draw("upright"))

    assert inspect(data).orientation == 6
    assert (inspect(data).width, inspect(data).height) == opened(data).size


def test_pillow_and_we_agree_on_the_orientation() -> None:
    for value in range(1, 9):
        tags = Image.Exif()
        tags[0x0112] = value
        assert inspect(encoded("JPEG", exif=tags)).orientation == value


@pytest.mark.parametrize(
    "content",
    [
        b"Exif\0\0",
        b"Exif\0\0II",
        b"Exif\0\0XX*\0\x08\0\0\0",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        exif(">", promised=65_535),
        exif("<", (0x0112, 3, 6))[:-3],
        exif("<", (0x0112, 3, 0)),
        exif("<", (0x0112, 3, 9)),
        exif(">", (0x0112, 2, 6)),
        b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>",
    ],
    ids=["bare", "cut", "order", "far", "promise", "cut-entry", "zero", "nine", "type", "xmp"],
)
def test_malformed_exif_counts_as_none_and_the_image_is_fine(content: bytes) -> None:
    assert inspect(with_segment(0xE1, content)) == ImageFacts(Kind.JPEG, 52, 37, 3)


def test_the_malformed_exif_of_the_miniature_is_fine_too() -> None:
    assert inspect(IMAGE_QUIRKS["exif-malformed"][1](draw("odd"))).orientation == 0


@pytest.mark.parametrize("fill", [1, 2, 300])
def test_fill_bytes_may_stand_before_any_marker(fill: int) -> None:
    position, filled = 2, JPEG[:2]
    while True:
        (length,) = struct.unpack_from(">H", JPEG, position + 2)
        filled += b"\xff" * fill + JPEG[position : position + 2 + length]
        if JPEG[position + 1] == 0xDA:
            break
        position += 2 + length
    filled += JPEG[position + 2 + length :]
    assert opened(filled).size == (52, 37)

    assert inspect(filled) == ImageFacts(Kind.JPEG, 52, 37, 3)


def test_restart_markers_belong_to_the_picture() -> None:
    data = encoded("JPEG", restart_marker_blocks=1)
    assert b"\xff\xd0" in data

    assert inspect(data) == ImageFacts(Kind.JPEG, 52, 37, 3)


def test_a_comment_may_hold_any_bytes() -> None:
    data = with_segment(0xFE, b"\xff\xd9\xff\xda\xff\xc0" + bytes(range(256)))

    assert inspect(data) == ImageFacts(Kind.JPEG, 52, 37, 3)


@pytest.mark.parametrize("more", [b"\0", b"\r\n", b"\xff", bytes(5000), b"<html>", JPEG[: len(JPEG) // 2]])
def test_bytes_behind_the_end_are_harmless(more: bytes) -> None:
    assert inspect(JPEG + more) == ImageFacts(Kind.JPEG, 52, 37, 3)


def test_an_image_is_found_in_the_middle_of_a_buffer_without_being_copied() -> None:
    buffer = bytearray(b"before" + PNG + JPEG + encoded("JPEG", PICTURE))

    assert inspect(buffer, 6, 6 + len(PNG)).kind == Kind.PNG
    assert inspect(buffer, 6 + len(PNG), 6 + len(PNG) + len(JPEG)).components == 3
    assert inspect(buffer, 6 + len(PNG) + len(JPEG)).components == 1


def test_what_lies_behind_an_image_in_the_buffer_is_not_part_of_it(sentence: Sentence) -> None:
    cut = JPEG[: len(JPEG) // 2]
    buffer = bytearray(cut + JPEG)

    with pytest.raises(NotAnImageError) as caught:
        inspect(buffer, 0, len(cut))
    sentence(caught.value)
    with pytest.raises(NotAnImageError) as caught:
        inspect(buffer, len(cut), len(cut))
    sentence(caught.value, "nothing")


# --- What is not an image ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["baseline", "progressive", "grey", "cmyk", "restarts", "exif"])
def test_a_jpeg_cut_anywhere_is_refused(name: str) -> None:
    data = {
        "baseline": JPEG,
        "progressive": encoded("JPEG", progressive=True),
        "grey": encoded("JPEG", PICTURE),
        "cmyk": CMYK,
        "restarts": encoded("JPEG", restart_marker_blocks=1),
        "exif": with_segment(0xE1, exif(">", (0x0112, 3, 6))),
    }[name]
    assert inspect(data).width == 52

    taken = []
    for size in range(len(data)):
        with contextlib.suppress(NotAnImageError):
            taken.append((size, inspect(data[:size])))
    assert taken == []


def test_a_cut_behind_a_thumbnail_with_an_end_of_its_own_is_found() -> None:
    thumbnail = encoded("JPEG", RGB.resize((16, 12)))
    data = with_segment(0xE1, exif(">") + thumbnail)
    behind = data.index(thumbnail) + len(thumbnail)
    assert data[behind - 2 : behind] == b"\xff\xd9"
    assert inspect(data).width == 52

    for size in range(behind, len(data), 7):
        assert "cut short" in refusal(data[:size])


def test_a_jpeg_whose_rest_was_never_downloaded_is_refused(sentence: Sentence) -> None:
    half = len(JPEG) - 40

    sentence(refusal(JPEG[:half] + bytes(40)))


def test_where_a_jpeg_is_cut_is_said(sentence: Sentence) -> None:
    sentence(refusal(JPEG[:-2]), "end")
    sentence(refusal(JPEG[:100]), "header")
    sentence(refusal(JPEG[:2]), "header")


@pytest.mark.parametrize(("width", "height"), [(0, 37), (52, 0), (0, 0)])
def test_an_image_without_pixels_is_refused(width: int, height: int, sentence: Sentence) -> None:
    frame = JPEG.index(b"\xff\xc0")
    data = JPEG[: frame + 5] + struct.pack(">HH", height, width) + JPEG[frame + 9 :]

    sentence(refusal(data))


@pytest.mark.parametrize("components", [0, 2, 5, 255])
def test_a_number_of_colours_that_no_reader_knows_is_refused(components: int, sentence: Sentence) -> None:
    frame = JPEG.index(b"\xff\xc0")
    data = JPEG[: frame + 9] + bytes([components]) + JPEG[frame + 10 :]

    sentence(refusal(data))


def test_a_jpeg_without_a_frame_is_refused(sentence: Sentence) -> None:
    scan = JPEG.index(b"\xff\xda")

    sentence(refusal(JPEG[:2] + JPEG[scan:]))


def test_lost_bytes_between_two_segments_are_named_with_their_place(sentence: Sentence) -> None:
    sentence(refusal(JPEG[:20] + b"\0\0" + JPEG[20:]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (bytes(2000), "starts with zeros only: that part of the archive was never downloaded"),
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "is an HTML or XML page"),
        (b"\n\n <svg xmlns='http://www.w3.org/2000/svg'/>", "is an HTML or XML page"),
        (b"404 Not Found\n", "is text"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is text"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\0", "is not an image: it starts with 1f 8b 08 00 00 00 00 00"),
        (b"\xff", "is not an image: it starts with ff"),
        (b"\xff\xd7\xff", "is not an image: it starts with ff d7 ff"),
    ],
)
def test_what_stands_in_the_place_of_an_image_is_said(data: bytes, reason: str) -> None:
    assert refusal(data) == reason


@pytest.mark.parametrize("start", [b"BM", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"RIFF\0\0\0\0WEBPVP8 "])
def test_an_image_by_its_first_bytes_alone_is_refused_in_words_for_people(start: bytes) -> None:
    message = refusal(start + b" and nothing else")

    assert message.startswith("looks like ")
    assert "object at 0x" not in message  # the same input gives the same words, and no place in this machine's memory


def declaring(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes that claims to be that large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG[:8] + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(65_535, 65_535), (1 << 30, 1), (20_000, 20_000)])
def test_a_png_that_claims_gigapixels_is_not_decoded(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decoded)

    with pytest.raises(NotAnImageError):
        inspect(declaring(*size))
    with pytest.raises(NotAnImageError):
        repair(declaring(*size))


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    frame = jpeg.index(b"\xff\xc0")
    return jpeg[: frame + 5] + struct.pack(">HH", height, width) + jpeg[frame + 9 :]


BEYOND = {
    "jpeg": (with_size(JPEG, 65_500, 65_500), "declares 65500 x 65500 pixels, which is not decoded"),
    "one-row": (with_size(JPEG, 16_384, 16_385), "declares 16384 x 16385 pixels, which is not decoded"),
    "cmyk": (with_size(CMYK, 65_500, 65_500), "declares 65500 x 65500 pixels, which is not decoded"),
    "png": (declaring(100_000, 100_000), "looks like PNG but declares 100000 x 100000 pixels, which is not decoded"),
    "png-row": (declaring(16_384, 16_385), "looks like PNG but declares 16384 x 16385 pixels, which is not decoded"),
}


@pytest.mark.parametrize("name", BEYOND)
def test_an_image_that_declares_gigapixels_is_refused_without_memory_for_them(name: str) -> None:
    data, reason = BEYOND[name]

    tracemalloc.start()
    try:
        assert refusal(data) == reason
        assert tracemalloc.get_traced_memory()[1] < 20_000_000  # Pillow itself, if it was not yet loaded
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [with_size(JPEG, 16_384, 16_384), declaring(16_384, 16_384)], ids=["jpeg", "png"])
def test_the_largest_image_that_is_one_has_16384_pixels_a_side(data: bytes) -> None:
    assert (inspect(data).width, inspect(data).height) == (16_384, 16_384)


def test_a_large_but_possible_image_is_no_reason_for_a_warning() -> None:
    """Pillow warns from 89 million pixels on; what its user sees should be ours. (Warnings are errors here.)"""
    assert inspect(declaring(10_000, 10_000)) == ImageFacts(Kind.PNG, 10_000, 10_000, 3)


# --- Repair -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_other_kinds_posing_as_jpeg_are_recognised_by_content_and_become_rgb_jpegs(kind: str) -> None:
    data = encoded(kind)
    facts = inspect(data)
    assert (facts.kind, facts.width, facts.height, facts.needs_repair) == (Kind[kind], 52, 37, True)

    repaired, width, height = repair(data)

    assert (width, height) == (52, 37)
    assert inspect(repaired) == ImageFacts(Kind.JPEG, 52, 37, 3)
    assert difference(opened(repaired), opened(data)) < 1


def test_a_repaired_cmyk_jpeg_shows_the_same_colours() -> None:
    """Adobe's CMYK is stored inverted: read as it stands, a repair would give a negative."""
    repaired, width, height = repair(CMYK)

    assert (width, height) == (52, 37)
    assert inspect(repaired) == ImageFacts(Kind.JPEG, 52, 37, 3)
    assert difference(opened(repaired), RGB) < 4


def test_a_repair_is_of_quality_100_without_subsampling() -> None:
    repaired = opened(repair(PNG)[0])

    assert isinstance(repaired, ImageFile.ImageFile)
    assert {value for table in repaired.quantization.values() for value in table} == {1}  # type: ignore[attr-defined]
    assert [layer[1:3] for layer in repaired.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]


def test_the_same_image_is_always_repaired_to_the_same_bytes() -> None:
    assert repair(PNG) == repair(PNG)
    assert repair(CMYK) == repair(CMYK)


def test_no_colour_profile_of_cmyk_stays_in_an_rgb_jpeg() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    assert "icc_profile" not in opened(repair(encoded("JPEG", RGB.convert("CMYK"), icc_profile=profile))[0]).info


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_a_png_of_any_mode_becomes_rgb(mode: str) -> None:
    data = encoded("PNG", RGB.convert(mode))

    assert inspect(repair(data)[0]).components == 3
    assert difference(opened(repair(data)[0]), opened(data)) < 3


def test_a_palette_with_transparency_is_repaired_without_a_warning() -> None:
    data = encoded("PNG", RGB.convert("P"), transparency=bytes(range(256)))

    assert difference(opened(repair(data)[0]), RGB.convert("P")) < 3


def test_a_png_with_16_bits_does_not_turn_white() -> None:
    grey = Image.new("I;16", (WIDTH, HEIGHT), 0x8000)

    repaired = opened(repair(encoded("PNG", grey))[0])

    assert difference(repaired, Image.new("RGB", (WIDTH, HEIGHT), (128, 128, 128))) < 2


@pytest.mark.parametrize("data", [PNG[: len(PNG) // 2], CMYK[:-200], b"", b"text", JPEG[:50]])
def test_what_does_not_decode_is_not_repaired(data: bytes, sentence: Sentence) -> None:
    with pytest.raises(NotAnImageError) as caught:
        repair(data)
    sentence(caught.value)


def test_an_image_too_wide_for_a_jpeg_is_refused() -> None:
    with pytest.raises(NotAnImageError):
        repair(encoded("PNG", Image.new("RGB", (65_536, 1))))


# --- Any bytes at all -------------------------------------------------------------------------------------------------


def looked_at(data: bytes) -> None:
    """Inspect, and repair if it comes to that: NotAnImageError is the only refusal there is."""
    with warnings.catch_warnings(), contextlib.suppress(NotAnImageError):
        warnings.simplefilter("ignore")  # of Pillow, about oddities of TIFF
        if inspect(data).needs_repair:
            repair(data)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", JPEG[:20], PNG[:8], b"GIF89a", b"BM", b"II*\0"]))
@example(b"\xff" * 100, b"\xff\xd8")
@example(b"\xff\xe0\0\0" * 20, b"\xff\xd8")
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_an_image_or_not_and_nothing_worse(data: bytes, start: bytes) -> None:
    looked_at(start + data)


SMALL = {
    "jpeg": encoded("JPEG", RGB.resize((16, 12)), progressive=True),
    "photo": picture("photo"),
    "exif": with_segment(0xE1, exif("<", (0x0112, 3, 6))),
    "cmyk": encoded("JPEG", RGB.resize((16, 12)).convert("CMYK")),
    **{kind: encoded(kind, RGB.resize((16, 12))) for kind in ("PNG", "GIF", "BMP", "WEBP", "TIFF")},
}


@given(
    st.sampled_from(sorted(SMALL)),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=6),
    st.sampled_from([20, 100, 1 << 16]),
    st.integers(0, 1 << 16),
)
@settings(max_examples=400, deadline=None)
def test_a_damaged_image_is_an_image_or_not_and_nothing_worse(
    name: str, changes: list[tuple[int, int]], within: int, cut: int
) -> None:
    data = bytearray(SMALL[name])
    for place, value in changes:
        data[place % min(within, len(data))] = value
    looked_at(bytes(data[: cut or None]))


@given(st.integers(0, 1 << 16), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_facts_of_a_damaged_jpeg_are_possible_facts(place: int, value: int) -> None:
    data = bytearray(SMALL["exif"])
    data[place % 700] = value
    try:
        facts = inspect(data)
    except NotAnImageError:
        return
    assert 1 <= facts.width <= 65_535
    assert 1 <= facts.height <= 65_535
    assert facts.components in (1, 3, 4)
    assert 0 <= facts.orientation <= 8


def test_a_whole_image_decodes_without_a_remark() -> None:
    assert decode(NOISE, inspect(NOISE)) is None


def test_a_jpeg_whose_picture_data_ends_early_does_not_decode_though_pillow_takes_it(sentence: Sentence) -> None:
    cut = NOISE[: len(NOISE) // 2] + b"\xff\xd9"
    Image.open(io.BytesIO(cut)).load()

    with pytest.raises(NotAnImageError) as caught:
        decode(cut, inspect(cut))
    sentence(caught.value)


def test_bytes_that_belong_to_nothing_are_a_remark() -> None:
    image = NOISE[:-2] + bytes(30) + b"\xff\xd9"

    assert "0xd9" in str(decode(image, inspect(image)))


def test_an_image_that_declares_gigapixels_is_not_decoded(sentence: Sentence) -> None:
    size = NOISE.index(b"\xff\xc0") + 5
    bomb = NOISE[:size] + b"\xff\xff\xff\xff" + NOISE[size + 4 :]

    with pytest.raises(NotAnImageError) as caught:
        decode(bomb, inspect(bomb))
    sentence(caught.value)


@pytest.mark.parametrize("image", [NOISE, CMYK], ids=["rgb", "cmyk"])
def test_a_jpeg_of_a_thousand_scans_is_not_decoded(image: bytes) -> None:
    """Each scan may visit every pixel, and takes 11 bytes: 55 kB of them are 100 seconds."""
    bomb = image[:-2] + image[image.index(b"\xff\xda") :][:11] * 1_000 + image[-2:]

    for take in (lambda: decode(bomb, inspect(bomb)), lambda: repair(bomb)):
        with pytest.raises(NotAnImageError, match=r"^has 1,001 scans, which are not decoded$"):
            take()


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_other_kinds_decode_too_and_cut_ones_do_not(kind: str) -> None:
    whole = encoded(kind, GRAIN)

    assert decode(whole, inspect(whole)) is None
    with pytest.raises(NotAnImageError):
        decode(whole[: len(whole) // 2], inspect(whole))

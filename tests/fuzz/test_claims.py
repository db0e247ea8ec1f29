"""What claims to be huge is refused, and not a byte is allocated for the claim: each is read in a process that may take
128 MB more than it has.
"""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from fuzz.sound import ANNOTATION, jpegs
from fuzz.targets import mended
from imagenet_prep.testing.archives import GROUND_TRUTH, tar_of
from support.records import masked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to such a limit")

BOUNDED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fuzz.targets import TARGETS
target, data = TARGETS[sys.argv[2]], sys.stdin.buffer.read()
target.read(target.sound[-1])  # what is loaded only once is loaded now
limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (128 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    target.read(data)
except target.declared as error:
    print(error)
"""
SIZE, TYPE = 124, 156  # fields of a tar header
TWO_TO_THE_60 = b"\x80" + (1 << 60).to_bytes(11, "big")
BELOW_ZERO = b"\xff" * 10 + b"\xfe\x00"  # -512


def tar(kind: bytes = b"0", size: bytes = TWO_TO_THE_60, name: str = GROUND_TRUTH) -> bytes:
    """A tar whose first header has this type and this size field, and a right checksum."""
    data = bytearray(tar_of([(name, b"490\n")]))
    data[SIZE : SIZE + 12] = size
    data[TYPE : TYPE + 1] = kind
    return mended(bytes(data))


def bomb(start: bytes) -> bytes:
    """One megabyte of gzip: what is given, and 1,000 MB of zeros."""
    return gzip.compress(start, mtime=0) + gzip.compress(bytes(10_000_000), mtime=0) * 100


def record(length: int) -> bytes:
    head = struct.pack("<Q", length)
    return head + masked(head) + b"\x0a" * 100


def jpeg(width: int, height: int) -> bytes:
    data = jpegs()[0]
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in (*chunks, (b"IEND", b"")))


def webp(width: int, height: int) -> bytes:
    canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    frame = b"\0" * 6 + canvas + b"\0\0\0\0" + b"VP8L" + struct.pack("<I", 5) + b"\x2f" + bytes(5)
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    chunks += b"ANMF" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def tiff(tags: int, size: int) -> bytes:
    """Many tags that all have the same bytes for their value."""
    entries = b"".join(struct.pack("<HHII", 1000 + tag, 7, size, 0) for tag in range(tags))
    return b"II*\0" + struct.pack("<IH", 8, tags) + entries.ljust(size, b"\0")


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 12))
    return f'<!DOCTYPE a [<!ENTITY l0 "ha">{entities}]>'.encode() + ANNOTATION.replace(b">200<", b">&l11;<")


CLAIMS = {
    "a member of 2^60 bytes": ("tar", tar(), "claims 1,152,921,504,606,846,976 bytes"),
    "a name of 2^60 bytes": ("tar", tar(b"L"), "claims 1,152,921,504,606,846,976 bytes"),
    "a pax header of 2^60 bytes": ("tar", tar(b"x"), "claims 1,152,921,504,606,846,976 bytes"),
    "a member of -512 bytes": ("tar", tar(size=BELOW_ZERO), "claims a negative size"),
    "a ground truth of 2^60 bytes": ("devkit", tar(), "claims 1,152,921,504,606,846,976 bytes"),
    "one that is packed": ("devkit", gzip.compress(tar()), "claims 1,152,921,504,606,846,976 bytes"),
    "a packed member of 2^60 bytes": ("devkit", gzip.compress(tar(name="a")), "ends inside a member's header"),
    "a packed name of 2^60 bytes": ("devkit", gzip.compress(tar(b"L")), "claims 1,152,921,504,606,846,976 bytes"),
    "a packed name of -512 bytes": ("boxes", gzip.compress(tar(b"L", BELOW_ZERO)), "claims a negative size"),
    "a packed name of 1,000 MB": ("devkit", bomb(tar(b"L", b"07346545000\0")[:512]), "claims 1,000,000,000 bytes"),
    "1,000 MB of zeros": ("devkit", bomb(b""), "is not in the archive"),
    "a packed annotation of 1,000 MB": (
        "boxes",
        bomb(tar(b"0", b"07346545000\0", "n01440764/n01440764_18.xml")[:512]),
        "is not a usable annotation",
    ),
    "a billion laughs": ("annotation", laughs(), "amplification factor"),
    "a record of 2^60 bytes": ("tfrecord", record(1 << 60), "1,152,921,504,606,846,976 bytes reaches beyond the end"),
    "an Example of 2^60 bytes": ("example", b"\x0a" + b"\x80" * 8 + b"\x10", "a field reaches beyond its message"),
    "the same in a record": ("tfrecord-framed", b"\x0a" + b"\x80" * 8 + b"\x10", "a field reaches beyond its message"),
    "a JPEG of 4 gigapixels": ("image", jpeg(65_500, 65_500), "declares 65500 x 65500 pixels, which is not decoded"),
    "a PNG of 10 gigapixels": (
        "image",
        png((b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(64)))),
        "looks like PNG but declares 100000 x 100000 pixels, which is not decoded",
    ),
    "a PNG with 100 MB of text": (
        "image",
        png(
            (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)),
            (b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000))),
            (b"IDAT", zlib.compress(bytes(200))),
        ),
        "Decompressed data too large",
    ),
    "a WebP of 4 gigapixels": ("image", webp(65_000, 65_000), "looks like WEBP but "),
    "a TIFF that counts its bytes 10,000 times": ("image", tiff(10_000, 200_000), "looks like TIFF but "),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_nothing_is_allocated_for(claim: str) -> None:
    target, data, reason = CLAIMS[claim]
    command = [sys.executable, "-c", BOUNDED, str(Path(__file__).parents[1]), target]

    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)

    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert reason in done.stdout.decode()

"""Sound inputs of every parser, made in code, and the words they are made of: what a fuzzer starts from."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from imagenet_prep.codecs.sealed import seal
from imagenet_prep.dataset.layout import STATE, receipt_path
from imagenet_prep.dataset.receipts import save_receipt
from imagenet_prep.dataset.state import OutputState, State, save_state
from imagenet_prep.imagenet.classes import official, to_map
from imagenet_prep.model.archive import Archive
from imagenet_prep.model.receipt import Receipt
from imagenet_prep.model.sample import Box, Sample
from imagenet_prep.model.shards import Arrangement, ShardName
from imagenet_prep.options import BuildOptions, Recipe
from imagenet_prep.outputs.base import output_from
from imagenet_prep.stores.memory import MemoryStore
from imagenet_prep.testing.annotations import annotation_xml
from imagenet_prep.testing.archives import GROUND_TRUTH, tar_of
from imagenet_prep.testing.output_contract import planned, stored
from imagenet_prep.testing.pictures import PixelBox, draw, encode
from imagenet_prep.verbs.fetch.part import NOTE_VERSION, Origin

SHARD = ShardName.parse("train-00000-of-00001")
ANNOTATION = annotation_xml("n01440764", "n01440764_18", "n01440764", (200, 100), [PixelBox(20, 25, 100, 75)])
SAMPLE = Sample("n01440764_18.JPEG", b"\xff\xd8 an image", 0, 200, 100, (Box(0.1, 0.25, 0.5, 0.75),))

# --- Archives ---------------------------------------------------------------------------------------------------------


def tars() -> list[bytes]:
    return _dialects((f"{'n' * 90}/{'x' * 60}.JPEG", b"y" * 100), ("plain.JPEG", b"z" * 900), ("grün.JPEG", b""))


def archives() -> list[bytes]:
    """Of class tars, of validation images, and of both splits in folders."""
    image, truth = ("n01440764/n01440764_18.JPEG", b"an image"), ("ILSVRC2012_val_00000001.JPEG", b"an image")
    trees = _dialects((f"imagenet/train/{image[0]}", image[1]), (f"imagenet/val/{truth[0]}", truth[1]))
    return [*trees, *_dialects(truth), *_dialects(("n01440764.tar", tar_of([image])))]


def zips() -> list[bytes]:
    """Of both splits, with folders, stored; with the sizes after the bytes; with one that is compressed."""
    found = []
    for comment, method in ((b"", zipfile.ZIP_STORED), (b"a comment", zipfile.ZIP_STORED), (b"", zipfile.ZIP_DEFLATED)):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.comment = comment
            archive.mkdir("train")
            archive.writestr("train/n01440764_18.JPEG", b"an image")
            archive.writestr("val/ILSVRC2012_val_00000001.JPEG", b"an image")
            archive.writestr("README", b"a text", method)
        found.append(file.getvalue())
    return found


def packed() -> list[bytes]:
    """Archives that are compressed as a whole, by everything that is taken, and a zip that compresses."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/n01440764_18.JPEG", b"an image" * 9)
        archive.writestr("val/ILSVRC2012_val_00000001.JPEG", b"an image" * 9)
    found = [compress(tar) for tar in archives()[:2] for compress in (gzip.compress, bz2.compress, lzma.compress)]
    around = io.BytesIO()
    with zipfile.ZipFile(around, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("LOC_val_solution.csv", b"a list")
        archive.writestr("imagenet.tar.gz", found[0])
    return [*found, pa.compress(archives()[0], "zstd", asbytes=True), file.getvalue(), around.getvalue()]


def tables() -> list[bytes]:
    """Of images, as Hugging Face has them: with pages as they are and compressed, and with checksums."""
    rows = [
        {"image": {"bytes": b"an image" * 9, "path": f"n01440764_{number}.JPEG"}, "label": 0} for number in range(3)
    ]
    found = []
    for compression, checksum in (("none", False), ("snappy", False), ("zstd", True)):
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), file, compression=compression, write_page_checksum=checksum)
        found.append(file.getvalue())
    return found


def devkits() -> list[bytes]:
    return _either_way(_dialects((GROUND_TRUTH, b"490\n361\n")))


def boxes() -> list[bytes]:
    return _either_way(_dialects(("n01440764/n01440764_18.xml", ANNOTATION)))


def _either_way(unpacked: list[bytes]) -> list[bytes]:
    return [*unpacked, *(gzip.compress(tar, mtime=0) for tar in unpacked)]


def _dialects(*members: tuple[str, bytes]) -> list[bytes]:
    """The same members as GNU tar writes them, and in the three dialects of the standard library."""
    return [tar_of(members), *(_by_tarfile(members, dialect) for dialect in range(3))]


def _by_tarfile(members: Sequence[tuple[str, bytes]], dialect: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=dialect, pax_headers={"comment": "any"}) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.pax_headers = {"size": str(len(data)), "path": name}
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


# --- Images -----------------------------------------------------------------------------------------------------------


def jpegs() -> list[bytes]:
    drawing = draw("fuzz")
    tag = b"Exif\0\0II*\0" + struct.pack("<IHHHIHH", 8, 1, 0x0112, 3, 1, 6, 0)
    return [encode(drawing), encode(drawing, progressive=True), encode(drawing, exif=tag), _image("JPEG", "CMYK")]


def images() -> list[bytes]:
    others = [_image(kind, mode) for kind in ("PNG", "GIF", "BMP", "TIFF") for mode in ("RGB", "P", "1")]
    return [_image("JPEG", "RGB"), _image("JPEG", "CMYK"), *others, _image("WEBP", "RGB"), _image("WEBP", "RGBA")]


def _image(kind: str, mode: str) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((9, 7)).convert("RGB").convert(mode).save(file, kind)
    return file.getvalue()


# --- Records ----------------------------------------------------------------------------------------------------------


def shards(name: str) -> Callable[[], list[bytes]]:
    """A shard of the format ``name`` with two records."""

    def shard() -> list[bytes]:
        store, output = MemoryStore(), output_from(name, {})
        with store.batch() as batch:
            writer = output.writer(batch, replace(planned([SAMPLE, SAMPLE]), shard=SHARD))
            for _ in range(2):
                writer.add(SAMPLE)
            writer.finish()
            batch.commit()
        return [store.read(output.sample_files(replace(stored([SAMPLE]), shard=SHARD))[0])]

    return shard


def examples(name: str) -> Callable[[], list[bytes]]:
    """What is in a record, without its frame."""

    def example() -> list[bytes]:
        (shard,) = shards(name)()
        return [shard[12 : 12 + struct.unpack_from("<Q", shard)[0]]]

    return example


# --- Text and documents -----------------------------------------------------------------------------------------------


def solutions() -> list[bytes]:
    return [b"ImageId,PredictionString\nILSVRC2012_val_00048981,n03995372 85 1 499 272 \n"]


def maps() -> list[bytes]:
    return ["".join(to_map(official()).splitlines(keepends=True)[:8]).encode()]


def class_lists() -> list[bytes]:
    return [b"0\n000_tench # fish\nn01443537\ngreat white shark\n"]


def image_lists() -> list[bytes]:
    return [b"n01440764_18\na/n01440764_36.JPEG, 0\n"]


def names() -> list[bytes]:
    return [b"n01440764_18.JPEG", b"ILSVRC2012_val_00000001.JPEG"]


def receipts() -> list[bytes]:
    columns: dict[str, array[int] | bytes] = {"digest": bytes(32), "width": array("i", [500, 375])}
    store = MemoryStore()
    save_receipt(store, Receipt("tfds", "0" * 32, SHARD, 2, (), columns))
    return [store.read(receipt_path("tfds", SHARD))]


def _recipe() -> Recipe:
    return BuildOptions.of(format=("tfds", "folders"), classes=(0, 7), names="wnid", shards={"train": 2}).recipe


def states() -> list[bytes]:
    recipe, store = _recipe(), MemoryStore()
    output = OutputState({"shards": {"train": 2}}, "0" * 32, Arrangement(False, {"train": 2}), {"pillow": "12"})
    archive = Archive("train.tar", "train", 10, 20, path="/data/train.tar")
    save_state(store, State(recipe.selection.document(), "0" * 32, {"tfds": output}, (archive,), "header", "fail"))
    return [store.read(STATE)]


def moves() -> list[bytes]:
    return [seal({"times": {"/data/train/n01440764": 1_338_508_800_123_456_789}})]


def recipes() -> list[bytes]:
    document = _recipe().document()
    built = {**document, "outputs": {name: {"options": of} for name, of in document["outputs"].items()}}
    whole = seal({**built, "format_version": 1})
    return [json.dumps(document).encode(), json.dumps(built, indent=1).encode(), whole, b"{}"]


def toml_recipes() -> list[bytes]:
    return [b'[selection]\nclasses = [0, "tench", 7]\nlimit = 0.5\n[outputs.folders]\nnames = "wnid"\n', b""]


def documents() -> list[bytes]:
    return [seal({"version": 1, "split": ["train"]})]


def urls() -> list[bytes]:
    return [
        b"https://example.org/a/b/x.tar?token=1#part",
        b"http://[::1]:8080/%C3%A9.tar",
        b"http://localhost/x%20y",
        b"x.tar  https://example.org/download?id=3",
    ]


def cookies() -> list[bytes]:
    line = b"\t".join([b".example.org", b"TRUE", b"/", b"TRUE", b"0", b"session", b"secret"])
    return [
        b"# Netscape HTTP Cookie File\n\n#HttpOnly_" + line + b"\r\n" + line.replace(b"\t0\t", b"\t4102444800\t"),
        b"\xef\xbb\xbf" + line.replace(b"\t0\t", b"\t-1\t") + "\u00fc\n".encode(),
    ]


def headers() -> list[bytes]:
    return [b"Authorization: Bearer secret\r\n# a remark\nX-Token:1\n"]


def answers() -> list[bytes]:
    usual = b'Content-Type: application/x-tar\r\nETag: W/"1"\r\nLast-Modified: Wed, 01 Aug 2012 12:00:00 GMT\r\n'
    return [
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n" + usual + b"\r\n12345678",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nContent-Range: bytes 5-7/8\r\n" + usual + b"\r\n678",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + usual + b"\r\n3\r\n123\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n12345678",
    ]


def notes() -> list[bytes]:
    return [seal({"version": NOTE_VERSION, **asdict(Origin("url", 10, '"1"', "now", "00" * 16, "00" * 16))})]


# --- Words ------------------------------------------------------------------------------------------------------------

ZIP_WORDS = (
    b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"\x01\0\x18\0", b"\xff" * 4, b"../",
    b"n01440764_18.JPEG", b"ILSVRC2012_val_00000001.JPEG", b"\x08\0", b"\x01\0",
)  # fmt: skip
TAR_WORDS = (
    b"ustar\x0000", b"ustar  \0", b"././@LongLink", b"20 size=-99\n", b"12 path=abc\n", b"22 GNU.sparse.map=0,1\n",
    b"22 GNU.sparse.major=1\n", b"size=", b"path=",
)  # fmt: skip
TAR_FIELDS = {  # bytes from the start of a header → what may stand there
    0: (b"n01440764.tar\0", b"../", b"\0", b"\xff"),  # name
    124: (  # size: octal, or a number behind 0x80, which may be negative
        b"00000000000\0", b"00000001000\0", b"77777777777\0", b"\x80\0\0\0\x10\0\0\0\0\0\0\0", b"\x80" + b"\xff" * 11,
        b"\xff" * 10 + b"\xfe\0", b"           \0", b"-0000000012\0",
    ),
    156: tuple(bytes((kind,)) for kind in b"\x000123456LKxgSXD"),  # type
    257: (b"ustar\x0000", b"ustar  \0", bytes(8)),  # magic
    345: (b"prefix\0", bytes(155)),
    482: (b"\x01",),  # a GNU sparse file goes on in the next block
    512: (b"99999999 size=1\n", b"20 size=-99\n", b"22 GNU.sparse.map=a,b\n", b"0 =\n", b"\0", bytes(1024)),  # its data
}  # fmt: skip
JPEG_WORDS = (
    b"\xff\xd8", b"\xff\xd9", b"\xff\xc0", b"\xff\xc2", b"\xff\xda", b"\xff\xe1", b"Exif\0\0", b"II*\0", b"MM\0*",
)  # fmt: skip
IMAGE_WORDS = (
    *JPEG_WORDS, b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"iCCP", b"GIF89a", b"BM", b"RIFF", b"WEBPVP8X", b"ANMF",
)  # fmt: skip
XML_WORDS = (
    b"<annotation>", b"<size><width>", b"</width>", b"<object>", b"<bndbox>", b"<xmin>", b"<name>n02119789</name>",
    b'<?xml version="1.0" encoding="utf-16"?>', b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"<![CDATA[", b"nan",
    b"-1e999", b"5e-324",
)  # fmt: skip
PARQUET_WORDS = (b"PAR1", b"\x15\0\x15", b"\x15\0\x15\6\x15\6\0\0", b"\2\0\0\0", b"\xff\xff\xff\x7f", b"JPEG")
EXAMPLE_WORDS = (
    b"image/encoded", b"image/class/label", b"image/filename", b"image/object/bbox/xmin", b"file_name", b"label",
    b"\x0a", b"\x12", b"\x1a", b"\xff" * 9 + b"\x01", b"\x80" * 8 + b"\x10",
)  # fmt: skip
LIST_WORDS = (
    b"000_", b"tench", b"n01440764", b"_18.JPEG", b"crane", b"#", b"\xef\xbb\xbf", b"ILSVRC2012_val_00000001", b'"',
    b"\0", b"\r", b"\xed\xa0\x80",
)  # fmt: skip
RECIPE_WORDS = (
    b'"selection"', b'"outputs"', b'"shards"', b'"limit"', b'"class_map"', b'"folders"', b'"train"', b"[selection]",
    b"[outputs.tfds]", b"classes = ", b"seed = ", b"-1", b"1e999", b"nan", b"true", b'"/"', b"imagenette",
)  # fmt: skip
JSON_WORDS = (b"[", b"{", b'"version"', b'"xxh3_128"', b"null", b"-1e999", b"NaN", b"\\ud800", b"9" * 20)
URL_WORDS = (
    b"http://",
    b"https://",
    b"ftp://",
    b"@",
    b":",
    b"[::1]",
    b"%2f",
    b"%00",
    b"..",
    b"/",
    b"?",
    b"#",
    b"xn--",
    b".part",
)
CREDENTIAL_WORDS = (
    b"\xef\xbb\xbf",
    b"-1",
    b"\t",
    b"#HttpOnly_",
    b"TRUE",
    b"1e999",
    b"9" * 30,
    b"Range: ",
    b"Cookie: ",
    b": ",
    b"\r\n",
    b"\xff",
)
HTTP_WORDS = (
    b"HTTP/1.1 ", b"206", b"416", b"302", b"\r\n", b"Content-Length: ", b"Content-Range: bytes ", b"5-7/8",
    b"bytes */5", b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n", b"Content-Type: text/html\r\n",
    b"Retry-After: 9\r\n", b"9" * 30, b"-1", b"ffffffffffffffff\r\n",
)  # fmt: skip
NOTE_WORDS = (b'"etag"', b'"start"', b'"server"', b'"by"', b'"torrent"', b'"size"', b"-1", b"1e9", b"true")

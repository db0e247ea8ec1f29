"""A format as we write it against the library that others write it with, both fed from memory in one process.

    python benchmarks/against_writers.py SCRATCH --photos DIR --format parquet [--images 2500] [--rounds 7]

Both write one file of the same samples into SCRATCH, each until it is on the disk, in turn; the first round is not
counted. Ours takes the digests that a build takes, and a flush for each megabyte; the library makes the same checksums
where it can. The environment of ``make test-readers`` has the libraries.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq
from measure import machine

from imagenet_prep import LocalStore, Sample, official
from imagenet_prep.codecs.jpeg import inspect
from imagenet_prep.outputs.base import output_class
from imagenet_prep.testing.output_contract import planned

CLASSES = official().classes
ROWS = 64  # of a row group


def main() -> None:
    """Print what each wrote in a second, and the median of the ratios."""
    options = _options()
    samples = _samples(options.photos, options.images)
    size = sum(len(sample.image) for sample in samples)
    print(machine(options.scratch), f"· {size / 1e6:.0f} MB")
    ways = [
        lambda: _ours(options.format, options.scratch, samples),
        lambda: LIBRARIES[options.format](options, samples),
    ]
    rounds = [[_seconds(way) for way in ways] for _ in range(options.rounds + 1)][1:]
    for name, each in zip(("ours", "library"), zip(*rounds, strict=True), strict=True):
        wall, processor = (median(times) for times in zip(*each, strict=True))
        print(
            f"{name:8} {size / wall / 1e6:6,.0f} MB/s   {processor / len(samples) * 1e6:4.0f} us of processor an image"
        )
    for place, of in enumerate(("wall", "processor")):
        print(f"{of}: {median(library[place] / ours[place] for ours, library in rounds):.2f} times as fast")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scratch", type=Path, metavar="SCRATCH")
    parser.add_argument("--photos", type=Path, required=True, help="a folder with JPEG files")
    parser.add_argument("--format", choices=list(LIBRARIES), required=True)
    parser.add_argument("--images", type=int, default=2500)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    return options


def _samples(photos: Path, count: int) -> list[Sample]:
    images = [path.read_bytes() for path in sorted(photos.glob("*.JPEG"))]
    facts = [inspect(image) for image in images]
    samples = []
    for number in range(count):
        place, of = number % len(images), CLASSES[number % len(CLASSES)]
        width, height = facts[place].width, facts[place].height
        samples.append(Sample(f"{of.wnid}_{number}.JPEG", images[place], of.index, width, height))
    return samples


def _seconds(write: Callable[[], None]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    write()
    return time.perf_counter() - wall, time.process_time() - processor


def _ours(name: str, scratch: Path, samples: Sequence[Sample]) -> None:
    with LocalStore(str(scratch / "ours")).batch() as batch:
        writer = output_class(name)().writer(batch, planned(samples))
        for number, sample in enumerate(samples):
            writer.add(sample)
            if number % 9 == 8:
                writer.flush()
        writer.finish()
        batch.commit()


def _pyarrow(options: argparse.Namespace, samples: Sequence[Sample]) -> None:
    text = pa.string()
    schema = pa.schema(
        {
            "image": pa.struct({"bytes": pa.binary(), "path": text}),
            "label": pa.int64(),
            **dict.fromkeys(("name", "wnid", "class_name", "lemmas"), text),
            **dict.fromkeys(("width", "height"), pa.int32()),
            "kind": text,
        }
    )
    how = {"compression": "none", "use_dictionary": False, "write_statistics": False, "write_page_checksum": True}
    path, left = options.scratch / "library.parquet", iter(samples)
    with pq.ParquetWriter(path, schema, **how) as writer:
        while part := list(islice(left, ROWS)):
            of = [CLASSES[sample.class_index] for sample in part]
            columns = {
                "image": [{"bytes": sample.image, "path": sample.name} for sample in part],
                "label": [sample.class_index for sample in part],
                "name": [sample.name for sample in part],
                "wnid": [each.wnid for each in of],
                "class_name": [each.name for each in of],
                "lemmas": [each.lemmas for each in of],
                "width": [sample.width for sample in part],
                "height": [sample.height for sample in part],
                "kind": ["JPEG"] * len(part),
            }
            writer.write_table(pa.table(columns, schema=schema), row_group_size=ROWS)
    _to_disk(path)


def _webdataset(options: argparse.Namespace, samples: Sequence[Sample]) -> None:
    import webdataset as wds

    path = options.scratch / "library.tar"
    with wds.TarWriter(str(path)) as writer:
        for sample in samples:
            row = _row(sample)
            writer.write(
                {"__key__": sample.name.removesuffix(".JPEG"), "jpg": sample.image, "cls": row["label"], "json": row}
            )
    _to_disk(path)


def _streaming(options: argparse.Namespace, samples: Sequence[Sample]) -> None:
    from streaming import MDSWriter

    out = options.scratch / "library"
    shutil.rmtree(out, ignore_errors=True)
    columns = {
        "x": "bytes",
        **{name: "int" if isinstance(value, int) else "str" for name, value in _row(samples[0]).items()},
    }
    with MDSWriter(out=str(out), columns=columns, hashes=["xxh128"], size_limit=None) as writer:
        for sample in samples:
            writer.write({"x": sample.image, **_row(sample)})
    _to_disk(out / "shard.00000.mds")


def _litdata(options: argparse.Namespace, samples: Sequence[Sample]) -> None:
    from litdata.streaming.writer import BinaryWriter

    out = options.scratch / "library"
    shutil.rmtree(out, ignore_errors=True)
    writer = BinaryWriter(str(out), chunk_bytes="4GB")
    for number, sample in enumerate(samples):
        writer[number] = {"image": sample.image, **_row(sample)}
    writer.done()
    writer.merge()
    _to_disk(out / "chunk-0-0.bin")


def _row(sample: Sample) -> dict[str, int | str]:
    of = CLASSES[sample.class_index]
    return {
        "name": sample.name,
        "label": sample.class_index,
        "wnid": of.wnid,
        "class_name": of.name,
        "lemmas": of.lemmas,
        "width": sample.width,
        "height": sample.height,
    }


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


LIBRARIES = {"webdataset": _webdataset, "parquet": _pyarrow, "mds": _streaming, "litdata": _litdata}


if __name__ == "__main__":
    main()

"""TFRecord shards with NVIDIA DALI, on the processor: ``imagenet-prep build … --format tfrecord``.

pip install nvidia-dali-cuda130
"""

from __future__ import annotations

import csv
import sys
from glob import glob
from typing import Any

import numpy as np
from nvidia.dali import fn, pipeline_def, types
from nvidia.dali import tfrecord as tfrec

FEATURES = {
    "image/encoded": tfrec.FixedLenFeature((), tfrec.string, ""),
    "image/class/label": tfrec.FixedLenFeature([1], tfrec.int64, -1),
}


@pipeline_def(batch_size=8, num_threads=2, device_id=None)  # type: ignore[untyped-decorator]
def reading(data: str) -> tuple[Any, Any]:
    row = fn.readers.tfrecord(
        path=sorted(glob(f"{data}/tfrecord/train-*")),
        index_path=sorted(glob(f"{data}/dali-index/train-*")),
        features=FEATURES,
        random_shuffle=True,
    )
    images = fn.decoders.image_random_crop(row["image/encoded"], output_type=types.RGB, adjust_orientation=False)
    images = fn.crop_mirror_normalize(
        fn.resize(images, size=[224, 224]),
        dtype=types.FLOAT,
        output_layout="CHW",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        mirror=fn.random.coin_flip(),
    )
    return images, row["image/class/label"] - 1  # in the records labels count from 1


def main(data: str) -> None:
    with open(f"{data}/classes.csv", encoding="utf-8", newline="") as table:
        names = {int(row["class_index"]): row["name"] for row in csv.DictReader(table)}
    pipeline = reading(data)
    pipeline.build()
    pixels, labels = pipeline.run()
    images, first = pixels.as_array(), int(np.array(labels.at(0))[0])
    print(images.shape, images.dtype, f"{images.min():.2f} {images.max():.2f}", first, names[first])


if __name__ == "__main__":
    main(sys.argv[1])

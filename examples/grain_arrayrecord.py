"""ArrayRecord with grain, without TensorFlow and PyTorch: ``imagenet-prep build … --format arrayrecord``.

pip install grain tensorflow-datasets pillow
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import grain
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image, ImageOps

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class Prepare(grain.transforms.RandomMap):  # type: ignore[misc]
    """Crop, flip and normalise: the same numbers in each run with the same seed."""

    def random_map(self, row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """Prepare one row; grain seeds the generator."""
        picture = Image.fromarray(row["image"])
        side = max(1, int(min(picture.size) * rng.uniform(0.5, 1)))
        left, top = (int(rng.integers(0, length - side + 1)) for length in picture.size)
        picture = picture.resize((224, 224), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
        picture = ImageOps.mirror(picture) if rng.random() < 0.5 else picture
        return {"image": (np.asarray(picture, np.float32) / 255 - MEAN) / DEVIATION, "label": row["label"]}


def main(data: str) -> None:
    source = tfds.data_source("imagenet2012", split="train", data_dir=f"{data}/arrayrecord")
    sampler = grain.samplers.IndexSampler(len(source), num_epochs=1, shuffle=True, seed=0)
    steps = [Prepare(), grain.transforms.Batch(8, drop_remainder=True)]
    batch = next(iter(grain.DataLoader(data_source=source, sampler=sampler, operations=steps, worker_count=2)))
    images, first = batch["image"], int(batch["label"][0])
    with Path(data, "classes.csv").open(encoding="utf-8", newline="") as table:
        names = [row["name"] for row in csv.DictReader(table)]
    print(images.shape, images.dtype, f"{images.min():.2f} {images.max():.2f}", first, names[first])


if __name__ == "__main__":  # workers import this file
    main(sys.argv[1])

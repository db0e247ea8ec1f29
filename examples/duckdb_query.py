"""Parquet with DuckDB: the images that a query finds. ``imagenet-prep build … --format parquet``.

pip install duckdb torch torchvision
"""

from __future__ import annotations

import io
import sys

import duckdb
import torch
from PIL import Image
from torchvision.transforms import v2

AUGMENTED = v2.Compose(
    [
        v2.RGB(),
        v2.ToImage(),
        v2.RandomResizedCrop(224, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)
QUERY = "SELECT image.bytes, label, class_name FROM read_parquet(?) WHERE width >= 64 ORDER BY hash(name) LIMIT 8"


def main(data: str) -> None:
    rows = duckdb.execute(QUERY, [f"{data}/parquet/train-*.parquet"]).fetchall()
    images = torch.stack([AUGMENTED(Image.open(io.BytesIO(image))) for image, _, _ in rows])
    _, label, name = rows[0]
    print(tuple(images.shape), images.dtype, f"{images.min():.2f} {images.max():.2f}", label, name)


main(sys.argv[1])

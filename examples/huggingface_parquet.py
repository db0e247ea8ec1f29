"""Parquet with Hugging Face's ``datasets``, by number: ``imagenet-prep build … --format parquet``.

Without streaming, ``datasets`` copies all images of the split into its cache first.

pip install datasets torch torchvision
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from datasets import load_dataset
from torch.utils.data import DataLoader
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


def prepared(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {"image": [AUGMENTED(image) for image in rows["image"]], "label": rows["label"]}


def main(data: str) -> None:
    rows = load_dataset("parquet", data_dir=f"{data}/parquet", split="train")
    train = rows.with_transform(prepared)
    batch = next(iter(DataLoader(train, batch_size=8, shuffle=True, num_workers=2)))
    images, first = batch["image"], int(batch["label"][0])
    name = rows.features["label"].names[first]
    print(tuple(images.shape), images.dtype, f"{images.min():.2f} {images.max():.2f}", first, name)


if __name__ == "__main__":  # workers that are not forked import this file
    main(sys.argv[1])

"""WebDataset shards with Hugging Face's ``datasets``, streamed: ``imagenet-prep build … --format webdataset``.

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


def prepared(row: dict[str, Any]) -> dict[str, Any]:
    return {"image": AUGMENTED(row["jpg"]), "label": row["cls"], "name": row["json"]["class_name"]}


def main(data: str) -> None:
    rows = load_dataset("webdataset", data_dir=f"{data}/webdataset", split="train", streaming=True)
    train = rows.shuffle(seed=1, buffer_size=1000).map(prepared, remove_columns=rows.column_names)
    batch = next(iter(DataLoader(train, batch_size=8, num_workers=2)))
    images, first = batch["image"], int(batch["label"][0])
    print(tuple(images.shape), images.dtype, f"{images.min():.2f} {images.max():.2f}", first, batch["name"][0])


if __name__ == "__main__":  # workers that are not forked import this file
    main(sys.argv[1])

"""LitData chunks with litdata: ``imagenet-prep build … --format litdata``.

pip install litdata torch torchvision
"""

from __future__ import annotations

import io
import sys
from typing import Any

import torch
from litdata import StreamingDataLoader, StreamingDataset
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


def prepared(row: dict[str, Any]) -> tuple[torch.Tensor, int, str]:
    return AUGMENTED(Image.open(io.BytesIO(row["image"]))), row["label"], row["class_name"]


def main(data: str) -> None:
    train = StreamingDataset(f"{data}/litdata/train", shuffle=True, transform=prepared)
    images, labels, names = next(iter(StreamingDataLoader(train, batch_size=8, num_workers=2)))
    print(tuple(images.shape), images.dtype, f"{images.min():.2f} {images.max():.2f}", int(labels[0]), names[0])


if __name__ == "__main__":  # workers that are not forked import this file
    main(sys.argv[1])

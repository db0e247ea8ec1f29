"""PyTorch, from any format that says where an image lies: ``imagenet_prep.open`` and a DataLoader with two workers.

pip install torch torchvision
"""

from __future__ import annotations

import sys

import torch
from torch.utils.data import DataLoader
from torchvision.transforms import v2

import imagenet_prep

AUGMENTED = v2.Compose(
    [
        v2.ToImage(),
        v2.RandomResizedCrop(224, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)


def prepared(image: imagenet_prep.LabelledImage) -> tuple[torch.Tensor, int]:
    return AUGMENTED(image.decode()), image.label


def main(data: str) -> None:
    opened = imagenet_prep.open(data, transform=prepared)
    batches = DataLoader(opened["train"], batch_size=8, shuffle=True, num_workers=2, drop_last=True)
    images, labels = next(iter(batches))
    first = int(labels[0])
    print(
        tuple(images.shape), images.dtype, f"{images.min():.2f} {images.max():.2f}", first, opened.classes[first].name
    )


if __name__ == "__main__":  # workers that are not forked import this file
    main(sys.argv[1])

"""Class folders with torchvision: ``imagenet-prep build … --format folders``.

pip install torch torchvision
"""

from __future__ import annotations

import sys

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

AUGMENTED = v2.Compose(
    [
        v2.ToImage(),
        v2.RandomResizedCrop(224, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)


def main(data: str) -> None:
    train = ImageFolder(f"{data}/folders/train", transform=AUGMENTED)
    images, labels = next(iter(DataLoader(train, batch_size=8, shuffle=True, num_workers=2)))
    first = int(labels[0])  # counts the folders; DATA/folders/classes.csv has the class index of each
    print(tuple(images.shape), images.dtype, f"{images.min():.2f} {images.max():.2f}", first, train.classes[first])


if __name__ == "__main__":  # workers that are not forked import this file
    main(sys.argv[1])

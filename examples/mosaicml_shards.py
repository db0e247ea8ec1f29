"""MDS shards with mosaicml-streaming: ``imagenet-prep build … --format mds``.

pip install mosaicml-streaming torch torchvision
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from streaming import StreamingDataset
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


class Train(StreamingDataset):  # type: ignore[misc]
    """Rows as a network wants them."""

    def __getitem__(self, at: int) -> tuple[torch.Tensor, int, str]:
        row: dict[str, Any] = super().__getitem__(at)
        return AUGMENTED(row["x"]), row["y"], row["class_name"]


def main(data: str) -> None:
    train = Train(local=f"{data}/mds", split="train", shuffle=True, batch_size=8)
    images, labels, names = next(iter(DataLoader(train, batch_size=8, num_workers=2)))
    print(tuple(images.shape), images.dtype, f"{images.min():.2f} {images.max():.2f}", int(labels[0]), names[0])


if __name__ == "__main__":  # workers that are not forked import this file
    main(sys.argv[1])

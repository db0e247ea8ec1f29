"""WebDataset shards with the library of that name: ``imagenet-prep build … --format webdataset``.

pip install webdataset torch torchvision
"""

from __future__ import annotations

import sys
from glob import glob
from typing import Any

import torch
import webdataset as wds
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


def prepared(sample: dict[str, Any]) -> tuple[torch.Tensor, int, str]:
    return AUGMENTED(sample["jpg"]), sample["cls"], sample["json"]["class_name"]


def main(data: str) -> None:
    shards = sorted(glob(f"{data}/webdataset/train-*.tar"))
    samples = wds.WebDataset(shards, shardshuffle=100).shuffle(1000).decode("pil").map(prepared)
    images, labels, names = next(iter(wds.WebLoader(samples.batched(8), batch_size=None, num_workers=2)))
    print(tuple(images.shape), images.dtype, f"{images.min():.2f} {images.max():.2f}", int(labels[0]), names[0])


if __name__ == "__main__":  # workers that are not forked import this file
    main(sys.argv[1])

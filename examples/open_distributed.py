"""Two processes that train together, each with its half of every epoch: ``imagenet_prep.open`` and DistributedSampler.

pip install torch torchvision
"""

from __future__ import annotations

import socket
import sys

import torch
from torch import distributed, multiprocessing
from torch.utils.data import DataLoader, DistributedSampler
from torchvision.transforms import v2

import imagenet_prep

PROCESSES = 2
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


def train(rank: int, port: int, data: str) -> None:
    distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=PROCESSES)
    opened = imagenet_prep.open(data, transform=prepared)
    sampler = DistributedSampler(opened["train"], drop_last=True)
    sampler.set_epoch(0)  # another order in each epoch
    images, labels = next(iter(DataLoader(opened["train"], batch_size=8, sampler=sampler, num_workers=1)))
    lowest = images.min()
    distributed.all_reduce(lowest, distributed.ReduceOp.MIN)
    if rank == 0:
        first = int(labels[0])
        print(tuple(images.shape), images.dtype, f"{lowest:.2f} {images.max():.2f}", first, opened.classes[first].name)
    distributed.destroy_process_group()


def main(data: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    multiprocessing.spawn(train, (port, data), nprocs=PROCESSES)


if __name__ == "__main__":  # processes that are not forked import this file
    main(sys.argv[1])

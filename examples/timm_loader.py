"""WebDataset shards with timm's loader and its augmentation: ``imagenet-prep build … --format webdataset``.

pip install timm webdataset
"""

from __future__ import annotations

import csv
import sys

from timm.data import create_dataset, create_loader


def main(data: str) -> None:
    with open(f"{data}/classes.csv", encoding="utf-8", newline="") as table:
        names = {int(row["class_index"]): row["name"] for row in csv.DictReader(table)}
    train = create_dataset("wds/", root=f"{data}/webdataset", split="train", is_training=True, batch_size=8)
    batches = create_loader(
        train,
        input_size=(3, 224, 224),
        batch_size=8,
        is_training=True,
        auto_augment="rand-m9-mstd0.5-inc1",
        num_workers=2,
        use_prefetcher=False,  # which wants a GPU
    )
    images, labels = next(iter(batches))
    first = int(labels[0])
    print(tuple(images.shape), images.dtype, f"{images.min():.2f} {images.max():.2f}", first, names[first])


if __name__ == "__main__":  # workers that are not forked import this file
    main(sys.argv[1])

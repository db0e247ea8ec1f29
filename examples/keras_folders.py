"""Class folders with Keras: ``imagenet-prep build … --format folders``.

pip install keras tensorflow
"""

from __future__ import annotations

import sys

import keras
import numpy as np


def main(data: str) -> None:
    train = keras.utils.image_dataset_from_directory(
        f"{data}/folders/train", image_size=(224, 224), crop_to_aspect_ratio=True, batch_size=8, seed=1, verbose=False
    )
    normalised = keras.layers.Normalization(mean=[123.675, 116.28, 103.53], variance=np.square([58.395, 57.12, 57.375]))
    pixels, labels = next(iter(train))
    images, first = np.asarray(normalised(pixels)), int(labels[0])  # DATA/folders/classes.csv has the class index
    print(images.shape, images.dtype, f"{images.min():.2f} {images.max():.2f}", first, train.class_names[first])


if __name__ == "__main__":
    main(sys.argv[1])

"""TFRecord shards with tf.data: ``imagenet-prep build … --format tfrecord``.

pip install tensorflow
"""

from __future__ import annotations

import csv
import sys
from typing import Any

import tensorflow as tf

FEATURES = {
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/class/label": tf.io.FixedLenFeature([], tf.int64),
}


def prepared(record: Any) -> tuple[Any, Any]:
    row = tf.io.parse_single_example(record, FEATURES)
    image = tf.io.decode_jpeg(row["image/encoded"], channels=3)
    image = tf.image.random_flip_left_right(tf.image.resize(image, [224, 224]))
    image = (image / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return image, row["image/class/label"] - 1  # in the records labels count from 1


def main(data: str) -> None:
    with open(f"{data}/classes.csv", encoding="utf-8", newline="") as table:
        names = {int(row["class_index"]): row["name"] for row in csv.DictReader(table)}
    shards = tf.data.Dataset.list_files(f"{data}/tfrecord/train-*", seed=1)
    records = shards.interleave(tf.data.TFRecordDataset, num_parallel_calls=tf.data.AUTOTUNE).shuffle(1000, seed=1)
    batches = records.map(prepared, num_parallel_calls=tf.data.AUTOTUNE).batch(8).prefetch(tf.data.AUTOTUNE)
    pixels, labels = next(iter(batches))
    images, first = pixels.numpy(), int(labels[0])
    print(images.shape, images.dtype, f"{images.min():.2f} {images.max():.2f}", first, names[first])


if __name__ == "__main__":
    main(sys.argv[1])

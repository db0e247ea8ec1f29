"""What TensorFlow and its builder of imagenet2012 write is known to our audit, and only gaps are found in it."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
import tensorflow_datasets as tfds

from imagenet_prep import AuditOptions, official
from imagenet_prep.imagenet.names import validation_image
from imagenet_prep.testing import MiniatureOptions, archives, write_miniature
from imagenet_prep.testing.pictures import picture
from imagenet_prep.verbs.audit.others.report import ForeignReport
from imagenet_prep.verbs.audit.others.run import audit_foreign

TENCH = "n01440764"
PLAIN = MiniatureOptions(wnids=(TENCH,), images_per_class=8, validation_per_class=0, boxes=False, devkit=False)


def facts(report: ForeignReport) -> list[tuple[str, str, int, int, str]]:
    return [
        (each.layout, split.name, split.images, split.parts, split.labels)
        for each in report.sets
        for split in each.splits
    ]


def is_a_gap(reason: str) -> bool:
    return " images of " in reason or " have no " in reason or " fewer " in reason or " are missing: " in reason


def test_the_builder_of_tensorflow_datasets_has_written_what_it_should(tmp_path: Path) -> None:
    write_miniature(tmp_path / "archives", PLAIN)
    names = [validation_image(number) for number in (2, 1, 3)]  # labelled by position, in this order
    members = [(name, picture(name)) for name in sorted(names)]
    archives.write_flat_archive(tmp_path / "archives" / archives.VALIDATION, members)
    builder = tfds.builder("imagenet2012", data_dir=tmp_path / "data")
    config = tfds.download.DownloadConfig(manual_dir=tmp_path / "archives", num_shards=2, try_download_gcs=False)
    builder.download_and_prepare(download_config=config)

    report = audit_foreign(tmp_path / "data", AuditOptions(jobs=1, decode=True))

    layout = "TFRecord of TensorFlow Datasets"
    assert facts(report) == [
        (layout, "train", 8, 2, "class index, 0…999"),
        (layout, "validation", 3, 2, "class index, 0…999"),
    ]
    assert [problem for problem in report.problems if not is_a_gap(problem.reason)] == []


def test_records_of_tensorflow_are_read_and_a_negative_label_is_told(tmp_path: Path) -> None:
    labels = [1, 1, -1]
    with tf.io.TFRecordWriter(str(tmp_path / "train-00000-of-00001")) as writer:
        for number, label in enumerate(labels):
            name = f"{TENCH}_{number}.JPEG"
            writer.write(example(name, label).SerializeToString())

    report = audit_foreign(tmp_path, AuditOptions(jobs=1))

    assert facts(report) == [
        ("TFRecord with the classic image/… keys", "train", 3, 1, "class index + 1, 1…1000 (0 is background)")
    ]
    (problem,) = (problem for problem in report.problems if not is_a_gap(problem.reason))
    assert problem.reason == "has the label -1, which says no class; it is n01440764 (tench), label 1"


def example(name: str, label: int) -> tf.train.Example:
    """An image as the TPU script writes it."""
    texts = {
        "image/encoded": picture(name),
        "image/filename": name.encode(),
        "image/class/synset": TENCH.encode(),
        "image/class/text": official().classes[0].lemmas.encode(),
        "image/format": b"JPEG",
        "image/colorspace": b"RGB",
    }
    numbers = {"image/class/label": label, "image/height": 120, "image/width": 160, "image/channels": 3}
    features = {key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for key, value in texts.items()}
    features |= {key: tf.train.Feature(int64_list=tf.train.Int64List(value=[value])) for key, value in numbers.items()}
    return tf.train.Example(features=tf.train.Features(feature=features))

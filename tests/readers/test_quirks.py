"""What other people's readers make of the odd images of the miniature."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from nvidia.dali import fn, pipeline_def, types
from PIL import Image

from imagenet_prep.testing import Miniature
from readers import truth
from readers.conftest import Built

NEAR = 3.0  # mean difference of a pixel, 0…255, that a second JPEG encoding at quality 100 may make


def record_of(built: Built, name: str) -> tf.train.Example:
    shards = built.classic("train") + built.classic("test")
    for record in tf.data.TFRecordDataset(shards).as_numpy_iterator():
        example = tf.train.Example.FromString(record)
        if example.features.feature["image/filename"].bytes_list.value[0] == name.encode():
            return example
    raise AssertionError(f"{name} is in no shard")


def image_of(built: Built, name: str) -> bytes:
    return bytes(record_of(built, name).features.feature["image/encoded"].bytes_list.value[0])


def original_of(built: Built, name: str) -> bytes:
    return next(data for _, found, data in truth.train_images(built.archives / truth.TRAIN) if found == name)


@pytest.mark.parametrize("quirk", ["cmyk", "png"])
def test_what_is_no_rgb_jpeg_becomes_one_that_looks_the_same(
    built_miniature: Built, miniature: Miniature, quirk: str
) -> None:
    name, picture = built_miniature.the_one_with(miniature, quirk)
    stored = image_of(built_miniature, name)

    pixels = tf.io.decode_jpeg(stored).numpy()  # channels as stored
    with Image.open(io.BytesIO(original_of(built_miniature, name))) as original:
        meant = np.asarray(original.convert("RGB"))
    with Image.open(io.BytesIO(stored)) as image:
        kind = image.format, image.mode

    assert kind == ("JPEG", "RGB")
    assert pixels.shape == (picture.height, picture.width, 3)
    assert np.abs(pixels.astype(float) - meant).mean() < NEAR


@pytest.mark.parametrize("quirk", ["greyscale", "exif-orientation", "exif-malformed", "progressive", "duplicate"])
def test_what_every_reader_can_read_stays_as_it_is(built_miniature: Built, miniature: Miniature, quirk: str) -> None:
    name, _ = built_miniature.the_one_with(miniature, quirk)

    assert image_of(built_miniature, name) == original_of(built_miniature, name)


def test_tensorflow_decodes_an_image_with_a_rotation_tag_to_the_size_that_is_stored(
    built_miniature: Built, miniature: Miniature
) -> None:
    name, picture = built_miniature.the_one_with(miniature, "exif-orientation")
    features = record_of(built_miniature, name).features.feature

    assert picture.width != picture.height  # or a rotation would not show
    assert features["image/height"].int64_list.value == [picture.height]
    assert features["image/width"].int64_list.value == [picture.width]
    assert tf.io.decode_jpeg(image_of(built_miniature, name)).shape == (picture.height, picture.width, 3)


@pytest.mark.parametrize(("adjust", "sides"), [(False, ("height", "width")), (True, ("width", "height"))])
def test_dali_rotates_by_the_tag_unless_told_not_to(
    built_miniature: Built, miniature: Miniature, adjust: bool, sides: tuple[str, str]
) -> None:
    @pipeline_def(batch_size=1, num_threads=1, device_id=None)  # type: ignore[untyped-decorator]
    def decoding(image: bytes) -> object:
        encoded = types.Constant(np.frombuffer(image, np.uint8), device="cpu")
        return fn.decoders.image(encoded, output_type=types.RGB, adjust_orientation=adjust)

    name, picture = built_miniature.the_one_with(miniature, "exif-orientation")
    pipeline = decoding(image_of(built_miniature, name))
    pipeline.build()

    assert pipeline.run()[0].at(0).shape == (*(getattr(picture, side) for side in sides), 3)


def test_the_miniature_has_images_with_no_box_one_box_and_two(built_miniature: Built, miniature: Miniature) -> None:
    """Or the tests of boxes would prove little."""
    train, validation = built_miniature.truth
    drawn = {entry.name: len(entry.boxes) for entry in miniature.entries}

    assert {len(picture.boxes) for picture in train.values()} == {0, 1, 2}
    assert {len(picture.boxes) for picture in validation.values()} == {1, 2}
    assert {name: len(picture.boxes) for name, picture in built_miniature.pictures.items()} == drawn

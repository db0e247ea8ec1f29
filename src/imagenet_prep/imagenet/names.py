"""How ImageNet's files are called: ``n01440764_10026.JPEG``, ``ILSVRC2012_val_00000001.JPEG``, ``n01440764.tar``.

All patterns are made of these. A text that becomes part of one has no anchor, and no more groups than it says.
"""

from __future__ import annotations

WNID = r"n\d{8}"
TRAIN_STEM = rf"{WNID}_\d+"
VALIDATION_STEM = r"ILSVRC2012_val_\d{8}"
STEM = rf"(?:({WNID})_\d+|ILSVRC2012_(val|test)_(\d{{8}}))"  # 1: WNID, 2: val or test, 3: number
LABELLED_IMAGE = rf"(?:{TRAIN_STEM}|{VALIDATION_STEM})\.JPEG"
CLASS_TAR_NAME = rf"{WNID}\.tar"
CORRUPTIONS = (  # folders of ImageNet-C, each with folders 1 to 5 in it
    "brightness|contrast|defocus_blur|elastic_transform|fog|frost|gaussian_blur|gaussian_noise|glass_blur|"
    "impulse_noise|jpeg_compression|motion_blur|pixelate|saturate|shot_noise|snow|spatter|speckle_noise|zoom_blur"
)


def validation_image(number: int) -> str:
    """Give the file name of validation image ``number``, from 1 up."""
    return f"ILSVRC2012_val_{number:08d}.JPEG"

"""How ImageNet's files are called: ``n01440764_10026.JPEG``, ``ILSVRC2012_val_00000001.JPEG``, ``n01440764.tar``.

All patterns are made of these. A text that becomes part of one has no anchor, and no more groups than it says.

An image keeps that name wherever it comes from, though its file may end otherwise: in ``.jpg``, or in its WNID, as
Hugging Face has them (``n01440764_10026_n01440764.JPEG``). How the file ends is noted with the place it lies in, once
for all that end alike: an image in ``tench/*.jpg`` is a file in the folder ``tench``.
"""

from __future__ import annotations

import re

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
ENDING = rf"(?:_({WNID}))?\.(?:JPEG|jpeg|JPG|jpg)"  # of the file of an image; 1: its WNID

_OFFICIAL = re.compile(LABELLED_IMAGE, re.ASCII)
_FILE = re.compile(rf"{STEM}(?P<ending>{ENDING})", re.ASCII)
_ENDS_OTHERWISE = re.compile(rf"((?:.*/)?)\*({ENDING})", re.ASCII | re.DOTALL)


def validation_image(number: int) -> str:
    """Give the file name of validation image ``number``, from 1 up."""
    return f"ILSVRC2012_val_{number:08d}.JPEG"


def official_name(file: str) -> tuple[str, str]:
    """Give the name that an image has in ImageNet, and how its file ends instead: "" if as there, or if ``file`` is not
    the name of an image.
    """
    match = None if _OFFICIAL.fullmatch(file) else _FILE.fullmatch(file)
    return (f"{file[: match.start('ending')]}.JPEG", match["ending"]) if match else (file, "")


def container_of(folder: str, ending: str) -> str:
    """Give what the catalog calls the place of images in ``folder`` whose files end in ``ending``."""
    return "/".join(filter(None, (folder, f"*{ending}" if ending else "")))


def folder_of(container: str) -> str:
    """Give the folder, or the tar, of images whose place is ``container``."""
    match = _ENDS_OTHERWISE.fullmatch(container)
    return match[1].rstrip("/") if match else container


def file_of(container: str, name: str) -> str:
    """Give the path of the file of an image that is called ``name`` and whose place is ``container``."""
    match = _ENDS_OTHERWISE.fullmatch(container)
    if match:
        return f"{match[1]}{name.removesuffix('.JPEG')}{match[2]}"
    return f"{container}/{name}" if container else name

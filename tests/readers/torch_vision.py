"""What the tests need of torchvision, and of timm, which imports it, also where PyTorch was built without CUDA.

The torchvision of the public index registers its operators from a library that needs the CUDA one of PyTorch. Beside a
PyTorch without it that library does not load, and the import stops at the first operator that Python code refers to.
Three such operators, declared by name and signature alone, let it pass; reading folders calls none of them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
REGIONS = (
    "(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, int sampling_ratio,"
    " bool aligned) -> Tensor"
)
OPERATORS = (f"nms{BOXES}", f"qnms{BOXES}", f"roi_align{REGIONS}")


def _operators_load() -> bool:
    spec = find_spec("torchvision")
    assert spec is not None
    assert spec.origin is not None
    try:
        torch.ops.load_library(next(Path(spec.origin).parent.glob("_C*")))
    except OSError:
        return False
    return True


if not _operators_load():
    _declared = torch.library.Library("torchvision", "DEF")  # which forgets its operators when it is collected
    for _operator in OPERATORS:
        _declared.define(_operator)

from timm.data.readers.reader_hfds import ReaderHfds  # noqa: E402
from timm.data.readers.reader_image_folder import ReaderImageFolder  # noqa: E402
from timm.data.readers.reader_wds import ReaderWds  # noqa: E402
from torchvision.datasets import ImageFolder, ImageNet  # noqa: E402
from torchvision.models import ResNet50_Weights  # noqa: E402

CATEGORIES: list[str] = ResNet50_Weights.DEFAULT.meta["categories"]  # names in class index order

__all__ = ["CATEGORIES", "ImageFolder", "ImageNet", "ReaderHfds", "ReaderImageFolder", "ReaderWds"]

"""What every output shows of its readers: each snippet runs as it is, on a build with the options the reader needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_prep import OUTPUTS, BuildOptions, build
from imagenet_prep.outputs.base import Reader, output_class
from imagenet_prep.testing import Miniature

SHOWN = [(name, reader) for name in OUTPUTS for reader in output_class(name).readers]
WITHOUT_CUDA = "import readers.torch_vision\n"  # which loads torchvision where PyTorch has none


@pytest.mark.parametrize(("name", "reader"), SHOWN, ids=lambda of: of.framework if isinstance(of, Reader) else of)
def test_the_snippet_shows_samples(miniature: Miniature, name: str, reader: Reader, tmp_path: Path) -> None:
    how = {"reader": reader.meant_by} if reader.meant_by else {"format": name, **reader.options}
    build(miniature.root, tmp_path / "out", BuildOptions.of(test_per_class=2, **how))
    script = tmp_path / "read.py"
    needs_torchvision = {"torchvision", "timm", "mosaicml-streaming"} & set(reader.install.split())
    script.write_text(WITHOUT_CUDA * bool(needs_torchvision) + reader.example(str(tmp_path / "out")))
    settings = {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(
        [sys.executable, script], env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()

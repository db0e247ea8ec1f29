"""The scripts of ``examples``: each gives a first batch as a network wants it, with labels that have their names."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_prep import OUTPUTS, BuildOptions, build
from readers.conftest import HOLD_OUT, Built

EXAMPLES = Path(__file__).parents[2] / "examples"
# Where labels are numbered otherwise than by class index: the column of a table that has them, or their place in it.
FOLDER, PLACE = "folder", "place"
NUMBERED = {
    "open_pytorch": PLACE,
    "open_distributed": PLACE,
    "torchvision_folders": FOLDER,
    "huggingface_folders": FOLDER,
    "keras_folders": FOLDER,
}
LINE = r"\(8, (?:3, 224, 224|224, 224, 3)\) (?:torch\.)?float32 (-?\d+\.\d\d) (-?\d+\.\d\d) (\d+) (\w+)\n"
WITHOUT_CUDA = "import readers.torch_vision"  # which loads torchvision where PyTorch has none


@pytest.fixture(scope="module")
def data(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("examples") / "data"
    build(built.archives, out, BuildOptions.of(format=tuple(OUTPUTS), test_per_class=HOLD_OUT))
    return out


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def names_by_label(built: Built, data: Path, numbered: str) -> dict[int, str]:
    """The name of every class by its label."""
    if numbered == FOLDER:
        return {int(row["folder_index"]): row["folder"] for row in table(data / "folders/classes.csv")}
    there = {picture.class_index for picture in built.pictures.values()}
    named = {int(row["class_index"]): row["name"] for row in table(data / "classes.csv")}
    return {place if numbered == PLACE else index: named[index] for place, index in enumerate(sorted(there))}


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
def test_it_gives_a_batch_of_normalised_images_with_named_labels(
    name: str, built: Built, data: Path, tmp_path: Path
) -> None:
    script = EXAMPLES / f"{name}.py"
    if re.search(r"^(import|from) (torchvision|timm|streaming|litdata)\b", script.read_text("utf-8"), re.MULTILINE):
        (tmp_path / "sitecustomize.py").write_text(WITHOUT_CUDA)  # in every process that it starts
    paths = [str(tmp_path), str(Path(__file__).parents[1]), *sys.path]
    settings = {"HF_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, script, data],
        env=os.environ | settings,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(LINE, done.stdout)
    assert found, done.stdout
    low, high, label, of_class = float(found[1]), float(found[2]), int(found[3]), found[4]
    assert -2.2 < low < 0 < high < 2.7  # black and white, normalised
    assert names_by_label(built, data, NUMBERED.get(name, ""))[label] == of_class

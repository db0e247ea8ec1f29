"""The wheel alone, in an empty environment of each Python on this machine: what a user without a checkout has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import BytesParser
from pathlib import Path

import pytest

DIST = Path(__file__).parents[2] / "dist"
OLDEST, NEWEST = 11, 14
# A shell that knows nothing of a checkout; pip keeps what it is told by the user's own configuration.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}


def pythons() -> Iterator[str]:
    """Every CPython from 3.11 on, by its own word: some that are on the path are only the names of others."""
    for minor in range(OLDEST, NEWEST + 1):
        name = f"python3.{minor}"
        places = [shutil.which(name), *sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/{name}"))]
        for place in filter(None, places):
            asks = [str(place), "-c", "import sys; print(sys.version_info[1])"]
            asked = subprocess.run(asks, capture_output=True, check=False)
            if asked.stdout.split() == [str(minor).encode()]:
                yield str(place)
                break


def run(*command: str | Path, here: Path, code: int = 0) -> str:
    done = subprocess.run(command, cwd=here, env=ENVIRONMENT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel() -> Path:
    (found,) = DIST.glob("*.whl")
    return found


@pytest.mark.parametrize("python", list(pythons()))
def test_in_an_empty_environment_it_does_the_demo(python: str, wheel: Path, tmp_path: Path) -> None:
    run(python, "-m", "venv", "env", here=tmp_path)
    run("env/bin/pip", "install", "--quiet", "--disable-pip-version-check", wheel, here=tmp_path)
    program = tmp_path / "env/bin/imagenet-prep"
    (tmp_path / "work").mkdir()
    assert run(program, "-V", here=tmp_path / "work").split()[-1] == wheel.name.split("-")[1]
    said = run(program, "demo", "data", here=tmp_path / "work")
    assert "With your own images" in said
    run(program, "audit", "data/data", here=tmp_path / "work")
    missing = "import importlib.util as u; print([n for n in ('tensorflow', 'torch', 'datasets') if u.find_spec(n)])"
    assert run(tmp_path / "env/bin/python", "-c", missing, here=tmp_path).strip() == "[]"
    assert run("env/bin/pip", "check", "--disable-pip-version-check", here=tmp_path).strip() == (
        "No broken requirements found."
    )


def test_the_wheel_holds_the_package_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {"imagenet_prep", f"{wheel.stem.rsplit('-', 3)[0]}.dist-info"}
    assert "imagenet_prep/py.typed" in names


def test_the_metadata_say_what_an_index_page_shows(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = BytesParser().parsebytes(archive.read(name))
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Summary"]


def test_every_link_of_the_readme_leads_into_the_sdist(wheel: Path) -> None:
    (sdist,) = DIST.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
        member = archive.extractfile(f"{sdist.name.removesuffix('.tar.gz')}/README.md")
        assert member is not None
        readme = member.read().decode()
    headings = re.findall(r"^#+ (.+)$", readme, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(([^)\s]+)\)", readme)
    assert len(links) > 10
    own = [link for link in links if not link.startswith(("http", "#"))]
    assert [link for link in own if link.partition("#")[0] not in there] == []
    assert [link for link in links if link.startswith("#") and link[1:] not in anchors] == []

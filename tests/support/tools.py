"""The tools by which people make archives; a test that needs one is skipped where it is missing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def run_tool(program: str, *arguments: object, here: Path) -> None:
    """Run a program in a folder; it must succeed."""
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    subprocess.run([program, *map(str, arguments)], cwd=here, check=True, capture_output=True)


def gnu_tar(archive: Path, *arguments: object, here: Path) -> Path:
    """Pack with GNU tar; on macOS that is called gtar."""
    run_tool("gtar" if shutil.which("gtar") else "tar", "-cf", archive.absolute(), *arguments, here=here)
    return archive


def zipped(archive: Path, *arguments: object, here: Path) -> Path:
    """Pack with Info-ZIP's zip: -0 stores, -r goes into folders."""
    run_tool("zip", "-q", *(each for each in arguments if str(each).startswith("-")), archive.absolute(), *(
        each for each in arguments if not str(each).startswith("-")
    ), here=here)  # fmt: skip
    return archive

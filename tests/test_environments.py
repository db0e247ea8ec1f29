"""Unusual surroundings: a command or a call there works, or ends in a sentence that helps; never in a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    options = MiniatureOptions(classes=3, images_per_class=8, validation_per_class=2)
    return write_miniature(tmp_path_factory.mktemp("source"), options)


def script(folder: Path, text: str) -> str:
    """Run a script of a user's, and give what it prints."""
    (folder / "script.py").write_text(text)
    ended = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("jobs", [0, 1, 2])
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_the_library_works_in_a_worker_that_may_have_no_children(
    source: Miniature, tmp_path: Path, start: str, jobs: int
) -> None:
    said = script(
        tmp_path,
        f"""
import multiprocessing
import imagenet_prep as prep
from imagenet_prep import AuditOptions, BuildOptions, CheckOptions, IndexOptions

SOURCE, JOBS = {str(source.root)!r}, {jobs}

def work():
    build = prep.build(SOURCE, "OUT", BuildOptions(formats=("folders",), test_per_class=2, jobs=JOBS))
    audit = prep.audit("OUT", AuditOptions(jobs=JOBS))
    check = prep.check(SOURCE, CheckOptions(jobs=JOBS, full=True))
    index = prep.index(SOURCE, IndexOptions(jobs=JOBS))
    prep.archives(SOURCE, full=True, jobs=JOBS)
    others = prep.audit_foreign("OUT/folders", AuditOptions(jobs=JOBS))
    return build.accounts.written, audit.records, check.decoded, len(index), others.images

if __name__ == "__main__":
    with multiprocessing.get_context({start!r}).Pool(1) as pool:
        print(pool.apply(work))
""",
    )
    assert said == "(30, 30, 30, 30, 30)\n"


WITHOUT_SIMPLEJPEG = "import sys\nsys.modules['simplejpeg'] = None  # importing it is an ImportError\n"


def command(folder: Path, *arguments: object, fault: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in an environment, where Python does what ``fault`` says first, in all processes of it."""
    faulty = folder / "faulty"
    faulty.mkdir(exist_ok=True)
    (faulty / "sitecustomize.py").write_text(fault)
    ended = subprocess.run(
        [sys.executable, "-m", "imagenet_prep", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(faulty), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended


def test_without_simplejpeg_pillow_decodes_and_that_is_told_once(source: Miniature, tmp_path: Path) -> None:
    recipe = ("build", source.root, "OUT", "--test-per-class", 2, "--check", "decode", "--jobs", 2)
    for arguments in recipe, ("audit", "OUT", "--decode"), ("check", source.root, "--full"):
        for fault, times in (WITHOUT_SIMPLEJPEG, 1), ("", 0):
            shutil.rmtree(tmp_path / "OUT") if arguments is recipe and (tmp_path / "OUT").exists() else None
            ended = command(tmp_path, *arguments, fault=fault)
            assert ended.returncode == 0, ended.stderr
            assert (ended.stdout + ended.stderr).count("simplejpeg is not installed") == times
    ended = command(tmp_path, "build", source.root, "OTHER", "--test-per-class", 2, fault=WITHOUT_SIMPLEJPEG)
    assert (ended.returncode, "simplejpeg" in ended.stderr) == (0, False)  # which decodes nothing


@pytest.mark.parametrize("quirk", ["truncated", "text", "empty"])
def test_without_simplejpeg_what_every_decoder_refuses_is_refused(tmp_path: Path, quirk: str) -> None:
    write_miniature(tmp_path / "SRC", MiniatureOptions(classes=2, quirks=(quirk,)))
    said = []
    for fault in WITHOUT_SIMPLEJPEG, "":
        ended = command(tmp_path, "check", "SRC", "--full", "--jobs", 1, fault=fault)
        assert ended.returncode == 4
        said.append(ended.stdout[ended.stdout.index(" problem") :])
    assert said[0] == said[1]

"""Unusual surroundings: a command or a call there works, or ends in a sentence that helps; never in a traceback."""

from __future__ import annotations

import os
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

"""Unusual surroundings: a command or a call there works, or ends in a sentence that helps; never in a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.command import COMMAND, start
from support.sentences import Sentence


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
    build = prep.build(SOURCE, "OUT", BuildOptions.of(format=("folders",), test_per_class=2, jobs=JOBS))
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


def test_without_simplejpeg_pillow_decodes_and_that_is_told_once(source: Miniature, tmp_path: Path) -> None:
    recipe = ("build", source.root, "OUT", "--test-per-class", 2, "--check", "decode", "--jobs", 2)
    for arguments in recipe, ("audit", "OUT", "--decode"), ("check", source.root, "--full"):
        for fault, times in (WITHOUT_SIMPLEJPEG, 1), ("", 0):
            shutil.rmtree(tmp_path / "OUT") if arguments is recipe and (tmp_path / "OUT").exists() else None
            ended = start(*arguments, fault=fault, cwd=tmp_path)
            assert ended.returncode == 0, ended.stderr
            assert (ended.stdout + ended.stderr).count("simplejpeg is not installed") == times
    ended = start("build", source.root, "OTHER", "--test-per-class", 2, fault=WITHOUT_SIMPLEJPEG, cwd=tmp_path)
    assert (ended.returncode, "simplejpeg" in ended.stderr) == (0, False)  # which decodes nothing


@pytest.mark.parametrize("quirk", ["truncated", "text", "empty"])
def test_without_simplejpeg_what_every_decoder_refuses_is_refused(tmp_path: Path, quirk: str) -> None:
    write_miniature(tmp_path / "SRC", MiniatureOptions(classes=2, quirks=(quirk,)))
    said = []
    for fault in WITHOUT_SIMPLEJPEG, "":
        ended = start("check", "SRC", "--full", "--jobs", 1, fault=fault, cwd=tmp_path)
        assert ended.returncode == 4
        said.append(ended.stdout[ended.stdout.index(" problem") :])
    assert said[0] == said[1]


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_build_that_can_tell_nobody_goes_on(source: Miniature, tmp_path: Path, more: tuple[str, ...]) -> None:
    """Standard error is a full disk, or a pipe whose reader went away."""
    recipe = ("build", str(source.root), "--test-per-class", "2", *more)
    read, write = os.pipe()
    os.close(read)
    with Path("/dev/full").open("wb") as full:
        for name, nowhere in ("full", full.fileno()), ("gone", write):
            ended = subprocess.run(
                [*COMMAND, *recipe, str(tmp_path / name)],
                stdout=subprocess.PIPE,
                stderr=nowhere,
                check=False,
            )
            assert ended.returncode == 0
            assert ended.stdout
            assert (tmp_path / name / "build.json").exists()
            ended = subprocess.run(
                [*COMMAND, *recipe, str(tmp_path / name), "--seed", "1"],
                stdout=subprocess.PIPE,
                stderr=nowhere,
                check=False,
            )
            assert ended.returncode == 5
    os.close(write)


def test_a_lack_of_memory_is_told(source: Miniature, tmp_path: Path, sentence: Sentence) -> None:
    fault = """
from imagenet_prep.sources import search
def recognise(*arguments):
    raise MemoryError
search.recognise = recognise
"""
    ended = start("check", source.root, fault=fault, cwd=tmp_path)
    assert ended.returncode == 1
    sentence(ended.stderr)


def test_an_output_folder_that_is_a_link_to_nowhere_is_told(source: Miniature, tmp_path: Path) -> None:
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    for out in "lost", "loop", "lost/data":
        ended = start("build", source.root, out, "--test-per-class", 2, cwd=tmp_path)
        assert ended.returncode == 6
        assert "is a symbolic link that leads nowhere" in ended.stderr
        assert "Indexing" not in ended.stderr  # which may take long


def test_an_empty_path_is_not_the_folder_one_is_in(source: Miniature, tmp_path: Path) -> None:
    for arguments in (("build", source.root, ""), ("build", "", "OUT"), ("check", ""), ("audit", ""), ("fetch", "")):
        ended = start(*arguments, cwd=tmp_path)
        assert (ended.returncode, "A path is empty" in ended.stderr) == (2, True), arguments


def test_a_folder_that_was_removed_is_told(source: Miniature, tmp_path: Path) -> None:
    removed = ("sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh")
    for out, code in ("OUT", 6), (str(tmp_path / "OUT"), 0):
        ended = start("build", source.root, out, "--test-per-class", 2, prefix=removed, cwd=tmp_path)
        assert ended.returncode == code
    assert (tmp_path / "OUT" / "build.json").exists()

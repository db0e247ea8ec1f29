"""What of a text is a path: ``~`` is a home wherever it is written, and a URL never becomes a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_prep import (
    BuildOptions,
    IndexOptions,
    UsageError,
    archives,
    audit,
    audit_foreign,
    build,
    check,
    index,
    repair,
    resume,
    undo,
)
from imagenet_prep.testing import MiniatureOptions, write_miniature
from support.command import run
from support.sentences import Sentence

FEW = MiniatureOptions(classes=3, images_per_class=8, validation_per_class=2)
URLS = ("gs://bucket/x", "s3://bucket/x", "file:///tmp/x", "https://host/x", "hdfs:/x", "C:/data", "c:\\data")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_miniature(tmp_path_factory.mktemp("source") / "SRC", FEW).root


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, beside a home."""
    for name in "work", "home":
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


class TestAHome:
    def test_is_meant_in_every_command(self, source: Path, work: Path) -> None:
        home = work.parent / "home"
        (home / "SRC").symlink_to(source)
        (home / "names.txt").write_text("n01440764\n")
        (home / "map.txt").write_text(run("classes", "--format", "map").stdout)
        some = ("--classes", "~/names.txt", "--class-map", "~/map.txt", "--exclude", "~/none.txt")
        (home / "none.txt").write_text("n01440764_10.JPEG\n")
        for command, code in (
            (("check", "~/SRC"), 0),
            (("build", "~/SRC", "~/OUT", "--test-per-class", 2, "--dry-run"), 0),
            (("build", "~/SRC", "~/OUT", "--test-per-class", 2), 0),
            (("build", "~/SRC", "~/OUT2", "--test-per-class", 0, *some), 0),
            (("audit", "~/OUT"), 0),
            (("resume", "~/OUT", "~/SRC"), 0),
            (("repair", "~/OUT", "~/SRC"), 0),
            (("build", "~/SRC", "~/OUT3", "--recipe", "~/OUT/build.json"), 0),
            (("undo", "~/OUT3"), 0),
            (("fetch", "~/SRC"), 0),
            (("fetch", "~/new", "--url-file", "~/none.txt"), 2),
            (("fake", "~/fake", "--classes", 2), 0),
            (("demo", "~/demo"), 0),
            (("classes", "--class-map", "~/map.txt"), 0),
        ):
            ended = run(*command)
            assert ended.returncode == code, (command, ended.stderr)
        assert not list(work.iterdir())
        there = {path.name for path in home.iterdir()}
        assert {"OUT", "OUT2", "fake", "demo"} <= there
        assert "OUT3" not in there

    def test_is_meant_in_every_call(self, source: Path, work: Path) -> None:
        home = work.parent / "home"
        (home / "SRC").symlink_to(source)
        build("~/SRC", Path("~/OUT"), BuildOptions.of(test_per_class=2, jobs=1))
        audit("~/OUT")
        check(Path("~/SRC"))
        index(["~/SRC"], IndexOptions(cache=Path("~/cache/catalog"), jobs=1))
        archives("~/SRC")
        audit_foreign("~/OUT")
        write_miniature(Path("~/fake"), FEW)
        resume("~/OUT", Path("~/SRC"))
        repair(Path("~/OUT"), ["~/SRC"])
        assert not list(work.iterdir())
        assert {path.name for path in home.iterdir()} == {"SRC", "OUT", "cache", "fake"}
        undo("~/OUT")
        assert {path.name for path in home.iterdir()} == {"SRC", "cache", "fake"}

    def test_that_is_not_known_is_told(self, source: Path, work: Path) -> None:
        script = """
import os, pwd, sys
def unknown(user):
    raise KeyError(user)
pwd.getpwuid = unknown
del os.environ["HOME"]
sys.argv[1:] = ["build", sys.argv[1], "~/OUT"]
from imagenet_prep.__main__ import main
main()
"""
        ended = subprocess.run(
            [sys.executable, "-c", script, source], capture_output=True, text=True, check=False, env={**os.environ}
        )
        assert ended.returncode == 2
        assert "home" in ended.stderr
        assert "./~" in ended.stderr
        assert not list(work.iterdir())

    def test_is_not_meant_by_a_file_that_is_called_so_and_named_as_one(self, source: Path, work: Path) -> None:
        (work / "~").symlink_to(source)
        assert run("check", "./~").returncode == 0
        assert run("build", "./~", "./~out/x", "--test-per-class", 2).returncode == 0
        assert (work / "~out" / "x" / "build.json").exists()
        assert not list((work.parent / "home").iterdir())


class TestAUrl:
    @pytest.mark.parametrize("url", URLS)
    def test_is_refused_by_every_command_and_makes_nothing(self, source: Path, work: Path, url: str) -> None:
        for command in (
            ("build", source, url),
            ("build", source, url, "--dry-run"),
            ("build", url, "OUT"),
            ("check", url),
            ("audit", url),
            ("undo", url),
            ("fetch", url),
            ("fake", url),
            ("demo", url),
            ("classes", "--class-map", url),
        ):
            ended = run(*command)
            assert ended.returncode == 2, (command, ended.stderr)
            assert "bucket" not in ended.stderr  # which may be a secret
            assert not list(work.iterdir()), command

    @pytest.mark.parametrize("url", ["gs://bucket/x", Path("gs://bucket/x"), Path("s3:/bucket")])
    def test_is_refused_by_every_call(self, source: Path, work: Path, url: str | Path) -> None:
        for call in (
            lambda: build(source, url),
            lambda: build(url, "OUT"),
            lambda: check(url),
            lambda: index(source, IndexOptions(cache=Path(url))),
            lambda: audit(url),
            lambda: audit_foreign(url),
            lambda: undo(url),
            lambda: archives(url),
            lambda: write_miniature(Path(url), FEW),
        ):
            with pytest.raises(UsageError, match="URL"):
                call()
        assert not list(work.iterdir())

    def test_is_told_with_what_to_do_instead(self, source: Path, sentence: Sentence) -> None:
        assert "copy" in run("build", source, "gs://bucket/x").stderr
        sentence(run("check", "file:///data").stderr)
        assert "/mnt/d" in run("check", "D:\\data").stderr
        assert "fetch" in run("build", "https://host/archives", "OUT").stderr

    def test_is_told_to_programs_as_json(self, source: Path) -> None:
        ended = run("build", source, "gs://bucket/x", "--json")
        assert json.loads(ended.stderr)["exit_code"] == 2

    def test_is_not_what_has_a_colon_elsewhere(self, work: Path) -> None:
        for name in ("12:30", "a:b/c", "./gs:/x", "train:"):
            assert run("fake", name, "--classes", 2).returncode == 0, name
            assert (work / name).is_dir()

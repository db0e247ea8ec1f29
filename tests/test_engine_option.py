"""Engines by name: what --engine and ``engine=`` take, and what they refuse; and progress that moves image by image."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import imagenet_prep
from imagenet_prep import AuditOptions, BuildOptions, CheckOptions, Progress, Stage, UsageError
from imagenet_prep.cli.pace import NAMES
from imagenet_prep.engines.here import Here
from imagenet_prep.model.events import Tally
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature
from support.command import run, start
from support.sentences import Sentence

WITHOUT = "import sys; sys.modules['distributed'] = None"
KNOWN = "here, processes=N, dask=tcp://HOST:PORT"


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    options = MiniatureOptions(wnids=("n01440764", "n02917067"), images_per_class=6, validation_per_class=2)
    return write_miniature(tmp_path_factory.mktemp("two-classes"), options)


@pytest.fixture(scope="module")
def data(two_classes: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "data"
    imagenet_prep.build(two_classes.root, out, BuildOptions.of(test_per_class=2, jobs=1))
    return out


class TestNames:
    @pytest.mark.parametrize("engine", ["here", "processes=2"])
    def test_engines_of_this_machine(self, two_classes: Miniature, data: Path, tmp_path: Path, engine: str) -> None:
        out = tmp_path / "data"
        assert run("build", two_classes.root, out, "--test-per-class", 2, "--engine", engine).returncode == 0
        assert (out / "build.json").read_bytes() == (data / "build.json").read_bytes()
        assert run("audit", out, "--engine", engine).returncode == 0
        assert run("check", two_classes.root, "--full", "--engine", engine).returncode == 0
        assert (
            run("build", two_classes.root, out, "--dry-run", "--test-per-class", 2, "--engine", engine).returncode == 0
        )

    @pytest.mark.parametrize("engine", ["ray", "dask", "dask=", "here=1", "processes", "processes=two", ""])
    @pytest.mark.parametrize("verb", ["build", "check", "audit"])
    def test_an_unknown_engine_is_wrong_usage_and_the_known_ones_are_named(
        self, two_classes: Miniature, data: Path, tmp_path: Path, verb: str, engine: str
    ) -> None:
        paths = {"build": [two_classes.root, tmp_path / "new"], "check": [two_classes.root], "audit": [data]}[verb]
        result = run(verb, *paths, "--engine", engine)
        assert result.returncode == 2
        assert "Traceback" not in result.stderr
        assert KNOWN in result.stderr or "processes=4" in result.stderr
        assert not (tmp_path / "new").exists()

    def test_a_missing_extra_is_wrong_usage_with_the_command_that_installs_it(
        self, data: Path, sentence: Sentence
    ) -> None:
        result = start("audit", data, "--engine", "dask=tcp://127.0.0.1:9", fault=WITHOUT)
        assert result.returncode == 2
        sentence(result.stderr)

    def test_an_engine_and_jobs_are_two_things(self, data: Path) -> None:
        result = run("audit", data, "--engine", "here", "--jobs", 2)
        assert result.returncode == 2
        with pytest.raises(UsageError):
            imagenet_prep.audit(data, AuditOptions(jobs=2), engine="here")

    def test_something_else_is_no_engine(self, data: Path, sentence: Sentence) -> None:
        with pytest.raises(UsageError) as caught:
            imagenet_prep.audit(data, engine=[])  # type: ignore[arg-type]
        sentence(caught.value)

    def test_with_json_it_is_json(self, data: Path) -> None:
        result = run("audit", data, "--json", "--engine", "ray")
        assert json.loads(result.stderr)["exit_code"] == 2


class TestEveryVerb:
    def test_takes_an_executor(self, two_classes: Miniature, data: Path, tmp_path: Path) -> None:
        with ThreadPoolExecutor(2) as executor:
            options = BuildOptions.of(test_per_class=2)
            imagenet_prep.build(two_classes.root, tmp_path / "data", options, engine=executor)
            assert imagenet_prep.audit(tmp_path / "data", engine=executor).records == 16
            assert imagenet_prep.audit_foreign(data / "tfrecord", engine=executor).sets
            assert imagenet_prep.check(two_classes.root, CheckOptions(full=True), engine=executor).decoded == 16
            assert len(imagenet_prep.index(two_classes.root, engine=executor)) == 16
            assert imagenet_prep.archives(two_classes.root, full=True, engine=executor)
            assert executor.submit(abs, -1).result() == 1  # it is still the caller's
        assert (tmp_path / "data/build.json").read_bytes() == (data / "build.json").read_bytes()


def watched(work: Callable[[Callable[[object], None]], object], stage: Stage) -> list[Progress]:
    events: list[object] = []
    work(events.append)
    return [event for event in events if isinstance(event, Progress) and event.stage is stage]


class TestProgress:
    @pytest.fixture(autouse=True)
    def _no_pause(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every report is sent: a miniature is done before a tenth of a second has passed."""
        monkeypatch.setattr("imagenet_prep.engines.reports._SECONDS", 0.0)

    def test_moves_by_single_images(self, two_classes: Miniature, data: Path, tmp_path: Path) -> None:
        out, recipe = tmp_path / "data", BuildOptions.of(test_per_class=2)
        written = watched(
            lambda watch: imagenet_prep.build(two_classes.root, out, recipe, watch=watch, engine=Here()), Stage.WRITE
        )
        audited = watched(lambda watch: imagenet_prep.audit(data, watch=watch, engine=Here()), Stage.AUDIT)
        full = CheckOptions(full=True)
        decoded = watched(
            lambda watch: imagenet_prep.check(two_classes.root, full, watch=watch, engine=Here()), Stage.DECODE
        )
        for events in (written, audited, decoded):
            assert {event.done for event in events} == set(range(events[0].done, 17))
            assert [event.done for event in events] == sorted(event.done for event in events)
            assert {event.total for event in events} == {16}
            assert events[-1].bytes_done == events[-1].bytes_total

    def test_of_an_index_moves_while_a_class_is_walked(self, tmp_path: Path) -> None:
        write_miniature(tmp_path, MiniatureOptions(classes=1, images_per_class=40, validation_per_class=0))
        events = watched(lambda watch: imagenet_prep.index(tmp_path, watch=watch, engine=Here()), Stage.INDEX)
        assert [event.done for event in events] == [0, 16, 32, 40]

    def test_of_a_data_set_that_others_made_moves_too(self, data: Path) -> None:
        events = watched(
            lambda watch: imagenet_prep.audit_foreign(data / "tfrecord", watch=watch, engine=Here()), Stage.AUDIT
        )
        assert {event.done for event in events} == set(range(17))

    def test_comes_through_the_pipes_of_processes(self, data: Path) -> None:
        events = watched(lambda watch: imagenet_prep.audit(data, watch=watch, engine="processes=2"), Stage.AUDIT)
        assert events[-1].done == 16
        assert [event.done for event in events] == sorted(event.done for event in events)


def test_what_a_dead_worker_had_done_is_never_counted_twice() -> None:
    events: list[object] = []
    tally = Tally(events.append, Stage.WRITE, 10)
    tally.running(6)  # and here its worker dies
    tally.running(2)
    tally.finished(5)
    tally.running(5)
    tally.finished(5)
    assert [event.done for event in events if isinstance(event, Progress)] == [6, 6, 6, 10, 10]


def test_every_stage_has_a_name_for_people() -> None:
    assert set(NAMES) == set(Stage)


# Interrupts itself when the first progress is shown.
INTERRUPTED = """
import os, signal
from imagenet_prep.cli import progress
progress._Lines.__call__ = lambda *_: os.kill(os.getpid(), signal.SIGINT)
"""


class TestInterrupts:
    @pytest.mark.parametrize(
        ("words", "goes_on"),
        [
            (("audit", "{build}"), False),
            (("check", "{source}"), False),
            (("build", "{source}", "{new}", "--dry-run"), False),
            (("build", "{source}", "{new}", "--check", "decode"), True),
            (("build", "{source}", "{new}"), True),
        ],
        ids=["audit", "check", "a dry run", "a build that decodes", "a build"],
    )
    def test_a_verb_says_whether_it_goes_on(
        self, two_classes: Miniature, data: Path, tmp_path: Path, words: tuple[str, ...], goes_on: bool
    ) -> None:
        build, source = tmp_path / "build", tmp_path / "fetch"  # folders that are called as verbs are
        build.symlink_to(data)
        source.symlink_to(two_classes.root)
        paths = {"build": build, "source": source, "new": tmp_path / "new"}
        result = start(*(word.format(**paths) for word in words), fault=INTERRUPTED)
        assert result.returncode == 130
        *_, said, command = ["", *result.stderr.splitlines()]
        assert (said == "The same command again goes on where this one stopped:") is goes_on
        assert command.startswith("    imagenet-prep build ") is goes_on

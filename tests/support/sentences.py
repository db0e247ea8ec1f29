"""What the program says stands in one file, ``sentences.txt``, so that wording is reviewed and changed in one place.

A test calls ``sentence(error)``, ``sentence(problems)`` or ``sentence(output, "key")``; the entry is named after the
test. ``make sentences`` writes what the tests saw into the file, and removes entries that no test uses; any other run
fails because of those.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from imagenet_prep.errors import Problem

TESTS = Path(__file__).parents[1]
FILE = TESTS / "sentences.txt"
VARYING = {  # from run to run, and from machine to machine
    r"/dev/shm/\w+": "SHM",
    r"\b[0-9a-f]{32,}\b": "DIGEST",
    r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?": "TIME",
    r"\b[\d.,]+ (?=(s|ms|min|[kMG]B/s|images/s|[kMGT]?B free)\b)": "N ",
}


class Sentence(Protocol):
    def __call__(self, said: object, key: str = "", *, alike: bool = False) -> None: ...


def places(problems: Iterable[Problem]) -> list[str]:
    """Give where each problem is, as its text has it, without the reason."""
    return [str(replace(problem, reason="")).removesuffix(": ") for problem in problems]


def lines(text: str, *facts: str) -> str:
    """Give the lines of a long text that hold one of some facts: file names, numbers, options."""
    found = [line for line in text.splitlines() if any(fact in line for fact in facts)]
    assert all(any(fact in line for line in found) for fact in facts), text
    return "\n".join(found)


def parse(text: str) -> dict[str, str]:
    blocks = re.split(r"^== (.*)\n", text, flags=re.MULTILINE)[1:]
    return {name: re.sub(r"(?m)^    ", "", said.rstrip()) for name, said in zip(blocks[::2], blocks[1::2], strict=True)}


def written(entries: dict[str, str]) -> str:
    return "\n".join(f"== {name}\n{re.sub(r'(?m)^(?=.)', '    ', entries[name])}\n" for name in sorted(entries))


@pytest.fixture
def sentence(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Sentence:
    """Require that an error, or any text, reads as ``sentences.txt`` says."""
    sentences = request.config.stash[SENTENCES]
    base = re.escape(str(tmp_path_factory.getbasetemp()))
    here = re.compile(rf"{re.escape(str(tmp_path))}|{base}/[\w-]+?\d+(?![\w-])")

    def check(said: object, key: str = "", *, alike: bool = False) -> None:
        """Compare one text; ``alike``: it is the same whatever the parameters of the test."""
        test = name_of(request.node.nodeid)
        name = f"{test.partition('[')[0] if alike else test} # {key}".removesuffix(" # ")
        if isinstance(said, tuple | list):
            said = "\n".join(map(str, said))
        _, error, after = str(said).partition("\nError: ")  # before an error stands progress
        text = f"Error: {after}" if error else str(said)
        text = "\n".join(line.rstrip() for line in here.sub("TMP", text).strip().splitlines())
        for pattern, word in VARYING.items():
            text = re.sub(pattern, word, text)
        request.node.user_properties.append((name, text))  # travels with the report, from any worker
        known = sentences.known.get(name)
        if known != text and not sentences.update:
            diff = difflib.ndiff((known or "").splitlines(), text.splitlines())
            pytest.fail(f"{name} reads otherwise; `make sentences` if it is better:\n" + "\n".join(diff), pytrace=False)

    return check


def name_of(nodeid: str) -> str:
    return nodeid.removeprefix("tests/")


class Sentences:
    """The file, and what a run saw of it."""

    def __init__(self, config: pytest.Config) -> None:
        self.update: bool = config.getoption("update_sentences")
        self.known = parse(FILE.read_text()) if FILE.exists() else {}
        self.seen: dict[str, str] = {}
        self.passed: set[str] = set()
        self.ran: set[str] = set()
        self.elsewhere: set[str] = set()
        self.unused: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.update:
            items[:] = [item for item in items if "sentence" in getattr(item, "fixturenames", ())]

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """What another part of the tests runs is used, and not seen now."""
        for test in (name_of(item.nodeid) for item in items):
            self.elsewhere |= {test, test.partition("[")[0]}

    @pytest.hookimpl(optionalhook=True)  # of xdist
    def pytest_testnodedown(self, node: Any) -> None:
        self.elsewhere |= set(getattr(node, "workeroutput", {}).get("elsewhere", ()))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = name_of(report.nodeid)
        self.ran |= {test, test.partition("[")[0]}
        if report.when == "call" and report.passed:
            self.passed |= {test, test.partition("[")[0]}
            self.seen |= {
                key: str(said) for key, said in report.user_properties if key.startswith(test.partition("[")[0])
            }

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        option = session.config.option
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["elsewhere"] = sorted(self.elsewhere)
            return
        if option.collectonly:
            return
        stopped = session.shouldfail or session.shouldstop or exitstatus > pytest.ExitCode.TESTS_FAILED
        chosen = getattr(option, "lf", False) or any("::" in each for each in option.file_or_dir)
        whole = [] if stopped or chosen else [Path(each).resolve() for each in option.file_or_dir or (TESTS,)]
        for name in self.known.keys() - self.seen.keys():
            file, test = TESTS / name.split("::")[0], name.split(" # ")[0]
            elsewhere = test in self.ran | self.elsewhere
            if test in self.passed or (not elsewhere and any(map(file.is_relative_to, whole))):
                self.unused.add(name)
        if self.update:
            kept = {name: said for name, said in self.known.items() if name not in self.unused}
            FILE.write_text(written(kept | self.seen), "utf-8")
        elif self.unused:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.unused:
            done = "were removed" if self.update else "are used by no test (`make sentences` removes them)"
            lines = [f"Entries of {FILE.name} that {done}:", *sorted(self.unused)]
            terminalreporter.write_line("\n".join(lines), red=True)


SENTENCES = pytest.StashKey[Sentences]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-sentences", action="store_true", help="write what the tests saw into sentences.txt")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SENTENCES] = Sentences(config)
    config.pluginmanager.register(config.stash[SENTENCES])

"""The tests have three parts, by their marks, and an audit hook of Python keeps each to what it may do.

``quick``
    starts no Python. ``make quick`` runs these.
no mark
    uses no mount, no name space, no other user. ``make test`` runs these and the quick ones.
``system``
    may use all of this, or takes long because it tries everything. ``make test-system`` runs these.

No test asks another machine. What a machine cannot do is skipped there; with ``--no-skips`` that is a failure.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

MARKS = {"quick": "starts no Python", "system": "needs mounts, name spaces or other users, or tries everything"}
OF_THE_SYSTEM = re.compile(r"\b(mount|nsenter|unshare|prctl)\b")  # as a command, and in a script
HERE = ("127.0.0.1", "::1", "localhost")


class Part:
    """What the test that runs now may do."""

    def __init__(self) -> None:
        self.marks: frozenset[str] = frozenset()
        self.is_test = False

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """End what the running test may not do, before it happens."""
        if self.is_test and event in FORBIDDEN and (found := FORBIDDEN[event](self.marks, arguments)):
            pytest.fail(f"{found}: see {__name__}")


def _starting(marks: frozenset[str], arguments: tuple[Any, ...]) -> str:
    words = " ".join(map(str, arguments[1]))
    if "quick" in marks and sys.executable in words:
        return "a quick test starts Python"
    of_the_system = None if "system" in marks else OF_THE_SYSTEM.search(words)
    return f"a test that is not of the system uses {of_the_system[1]}" if of_the_system else ""


def _forking(marks: frozenset[str], _: tuple[Any, ...]) -> str:
    return "a quick test starts a process" if "quick" in marks else ""


def _connecting(_: frozenset[str], arguments: tuple[Any, ...]) -> str:
    address = arguments[1]
    return f"a test asks {address[0]}" if isinstance(address, tuple) and address[0] not in HERE else ""


FORBIDDEN: dict[str, Callable[[frozenset[str], tuple[Any, ...]], str]] = {
    "subprocess.Popen": _starting,
    "os.fork": _forking,
    "os.posix_spawn": _forking,
    "socket.connect": _connecting,
}
PART = Part()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a test that is skipped has failed")


def pytest_configure(config: pytest.Config) -> None:
    for mark, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{mark}: {meaning}")
    sys.addaudithook(PART.hear)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    PART.marks, PART.is_test = frozenset(mark.name for mark in item.iter_markers()), True
    try:
        return (yield)
    finally:
        PART.is_test = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.option.no_skips:
        report.outcome, report.longrepr = "failed", f"was skipped: {report.longrepr[-1]}"
    return report

"""Whatever bytes a parser gets: it gives a result or one of its declared errors, ends, and allocates no more than is
there. ``make fuzz`` searches longer, guided by coverage; what it finds is kept in ``crashers/`` and runs here.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.mutations import damaged
from fuzz.targets import TARGETS

CRASHERS = sorted(path for path in Path(__file__).with_name("crashers").glob("*/*") if path.name != ".gitkeep")
ALL = pytest.mark.parametrize("name", TARGETS)
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@contextlib.contextmanager
def no_hang() -> Iterator[None]:
    """Turn a hang into a failure."""

    def stop(*_: object) -> None:
        raise AssertionError("still at it after 20 s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@ALL
def test_what_the_fuzzers_start_from_is_sound(name: str) -> None:
    for data in TARGETS[name].sound:
        TARGETS[name].read(data)


@ALL
def test_random_bytes_get_a_declared_error(name: str) -> None:
    @given(st.binary(max_size=600))
    @QUICK
    def run(data: bytes) -> None:
        with no_hang():
            TARGETS[name].run(data)

    run()


@ALL
def test_damaged_input_gets_a_result_or_a_declared_error(name: str) -> None:
    @given(damaged(TARGETS[name]))
    @QUICK
    def run(data: bytes) -> None:
        with no_hang():
            TARGETS[name].run(data)

    run()


@pytest.mark.parametrize("path", CRASHERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_once_crashed_gets_a_declared_error_now(path: Path) -> None:
    with no_hang():
        TARGETS[path.parent.name].run(path.read_bytes())

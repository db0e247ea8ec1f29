"""Short runs of the long trials, which ``make torture`` makes in full."""

from __future__ import annotations

import pytest

from torture import flips, kills

pytestmark = pytest.mark.system


def test_builds_that_are_killed_at_random_moments_go_on_to_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert kills.main(builds=8, seed=0, first=0, pairs=0) == 0
    assert "All bytes are those of undisturbed runs." in capsys.readouterr().out


def test_two_builds_at_once_in_two_process_spaces_give_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert kills.main(builds=0, seed=0, first=0, pairs=8) == 0
    assert "All bytes are those of undisturbed runs." in capsys.readouterr().out


def test_bits_that_are_changed_at_random_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert flips.main(flips=50, seed=0) == 0
    assert "50 flips, all found." in capsys.readouterr().out

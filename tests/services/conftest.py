"""What tests with real services share."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Tests interrupt commands; where a shell runs them in the background, SIGINT begins as ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

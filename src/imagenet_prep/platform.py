"""Where the program runs: Linux and macOS. It reads with ``preadv``, writes with ``writev``, as Windows cannot."""

from __future__ import annotations

import sys

from imagenet_prep.errors import UsageError


def check_platform() -> None:
    """Raise UsageError on Windows."""
    if sys.platform == "win32":
        raise UsageError("imagenet-prep runs on Linux and macOS.", remedy="On Windows, use it inside WSL 2.")

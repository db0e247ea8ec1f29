"""What several test files share."""

from __future__ import annotations

import os
import signal

import pytest

from imagenet_prep.stores import sync
from imagenet_prep.testing import Miniature, MiniatureOptions, write_miniature

pytest_plugins = ["support.parts", "support.sentences"]


def pytest_configure() -> None:
    """Tests interrupt themselves and others; where a shell runs them in the background, SIGINT begins as ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here cuts the power: what was written is there. Commands of their own processes wait all the same."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(sync, "syncfs", lambda _: None)


@pytest.fixture(scope="session")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    """Archives of two classes, with a text file and a PNG among the images; nobody changes them."""
    options = MiniatureOptions(
        wnids=("n01440764", "n02917067"),
        images_per_class=6,
        validation_per_class=2,
        quirks=("text", "png"),
        boxes=False,
    )
    return write_miniature(tmp_path_factory.mktemp("two-classes"), options)

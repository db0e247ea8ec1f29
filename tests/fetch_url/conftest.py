"""A server, a folder, and nobody who waits. Every test that fetches ends with a search for the secret in its URLs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fetch_url.asking import DATA, OTHER, SECRET, VAL, Fetching, Publish
from imagenet_prep.imagenet import archives as facts
from imagenet_prep.verbs.fetch import download
from support.sentences import Sentence
from web import Web, serving


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits between two tries, and no proxy is asked."""
    asked: list[float] = []
    monkeypatch.setattr(download, "wait", asked.append)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return asked


@pytest.fixture
def web() -> Iterator[Web]:
    with serving({f"{SECRET}/{name}": DATA for name in (VAL, OTHER)}) as server:
        yield server


@pytest.fixture
def fetching(
    tmp_path: Path,
    web: Web,
    waits: list[float],
    sentence: Sentence,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Fetching]:
    caplog.set_level(logging.DEBUG)
    one = Fetching(tmp_path / "archives", web, waits, sentence)
    yield one
    one.assert_discreet(SECRET)
    assert [record for record in caplog.get_records("call") if SECRET in record.getMessage()] == []
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Take some bytes for the published file of a name, of which size and MD5 are known."""

    def published(data: bytes = DATA, name: str = VAL, *, role: str = facts.VALIDATION, sized: bool = True) -> None:
        archive = facts.OfficialArchive(
            role, (name,), len(data) if sized else None, hashlib.md5(data).hexdigest(), hashlib.sha1(data).hexdigest()
        )
        monkeypatch.setitem(facts.OFFICIAL_BY_ROLE, role, archive)

    return published


@pytest.fixture
def published(publish: Publish) -> None:
    publish()


@pytest.fixture(autouse=True)
def nothing_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names are free for miniatures."""
    for role, archive in facts.OFFICIAL_BY_ROLE.items():
        monkeypatch.setitem(facts.OFFICIAL_BY_ROLE, role, replace(archive, size=None, md5=None, sha1=None))

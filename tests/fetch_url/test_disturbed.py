"""Other programs at work on what is being fetched: a final name goes to nothing but the bytes that came."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fetch_url.asking import DATA, PUBLISHED, VAL, Fetching, url
from imagenet_prep.stores.errors import DisturbedError
from imagenet_prep.verbs.fetch import download, part
from web import Answer, Web

THEIRS = b"the user's"


def shorten(part: Path) -> None:
    os.truncate(part, 150_000)


def replace(part: Path) -> None:
    part.with_name("theirs").write_bytes(THEIRS)
    part.with_name("theirs").replace(part)


def move_away(part: Path) -> None:
    part.rename(part.with_name("theirs"))


DISTURBED = pytest.mark.parametrize("disturb", [shorten, Path.unlink, replace, move_away])


def others(fetching: Fetching) -> dict[str, bytes]:
    """What is there that is not ours."""
    paths = [path for path in fetching.folder.iterdir() if not path.name.endswith(".part.json")]
    return {path.name: path.read_bytes() for path in paths}


@DISTURBED
@PUBLISHED
def test_in_the_middle(
    fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch, disturb: Callable[[Path], None]
) -> None:
    left: dict[str, bytes] = {}

    def disturb_once(_: float) -> None:
        if not left:
            disturb(fetching.folder / f"{VAL}.part")
            left.update(others(fetching))
            left.setdefault("", b"")

    web.next(Answer(stop=200_000))
    monkeypatch.setattr(download, "wait", disturb_once)
    said = fetching.refused(url(web), kind=DisturbedError)
    assert f"{VAL}.part" in said
    assert "another program" in said
    assert not (fetching.folder / VAL).exists()
    for name, data in left.items():
        if data.startswith((THEIRS, bytes(100))):
            assert (fetching.folder / name).read_bytes() == data


@DISTURBED
@pytest.mark.parametrize("published", [True, False])
def test_at_the_end(
    fetching: Fetching,
    web: Web,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    disturb: Callable[[Path], None],
    published: bool,
) -> None:
    if published:
        request.getfixturevalue("publish")()
    name_part = part.name_part

    def disturb_and_name(final: Path, seen: os.stat_result) -> None:
        disturb(fetching.folder / f"{VAL}.part")
        name_part(final, seen)

    monkeypatch.setattr(part, "name_part", disturb_and_name)
    assert f"{VAL}.part" in fetching.refused(url(web), kind=DisturbedError)
    assert not (fetching.folder / VAL).exists()


@PUBLISHED
def test_what_others_put_in_its_place_is_not_taken_for_ours_afterwards(
    fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = fetching.folder / f"{VAL}.part"
    web.next(Answer(stop=200_000))
    with monkeypatch.context() as patched:
        patched.setattr(download, "wait", lambda _: replace(part))
        fetching.refused(url(web), kind=DisturbedError)
    fetching.refused(url(web))
    assert part.read_bytes() == THEIRS


@PUBLISHED
def test_after_a_removal_the_same_command_begins_again(
    fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.next(Answer(stop=200_000))
    with monkeypatch.context() as patched:
        patched.setattr(download, "wait", lambda _: Path.unlink(fetching.folder / f"{VAL}.part"))
        fetching.refused(url(web), kind=DisturbedError)
    fetching.get(url(web))
    fetching.assert_whole(DATA)

"""One folder that files are fetched into, and what is in them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from imagenet_prep.errors import PrepError, SourceError
from imagenet_prep.model.events import Note, Progress
from imagenet_prep.verbs.fetch.report import FetchReport, UrlOptions
from imagenet_prep.verbs.fetch.run import fetch
from support.sentences import Sentence
from web import Answer, Web, page

VAL = "ILSVRC2012_img_val.tar"
OTHER = "other.tar"
SECRET = "kept-secret"


def tar_like(seed: int | str, size: int = 300_000) -> bytes:
    """Random bytes with the mark of a tar at its place."""
    data = random.Random(seed).randbytes(size)
    return data[:257] + b"ustar" + data[262:]


DATA, CHANGED_DATA = tar_like(0), tar_like(1)
GZIP = b"\x1f\x8b\x08" + DATA
PUBLISHED = pytest.mark.usefixtures("published")


@dataclass
class Fetching:
    """One folder that files are fetched into, all that was said meanwhile, and the waits that were asked for."""

    folder: Path
    web: Web
    waits: list[float]
    sentence: Sentence
    events: list[Progress | Note] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def get(self, *urls: str, **options: Any) -> FetchReport:
        """Fetch, from the usual URL if no other is given."""
        wanted = UrlOptions(urls=urls or (url(self.web),), **{"timeout": 10.0, **options})
        return fetch(self.folder, wanted, watch=self.events.append)

    def refused(self, *urls: str, kind: type[PrepError] = SourceError, **options: Any) -> str:
        with pytest.raises(kind) as caught:
            self.get(*urls, **options)
        assert type(caught.value) is kind
        self.messages.append(f"{caught.value} {caught.value!r} {caught.value.problems!r}")
        return re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:PORT", str(caught.value))

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]

    def part(self) -> bytes:
        return (self.folder / f"{VAL}.part").read_bytes()

    def put(self, data: bytes, name: str = f"{VAL}.part") -> None:
        """Write what somebody else puts there."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).write_bytes(data)

    def begin(self, size: int) -> None:
        """Have the first ``size`` bytes there, as of a run that gave up."""
        self.web.next(Answer(stop=size), page(503))
        self.refused(retries=1)
        self.assert_partial(DATA[:size])
        for seen in (self.web.requests, self.events, self.waits):
            seen.clear()

    def assert_whole(self, data: bytes = DATA, name: str = VAL) -> None:
        assert (self.folder / name).read_bytes() == data
        assert self.names == [name]

    def assert_partial(self, data: bytes) -> None:
        assert self.part() == data
        assert self.names == [f"{VAL}.part", f"{VAL}.part.json"]

    def assert_discreet(self, *secrets: str) -> None:
        said = [*self.messages, *map(repr, self.events)]
        said += [path.read_text(errors="replace") for path in self.folder.glob("*") if path.is_file()]
        assert [words for words in said if any(secret in words for secret in secrets)] == []


def url(web: Web, name: str = VAL, host: str = "127.0.0.1") -> str:
    return web.url(f"{SECRET}/{name}?{SECRET}=1", host)


Publish = Callable[..., None]

"""Fetch by URL, against a real server that does what servers do: it breaks off, stalls, ignores what it is asked for,
exchanges the file, sends a login page, lies about the length.

Every URL has a secret in its path and in its query, and every test ends with a search for it: see ``Fetching``.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from imagenet_prep.core import facts
from imagenet_prep.core.facts import RIGHT, UNPUBLISHED
from imagenet_prep.core.fetched import Fetched, FetchReport, UrlOptions
from imagenet_prep.core.progress import Note, Progress
from imagenet_prep.errors import OtherBuildError, OutputError, PrepError, SourceError, UsageError
from imagenet_prep.remote import credentials
from imagenet_prep.sources.disguise import START_BYTES
from imagenet_prep.steps.fetch import fetch
from imagenet_prep.steps.fetching import download
from imagenet_prep.storage import documents, unfinished
from imagenet_prep.storage.lock import held
from imagenet_prep.storage.running_digest import running_digest
from web import (
    CHUNKED,
    CLOSE,
    GOOD,
    LOGIN_PAGE,
    RESET,
    STALL,
    UNTIL_CLOSED,
    Answer,
    Request,
    Web,
    page,
    redirect,
    serving,
)

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

VAL = "ILSVRC2012_img_val.tar"
OTHER = "other.tar"
SECRET = "kept-secret"


def tar_like(seed: int) -> bytes:
    """Random bytes with the mark of a tar at its place."""
    data = random.Random(seed).randbytes(300_000)
    return data[:257] + b"ustar" + data[262:]


DATA, CHANGED_DATA = tar_like(0), tar_like(1)
MD5 = hashlib.md5(DATA).hexdigest()
GZIP = b"\x1f\x8b\x08" + DATA

# What a message must say, whatever its words are besides.
LOGIN = ("127.0.0.1", "login", "cookies")
CHANGED = ("127.0.0.1", "has changed on the server", "--fresh")

STATE_CAN_BE_KEPT = bool(getattr(running_digest("md5"), "state", str)())
PUBLISHED = pytest.mark.usefixtures("published")


@dataclass
class Fetching:
    """One folder that files are fetched into, all that was said meanwhile, and the waits that were asked for."""

    folder: Path
    waits: list[float]
    events: list[Progress | Note] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def get(self, *urls: str, **options: Any) -> FetchReport:
        wanted = UrlOptions(urls=urls, **{"timeout": 10.0, **options})
        return fetch(self.folder, wanted, watch=self.events.append)

    def refused(self, *urls: str, kind: type[PrepError] = SourceError, **options: Any) -> str:
        with pytest.raises(kind) as caught:
            self.get(*urls, **options)
        assert type(caught.value) is kind
        self.messages.append(f"{caught.value} {caught.value!r} {caught.value.problems!r}")
        return str(caught.value)

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]

    def part(self, name: str = VAL) -> bytes:
        return (self.folder / f"{name}.part").read_bytes()

    def document(self, name: str = VAL) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / f"{name}.part.json").read_bytes())
        return document

    def begin(self, web: Web, size: int, name: str = VAL) -> None:
        """Have the first ``size`` bytes there, as of a run that gave up."""
        count = len(web.requests)
        web.next(Answer(stop=size))
        web.next(*[page(503)] * 1)
        self.refused(url(web, name), retries=0 if size == 0 else 1)
        assert self.part(name) == web.files[f"{SECRET}/{name}"][:size]
        del web.requests[count:]
        self.events.clear()
        self.waits.clear()

    def assert_whole(self, data: bytes = DATA, name: str = VAL) -> None:
        assert (self.folder / name).read_bytes() == data
        assert self.names == [name]

    def assert_only_begun(self, data: bytes, name: str = VAL) -> None:
        assert self.part(name) == data
        assert self.names == [f"{name}.part", f"{name}.part.json"]

    def assert_discreet(self, *secrets: str) -> None:
        said = [*self.messages, *map(repr, self.events)]
        said += [path.read_text() for path in self.folder.glob("*.json")]
        assert [words for words in said if any(secret in words for secret in secrets)] == []


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits between two tries, and no proxy is asked."""
    asked: list[float] = []
    monkeypatch.setattr(download, "wait", asked.append)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return asked


@pytest.fixture
def fetching(
    tmp_path: Path, waits: list[float], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Fetching]:
    one = Fetching(tmp_path / "archives", waits)
    yield one
    one.assert_discreet(SECRET)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def web() -> Iterator[Web]:
    with serving({f"{SECRET}/{name}": DATA for name in (VAL, OTHER)}) as server:
        yield server


def url(web: Web, name: str = VAL, host: str = "127.0.0.1") -> str:
    return web.url(f"{SECRET}/{name}?{SECRET}=1", host)


Publish = Callable[..., None]


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


def flip_first_bit(path: Path) -> None:
    with path.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))


def assert_said(words: str, *wanted: str) -> None:
    assert [each for each in wanted if each not in words] == [], words


class TestWhatIsAskedFor:
    @pytest.mark.parametrize(
        ("ending", "name"),
        [
            ("x.tar", "x.tar"),
            ("a/b/x.tar", "x.tar"),
            ("x.tar?token=a/b", "x.tar"),
            ("x.tar#part", "x.tar"),
            ("%78%2etar", "x.tar"),
            ("x%20y.tar", "x y.tar"),
            ("x+y.tar", "x+y.tar"),
            ("%C3%A9.tar", "é.tar"),
            ("a//x.tar", "x.tar"),
            ("x", "x"),
        ],
    )
    def test_a_file_is_called_as_its_url_ends(self, fetching: Fetching, ending: str, name: str) -> None:
        with serving({}, otherwise=Answer(data=DATA)) as web:
            fetching.get(web.url(ending))
            fetching.assert_whole(name=name)

    @pytest.mark.parametrize(
        "ending",
        ["", "a/", "a/?x.tar", "..", "a/..", "%2e%2e", ".", ".hidden", "%2Ehidden", "a%00b", "a%0ab",
         "a%1bb", "a%7Fb", "a%2Fb", "..%2fb", "a" * 252, "x.tar.part", "x.tar.part.json"],
    )  # fmt: skip
    def test_a_url_that_ends_in_no_name_for_a_file(self, fetching: Fetching, web: Web, ending: str) -> None:
        words = fetching.refused(web.url(ending), kind=UsageError)
        assert words.isprintable() or "\n" in words
        assert "\x1b" not in words
        assert (web.requests, fetching.names) == ([], [])

    @pytest.mark.parametrize(
        "address",
        ["ftp://127.0.0.1/x.tar", "file:///etc/passwd", "127.0.0.1/x.tar", "x.tar", "", "http:///x.tar", "http:x.tar",
         "data:text/plain,x", "http://127.0.0.1:99999/x.tar", "http://127.0.0.1:a/x.tar", "http://[::1/x.tar",
         "HTTPX://127.0.0.1/x.tar", "http://127.0.0.1/x y.tar", "http://127.0.0.1/x\n.tar", "http://127.0.0.1/\u00e9.tar"],
    )  # fmt: skip
    def test_what_is_no_url_of_a_server(self, fetching: Fetching, address: str) -> None:
        fetching.refused(address, kind=UsageError)
        assert fetching.names == []

    def test_a_password_in_a_url_is_not_repeated(self, fetching: Fetching, web: Web) -> None:
        address = url(web, host=f"somebody:{SECRET}@127.0.0.1")
        assert_said(fetching.refused(address, kind=UsageError), "headers")
        assert_said(fetching.refused(url(web, host=f"{SECRET}@127.0.0.1"), kind=UsageError), "headers")
        assert web.requests == []

    @pytest.mark.parametrize(
        "address", [f"me:{SECRET}@127.0.0.1/x.tar", f"{SECRET}@127.0.0.1/x.tar", f"/{SECRET}/x.tar"]
    )
    def test_nor_is_what_may_be_one(self, fetching: Fetching, address: str) -> None:
        fetching.refused(address, kind=UsageError)

    def test_one_name_twice(self, fetching: Fetching, web: Web) -> None:
        words = fetching.refused(url(web), web.url(f"mirror/{VAL}"), kind=UsageError)
        assert_said(words, VAL)
        assert web.requests == []

    def test_nothing(self, fetching: Fetching) -> None:
        fetching.refused(kind=UsageError)

    @pytest.mark.parametrize("options", [{"retries": -1}, {"timeout": 0}, {"timeout": -1.0}, {"rate": -1}])
    def test_a_number_that_makes_no_sense(self, fetching: Fetching, web: Web, options: dict[str, float]) -> None:
        fetching.refused(url(web), kind=UsageError, **options)
        assert web.requests == []


class TestAWholeDownload:
    @PUBLISHED
    def test_its_checksum_is_right(self, fetching: Fetching, web: Web) -> None:
        report = fetching.get(url(web))
        assert report.files == (Fetched(VAL, 300_000, 300_000, RIGHT),)
        assert report.received == 300_000
        fetching.assert_whole()
        assert (web.starts, fetching.waits, fetching.notes) == ([None], [], [])

    def test_without_a_published_checksum_it_is_not_said_to_be_right(self, fetching: Fetching, web: Web) -> None:
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 300_000, UNPUBLISHED),)
        fetching.assert_whole()

    def test_sha1_does_where_no_md5_is_published(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sha1 = hashlib.sha1(DATA).hexdigest()
        archive = facts.OfficialArchive(facts.VALIDATION, (VAL,), len(DATA), None, sha1)
        monkeypatch.setitem(facts.OFFICIAL_BY_ROLE, facts.VALIDATION, archive)
        assert fetching.get(url(web)).files[0].checksum == RIGHT
        monkeypatch.setitem(facts.OFFICIAL_BY_ROLE, facts.VALIDATION, replace(archive, sha1="0" * 40))
        (fetching.folder / VAL).unlink()
        assert_said(fetching.refused(url(web)), sha1, "0" * 40)

    def test_the_folder_is_made(self, fetching: Fetching, web: Web) -> None:
        fetching.folder = fetching.folder / "a/b"
        fetching.get(url(web))
        fetching.assert_whole()

    def test_progress_ends_with_all_bytes(self, fetching: Fetching, web: Web) -> None:
        fetching.get(url(web), url(web, OTHER))
        progress = [event for event in fetching.events if isinstance(event, Progress)]
        assert progress[-1].bytes_done == progress[-1].bytes_total > 0
        done = [event.bytes_done for event in progress if event.subject == progress[-1].subject]
        assert done == sorted(done)

    def test_an_empty_file_is_whole(self, fetching: Fetching) -> None:
        with serving({f"{SECRET}/{OTHER}": b""}) as web:
            assert fetching.get(url(web, OTHER)).files == (Fetched(OTHER, 0, 0, UNPUBLISHED),)
        fetching.assert_whole(b"", OTHER)

    def test_an_empty_file_is_no_archive(self, fetching: Fetching) -> None:
        with serving({f"{SECRET}/{VAL}": b""}) as web:
            assert_said(fetching.refused(url(web)), VAL, "is empty")
        assert fetching.names == []

    def test_the_bytes_are_asked_for_as_they_are(self, fetching: Fetching, web: Web) -> None:
        """A server may compress on the way: ranges and checksums would be those of other bytes."""
        fetching.get(url(web))
        assert web.requests[0].headers["Accept-Encoding"] == "identity"

    @PUBLISHED
    def test_several_files_come_one_after_the_other(self, fetching: Fetching, web: Web) -> None:
        files = fetching.get(url(web, OTHER), url(web)).files
        assert files == (Fetched(OTHER, 300_000, 300_000, UNPUBLISHED), Fetched(VAL, 300_000, 300_000, RIGHT))
        assert [request.path for request in web.requests] == [f"{SECRET}/{OTHER}", f"{SECRET}/{VAL}"]
        assert fetching.names == [VAL, OTHER]

    @PUBLISHED
    def test_the_same_again_asks_nobody(self, fetching: Fetching, web: Web) -> None:
        fetching.get(url(web), url(web, OTHER))
        web.requests.clear()
        files = fetching.get(url(web), url(web, OTHER)).files
        assert files == (Fetched(VAL, 300_000, 0, ""), Fetched(OTHER, 300_000, 0, UNPUBLISHED))
        assert web.requests == []


class TestABreak:
    """Where an answer breaks off, the next request goes on."""

    @PUBLISHED
    @pytest.mark.parametrize("end", [CLOSE, RESET, STALL])
    @pytest.mark.parametrize("stop", [-1, 0, 1, 65_536, 200_001, 299_999])
    def test_of_one_answer(self, fetching: Fetching, web: Web, stop: int, end: str) -> None:
        web.next(Answer(stop=stop, end=end))
        report = fetching.get(url(web), timeout=0.3)
        assert report.files == (Fetched(VAL, 300_000, 300_000, RIGHT),)
        fetching.assert_whole()
        assert web.starts[0] is None
        assert len(web.starts) == 2
        again = web.starts[1] or 0
        if (
            end == RESET or 0 < stop < START_BYTES
        ):  # a reset takes bytes on the way along; the first are looked at first
            assert again <= max(stop, 0)
        else:
            assert again == max(stop, 0)

    @PUBLISHED
    @pytest.mark.parametrize("framing", [CHUNKED, UNTIL_CLOSED])
    def test_of_an_answer_without_a_length(self, fetching: Fetching, web: Web, framing: str) -> None:
        web.next(Answer(framing=framing, stop=100_000))
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 300_000, RIGHT),)
        assert web.starts == [None, 100_000]

    @PUBLISHED
    def test_of_many_answers(self, fetching: Fetching) -> None:
        with serving({f"{SECRET}/{VAL}": DATA}, otherwise=Answer(stop=12_345)) as web:
            assert fetching.get(url(web), retries=1).received == 300_000
            assert web.starts == [None, *range(12_345, 300_000, 12_345)]
        fetching.assert_whole()

    @PUBLISHED
    def test_random_breaks_in_random_order_leave_the_bytes_as_they_are(self, fetching: Fetching) -> None:
        chance = random.Random(5)

        def moody(_: Request) -> Answer:
            if chance.random() < 0.2:
                return page(chance.choice((500, 502, 503, 504, 429, 408)))
            return Answer(
                stop=chance.choice((-1, 0, 1, chance.randrange(80_000))),
                end=chance.choice((CLOSE, CLOSE, RESET)),
                ranges=chance.random() < 0.9,
                framing=chance.choice((CHUNKED, "length", UNTIL_CLOSED)),
            )

        for _ in range(20):
            with serving({f"{SECRET}/{VAL}": DATA}, otherwise=moody) as web:
                assert fetching.get(url(web), retries=200).files == (Fetched(VAL, 300_000, 300_000, RIGHT),)
            fetching.assert_whole()
            (fetching.folder / VAL).unlink()


class TestRetries:
    def test_each_wait_is_twice_the_one_before_up_to_a_minute(self, fetching: Fetching) -> None:
        with serving({}, otherwise=page(503)) as web:
            words = fetching.refused(url(web))
            assert len(web.requests) == 11
        assert fetching.waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
        assert_said(words, VAL, "127.0.0.1", "503")

    @pytest.mark.parametrize("retries", [0, 1, 3])
    def test_there_are_as_many_as_were_allowed(self, fetching: Fetching, retries: int) -> None:
        with serving({}, otherwise=Answer(data=DATA, stop=-1)) as web:
            assert_said(fetching.refused(url(web), retries=retries), VAL, "127.0.0.1")
            assert len(web.requests) == retries + 1

    def test_a_byte_is_progress(self, fetching: Fetching, web: Web) -> None:
        web.next(page(503), Answer(stop=1), page(503), Answer(stop=1), page(503), Answer(stop=1), page(503))
        fetching.get(url(web), retries=2)
        fetching.assert_whole()
        assert fetching.waits == [1, 1, 2, 1, 2, 1, 2]

    def test_the_last_reason_is_named(self, fetching: Fetching, web: Web) -> None:
        web.next(Answer(stop=1), page(500), page(502))
        assert_said(fetching.refused(url(web), retries=2), VAL, "127.0.0.1", "502")
        fetching.assert_only_begun(DATA[:1])
        web.next(Answer(stop=0, end=STALL), Answer(stop=0, end=STALL))
        assert_said(fetching.refused(url(web), retries=1, timeout=0.1), VAL, "127.0.0.1", "0.1 s")

    def test_a_server_that_is_not_there(self, fetching: Fetching) -> None:
        with closing(socket.socket()) as taken:  # bound, but it does not listen
            taken.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{taken.getsockname()[1]}/{SECRET}/{VAL}?{SECRET}"
            words = fetching.refused(address, retries=2)
        assert_said(words, VAL, "127.0.0.1", "nobody answers")
        assert fetching.waits == [1, 2]

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_a_server_in_trouble_is_asked_again(self, fetching: Fetching, web: Web, status: int) -> None:
        web.next(page(status), Answer(stop=5), page(status))
        fetching.get(url(web))
        fetching.assert_whole()
        assert web.starts == [None, None, 5, 5]

    @pytest.mark.parametrize(
        ("wanted", "waited"),
        [("7", 7), ("0", 1), ("90", 90), ("-5", 1), ("soon", 1), ("", 1), ("1e3", 1), ("nan", 1), ("\u0663", 1)],
    )
    def test_a_server_may_say_when(self, fetching: Fetching, web: Web, wanted: str, waited: int) -> None:
        web.next(page(429, Retry_After=wanted.encode().decode("latin-1")))
        fetching.get(url(web))
        assert fetching.waits == [waited]

    @pytest.mark.parametrize("wanted", ["86401", "1" * 400, "Fri, 31 Dec 2399 23:59:59 GMT"])
    def test_nobody_waits_for_ever(self, fetching: Fetching, web: Web, wanted: str) -> None:
        web.next(page(503, Retry_After=wanted))
        fetching.get(url(web))
        assert 1 <= fetching.waits[0] <= 3_600

    @pytest.mark.parametrize("status", [400, 402, 405, 406, 451])
    def test_other_refusals_are_final(self, fetching: Fetching, web: Web, status: int) -> None:
        web.next(page(status))
        assert_said(fetching.refused(url(web)), VAL, "127.0.0.1", str(status))
        assert (len(web.requests), fetching.waits) == (1, [])

    @pytest.mark.parametrize("status", [404, 410])
    def test_a_file_that_is_not_there(self, fetching: Fetching, web: Web, status: int) -> None:
        web.next(page(status))
        assert_said(fetching.refused(url(web)), VAL, "127.0.0.1", str(status))
        assert (len(web.requests), fetching.waits) == (1, [])

    @pytest.mark.parametrize("status", [201, 202, 203, 204, 304])
    def test_an_answer_that_is_no_answer(self, fetching: Fetching, web: Web, status: int) -> None:
        web.next(*[Answer(status=status, data=b"")] * 3)
        assert_said(fetching.refused(url(web), retries=2), VAL, "127.0.0.1", str(status))
        assert VAL not in fetching.names

    def test_what_is_no_http(self, fetching: Fetching) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            import threading

            def greet() -> None:
                for _ in range(2):
                    connection, _address = server.accept()
                    with connection:
                        connection.recv(10_000)
                        connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

            thread = threading.Thread(target=greet)
            thread.start()
            address = f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}/{VAL}"
            assert_said(fetching.refused(address, retries=1), VAL, "127.0.0.1")
            thread.join()


class TestGoingOnLater:
    @PUBLISHED
    @pytest.mark.parametrize("size", [1, 65_536, 200_001, 299_999])
    def test_the_next_run_asks_for_the_rest(self, fetching: Fetching, web: Web, size: int) -> None:
        fetching.begin(web, size)
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 300_000 - size, RIGHT),)
        assert web.starts == [size]
        fetching.assert_whole()

    @PUBLISHED
    def test_the_note_says_how_far_it_is_and_nothing_of_who_was_asked(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 200_001)
        note = fetching.document()
        assert (note["by"], note["size"], note["received"]) == ("url", 300_000, 200_001)
        assert note["hashed"] == 200_001
        assert note["etag"]
        assert "127.0.0.1" not in json.dumps(note)
        assert str(web.port) not in json.dumps({**note, "digest": "", "state": ""})

    @PUBLISHED
    def test_bytes_behind_those_that_are_noted_are_not_trusted(self, fetching: Fetching, web: Web) -> None:
        """A power cut may leave a length without its bytes."""
        fetching.begin(web, 100_000)
        with (fetching.folder / f"{VAL}.part").open("ab") as file:
            file.write(bytes(250_000))  # more than the file will have
        fetching.get(url(web))
        assert web.starts == [100_000]
        fetching.assert_whole()

    @PUBLISHED
    def test_bytes_that_are_noted_but_not_there_are_asked_for_again(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        os.truncate(fetching.folder / f"{VAL}.part", 60_000)
        assert fetching.get(url(web)).files[0].checksum == RIGHT
        assert all((start or 0) <= 60_000 for start in web.starts)
        fetching.assert_whole()

    @PUBLISHED
    @pytest.mark.parametrize("algorithm", ["", "md4", "sha1"])
    def test_a_state_of_a_checksum_that_is_of_no_use_is_computed_again(
        self, fetching: Fetching, web: Web, algorithm: str
    ) -> None:
        fetching.begin(web, 100_000)
        note = unfinished.load_bookmark(fetching.folder / VAL)
        assert note
        unfinished.save_bookmark(fetching.folder / VAL, replace(note, algorithm=algorithm, state="00"))
        assert fetching.get(url(web)).files[0].checksum == RIGHT
        assert web.starts == [100_000]

    @PUBLISHED
    @pytest.mark.skipif(not STATE_CAN_BE_KEPT, reason="this Python's OpenSSL does not give its state away")
    def test_what_was_hashed_as_it_came_is_not_read_again(self, fetching: Fetching, web: Web) -> None:
        """Shown by a byte that changes meanwhile, and is not seen."""
        fetching.begin(web, 100_000)
        flip_first_bit(fetching.folder / f"{VAL}.part")
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 200_000, RIGHT),)
        assert (fetching.folder / VAL).read_bytes()[1:] == DATA[1:]

    @PUBLISHED
    def test_where_the_state_cannot_be_kept_the_beginning_is_read_again(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        note = unfinished.load_bookmark(fetching.folder / VAL)
        assert note
        unfinished.save_bookmark(fetching.folder / VAL, replace(note, hashed=0, state=""))
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 200_000, RIGHT),)
        assert web.starts == [100_000]

    @PUBLISHED
    def test_one_that_is_all_there_asks_nobody(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 299_999)
        with (fetching.folder / f"{VAL}.part").open("ab") as file:
            file.write(DATA[-1:])
        note = unfinished.load_bookmark(fetching.folder / VAL)
        assert note
        unfinished.save_bookmark(fetching.folder / VAL, replace(note, received=300_000))
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 0, RIGHT),)
        assert web.requests == []
        fetching.assert_whole()

    @PUBLISHED
    def test_an_interrupt_notes_what_is_there(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        web.next(Answer(stop=200_000))
        with monkeypatch.context() as patched:
            patched.setattr(download, "wait", interrupt)
            with pytest.raises(KeyboardInterrupt):
                fetching.get(url(web))
        assert fetching.document()["received"] == 200_000
        assert fetching.get(url(web)).received == 100_000
        assert web.starts == [None, 200_000]
        fetching.assert_whole()

    @PUBLISHED
    def test_fresh_begins_anew(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        assert fetching.get(url(web), fresh=True).received == 300_000
        assert web.starts == [None]
        fetching.assert_whole()

    @PUBLISHED
    def test_fresh_leaves_what_is_complete_and_what_was_begun_of_others(self, fetching: Fetching, web: Web) -> None:
        fetching.get(url(web))
        fetching.begin(web, 100_000, OTHER)
        assert fetching.get(url(web), fresh=True).received == 0
        assert (fetching.folder / VAL).read_bytes() == DATA
        assert fetching.part(OTHER) == DATA[:100_000]


class TestAServerThatIgnoresRange:
    @PUBLISHED
    def test_what_is_here_is_passed_over(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        web.next(Answer(ranges=False))
        files = fetching.get(url(web)).files
        assert [(file.name, file.size, file.checksum) for file in files] == [(VAL, 300_000, RIGHT)]
        assert (web.starts, web.requests[0].status) == ([100_000], 200)
        fetching.assert_whole()
        assert [note for note in fetching.notes if "127.0.0.1" in note and VAL in note]

    @PUBLISHED
    def test_nothing_is_lost_when_it_breaks_off_before_it_has_caught_up(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 200_000)
        web.next(Answer(ranges=False, stop=100_000), page(503))
        fetching.refused(url(web), retries=1)
        assert fetching.part() == DATA[:200_000]
        web.next(Answer(ranges=False, stop=250_000))
        fetching.get(url(web))
        assert web.starts == [200_000, 200_000, 200_000, 250_000]
        fetching.assert_whole()

    def test_bytes_that_are_passed_over_are_no_progress(self, fetching: Fetching, web: Web) -> None:
        """Or a server that always breaks off at the same place would be asked for ever."""
        fetching.begin(web, 200_000)
        web.otherwise = Answer(ranges=False, stop=100_000)
        fetching.refused(url(web), retries=3)
        assert len(web.requests) == 4


class TestAFileThatChanges:
    OTHER_TIME = "Thu, 02 Aug 2012 12:00:00 GMT"

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(data=CHANGED_DATA),
            Answer(data=CHANGED_DATA, conditions=False),
            Answer(data=CHANGED_DATA, ranges=False),
            Answer(data=CHANGED_DATA[:200_000]),
            Answer(data=CHANGED_DATA + b"more", conditions=False),
            Answer(headers={"ETag": '"other"'}),
            Answer(headers={"ETag": '"other"'}, conditions=False),
            Answer(headers={"ETag": '"other"', "Last-Modified": OTHER_TIME}, conditions=False),
            Answer(data=CHANGED_DATA, ranges=False, headers={"ETag": None, "Last-Modified": None}),
            Answer(data=DATA[:50_000], conditions=False),  # which is shorter than what is here: 416
            Answer(data=DATA[:50_000], ranges=False),
            Answer(data=DATA + b"more", ranges=False, headers={"ETag": None, "Last-Modified": None}),
            Answer(data=DATA + b"more", conditions=False, headers={"ETag": None, "Last-Modified": None}),
        ],
    )
    @pytest.mark.parametrize("later", [False, True], ids=["at once", "in the next run"])
    def test_is_refused_and_what_is_here_stays(self, fetching: Fetching, web: Web, answer: Answer, later: bool) -> None:
        if later:
            fetching.begin(web, 100_000)
        else:
            web.next(Answer(stop=100_000))
        web.next(answer)
        assert_said(fetching.refused(url(web)), VAL, *CHANGED)
        fetching.assert_only_begun(DATA[:100_000])
        assert fetching.document()["received"] == 100_000
        fetching.get(url(web))
        fetching.assert_whole()

    @pytest.mark.parametrize("conditions", [False, True])
    def test_is_known_by_its_time_where_there_is_no_tag(self, fetching: Fetching, web: Web, conditions: bool) -> None:
        web.next(Answer(stop=100_000, headers={"ETag": None}))
        web.next(Answer(conditions=conditions, headers={"ETag": None, "Last-Modified": self.OTHER_TIME}))
        assert_said(fetching.refused(url(web)), VAL, *CHANGED)
        fetching.assert_only_begun(DATA[:100_000])

    def test_begins_anew_with_fresh(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        web.files[f"{SECRET}/{VAL}"] = CHANGED_DATA
        fetching.refused(url(web))
        assert fetching.get(url(web), fresh=True).received == 300_000
        fetching.assert_whole(CHANGED_DATA)

    @PUBLISHED
    def test_without_tag_and_time_the_length_must_do(self, fetching: Fetching, web: Web) -> None:
        bare = {"ETag": None, "Last-Modified": None}
        web.next(Answer(stop=100_000, headers=bare), Answer(headers=bare))
        assert fetching.get(url(web)).files[0].checksum == RIGHT
        assert web.starts == [None, 100_000]

    @PUBLISHED
    def test_a_mirror_with_the_same_file_goes_on(self, fetching: Fetching, web: Web) -> None:
        """Tags are each server's own, so another server is believed by length and checksum; or it is refused."""
        fetching.begin(web, 100_000)
        with serving({f"{SECRET}/{VAL}": DATA}) as mirror:
            fetching.get(url(mirror))
            assert mirror.starts == [100_000]
        fetching.assert_whole()


class TestARangeThatIsNotTheOneAskedFor:
    @pytest.mark.parametrize(
        "answer",
        [
            Answer(shift=1),
            Answer(shift=-1),
            Answer(shift=-100_000),
            Answer(headers={"Content-Range": None}),
            Answer(headers={"Content-Range": "bytes 99999-299999/300000"}),
            Answer(headers={"Content-Range": "bytes 100001-299999/300000"}),
            Answer(headers={"Content-Range": "bytes"}),
            Answer(headers={"Content-Range": "items 100000-299999/300000"}),
            Answer(headers={"Content-Range": "bytes -100000-299999/300000"}),
            Answer(headers={"Content-Range": "bytes 100000-5/300000"}),
            Answer(headers={"Content-Range": "bytes 100000-400000/300000"}),
        ],
    )
    def test_is_never_written(self, fetching: Fetching, web: Web, answer: Answer) -> None:
        fetching.begin(web, 100_000)
        web.otherwise = answer
        assert_said(fetching.refused(url(web), retries=2), VAL, "127.0.0.1")
        fetching.assert_only_begun(DATA[:100_000])
        web.otherwise = GOOD
        fetching.get(url(web))
        fetching.assert_whole()

    @PUBLISHED
    @pytest.mark.parametrize("total", ["300000", "*"])
    def test_a_part_of_the_range_is_taken_and_the_rest_asked_for(
        self, fetching: Fetching, web: Web, total: str
    ) -> None:
        fetching.begin(web, 100_000)
        web.next(Answer(data=DATA[:150_000], headers={"ETag": None, "Content-Range": f"bytes 100000-149999/{total}"}))
        fetching.get(url(web))
        assert web.starts == [100_000, 150_000]
        fetching.assert_whole()

    def test_another_total_is_another_file(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        web.next(Answer(headers={"Content-Range": "bytes 100000-299999/300001"}))
        assert_said(fetching.refused(url(web)), VAL, *CHANGED)
        fetching.assert_only_begun(DATA[:100_000])

    def test_no_range_that_could_be_sent_where_all_is_here(self, fetching: Fetching) -> None:
        """Nobody said the length; the server closed after the last byte; so all is there, and the range is empty."""
        headers = {"ETag": None, "Last-Modified": None}
        with serving(
            {f"{SECRET}/{VAL}": DATA}, Answer(framing=CHUNKED, stop=300_000, headers=headers), otherwise=GOOD
        ) as web:
            fetching.get(url(web))
            assert web.starts == [None, 300_000]
        fetching.assert_whole()


class TestAPageInPlaceOfTheFile:
    PAGES = (
        Answer(status=200, data=LOGIN_PAGE, headers={"Content-Type": "text/html; charset=utf-8"}),
        Answer(status=200, data=LOGIN_PAGE, headers={"Content-Type": "application/x-tar"}),
        Answer(status=200, data=LOGIN_PAGE, headers={"Content-Type": "TEXT/HTML"}),
        Answer(status=200, data=b"\xef\xbb\xbf \n<HTML>", headers={"Content-Type": "application/octet-stream"}),
        Answer(status=200, data=LOGIN_PAGE, framing=CHUNKED, headers={"Content-Type": "application/xhtml+xml"}),
        Answer(status=200, data=LOGIN_PAGE, framing=UNTIL_CLOSED),
        Answer(status=200, data=b"Please log in." * 100, headers={"Content-Type": "text/html"}),
        Answer(status=200, data=b"<!-- a --><html>", headers={"Content-Type": "text/html"}),
        page(401),
        page(401, WWW_Authenticate="Bearer"),
        page(403),
    )

    def test_a_server_that_wants_a_password_does_not_want_cookies(self, fetching: Fetching, web: Web) -> None:
        web.next(page(401, WWW_Authenticate='Basic realm="x"'))
        words = fetching.refused(url(web))
        assert_said(words, VAL, "a name and a password", "--headers")
        assert "cookie" not in words

    def test_a_proxy_that_wants_a_login(self, fetching: Fetching, web: Web) -> None:
        web.next(page(407))
        assert_said(fetching.refused(url(web)), VAL, "the proxy wants a login")

    @pytest.mark.parametrize("answer", PAGES)
    @pytest.mark.parametrize("begun", [0, 100_000])
    def test_says_that_the_login_has_expired(self, fetching: Fetching, web: Web, answer: Answer, begun: int) -> None:
        if begun:
            fetching.begin(web, begun)
        web.next(answer)
        assert_said(fetching.refused(url(web)), VAL, *LOGIN)
        assert (len(web.requests), fetching.waits) == (1, [])
        if begun:
            fetching.assert_only_begun(DATA[:begun])
        else:
            assert fetching.names == []

    @PUBLISHED
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    @pytest.mark.parametrize("begun", [0, 100_000])
    def test_that_the_server_leads_to(self, fetching: Fetching, web: Web, status: int, host: str, begun: int) -> None:
        if begun:
            fetching.begin(web, begun)
        served = Answer(status=200, data=LOGIN_PAGE, headers={"Content-Type": "text/html"})
        with serving({}, otherwise=served) as login:
            web.next(redirect(login.url(f"{SECRET}/login?next={SECRET}", host), status))
            assert_said(fetching.refused(url(web)), VAL, *LOGIN)
            assert len(login.requests) == 1
        if begun:
            fetching.assert_only_begun(DATA[:begun])
        else:
            assert fetching.names == []

    def test_with_the_right_length(self, fetching: Fetching, publish: Publish) -> None:
        publish(LOGIN_PAGE)
        with serving({f"{SECRET}/{VAL}": LOGIN_PAGE}) as web:
            assert_said(fetching.refused(url(web)), *LOGIN)

    def test_the_rest_of_an_archive_may_begin_like_one(self, fetching: Fetching) -> None:
        data = DATA[:1_000] + LOGIN_PAGE
        with serving({f"{SECRET}/{VAL}": data}, Answer(stop=1_000)) as web:
            fetching.get(url(web))
        fetching.assert_whole(data)


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize(
        "where", ["/{0}/moved.bin", "moved.bin", "//{1}/{0}/moved.bin", "http://{1}/{0}/moved.bin"]
    )
    def test_are_followed_and_the_name_stays(self, fetching: Fetching, web: Web, status: int, where: str) -> None:
        web.files[f"{SECRET}/moved.bin"] = DATA
        web.next(redirect(where.format(SECRET, f"127.0.0.1:{web.port}"), status))
        fetching.get(url(web))
        fetching.assert_whole()

    @PUBLISHED
    def test_to_another_server_go_on_there(self, fetching: Fetching, web: Web) -> None:
        with serving({f"{SECRET}/{VAL}": DATA}, Answer(stop=100_000)) as other:
            web.otherwise = redirect(url(other, host="localhost"))
            fetching.get(url(web))
            assert other.starts == [None, 100_000]
            assert web.starts == [None, 100_000]  # addresses that are led to may be good for one time only
        fetching.assert_whole()

    def test_in_a_chain(self, fetching: Fetching, web: Web) -> None:
        web.next(*[redirect(f"/{SECRET}/{number}") for number in range(4)], redirect(f"/{SECRET}/{VAL}"))
        fetching.get(url(web))
        fetching.assert_whole()

    @pytest.mark.parametrize(
        "answer",
        [
            redirect(f"/{SECRET}/{VAL}?{SECRET}=1"),
            redirect(f"file:///{SECRET}"),
            redirect(f"ftp://127.0.0.1/{SECRET}"),
            redirect(f"http:///{SECRET}"),
            redirect(f"http://127.0.0.1:99999/{SECRET}"),
            redirect(f"http://[/{SECRET}"),
            redirect(""),
            page(302),
            page(304),
            page(300),
        ],
    )  # fmt: skip
    def test_that_lead_nowhere(self, fetching: Fetching, web: Web, answer: Answer) -> None:
        web.otherwise = answer
        assert_said(fetching.refused(url(web), retries=1), VAL, "127.0.0.1")
        assert fetching.names == []

    def test_without_an_end(self, fetching: Fetching, web: Web) -> None:
        numbers = iter(range(10_000))
        web.otherwise = lambda _: redirect(f"/{SECRET}/{next(numbers)}")
        assert_said(fetching.refused(url(web), retries=1), VAL, "127.0.0.1")
        assert len(web.requests) < 100


class TestLengths:
    @pytest.mark.parametrize("size", [1, 299_999, 300_001])
    def test_another_than_the_published_one_is_refused_before_a_byte_is_written(
        self, fetching: Fetching, web: Web, publish: Publish, size: int
    ) -> None:
        publish(bytes(size))
        assert_said(fetching.refused(url(web)), VAL, "127.0.0.1", "300,000", f"{size:,}")
        assert fetching.names == []

    def test_more_is_promised_than_comes(self, fetching: Fetching, web: Web) -> None:
        lying = Answer(headers={"Content-Length": "300100"}, stop=300_000)
        web.next(lying)
        words = fetching.refused(url(web), retries=2)
        assert_said(words, VAL, "127.0.0.1")
        assert VAL not in fetching.names

    def test_less_is_promised_than_there_is(self, fetching: Fetching, web: Web) -> None:
        """Nothing tells that apart from a shorter file; where a size is published, it does."""
        web.next(Answer(headers={"Content-Length": "200000"}))
        assert fetching.get(url(web)).files == (Fetched(VAL, 200_000, 200_000, UNPUBLISHED),)
        fetching.assert_whole(DATA[:200_000])

    @PUBLISHED
    @pytest.mark.parametrize("length", ["", "-1", "x", "1e5", "300000, 300000", "+300000"])
    def test_a_length_that_is_none(self, fetching: Fetching, web: Web, length: str) -> None:
        web.next(Answer(headers={"Content-Length": length, "Connection": "close"}, stop=300_000))
        fetching.get(url(web), retries=2)
        fetching.assert_whole()

    @pytest.mark.parametrize("size_known", [False, True])
    @pytest.mark.parametrize(
        "answer",
        [Answer(framing=CHUNKED), Answer(framing=UNTIL_CLOSED), Answer(framing=UNTIL_CLOSED, version="HTTP/1.0")],
    )
    def test_without_any_the_checksum_must_do(
        self, fetching: Fetching, web: Web, publish: Publish, answer: Answer, size_known: bool
    ) -> None:
        publish(sized=size_known)
        web.next(answer)
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 300_000, RIGHT),)
        assert fetching.notes == []
        fetching.assert_whole()

    @pytest.mark.parametrize("framing", [CHUNKED, UNTIL_CLOSED])
    def test_without_length_and_checksum_the_end_is_a_guess(self, fetching: Fetching, web: Web, framing: str) -> None:
        web.next(Answer(framing=framing))
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 300_000, UNPUBLISHED),)
        [note] = fetching.notes
        assert_said(note, VAL, "127.0.0.1")
        fetching.assert_whole()

    def test_a_cut_that_looks_like_the_end_is_found_by_the_checksum(
        self, fetching: Fetching, web: Web, publish: Publish
    ) -> None:
        publish(sized=False)
        web.next(Answer(framing=UNTIL_CLOSED, stop=200_000))
        assert_said(fetching.refused(url(web)), VAL, MD5, hashlib.md5(DATA[:200_000]).hexdigest())
        assert VAL not in fetching.names

    def test_what_comes_behind_the_published_end_is_left(self, fetching: Fetching, publish: Publish) -> None:
        publish(DATA[:100_000])
        with serving({f"{SECRET}/{VAL}": DATA}, otherwise=Answer(framing=UNTIL_CLOSED)) as web:
            assert fetching.get(url(web)).files == (Fetched(VAL, 100_000, 100_000, RIGHT),)
        fetching.assert_whole(DATA[:100_000])

    @pytest.mark.parametrize("encoding", ["gzip", "br"])
    def test_bytes_that_are_compressed_on_the_way_are_refused(
        self, fetching: Fetching, web: Web, encoding: str
    ) -> None:
        web.otherwise = Answer(headers={"Content-Encoding": encoding})
        assert_said(fetching.refused(url(web), retries=1), VAL, "127.0.0.1", "compressed")
        assert fetching.names == []

    def test_identity_is_no_encoding(self, fetching: Fetching, web: Web) -> None:
        web.next(Answer(headers={"Content-Encoding": "identity"}))
        fetching.get(url(web))
        fetching.assert_whole()


class TestAWrongChecksum:
    @pytest.fixture
    def wrong(self, fetching: Fetching, web: Web, publish: Publish) -> str:
        publish()
        web.next(Answer(data=CHANGED_DATA))
        return fetching.refused(url(web))

    def test_is_named_with_the_right_one(self, fetching: Fetching, wrong: str) -> None:
        assert_said(wrong, VAL, MD5, hashlib.md5(CHANGED_DATA).hexdigest(), "--torrent", "--fresh")
        fetching.assert_only_begun(CHANGED_DATA)

    def test_is_said_again_without_asking_the_server(self, fetching: Fetching, web: Web, wrong: str) -> None:
        web.requests.clear()
        assert fetching.refused(url(web)) == wrong
        assert web.requests == []
        fetching.assert_only_begun(CHANGED_DATA)

    @pytest.mark.usefixtures("wrong")
    def test_is_put_right_by_fresh(self, fetching: Fetching, web: Web) -> None:
        assert fetching.get(url(web), fresh=True).files == (Fetched(VAL, 300_000, 300_000, RIGHT),)
        fetching.assert_whole()

    @PUBLISHED
    def test_one_flipped_bit_in_what_was_there_is_enough(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        flip_first_bit(fetching.folder / f"{VAL}.part")
        note = unfinished.load_bookmark(fetching.folder / VAL)
        assert note
        unfinished.save_bookmark(fetching.folder / VAL, replace(note, hashed=0, state=""))
        assert_said(fetching.refused(url(web)), VAL, MD5)
        assert VAL not in fetching.names


class TestWhatIsThereAlready:
    @PUBLISHED
    def test_a_file_of_the_published_size_is_taken_for_complete(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / VAL).write_bytes(CHANGED_DATA)
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 0, ""),)
        assert web.requests == []
        fetching.assert_whole(CHANGED_DATA)

    @PUBLISHED
    @pytest.mark.parametrize("size", [1, 299_999, 300_001])
    def test_a_file_of_another_size_is_not_touched(self, fetching: Fetching, web: Web, size: int) -> None:
        fetching.folder.mkdir()
        (fetching.folder / VAL).write_bytes(b"x" * size)
        for fresh in (False, True):
            assert_said(fetching.refused(url(web), fresh=fresh), VAL, "300,000", f"{size:,}")
        assert web.requests == []
        fetching.assert_whole(b"x" * size)

    def test_a_folder_of_that_name(self, fetching: Fetching, web: Web) -> None:
        (fetching.folder / VAL).mkdir(parents=True)
        assert_said(fetching.refused(url(web)), VAL)
        assert web.requests == []

    @PUBLISHED
    def test_a_part_without_a_note_is_adopted_where_a_checksum_is_published(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(DATA[:123_456])
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 176_544, RIGHT),)
        assert web.starts == [123_456]
        fetching.assert_whole()

    @PUBLISHED
    def test_and_found_wrong_by_it(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(CHANGED_DATA[:123_456])
        assert_said(fetching.refused(url(web)), VAL, MD5, "move it away")
        assert VAL not in fetching.names

    @PUBLISHED
    def test_a_whole_one_needs_no_server(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(DATA)
        assert fetching.get(url(web)).files == (Fetched(VAL, 300_000, 0, RIGHT),)
        assert web.requests == []
        fetching.assert_whole()

    @PUBLISHED
    def test_one_that_is_longer_than_published_is_no_beginning(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(DATA + b"more")
        assert_said(fetching.refused(url(web)), f"{VAL}.part", "300,004", "300,000", "Move it away")
        assert fetching.part() == DATA + b"more"

    @pytest.mark.parametrize("note", [None, b"", b"{}", b"[]", b'{"by": "url"}'])
    def test_a_part_that_nobody_can_check_is_refused(self, fetching: Fetching, web: Web, note: bytes | None) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(DATA[:1_000])
        if note is not None:
            (fetching.folder / f"{VAL}.part.json").write_bytes(note)
        for fresh in (False, True):  # it is not ours to take away
            assert_said(fetching.refused(url(web), fresh=fresh), f"{VAL}.part", "Move it away")
        assert web.requests == []
        assert fetching.part() == DATA[:1_000]

    @PUBLISHED
    def test_a_part_by_torrent_is_refused(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(bytes(300_000))
        unfinished.save_bookmark(fetching.folder / VAL, unfinished.Bookmark(unfinished.TORRENT, 300_000))
        assert_said(fetching.refused(url(web)), VAL, "--torrent", "--fresh")
        assert (web.requests, fetching.part()) == ([], bytes(300_000))

    @PUBLISHED
    def test_a_note_without_a_part_is_no_beginning(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        (fetching.folder / f"{VAL}.part").unlink()
        assert fetching.get(url(web)).received == 300_000
        assert web.starts == [None]
        fetching.assert_whole()

    def test_a_link_of_that_name_leads_nowhere_else(self, fetching: Fetching, web: Web, tmp_path: Path) -> None:
        """A part is a file of its own, or what is beside the folder would be written over."""
        fetching.folder.mkdir()
        (tmp_path / "elsewhere").write_bytes(b"mine")
        (fetching.folder / f"{VAL}.part").symlink_to(tmp_path / "elsewhere")
        fetching.refused(url(web))
        assert (tmp_path / "elsewhere").read_bytes() == b"mine"

    def test_another_run_in_the_folder(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        with held(fetching.folder, fetching.folder, alone=True):
            fetching.refused(url(web), kind=OtherBuildError)
        assert (web.requests, fetching.names) == ([], [])
        fetching.get(url(web))


class Space(NamedTuple):
    total: int
    used: int
    free: int


class TestTheDisk:
    def test_too_little_space_is_seen_before_a_byte_is_written(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Space(10**9, 0, 299_999))
        words = fetching.refused(url(web), kind=OutputError)
        assert_said(words, "0.3 MB")
        assert "--format" not in words
        assert fetching.names == []

    @PUBLISHED
    def test_what_is_there_needs_no_space(self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        fetching.begin(web, 200_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Space(10**9, 0, 150_000))
        fetching.get(url(web))
        fetching.assert_whole()

    def test_all_files_must_find_room(
        self, fetching: Fetching, web: Web, publish: Publish, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Sizes that are published are known before the first request."""
        publish()
        publish(name=OTHER, role=facts.TRAIN)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Space(10**9, 0, 400_000))
        fetching.refused(url(web), url(web, OTHER), kind=OutputError)
        assert fetching.names == []

    def test_a_file_in_place_of_the_folder(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.write_bytes(b"mine")
        with pytest.raises((OutputError, UsageError)):
            fetching.get(url(web))
        assert (web.requests, fetching.folder.read_bytes()) == ([], b"mine")

    @PUBLISHED
    def test_a_disk_that_fails_ends_it_with_what_is_there(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And is no reason to ask the server again."""
        fetching.begin(web, 100_000)

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            for name in ("write", "pwrite"):
                patched.setattr(os, name, full)
            assert_said(fetching.refused(url(web), kind=OutputError), "No space left on device")
        assert len(web.requests) == 1
        fetching.get(url(web))
        fetching.assert_whole()


class TestSeveralFiles:
    @PUBLISHED
    def test_one_fails_and_the_others_are_finished(self, fetching: Fetching, web: Web) -> None:
        web.files[f"{SECRET}/third.tar"] = DATA
        words = fetching.refused(url(web), url(web, "none.tar"), url(web, "third.tar"), retries=0)
        assert_said(words, "none.tar", "404")
        assert VAL not in words
        assert fetching.names == [VAL, "third.tar"]

    def test_all_that_fail_are_named_at_the_end(self, fetching: Fetching, web: Web, publish: Publish) -> None:
        publish(CHANGED_DATA)
        by_name = {f"{SECRET}/login.tar": page(403), f"{SECRET}/down.tar": page(503)}
        web.otherwise = lambda request: by_name.get(request.path, GOOD)
        names = [VAL, "none.tar", "login.tar", "down.tar", OTHER]
        words = fetching.refused(*(url(web, name) for name in names), retries=1)
        assert_said(words, VAL, "none.tar", "login.tar", "down.tar", "404", "503", MD5)
        assert OTHER not in words
        assert fetching.names == [f"{VAL}.part", f"{VAL}.part.json", OTHER]

    def test_a_full_disk_ends_all(self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        web.files[f"{SECRET}/small.tar"] = b"small"
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Space(10**9, 0, 1_000))
        fetching.refused(url(web), url(web, "small.tar"), kind=OutputError)
        assert fetching.names == []


def cookie(
    domain: str, name: str, value: str = SECRET, *, expires: int = 0, path: str = "/", secure: str = "FALSE"
) -> str:
    below = "TRUE" if domain.startswith(".") else "FALSE"
    return "\t".join((domain, below, path, secure, str(expires), name, value))


class TestCredentials:
    HEAD = "# Netscape HTTP Cookie File"

    @pytest.fixture
    def given(self, tmp_path: Path) -> Callable[..., Path]:
        def write(*lines: str | bytes, ending: bytes = b"\n") -> Path:
            path = tmp_path / "credentials"
            path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + ending for line in lines))
            return path

        return write

    def test_a_cookie_opens_the_door(self, fetching: Fetching, web: Web, given: Callable[..., Path]) -> None:
        web.otherwise = lambda request: GOOD if f"session={SECRET}" in request.headers.get("Cookie", "") else page(401)
        fetching.refused(url(web))
        fetching.get(url(web), cookies=given(self.HEAD, cookie("127.0.0.1", "session")))
        fetching.assert_whole()

    @pytest.mark.parametrize(
        ("lines", "sent"),
        [
            ((HEAD, cookie("127.0.0.1", "a", "1"), cookie("127.0.0.1", "b", "2")), "a=1; b=2"),
            ((HEAD, "", "# a remark", cookie("127.0.0.1", "a", "1")), "a=1"),
            ((HEAD, "#HttpOnly_" + cookie("127.0.0.1", "a", "1")), "a=1"),
            (("# HTTP Cookie File", cookie("127.0.0.1", "a", "1")), "a=1"),
            ((HEAD, cookie("127.0.0.1", "a", "1", expires=4_102_444_800)), "a=1"),
            ((HEAD, cookie("127.0.0.1", "a", "1", path=f"/{SECRET}")), "a=1"),
            ((HEAD, cookie("127.0.0.1", "a", "x=y z")), "a=x=y z"),
            ((HEAD, cookie("example.org", "a"), cookie("127.0.0.2", "c")), None),
            ((HEAD, cookie("127.0.0.1", "a", path="/elsewhere")), None),
            ((HEAD, cookie("127.0.0.1", "a", secure="TRUE")), None),
            ((HEAD, cookie("127.0.0.1", "a", expires=1)), None),
        ],
    )
    @pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
    def test_cookies_go_where_they_belong(
        self, fetching: Fetching, web: Web, given: Callable[..., Path], lines: tuple[str, ...], sent: str | None,
        ending: bytes,
    ) -> None:  # fmt: skip
        fetching.get(url(web), cookies=given(*lines, ending=ending))
        assert web.requests[0].headers.get("Cookie") == sent

    def test_a_cookie_of_localhost(self, fetching: Fetching, web: Web, given: Callable[..., Path]) -> None:
        fetching.get(url(web, host="localhost"), cookies=given(self.HEAD, cookie("localhost", "a", "1")))
        assert web.requests[0].headers.get("Cookie") == "a=1"

    def test_cookies_do_not_follow_to_another_host(
        self, fetching: Fetching, web: Web, given: Callable[..., Path]
    ) -> None:
        with serving({f"{SECRET}/{VAL}": DATA}) as other:
            web.next(redirect(url(other, host="localhost")))
            fetching.get(url(web), cookies=given(self.HEAD, cookie("127.0.0.1", "session")))
            assert "Cookie" not in other.requests[0].headers

    def test_a_cookie_that_the_server_sets_on_the_way(self, fetching: Fetching, web: Web) -> None:
        def gate(request: Request) -> Answer:
            if f"pass={SECRET}" in request.headers.get("Cookie", ""):
                return GOOD
            return redirect(f"/{SECRET}/{VAL}?{SECRET}=2", Set_Cookie=f"pass={SECRET}; Path=/")

        web.otherwise = gate
        fetching.get(url(web))
        fetching.assert_whole()
        assert len(web.requests) == 2

    @PUBLISHED
    def test_headers_open_the_door_and_do_so_again(
        self, fetching: Fetching, web: Web, given: Callable[..., Path]
    ) -> None:
        web.next(Answer(stop=100_000))
        headers = given(f"Authorization: Bearer {SECRET}", "", f"X-Token:{SECRET}:2")
        fetching.get(url(web), headers=headers)
        for request in web.requests:
            assert request.headers["Authorization"] == f"Bearer {SECRET}"
            assert request.headers["X-Token"] == f"{SECRET}:2"
        assert web.starts == [None, 100_000]
        fetching.assert_whole()

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_headers_do_not_follow_to_another_server(
        self, fetching: Fetching, web: Web, given: Callable[..., Path], host: str
    ) -> None:
        with serving({f"{SECRET}/{VAL}": DATA}, Answer(stop=100_000)) as other:
            web.otherwise = redirect(url(other, host=host))
            headers = given(f"Authorization: Bearer {SECRET}", f"Cookie: a={SECRET}", f"X-Token: {SECRET}")
            fetching.get(url(web), headers=headers)
            assert [request.headers["X-Token"] for request in web.requests] == [SECRET, SECRET]
            assert len(other.requests) == 2
            for request in other.requests:
                assert not {"Authorization", "Cookie", "X-Token"} & request.headers.keys()

    def test_headers_stay_with_the_server_they_were_given_for_on_its_own_redirects(
        self, fetching: Fetching, web: Web, given: Callable[..., Path]
    ) -> None:
        web.next(redirect(f"/{SECRET}/{VAL}"))
        fetching.get(url(web), headers=given(f"X-Token: {SECRET}"))
        assert [request.headers["X-Token"] for request in web.requests] == [SECRET, SECRET]

    def test_headers_that_were_led_away_are_not_given_back(
        self, fetching: Fetching, web: Web, given: Callable[..., Path]
    ) -> None:
        """Away and back again is a way of its own; either is right, but the other server has never seen them."""
        with serving({}, redirect(f"{url(web)}&again")) as other:
            web.next(redirect(url(other)))
            fetching.get(url(web), headers=given(f"X-Token: {SECRET}"))
            assert "X-Token" not in other.requests[0].headers
        fetching.assert_whole()

    @pytest.mark.parametrize(
        ("lines", "line"),
        [
            ((f"X-Token {SECRET}",), 1),
            (("X-Ok: 1", "", f": {SECRET}"), 3),
            ((f"X Token: {SECRET}",), 1),
            ((f"X-Token: {SECRET}\x00",), 1),
            ((f"X-Token: {SECRET}\x7f\r{SECRET}: 1",), 1),
            ((f"X-T\u00f6ken: {SECRET}",), 1),
            ((f"X-Token: \u20ac{SECRET}",), 1),
        ],
    )
    def test_a_bad_line_of_headers_is_named_by_its_number(
        self, fetching: Fetching, web: Web, given: Callable[..., Path], lines: tuple[str | bytes, ...], line: int
    ) -> None:
        assert_said(fetching.refused(url(web), kind=UsageError, headers=given(*lines)), "credentials", f"Line {line} ")
        assert web.requests == []

    @pytest.mark.parametrize(
        ("lines", "line"),
        [
            ((f"session={SECRET}",), 1),
            ((HEAD, f"session={SECRET}"), 2),
            ((HEAD, cookie("127.0.0.1", "a"), f"127.0.0.1\tFALSE\t/\t{SECRET}"), 3),
            ((HEAD, cookie("127.0.0.1", "a").replace("\t", "  ")), 2),
            ((HEAD, cookie("127.0.0.1", "a").replace("\t0\t", f"\t{SECRET}\t")), 2),
            ((HEAD, b"127.0.0.1\tFALSE\t/\tFALSE\t0\ta\t\xff" + SECRET.encode()), 2),
            ((f'[{{"name": "a", "value": "{SECRET}"}}]',), 1),
        ],
    )
    def test_a_bad_line_of_cookies_is_named_by_its_number(
        self, fetching: Fetching, web: Web, given: Callable[..., Path], lines: tuple[str | bytes, ...], line: int
    ) -> None:
        assert_said(fetching.refused(url(web), kind=UsageError, cookies=given(*lines)), "credentials", f"Line {line} ")
        assert web.requests == []

    @pytest.mark.parametrize("kind", ["cookies", "headers"])
    def test_a_file_of_credentials_that_cannot_be_read(
        self, fetching: Fetching, web: Web, tmp_path: Path, kind: str
    ) -> None:
        for path in (tmp_path / "none", tmp_path):
            assert_said(fetching.refused(url(web), kind=UsageError, **{kind: path}), str(path))
        assert web.requests == []

    def test_what_comes_of_credentials_is_in_no_note(
        self, fetching: Fetching, web: Web, given: Callable[..., Path], tmp_path: Path
    ) -> None:
        headers = tmp_path / "headers"
        headers.write_text("X-Token: token-of-mine\n")
        cookies = given(self.HEAD, cookie("127.0.0.1", "session", "cookie-of-mine"))
        web.next(Answer(stop=100_000), page(503))
        fetching.refused(url(web), retries=1, headers=headers, cookies=cookies)
        assert "token-of-mine" in web.requests[0].headers["X-Token"]
        assert "cookie-of-mine" in web.requests[0].headers["Cookie"]
        assert fetching.document()["received"] == 100_000
        fetching.assert_discreet("token-of-mine", "cookie-of-mine", "X-Token", "session")

    def test_what_a_server_says_is_not_repeated(self, fetching: Fetching, web: Web) -> None:
        """Nor does it reach a terminal."""
        web.next(Answer(status=500, data=SECRET.encode(), headers={"Content-Type": f"text/plain; {SECRET}\x1b[31m"}))
        words = fetching.refused(url(web), retries=0)
        assert "\x1b" not in words

    @PUBLISHED
    def test_a_tag_with_anything_in_it_does_no_harm(self, fetching: Fetching, web: Web) -> None:
        strange = {"ETag": '"\xff\x7f"', "Last-Modified": "yesterday\xe9"}
        web.next(Answer(stop=100_000, headers=strange), Answer(headers=strange))
        assert fetching.get(url(web)).files[0].checksum == RIGHT


class TestTheRate:
    def test_is_kept_by_waiting(self, fetching: Fetching, web: Web) -> None:
        fetching.get(url(web), rate=10_000)
        fetching.assert_whole()
        assert sum(fetching.waits) > 10

    def test_without_one_nobody_waits(self, fetching: Fetching, web: Web) -> None:
        fetching.get(url(web))
        assert fetching.waits == []


class TestFilesOfUrls:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_may_have_remarks_blank_lines_and_an_url_twice(
        self, fetching: Fetching, web: Web, tmp_path: Path, encoding: str
    ) -> None:
        links = tmp_path / "links"
        links.write_text(f"# mine\r\n\r\n  {url(web)}  # val\n{url(web)}\n{url(web, OTHER)}", encoding)
        assert [file.name for file in fetching.get(url(web), url_files=(links,)).files] == [VAL, OTHER]
        assert len(web.requests) == 2

    @pytest.mark.parametrize(
        "line", [f"ftp://{SECRET}/x", f"http://me:{SECRET}@example.org/x", "x.tar", "http://a b/x"]
    )
    def test_name_a_bad_line_by_its_number(self, fetching: Fetching, web: Web, tmp_path: Path, line: str) -> None:
        links = tmp_path / "links"
        links.write_text(f"{url(web)}\n\n{line}\n")
        assert_said(fetching.refused(kind=UsageError, url_files=(links,)), "Line 3 of", "links")
        assert web.requests == []

    @pytest.mark.parametrize("text", ["", "# none\n\n"])
    def test_without_one_are_refused(self, fetching: Fetching, tmp_path: Path, text: str) -> None:
        links = tmp_path / "links"
        links.write_text(text)
        assert_said(fetching.refused(kind=UsageError, url_files=(links,)), "There is no URL in", "links")
        assert not fetching.folder.exists()


class TestWhoGetsWhat:
    """Behind one redirection to a stranger, everything is strange."""

    def headers(self, tmp_path: Path, *lines: str) -> Path:
        path = tmp_path / "headers"
        path.write_text("\n".join(lines))
        return path

    def test_a_stranger_who_sends_on_to_itself_gets_no_headers(
        self, fetching: Fetching, web: Web, tmp_path: Path
    ) -> None:
        with serving({f"{SECRET}/{VAL}": DATA}) as other:
            other.next(redirect(f"/{SECRET}/{VAL}"))
            web.next(redirect(url(other)))
            fetching.get(url(web), headers=self.headers(tmp_path, f"X-Token: {SECRET}"))
            assert len(other.requests) == 2
            assert not any("X-Token" in request.headers for request in other.requests)

    def test_a_redirection_by_a_header_that_nobody_uses_is_none(self, fetching: Fetching, web: Web) -> None:
        """The standard library would follow ``URI``, past every check of ``Location``."""
        web.next(page(302, URI=f"{url(web)}&more"))
        assert_said(fetching.refused(url(web)), VAL, "sent on to no server")
        assert len(web.requests) == 1

    def test_headers_may_be_copied_from_a_browser(self, fetching: Fetching, web: Web, tmp_path: Path) -> None:
        copied = (f"GET /{SECRET} HTTP/2", ":authority: image-net.org", "Host: image-net.org", "Range: bytes=5-")
        fetching.get(url(web), headers=self.headers(tmp_path, *copied, f"X-Token: {SECRET}"))
        assert web.requests[0].headers["X-Token"] == SECRET
        assert web.requests[0].headers["Host"] == f"127.0.0.1:{web.port}"
        assert web.starts == [None]

    @pytest.mark.parametrize(
        ("line", "sent"),
        [
            ("localhost\tFALSE\t/\tFALSE\t0\ta\t1", "a=1"),
            ("LOCALHOST\tFALSE\t/\tFALSE\t0\ta\t1", "a=1"),
            ("localhost\tFALSE\t/\ttrue\t0\ta\t1", None),
            (".local\tFALSE\t/\tFALSE\t0\ta\t1", None),
        ],
    )
    def test_cookies_of_one_host_are_for_that_host(
        self, fetching: Fetching, web: Web, tmp_path: Path, line: str, sent: str | None
    ) -> None:
        (tmp_path / "cookies").write_text(line)
        fetching.get(url(web, host="localhost"), cookies=tmp_path / "cookies")
        assert web.requests[0].headers.get("Cookie") == sent

    @pytest.mark.parametrize(("below", "sent"), [("TRUE", True), ("FALSE", False)])
    def test_cookies_go_below_their_host_only_where_they_say_so(self, tmp_path: Path, below: str, sent: bool) -> None:
        (tmp_path / "cookies").write_text(f"example.org\t{below}\t/\tFALSE\t0\ta\t1")
        request = urllib.request.Request("http://users.example.org/x")
        credentials.read_cookies(tmp_path / "cookies").add_cookie_header(request)
        assert (request.get_header("Cookie") == "a=1") is sent

    def test_a_header_in_place_of_a_file_is_not_shown(self, fetching: Fetching, web: Web) -> None:
        words = fetching.refused(url(web), kind=UsageError, headers=Path(f"Authorization: Bearer {SECRET}"))
        assert_said(words, "Cannot read")

    def test_a_proxy_that_makes_no_sense_is_not_shown(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", f"http:/me:{SECRET}@proxy")
        monkeypatch.setenv("no_proxy", "")
        assert_said(fetching.refused(url(web)), VAL, "proxy")
        assert web.requests == []


class TestWhatIsOurs:
    @PUBLISHED
    def test_fresh_takes_nothing_away_before_the_server_gives_something(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        web.next(page(404))
        fetching.refused(url(web), fresh=True)
        fetching.assert_only_begun(DATA[:100_000])
        assert fetching.get(url(web)).received == 200_000

    @PUBLISHED
    def test_fresh_leaves_what_was_only_taken_up(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(DATA[:1_000])
        web.next(page(404))
        fetching.refused(url(web))
        assert_said(fetching.refused(url(web), fresh=True), "was not begun by this program", "Move it away")
        assert fetching.part() == DATA[:1_000]

    @PUBLISHED
    @pytest.mark.parametrize(
        "start", [b"<html>" + DATA, DATA[:257] + b"other" + DATA[262:], bytes(5_000), b"\x1f\x8b" + DATA]
    )
    def test_what_is_no_tar_is_not_taken_up(self, fetching: Fetching, web: Web, start: bytes) -> None:
        fetching.folder.mkdir()
        (fetching.folder / f"{VAL}.part").write_bytes(start[:100_000])
        assert_said(fetching.refused(url(web)), f"{VAL}.part", "Move it away")
        assert (web.requests, fetching.part()) == ([], start[:100_000])

    @PUBLISHED
    def test_a_bookmark_goes_with_its_part(self, fetching: Fetching, web: Web) -> None:
        """Left behind by a kill, it would make a stranger's part ours."""
        fetching.begin(web, 100_000)
        (fetching.folder / f"{VAL}.part").rename(fetching.folder / VAL)
        with (fetching.folder / VAL).open("ab") as file:
            file.write(DATA[100_000:])
        fetching.get(url(web))
        assert fetching.names == [VAL]

    @PUBLISHED
    def test_the_advice_to_go_on_is_given_where_it_helps(self, fetching: Fetching, web: Web) -> None:
        fetching.folder.mkdir()
        (fetching.folder / VAL).write_bytes(DATA[:1_000])
        command = f"mv -n {fetching.folder / VAL} {fetching.folder / VAL}.part"
        assert_said(fetching.refused(url(web)), f"go on from there after: {command}")
        subprocess.run(command, shell=True, check=True)
        fetching.get(url(web))
        fetching.assert_whole()

    @PUBLISHED
    @pytest.mark.parametrize("data", [b"<html>", DATA + b"more", b"no tar"])
    def test_and_not_where_it_does_not(self, fetching: Fetching, web: Web, data: bytes) -> None:
        fetching.folder.mkdir()
        (fetching.folder / VAL).write_bytes(data)
        assert "mv" not in fetching.refused(url(web))

    @pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere")])
    def test_what_is_no_file_is_in_the_way(self, fetching: Fetching, web: Web, make: Callable[[Path], None]) -> None:
        for name in (VAL, f"{OTHER}.part"):
            (fetching.folder / name).parent.mkdir(exist_ok=True)
            make(fetching.folder / name)
        assert_said(fetching.refused(url(web), url(web, OTHER)), VAL, f"{OTHER}.part")
        assert web.requests == []

    @pytest.mark.parametrize(
        "changes",
        [
            {"received": "x"}, {"received": None}, {"received": 1.5}, {"received": True}, {"received": -1},
            {"hashed": 10**9}, {"state": 7}, {"by": "mail"}, {"size": -1}, {"adopted": "yes"}, {"etag": None},
        ],
    )  # fmt: skip
    def test_a_bookmark_with_something_else_in_it_is_none(
        self, fetching: Fetching, web: Web, changes: dict[str, object]
    ) -> None:
        fetching.begin(web, 100_000, VAL)
        path = fetching.folder / f"{VAL}.part.json"
        document = fetching.document() | changes
        del document["digest"]
        path.write_bytes(documents.seal(document))
        assert unfinished.load_bookmark(fetching.folder / VAL) is None

    @PUBLISHED
    def test_a_state_that_counts_beyond_its_buffer_is_not_believed(self, fetching: Fetching, web: Web) -> None:
        """OpenSSL would write where it says."""
        fetching.begin(web, 100_000)
        bookmark = unfinished.load_bookmark(fetching.folder / VAL)
        assert bookmark
        if not bookmark.state:
            return
        state = bookmark.state[:-8] + "ffffff7f"
        unfinished.save_bookmark(fetching.folder / VAL, replace(bookmark, state=state))
        fetching.get(url(web))
        fetching.assert_whole()


class TestLittleByLittle:
    def test_a_server_that_never_says_how_long_a_file_is(self, fetching: Fetching, web: Web) -> None:
        """A range of an unknown whole is over when the server says that there is no more."""
        unknown = {"Content-Range": "bytes 100000-299999/*"}
        fetching.begin(web, 100_000)
        bookmark = unfinished.load_bookmark(fetching.folder / VAL)
        assert bookmark
        unfinished.save_bookmark(fetching.folder / VAL, replace(bookmark, size=None))
        web.next(Answer(headers=unknown, stop=50_000))
        assert fetching.get(url(web)).received == 200_000
        assert web.starts == [100_000, 150_000]
        fetching.assert_whole()

    def test_a_server_that_sends_only_a_little_at_a_time(self, fetching: Fetching, web: Web) -> None:
        """And says so: that is no break, and nobody waits."""
        fetching.begin(web, 100_000)
        web.next(
            Answer(headers={"Content-Range": "bytes 100000-149999/300000", "Content-Length": "50000"}, stop=50_000)
        )
        fetching.get(url(web))
        assert (web.starts, fetching.waits) == ([100_000, 150_000], [])
        fetching.assert_whole()

    def test_what_a_watcher_raises_is_no_trouble_of_the_server(self, fetching: Fetching, web: Web) -> None:
        def watch(event: Progress | Note) -> None:
            raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match="No space left"):
            fetch(fetching.folder, UrlOptions(urls=(url(web, OTHER),)), watch=watch)
        assert len(web.requests) <= 1

    def test_any_number_of_tries(self, fetching: Fetching, web: Web) -> None:
        web.otherwise = page(503)
        fetching.refused(url(web), retries=1_100)
        assert fetching.waits[-1] == 60.0

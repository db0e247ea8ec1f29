"""Downloads that break off, and go on: at once, later, and where the server ignores ranges or has changed the file."""

from __future__ import annotations

import json
import random
import socket
from contextlib import closing

import pytest

from fetch_url.asking import CHANGED_DATA, DATA, PUBLISHED, SECRET, VAL, Fetching, Publish, url
from imagenet_prep.imagenet.archives import RIGHT
from imagenet_prep.sources.disguise import START_BYTES
from imagenet_prep.verbs.fetch.report import Fetched
from web import CHUNKED, CLOSE, RESET, STALL, UNTIL_CLOSED, Answer, Request, Web, page, serving

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


class TestABreak:
    """Where an answer breaks off, the next request goes on."""

    @PUBLISHED
    @pytest.mark.parametrize("end", [CLOSE, RESET, STALL])
    @pytest.mark.parametrize("stop", [-1, 0, 1, 65_536, 200_001, 299_999])
    def test_of_one_answer(self, fetching: Fetching, web: Web, stop: int, end: str) -> None:
        web.next(Answer(stop=stop, end=end))
        report = fetching.get(timeout=0.3)
        assert report.files == (Fetched(VAL, 300_000, 300_000, RIGHT),)
        fetching.assert_whole()
        assert web.starts[0] is None
        assert len(web.starts) == 2
        again = web.starts[1] or 0
        if end == RESET or stop < START_BYTES:  # a reset takes bytes on the way along; the first are looked at first
            assert again <= max(stop, 0)
        else:
            assert again == stop

    @PUBLISHED
    def test_random_breaks_in_random_order_leave_the_bytes_as_they_are(self, fetching: Fetching) -> None:
        chance = random.Random(5)

        def moody(_: Request) -> Answer:
            if chance.random() < 0.2:
                return page(chance.choice((500, 502, 503, 504, 429, 408)))
            return Answer(
                stop=chance.choice((-1, 0, 1, chance.randrange(80_000))),
                end=chance.choice((CLOSE, CLOSE, RESET)),
                framing=chance.choice((CHUNKED, "length", UNTIL_CLOSED)),
            )

        fetching.web.otherwise = moody
        for _ in range(20):
            assert fetching.get(retries=200).files == (Fetched(VAL, 300_000, 300_000, RIGHT),)
            fetching.assert_whole()
            (fetching.folder / VAL).unlink()


class TestRetries:
    def test_each_wait_is_twice_the_one_before_up_to_a_minute(self, fetching: Fetching) -> None:
        fetching.web.otherwise = page(503)
        fetching.sentence(fetching.refused())
        assert len(fetching.web.requests) == 11
        assert fetching.waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]

    @pytest.mark.parametrize("retries", [0, 1, 3])
    def test_there_are_as_many_as_were_allowed(self, fetching: Fetching, retries: int) -> None:
        fetching.web.otherwise = Answer(stop=-1)
        fetching.sentence(fetching.refused(retries=retries))
        assert len(fetching.web.requests) == retries + 1

    def test_a_byte_is_progress(self, fetching: Fetching, web: Web) -> None:
        web.next(page(503), *[Answer(stop=5_000), page(503)] * 3)
        fetching.get(retries=2)
        fetching.assert_whole()
        assert fetching.waits == [1, 1, 2, 1, 2, 1, 2]

    def test_a_server_or_proxy_that_is_not_there(self, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
        with closing(socket.socket()) as taken:  # bound, but it does not listen
            taken.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{taken.getsockname()[1]}/{SECRET}/{VAL}?{SECRET}"
            fetching.sentence(fetching.refused(address, retries=2), "server")
            monkeypatch.setenv("http_proxy", address)
            fetching.sentence(fetching.refused(f"http://example.org/{SECRET}/{VAL}", retries=1), "proxy")
        assert fetching.waits == [1, 2, 1]

    @pytest.mark.parametrize("proxy", ["http://127.0.0.1:{}", "127.0.0.1:{}", "http://[", "http://me:you@127.0.0.1:{}"])
    def test_a_proxy_that_lets_nothing_through(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch, proxy: str
    ) -> None:
        monkeypatch.setenv("https_proxy", proxy.format(web.port))  # which does not know CONNECT
        fetching.sentence(fetching.refused(f"https://example.org/{SECRET}/{VAL}", retries=0))

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_a_server_in_trouble_is_asked_again(self, fetching: Fetching, web: Web, status: int) -> None:
        web.next(page(status), Answer(stop=5_000), page(status))
        fetching.get()
        fetching.assert_whole()
        assert web.starts == [None, None, 5_000, 5_000]

    @pytest.mark.parametrize(
        ("wanted", "waited"),
        [("7", 7), ("90", 90), *((odd, 1) for odd in ("0", "-5", "soon", "", "1e3", "nan", "\xd9\xa3", "\xb2"))],
    )
    def test_a_server_may_say_when(self, fetching: Fetching, web: Web, wanted: str, waited: int) -> None:
        web.next(page(429, Retry_After=wanted))
        fetching.get()
        assert fetching.waits == [waited]


class TestGoingOnLater:
    @PUBLISHED
    @pytest.mark.parametrize("size", [5_000, 200_001, 299_999])
    def test_the_next_run_asks_for_the_rest(self, fetching: Fetching, web: Web, size: int) -> None:
        fetching.begin(size)
        assert fetching.get().files == (Fetched(VAL, 300_000, 300_000 - size, RIGHT),)
        assert web.starts == [size]
        fetching.assert_whole()

    @PUBLISHED
    def test_the_note_says_of_which_file_it_is_and_nothing_of_who_was_asked(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(200_001)
        note = json.loads((fetching.folder / f"{VAL}.part.json").read_bytes())
        assert (note["by"], note["size"]) == ("url", 300_000)
        assert all(note[fact] for fact in ("etag", "modified", "server", "start"))
        assert "127.0.0.1" not in json.dumps(note)
        assert str(web.port) not in json.dumps({**note, "digest": "", "server": "", "start": "", "etag": ""})

    @PUBLISHED
    def test_one_that_is_all_there_asks_nobody(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(299_999)
        with (fetching.folder / f"{VAL}.part").open("ab") as file:
            file.write(DATA[-1:])
        assert fetching.get().files == (Fetched(VAL, 300_000, 0, RIGHT),)
        assert web.requests == []
        fetching.assert_whole()

    def test_fresh_starts_over(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(100_000)
        web.files[f"{SECRET}/{VAL}"] = CHANGED_DATA
        assert fetching.get(fresh=True).received == 300_000
        assert web.starts == [None]
        fetching.assert_whole(CHANGED_DATA)


class TestAnotherServer:
    """Tags are each server's own, so it is believed by length and checksum, or refused."""

    @pytest.mark.parametrize("published", [True, False])
    def test_goes_on_where_a_checksum_would_show_a_mixture(
        self, fetching: Fetching, publish: Publish, published: bool
    ) -> None:
        if published:
            publish()
        fetching.begin(100_000)
        with serving({f"{SECRET}/{VAL}": DATA}, Answer(headers={"ETag": f'"{"1" * 32}"'})) as mirror:
            if published:
                fetching.get(url(mirror))
                fetching.assert_whole()
            else:
                fetching.sentence(fetching.refused(url(mirror)))
                fetching.assert_partial(DATA[:100_000])
            assert mirror.starts == [100_000]

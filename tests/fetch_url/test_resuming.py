"""Downloads that break off, and go on: at once, later, and where the server ignores ranges or has changed the file."""

from __future__ import annotations

import json
import os
import random
import socket
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace
from typing import NoReturn

import pytest

from fetch_url.asking import (
    CHANGED,
    CHANGED_DATA,
    DATA,
    OTHER,
    PUBLISHED,
    SECRET,
    STATE_CAN_BE_KEPT,
    VAL,
    Fetching,
    Publish,
    assert_said,
    flip_first_bit,
    url,
)
from imagenet_prep.imagenet.archives import RIGHT
from imagenet_prep.model.events import Progress
from imagenet_prep.sources.disguise import START_BYTES
from imagenet_prep.verbs.fetch import download, unfinished
from imagenet_prep.verbs.fetch import http_errors as troubles
from imagenet_prep.verbs.fetch.http_errors import GO_ON
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

    def test_each_is_told_with_its_reason(self, fetching: Fetching, web: Web) -> None:
        web.next(page(503), Answer(stop=5))
        fetching.get(url(web))
        host = f"127.0.0.1:{web.port}"
        assert [note for note in fetching.notes if "next try" in note] == [
            f"{VAL} from {host}: the server is busy or broken (503); the next try is in 1 s.",
            f"{VAL} from {host}: the connection broke off at 5 of 300,000 bytes; the next try is in 1 s.",
        ]

    @pytest.mark.parametrize("retries", [0, 1, 3])
    def test_there_are_as_many_as_were_allowed(self, fetching: Fetching, retries: int) -> None:
        with serving({}, otherwise=Answer(data=DATA, stop=-1)) as web:
            words = fetching.refused(url(web), retries=retries)
            assert_said(words, VAL, "127.0.0.1")
            assert [part for part in words.split(", ") if "in a row" in part] == (
                [f"{retries + 1} times in a row (from 127.0.0.1:{web.port})\n{GO_ON}"] if retries else []
            )
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

    def test_a_server_that_is_not_there(self, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
        with closing(socket.socket()) as taken:  # bound, but it does not listen
            taken.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{taken.getsockname()[1]}/{SECRET}/{VAL}?{SECRET}"
            words = fetching.refused(address, retries=2)
            assert_said(words, VAL, "127.0.0.1", "nobody answers there, 3 times")
            monkeypatch.setenv("http_proxy", address)
            words = fetching.refused(f"http://example.org/{SECRET}/{VAL}", retries=1)
            assert_said(words, VAL, "example.org", "nobody answers there, or at the proxy of the environment, 2 times")
        assert fetching.waits == [1, 2, 1]

    def test_a_host_that_nobody_knows(self, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_: object, **__: object) -> NoReturn:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        words = fetching.refused(f"http://nobody.invalid/{VAL}", retries=0)
        assert_said(words, f"{VAL}: does not come: no connection: Name or service not known (from nobody.invalid)")

    def test_a_proxy_that_lets_nothing_through(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{web.port}")  # which does not know CONNECT
        words = fetching.refused(f"https://example.org/{SECRET}/{VAL}", retries=0)
        assert_said(words, f"{VAL}: does not come: the proxy lets nothing through (from example.org)")

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_a_server_in_trouble_is_asked_again(self, fetching: Fetching, web: Web, status: int) -> None:
        web.next(page(status), Answer(stop=5), page(status))
        fetching.get(url(web))
        fetching.assert_whole()
        assert web.starts == [None, None, 5, 5]

    @pytest.mark.parametrize(
        ("wanted", "waited"),
        [
            ("7", 7),
            ("0", 1),
            ("90", 90),
            ("-5", 1),
            ("soon", 1),
            ("", 1),
            ("1e3", 1),
            ("nan", 1),
            ("\xd9\xa3", 1),
            ("\xb2", 1),
        ],
    )
    def test_a_server_may_say_when(self, fetching: Fetching, web: Web, wanted: str, waited: int) -> None:
        web.next(page(429, Retry_After=wanted))
        fetching.get(url(web))
        assert fetching.waits == [waited]

    def test_or_at_what_time(self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is noon here."""
        monkeypatch.setattr(troubles, "time", SimpleNamespace(time=lambda: 1_343_822_400.0))
        web.next(*(page(503, Retry_After=f"Wed, 01 Aug 2012 12:{when} GMT") for when in ("00:42", "10:00", "61:00")))
        web.next(page(503, Retry_After="Wed, 01 Aug 2012 11:00:00 GMT"))
        fetching.get(url(web))
        assert fetching.waits == [42, 600, 3_600, 8]

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
        assert note["origin"]
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

    @pytest.mark.parametrize("size", [1, START_BYTES - 1, START_BYTES, START_BYTES + 1])
    def test_little_is_passed_over_too(self, fetching: Fetching, web: Web, size: int) -> None:
        """No more than is read at once to see whether it is an archive."""
        fetching.begin(web, size)
        web.next(Answer(ranges=False))
        fetching.get(url(web))
        fetching.assert_whole()

    def test_is_read_no_faster_than_is_allowed(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 299_000)
        web.next(Answer(ranges=False))
        fetching.get(url(web), rate=10_000)
        assert sum(fetching.waits) > 20

    def test_what_is_passed_over_is_told_as_such(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may be 100 GB."""
        monkeypatch.setattr(download, "_SECONDS_BETWEEN_EVENTS", 0.0)
        fetching.begin(web, 200_000)
        web.next(Answer(ranges=False))
        fetching.get(url(web))
        told = [each for each in fetching.events if isinstance(each, Progress) and each.stage == "skip"]
        assert told[0].bytes_done < 200_000
        assert (told[-1].bytes_done, told[-1].bytes_total, told[-1].subject) == (200_000, 200_000, VAL)

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

    @PUBLISHED
    def test_whose_tag_and_time_are_its_own_and_noted_from_then_on(self, fetching: Fetching, web: Web) -> None:
        own = Answer(headers={"ETag": '"own"', "Last-Modified": self.OTHER_TIME}, stop=100_000)
        fetching.begin(web, 100_000)
        with serving({f"{SECRET}/{VAL}": DATA}, own, Answer(headers={"ETag": '"changed"'})) as mirror:
            assert_said(fetching.refused(url(mirror)), VAL, *CHANGED, '"own" and is "changed"')
            assert mirror.starts == [100_000, 200_000]
        fetching.get(url(web))
        fetching.assert_whole()

    def test_that_says_less_takes_away_nothing_that_is_known(
        self, fetching: Fetching, web: Web, publish: Publish
    ) -> None:
        publish(sized=False)
        fetching.begin(web, 100_000)
        unsaid = Answer(headers={"Content-Range": "bytes 100000-299999/*"}, stop=50_000)
        with serving({f"{SECRET}/{VAL}": DATA}, unsaid, page(404)) as mirror:
            fetching.refused(url(mirror))
        assert (fetching.document()["received"], fetching.document()["size"]) == (150_000, 300_000)

    def test_but_not_where_nothing_would_show_a_mixture(self, fetching: Fetching, web: Web) -> None:
        fetching.begin(web, 100_000)
        with serving({f"{SECRET}/{VAL}": DATA}, Answer(headers={"ETag": '"own"'})) as mirror:
            assert_said(fetching.refused(url(mirror)), VAL, *CHANGED)
        fetching.assert_only_begun(DATA[:100_000])

    def test_has_become_shorter_than_what_is_here(self, fetching: Fetching, web: Web) -> None:
        """Of a file whose length nobody has said, from a server that ignores ranges."""
        web.next(
            Answer(stop=100_000, framing=CHUNKED), Answer(data=DATA[:50_000], ranges=False, headers={"ETag": None})
        )
        words = fetching.refused(url(web))
        assert_said(words, VAL, *CHANGED, "it has 50,000 bytes, and 100,000 are here already")

"""Answers that are not the file: other ranges, other lengths, other bytes, web pages."""

from __future__ import annotations

import hashlib

import pytest

from fetch_url.asking import (
    CHANGED_DATA,
    DATA,
    LOGIN,
    MD5,
    PUBLISHED,
    SECRET,
    VAL,
    Fetching,
    Publish,
    assert_said,
    url,
)
from imagenet_prep.imagenet.archives import RIGHT
from imagenet_prep.verbs.fetch.report import Fetched
from web import CHUNKED, GOOD, LOGIN_PAGE, UNTIL_CLOSED, Answer, Web, page, redirect, serving

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


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
        fetching.assert_partial(DATA[:100_000])
        web.otherwise = GOOD
        fetching.get(url(web))
        fetching.assert_whole()

    @pytest.mark.parametrize(
        ("length", "extent"),
        [
            (200_000, "100000-199999/300000"),  # half of the bytes are described
            (200_001, "100000-300000/300000"),  # the last is behind the end
            (0, "100000-99999/300000"),  # there are none
        ],
    )
    def test_is_refused_where_its_lengths_contradict_each_other(
        self, fetching: Fetching, web: Web, length: int, extent: str
    ) -> None:
        fetching.begin(web, 100_000)
        web.next(Answer(status=206, data=bytes(length), headers={"Content-Range": f"bytes {extent}"}))
        assert_said(fetching.refused(url(web)), VAL, "127.0.0.1", "lengths that contradict each other")

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

    @PUBLISHED
    @pytest.mark.parametrize("length", ["", "-1", "x", "1e5", "300000, 300000", "+300000", "3\xb2", "9" * 5_000])
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


class TestAWrongChecksum:
    @pytest.fixture
    def wrong(self, fetching: Fetching, web: Web, publish: Publish) -> str:
        publish()
        web.next(Answer(data=CHANGED_DATA))
        return fetching.refused(url(web))

    def test_is_named_with_the_right_one(self, fetching: Fetching, wrong: str) -> None:
        assert_said(wrong, VAL, MD5, hashlib.md5(CHANGED_DATA).hexdigest(), "--fresh")
        fetching.assert_partial(CHANGED_DATA)

    def test_is_said_again_without_asking_the_server(self, fetching: Fetching, web: Web, wrong: str) -> None:
        web.requests.clear()
        assert fetching.refused(url(web)) == wrong
        assert web.requests == []
        fetching.assert_partial(CHANGED_DATA)


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

    @pytest.mark.parametrize("answer", PAGES)
    @pytest.mark.parametrize("begun", [0, 100_000])
    def test_says_that_the_login_has_expired(self, fetching: Fetching, web: Web, answer: Answer, begun: int) -> None:
        if begun:
            fetching.begin(web, begun)
        web.next(answer)
        assert_said(fetching.refused(url(web)), VAL, *LOGIN)
        assert (len(web.requests), fetching.waits) == (1, [])
        if begun:
            fetching.assert_partial(DATA[:begun])
        else:
            assert fetching.names == []

    @PUBLISHED
    @pytest.mark.parametrize("status", [302, 307])
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
            fetching.assert_partial(DATA[:begun])
        else:
            assert fetching.names == []

    def test_an_archive_is_none_whatever_the_server_calls_it(self, fetching: Fetching, web: Web) -> None:
        web.next(Answer(headers={"Content-Type": "text/html; charset=utf-8"}))
        fetching.get(url(web))
        fetching.assert_whole()

    @pytest.mark.parametrize("data", [b'{"error": "quota"}', b"too many requests", b"BZh91AY&SY" + DATA])
    @pytest.mark.parametrize("framing", ["length", CHUNKED, UNTIL_CLOSED])
    def test_what_begins_as_no_archive_is_none(self, fetching: Fetching, web: Web, data: bytes, framing: str) -> None:
        """Also where no checksum is published, which would show it."""
        web.next(Answer(data=data, framing=framing))
        assert_said(fetching.refused(url(web)), VAL, "is not an archive on the server")
        assert fetching.names == []

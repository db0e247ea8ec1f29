"""Answers that are not the file. Each has its sentence, and what is here stays and goes on afterwards."""

from __future__ import annotations

import pytest

from fetch_url.asking import CHANGED_DATA, DATA, GZIP, PUBLISHED, SECRET, VAL, Fetching, Publish
from imagenet_prep.imagenet.archives import RIGHT
from imagenet_prep.verbs.fetch.report import Fetched
from web import CHUNKED, GOOD, LENGTH, LOGIN_PAGE, UNTIL_CLOSED, Answer, Web, page, redirect, serving

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def called(kind: str, data: bytes = LOGIN_PAGE, framing: str = LENGTH) -> Answer:
    return Answer(status=200, data=data, framing=framing, headers={"Content-Type": kind})


def ranged(extent: str | None, length: int = 200_000) -> Answer:
    return Answer(status=206, data=bytes(length), headers={"Content-Range": extent})


def changed(data: bytes = DATA, *, ranges: bool = True, **headers: str | None) -> Answer:
    return Answer(data=data, ranges=ranges, headers={name.replace("_", "-"): each for name, each in headers.items()})


AT_ANY_TIME = {
    "a page": [
        called("text/html; charset=utf-8"),
        called("application/x-tar"),
        called("TEXT/HTML"),
        called("application/octet-stream", b"\xef\xbb\xbf \n<HTML>"),
        called("application/xhtml+xml", framing=CHUNKED),
        called("", framing=UNTIL_CLOSED),
        called("text/html", b"Please log in." * 100),
        called("text/html", b"<!-- a --><html>"),
    ],
    "401": [page(401), page(401, WWW_Authenticate="Bearer")],
    "403": [page(403)],
    "404": [page(404)],
    "410": [page(410)],
    "another status": [page(418)],
    "compressed": [Answer(headers={"Content-Encoding": encoding}) for encoding in ("gzip", "br")],
    "not an archive": [Answer(data=b'{"error": "quota"}', ranges=False)],
    "bzip2": [
        Answer(data=b"BZh91AY&SY" + DATA, framing=each, ranges=False) for each in (LENGTH, CHUNKED, UNTIL_CLOSED)
    ],
    "gzip": [Answer(data=GZIP, ranges=False)],
    "zeros": [Answer(data=bytes(5_000), ranges=False)],
    "circles": [redirect(f"/{SECRET}/{VAL}?{SECRET}=1"), redirect(""), redirect(f"http:///{SECRET}")],
    "nowhere": [
        redirect(f"{place}/{SECRET}")
        for place in ("file://", f"http://{'a' * 64}.example", "http://127.0.0.1:99999", "http://[")
    ],
}
OF_A_NEW_FILE = {
    "not an archive": [
        Answer(data=data, framing=framing)
        for data in (b"too many", b"x" * 2_000)
        for framing in (CHUNKED, UNTIL_CLOSED)
    ],
}
OF_THE_REST = {
    "another part": [
        *(Answer(shift=shift) for shift in (1, -1, -100_000)),
        *map(ranged, (None, "bytes", "bytes 99999-299999/300000", "bytes 100001-299999/300000",
                      "items 100000-299999/300000", "bytes -100000-299999/300000")),
    ],
    "contradiction": [
        ranged("bytes 100000-5/300000"),
        ranged("bytes 100000-400000/300000"),
        ranged("bytes 100000-199999/300000"),  # half of the bytes are described
        ranged("bytes 100000-300000/300000", 200_001),  # the last is after the end
        ranged("bytes 100000-99999/300000", 0),  # there are none
    ],
    "another tag": [
        changed(CHANGED_DATA),
        changed(CHANGED_DATA, ranges=False),
        changed(ETag=f'"{"1" * 32}"'),
        changed(ETag=f'"{"1" * 32}"', Last_Modified="Thu, 02 Aug 2012 12:00:00 GMT"),
    ],
    "another time": [changed(ETag=None, Last_Modified="Thu, 02 Aug 2012 12:00:00 GMT")],
    "another size": [
        changed(DATA + b"more", ETag=None, Last_Modified=None),
        changed(DATA + b"more", ranges=False, ETag=None, Last_Modified=None),
        changed(CHANGED_DATA + b"more"),
    ],
    "shorter than what is here": [changed(DATA[:50_000])],  # 416
    "no ranges": [changed(ranges=False)],
}  # fmt: skip


class TestIsRefusedWithASentence:
    @pytest.mark.parametrize(
        ("begun", "what", "answer"),
        [
            (begun, what, answer)
            for begun, tables in ((0, (AT_ANY_TIME, OF_A_NEW_FILE)), (100_000, (AT_ANY_TIME, OF_THE_REST)))
            for table in tables
            for what, answers in table.items()
            for answer in answers
        ],
    )
    def test_and_what_is_here_stays(self, fetching: Fetching, web: Web, begun: int, what: str, answer: Answer) -> None:
        if begun:
            fetching.begin(begun)
        web.otherwise = answer
        fetching.sentence(fetching.refused(), what, alike=True)
        assert (fetching.waits, len(web.requests) < 20) == ([], True)
        assert fetching.names == ([f"{VAL}.part", f"{VAL}.part.json"] if begun else [])
        assert not begun or fetching.part() == DATA[:begun]
        web.otherwise = GOOD
        fetching.get()
        fetching.assert_whole()

    def test_also_where_it_comes_in_the_middle(self, fetching: Fetching, web: Web) -> None:
        web.next(Answer(stop=100_000), changed(CHANGED_DATA))
        fetching.sentence(fetching.refused())
        fetching.assert_partial(DATA[:100_000])

    @PUBLISHED
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_a_login_that_the_server_leads_to(self, fetching: Fetching, web: Web, host: str) -> None:
        with serving({}, otherwise=called("text/html")) as login:
            web.next(redirect(login.url(f"{SECRET}/login?next={SECRET}", host)))
            fetching.sentence(fetching.refused(), alike=True)
            assert len(login.requests) == 1
        assert fetching.names == []

    @pytest.mark.parametrize("size", [1, 299_999, 300_001])
    def test_another_length_than_the_published(self, fetching: Fetching, publish: Publish, size: int) -> None:
        publish(bytes(size))
        fetching.sentence(fetching.refused())
        assert fetching.names == []

    def test_more_is_promised_than_comes(self, fetching: Fetching, web: Web) -> None:
        web.next(Answer(headers={"Content-Length": "300100"}, stop=300_000))
        fetching.sentence(fetching.refused(retries=2))
        assert VAL not in fetching.names

    def test_a_wrong_checksum_without_asking_the_server_again(
        self, fetching: Fetching, web: Web, publish: Publish
    ) -> None:
        publish()
        web.next(Answer(data=CHANGED_DATA))
        words = fetching.refused()
        fetching.sentence(words)
        assert fetching.refused() == words
        assert len(web.requests) == 1
        fetching.assert_partial(CHANGED_DATA)


class TestIsUnderstood:
    @PUBLISHED
    @pytest.mark.parametrize("total", ["300000", "*"])
    def test_a_part_of_the_range(self, fetching: Fetching, web: Web, total: str) -> None:
        fetching.begin(100_000)
        web.next(Answer(data=DATA[:150_000], headers={"ETag": None, "Content-Range": f"bytes 100000-149999/{total}"}))
        fetching.get()
        assert web.starts == [100_000, 150_000]
        fetching.assert_whole()

    @PUBLISHED
    @pytest.mark.parametrize("length", ["", "-1", "x", "1e5", "300000, 300000", "+300000", "3\xb2", "9" * 5_000])
    def test_a_length_that_is_none(self, fetching: Fetching, web: Web, length: str) -> None:
        web.next(Answer(headers={"Content-Length": length, "Connection": "close"}, stop=300_000))
        fetching.get(retries=2)
        fetching.assert_whole()

    @pytest.mark.parametrize("size_known", [False, True])
    @pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
    @pytest.mark.parametrize("framing", [CHUNKED, UNTIL_CLOSED])
    def test_no_length_where_a_checksum_is_published(
        self, fetching: Fetching, web: Web, publish: Publish, framing: str, version: str, size_known: bool
    ) -> None:
        publish(sized=size_known)
        web.next(Answer(framing=framing, version=version if framing == UNTIL_CLOSED else "HTTP/1.1"))
        assert fetching.get().files == (Fetched(VAL, 300_000, 300_000, RIGHT),)
        assert fetching.notes == []
        fetching.assert_whole()

    def test_what_comes_after_the_published_end_is_left(self, fetching: Fetching, publish: Publish) -> None:
        publish(DATA[:100_000])
        fetching.web.otherwise = Answer(framing=UNTIL_CLOSED)
        assert fetching.get().files == (Fetched(VAL, 100_000, 100_000, RIGHT),)
        fetching.assert_whole(DATA[:100_000])

    def test_an_archive_is_none_of_a_page_whatever_the_server_calls_it(self, fetching: Fetching, web: Web) -> None:
        web.next(Answer(headers={"Content-Type": "text/html; charset=utf-8"}))
        fetching.get()
        fetching.assert_whole()

"""What is asked for and what comes, where nothing goes wrong."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from fetch_url.asking import CHANGED_DATA, DATA, MD5, OTHER, PUBLISHED, SECRET, VAL, Fetching, Publish, assert_said, url
from imagenet_prep.errors import UsageError
from imagenet_prep.imagenet import archives as facts
from imagenet_prep.imagenet.archives import RIGHT, UNPUBLISHED
from imagenet_prep.model.events import Note, Progress
from imagenet_prep.verbs.fetch import download, unfinished
from imagenet_prep.verbs.fetch.address import address_of
from imagenet_prep.verbs.fetch.partial import Partial
from imagenet_prep.verbs.fetch.rate_limit import Pace
from imagenet_prep.verbs.fetch.report import Fetched, UrlOptions
from imagenet_prep.verbs.fetch.run import fetch
from web import GOOD, Answer, Web, page, serving

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


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

    @pytest.mark.parametrize("between", [" ", "\t", "   "])
    def test_or_as_is_said_before_it(self, fetching: Fetching, web: Web, between: str) -> None:
        web.files[f"{SECRET}/download"] = DATA
        fetching.get(f"{VAL}{between}{url(web, 'download')}")
        fetching.assert_whole(name=VAL)

    @pytest.mark.parametrize("name", ["..", ".hidden", "a\x1bb", "x.tar.part", "a" * 252])
    def test_what_is_said_before_it_and_is_no_name(self, fetching: Fetching, web: Web, name: str) -> None:
        fetching.refused(f"{name} {url(web)}", kind=UsageError)
        assert (web.requests, fetching.names) == ([], [])

    def test_one_url_for_two_names(self, fetching: Fetching, web: Web) -> None:
        fetching.get(f"a.tar {url(web)}", f"b.tar {url(web)}")
        assert fetching.names == ["a.tar", "b.tar"]

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
         "HTTPX://127.0.0.1/x.tar", "http://127.0.0.1/x y.tar", "http://127.0.0.1/x\n.tar", "http://127.0.0.1/\u00e9.tar",
         f"http://{'a' * 64}.example/x.tar", "http://127.0.0.1/x.tar http://127.0.0.1/y.tar",
         "x.tar y.tar http://127.0.0.1/", "x.tar y.tar"],
    )  # fmt: skip
    def test_what_is_no_url_of_a_server(self, fetching: Fetching, address: str) -> None:
        fetching.refused(address, kind=UsageError)
        assert fetching.names == []

    @pytest.mark.parametrize("host", ["b\u00fccher.example", "xn--bcher-kva.ex\u00e4mple", "stra\u00dfe.example"])
    def test_a_host_in_other_letters_has_another_form(self, fetching: Fetching, host: str) -> None:
        """It is not made here: of some letters, such as ß, the standard library makes another host than browsers do."""
        words = fetching.refused(f"https://{host}/{SECRET}/x.tar", kind=UsageError)
        assert_said(words, f"The host {host} is not written in ASCII", "xn--")

    @pytest.mark.parametrize(
        ("address", "shown"),
        [("http://[::1]:1/x.tar", "[::1]:1"), ("http://[FE80::1]/x.tar", "[fe80::1]"), ("http://a:1/x.tar", "a:1")],
    )
    def test_an_address_of_version_6_is_shown_in_brackets(self, address: str, shown: str) -> None:
        assert str(address_of(address)) == f"x.tar from {shown}"

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
        assert fetching.notes == []

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

    @PUBLISHED
    def test_progress_is_told_while_bytes_come_and_while_the_checksum_follows(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The checksum is a third of the file behind when the last byte has come."""
        behind, hashing = iter([200_000]), Partial.hashing
        monkeypatch.setattr(download, "_SECONDS_BETWEEN_EVENTS", 0)
        monkeypatch.setattr(download, "_CHUNK_BYTES", 100_000)
        monkeypatch.setattr(Partial, "hashing", lambda part, _: next(behind, None) or hashing(part, 10))
        fetching.get(url(web))
        progress = [event for event in fetching.events if isinstance(event, Progress)]
        assert {(each.subject, each.bytes_total) for each in progress} == {(VAL, 300_000)}
        told = [(each.stage, each.bytes_done) for each in progress]
        assert told[-2:] == [("fetch", 300_000), ("checksums", 200_000)]
        assert len({done for stage, done in told if stage == "fetch"}) >= 3

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


class TestSeveralFiles:
    @PUBLISHED
    def test_one_fails_and_the_others_are_finished(self, fetching: Fetching, web: Web) -> None:
        web.files[f"{SECRET}/third.tar"] = DATA
        words = fetching.refused(url(web), url(web, "none.tar"), url(web, "third.tar"), retries=0)
        assert_said(words, "none.tar", "404")
        assert VAL not in words
        assert fetching.names == [VAL, "third.tar"]
        assert fetching.notes[-2:] == [
            f"{VAL} is there; checksum: right.",
            "third.tar is there; checksum: none is published.",
        ]
        fetching.refused(url(web), url(web, "none.tar"), retries=0)
        assert fetching.notes[-1] == f"{VAL} is there; checksum: not compared."

    def test_all_that_fail_are_named_at_the_end(self, fetching: Fetching, web: Web, publish: Publish) -> None:
        publish(CHANGED_DATA)
        by_name = {f"{SECRET}/login.tar": page(403), f"{SECRET}/down.tar": page(503)}
        web.otherwise = lambda request: by_name.get(request.path, GOOD)
        names = [VAL, "none.tar", "login.tar", "down.tar", OTHER]
        words = fetching.refused(*(url(web, name) for name in names), retries=1)
        assert_said(words, VAL, "none.tar", "login.tar", "down.tar", "404", "503", MD5)
        assert OTHER not in words
        assert fetching.names == [f"{VAL}.part", f"{VAL}.part.json", OTHER]


class TestTheRate:
    def test_is_kept_by_waiting(self, fetching: Fetching, web: Web) -> None:
        fetching.get(url(web), rate=10_000)
        fetching.assert_whole()
        assert sum(fetching.waits) > 10

    def test_a_pause_earns_no_more_than_a_moment_and_the_beginning_nothing(self) -> None:
        pace = Pace(100)
        assert pace.owed(100, now=50.0) == 1.0
        assert pace.owed(50, now=51.0) == 0.5
        assert pace.owed(10, now=51.75) == 0.0
        assert pace.owed(100, now=1_000.0) == 0.75
        assert pace.owed(100, now=1_000.0) == 1.75

    def test_without_one_nobody_waits(self, fetching: Fetching, web: Web) -> None:
        fetching.get(url(web))
        assert fetching.waits == []


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

"""What is asked for and what comes, where nothing goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from fetch_url.asking import DATA, OTHER, PUBLISHED, SECRET, VAL, Fetching, url
from imagenet_prep.errors import UsageError
from imagenet_prep.imagenet.archives import RIGHT, UNPUBLISHED
from imagenet_prep.model.events import Note, Progress
from imagenet_prep.verbs.fetch.report import Fetched, UrlOptions
from imagenet_prep.verbs.fetch.run import fetch
from web import Answer, Web, serving

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


class TestWhatIsAskedFor:
    @pytest.mark.parametrize(
        ("ending", "name"),
        [("x.tar", "x.tar"), ("a/b/x.tar", "x.tar"), ("x.tar?token=a/b", "x.tar"), ("x.tar#part", "x.tar"),
         ("%78%2etar", "x.tar"), ("x%20y.tar", "x y.tar"), ("x+y.tar", "x+y.tar"), ("%C3%A9.tar", "é.tar"),
         ("a//x.tar", "x.tar"), ("x", "x")],
    )  # fmt: skip
    def test_a_file_is_called_as_its_url_ends(self, fetching: Fetching, ending: str, name: str) -> None:
        with serving({}, otherwise=Answer(data=DATA)) as web:
            fetching.get(web.url(ending))
            fetching.assert_whole(name=name)

    @pytest.mark.parametrize("between", [" ", "\t", "   "])
    def test_or_as_is_said_before_it(self, fetching: Fetching, web: Web, between: str) -> None:
        web.files[f"{SECRET}/download"] = DATA
        fetching.get(f"{VAL}{between}{url(web, 'download')}")
        fetching.assert_whole(name=VAL)

    @pytest.mark.parametrize(
        "ending",
        ["", "a/", "a/?x.tar", "..", "a/..", "%2e%2e", ".", ".hidden", "%2Ehidden", "a%00b", "a%0ab",
         "a%1bb", "a%7Fb", "a%2Fb", "..%2fb", "a" * 252, "x.tar.part", "x.tar.part.json"],
    )  # fmt: skip
    def test_a_url_that_ends_in_no_name_for_a_file(self, fetching: Fetching, web: Web, ending: str) -> None:
        fetching.sentence(fetching.refused(web.url(ending), kind=UsageError), alike=True)
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
        fetching.sentence(fetching.refused(address, kind=UsageError), alike=True)
        assert fetching.names == []

    @pytest.mark.parametrize("user", [f"somebody:{SECRET}", SECRET])
    def test_a_password_in_a_url(self, fetching: Fetching, web: Web, user: str) -> None:
        fetching.sentence(fetching.refused(url(web, host=f"{user}@127.0.0.1"), kind=UsageError), alike=True)
        assert web.requests == []

    def test_one_name_twice(self, fetching: Fetching, web: Web) -> None:
        fetching.sentence(fetching.refused(url(web), web.url(f"mirror/{VAL}"), kind=UsageError))
        assert web.requests == []

    @pytest.mark.parametrize("options", [{"retries": -1}, {"timeout": -1.0}, {"timeout": 86_401}, {"rate": -1}])
    def test_a_number_that_makes_no_sense(self, fetching: Fetching, web: Web, options: dict[str, float]) -> None:
        fetching.refused(kind=UsageError, **options)
        assert web.requests == []


class TestFilesOfUrls:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_may_have_remarks_blank_lines_and_an_url_twice(
        self, fetching: Fetching, web: Web, tmp_path: Path, encoding: str
    ) -> None:
        links = tmp_path / "links"
        links.write_text(f"# mine\r\n\r\n  {url(web)}  # val\n{url(web)}\né.tar {url(web, OTHER)}", encoding)
        assert [file.name for file in fetching.get(url_files=(links,)).files] == [VAL, "é.tar"]
        assert len(web.requests) == 2

    @pytest.mark.parametrize(
        "line", [f"ftp://{SECRET}/x", f"http://me:{SECRET}@example.org/x", "x.tar", "http://a b/x"]
    )
    def test_name_a_bad_line_by_its_number(self, fetching: Fetching, web: Web, tmp_path: Path, line: str) -> None:
        links = tmp_path / "links"
        links.write_text(f"{url(web)}\n\n{line}\n")
        fetching.sentence(fetching.refused(kind=UsageError, url_files=(links,)))
        assert web.requests == []


class TestAWholeDownload:
    @PUBLISHED
    def test_its_checksum_is_right(self, fetching: Fetching, web: Web) -> None:
        report = fetching.get()
        assert report.files == (Fetched(VAL, 300_000, 300_000, RIGHT),)
        assert report.received == 300_000
        fetching.assert_whole()
        assert (web.starts, fetching.waits, fetching.notes) == ([None], [], [])

    def test_without_a_published_checksum_it_is_not_said_to_be_right(self, fetching: Fetching, web: Web) -> None:
        assert fetching.get().files == (Fetched(VAL, 300_000, 300_000, UNPUBLISHED),)
        fetching.assert_whole()
        assert web.requests[0].headers["Accept-Encoding"] == "identity"  # or checksums would be those of other bytes

    @PUBLISHED
    def test_the_same_again_asks_nobody(self, fetching: Fetching, web: Web) -> None:
        fetching.get(url(web), url(web, OTHER))
        web.requests.clear()
        files = fetching.get(url(web), url(web, OTHER)).files
        assert files == (Fetched(VAL, 300_000, 0, ""), Fetched(OTHER, 300_000, 0, UNPUBLISHED))
        assert web.requests == []

    def test_the_rate_is_kept_by_waiting(self, fetching: Fetching) -> None:
        fetching.get(rate=10_000)
        fetching.assert_whole()
        assert sum(fetching.waits) > 10

    def test_what_a_watcher_raises_is_no_trouble_of_the_server(self, fetching: Fetching, web: Web) -> None:
        def watch(event: Progress | Note) -> None:
            raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match="No space left"):
            fetch(fetching.folder, UrlOptions(urls=(url(web, OTHER),)), watch=watch)
        assert len(web.requests) <= 1


@PUBLISHED
def test_one_of_several_fails_and_the_others_are_finished(fetching: Fetching, web: Web) -> None:
    web.files[f"{SECRET}/third.tar"] = DATA
    wanted = [url(web), url(web, "none.tar"), url(web, "nor.tar"), url(web, "third.tar")]
    fetching.sentence(fetching.refused(*wanted, retries=0))
    assert fetching.names == [VAL, "third.tar"]
    fetching.refused(*wanted[:2], retries=0)  # again
    fetching.sentence([note for note in fetching.notes if "is there" in note], "notes")

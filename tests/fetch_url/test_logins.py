"""Cookies, headers and redirections: who gets what, and what nobody sees."""

from __future__ import annotations

import io
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import pytest

from fetch_url.asking import DATA, OTHER, PUBLISHED, SECRET, VAL, Fetching, assert_said, url
from imagenet_prep.errors import UsageError
from imagenet_prep.imagenet.archives import RIGHT
from imagenet_prep.verbs.fetch import credentials
from imagenet_prep.verbs.fetch.redirects import Redirects
from imagenet_prep.verbs.fetch.report import UrlOptions
from web import GOOD, Answer, Request, Web, page, redirect, serving

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


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
            redirect(f"https:///{SECRET}"),
            redirect(f"http://{'a' * 64}.example/{SECRET}"),
            redirect(f"http://127.0.0.1:99999/{SECRET}"),
            redirect(f"http://127.0.0.1:0/{SECRET}"),
            redirect(f"http://[/{SECRET}"),
            redirect(""),
            page(302),
            page(304),
            page(300),
        ],
    )  # fmt: skip
    def test_that_lead_nowhere(self, fetching: Fetching, web: Web, answer: Answer) -> None:
        web.otherwise = answer
        assert_said(fetching.refused(url(web)), VAL, "127.0.0.1")
        assert (fetching.names, fetching.waits) == ([], [])

    def test_without_an_end(self, fetching: Fetching, web: Web) -> None:
        numbers = iter(range(10_000))
        web.otherwise = lambda _: redirect(f"/{SECRET}/{next(numbers)}")
        assert_said(fetching.refused(url(web), retries=1), VAL, "127.0.0.1")
        assert len(web.requests) < 100


class TestTls:
    @pytest.fixture
    def safe(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
        """A server that speaks https, and whose certificate is trusted."""
        certificate = Path(__file__).parent.with_name("localhost.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with serving({f"{SECRET}/{VAL}": DATA}, tls=context) as server:
            yield server

    @staticmethod
    def url(safe: Web, name: str = VAL) -> str:
        return url(safe, name, "localhost").replace("http:", "https:")

    def test_is_gone_on_with(self, fetching: Fetching, web: Web, safe: Web) -> None:
        web.next(redirect(self.url(safe)))
        safe.next(redirect(self.url(safe, "elsewhere")), Answer(data=DATA))
        fetching.get(url(web))
        fetching.assert_whole()
        assert (len(web.requests), len(safe.requests)) == (1, 2)

    def test_is_never_left(self, fetching: Fetching, web: Web, safe: Web) -> None:
        safe.next(redirect(url(web)))
        words = fetching.refused(self.url(safe))
        assert_said(words, VAL, "is sent on from https to 127.0.0.1 without it, which is not safe")
        assert (web.requests, fetching.names) == ([], [])


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("http://a/x", "http://a:80/y", True),
        ("https://a:443/x", "https://a/y", True),
        ("http://a:8000/x", "http://a:8000/y", True),
        ("http://a/x", "https://a/y", True),
        ("http://a/x", "http://b/x", False),
        ("http://a/x", "http://a:8000/x", False),
        ("https://a/x", "https://a:8443/x", False),
        ("http://a:8000/x", "https://a/x", False),
        ("http://a/x", "https://a:8443/x", False),
    ],
)
def test_a_server_is_a_host_and_a_port_or_its_step_up_to_https(before: str, after: str, same: bool) -> None:
    asked = urllib.request.Request(before)
    asked.add_unredirected_header("X-Token", "1")
    redirects = Redirects({"X-Token": "1"})
    new = redirects.redirect_request(asked, io.BytesIO(), 302, "Found", HTTPMessage(), after)
    assert new
    assert new.unredirected_hdrs == ({"X-token": "1"} if same else {})


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
            ((HEAD, cookie("127.0.0.1", "a", "\u00c0\u20ac")), "a=\xc3\x80\xe2\x82\xac"),
            ((HEAD, b"127.0.0.1\tFALSE\t/\tFALSE\t0\ta\t\xff\x85\xa0"), "a=\xff\x85\xa0"),
            ((HEAD, cookie("127.0.0.1", "a", "1", expires=-1)), "a=1"),
            ((HEAD, cookie("127.0.0.1", "a", "1").replace("\t0\t", "\t-62135596800.5\t")), "a=1"),
            (("\ufeff" + HEAD, cookie("127.0.0.1", "a", "1")), "a=1"),
            (("\ufeff" + cookie("127.0.0.1", "a", "1"),), "a=1"),
            ((HEAD, cookie("sh\u00f6p.example", "b", "\u00fc"), cookie("127.0.0.1", "a", "1")), "a=1"),
            ((HEAD, cookie("example.org", "a"), cookie("127.0.0.2", "c")), None),
            ((HEAD, cookie("127.0.0.1", "a", path="/elsewhere")), None),
            ((HEAD, cookie("127.0.0.1", "a", secure="TRUE")), None),
            ((HEAD, cookie("127.0.0.1", "a", expires=1)), None),
        ],
    )
    @pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
    def test_cookies_go_where_they_belong(
        self, fetching: Fetching, web: Web, given: Callable[..., Path], lines: tuple[str | bytes, ...],
        sent: str | None, ending: bytes,
    ) -> None:  # fmt: skip
        """And byte for byte: the server here reads a letter for each."""
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

    def test_each_host_on_the_way_gets_its_own_cookies(
        self, fetching: Fetching, web: Web, given: Callable[..., Path]
    ) -> None:
        """As in a browser: a file of them has those of all sites."""
        with serving({}, redirect(f"{url(web)}&again")) as other:
            web.next(redirect(url(other, host="localhost")))
            cookies = given(self.HEAD, cookie("127.0.0.1", "a", "1"), cookie("localhost", "b", "2"))
            fetching.get(url(web), cookies=cookies)
            assert [request.headers["Cookie"] for request in other.requests] == ["b=2"]
        assert [request.headers["Cookie"] for request in web.requests] == ["a=1", "a=1"]

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
            (("X-Token:",), 1),
            (("X-Token: \t ",), 1),
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
            ((HEAD, cookie("", "a")), 2),
            ((HEAD, cookie("127.0.0.1", "a").replace("\t0\t", f"\t{SECRET}\t")), 2),
            ((HEAD, cookie("127.0.0.1", "a", f"\x1b{SECRET}")), 2),
            ((HEAD, cookie("127.0.0.1", "a", f"{SECRET}\x7f")), 2),
            ((HEAD, cookie("127.0.0.1", "a", f"{SECRET}\r{SECRET}")), 2),
            ((HEAD, cookie("127.0.0.1", "a").replace("\t0\t", "\t--1\t")), 2),
            ((f'[{{"name": "a", "value": "{SECRET}"}}]',), 1),
        ],
    )
    def test_a_bad_line_of_cookies_is_named_by_its_number(
        self, fetching: Fetching, web: Web, given: Callable[..., Path], lines: tuple[str | bytes, ...], line: int
    ) -> None:
        assert_said(fetching.refused(url(web), kind=UsageError, cookies=given(*lines)), "credentials", f"Line {line} ")
        assert web.requests == []

    def test_a_mark_of_utf_8_before_headers_is_none_of_them(
        self, fetching: Fetching, web: Web, given: Callable[..., Path]
    ) -> None:
        fetching.get(url(web), headers=given(f"\ufeffX-Token: {SECRET}"))
        assert web.requests[0].headers["X-Token"] == SECRET

    @pytest.mark.parametrize("name", ["Cookie", "cookie"])
    def test_cookies_come_from_one_place(
        self, fetching: Fetching, web: Web, given: Callable[..., Path], tmp_path: Path, name: str
    ) -> None:
        """The header would be sent alone, and those of the file nowhere."""
        (tmp_path / "headers").write_text(f"X-Token: 1\n{name}: a={SECRET}\n")
        cookies = given(self.HEAD, cookie("127.0.0.1", "b"))
        words = fetching.refused(url(web), kind=UsageError, cookies=cookies, headers=tmp_path / "headers")
        assert_said(words, "--cookies", "--headers", "Cookie")
        assert web.requests == []

    def test_remarks_may_have_any_letters(self, fetching: Fetching, web: Web, given: Callable[..., Path]) -> None:
        remark = "# \u00fcber curl geholt"
        fetching.get(url(web), cookies=given(self.HEAD, remark, cookie("127.0.0.1", "a")))
        fetching.get(url(web, OTHER), headers=given(remark, "X-Token: 1"))
        assert fetching.names == sorted([VAL, OTHER])

    @pytest.mark.parametrize("kind", ["cookies", "headers", "url_files"])
    @pytest.mark.parametrize(
        ("place", "why"),
        [(f"{SECRET}=1", "No such file"), (f"Authorization: Bearer {SECRET}", "No such file"), (".", "Is a directory"),
         (SECRET * 30, "File name too long")],
    )  # fmt: skip
    def test_what_stands_in_place_of_a_file_that_can_be_read_is_not_shown(
        self, fetching: Fetching, web: Web, kind: str, place: str, why: str
    ) -> None:
        given = (Path(place),) if kind == "url_files" else Path(place)
        words = fetching.refused(url(web), kind=UsageError, **{kind: given})
        assert_said(words, f"Cannot read the file of {kind.replace('url_files', 'URLs')}: {why}")
        assert web.requests == []

    @pytest.mark.parametrize("kind", ["cookies", "headers", "url_files", "urls"])
    @pytest.mark.parametrize("wrong", [f"{SECRET}\0".encode(), {SECRET: 1}, [Path(f"{SECRET}\0")], [[SECRET]]])
    def test_what_is_no_place_of_a_file_is_not_shown(self, kind: str, wrong: Any) -> None:
        with pytest.raises(UsageError, match=kind) as caught:
            UrlOptions(**{kind: wrong})
        assert SECRET not in str(caught.value)

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

    def test_a_proxy_that_makes_no_sense_is_not_shown(
        self, fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", f"http:/me:{SECRET}@proxy")
        monkeypatch.setenv("no_proxy", "")
        assert_said(fetching.refused(url(web)), VAL, "proxy")
        assert web.requests == []

"""Cookies, headers and redirections: who gets what, and what nobody sees."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fetch_url.asking import DATA, PUBLISHED, SECRET, VAL, Fetching, url
from imagenet_prep.errors import UsageError
from imagenet_prep.verbs.fetch.credentials import read_cookies
from web import GOOD, Answer, Request, Web, page, redirect, serving

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")
Given = Callable[..., Path]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    """Writes a file of cookies or headers."""

    def write(*lines: str | bytes, name: str = "credentials") -> Path:
        (tmp_path / name).write_bytes(b"\n".join(x if isinstance(x, bytes) else x.encode() for x in lines))
        return tmp_path / name

    return write


def cookie(host: str, name: str, value: str = SECRET, *, ends: str = "0", path: str = "/", safe: str = "FALSE") -> str:
    return f"{host}\t{'TRUE' if host.startswith('.') else 'FALSE'}\t{path}\t{safe}\t{ends}\t{name}\t{value}"


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("where", ["/{0}/moved.bin", "moved.bin", "http://{1}/{0}/moved.bin"])
    def test_are_followed_and_the_name_stays(self, fetching: Fetching, web: Web, status: int, where: str) -> None:
        web.files[f"{SECRET}/moved.bin"] = DATA
        web.next(redirect(where.format(SECRET, f"127.0.0.1:{web.port}"), status))
        fetching.get()
        fetching.assert_whole()

    @PUBLISHED
    def test_to_another_server_are_asked_again_at_each_try(self, fetching: Fetching, web: Web) -> None:
        with serving({f"{SECRET}/{VAL}": DATA}, Answer(stop=100_000)) as other:
            web.otherwise = redirect(url(other, host="localhost"))
            fetching.get()
            assert other.starts == web.starts == [None, 100_000]  # an address may be good for one time only
        fetching.assert_whole()

    @pytest.fixture
    def safe(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
        """A server that speaks https, and whose certificate is trusted."""
        certificate = Path(__file__).parent.with_name("localhost.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with serving({f"{SECRET}/{VAL}": DATA}, tls=context) as server:
            yield server

    def test_go_to_https_and_never_back(self, fetching: Fetching, web: Web, safe: Web) -> None:
        address = url(safe, host="localhost").replace("http:", "https:")
        safe.next(redirect(url(web)))
        fetching.sentence(fetching.refused(address))
        assert (web.requests, fetching.names) == ([], [])
        web.next(redirect(address))
        fetching.get()
        fetching.assert_whole()

    def test_go_to_no_server_whose_certificate_nobody_vouches_for(
        self, fetching: Fetching, safe: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE")
        fetching.web.next(redirect(url(safe, host="localhost").replace("http:", "https:")))
        fetching.sentence(fetching.refused())
        assert (safe.requests, fetching.names) == ([], [])


class TestCookies:
    @pytest.mark.parametrize(
        ("lines", "sent"),
        [
            (("# Netscape HTTP Cookie File", "", "# a r\u00e9mark", cookie("127.0.0.1", "a", "1"),
              cookie("127.0.0.1", "b", "2")), "a=1; b=2"),
            (("#HttpOnly_" + cookie("127.0.0.1", "a", "1") + "\r",), "a=1"),
            (("\ufeff" + cookie("127.0.0.1", "a", "x=y z", ends="4102444800", path=f"/{SECRET}"),), "a=x=y z"),
            ((b"127.0.0.1\tFALSE\t/\tFALSE\t-1\ta\t\xff\x85\xa0",), "a=\xff\x85\xa0"),
            ((cookie("127.0.0.1", "a", "1", ends="-62135596800.5"), cookie("sh\u00f6p.example", "b")), "a=1"),
            ((cookie("127.0.0.1", "a", "1", ends=""),), "a=1"),
            ((cookie("example.org", "a"), cookie("127.0.0.2", "c")), None),
            ((cookie("127.0.0.1", "a", path="/elsewhere"),), None),
            ((cookie("127.0.0.1", "a", safe="true"),), None),
            ((cookie("127.0.0.1", "a", ends="1"),), None),
        ],
    )  # fmt: skip
    def test_go_where_they_belong(
        self, fetching: Fetching, web: Web, given: Given, lines: tuple[str | bytes, ...], sent: str | None
    ) -> None:
        """And byte for byte: the server here reads a letter for each."""
        fetching.get(cookies=given(*lines))
        assert web.requests[0].headers.get("Cookie") == sent

    def test_of_each_host_on_the_way_go_to_that_host(self, fetching: Fetching, web: Web, given: Given) -> None:
        """As in a browser: a file of them has those of all sites."""
        with serving({}, redirect(f"{url(web)}&again")) as other:
            web.next(redirect(url(other, host="localhost")))
            fetching.get(cookies=given(cookie("127.0.0.1", "a", "1"), cookie("localhost", "b", "2")))
            assert [request.headers["Cookie"] for request in other.requests] == ["b=2"]
        assert [request.headers["Cookie"] for request in web.requests] == ["a=1", "a=1"]

    @pytest.mark.parametrize(
        ("line", "sent"),
        [(cookie(".example.org", "a", "1"), "a=1"), (cookie("example.org", "a"), None),
         ("example.org\tTRUE\t/\tFALSE\t0\ta\t1", "a=1")],
    )  # fmt: skip
    def test_go_below_their_host_only_where_they_say_so(self, given: Given, line: str, sent: str | None) -> None:
        request = urllib.request.Request("http://users.example.org/x")
        read_cookies(given(line)).add_cookie_header(request)
        assert request.get_header("Cookie") == sent

    def test_that_the_server_sets_on_the_way_are_sent(self, fetching: Fetching, web: Web) -> None:
        def gate(request: Request) -> Answer:
            if f"pass={SECRET}" in request.headers.get("Cookie", ""):
                return GOOD
            return redirect(f"/{SECRET}/{VAL}?{SECRET}=2", Set_Cookie=f"pass={SECRET}; Path=/")

        web.otherwise = gate
        fetching.get()
        assert len(web.requests) == 2

    def test_come_from_one_place(self, fetching: Fetching, web: Web, given: Given) -> None:
        """The header would be sent alone, and those of the file nowhere."""
        headers, cookies = given(f"cookie: a={SECRET}", name="headers"), given(cookie("127.0.0.1", "b"))
        fetching.sentence(fetching.refused(kind=UsageError, cookies=cookies, headers=headers))
        assert web.requests == []


class TestHeaders:
    @PUBLISHED
    def test_open_the_door_and_do_so_again(self, fetching: Fetching, web: Web, given: Given) -> None:
        web.next(redirect(f"/{SECRET}/{VAL}"), Answer(stop=100_000))
        headers = given("\ufeff# mine", f"Authorization: Bearer {SECRET}", "", f"x-token:{SECRET}:2")
        fetching.get(headers=headers)
        for request in web.requests:
            assert request.headers["Authorization"] == f"Bearer {SECRET}"
            assert request.headers["X-Token"] == f"{SECRET}:2"
        assert web.starts == [None, None, 100_000]
        fetching.assert_whole()

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_do_not_follow_to_another_server_nor_from_there(
        self, fetching: Fetching, web: Web, given: Given, host: str
    ) -> None:
        with serving({}, redirect(f"/{SECRET}/{VAL}"), redirect(f"{url(web)}&back")) as other:
            web.next(redirect(url(other, host=host)))
            headers = given(f"Authorization: Bearer {SECRET}", f"Cookie: a={SECRET}", f"X-Token: {SECRET}")
            fetching.get(headers=headers)
            asked = [web.requests[0], *other.requests, web.requests[1]]
        secret = [{"Authorization", "Cookie", "X-Token"} & request.headers.keys() for request in asked]
        assert [len(names) for names in secret] == [3, 0, 0, 0]

    def test_may_be_copied_from_a_browser(self, fetching: Fetching, web: Web, given: Given) -> None:
        copied = (f"GET /{SECRET} HTTP/2", ":authority: image-net.org", "Host: image-net.org", "Range: bytes=5-")
        fetching.get(headers=given(*copied, f"X-Token: {SECRET}"))
        assert web.requests[0].headers["X-Token"] == SECRET
        assert web.requests[0].headers["Host"] == f"127.0.0.1:{web.port}"
        assert web.starts == [None]


class TestAreNotShown:
    @pytest.mark.parametrize(
        ("kind", "line"),
        [("cookies", line) for line in (
            f"session={SECRET}", f"127.0.0.1\tFALSE\t/\t{SECRET}", cookie("", "a"),
            cookie("127.0.0.1", "a", ends=SECRET),
            cookie("127.0.0.1", "a", ends=f"nan{SECRET}"), f'[{{"name": "a", "value": "{SECRET}"}}]')]
        + [("headers", line) for line in (
            f"X-Token {SECRET}", f": {SECRET}", f"X Token: {SECRET}", "X-Token: \t ", f"X-T\u00f6ken: {SECRET}",
            f"X-Token: \u20ac{SECRET}")]
        + [("letters", line) for line in (
            cookie("127.0.0.1", "a", f"\x1b{SECRET}"), f"X-Token: {SECRET}\x00", f"X-Token: {SECRET}\r{SECRET}: 1")],
    )  # fmt: skip
    def test_lines_that_cannot_be_read(self, fetching: Fetching, web: Web, given: Given, kind: str, line: str) -> None:
        options = {kind.replace("letters", "cookies"): given("# Netscape HTTP Cookie File", "", line)}
        fetching.sentence(fetching.refused(kind=UsageError, **options), kind, alike=True)
        assert web.requests == []

    @pytest.mark.parametrize("kind", ["cookies", "headers", "url_files"])
    @pytest.mark.parametrize("place", [f"{SECRET}=1", f"Authorization: Bearer {SECRET}", SECRET * 30])
    def test_what_stands_in_place_of_a_file(self, fetching: Fetching, web: Web, kind: str, place: str) -> None:
        where = (Path(place),) if kind == "url_files" else Path(place)
        why = "File name too long" if len(place) > 255 else "No such file or directory"
        words = fetching.refused(kind=UsageError, **{kind: where})
        fetching.sentence(words.replace(why, "WHY"), kind, alike=True)
        assert web.requests == []

    def test_credentials_in_notes(self, fetching: Fetching, web: Web, given: Given) -> None:
        headers = given("X-Token: token-of-mine", name="headers")
        cookies = given(cookie("127.0.0.1", "session", "cookie-of-mine"))
        web.next(Answer(stop=100_000), page(503))
        fetching.refused(retries=1, headers=headers, cookies=cookies)
        assert "token-of-mine" in web.requests[0].headers["X-Token"]
        assert "cookie-of-mine" in web.requests[0].headers["Cookie"]
        fetching.assert_partial(DATA[:100_000])
        fetching.assert_discreet("token-of-mine", "cookie-of-mine", "X-Token", "session")

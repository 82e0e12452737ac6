"""A web UI that means no good: endless, trickling, redirecting, elsewhere; and what may stand on the command line."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Absent
from kiqdoctor.doctor.tools import Web
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.visits import web
from kiqdoctor.probes.web.counts import read_stats
from kiqdoctor.probes.web.page import Page, forbidden
from kiqdoctor.probes.web.visiting import MOST_BYTES, Answer, same_origin, visiting

Serve = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(serve: Serve) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            serve(self)

        def log_message(self, *words: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def headed(handler: BaseHTTPRequestHandler, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


@pytest.mark.parametrize(
    "headers",
    [
        {"Location": "http://[::1"},
        {"Location": "http://h:99999999/"},
        {"Location": "\xdex\xff"},
        {"Set_Cookie": "a=\xde; path=/", "Location": "/again"},
        {"Location": "http://\xde\xff/"},
    ],
)
def test_what_is_no_address_and_no_cookie_is_no_crash(headers: dict[str, str]) -> None:
    with serving(lambda handler: headed(handler, 302, **headers)) as url, visiting(Web(url)) as visitor:
        try:
            visitor.get()
        except RefusalError as error:
            assert url in str(error)  # noqa: PT017 - either is right, a crash is not


def test_counters_that_are_not_utf8_are_none() -> None:
    assert read_stats(Answer("u", 200, {}, b'{"sidekiq": "\xff"}')) is None


def test_a_page_without_an_end_is_read_so_far() -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        headed(handler)
        try:
            while True:
                handler.wfile.write(b"x" * 65_536)
        except OSError:
            return

    with serving(endless) as url, visiting(Web(url)) as visitor:
        assert len(visitor.get().body) == MOST_BYTES


def test_a_trickle_ends_in_time() -> None:
    def trickle(handler: BaseHTTPRequestHandler) -> None:
        headed(handler)
        try:
            while True:
                handler.wfile.write(b"x")
                time.sleep(0.02)
        except OSError:
            return

    with serving(trickle) as url, visiting(Web(url), longest=0.2) as visitor, pytest.raises(RefusalError) as refused:
        visitor.get()

    assert "within 0.2 s" in refused.value.refused.reason


def test_redirects_end() -> None:
    def again(handler: BaseHTTPRequestHandler) -> None:
        headed(handler, 302, Location=f"{handler.path}x")

    with serving(again) as url, visiting(Web(url)) as visitor, pytest.raises(RefusalError, match="more than 5 times"):
        visitor.get()


def test_a_login_that_sends_to_itself_is_an_answer() -> None:
    def login(handler: BaseHTTPRequestHandler) -> None:
        headed(handler, 302, Location="/login")

    with serving(login) as url, visiting(Web(url)) as visitor:
        answer = visitor.get()

    assert answer.redirects
    assert answer.location.endswith("/login")


def test_credentials_go_nowhere_else() -> None:
    seen: list[str | None] = []

    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        headed(handler)

    def away(handler: BaseHTTPRequestHandler) -> None:
        headed(handler, 302, Location=other)

    with serving(elsewhere) as other, serving(away) as url, visiting(Web(url, "ops", "pw")) as visitor:
        answer = visitor.get()

    assert seen == []
    assert answer.location == other


def test_whoever_comes_without_credentials_gives_none() -> None:
    seen: list[str | None] = []

    def root(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        headed(handler)

    with serving(root) as url, visiting(Web(url, "ops", "pw")) as visitor:
        visitor.get(named=False)
        visitor.get()

    assert seen == [None, "Basic b3BzOnB3"]


def test_nobody_there_is_a_refusal() -> None:
    with visiting(Web("http://127.0.0.1:1/")) as visitor, pytest.raises(RefusalError) as refused:
        visitor.get()

    assert refused.value.refused.unlock == "a web UI that answers: --web URL"


@pytest.mark.parametrize(
    ("url", "other", "same"),
    [
        ("http://a:80/x", "http://a/", True),
        ("https://a/x", "http://a:80/", True),
        ("http://a/x", "https://a/", False),
        ("http://b/", "http://a/", False),
        ("http://a:81/", "http://a/", False),
        ("http://a:no/", "http://a/", False),
        ("ftp://a/", "ftp://a/", False),
    ],
)
def test_what_is_one_origin(url: str, other: str, same: bool) -> None:
    assert same_origin(url, other) is same


@pytest.mark.parametrize(
    ("policy", "nonces", "broken"),
    [
        ("script-src 'self' 'nonce-Ab1'", ["Ab1", "Ab1"], False),
        ("script-src 'self' 'nonce-Ab1'", [""], True),
        ("script-src 'self' 'nonce-Ab1'", ["other"], True),
        ("default-src 'none'", [""], True),
        ("script-src https://cdn.example.org", [""], True),
        ("default-src 'self'; style-src 'unsafe-inline'", [""], False),
        ("img-src 'self'", [""], False),
        ("", [""], False),
        ("script-src 'none'", [], False),
    ],
)
def test_what_a_policy_forbids(policy: str, nonces: list[str], broken: bool) -> None:
    assert bool(forbidden([policy], nonces)) is broken


@pytest.mark.parametrize(("text", "shown"), [
    ("<title>[TEST] Sidekiq</title><a href='/sidekiq/busy'>Busy</a>", True),
    ("<title>Sidekiq</title><a href='/sidekiq/queues?poll=true'>Queues</a>", True),
    ("<title>Sidekiq</title><a href='/sidekiq/busy'>x</a><input type=password name=p>", False),
    ("<title>Sidekiq</title><a href='/help'>Help</a>", False),
    ("<title>Shop</title><a href='/busy'>Busy</a>", False),
])  # fmt: skip
def test_a_ui_is_told_by_its_title_and_one_of_its_pages(text: str, *, shown: bool) -> None:
    assert Page(text).is_sidekiq is shown


@pytest.mark.parametrize("text", ["", "<title>Sidekiq", "<![x", "<!--", "<script src=x><a href='/busy'>" * 9, "\0<p <"])
def test_any_text_is_a_page_and_no_ui(text: str) -> None:
    assert not Page(text).is_sidekiq


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"sidekiq":{"processed":-1,"failed":0},"redis":{}}', b"[" * 9999]
)
def test_any_bytes_are_no_stats(body: bytes) -> None:
    assert read_stats(Answer("http://a/", 200, {}, body)) is None


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Asked(web="a.example.org/sidekiq"), "http://"),
        (Asked(web="http://a:port/"), "port"),
        (Asked(web="http://"), "http://"),
        (Asked(web="http://a/", web_user="ops"), "NAME:PASSWORD"),
        (Asked(web_user="ops:pw"), "need --web"),
        (Asked(web_post=True), "need --web"),
    ],
)
def test_what_is_no_address_of_a_ui(asked: Asked, words: str) -> None:
    with pytest.raises(AskedError, match=words) as error:
        web(asked)

    assert "pw" not in str(error.value)


def test_the_address_is_kept_without_what_is_secret() -> None:
    found = web(Asked(web="https://ops:p%40w@[::1]:8443/sidekiq?x=1#y"))

    assert found == Web("https://[::1]:8443/sidekiq", "ops", "p@w")
    assert "p@w" not in repr(found)
    assert isinstance(web(Asked()), Absent)

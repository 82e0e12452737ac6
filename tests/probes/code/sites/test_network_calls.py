"""Calls over the network, and what limits how long each waits."""

from pathlib import Path

import pytest
from source import application, lines

from kiqdoctor.doctor.facts.code import NetworkCalls, Timeout

GIVEN, NONE, DEFAULT, UNKNOWN = Timeout.GIVEN, Timeout.NONE, Timeout.DEFAULT, Timeout.UNKNOWN
HEAD = (
    "import requests, httpx, smtplib, socket, redis, aiohttp, urllib.request\nget = requests.get\n"
    "OPTS = {'timeout': (3, 10)}\nBARE = {'a': 1}\nWAIT = 7\nNEVER = None\n"
)


def waits(root: Path, **written: str) -> list[tuple[str, Timeout, float | None]]:
    found = lines(application(root, **written), NetworkCalls)
    return [(site.name, site.timeout, site.seconds) for site, *_ in found]


@pytest.mark.parametrize(
    ("body", "name", "timeout", "seconds"),
    [
        ("requests.get(u)", "requests.get", NONE, None),
        ("get(u)", "requests.get", NONE, None),
        ("requests.get(u, timeout=5)", "requests.get", GIVEN, 5.0),
        ("requests.get(u, timeout=(3, 10))", "requests.get", GIVEN, 10.0),
        ("requests.get(u, timeout=(3, None))", "requests.get", NONE, None),
        ("requests.get(u, timeout=None)", "requests.get", NONE, None),
        ("requests.get(u, timeout=NEVER)", "requests.get", NONE, None),
        ("requests.get(u, timeout=WAIT)", "requests.get", GIVEN, 7.0),
        ("requests.get(u, timeout=t)", "requests.get", UNKNOWN, None),
        ("requests.get(u, **OPTS)", "requests.get", GIVEN, 10.0),
        ("requests.get(u, **BARE)", "requests.get", NONE, None),
        ("requests.get(u, **t)", "requests.get", UNKNOWN, None),
        ("s = requests.Session()\n  s.get(u)", "requests.Session().get", NONE, None),
        ("s = requests.Session()\n  s.mount('https://', A(5))\n  s.get(u)", "requests.Session().get", UNKNOWN, None),
        ("httpx.get(u)", "httpx.get", DEFAULT, None),
        ("httpx.Client(timeout=None).get(u)", "httpx.Client().get", NONE, None),
        ("c = httpx.Client(timeout=2)\n  c.get(u)", "httpx.Client().get", GIVEN, 2.0),
        ("httpx.get(u, timeout=httpx.Timeout(4))", "httpx.get", GIVEN, 4.0),
        ("smtplib.SMTP('h')", "smtplib.SMTP", NONE, None),
        ("smtplib.SMTP('h', 25, None, 9)", "smtplib.SMTP", GIVEN, 9.0),
        ("socket.create_connection(a, 3)", "socket.create_connection", GIVEN, 3.0),
        ("urllib.request.urlopen(u)", "urllib.request.urlopen", NONE, None),
        ("redis.Redis(socket_timeout=None)", "redis.Redis", NONE, None),
        ("redis.Redis()", "redis.Redis", DEFAULT, None),
    ],
)
def test_python(tmp_path: Path, body: str, name: str, timeout: Timeout, seconds: float | None) -> None:
    found = waits(tmp_path, shop_DOT_py=HEAD + f"def f(u, t, a):\n  {body}\n")

    assert found == [(name, timeout, seconds)]


@pytest.mark.parametrize("body", ["cache.get(u)", "OPTS.get('a')", "requests", "'requests.get(u)'", "mine.get(u)"])
def test_what_only_looks_like_it(tmp_path: Path, body: str) -> None:
    assert (
        waits(tmp_path, mine_DOT_py="def get(u): pass\n", shop_DOT_py=HEAD + f"import mine\ndef f(u, cache): {body}\n")
        == []
    )


def test_options_of_another_module(tmp_path: Path) -> None:
    text = "import requests\nfrom conf import OPTS\ndef f(u): requests.post(u, **OPTS)\n"

    assert waits(tmp_path, conf_DOT_py="OPTS = {'timeout': 3}\n", shop_DOT_py=text) == [("requests.post", GIVEN, 3.0)]


@pytest.mark.parametrize(
    ("body", "name", "timeout", "seconds"),
    [
        ("Net::HTTP.get(uri)", "Net::HTTP.get", DEFAULT, None),
        ("Net::HTTP.start(h, 80, read_timeout: 5) { }", "Net::HTTP.start", GIVEN, 5.0),
        ("Net::HTTP.start(h, 80, read_timeout: nil) { }", "Net::HTTP.start", NONE, None),
        ("http = Net::HTTP.new(h)\n  http.read_timeout = nil", "Net::HTTP.new", NONE, None),
        ("http = Net::HTTP.new(h)\n  http.open_timeout = 1_0", "Net::HTTP.new", GIVEN, 10.0),
        ("TCPSocket.new(h, 80)", "TCPSocket.new", NONE, None),
        ("TCPSocket.new(h, 80).close", "TCPSocket.new", DEFAULT, None),
        ("TCPSocket.new(h, 80).gets", "TCPSocket.new", NONE, None),
        ("TCPSocket.open(h, 80, connect_timeout: 2)", "TCPSocket.open", GIVEN, 2.0),
        ("HTTP.get(u)", "HTTP.get", NONE, None),
        ("HTTP.timeout(3).get(u)", "HTTP.timeout.get", UNKNOWN, None),
        ("HTTParty.get(u, timeout: 4)", "HTTParty.get", GIVEN, 4.0),
        ("Faraday.new(u, request: { timeout: 6 })", "Faraday.new", GIVEN, 6.0),
        ("RestClient.post(u, x, **opts)", "RestClient.post", UNKNOWN, None),
    ],
)
def test_ruby(tmp_path: Path, body: str, name: str, timeout: Timeout, seconds: float | None) -> None:
    assert waits(tmp_path, a_DOT_rb=f"def f(u)\n  {body}\nend\n") == [(name, timeout, seconds)]


@pytest.mark.parametrize("body", ["# HTTP.get(u)", "'HTTP.get(u)'", "cache.get(u)", "Net::HTTP"])
def test_ruby_that_only_looks_like_it(tmp_path: Path, body: str) -> None:
    assert waits(tmp_path, a_DOT_rb=f"def f(u)\n  {body}\nend\n") == []

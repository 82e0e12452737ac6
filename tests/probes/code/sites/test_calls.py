"""Calls, their names from outside, and what is told of their arguments."""

from pathlib import Path

import pytest
from source import application, lines

from kiqdoctor.doctor.facts.code import Argument, Call, Calls, Shape

HEAD = "from kiqdoctor import job\n"


def called(root: Path, **written: str) -> dict[str, Call]:
    return {site.name: site for site, *_ in lines(application(root, **written), Calls)}


@pytest.mark.parametrize(
    "text",
    [
        "import requests\nrequests.get(u)\n",
        "import requests as r\nr.get(u)\n",
        "from requests import get as fetch\nfetch(u)\n",
        "import requests\nget = requests.get\ndef f(): get(u)\n",
        "import requests\ndef f():\n  get = requests.get\n  get(u)\n",
        "def f():\n  import requests\n  def inner(): requests.get(u)\n",
        "import requests\nclass A:\n  get = requests.get\n  def f(self): self.get(u)\n",
    ],
)
def test_a_name_is_followed_to_where_it_is_from(tmp_path: Path, text: str) -> None:
    assert "requests.get" in called(tmp_path, shop_DOT_py=text)


@pytest.mark.parametrize("text", ["def f(requests): requests.get(u)\n", "cache = {}\ndef f(): cache.get(u)\n"])
def test_a_name_that_is_somebody_else_s(tmp_path: Path, text: str) -> None:
    assert "requests.get" not in called(tmp_path, shop_DOT_py=text)


def test_an_object_that_nobody_knows(tmp_path: Path) -> None:
    assert "?.brpop" in called(tmp_path, shop_DOT_py="def f(client): client.brpop('q')\n")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("5", Argument("", Shape.NUMBER, "5")),
        ("-1.5", Argument("", Shape.NUMBER, "-1.5")),
        ("None", Argument("", Shape.NONE, "None")),
        ("use_signals=False", Argument("use_signals", Shape.FLAG, "False")),
        ("'spawn'", Argument("", Shape.TEXT, "spawn")),
        ("'sqlite://'", Argument("", Shape.TEXT, ":memory:")),
        ("path=':memory:'", Argument("path", Shape.TEXT, ":memory:")),
        ("password='hunter2'", Argument("password", Shape.TEXT)),
        ("'postgres://u:hunter2@h/d'", Argument("", Shape.TEXT)),
        ("f'{a}'", Argument("", Shape.TEXT)),
        ("uuid.uuid4()", Argument("", Shape.CALL, "uuid.uuid4")),
        ("made", Argument("", Shape.CALL, "uuid.uuid4")),
        ("Loader=yaml.Loader", Argument("Loader", Shape.NAME, "yaml.Loader")),
        ("[1]", Argument("", Shape.LIST)),
        ("{1}", Argument("", Shape.SET)),
        ("{1: 2}", Argument("", Shape.MAPPING)),
        ("lambda: 1", Argument("", Shape.FUNCTION)),
        ("b''", Argument("", Shape.OTHER)),
        ("*[True]", Argument("", Shape.FLAG, "True")),
        ("*rest", Argument("*", Shape.OTHER)),
        ("**rest", Argument("**", Shape.OTHER)),
    ],
)
def test_arguments(tmp_path: Path, written: str, expected: Argument) -> None:
    text = f"import os, uuid, yaml\ndef f(rest, a):\n  made = uuid.uuid4()\n  os.go({written})\n"

    assert called(tmp_path, shop_DOT_py=text)["os.go"].arguments == (expected,)


def test_a_decorator_belongs_to_what_it_decorates(tmp_path: Path) -> None:
    text = HEAD + "import timeout_decorator\n@timeout_decorator.timeout(5)\ndef g(): pass\n@job\ndef f(): g()\n"
    [(site, _, line, chain)] = [
        one for one in lines(application(tmp_path, shop_DOT_py=text), Calls) if one[0].name.startswith("timeout")
    ]

    assert (site.decorator, line, chain) == (True, 3, ("shop.f", "shop.g"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Timeout.timeout(3) { x }", "Timeout.timeout"),
        ("::Timeout::timeout(3) { x }", "Timeout.timeout"),
        ("HTTP.timeout(3).get('x')", "HTTP.timeout.get"),
        ("self.class.go", "self.class.go"),
        ("fork { }", "fork"),
        ("client.get('x')", "?.get"),
        ("def x = Timeout.timeout(3)", "Timeout.timeout"),
    ],
)
def test_ruby_s_names(tmp_path: Path, text: str, name: str) -> None:
    assert name in called(tmp_path, a_DOT_rb=text + "\n")


@pytest.mark.parametrize("text", ["# Timeout.timeout(3)", "'Timeout.timeout(3)'", "<<~X\n  Timeout.timeout(3)\nX"])
def test_ruby_that_only_looks_like_a_call(tmp_path: Path, text: str) -> None:
    assert "Timeout.timeout" not in called(tmp_path, a_DOT_rb=text + "\n")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("5", Argument("", Shape.NUMBER, "5")),
        ("nil", Argument("", Shape.NONE, "nil")),
        (":inline", Argument("", Shape.SYMBOL, "inline")),
        ("read_timeout: 5", Argument("read_timeout", Shape.NUMBER, "5")),
        ("'key' => true", Argument("key", Shape.FLAG, "true")),
        ("password: 'hunter2'", Argument("password", Shape.TEXT)),
        ("Date.today", Argument("", Shape.CALL, "Date.today")),
        ("user", Argument("", Shape.NAME, "user")),
        ("[1]", Argument("", Shape.LIST)),
        ("{ a: 1 }", Argument("", Shape.MAPPING)),
        ("-> { }", Argument("", Shape.FUNCTION)),
        ("*[:x]", Argument("", Shape.SYMBOL, "x")),
        ("*rest", Argument("*", Shape.OTHER)),
        ("**rest", Argument("**", Shape.OTHER)),
    ],
)
def test_ruby_s_arguments(tmp_path: Path, written: str, expected: Argument) -> None:
    assert called(tmp_path, a_DOT_rb=f"X.go({written})\n")["X.go"].arguments == (expected,)

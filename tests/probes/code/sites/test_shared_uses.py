"""Objects that threads share, and their twins that one job has for itself."""

from pathlib import Path

import pytest
from source import application, lines

from kiqdoctor.doctor.facts.code import SharedUses

HEAD = "from kiqdoctor import job\n"


def shared(root: Path, **written: str) -> list[tuple[str, str, int, tuple[str, ...]]]:
    """What jobs use of it."""
    found = lines(application(root, **written), SharedUses)
    return [(site.name, path, line, chain) for site, path, line, chain in found if chain]


SHARED = {
    "a global": "conn = sqlite3.connect('x')\n@job\ndef f(): conn.execute('1')\n",
    "a class attribute": "class R:\n  c = sqlite3.connect('x')\n@job\ndef f(): R.c.execute('1')\n",
    "through self": "class R:\n  c = sqlite3.connect('x')\n  def go(self): self.c.execute('1')\n@job\ndef f(): R().go()\n",  # noqa: E501
    "made late": "conn = None\ndef get():\n  global conn\n  conn = sqlite3.connect('x')\n@job\ndef f(): conn.execute('1')\n",  # noqa: E501
    "a global object's own": (
        "class R:\n  def __init__(self): self.c = sqlite3.connect('x')\n  def go(self): self.c.execute('1')\n"
        "r = R()\n@job\ndef f(): r.go()\n"
    ),
    "cached": "import functools\n@functools.cache\ndef db(): return sqlite3.connect('x')\n@job\ndef f(): db().execute('1')\n",  # noqa: E501
    "under another name": "conn = sqlite3.connect('x')\n@job\ndef f():\n  c = conn\n  c.execute('1')\n",
    "inherited": (
        "class Base:\n  c = sqlite3.connect('x')\nclass R(Base):\n  def go(self): self.c.execute('1')\n"
        "@job\ndef f(): R().go()\n"
    ),
    "derived": "conn = sqlite3.connect('x')\ncur = conn.cursor()\n@job\ndef f(): cur.execute('1')\n",
}
OWN = {
    "made in the job": "@job\ndef f():\n  conn = sqlite3.connect('x')\n  conn.execute('1')\n",
    "shadowed": "conn = sqlite3.connect('x')\n@job\ndef f():\n  conn = sqlite3.connect('y')\n  conn.execute('1')\n",
    "under a lock": "import threading\nlock = threading.Lock()\nconn = sqlite3.connect('x')\n@job\ndef f():\n  with lock:\n"  # noqa: E501
    "    conn.execute('1')\n",
    "a parameter": "conn = sqlite3.connect('x')\n@job\ndef f(conn): conn.execute('1')\n",
    "never reached": "conn = sqlite3.connect('x')\ndef g(): conn.execute('1')\n@job\ndef f(): pass\n",
    "an object of the job": (
        "class R:\n  def __init__(self): self.c = sqlite3.connect('x')\n  def go(self): self.c.execute('1')\n"
        "@job\ndef f(): R().go()\n"
    ),
    "in a nested function that is not called from a job": (
        "conn = sqlite3.connect('x')\ndef g():\n  def inner(): conn.execute('1')\n  inner()\n@job\ndef f(): pass\n"
    ),
    "only words": "# conn = sqlite3.connect('x')\n@job\ndef f(): return 'conn = sqlite3.connect()'\n",
}


@pytest.mark.parametrize("text", SHARED.values(), ids=SHARED)
def test_what_threads_share(tmp_path: Path, text: str) -> None:
    found = shared(tmp_path, shop_DOT_py=HEAD + "import sqlite3\n" + text)

    assert {made_by.partition("(")[0] for made_by, *_ in found} == {"sqlite3.connect"}


@pytest.mark.parametrize("text", OWN.values(), ids=OWN)
def test_what_they_do_not(tmp_path: Path, text: str) -> None:
    assert shared(tmp_path, shop_DOT_py=HEAD + "import sqlite3\n" + text) == []


def test_another_module_s_object_and_a_chain_to_it(tmp_path: Path) -> None:
    found = shared(
        tmp_path,
        shop____init___DOT_py="",
        shop__db_DOT_py="import psycopg2 as pg\nconn = pg.connect('')\n",
        shop__store_DOT_py="from .db import conn\ndef save(): conn.cursor()\n",
        shop__jobs_DOT_py=HEAD + "from shop import store as s\n@job\ndef f(): s.save()\n",
    )

    assert found == [("psycopg2.connect", "shop/store.py", 2, ("shop.jobs.f", "shop.store.save"))]


@pytest.mark.parametrize("maker", ["redis.Redis()", "boto3.client('s3')", "threading.local()"])
def test_what_may_be_shared(tmp_path: Path, maker: str) -> None:
    text = HEAD + f"import redis, boto3, threading\nx = {maker}\n@job\ndef f(): x.get('a')\n"

    assert shared(tmp_path, shop_DOT_py=text) == []

"""The index of jobs and uses: each pattern's fault and its healthy twin, in Python and in Ruby."""

from pathlib import Path

import pytest

from kiqdoctor.doctor.facts.code import Source
from kiqdoctor.doctor.probe import AbsenceError
from kiqdoctor.probes.code.source import source
from kiqdoctor.probes.tree.tree import Tree

HEAD = "from kiqdoctor import job\n"


def index(root: Path, **written: str | bytes) -> Source:
    for name, text in written.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found: Source = source.read(Tree(root))
    return found


def has(found: Source, pattern: str, subject: str, *, reached: bool = True) -> bool:
    return any(
        one.pattern == pattern and one.subject.startswith(subject) and bool(one.chain) >= reached for one in found.uses
    )


@pytest.mark.parametrize(
    "text",
    [
        "from kiqdoctor import job\n@job\ndef f(): pass\n",
        "from kiqdoctor import job as background\n@background(queue='x')\ndef f(): pass\n",
        "import kiqdoctor as kd\n@kd.job\ndef f(): pass\n",
        "from celery import shared_task\n@shared_task\ndef f(): pass\n",
        "from celery import Celery\napp = Celery()\n@app.task(bind=True)\ndef f(self): pass\n",
        "import dramatiq\n@dramatiq.actor\ndef f(): pass\n",
        "from rq.decorators import job\n@job('default')\ndef f(): pass\n",
        "from huey import RedisHuey\nhuey = RedisHuey()\n@huey.task()\ndef f(): pass\n",
    ],
)
def test_python_jobs_by_their_decorators(tmp_path: Path, text: str) -> None:
    assert [one.name for one in index(tmp_path, shop_DOT_py=text).jobs] == ["shop.f"]


@pytest.mark.parametrize("text", ["def job(f): return f\n@job\ndef f(): pass\n", "# @job\ndef f(): pass\n"])
def test_what_only_looks_like_a_job(tmp_path: Path, text: str) -> None:
    assert index(tmp_path, shop_DOT_py=text).jobs == ()


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
    "only words": "# conn = sqlite3.connect('x')\n@job\ndef f(): return 'conn = sqlite3.connect()'\n",
}


@pytest.mark.parametrize("text", SHARED.values(), ids=SHARED)
def test_what_threads_share(tmp_path: Path, text: str) -> None:
    assert has(index(tmp_path, shop_DOT_py=HEAD + "import sqlite3\n" + text), "shared", "sqlite3.connect")


@pytest.mark.parametrize("text", OWN.values(), ids=OWN)
def test_what_they_do_not(tmp_path: Path, text: str) -> None:
    assert not has(index(tmp_path, shop_DOT_py=HEAD + "import sqlite3\n" + text), "shared", "sqlite3.connect")


def test_another_module_s_object_and_a_chain_to_it(tmp_path: Path) -> None:
    found = index(
        tmp_path,
        shop____init___DOT_py="",
        shop__db_DOT_py="import psycopg2 as pg\nconn = pg.connect('')\n",
        shop__store_DOT_py="from .db import conn\ndef save(): conn.cursor()\n",
        shop__jobs_DOT_py=HEAD + "from shop import store as s\n@job\ndef f(): s.save()\n",
    )

    [use] = {one for one in found.uses if one.pattern == "shared"}
    assert (use.subject, use.path, use.line) == ("psycopg2.connect", "shop/store.py", 2)
    assert use.chain == ("shop.jobs.f", "shop.store.save")


@pytest.mark.parametrize("maker", ["redis.Redis()", "boto3.client('s3')", "threading.local()"])
def test_what_may_be_shared(tmp_path: Path, maker: str) -> None:
    text = HEAD + f"import redis, boto3, threading\nx = {maker}\n@job\ndef f(): x.get('a')\n"

    assert not has(index(tmp_path, shop_DOT_py=text), "shared", "")


def test_imports_calls_keywords_and_changes(tmp_path: Path) -> None:
    text = HEAD + (
        "import matplotlib.pyplot as plt\nimport stripe, os, subprocess\n@job\ndef f():\n"
        "  import netCDF4\n  netCDF4.Dataset('x')\n  plt.figure()\n  stripe.api_key = 'k'\n  os.environ['A'] = 'b'\n"
        "  subprocess.Popen(['x'], preexec_fn=os.setsid)\n"
    )

    found = index(tmp_path, shop_DOT_py=text)

    assert has(found, "import", "netCDF4")
    assert has(found, "call", "matplotlib.pyplot.figure")
    assert has(found, "mutated", "stripe.api_key")
    assert has(found, "mutated", "os.environ")
    assert has(found, "keyword", "subprocess.Popen:preexec_fn")


def test_a_module_that_no_job_uses_is_imported_but_not_reached(tmp_path: Path) -> None:
    found = index(tmp_path, shop_DOT_py=HEAD + "import netCDF4\ndef g(): netCDF4.Dataset('x')\n@job\ndef f(): pass\n")

    assert has(found, "import", "netCDF4", reached=False)
    assert not has(found, "import", "netCDF4")


def test_forks_and_what_they_inherit(tmp_path: Path) -> None:
    text = HEAD + "import psycopg2\nconn = psycopg2.connect('')\n"

    assert not has(index(tmp_path, shop_DOT_py=text), "before_fork", "", reached=False)
    assert has(
        index(tmp_path, gunicorn_DOT_conf_DOT_py="preload_app = True\n"), "before_fork", "psycopg2", reached=False
    )


JOB = "class Resize\n  include Sidekiq::Job\n  def perform(id)\n    {body}\n  end\nend\n"


@pytest.mark.parametrize(
    "text",
    [
        "class J\n  include Sidekiq::Worker\n  def perform; end\nend\n",
        "class Base\n  include Sidekiq::Job\nend\nclass J < Base\n  def perform; end\nend\n",
        "class J < ApplicationJob\n  def perform; end\nend\n",
        "module Shop\n  class J\n    include ::Sidekiq::Job\n    def perform; end\n  end\nend\n",
    ],
)
def test_ruby_jobs(tmp_path: Path, text: str) -> None:
    assert [one.name.rpartition("::")[2] for one in index(tmp_path, app_DOT_rb=text).jobs] == ["J"]


@pytest.mark.parametrize(
    "body",
    [
        "Magick::Image.read('x')",
        "resize\n  end\n  def resize\n    Magick::Image.read('x')",
        "ImageTool.new(id).run",
        "ImageTool.go",
        "picture = ImageTool.new\n    ImageTool.new.run",
    ],
)
def test_a_constant_that_perform_reaches(tmp_path: Path, body: str) -> None:
    tool = (
        "class ImageTool\n  def run; Magick::Image.read('x'); end\n  def self.go; Magick::Image.read('x'); end\nend\n"
    )

    assert has(index(tmp_path, job_DOT_rb=JOB.format(body=body), tool_DOT_rb=tool), "import", "Magick")


@pytest.mark.parametrize("body", ["nil", "# Magick::Image", "'Magick::Image'", ":Magick"])
def test_a_constant_that_it_does_not(tmp_path: Path, body: str) -> None:
    other = "class Web\n  def show; Magick::Image.read('x'); end\nend\n"

    assert not has(index(tmp_path, job_DOT_rb=JOB.format(body=body), web_DOT_rb=other), "import", "Magick")


def test_ruby_calls_and_changes_and_what_a_class_descends_from(tmp_path: Path) -> None:
    found = index(
        tmp_path,
        config__initializers__aws_DOT_rb="AWS.eager_autoload!\n",
        person_DOT_rb="class Person < ActiveResource::Base\nend\n",
        job_DOT_rb=JOB.format(body="Timeout.timeout(3) { x }\n    Person.site = 'http://x'"),
    )

    assert has(found, "call", "AWS.eager_autoload!", reached=False)
    assert has(found, "call", "Timeout.timeout")
    assert has(found, "mutated", "Person.site")
    assert has(found, "import", "ActiveResource::Base")


@pytest.mark.parametrize(
    "content",
    [
        b"def f(:\n",
        b"\x00\x01",
        b"x = " + b"(" * 5000,
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        b"\xff\xfe",
        b"x = 1\n" * 400_000,
    ],
    ids=["syntax", "nulls", "deep", "latin-1", "not utf-8", "large"],
)
def test_hostile_files_are_no_crash(tmp_path: Path, content: bytes) -> None:
    found = index(tmp_path, bad_DOT_py=content, bad_DOT_rb=content, good_DOT_py=HEAD + "@job\ndef f(): pass\n")

    assert [one.name for one in found.jobs] == ["good.f"]


def test_a_link_that_leads_to_itself(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)

    assert index(tmp_path, shop_DOT_py="x = 1\n").files == 1


def test_tests_are_no_jobs_and_nothing_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(AbsenceError):
        index(tmp_path)
    with pytest.raises(AbsenceError):
        index(tmp_path, tests__test_jobs_DOT_py=HEAD + "@job\ndef f(): pass\n")

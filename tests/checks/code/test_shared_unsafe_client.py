"""COD005: the catalogue's examples in all their ways."""

from pathlib import Path

import pytest
from judging import accused, in_python, in_ruby, performing
from rewriting import crossed, python, ruby

from kiqdoctor.doctor.report import Outcome

FAULTS = crossed(
    {
        "P1": "import requests\nS = requests.Session()\nclass J(Job):\n  def perform(self, u): S.get(u, timeout=5)\n",
        "P2": (
            "import psycopg2\nclass Base:\n  db = psycopg2.connect('x')\n"
            "class J(Base, Job):\n  def perform(self): self.db.cursor().execute('x')\n"
        ),
        "P3": (
            "import httpx, asyncio\nhttp = httpx.AsyncClient()\n"
            "class J(Job):\n  def perform(self, u): asyncio.run(http.get(u))\n"
        ),
        "what a factory of the application made": (
            "import requests\ndef make():\n  s = requests.Session()\n  return s\nS = make()\n"
            "@job\ndef f(u): S.get(u, timeout=5)\n"
        ),
        "what a global factory made": (
            "from sqlalchemy import create_engine\nfrom sqlalchemy.orm import sessionmaker\n"
            "Session = sessionmaker(create_engine('x'))\ndb = Session()\n@job\ndef f(): db.execute('x')\n"
        ),
        "a pipeline": "import redis\nR = redis.Redis()\nP = R.pipeline()\n@job\ndef f(k): P.get(k); P.execute()\n",
    },
    python,
)
TWINS = crossed(
    {
        "an object for each job": (
            "from sqlalchemy.orm import sessionmaker\nSession = sessionmaker()\n"
            "@job\ndef f():\n  db = Session()\n  db.execute('x')\n"
        ),
        "a pipeline for each job": "import redis\nR = redis.Redis()\n@job\ndef f(k):\n  p = R.pipeline()\n  p.get(k)\n",
        "under a lock that is acquired": (
            "import requests, threading\nL = threading.Lock()\nS = requests.Session()\n@job\ndef f(u):\n"
            "  L.acquire()\n  try:\n    S.get(u, timeout=5)\n  finally:\n    L.release()\n"
        ),
        "N1": "import boto3\nS3 = boto3.client('s3')\n@job\ndef f(): S3.list_buckets()\n",
        "N2": (
            "import threading, requests\n_l = threading.local()\n"
            "def s(): _l.s = getattr(_l, 's', None) or requests.Session(); return _l.s\n@job\ndef f(u): s().get(u)\n"
        ),
        "N3": (
            "from sqlalchemy import create_engine\nfrom sqlalchemy.orm import scoped_session, sessionmaker\n"
            "engine = create_engine('x')\nSession = scoped_session(sessionmaker(engine))\n"
            "@job\ndef f():\n  Session.execute('x'); Session.remove()\n"
        ),
    },
    python,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_python("COD005", tmp_path, text).findings

    assert one.severity == ("medium" if "requests" in text else "high")


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD005", tmp_path, text))


_ASKING = (
    "import requests\nclass Api:\n  kept: requests.Session = None\n"
    "  def __init__(self, ua: str, session: requests.Session = None):\n    if session: self.kept = session\n"
    "  def ask(self, u): return self.kept.get(u, timeout=5)\n"
)
HELD_FAULTS = crossed(
    {
        "told by name": _ASKING + "API = Api('x', session=requests.Session())\n@job\ndef f(u): API.ask(u)\n",
        "told by place": _ASKING + "API = Api('x', requests.Session())\n@job\ndef f(u): API.ask(u)\n",
        "told in a mapping": _ASKING + "API = Api(**options())\n@job\ndef f(u): API.ask(u)\n",
        "held by what is shared": (
            _ASKING + "class Shop:\n  def __init__(self): self.api = Api('x', requests.Session())\n"
            "  def ask(self, u): self.api.ask(u)\nSHOP = Shop()\n@job\ndef f(u): SHOP.ask(u)\n"
        ),
    },
    python,
)
HELD_TWINS = crossed(
    {
        "a job's own": _ASKING + "@job\ndef f(u):\n  s = requests.Session()\n  Api('x', session=s).ask(u)\n",
        "shared without one": _ASKING + "API = Api('x')\n@job\ndef f(u): Api('x', requests.Session()).ask(u)\n",
        "held by a job's own": (
            _ASKING + "class Shop:\n  def __init__(self): self.api = Api('x', requests.Session())\n"
            "  def ask(self, u): self.api.ask(u)\n@job\ndef f(u): Shop().ask(u)\n"
        ),
    },
    python,
)


@pytest.mark.parametrize("text", HELD_FAULTS.values(), ids=HELD_FAULTS)
def test_what_a_shared_object_is_told(tmp_path: Path, text: str) -> None:
    assert accused(in_python("COD005", tmp_path, text))


@pytest.mark.parametrize("text", HELD_TWINS.values(), ids=HELD_TWINS)
def test_what_a_job_s_own_object_is_told(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD005", tmp_path, text))


def test_one_job_a_process_shares_nothing(tmp_path: Path) -> None:
    text = "import requests\nfrom celery import shared_task\nS = requests.Session()\n@shared_task\ndef f(u): S.get(u)\n"

    assert in_python("COD005", tmp_path, text).outcome is Outcome.NOT_APPLICABLE


def _class(*lines: str) -> str:
    return "class Shop\n" + "".join(f"  {line}\n" for line in lines) + "end\n"


RUBY_FAULTS = crossed(
    {
        "a constant": performing("DB.exec('x')", head="DB = PG.connect(ENV['U'])\n"),
        "mysql": performing("DB.query('x')", head="DB = Mysql2::Client.new(host: 'x')\n"),
        "http": performing("API.get('/x')", head="API = Net::HTTP.new('x', 443)\n"),
        "started": performing("API.get('/x')", head="API = Net::HTTP.new('x', 443).start\n"),
        "redis": performing("$redis.get(x)", head="$redis = Redis.new\n"),
        "redis, once": performing("REDIS.get(x)", head="REDIS ||= Redis.new(url: 'x')\n"),
        "a class's constant": performing("Shop::DB.exec('x')", head=_class("DB = PG::Connection.new")),
        "kept by a class": performing("Shop.db.exec('x')", head=_class("def self.db = @db ||= PG.connect('x')")),
        "a class variable": performing("Shop.ask", head=_class("@@db = PG.connect", "def self.ask = @@db.exec('x')")),
        "an accessor": performing(
            "Shop.db.exec('x')", head=_class("class << self; attr_accessor :db; end") + "Shop.db = PG.connect('x')\n"
        ),
        "a module's accessor": performing(
            "Shop.db.exec('x')", head=_class("mattr_accessor :db", "self.db = PG.connect('x')")
        ),
        "inherited": (
            "class Base\n  def self.db = @db ||= PG.connect('x')\nend\n"
            "class J < Base\n  include Sidekiq::Job\n  def perform\n    self.class.db.exec('x')\n  end\nend\n"
        ),
        "under another name": performing("c = DB", "c.exec('x')", head="DB = PG.connect\n"),
        "one call away": (
            "DB = PG.connect\nclass J\n  include Sidekiq::Job\n  def perform(x)\n    db.exec('x')\n  end\n"
            "  def db = DB\nend\n"
        ),
    },
    ruby,
)
RUBY_TWINS = crossed(
    {
        "a pool": performing("DB.with { |c| c.exec('x') }", head="DB = ConnectionPool.new { PG.connect }\n"),
        "made in the job": performing("db = PG.connect", "db.exec('x')"),
        "the job's own": performing("@db ||= PG.connect", "@db.exec('x')"),
        "a thread's own": performing("db = (Thread.current[:db] ||= PG.connect)", "db.exec('x')"),
        "a lock": performing("LOCK.synchronize { DB.exec('x') }", head="LOCK = Mutex.new\nDB = PG.connect\n"),
        "made anew": performing("Shop.db.exec('x')", head=_class("def self.db = PG.connect('x')")),
        "a parameter": performing("DBS.each { |db| db.exec('x') }", head="db = PG.connect\n"),
        "a block's": performing("BODY.size", head="BODY = Net::HTTP.start('x') { |h| h.get('/') }\n"),
        "another's": performing(
            "Shop::DB.ask(1)", head=_class("module PG; def self.connect = 1; end", "DB = PG.connect")
        ),
        "sometimes a pool": performing("$r.get(x)", head="$r = Redis.new\n$r = ConnectionPool::Wrapper.new\n"),
        "only words": performing("Shop.x('DB = PG.connect; DB.exec')"),
        "persistent": performing("API.request(x)", head="API = Net::HTTP::Persistent.new(name: 'x')\n"),
    },
    ruby,
)


@pytest.mark.parametrize("text", RUBY_FAULTS.values(), ids=RUBY_FAULTS)
def test_ruby_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_ruby("COD005", tmp_path, text).findings

    assert one.severity == ("medium" if "Redis" in text else "high")


@pytest.mark.parametrize("text", RUBY_TWINS.values(), ids=RUBY_TWINS)
def test_ruby_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_ruby("COD005", tmp_path, text))


def test_a_child_for_each_job_shares_no_connection(tmp_path: Path) -> None:
    text = "DB = PG.connect\nclass J\n  @queue = :x\n  def self.perform(x)\n    DB.exec('x')\n  end\nend\n"

    assert in_ruby("COD005", tmp_path, text).outcome is Outcome.NOT_APPLICABLE


def test_one_redis_is_told_once(tmp_path: Path) -> None:
    job = "class {0}\n  include Sidekiq::Job\n  def perform(x)\n    $r.get(x)\n  end\nend\n"

    assert len(in_ruby("COD005", tmp_path, "$r = Redis.new\n" + job.format("J") + job.format("K")).findings) == 1
